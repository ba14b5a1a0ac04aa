// The files that a traced program has mapped, opened by who traces it. The program is not trusted: what stands at a path of its is
// looked at before it is opened, and must be the regular file that the kernel says is mapped. Nothing here reads a file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <tuple>

#include <sys/types.h>

#include "base/unique_fd.h"
#include "trace/stacks/mapping.h"

namespace tcpwhy::trace {

struct MappedFile {
  std::string path;  // as the kernel tells it
  base::UniqueFd fd;
  bool unreadable = false;  // who read it died of it
};

// Files that are open once, however many processes have them mapped.
class MappedFiles {
 public:
  // By /proc/PID/map_files, where we may (CAP_CHECKPOINT_RESTORE), else by its path as the process sees it, then as we do. Null: it is
  // gone, another file stands there now, or it is none that we may open.
  std::shared_ptr<MappedFile> open(const Mapping& mapping, pid_t pid);
  // The dynamic linkers of this machine that are there, as the process sees them, then as we do: a program names its own, and what it
  // names is not opened.
  std::shared_ptr<MappedFile> open_loader(const std::string& path, pid_t pid);

 private:
  using Key = std::tuple<std::uint64_t, std::uint64_t, std::uint64_t, std::string>;  // device, inode, bytes, path
  std::map<Key, std::weak_ptr<MappedFile>> open_;
};

extern const std::span<const char* const> loader_paths;

// /usr/lib/debug/.build-id/ab/cdef….debug: a folder that is root's. Invalid: there is none.
inline constexpr std::size_t most_build_id = 64;
base::UniqueFd open_debug_file(std::span<const std::uint8_t> build_id);

}  // namespace tcpwhy::trace
