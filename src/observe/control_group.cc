#include "observe/control_group.h"

#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <fstream>
#include <optional>
#include <sstream>

#include "base/format.h"

namespace tcpwhy::observe {
namespace {

bool is_group(const std::string& folder) {
  struct statfs told{};
  return statfs(folder.c_str(), &told) == 0 && told.f_type == CGROUP2_SUPER_MAGIC;
}

std::optional<struct stat> status_of(const std::string& folder) {
  struct stat told{};
  return stat(folder.c_str(), &told) == 0 ? std::optional(told) : std::nullopt;
}

// Where groups of version 2 are mounted: the second field of a line of /proc/self/mounts.
std::string mount_point() {
  std::ifstream mounts("/proc/self/mounts");
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream words(line);
    std::string device, where, type;
    if (words >> device >> where >> type && type == "cgroup2") return where;
  }
  return {};
}

}  // namespace

base::Result<trace::ControlGroup> find_control_group(const std::string& name) {
  const std::string mounted = mount_point();
  std::string folder = name;
  if (!is_group(folder) && !mounted.empty()) folder = fmt::format("{}/{}", mounted, name);
  const auto own = status_of(folder);
  if (!own || !S_ISDIR(own->st_mode) || !is_group(folder))
    return base::fail(base::ErrorKind::usage,
                      base::format({"there is no control group '{}' of version 2", "没有第 2 版的控制组“{}”"}, name),
                      mounted.empty()
                          ? base::OwnedText{"no cgroup2 file system is mounted", "没有挂载 cgroup2 文件系统"}
                          : base::format({"a folder below {}", "{} 下的目录"}, mounted));
  trace::ControlGroup group{.id = own->st_ino, .level = 0};
  // The root of the file system is its own kind's topmost folder.
  while (is_group(folder += "/..") && status_of(folder).value_or(*own).st_dev == own->st_dev) ++group.level;
  return group;
}

bool is_in(const trace::ControlGroup& group, pid_t process) {
  std::ifstream file(fmt::format("/proc/{}/cgroup", process));
  std::string path;
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("0::")) path = line.substr(3);
  if (path.empty()) return false;
  for (std::string folder = mount_point() + path; is_group(folder); folder += "/..") {
    const auto told = status_of(folder);
    if (told && told->st_ino == group.id) return true;
  }
  return false;
}

}  // namespace tcpwhy::observe
