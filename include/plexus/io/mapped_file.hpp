// A file as memory, read from the disk where and when it is looked at.
#pragma once

#include <plexus/io/file.hpp>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <span>
#include <utility>

#include <sys/mman.h>

namespace plexus::inline PLEXUS_ABI {

// Owns the mapping. Whoever shortens the file meanwhile ends this program with a bus error; a file that is
// replaced by another of its name (as atomic_file does) stays what it was.
class mapped_file {
 public:
  // All of an open file that is not empty.
  explicit mapped_file(const byte_source& file) : size_(static_cast<std::size_t>(file.size())) {
    memory_ = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file.descriptor(), 0);
    if (memory_ == MAP_FAILED) {
      file.refuse("it cannot be mapped (" + std::string(std::strerror(errno)) + ")",
                  "copy it to a local disk, or read it whole");
    }
  }
  mapped_file(mapped_file&& other) noexcept
      : memory_(std::exchange(other.memory_, MAP_FAILED)), size_(std::exchange(other.size_, 0)) {}
  mapped_file& operator=(mapped_file&& other) noexcept {
    std::swap(memory_, other.memory_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~mapped_file() {
    if (memory_ != MAP_FAILED) ::munmap(memory_, size_);
  }

  std::span<const std::byte> bytes() const { return {static_cast<const std::byte*>(memory_), size_}; }

 private:
  void* memory_ = MAP_FAILED;
  std::size_t size_ = 0;
};

}  // namespace plexus::inline PLEXUS_ABI
