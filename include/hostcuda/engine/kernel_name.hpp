// The name of a kernel by its address, for reports: from the dynamic symbols, else from the symbol table of
// the ELF file.
#pragma once

#include <cxxabi.h>
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace hostcuda::detail {

inline std::string demangle(const char* symbol) {
  char* const plain = abi::__cxa_demangle(symbol, nullptr, nullptr, nullptr);
  const std::string text = plain != nullptr ? plain : symbol;
  std::free(plain);
  return text;
}

// A file's bytes, mapped into memory; none where that fails.
class mapped_file {
 public:
  explicit mapped_file(const char* path) {
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return;
    struct stat about;
    if (fstat(file, &about) == 0) {
      void* const bytes =
          mmap(nullptr, static_cast<std::size_t>(about.st_size), PROT_READ, MAP_PRIVATE, file, 0);
      if (bytes != MAP_FAILED) {
        bytes_ = static_cast<const char*>(bytes);
        size_ = static_cast<std::size_t>(about.st_size);
      }
    }
    close(file);
  }
  mapped_file(const mapped_file&) = delete;
  mapped_file& operator=(const mapped_file&) = delete;
  ~mapped_file() {
    if (bytes_ != nullptr) munmap(const_cast<char*>(bytes_), size_);
  }

  // The table of `count` records at `offset`; null where the file ends before.
  template <class Record>
  const Record* records(std::size_t offset, std::size_t count) const {
    if (offset > size_ || count > (size_ - offset) / sizeof(Record)) return nullptr;
    return reinterpret_cast<const Record*>(bytes_ + offset);
  }

 private:
  const char* bytes_ = nullptr;
  std::size_t size_ = 0;
};

// The mangled name of the function at `address` (as the file counts) in an ELF file, or nothing.
inline std::string symbol_in_file(const char* path, std::uint64_t load_address, std::uint64_t address) {
  const mapped_file file(path);
  const auto* header = file.records<Elf64_Ehdr>(0, 1);
  if (header == nullptr || std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0) return {};
  if (header->e_type == ET_DYN) address -= load_address;
  const auto* sections = file.records<Elf64_Shdr>(header->e_shoff, header->e_shnum);
  for (std::size_t s = 0; sections != nullptr && s < header->e_shnum; ++s) {
    const Elf64_Shdr& section = sections[s];
    if (section.sh_type != SHT_SYMTAB || section.sh_link >= header->e_shnum) continue;
    const std::size_t count = section.sh_size / sizeof(Elf64_Sym);
    const auto* symbols = file.records<Elf64_Sym>(section.sh_offset, count);
    const Elf64_Shdr& names = sections[section.sh_link];
    const char* const texts = file.records<char>(names.sh_offset, names.sh_size);
    if (symbols == nullptr || texts == nullptr) continue;
    for (std::size_t i = 0; i < count; ++i) {
      const Elf64_Sym& symbol = symbols[i];
      if (ELF64_ST_TYPE(symbol.st_info) != STT_FUNC || symbol.st_value != address) continue;
      if (symbol.st_name < names.sh_size) return texts + symbol.st_name;
    }
  }
  return {};
}

inline std::string kernel_name(const void* kernel) {
  Dl_info found{};
  if (dladdr(kernel, &found) != 0) {
    if (found.dli_sname != nullptr && found.dli_saddr == kernel) return demangle(found.dli_sname);
    const std::string name = symbol_in_file(found.dli_fname, reinterpret_cast<std::uint64_t>(found.dli_fbase),
                                            reinterpret_cast<std::uint64_t>(kernel));
    if (!name.empty()) return demangle(name.c_str());
  }
  char text[32];
  std::snprintf(text, sizeof text, "at %p", kernel);
  return text;
}

}  // namespace hostcuda::detail
