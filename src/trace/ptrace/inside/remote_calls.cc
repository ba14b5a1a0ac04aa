#include "trace/ptrace/inside/remote_calls.h"

#include <sys/ptrace.h>
#include <sys/wait.h>

#include <cerrno>

namespace tcpwhy::trace {
namespace {

constexpr std::uint64_t instruction_bytes = 2;  // of `syscall`
constexpr auto no_call = ~0ULL;                 // in orig_rax: not in a system call

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
    int status = 0;
    pid_t waited = -1;
    while ((waited = ::waitpid(tid_, &status, __WALL)) < 0 && errno == EINTR) {
    }
    if (waited != tid_) return std::nullopt;
    if (!WIFSTOPPED(status)) {
      ended_ = status;
      return std::nullopt;
    }
    __ptrace_syscall_info info{};
    if (::ptrace(PTRACE_GET_SYSCALL_INFO, tid_, sizeof info, &info) > 0 && info.op == PTRACE_SYSCALL_INFO_EXIT)
      return info.exit.rval;
  }
  return std::nullopt;
}

void RemoteCalls::end() {
  user_regs_struct r = own_;
  r.rip = own_.rip - instruction_bytes;
  r.rax = own_.orig_rax;
  r.orig_rax = no_call;
  ::ptrace(PTRACE_SETREGS, tid_, 0, &r);
  ::ptrace(PTRACE_SETSIGMASK, tid_, sizeof blocked_, &blocked_);
}

}  // namespace tcpwhy::trace
