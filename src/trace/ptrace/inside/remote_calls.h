// Calls that a traced thread makes for the tracer.
#pragma once

#include <cstdint>
#include <optional>

#include <signal.h>
#include <sys/types.h>
#include <sys/user.h>

namespace tcpwhy::trace {

// Of a thread that the seccomp filter has stopped at the entry of a call: it makes others instead, with its signals
// blocked. Then, resumed, it makes its own from the beginning, the instruction included. A SIGSTOP, which can't be
// blocked, is sent to it once more at the end: it doesn't stop meanwhile.
class RemoteCalls {
 public:
  static std::optional<RemoteCalls> begin(pid_t tid);

  // As the kernel gives it, -errno for a failure. Absent: the thread is about to end, or has ended.
  std::optional<std::int64_t> call(long number, std::uint64_t a = 0, std::uint64_t b = 0, std::uint64_t c = 0,
                                   std::uint64_t d = 0, std::uint64_t e = 0, std::uint64_t f = 0);
  // Once, at the end. Nothing, if the thread is gone.
  void end();

  // As they stood at the entry of its own call.
  [[nodiscard]] const user_regs_struct& registers() const { return own_; }
  // The wait status that says so, of a stop that it is still in (PTRACE_EVENT_EXIT) or of its end, if it was told here;
  // nobody else will be told.
  [[nodiscard]] std::optional<int> last_word() const { return last_word_; }

 private:
  pid_t tid_ = 0;
  user_regs_struct own_{};
  std::uint64_t blocked_ = 0;
  bool at_own_call_ = true;
  bool is_to_stop_ = false;
  bool is_gone_ = false;
  std::optional<int> last_word_;
};

}  // namespace tcpwhy::trace
