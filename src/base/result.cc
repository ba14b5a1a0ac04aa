#include "base/result.h"

#include <cstring>

#include "base/format.h"

namespace tcpwhy::base {

std::unexpected<Error> fail_errno(const OwnedText& what, int error, OwnedText hint) {
  const auto kind = error == EPERM || error == EACCES ? ErrorKind::privilege : ErrorKind::system;
  return fail(kind, format({"{}: {}", "{}：{}"}, what, std::strerror(error)), std::move(hint));
}

std::unexpected<Error> fail_errno(const char* call, int error, OwnedText hint) {
  return fail_errno(both(call), error, std::move(hint));
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
