// How a function that can fail for the user's or the environment's reasons says so.
//
// Four kinds of failure have four mechanisms in this project: the user or the environment -> Result, with a hint
// that says what to do next; odd packets -> anomalies as data; our own losses -> loss events in the recording;
// our own mistakes -> TCPWHY_CHECK (base/check.h), which stays on in release builds.
#pragma once

#include <cerrno>
#include <expected>
#include <string>
#include <utility>

#include "base/language.h"

namespace tcpwhy::base {

// Decides the exit status of the program; see exit_status() and the table in tcpwhy(1).
enum class ErrorKind {
  expectation,  // a scenario did not hold, or a finding was asked to fail the run: 1
  usage,        // the user's words: options, scenario syntax, a filter: 2
  unreadable,   // an input that is missing, cut, empty or corrupt: 3
  privilege,    // a missing privilege or kernel feature: 4
  system,       // a system call failed for another reason: 4
};

struct Error {
  ErrorKind kind = ErrorKind::system;
  OwnedText message;  // one line, no final stop, lower case unless a name
  OwnedText hint;     // what to do next; may be empty
};

template <class T>
using Result = std::expected<T, Error>;
using Status = Result<void>;

// fail(ErrorKind::usage, {"no such thing", "没有这个东西"}, both("try --list")); with values by base::format().
inline std::unexpected<Error> fail(ErrorKind kind, OwnedText message, OwnedText hint = {}) {
  return std::unexpected(Error{kind, std::move(message), std::move(hint)});
}

// "WHAT: strerror(error)". `error` is an errno value; EPERM and EACCES become ErrorKind::privilege.
std::unexpected<Error> fail_errno(const OwnedText& what, int error = errno, OwnedText hint = {});
// Of what is the same in both languages: the name of a call. No overload takes a std::string: {"a", "b"} would be one.
std::unexpected<Error> fail_errno(const char* call, int error = errno, OwnedText hint = {});

// 0 fine, 1 expectation or finding, 2 usage, 3 unreadable input, 4 missing privilege or kernel feature.
int exit_status(ErrorKind kind);

}  // namespace tcpwhy::base
