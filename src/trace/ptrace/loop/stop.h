// What a status of waitpid(2) says of a tracee that was seized: one word for each of ptrace(2)'s stops.
#pragma once

#include <cstdint>

namespace tcpwhy::trace {

struct Stop {
  enum class Kind : std::uint8_t {
    exited,     // value: the exit status
    killed,     // value: the signal
    call,       // at a call's entry or exit (TRACESYSGOOD)
    filtered,   // the seccomp filter asks: a call's entry
    forked,     // PTRACE_EVENT_FORK, VFORK, CLONE
    executed,   // PTRACE_EVENT_EXEC
    leaving,    // PTRACE_EVENT_EXIT: about to end, memory still there
    halted,     // group-stop: value: the stopping signal
    attached,   // PTRACE_EVENT_STOP for other reasons: first stop, after PTRACE_INTERRUPT, SIGCONT
    signalled,  // a signal is about to be delivered: value
    other,      // an event that isn't asked for
  };
  Kind kind = Kind::other;
  int value = 0;
};

Stop classify(int status);

}  // namespace tcpwhy::trace
