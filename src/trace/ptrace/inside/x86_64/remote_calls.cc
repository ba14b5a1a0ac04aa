#include "trace/ptrace/inside/remote_calls.h"

#include <sched.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "trace/ptrace/loop/stop.h"
#include "trace/ptrace/process_status.h"

namespace tcpwhy::trace {
namespace {

constexpr std::uint64_t instruction_bytes = 2;  // of `syscall`
constexpr auto no_call = ~0ULL;                 // in orig_rax: not in a system call

// The wait status of its next stop, or of its end. Absent: it has ended, but is told of later, when others that wait for
// us meanwhile have ended too: of a process's first thread nothing is told before. So nobody may just wait for it.
std::optional<int> wait_for_stop(pid_t tid) {
  constexpr int look_at_once = 50, look_soon = 100;
  constexpr useconds_t soon_us = 50, later_us = 1000;
  for (int looks = 0;; ++looks) {
    int status = 0;
    const pid_t waited = ::waitpid(tid, &status, __WALL | WNOHANG);
    if (waited == tid) return status;
    if (waited < 0 && errno != EINTR) return std::nullopt;
    if (looks < look_at_once) {
      ::sched_yield();
      continue;
    }
    if (status_field(tid, "State").starts_with('Z')) return std::nullopt;
    ::usleep(looks < look_soon ? soon_us : later_us);
  }
}

}  // namespace

std::optional<RemoteCalls> RemoteCalls::begin(pid_t tid) {
  RemoteCalls made;
  made.tid_ = tid;
  const std::uint64_t all = ~std::uint64_t{0};
  if (::ptrace(PTRACE_GETREGS, tid, 0, &made.own_) != 0) return std::nullopt;
  if (::ptrace(PTRACE_GETSIGMASK, tid, sizeof made.blocked_, &made.blocked_) != 0) return std::nullopt;
  if (::ptrace(PTRACE_SETSIGMASK, tid, sizeof all, &all) != 0) return std::nullopt;
  return made;
}

std::optional<std::int64_t> RemoteCalls::call(long number, std::uint64_t a, std::uint64_t b, std::uint64_t c,
                                              std::uint64_t d, std::uint64_t e, std::uint64_t f) {
  if (is_gone_) return std::nullopt;
  user_regs_struct r = own_;
  r.rdi = a, r.rsi = b, r.rdx = c, r.r10 = d, r.r8 = e, r.r9 = f;
  r.rax = static_cast<std::uint64_t>(number);
  if (at_own_call_) {
    // The kernel asks again which call it is.
    r.orig_rax = r.rax;
  } else {
    r.rip = own_.rip - instruction_bytes;
    r.orig_rax = no_call;
  }
  at_own_call_ = false;
  if (::ptrace(PTRACE_SETREGS, tid_, 0, &r) != 0) return std::nullopt;
  // Entry, perhaps the filter, exit.
  constexpr int most_stops = 8;
  for (int stop = 0; stop < most_stops; ++stop) {
    if (::ptrace(PTRACE_SYSCALL, tid_, 0, 0) != 0) return std::nullopt;
    const auto status = wait_for_stop(tid_);
    is_gone_ = !status;
    if (!status) return std::nullopt;
    const Stop what = classify(*status);
    using enum Stop::Kind;
    if (what.kind == exited || what.kind == killed || what.kind == leaving) {
      is_gone_ = true;
      last_word_ = status;
      return std::nullopt;
    }
    if (what.kind == halted || (what.kind == signalled && what.value == SIGSTOP)) is_to_stop_ = true;
    if (what.kind == attached) is_to_stop_ = false;  // SIGCONT
    __ptrace_syscall_info info{};
    if (::ptrace(PTRACE_GET_SYSCALL_INFO, tid_, sizeof info, &info) > 0 && info.op == PTRACE_SYSCALL_INFO_EXIT)
      return info.exit.rval;
  }
  return std::nullopt;
}

void RemoteCalls::end() {
  if (is_gone_) return;
  user_regs_struct r = own_;
  r.rip = own_.rip - instruction_bytes;
  r.rax = own_.orig_rax;
  r.orig_rax = no_call;
  ::ptrace(PTRACE_SETREGS, tid_, 0, &r);
  ::ptrace(PTRACE_SETSIGMASK, tid_, sizeof blocked_, &blocked_);
  if (is_to_stop_) ::syscall(SYS_tkill, tid_, SIGSTOP);
}

}  // namespace tcpwhy::trace
