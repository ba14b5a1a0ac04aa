#include "trace/ptrace/loop/stop.h"

#include <sys/ptrace.h>
#include <sys/wait.h>

#include <csignal>

namespace tcpwhy::trace {

Stop classify(int status) {
  using enum Stop::Kind;
  if (WIFEXITED(status)) return {exited, WEXITSTATUS(status)};
  if (WIFSIGNALED(status)) return {killed, WTERMSIG(status)};
  const int signal = WSTOPSIG(status);
  switch (status >> 16) {
    case 0: return signal == (SIGTRAP | 0x80) ? Stop{call, 0} : Stop{signalled, signal};
    case PTRACE_EVENT_SECCOMP: return {filtered, 0};
    case PTRACE_EVENT_FORK:
    case PTRACE_EVENT_VFORK:
    case PTRACE_EVENT_CLONE: return {forked, 0};
    case PTRACE_EVENT_EXEC: return {executed, 0};
    case PTRACE_EVENT_EXIT: return {leaving, 0};
    case PTRACE_EVENT_STOP: break;
    default: return {other, 0};
  }
  const bool halts = signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU;
  return {halts ? halted : attached, signal};
}

}  // namespace tcpwhy::trace
