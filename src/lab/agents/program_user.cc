#include "lab/agents/program_user.h"

#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <string_view>
#include <utility>

namespace tcpwhy::lab {
namespace {

std::optional<ProgramUser> chosen;

std::optional<uid_t> number_in(const char* name) {
  const char* const value = ::getenv(name);
  if (value == nullptr) return std::nullopt;
  const std::string_view text(value);
  uid_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number == 0) return std::nullopt;
  return number;
}

ProgramUser user_of(const passwd& entry) {
  ProgramUser user{.uid = entry.pw_uid, .gid = entry.pw_gid, .groups = {}};
  int count = 64;
  user.groups.resize(static_cast<std::size_t>(count));
  if (::getgrouplist(entry.pw_name, entry.pw_gid, user.groups.data(), &count) < 0) count = 0;
  user.groups.resize(static_cast<std::size_t>(count));
  std::erase(user.groups, gid_t{0});
  return user;
}

// user_namespaces(7): root of such a one is an ordinary user outside, and there is nobody else to become.
bool is_namespace_of_one_user() {
  std::ifstream map("/proc/self/uid_map");
  std::uint64_t inside = 0, outside = 0, count = 0, more = 0;
  return map >> inside >> outside >> count && count == 1 && !(map >> more);
}

// The system calls themselves: libc's functions would change all threads of the agent.
bool set_users(uid_t real_and_effective) {
  return ::syscall(SYS_setresuid, real_and_effective, real_and_effective, 0) == 0;
}
bool set_groups(const std::vector<gid_t>& groups) {
  return ::syscall(SYS_setgroups, groups.size(), groups.data()) == 0;
}
bool set_group(gid_t group) { return ::syscall(SYS_setresgid, group, group, group) == 0; }

}  // namespace

std::optional<ProgramUser> program_user() {
  if (::geteuid() != 0 || is_namespace_of_one_user()) return std::nullopt;
  if (const auto uid = number_in("SUDO_UID"))
    if (const passwd* entry = ::getpwuid(*uid)) return user_of(*entry);
  if (const passwd* entry = ::getpwnam("nobody"); entry != nullptr && entry->pw_uid != 0) return user_of(*entry);
  return ProgramUser();
}

void set_program_user(std::optional<ProgramUser> user) { chosen = std::move(user); }

// The saved user stays root, so that there is a way back; exec() forgets it (execve(2): the saved set-user-ID is set to the
// effective one).
AsProgramUser::AsProgramUser() {
  if (!chosen || ::geteuid() != 0) return;
  groups_.resize(static_cast<std::size_t>(std::max(::getgroups(0, nullptr), 0)));
  if (!groups_.empty() && ::getgroups(static_cast<int>(groups_.size()), groups_.data()) < 0) groups_.clear();
  changed_ = true;
  holds_ = set_groups(chosen->groups) && set_group(chosen->gid) && set_users(chosen->uid) &&
           ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

AsProgramUser::~AsProgramUser() {
  if (!changed_) return;
  const int error = errno;
  set_users(0);
  set_group(0);
  set_groups(groups_);
  errno = error;
}

}  // namespace tcpwhy::lab
