// Watching programs by ptrace(2): no privilege is needed for one's own.
//
// A command is started with a seccomp filter (seccomp(2), SECCOMP_RET_TRACE) that stops it only at the calls of the table; all
// others run at full speed. What that means for the program:
//   * Without CAP_SYS_ADMIN a filter needs PR_SET_NO_NEW_PRIVS: a set-uid program that it executes gains no privileges.
//   * A filter can't be taken away, and without a tracer its calls fail with ENOSYS. So the command and what it forks stay traced,
//     unobserved, after stop(); when the Tracer is destroyed, or dies, those that still live are killed (PTRACE_O_EXITKILL), as
//     strace --seccomp-bpf does. `filter = false`: they go on without us, but stop at every call until then.
// Processes that run already (Target::pids) get no filter and stop at every call; they go on when the Tracer goes or dies.
// A process that makes many such calls gets a recorder (inside/): mapped into its memory, it records the calls that libc makes on descriptors,
// without a stop, and leaves them where we find them. `inside = false`: every call stops.
// Attaching and detaching interrupt the call a thread is in; most are restarted unseen, but epoll_wait and some others return
// EINTR, as after any stop signal (signal(7), "by stop signals").
//
// A call is recorded if it is on a TCP socket, passes one on or is given one (SCM_RIGHTS: `socket` is that one), waits while the
// process has TCP sockets (poll, epoll, io_uring), or makes, replaces or ends a process. Only calls of this machine's own 64-bit interface are seen: not those of 32-bit programs.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "base/result.h"
#include "trace/tracer.h"

namespace tcpwhy::trace {

struct PtraceOptions {
  bool stacks = true;            // the program's stack, for rows with wants_stack
  bool filter = true;            // a command stops only at the calls that matter
  bool inside = true;            // of those that it makes often, most are recorded without a stop; needs the filter
  int stops_before_inside = 64;  // a process that stops seldom is left as it is
  // Events that may wait for drain(); what comes beyond is not kept, counted, and told as a Loss.
  std::size_t most_pending = std::size_t{1} << 20;
};

// Why no process can have a recorder here, whatever it does; empty: it can. Tried on the spot.
base::OwnedText why_no_recorder();

// Starts or attaches. Errors: the command can't be executed (unreadable), no such process or not ours (privilege), with a hint.
base::Result<std::unique_ptr<Tracer>> open_ptrace(const Target& target, const PtraceOptions& options = {});

}  // namespace tcpwhy::trace
