#include "confine/confine.h"

#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <ctime>
#include <fstream>
#include <string>

#include "base/check.h"
#include "confine/filter.h"
#include "confine/landlock.h"

namespace tcpwhy::confine {
namespace {

struct User {
  uid_t uid = 65534;  // Debian's nobody and nogroup
  gid_t gid = 65534;
};

User nobody() {
  const passwd* entry = ::getpwnam("nobody");
  return entry != nullptr && entry->pw_uid != 0 ? User{entry->pw_uid, entry->pw_gid} : User{};
}

// False: it is the user that it was. Without CAP_SETGID the groups would stay, and the files that they may read.
base::Result<bool> become(const User& user) {
  if (::setgroups(0, nullptr) != 0) return false;
  if (::setresgid(user.gid, user.gid, user.gid) != 0) return false;
  if (::setresuid(user.uid, user.uid, user.uid) == 0) return true;
  const gid_t back = 0;
  if (::setresgid(back, back, back) != 0)
    return base::fail_errno({"setresuid, and no way back", "setresuid，且无法恢复"});
  return false;
}

// capset(2): libc has no function for it.
bool drop_capabilities() {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  const std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> none{};
  ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  return ::syscall(SYS_capset, &header, none.data()) == 0;
}

bool has_one_thread() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("Threads:")) return std::stoi(line.substr(8)) == 1;
  return true;  // no /proc
}

}  // namespace

base::Result<Confinement> enter(const ConfinementOptions& options) {
  const bool reopens = options.leave == Leave::reopening;
  TCPWHY_CHECK(reopens || has_one_thread());  // a library of others may have begun threads of its own
  if (!has_walls) return Confinement{};
  ::tzset();  // reads /etc/localtime, once
  static constexpr const char* read_by_libraries[] = {"/proc", "/sys"};
  const base::UniqueFd rules =
      make_landlock_rules(reopens ? Openable{options.reopened, read_by_libraries} : Openable{});

  Confinement walls{.was_root = ::geteuid() == 0};
  if (walls.was_root && !reopens) {
    const User user = nobody();
    const auto became = become(user);
    if (!became) return std::unexpected(became.error());
    if (*became) walls.user = user.uid;
  }
  walls.no_capabilities = drop_capabilities();
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return walls;
  if (obey_landlock_rules(rules)) walls.landlock = landlock_abi();
  walls.seccomp = obey_filter(options.leave);
  return walls;
}

}  // namespace tcpwhy::confine
