#include "observe/netns.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <cctype>
#include <cerrno>

#include "base/format.h"
#include "base/unique_fd.h"

namespace tcpwhy::observe {
namespace {

// A name before a number: who calls a namespace "42" means that one.
std::string path_of(const std::string& name) {
  if (name.contains('/')) return name;
  std::string named = "/run/netns/" + name;
  const bool is_number = std::ranges::all_of(name, [](unsigned char c) { return std::isdigit(c) != 0; });
  const bool is_there = base::UniqueFd(open(named.c_str(), O_RDONLY | O_CLOEXEC)).valid();
  return is_number && !is_there ? fmt::format("/proc/{}/ns/net", name) : named;
}

}  // namespace

base::Status enter_netns(const std::string& name) {
  const std::string path = path_of(name);
  const base::UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid() && (errno == ENOENT || errno == ENOTDIR))
    return base::fail(base::ErrorKind::usage,
                      base::format({"there is no network namespace '{}'", "没有网络命名空间“{}”"}, name),
                      {"a name that `ip netns` lists, the path of such a file, or the number of a process",
                       "`ip netns` 列出的名称、这类文件的路径，或进程号"});
  if (!file.valid()) return base::fail_errno(base::both(path));
  if (setns(file.get(), CLONE_NEWNET) == 0) return {};
  if (errno == EINVAL)
    return base::fail(base::ErrorKind::usage,
                      base::format({"'{}' is no network namespace", "“{}”不是网络命名空间"}, path),
                      {"a name that `ip netns` lists, the path of such a file, or the number of a process",
                       "`ip netns` 列出的名称、这类文件的路径，或进程号"});
  return base::fail_errno(base::format({"network namespace '{}'", "网络命名空间“{}”"}, name), errno,
                          {"run as root", "请以 root 身份运行"});
}

}  // namespace tcpwhy::observe
