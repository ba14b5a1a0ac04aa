#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <optional>
#include <string>
#include <utility>

#include "base/format.h"
#include "lab/sandbox/sandbox_internal.h"

namespace tcpwhy::lab {
namespace {

std::optional<long> setting(const char* path) {
  std::ifstream file(path);
  long value = 0;
  if (!(file >> value)) return std::nullopt;
  return value;
}

constexpr base::Text or_as_root = {"; or run it as root (sudo tcpwhy ...)", "；或以 root 身份运行（sudo tcpwhy ...）"};

std::unexpected<base::Error> refuse(const base::Text& why, base::OwnedText hint) {
  return base::fail(base::ErrorKind::privilege,
                    base::format({"cannot make the sandbox's namespaces: {}", "无法建立沙箱的命名空间：{}"}, why),
                    std::move(hint));
}

// A setting that forbids unprivileged user namespaces outright.
struct Switch {
  const char* name;
  const char* path;
  long forbids;
  const char* allow;
};
constexpr Switch switches[] = {
    {"kernel.unprivileged_userns_clone", "/proc/sys/kernel/unprivileged_userns_clone", 0, "1"},
    {"kernel.apparmor_restrict_unprivileged_userns", "/proc/sys/kernel/apparmor_restrict_unprivileged_userns", 1, "0"},
};

std::unexpected<base::Error> not_permitted(bool user_namespace) {
  if (user_namespace) {
    for (const Switch& s : switches) {
      if (setting(s.path) != s.forbids) continue;
      return refuse(
          base::format(
              {"{} = {} forbids user namespaces to users without privileges", "{} = {} 禁止无特权用户使用用户命名空间"},
              s.name, s.forbids),
          base::format({"as root: sysctl -w {}={}{}", "以 root 执行：sysctl -w {}={}{}"}, s.name, s.allow, or_as_root));
    }
  }
  return refuse(
      {"not permitted, though no setting forbids it: a container's seccomp filter, a security module or a chroot",
       "不被允许，但没有设置禁止它：可能是容器的 seccomp 过滤器、安全模块或 chroot"},
      {"in a container: docker run --privileged, or --cap-add SYS_ADMIN --cap-add NET_ADMIN --security-opt "
       "seccomp=unconfined; outside: run it as root (sudo tcpwhy ...)",
       "在容器中：docker run --privileged，或 --cap-add SYS_ADMIN --cap-add NET_ADMIN --security-opt "
       "seccomp=unconfined；在容器外：以 root 身份运行（sudo tcpwhy ...）"});
}

// namespaces(7): user.max_*_namespaces, per user and per user namespace.
struct Limit {
  const char* name;
  const char* path;
};
constexpr Limit limits[] = {
    {"user.max_user_namespaces", "/proc/sys/user/max_user_namespaces"},
    {"user.max_net_namespaces", "/proc/sys/user/max_net_namespaces"},
    {"user.max_pid_namespaces", "/proc/sys/user/max_pid_namespaces"},
};

std::unexpected<base::Error> limit_reached(bool user_namespace) {
  for (const Limit& limit : limits) {
    if (!user_namespace && &limit == &limits[0]) continue;
    if (setting(limit.path) != 0) continue;
    return refuse(base::format({"{} = 0 forbids them", "{} = 0 禁止了它们"}, limit.name),
                  base::format({"as root: sysctl -w {}=10000{}", "以 root 执行：sysctl -w {}=10000{}"}, limit.name,
                               user_namespace ? or_as_root : base::Text{}));
  }
  return refuse(
      {"too many are in use already (user.max_user_namespaces, user.max_net_namespaces, user.max_pid_namespaces)",
       "已使用的太多（user.max_user_namespaces、user.max_net_namespaces、user.max_pid_namespaces）"},
      {"run fewer scenarios at a time, or raise the three settings as root with sysctl -w",
       "请同时少运行一些场景，或以 root 用 sysctl -w 调高这三项设置"});
}

}  // namespace

std::unexpected<base::Error> explain_refusal(int error, bool user_namespace) {
  switch (error) {
    case EPERM:
    case EACCES: return not_permitted(user_namespace);
    case ENOSPC:
    case EUSERS: return limit_reached(user_namespace);
    case ENOSYS:
      return refuse({"the system call clone3 is not there: Linux before 5.3, or a container's seccomp filter",
                     "没有系统调用 clone3：Linux 低于 5.3，或被容器的 seccomp 过滤器挡住"},
                    {"in a container: docker run --privileged, or --security-opt seccomp=unconfined",
                     "在容器中：docker run --privileged，或 --security-opt seccomp=unconfined"});
    case EINVAL:
      return refuse({"this kernel is built without user, pid or network namespaces",
                     "本内核构建时未启用 user、pid 或 network 命名空间"},
                    {"it needs CONFIG_USER_NS, CONFIG_PID_NS and CONFIG_NET_NS",
                     "需要 CONFIG_USER_NS、CONFIG_PID_NS 和 CONFIG_NET_NS"});
    default: return base::fail_errno({"cannot make the sandbox's namespaces", "无法建立沙箱的命名空间"}, error);
  }
}

int poll_timeout_ms(base::MonotonicTime now, base::MonotonicTime deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - now).count();
  return static_cast<int>(std::clamp<long long>(left, 0, 3'600'000));
}

}  // namespace tcpwhy::lab
