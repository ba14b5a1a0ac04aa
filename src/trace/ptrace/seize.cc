#include "trace/ptrace/seize.h"

#include <pthread.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csetjmp>
#include <csignal>
#include <ctime>

#include "trace/ptrace/process_status.h"

namespace tcpwhy::trace {
namespace {

constexpr long patience_ns = 50'000'000;

thread_local sigjmp_buf out_of_the_call;

// The call is begun anew if a handler returns (ERESTARTNOINTR), so it doesn't.
void jump_out(int) { ::siglongjmp(out_of_the_call, 1); }

int seize(pid_t tid, long options) { return ::ptrace(PTRACE_SEIZE, tid, 0, options) == 0 ? 0 : errno; }

}  // namespace

int seize_soon(pid_t tid, long options) {
  const auto self = static_cast<pid_t>(::syscall(SYS_gettid));
  sigevent event{};
  event.sigev_notify = SIGEV_THREAD_ID;
  event.sigev_signo = SIGRTMAX;
  event._sigev_un._tid = self;
  timer_t timer{};
  if (::timer_create(CLOCK_MONOTONIC, &event, &timer) != 0) return seize(tid, options);
  struct sigaction action{}, before{};
  action.sa_handler = jump_out;
  ::sigaction(SIGRTMAX, &action, &before);
  sigset_t this_one;
  ::sigemptyset(&this_one);
  ::sigaddset(&this_one, SIGRTMAX);
  volatile int error = EAGAIN;
  if (::sigsetjmp(out_of_the_call, 1) == 0) {  // and with the mask of now
    ::pthread_sigmask(SIG_UNBLOCK, &this_one, nullptr);
    const itimerspec once{{0, 0}, {0, patience_ns}};
    ::timer_settime(timer, 0, &once, nullptr);
    error = seize(tid, options);
  }
  ::pthread_sigmask(SIG_BLOCK, &this_one, nullptr);
  ::timer_delete(timer);
  const timespec at_once{};
  ::sigtimedwait(&this_one, nullptr, &at_once);  // that came too late
  ::sigaction(SIGRTMAX, &before, nullptr);
  // It may have come when all was done.
  return error == EAGAIN && pid_field(tid, "TracerPid") == self ? 0 : error;
}

}  // namespace tcpwhy::trace
