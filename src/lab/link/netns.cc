#include "lab/link/netns.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>

#include "base/check.h"
#include "base/format.h"

namespace tcpwhy::lab {
namespace {

constexpr const char* own_namespace = "/proc/thread-self/ns/net";

constexpr base::Text namespace_hint = {
    "network namespaces need CAP_SYS_ADMIN over their user namespace: inside a sandbox it is there",
    "网络命名空间需要对其用户命名空间拥有 CAP_SYS_ADMIN：在沙箱内具备"};

base::Result<base::UniqueFd> open_current() {
  base::UniqueFd fd(::open(own_namespace, O_RDONLY | O_CLOEXEC));
  if (!fd.valid())
    return base::fail_errno(base::format({"cannot open {}", "无法打开 {}"}, own_namespace), errno,
                            {"is /proc mounted?", "/proc 挂载了吗？"});
  return fd;
}

// "net.ipv4.tcp_sack" -> "/proc/sys/net/ipv4/tcp_sack"; empty for a name that is not one of the network's.
std::string path_of(std::string_view name) {
  const bool spelled_as_path = name.find('/') != std::string_view::npos;
  std::string path(name);
  if (!spelled_as_path) std::ranges::replace(path, '.', '/');
  const bool plain = std::ranges::all_of(
      path, [](unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c == '-' || c == '.' || c == '/'; });
  if (!plain || !path.starts_with("net/") || path.find("..") != std::string::npos) return {};
  return "/proc/sys/" + path;
}

std::unexpected<base::Error> not_a_network_setting(std::string_view name) {
  return base::fail(base::ErrorKind::usage,
                    base::format({"not a setting of the network: {}", "不是网络设置：{}"}, name),
                    {"names look like net.ipv4.tcp_timestamps", "名称形如 net.ipv4.tcp_timestamps"});
}

std::unexpected<base::Error> refused(std::string_view name, std::string_view value, int error) {
  const auto what = base::format({"cannot set {} = {}", "无法设置 {} = {}"}, name, value);
  switch (error) {
    case ENOENT:
      return base::fail(base::ErrorKind::usage,
                        base::format({"{}: this kernel does not have it", "{}：本内核没有它"}, what));
    case EINVAL:
    case ERANGE:
      return base::fail(base::ErrorKind::usage,
                        base::format({"{}: the kernel refuses the value", "{}：内核拒绝该值"}, what));
    case EROFS:
    case EACCES:
    case EPERM:
      return base::fail(
          base::ErrorKind::privilege, base::format({"{}: {}", "{}：{}"}, what, std::strerror(error)),
          error == EROFS ? base::OwnedText{"/proc/sys is read-only, as in a container without --privileged",
                                           "/proc/sys 只读，如同没有 --privileged 的容器"}
                         : base::OwnedText{"the setting belongs to the whole machine, or this is not root's namespace",
                                           "该设置属于整台机器，或当前不是 root 的命名空间"});
    default: return base::fail_errno(what, error);
  }
}

}  // namespace

base::Result<NetNamespace> NetNamespace::current() {
  auto fd = open_current();
  if (!fd) return std::unexpected(std::move(fd.error()));
  return NetNamespace(std::move(*fd));
}

base::Result<NetNamespace> NetNamespace::create() {
  auto home = open_current();
  if (!home) return std::unexpected(std::move(home.error()));
  if (::unshare(CLONE_NEWNET) != 0)
    return base::fail_errno({"cannot make a network namespace", "无法建立网络命名空间"}, errno,
                            base::owned(namespace_hint));
  auto fresh = open_current();
  TCPWHY_CHECK(::setns(home->get(), CLONE_NEWNET) == 0);
  if (!fresh) return std::unexpected(std::move(fresh.error()));
  return NetNamespace(std::move(*fresh));
}

base::Status NetNamespace::enter() const {
  if (::setns(fd_.get(), CLONE_NEWNET) != 0)
    return base::fail_errno({"cannot enter a network namespace", "无法进入网络命名空间"}, errno,
                            base::owned(namespace_hint));
  return {};
}

base::Result<NetNamespace::Visit> NetNamespace::Visit::begin(const NetNamespace& there) {
  auto home = open_current();
  if (!home) return std::unexpected(std::move(home.error()));
  if (auto entered = there.enter(); !entered) return std::unexpected(std::move(entered.error()));
  return Visit(std::move(*home));
}

NetNamespace::Visit::~Visit() {
  if (home_.valid()) TCPWHY_CHECK(::setns(home_.get(), CLONE_NEWNET) == 0);
}

base::Status set_sysctl(std::string_view name, std::string_view value) {
  const std::string path = path_of(name);
  if (path.empty()) return not_a_network_setting(name);
  const base::UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd.valid()) return refused(name, value, errno);
  // The kernel takes the value from one write; an empty one would not call it at all.
  const std::string line = std::string(value) + "\n";
  const ssize_t written = ::write(fd.get(), line.data(), line.size());
  if (written < 0) return refused(name, value, errno);
  if (static_cast<std::size_t>(written) != line.size()) return refused(name, value, EINVAL);
  return {};
}

base::Result<std::string> read_sysctl(std::string_view name) {
  const std::string path = path_of(name);
  if (path.empty()) return not_a_network_setting(name);
  const base::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd.valid()) return base::fail_errno(base::format({"cannot read {}", "无法读取 {}"}, name));
  std::string value(4096, '\0');
  const ssize_t got = ::read(fd.get(), value.data(), value.size());
  if (got < 0) return base::fail_errno(base::format({"cannot read {}", "无法读取 {}"}, name));
  value.resize(static_cast<std::size_t>(got));
  if (value.ends_with('\n')) value.pop_back();
  return value;
}

bool has_sysctl(std::string_view name) {
  const std::string path = path_of(name);
  return !path.empty() && ::access(path.c_str(), F_OK) == 0;
}

base::Result<AppliedSysctls> apply_sysctls(std::span<const Sysctl> settings) {
  AppliedSysctls applied;
  for (const Sysctl& setting : settings) {
    if (!has_sysctl(setting.name)) {
      applied.skipped.emplace_back(setting.name);
      continue;
    }
    if (auto done = set_sysctl(setting.name, setting.value); !done) return std::unexpected(std::move(done.error()));
    applied.set.emplace(setting.name, setting.value);
  }
  return applied;
}

base::Status set_interface_up(const std::string& interface) {
  ifreq request{};
  if (interface.size() >= sizeof request.ifr_name)
    return base::fail(base::ErrorKind::usage,
                      base::format({"not an interface name: {}", "不是接口名称：{}"}, interface));
  std::memcpy(request.ifr_name, interface.data(), interface.size());
  const base::UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return base::fail_errno(base::format({"cannot set {} up", "无法启用 {}"}, interface));
  if (::ioctl(socket.get(), SIOCGIFFLAGS, &request) != 0)
    return base::fail_errno(base::format({"cannot set {} up", "无法启用 {}"}, interface));
  request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP | IFF_RUNNING);
  if (::ioctl(socket.get(), SIOCSIFFLAGS, &request) != 0)
    return base::fail_errno(base::format({"cannot set {} up", "无法启用 {}"}, interface));
  return {};
}

}  // namespace tcpwhy::lab
