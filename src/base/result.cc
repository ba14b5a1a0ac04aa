#include "base/result.h"

#include <cstring>

namespace tcpwhy::base {

std::unexpected<Error> fail_errno(const std::string& what, int error, std::string hint) {
  const auto kind = error == EPERM || error == EACCES ? ErrorKind::privilege : ErrorKind::system;
  return fail(kind, what + ": " + std::strerror(error), std::move(hint));
}

int exit_status(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::expectation: return 1;
    case ErrorKind::usage: return 2;
    case ErrorKind::unreadable: return 3;
    case ErrorKind::privilege:
    case ErrorKind::system: return 4;
  }
  return 4;
}

}  // namespace tcpwhy::base
