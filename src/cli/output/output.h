// Standard output and standard error of the program.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "base/language.h"
#include "base/result.h"

namespace tcpwhy::cli {

// To be called first of all: a descriptor 0, 1 or 2 that whoever started us has closed would be that of the next file that is
// opened, and what is meant for standard output would go there. Such a one is taken by /dev/null, opened so that reading from or
// writing to it fails as it did.
void occupy_standard_descriptors();

// A file that may not grow any more (setrlimit(2), RLIMIT_FSIZE) then fails a write with EFBIG, which is told, and does not end the process
// by SIGXFSZ without a word. A command that is started is as it would have been: a handler is gone with execve(2).
void outlive_file_size_limit();

// The language of the run: of errors and warnings, and of help. One for the process, as standard error is; set once, before anything is
// said. What a command shows has its language from Context::language(), which is the same.
void speak(base::Language language);
[[nodiscard]] base::Language spoken();  // English, before it is set
[[nodiscard]] std::string said(const base::Text& text);

// Writes to a descriptor that it does not own, unbuffered. A reader that has gone (`tcpwhy read x | head`) raises no signal:
// the output is closed from then on and swallows what comes. The process's disposition of SIGPIPE stays as it was, for
// programs that experiments start inherit it. A reader that does not read is waited for, but no longer than a second once a
// signal has asked the program to stop (StopOnSignals): then the output is closed too.
class Output {
 public:
  // `name`: what its errors call it.
  explicit Output(int fd, base::OwnedText name = {"the output", "输出"}) : fd_(fd), name_(std::move(name)) {}

  void write(std::string_view text);
  // Nobody reads any more: a command may stop early.
  [[nodiscard]] bool closed() const { return error_ != 0; }
  // An error when writing failed for another reason than a reader who has gone: a full disk.
  [[nodiscard]] base::Status status() const;

 private:
  int fd_;
  base::OwnedText name_;
  int error_ = 0;  // errno of the write that failed; ECANCELED: nobody read, and we were to stop
};

// "tcpwhy: error: MESSAGE" and, where there is one, "tcpwhy: hint: HINT" on standard error. Escapes both. Returns the exit
// status of that kind of error.
int report(const base::Error& error);

// "tcpwhy: warning: MESSAGE" on standard error.
void warn(const base::Text& message);
// As it is, to standard error: a progress bar.
void draw(std::string_view text);

}  // namespace tcpwhy::cli
