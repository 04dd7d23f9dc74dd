// Bytes that may be gzipped, unzipped as they are read. Needs zlib.
#pragma once

#include <plexus/io/file.hpp>

#include <algorithm>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <zlib.h>

namespace plexus::inline PLEXUS_ABI {

// Undoes gzip where the bytes begin with its mark, and passes them on where not.
class unzipped_source {
 public:
  // Deflate packs no more bytes than this into one (zlib.net/zlib_tech.html): what claims more is a lie.
  static constexpr std::uint64_t largest_ratio = 1032;

  explicit unzipped_source(byte_source& packed) : packed_(packed) {
    refill();
    zipped_ = available() >= 2 && chunk_[0] == std::byte{0x1f} && chunk_[1] == std::byte{0x8b};
    constexpr int gzip_only = 15 + 16;
    if (zipped_ && ::inflateInit2(&stream_, gzip_only) != Z_OK) {
      packed_.refuse("zlib does not start", "free memory");
    }
  }
  unzipped_source(const unzipped_source&) = delete;
  unzipped_source& operator=(const unzipped_source&) = delete;
  ~unzipped_source() {
    if (zipped_) ::inflateEnd(&stream_);
  }

  bool zipped() const { return zipped_; }

  // No more bytes than this can come out.
  std::uint64_t size_limit() const { return zipped_ ? packed_.size() * largest_ratio : packed_.size(); }

  // Fills `to` and returns its size; returns less only at the end.
  std::size_t read(std::span<std::byte> to) {
    std::size_t got = 0;
    while (got < to.size()) {
      if (available() == 0 && !refill()) break;
      const auto rest = to.subspan(got);
      if (zipped_ && !finished_) {
        got += inflate_into(rest);
      } else if (zipped_) {
        begin_next_member();
      } else {
        const std::size_t n = std::min(rest.size(), available());
        std::copy_n(chunk_.begin() + static_cast<std::ptrdiff_t>(begin_), n, rest.begin());
        begin_ += n;
        got += n;
      }
    }
    if (got < to.size() && zipped_ && !finished_) {
      packed_.refuse("its gzip data break off at byte " + std::to_string(packed_.size()),
                     "fetch the file again");
    }
    return got;
  }

 private:
  std::size_t available() const { return end_ - begin_; }

  bool refill() {
    begin_ = 0;
    end_ = packed_.read(chunk_);
    return end_ != 0;
  }

  std::uint64_t offset() const { return packed_.position() - available(); }

  std::size_t inflate_into(std::span<std::byte> to) {
    const std::size_t room = std::min<std::size_t>(to.size(), UINT_MAX);
    stream_.next_in = reinterpret_cast<Bytef*>(chunk_.data() + begin_);
    stream_.avail_in = static_cast<uInt>(available());
    stream_.next_out = reinterpret_cast<Bytef*>(to.data());
    stream_.avail_out = static_cast<uInt>(room);
    const int status = ::inflate(&stream_, Z_NO_FLUSH);
    begin_ = end_ - stream_.avail_in;
    if (status != Z_OK && status != Z_STREAM_END) {
      packed_.refuse("its gzip data are damaged near byte " + std::to_string(offset()) +
                         (stream_.msg != nullptr ? " (" + std::string(stream_.msg) + ")" : ""),
                     "fetch the file again");
    }
    finished_ = status == Z_STREAM_END;
    return room - stream_.avail_out;
  }

  // A gzip file is one or more members, one after the other.
  void begin_next_member() {
    if (chunk_[begin_] != std::byte{0x1f}) {
      packed_.refuse("something follows its gzip data at byte " + std::to_string(offset()),
                     "fetch the file again");
    }
    ::inflateReset(&stream_);
    finished_ = false;
  }

  byte_source& packed_;
  std::vector<std::byte> chunk_ = std::vector<std::byte>(std::size_t{1} << 16);
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  bool zipped_ = false;
  bool finished_ = false;
  z_stream stream_{};
};

}  // namespace plexus::inline PLEXUS_ABI
