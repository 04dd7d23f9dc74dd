// The name of a kernel by its address, for reports: from the dynamic symbols, else from the symbol table of
// the ELF file.
#pragma once

#include <cxxabi.h>
#include <dlfcn.h>
#include <elf.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

namespace hostcuda::detail {

inline std::string demangle(const char* symbol) {
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> text(abi::__cxa_demangle(symbol, nullptr, nullptr, &status),
                                                    std::free);
  return status == 0 ? std::string(text.get()) : std::string(symbol);
}

// Reads a table of `count` records at `offset`; empty if the file ends before.
template <class Record>
std::vector<Record> read_records(std::ifstream& file, std::uint64_t offset, std::size_t count) {
  std::vector<Record> records(count);
  file.seekg(static_cast<std::streamoff>(offset));
  file.read(reinterpret_cast<char*>(records.data()), static_cast<std::streamsize>(count * sizeof(Record)));
  return file ? records : std::vector<Record>{};
}

// The mangled name of the function at `address` (as the file counts) in an ELF file, or nothing.
inline std::string symbol_in_file(const char* path, std::uint64_t load_address, std::uint64_t address) {
  std::ifstream file(path, std::ios::binary);
  const auto header = read_records<Elf64_Ehdr>(file, 0, 1);
  if (header.empty() || std::string(reinterpret_cast<const char*>(header[0].e_ident), SELFMAG) != ELFMAG)
    return {};
  if (header[0].e_type == ET_DYN) address -= load_address;
  const auto sections = read_records<Elf64_Shdr>(file, header[0].e_shoff, header[0].e_shnum);
  for (const Elf64_Shdr& section : sections) {
    if (section.sh_type != SHT_SYMTAB || section.sh_link >= sections.size()) continue;
    const auto symbols =
        read_records<Elf64_Sym>(file, section.sh_offset, section.sh_size / sizeof(Elf64_Sym));
    const Elf64_Shdr& names = sections[section.sh_link];
    for (const Elf64_Sym& symbol : symbols) {
      if (ELF64_ST_TYPE(symbol.st_info) != STT_FUNC || symbol.st_value != address) continue;
      std::string name;
      file.seekg(static_cast<std::streamoff>(names.sh_offset + symbol.st_name));
      std::getline(file, name, '\0');
      return name;
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
