#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <optional>
#include <string>

#include "lab/sandbox/sandbox_internal.h"

namespace tcpwhy::lab {
namespace {

std::optional<long> setting(const char* path) {
  std::ifstream file(path);
  long value = 0;
  if (!(file >> value)) return std::nullopt;
  return value;
}

constexpr const char* or_as_root = "; or run it as root (sudo tcpwhy ...)";

std::unexpected<base::Error> refuse(const std::string& why, const std::string& hint) {
  return base::fail(base::ErrorKind::privilege, "cannot make the sandbox's namespaces: " + why, hint);
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
      return refuse(std::string(s.name) + " = " + std::to_string(s.forbids) +
                        " forbids user namespaces to users without privileges",
                    std::string("as root: sysctl -w ") + s.name + "=" + s.allow + or_as_root);
    }
  }
  return refuse(
      "not permitted, though no setting forbids it: a container's seccomp filter, a security module or a chroot",
      "in a container: docker run --privileged, or --cap-add SYS_ADMIN --cap-add NET_ADMIN --security-opt "
      "seccomp=unconfined; outside: run it as root (sudo tcpwhy ...)");
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
    return refuse(std::string(limit.name) + " = 0 forbids them",
                  std::string("as root: sysctl -w ") + limit.name + "=10000" + (user_namespace ? or_as_root : ""));
  }
  return refuse(
      "too many are in use already (user.max_user_namespaces, user.max_net_namespaces, user.max_pid_namespaces)",
      "run fewer scenarios at a time, or raise the three settings as root with sysctl -w");
}

}  // namespace

std::unexpected<base::Error> explain_refusal(int error, bool user_namespace) {
  switch (error) {
    case EPERM:
    case EACCES: return not_permitted(user_namespace);
    case ENOSPC:
    case EUSERS: return limit_reached(user_namespace);
    case ENOSYS:
      return refuse("the system call clone3 is not there: Linux before 5.3, or a container's seccomp filter",
                    "in a container: docker run --privileged, or --security-opt seccomp=unconfined");
    case EINVAL:
      return refuse("this kernel is built without user, pid or network namespaces",
                    "it needs CONFIG_USER_NS, CONFIG_PID_NS and CONFIG_NET_NS");
    default: return base::fail_errno("cannot make the sandbox's namespaces", error);
  }
}

int poll_timeout_ms(base::MonotonicTime now, base::MonotonicTime deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - now).count();
  return static_cast<int>(std::clamp<long long>(left, 0, 3'600'000));
}

}  // namespace tcpwhy::lab
