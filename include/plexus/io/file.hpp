// Files read and written with care: what is read is never trusted, and what is written is there whole or not
// at all.
#pragma once

#include <plexus/core/error.hpp>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

namespace plexus::inline PLEXUS_ABI {

inline std::string quoted(const std::filesystem::path& path) { return "'" + path.string() + "'"; }

// The product of the sizes of a shape, or nothing where it does not fit in 64 bits.
template <class Shape>
std::optional<std::uint64_t> checked_product(const Shape& shape) {
  std::uint64_t product = 1;
  for (const std::uint64_t size : shape) {
    if (size != 0 && product > std::numeric_limits<std::uint64_t>::max() / size) return std::nullopt;
    product *= size;
  }
  return product;
}

// Owns a file descriptor.
class file_descriptor {
 public:
  explicit file_descriptor(int value = -1) : value_(value) {}
  file_descriptor(file_descriptor&& other) noexcept : value_(std::exchange(other.value_, -1)) {}
  file_descriptor& operator=(file_descriptor&& other) noexcept {
    std::swap(value_, other.value_);
    return *this;
  }
  ~file_descriptor() {
    if (value_ >= 0) ::close(value_);
  }

  int get() const { return value_; }
  explicit operator bool() const { return value_ >= 0; }

 private:
  int value_;
};

// Bytes read front to back from a regular file or from memory. `doing` opens the message of every error.
class byte_source {
 public:
  byte_source(const std::filesystem::path& path, std::string doing) : doing_(std::move(doing)) {
    // Without O_NONBLOCK, opening a pipe would wait for somebody to write to it.
    file_ = file_descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!file_) refuse_open(errno);
    struct stat status {};
    if (::fstat(file_.get(), &status) != 0) refuse(std::strerror(errno), "check the path and the disk");
    if (S_ISDIR(status.st_mode)) refuse("it is a folder", "give the path of a file in it");
    if (!S_ISREG(status.st_mode)) refuse("it is not a regular file", "give the path of a regular file");
    size_ = static_cast<std::uint64_t>(status.st_size);
  }

  byte_source(std::span<const std::byte> memory, std::string doing)
      : doing_(std::move(doing)), memory_(memory), size_(memory.size()) {}

  std::uint64_t size() const { return size_; }
  std::uint64_t position() const { return position_; }
  int descriptor() const { return file_.get(); }  // of a file

  // Fills `to` and returns its size; returns less only at the end of the source.
  std::size_t read(std::span<std::byte> to) {
    const std::size_t got = file_ ? read_file(to) : read_memory(to);
    position_ += got;
    return got;
  }

  [[noreturn]] void refuse(const std::string& wrong, const std::string& remedy) const {
    throw error(doing_, wrong, remedy);
  }

 private:
  [[noreturn]] void refuse_open(int reason) const {
    switch (reason) {
      case ENOENT:
        refuse("there is no such file", "check the path");
      case ENOTDIR:
        refuse("a part of its path is a file, not a folder", "check the path");
      case EACCES:
      case EPERM:
        refuse("it may not be read", "change its permissions or those of its folder");
      default:
        refuse(std::strerror(reason), "check the path and the disk");
    }
  }

  std::size_t read_file(std::span<std::byte> to) const {
    std::size_t got = 0;
    while (got < to.size()) {
      const ssize_t n = ::read(file_.get(), to.data() + got, to.size() - got);
      if (n == 0) break;
      if (n > 0) {
        got += static_cast<std::size_t>(n);
      } else if (errno != EINTR) {
        refuse(
            "the disk failed at byte " + std::to_string(position_ + got) + " (" + std::strerror(errno) + ")",
            "check the disk");
      }
    }
    return got;
  }

  std::size_t read_memory(std::span<std::byte> to) const {
    const auto rest = memory_.subspan(static_cast<std::size_t>(position_));
    const std::size_t got = std::min(to.size(), rest.size());
    std::copy_n(rest.begin(), got, to.begin());
    return got;
  }

  std::string doing_;
  file_descriptor file_;
  std::span<const std::byte> memory_;
  std::uint64_t size_ = 0;
  std::uint64_t position_ = 0;
};

// A file that appears under its name whole or not at all: bytes go to a temporary in its folder, commit()
// flushes them to the disk and renames. Without commit() the temporary is removed and a file that was there
// stays as it was. A symbolic link is followed; the permissions of a file that is replaced are kept.
class atomic_file {
 public:
  atomic_file(const std::filesystem::path& path, std::string doing) : doing_(std::move(doing)) {
    if (path.empty()) refuse("the path is empty", "give the name of the file");
    target_ = end_of_links(path);
    folder_ = target_.has_parent_path() ? target_.parent_path() : ".";
    struct stat old {};
    const bool replaces = ::stat(target_.c_str(), &old) == 0;
    if (replaces && S_ISDIR(old.st_mode)) refuse("there is a folder of that name", "give the name of a file");
    if (replaces && !S_ISREG(old.st_mode)) {
      refuse("there is something of that name that is not a regular file", "give another name");
    }
    if (!target_.has_filename()) refuse("the path ends in a slash", "give the name of a file");
    create_temporary();
    if (replaces) ::fchmod(file_.get(), old.st_mode & 07777);  // where the file system has permissions
  }

  atomic_file(const atomic_file&) = delete;
  atomic_file& operator=(const atomic_file&) = delete;
  ~atomic_file() {
    if (!temporary_.empty()) ::unlink(temporary_.c_str());
  }

  void write(std::span<const std::byte> bytes) {
    refuse_beyond_limit(bytes.size());
    while (!bytes.empty()) {
      const ssize_t n = ::write(file_.get(), bytes.data(), bytes.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) fail(errno);
      written_ += static_cast<std::uint64_t>(n);
      bytes = bytes.subspan(static_cast<std::size_t>(n));
    }
  }

  void commit() {
    if (::fsync(file_.get()) != 0) fail(errno);
    if (temporary_.empty()) {
      name_temporary([this](const char* name) {
        return ::linkat(AT_FDCWD, link_to_file().c_str(), AT_FDCWD, name, AT_SYMLINK_FOLLOW) == 0;
      });
    }
    if (::rename(temporary_.c_str(), target_.c_str()) != 0) fail(errno);
    temporary_.clear();
    // The new name itself is safe from a power cut only when its folder is on the disk; not every file system
    // can.
    const file_descriptor folder(::open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (folder) ::fsync(folder.get());
  }

  [[noreturn]] void refuse(const std::string& wrong, const std::string& remedy) const {
    throw error(doing_, wrong, remedy);
  }

 private:
  // What the path's symbolic links lead to, be it there or not.
  std::filesystem::path end_of_links(std::filesystem::path path) const {
    constexpr int most_links = 40;  // as many as Linux follows
    std::error_code failed;
    for (int links = 0; std::filesystem::is_symlink(path, failed); ++links) {
      if (links == most_links) refuse("its symbolic links lead in a circle", "give the name of a file");
      const std::filesystem::path next = std::filesystem::read_symlink(path, failed);
      if (failed) refuse("its symbolic link cannot be read: " + failed.message(), "give the name of a file");
      path = path.parent_path() / next;
    }
    return path;
  }

  // Where the file system can, it has no name before commit(): a process that is killed leaves nothing
  // behind.
  void create_temporary() {
    file_ = file_descriptor(::open(folder_.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666));
    if (file_ && ::access(link_to_file().c_str(), F_OK) == 0) return;
    name_temporary([this](const char* name) {
      file_ = file_descriptor(::open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
      return static_cast<bool>(file_);
    });
  }

  std::string link_to_file() const { return "/proc/self/fd/" + std::to_string(file_.get()); }

  // take(name) for new names, until it does not say that there is something of that name. The name is short
  // and not made from the target's, which may already be as long as a name can be.
  template <class Take>
  void name_temporary(const Take& take) {
    const std::string stem = ".plexus-" + std::to_string(::getpid()) + "-";
    constexpr int most_attempts = 1000;  // names left behind by killed processes are skipped
    for (int attempt = 0; attempt < most_attempts; ++attempt) {
      std::filesystem::path candidate = folder_ / (stem + std::to_string(names_++) + ".tmp");
      if (take(candidate.c_str())) {
        temporary_ = std::move(candidate);
        return;
      }
      if (errno != EEXIST) fail(errno);
    }
    fail(EEXIST);
  }

  // Writing beyond the process's file size limit would end the process with a signal.
  void refuse_beyond_limit(std::size_t more) const {
    rlimit limit{};
    if (::getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return;
    if (written_ > limit.rlim_cur || more > limit.rlim_cur - written_) fail(EFBIG);
  }

  [[noreturn]] void fail(int reason) const {
    const std::string folder = "the folder " + quoted(folder_);
    switch (reason) {
      case ENOENT:
        refuse(folder + " does not exist", "create it first");
      case ENOTDIR:
        refuse(quoted(folder_) + " is not a folder", "check the path");
      case EACCES:
      case EPERM:
        refuse(folder + " may not be written to", "change its permissions or choose another folder");
      case EROFS:
        refuse(folder + " is on a read-only disk", "choose another folder");
      case ENOSPC:
      case EDQUOT:
        refuse("the disk is full", "free some space or choose another disk; nothing was changed");
      case EFBIG:
        refuse("the file would be larger than this process may write",
               "raise the file size limit (ulimit -f); nothing was changed");
      default:
        refuse(std::strerror(reason), "check the path and the disk; nothing was changed");
    }
  }

  static inline std::atomic<unsigned> names_{0};  // given by this process

  std::string doing_;
  std::filesystem::path target_;
  std::filesystem::path folder_;
  std::filesystem::path temporary_;
  file_descriptor file_;
  std::uint64_t written_ = 0;
};

}  // namespace plexus::inline PLEXUS_ABI
