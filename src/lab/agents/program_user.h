// As whom exec() in a scenario runs a program. A scenario file comes from anywhere, and whatever it names is run: by root too, but then
// not as root, unless root asks for it.
#pragma once

#include <sys/types.h>

#include <optional>
#include <vector>

namespace tcpwhy::lab {

struct ProgramUser {
  uid_t uid = 65534;
  gid_t gid = 65534;
  std::vector<gid_t> groups;  // all, gid among them
};

// Who called sudo(8) (SUDO_UID), else nobody. Nothing where the caller is not root, nor more than an ordinary user (root of a user
// namespace of one user): a program then has his rights, as in a shell.
std::optional<ProgramUser> program_user();

// For this process and those that it forks from now on; nothing: programs run with the rights that the process has.
void set_program_user(std::optional<ProgramUser> user);

// While it lives this thread is that user, as exec() is to find it; a program that is then executed can't become root again, and
// neither by set-user-ID programs (PR_SET_NO_NEW_PRIVS).
class AsProgramUser {
 public:
  AsProgramUser();
  AsProgramUser(const AsProgramUser&) = delete;
  AsProgramUser& operator=(const AsProgramUser&) = delete;
  ~AsProgramUser();  // the program could not be executed

  // False: it could not become that user (errno), and a program would run as root.
  [[nodiscard]] bool holds() const { return holds_; }

 private:
  bool changed_ = false;
  bool holds_ = true;
  std::vector<gid_t> groups_;
};

}  // namespace tcpwhy::lab
