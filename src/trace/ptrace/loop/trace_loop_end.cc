// Of TraceLoop: the wishes of its owner, that it let go of what it watches, or end.
//
// Nobody is waited for by name. A thread may be unable to stop until another one goes on: who has made a child by vfork()
// until that executes, who executes until the process's other threads are gone, a first thread that has ended until all
// others have. So whoever is to leave is asked to stop, and let go when it does, in whatever order that is.
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "trace/ptrace/loop/trace_loop.h"
#include "trace/ptrace/process_status.h"

namespace tcpwhy::trace {
namespace {

using Clock = std::chrono::steady_clock;

// Who can't be stopped or killed for so long sleeps in the kernel where nothing reaches it (D). When the tracing thread
// ends, the kernel lets go of it (ptrace(2), PTRACE_O_EXITKILL: or kills it) at its next step.
constexpr auto patience = std::chrono::milliseconds(2000);
constexpr auto look_every = std::chrono::milliseconds(100);  // whether somebody has gone without a word

// A first thread that has ended stops no more, and of its end nothing may be told: another one that executes takes its
// place, and isn't ours if we have let it go.
bool can_stop_for(pid_t tracer, pid_t tid) {
  return pid_field(tid, "TracerPid") == tracer && !status_field(tid, "State").starts_with('Z');
}

}  // namespace

void TraceLoop::hear_wish() {
  if (const int signal = state_.signal.exchange(0); signal != 0)
    for (const auto& [pid, process] : processes_)
      if (process->filtered || pid == command_) ::kill(pid, signal);
  const auto wish = state_.wish.load();
  if (wish == LoopState::Wish::record) return;
  if (!letting_go_) begin_to_let_go();
  if (wish == LoopState::Wish::end && !ending_) begin_to_end();
  say_if_let_go();
}

void TraceLoop::begin_to_let_go() {
  take_inside();
  for (const auto& [tid, thread] : threads_) tell_early(*thread);
  if (inside_) inside_->stop_observing();
  tell_unread_symbols();
  recording_ = false;
  letting_go_ = true;
  wished_at_ = Clock::now();
  for (const auto& [tid, thread] : threads_)
    if (!thread->process->filtered) ::ptrace(PTRACE_INTERRUPT, tid, 0, 0);
}

// What can't live without us; the loop then sees it end.
void TraceLoop::begin_to_end() {
  ending_ = true;
  for (const auto& [pid, process] : processes_)
    if (process->filtered) {
      ::kill(pid, SIGKILL);
      wished_at_ = Clock::now();
    }
}

void TraceLoop::let_go(Thread& thread, Stop stop) {
  const int signal = stop.kind == Kind::signalled ? stop.value : 0;
  const pid_t tid = thread.tid;
  ::ptrace(PTRACE_DETACH, tid, 0, signal);  // ESRCH: killed meanwhile, which is told
  remove_thread(tid);
}

void TraceLoop::say_if_let_go() {
  if (!letting_go_ || state_.let_go) return;
  const auto self = static_cast<pid_t>(::syscall(SYS_gettid));
  const bool some_stay = std::ranges::any_of(threads_, [self](const auto& entry) {
    const Thread& thread = *entry.second;
    return !thread.process->filtered && !thread.has_left && can_stop_for(self, thread.tid);
  });
  if (some_stay && !is_out_of_patience()) return;
  state_.let_go = true;
  state_.let_go.notify_all();
}

bool TraceLoop::is_out_of_patience() const { return letting_go_ && Clock::now() - wished_at_ >= patience; }

// Whether nobody is left whose end must be heard; others the kernel lets go of when this thread ends.
bool TraceLoop::is_over() const {
  if (!ending_ || !state_.let_go) return false;
  return is_out_of_patience() ||
         std::ranges::none_of(processes_, [](const auto& process) { return process.second->filtered; });
}

bool TraceLoop::hang_bell() {
  const bool waits = letting_go_ && (ending_ || !state_.let_go);
  return state_.bell.hang(waits ? std::optional(look_every) : std::nullopt).has_value();
}

void TraceLoop::take_down_bell() {
  if (!has_bell_) return;
  state_.bell.ring();
  while (::waitpid(state_.bell.pid(), nullptr, __WALL | __WNOTHREAD) < 0 && errno == EINTR) {
  }
  has_bell_ = false;
}

}  // namespace tcpwhy::trace
