// Network namespaces held by a descriptor, and their settings.
//
// Everything here acts on the calling thread's current network namespace, or on the one that a NetNamespace holds. Needs
// CAP_SYS_ADMIN over the namespaces' user namespace: inside a Sandbox it is there.
#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace tcpwhy::lab {

// Lives as long as this object, a process in it, or a socket that was opened in it.
class NetNamespace {
 public:
  // A new one; the caller stays where it is.
  static base::Result<NetNamespace> create();
  static base::Result<NetNamespace> current();

  [[nodiscard]] int fd() const { return fd_.get(); }
  // Moves the calling thread there for good (setns(2)). For a process that will live there.
  [[nodiscard]] base::Status enter() const;

  // Calls f() (which returns a base::Result or base::Status) in this namespace and comes back, also past an exception.
  // Failing to come back ends the program: nothing after it would be right.
  template <class F>
  std::invoke_result_t<F> run(F&& f) const {
    auto visit = Visit::begin(*this);
    if (!visit) return std::unexpected(std::move(visit.error()));
    return std::forward<F>(f)();
  }

 private:
  class Visit {
   public:
    static base::Result<Visit> begin(const NetNamespace& there);
    Visit(Visit&&) noexcept = default;
    Visit& operator=(Visit&&) = delete;
    ~Visit();

   private:
    explicit Visit(base::UniqueFd home) : home_(std::move(home)) {}
    base::UniqueFd home_;
  };

  explicit NetNamespace(base::UniqueFd fd) : fd_(std::move(fd)) {}
  base::UniqueFd fd_;
};

// Sets the current namespace's setting; `name` as sysctl(8) has it, "net.ipv4.tcp_timestamps" ("/" may stand for a dot in an
// interface's name: "net/ipv4/conf/eth0.5/rp_filter"). Errors name the setting and the value. usage: not under net., or a
// value that the kernel refuses; privilege: not allowed (a container with /proc/sys read-only).
base::Status set_sysctl(std::string_view name, std::string_view value);
// Its value, without the newline.
base::Result<std::string> read_sysctl(std::string_view name);
// Whether this kernel has it in the current namespace.
bool has_sysctl(std::string_view name);

struct Sysctl {
  std::string_view name;
  std::string_view value;
  std::string_view reason;  // why an experiment must not inherit it
};

// What decides how TCP behaves in an experiment, set explicitly to the kernel's documented defaults
// (Documentation/networking/ip-sysctl.rst) so that the same scenario shows the same on every machine; where the documented
// default has changed or hangs on the machine's memory, the row says what was chosen.
std::span<const Sysctl> standard_sysctls();

struct AppliedSysctls {
  std::map<std::string, std::string> set;  // for Provenance::settings
  std::vector<std::string> skipped;        // this kernel (or namespace) lacks them: not an error
};
// To the current namespace, in order. Stops at the first that the kernel has but refuses.
base::Result<AppliedSysctls> apply_sysctls(std::span<const Sysctl> settings);

// Sets an interface of the current namespace up: "lo".
base::Status set_interface_up(const std::string& interface);

}  // namespace tcpwhy::lab
