#include "trace/stacks/mapping.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <fstream>
#include <sstream>

namespace tcpwhy::trace {

std::vector<Mapping> code_mappings(pid_t pid) {
  std::vector<Mapping> mappings;
  std::ifstream file(fmt::format("/proc/{}/maps", pid));
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::uint64_t start = 0, end = 0, offset = 0;
    char dash = 0;
    std::string permissions, device, inode, path;
    words >> std::hex >> start >> dash >> end >> permissions >> offset >> device >> inode >> std::ws;
    std::getline(words, path);
    if (permissions.size() < 3 || permissions[2] != 'x' || !path.starts_with('/')) continue;
    Mapping mapping{.start = start, .length = end - start, .offset = offset, .path = path};
    struct stat status{};
    if (stat(fmt::format("/proc/{}/map_files/{:x}-{:x}", pid, start, end).c_str(), &status) == 0)
      mapping.file_bytes = static_cast<std::uint64_t>(status.st_size);
    mappings.push_back(std::move(mapping));
  }
  return mappings;
}

}  // namespace tcpwhy::trace
