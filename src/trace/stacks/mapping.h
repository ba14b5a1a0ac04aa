// Code of a file at addresses of a process.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

namespace tcpwhy::trace {

struct Mapping {
  std::uint64_t start = 0, length = 0;
  std::uint64_t offset = 0;             // in the file
  std::uint64_t file_bytes = 0;         // its size when it was mapped; 0: not known
  std::uint64_t device = 0, inode = 0;  // of the file, as stat(2) has them; inode 0: not known
  std::string path;
  // Of a program that the kernel has just loaded: `start` is that of its first executable segment, `length` and `offset` are not
  // known, and its dynamic linker is at `interpreter` (0: none).
  bool is_program = false;
  std::uint64_t interpreter = 0;
  auto operator<=>(const Mapping&) const = default;
};

// Whatever is mapped in a living process, in the order of the addresses: a line of /proc/PID/maps each.
struct MemoryRange {
  std::uint64_t begin = 0, end = 0;
  std::uint64_t offset = 0;
  bool is_code = false;
  std::uint64_t device = 0, inode = 0;
  std::string path;  // or [heap], or nothing
};
std::vector<MemoryRange> memory_ranges(pid_t pid);

// What is mapped as code in a living process. Empty: gone, or not ours to see.
std::vector<Mapping> code_mappings(pid_t pid);

// The C library, its loader and the kernel's vdso, by path of the file.
bool is_c_library(std::string_view path);

}  // namespace tcpwhy::trace
