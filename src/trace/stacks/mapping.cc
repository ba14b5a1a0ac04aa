#include "trace/stacks/mapping.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>

#include "trace/proc_text.h"

namespace tcpwhy::trace {

std::vector<MemoryRange> memory_ranges(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/maps", pid));
  return memory_ranges_in(file);
}

std::vector<Mapping> code_mappings(pid_t pid) {
  std::vector<Mapping> mappings;
  for (const MemoryRange& range : memory_ranges(pid)) {
    if (!range.is_code || !range.path.starts_with('/')) continue;
    Mapping mapping{
        .start = range.begin, .length = range.end - range.begin, .offset = range.offset, .path = range.path};
    mapping.device = range.device, mapping.inode = range.inode;
    struct stat status{};
    if (stat(fmt::format("/proc/{}/map_files/{:x}-{:x}", pid, range.begin, range.end).c_str(), &status) == 0)
      mapping.file_bytes = static_cast<std::uint64_t>(status.st_size);
    mappings.push_back(std::move(mapping));
  }
  return mappings;
}

bool is_c_library(std::string_view path) {
  constexpr std::string_view beginnings[] = {"libc.so", "libc-",     "libpthread", "ld-linux",
                                             "ld-musl", "libc.musl", "[vdso"};
  const std::string_view name = path.substr(path.rfind('/') + 1);
  return std::ranges::any_of(beginnings, [name](std::string_view beginning) { return name.starts_with(beginning); });
}

}  // namespace tcpwhy::trace
