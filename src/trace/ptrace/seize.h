// PTRACE_SEIZE that doesn't wait for ever.
#pragma once

#include <sys/types.h>

namespace tcpwhy::trace {

// As ptrace(2): 0, or an errno. EAGAIN: not within 50 ms. The kernel holds it up while a thread of that process executes another program,
// which that can't do before the process's other threads have ended, each of which, once seized, waits for us. Who calls
// this looks after them, and tries again. By a thread that has SIGRTMAX blocked; it takes that signal for itself meanwhile.
int seize_soon(pid_t tid, long options);

}  // namespace tcpwhy::trace
