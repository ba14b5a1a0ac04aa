#include "observe/netns.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <cctype>
#include <cerrno>

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
    return base::fail(base::ErrorKind::usage, fmt::format("there is no network namespace '{}'", name),
                      "a name that `ip netns` lists, the path of such a file, or the number of a process");
  if (!file.valid()) return base::fail_errno(path);
  if (setns(file.get(), CLONE_NEWNET) == 0) return {};
  if (errno == EINVAL)
    return base::fail(base::ErrorKind::usage, fmt::format("'{}' is no network namespace", path),
                      "a name that `ip netns` lists, the path of such a file, or the number of a process");
  return base::fail_errno(fmt::format("network namespace '{}'", name), errno, "run as root");
}

}  // namespace tcpwhy::observe
