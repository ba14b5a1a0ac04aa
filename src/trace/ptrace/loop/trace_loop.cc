#include "trace/ptrace/loop/trace_loop.h"

#include <dirent.h>
#include <fmt/format.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <fstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/format.h"
#include "calls/names.h"
#include "trace/holders.h"
#include "trace/machine/machine.h"
#include "trace/machine/registers.h"
#include "trace/ptrace/process_status.h"
#include "trace/ptrace/seize.h"

namespace tcpwhy::trace {
namespace {

constexpr long wanted_events = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE |
                               PTRACE_O_TRACEEXEC | PTRACE_O_TRACEEXIT;
// With a filter of ours. A process may have one of its own, whose wish for a tracer isn't for us to grant.
constexpr long filter_events = PTRACE_O_TRACESECCOMP | PTRACE_O_EXITKILL;
constexpr std::size_t most_command_text = 256;

// The words of the command, as they would be typed.
std::string command_line_of(pid_t pid, const std::string& otherwise) {
  std::ifstream file(fmt::format("/proc/{}/cmdline", pid), std::ios::binary);
  std::string text(most_command_text, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  while (!text.empty() && text.back() == '\0') text.pop_back();
  std::ranges::replace(text, '\0', ' ');
  return text.empty() ? otherwise : text;
}

// signal(7), "Standard signals": what happens if nothing is done about it.
bool is_harmless_by_default(int signal) {
  return signal == SIGCHLD || signal == SIGURG || signal == SIGWINCH || signal == SIGCONT || signal == SIGSTOP ||
         signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU;
}

// The thread has done nothing since its last call: neither has its program gone on, nor has it made a call that is not followed, out of which
// the signal would come (a broken pipe, kill(), the end of a blocked signal's waiting).
bool is_back_from_last(const Thread& thread) {
  const auto registers = ThreadRegisters::of(thread.tid);
  return registers && registers->call_number() == thread.last_number &&
         registers->call_result() == -static_cast<std::int64_t>(thread.last_error);
}

// What a call that a signal has interrupted comes back with: EINTR, and the kernel's own ERESTART*.
bool is_interruption(int error) { return error == EINTR || (error >= 512 && error <= 516); }

base::Status seize_failure(pid_t pid, int error) {
  if (error == ESRCH)
    return base::fail(base::ErrorKind::usage, base::format({"no process {}", "没有进程 {}"}, pid),
                      {"ps -e lists those there are", "ps -e 列出现有的进程"});
  if (error != EPERM) return base::fail_errno(base::format({"ptrace: process {}", "ptrace：进程 {}"}, pid), error);
  if (const pid_t tracer = pid_field(pid, "TracerPid"); tracer != 0)
    return base::fail(base::ErrorKind::privilege,
                      base::format({"process {} is traced already", "进程 {} 已被跟踪"}, pid),
                      base::format({"by process {} ({})", "跟踪者是进程 {}（{}）"}, tracer, command_of(tracer)));
  return base::fail(
      base::ErrorKind::privilege, base::format({"process {} may not be traced", "不允许跟踪进程 {}"}, pid),
      ::geteuid() == 0
          ? base::
                OwnedText{"a seccomp filter, a security module or a lost capability (SYS_PTRACE) forbids it; see yama/ptrace_scope "
                          "too",
                          "seccomp 过滤器、安全模块或缺少的能力（SYS_PTRACE）禁止了它；另见 yama/ptrace_scope"}
          : base::OwnedText{"it is another user's, or /proc/sys/kernel/yama/ptrace_scope forbids it: as root it can",
                            "它属于其他用户，或被 /proc/sys/kernel/yama/ptrace_scope 禁止：以 root 身份则可以"});
}

// A first thread that has ended before the others.
bool is_zombie(pid_t tid) { return status_field(tid, "State").starts_with('Z'); }

std::vector<pid_t> thread_ids(pid_t pid) {
  std::vector<pid_t> tids;
  DIR* folder = ::opendir(fmt::format("/proc/{}/task", pid).c_str());
  if (folder == nullptr) return tids;
  while (const dirent* entry = ::readdir(folder)) {
    pid_t tid = 0;
    std::from_chars(entry->d_name, entry->d_name + std::strlen(entry->d_name), tid);
    if (tid > 0) tids.push_back(tid);
  }
  ::closedir(folder);
  return tids;
}

}  // namespace

TraceLoop::TraceLoop(const PtraceOptions& options, Outbox& outbox, LoopState& state, Unwinder& unwinder)
    : options_(options), outbox_(outbox), state_(state), unwinder_(unwinder) {}

base::Result<Launched> TraceLoop::start(const std::vector<std::string>& command, const sigset_t& signal_mask) {
  if (options_.filter) {
    auto filter = make_filter();
    if (!filter) return std::unexpected(filter.error());
    filter_ = std::move(*filter);
    if (options_.inside && machine::has_recorder) inside_ = InsideArea::open();
  }
  auto launched = launch(command, filter_, signal_mask);
  if (!launched) return launched;
  command_ = launched->pid;
  if (auto seized = seize(command_, options_.filter); !seized) {
    ::kill(command_, SIGKILL);
    ::waitpid(command_, nullptr, __WALL);
    return std::unexpected(seized.error());
  }
  Process& process = add_process(command_, nullptr);
  process.filtered = options_.filter;
  process.recorded = false;
  add_thread(command_, command_, nullptr).is_announced = true;
  // Stopped, it can be told to stop at its calls; until then it waits for `go`.
  ::ptrace(PTRACE_INTERRUPT, command_, 0, 0);
  return launched;
}

base::Status TraceLoop::seize(pid_t tid, bool filtered) {
  constexpr int most_tries = 100;
  const long events = wanted_events | (filtered ? filter_events : 0);
  // Those that are seized already may have to be heard first.
  int error = seize_soon(tid, events);
  for (int tries = 0; error == EAGAIN && tries < most_tries; ++tries) {
    hear_all_there_is();
    error = seize_soon(tid, events);
  }
  if (error != 0) return seize_failure(tid, error);
  return {};
}

void TraceLoop::hear_all_there_is() {
  int status = 0;
  for (pid_t tid = 0; (tid = ::waitpid(-1, &status, __WALL | __WNOTHREAD | WNOHANG)) > 0;)
    if (!has_bell_ || tid != state_.bell.pid()) hear(tid, status);
}

base::Status TraceLoop::attach(pid_t pid) {
  const pid_t leader = pid_field(pid, "Tgid");
  if (leader == 0) return seize_failure(pid, ESRCH);
  // Threads may be made while we look; those of a thread that is seized already are seized by the kernel.
  constexpr int most_passes = 100, most_refusals = 20;
  int refusals = 0;
  bool found = true;
  for (int pass = 0; pass < most_passes && found; ++pass) {
    found = false;
    for (const pid_t tid : thread_ids(leader)) {
      if (threads_.contains(tid)) continue;
      if (auto seized = seize(tid, false); !seized) {
        // It has ended, or the kernel was quicker. Of one that executes the first thread is refused for a moment.
        if (tid != leader || is_zombie(leader)) continue;
        if (++refusals == most_refusals) return seized;
        found = true;
        ::usleep(1000);
        continue;
      }
      found = true;
      has_attached_ = true;
      if (!processes_.contains(leader)) add_process(leader, nullptr).leader_has_left = is_zombie(leader);
      add_thread(tid, leader, nullptr).is_announced = true;
      ::ptrace(PTRACE_INTERRUPT, tid, 0, 0);
    }
  }
  const auto process = processes_.find(leader);
  if (process == processes_.end()) return seize_failure(pid, ESRCH);
  const auto lives =
      std::ranges::find(threads_, process->second.get(), [](const auto& thread) { return thread.second->process; });
  process->second->descriptors->scan(one_that_lives(*lives->second));
  return {};
}

void TraceLoop::run() {
  bool wants_to_end = false;
  for (;;) {
    if (threads_.empty() && !wants_to_end) {
      // A child whose parent was killed while forking may yet come unannounced: when not even the bell is left, nobody is.
      wants_to_end = true;
      state_.bell.ring();
    }
    if (!wait_and_act()) break;
    say_if_let_go();
    if (is_over()) break;
    if (threads_.empty()) continue;
    wants_to_end = false;
    // Without a bell nobody could be heard any more: then as if the end had been wished for.
    if (!has_bell_ && !(has_bell_ = hang_bell())) {
      state_.wish = LoopState::Wish::end;
      hear_wish();
    }
  }
  take_down_bell();
  take_inside(true);
  tell_unread_symbols();
  for (const auto& [_, process] : processes_) note_unseen(*process);
  tell_unseen();
  state_.finished = true;
  state_.let_go = true;
  state_.let_go.notify_all();
  outbox_.wake();
}

// False: there is nobody to wait for.
bool TraceLoop::wait_and_act() {
  int status = 0;
  // Other threads' children are theirs to wait for (waitpid(2): __WNOTHREAD).
  const pid_t tid = ::waitpid(-1, &status, __WALL | __WNOTHREAD);
  if (tid < 0) {
    return errno == EINTR;  // or ECHILD
  }
  if (has_bell_ && tid == state_.bell.pid()) {
    has_bell_ = false;
    state_.bell.heard();
    hear_wish();
    return true;
  }
  hear(tid, status);
  if (heard_elsewhere_) {
    const auto [ended, its_status] = *std::exchange(heard_elsewhere_, std::nullopt);
    hear(ended, its_status);
  }
  return true;
}

void TraceLoop::hear(pid_t tid, int status) {
  const Stop stop = classify(status);
  if (tid == command_ && (stop.kind == Kind::exited || stop.kind == Kind::killed)) {
    state_.command_status = status;
    state_.command_ended = true;
    command_ = -1;
  }
  act(tid, stop);
}

void TraceLoop::act(pid_t tid, Stop stop) {
  // What was recorded before this happened.
  take_inside();
  if (stop.kind == Kind::exited || stop.kind == Kind::killed) return on_ended(tid, stop);
  if (stop.kind == Kind::executed) on_executed(tid);
  Thread& thread = thread_of(tid);
  tell_closed(thread);
  if (stop.kind == Kind::forked) on_forked(thread);
  if (stop.kind == Kind::leaving) on_leaving(thread);
  if (letting_go_ && !thread.process->filtered) return let_go(thread, stop);
  switch (stop.kind) {
    case Kind::filtered: return on_call_stop(thread, true);
    case Kind::call: return on_call_stop(thread, false);
    case Kind::signalled: return on_signal(thread, stop.value);
    case Kind::halted:
      // It stays stopped, as job control wants, and we still hear of it.
      ::ptrace(PTRACE_LISTEN, tid, 0, 0);
      return;
    default: return resume(thread);
  }
}

// A thread that nobody has announced: the first stop of a child may come before its parent's.
Thread& TraceLoop::thread_of(pid_t tid) {
  const auto known = threads_.find(tid);
  if (known != threads_.end()) return *known->second;
  const pid_t leader = pid_field(tid, "Tgid");
  const auto parent = processes_.find(pid_field(tid, "PPid"));
  return add_thread(tid, leader == 0 ? tid : leader, parent == processes_.end() ? nullptr : parent->second.get());
}

Process& TraceLoop::add_process(pid_t pid, Process* parent) {
  auto& process = processes_[pid];
  process = std::make_shared<Process>();
  process->pid = pid;
  process->name = command_of(pid);
  if (parent != nullptr) {
    process->filtered = parent->filtered;
    process->recorded = parent->recorded;
    *process->descriptors = *parent->descriptors;
  } else {
    process->filtered = is_filtered(pid);
  }
  inherit_inside(*process, parent);
  // Its parent was killed, or is about to be, and it may have been born too late for that.
  if (ending_ && process->filtered) ::kill(pid, SIGKILL);
  return *process;
}

// Of a process whose parent is gone: whether it has the command's filter.
bool TraceLoop::is_filtered(pid_t pid) const {
  constexpr std::string_view by_filter = "2";  // SECCOMP_MODE_FILTER
  return !filter_.empty() && (!has_attached_ || status_field(pid, "Seccomp") == by_filter);
}

Thread& TraceLoop::add_thread(pid_t tid, pid_t pid, Process* parent) {
  const auto known = processes_.find(pid);
  const bool is_new = known == processes_.end();
  Process& process = is_new ? add_process(pid, parent) : *known->second;
  ended_unannounced_.erase(tid);  // another one's, that had the same number
  auto& thread = threads_[tid];
  if (!thread) ++process.threads;
  thread = std::make_unique<Thread>();
  thread->tid = tid;
  thread->process = &process;
  if (is_new && process.recorded)
    emit_start(*thread, parent == nullptr ? std::nullopt : std::optional(std::int32_t{parent->pid}));
  return *thread;
}

void TraceLoop::emit_start(Thread& thread, std::optional<std::int32_t> parent) {
  const Process& process = *thread.process;
  const std::string command = parent ? process.name : command_line_of(process.pid, process.name);
  emit(thread, recording::ProcessStarted{.command = command, .parent = parent});
}

void TraceLoop::remove_thread(pid_t tid) {
  const auto thread = threads_.find(tid);
  if (thread == threads_.end()) return;
  Process* process = thread->second->process;
  if (inside_) {
    inside_->release_slot(tid);
    if (!inside_->is_empty()) late_[tid] = {std::move(thread->second), processes_[process->pid], inside_->head()};
  }
  threads_.erase(thread);
  if (--process->threads > 0) return;
  note_unseen(*process);
  forget_inside(*process);
  unwinder_.forget(process->pid);
  processes_.erase(process->pid);
}

// Of a child three things are told, each once, in any order but that its end is its last: that it was made, by its
// parent's stop; its first stop; its end. Who is added when its end has been told is waited for in vain: until its real
// parent takes note, /proc shows it as if it were still to come.
void TraceLoop::on_forked(Thread& thread) {
  unsigned long child = 0;
  if (::ptrace(PTRACE_GETEVENTMSG, thread.tid, 0, &child) != 0 || child == 0) return;
  const auto tid = static_cast<pid_t>(child);
  if (const auto known = threads_.find(tid); known != threads_.end()) {
    known->second->is_announced = true;
    return;
  }
  if (ended_unannounced_.erase(tid) != 0) return;
  const pid_t leader = pid_field(tid, "Tgid");
  if (leader == 0) return;
  add_thread(tid, leader, thread.process).is_announced = true;
}

// The thread that executes takes the number of the process, whichever it was; the others are gone without a word, or with it
// (ptrace(2), "execve(2) under ptrace").
void TraceLoop::on_executed(pid_t pid) {
  unsigned long message = 0;
  ::ptrace(PTRACE_GETEVENTMSG, pid, 0, &message);
  const auto former = static_cast<pid_t>(message);
  Thread& leader = thread_of(pid);
  Process& process = *leader.process;
  if (former != pid && threads_.contains(former)) leader.in_flight = threads_[former]->in_flight;
  std::vector<pid_t> others;
  for (const auto& [tid, thread] : threads_)
    if (thread->process == &process && tid != pid) others.push_back(tid);
  for (const pid_t tid : others) remove_thread(tid);
  if (inside_) inside_->release_slot(pid);
  forget_inside(process);

  note_unseen(process);
  leader.actor = {};  // another program from here on
  leader.has_left = process.leader_has_left = false;
  process.name = command_of(pid);
  process.recorded = true;
  // Its table is its own now, without what was to be closed (FD_CLOEXEC).
  process.descriptors = std::make_shared<Descriptors>();
  process.descriptors->scan(pid);
  unwinder_.forget(pid);
  emit_start(leader, std::nullopt);
}

void TraceLoop::on_leaving(Thread& thread) {
  // The last chance: afterwards only the status is told.
  Process& process = *thread.process;
  thread.has_left = true;
  process.leader_has_left = process.leader_has_left || thread.tid == process.pid;
  if (const auto recorded = tell_early(thread)) {
    if (!process.unfinished || (thread.tid == process.pid && !process.exits_itself)) process.unfinished = recorded;
    return;
  }
  if (!thread.in_flight || thread.in_flight->call == 0) return;
  const bool exits = thread.in_flight->row->number == SYS_exit_group;
  if (process.exits_itself || (process.unfinished && thread.tid != process.pid && !exits)) return;
  process.unfinished = thread.in_flight->call;
  process.exits_itself = exits;
}

void TraceLoop::on_ended(pid_t tid, Stop stop) {
  const auto known = threads_.find(tid);
  if (known == threads_.end() || !known->second->is_announced) ended_unannounced_.insert(tid);
  if (known == threads_.end()) return;
  Thread& thread = *known->second;
  tell_closed(thread);
  on_leaving(thread);
  // The first thread's end is the process's: it is told last.
  const Process& process = *thread.process;
  const bool is_last = tid == process.pid || (process.threads == 1 && !threads_.contains(process.pid));
  if (is_last && process.recorded) {
    recording::ProcessEnded ended;
    if (stop.kind == Kind::exited)
      ended.exit_status = stop.value;
    else
      ended.signal = calls::signal_name(stop.value);
    ended.call = process.unfinished;
    emit(thread, std::move(ended));
  }
  remove_thread(tid);
}

void TraceLoop::on_signal(Thread& thread, int signal) {
  using recording::SignalFate;
  if (goes_on_inside(thread, signal)) return resume(thread);
  const auto recorded = tell_early(thread);
  const bool inside = thread.in_flight && thread.in_flight->call != 0;
  const bool interrupts = thread.last_call && is_interruption(thread.last_error);
  const bool by_call = signal == SIGPIPE && thread.last_call && thread.last_error == EPIPE && is_back_from_last(thread);
  SignalFate fate = SignalFate::delivered;
  if (has_signal(thread.tid, "SigCgt", signal))
    fate = SignalFate::handled;
  else if (has_signal(thread.tid, "SigIgn", signal))
    fate = SignalFate::ignored;
  const bool deadly = fate == SignalFate::delivered && !is_harmless_by_default(signal);
  if (signal == SIGPIPE || deadly || inside || recorded || interrupts) {
    std::optional<std::uint32_t> call;
    if (recorded)
      call = recorded;
    else if (inside)
      call = thread.in_flight->call;
    else if (interrupts || by_call)
      call = thread.last_call;
    emit(thread, recording::Signal{.name = calls::signal_name(signal), .fate = fate, .call = call});
  }
  resume(thread, signal);
}

void TraceLoop::resume(Thread& thread, int signal) {
  const bool at_calls = thread.in_flight || (!thread.process->filtered && recording_);
  ::ptrace(at_calls ? PTRACE_SYSCALL : PTRACE_CONT, thread.tid, 0, signal);  // ESRCH: killed meanwhile, which is told
}

void TraceLoop::tell_unread_symbols() {
  for (const UnreadSymbols& unread : unwinder_.take_unread())
    if (recording_) outbox_.add({base::wall_now(), {}, loss_of(unread)});
}

void TraceLoop::note_unseen(const Process& process) {
  constexpr std::size_t most_named = 4;
  if (!recording_ || !process.recorded || !process.descriptors->was_refused()) return;
  ++unseen_count_;
  if (unseen_.size() < most_named && std::ranges::count(unseen_, process.name) == 0) unseen_.push_back(process.name);
}

void TraceLoop::tell_unseen() {
  if (unseen_count_ == 0) return;
  std::string names;
  for (const std::string& name : unseen_) names += (names.empty() ? "" : ", ") + name;
  outbox_.add({base::wall_now(),
               {},
               recording::Loss{
                   unseen_count_ == 1 ? "process's calls" : "processes' calls", unseen_count_,
                   fmt::format("the kernel lets only root look at the descriptors of a program that is not dumpable "
                               "(its file can't be read, or it asked for that by prctl()): {}",
                               names)}});
}

recording::ActorId TraceLoop::actor_of(Thread& thread) {
  const Process& process = *thread.process;
  if (!thread.actor.valid())
    thread.actor = outbox_.add_actor(
        {.name = process.name, .pid = process.pid, .tid = thread.tid, .command = command_of(thread.tid)});
  return thread.actor;
}

void TraceLoop::emit(Thread& thread, recording::What what) { emit_at(base::wall_now(), thread, std::move(what)); }

void TraceLoop::emit_at(base::WallTime at, Thread& thread, recording::What what) {
  const Process& process = *thread.process;
  if (!recording_ || !process.recorded) return;
  outbox_.add({at, actor_of(thread), std::move(what)});
}

}  // namespace tcpwhy::trace
