// Standard output and standard error of the program.
#pragma once

#include <string_view>

#include "base/result.h"

namespace tcpwhy::cli {

// Writes to a descriptor that it does not own, unbuffered. A reader that has gone (`tcpwhy read x | head`) raises no signal:
// the output is closed from then on and swallows what comes. The process's disposition of SIGPIPE stays as it was, for
// programs that experiments start inherit it.
class Output {
 public:
  explicit Output(int fd) : fd_(fd) {}

  void write(std::string_view text);
  // Nobody reads any more: a command may stop early.
  [[nodiscard]] bool closed() const { return error_ != 0; }
  // Set when writing failed for another reason than a reader who has gone: a full disk.
  [[nodiscard]] base::Status status() const;

 private:
  int fd_;
  int error_ = 0;  // errno of the write that failed
};

// "tcpwhy: error: MESSAGE" and, where there is one, "tcpwhy: hint: HINT" on standard error. Escapes both. Returns the exit
// status of that kind of error.
int report(const base::Error& error);

// "tcpwhy: warning: MESSAGE" on standard error.
void warn(std::string_view message);

}  // namespace tcpwhy::cli
