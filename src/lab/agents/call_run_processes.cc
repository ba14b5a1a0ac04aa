// Calls that act on the process: signals, timers, limits, and its end.
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <vector>

#include "base/check.h"
#include "lab/agents/call_run.h"
#include "lab/agents/program_user.h"

namespace tcpwhy::lab {
namespace {

SignalLog* signal_log = nullptr;

// Async-signal-safe: one clock_gettime and stores.
void on_signal(int signal) {
  if (!signal_log) return;
  const std::uint32_t index = signal_log->count.fetch_add(1);
  if (index >= SignalLog::capacity) return;
  signal_log->slots[index].signal = signal;
  signal_log->slots[index].at_ns.store(now_ns());
}

sighandler_t handler_of(const ReadyCall& call) {
  if (call.disposition == Disposition::handle) return on_signal;
  return call.disposition == Disposition::ignore ? SIG_IGN : SIG_DFL;
}

sigset_t only(int signal) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  return set;
}

// As the kernel has it.
std::uint64_t put_set(int signal, CallImage& image) {
  return image.put_value(signal > 0 ? std::uint64_t{1} << (signal - 1) : 0);
}
constexpr std::size_t set_size = sizeof(std::uint64_t);

itimerval once_after(std::int32_t milliseconds) {
  itimerval timer{};
  timer.it_value = {milliseconds / 1000, milliseconds % 1000 * 1000};
  return timer;
}

constexpr timespec at_once{};

// The words of exec(), each ended by \0.
std::vector<std::string_view> words_in(std::string_view text) {
  std::vector<std::string_view> words;
  while (!text.empty()) {
    words.push_back(text.substr(0, text.find('\0')));
    text.remove_prefix(std::min(text.size(), words.back().size() + 1));
  }
  return words;
}

}  // namespace

void set_signal_log(SignalLog* log) { signal_log = log; }

void reset_signals() {
  struct sigaction action{};
  action.sa_handler = SIG_DFL;
  for (int signal = 1; signal < NSIG; ++signal)
    if (signal != SIGKILL && signal != SIGSTOP) sigaction(signal, &action, nullptr);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

// --- Signals ---------------------------------------------------------------------------------------------------------

void run_signal(const ReadyCall& call, const CallContext& context, CallSlot& slot) {
  struct sigaction action{};
  action.sa_handler = handler_of(call);
  stamped(context, slot, [&] { return ::sigaction(call.number, &action, nullptr); });
}

// As the agent asks it of its C library, which passes a restorer (SA_RESTORER) along. The handler stands where it stands here: agents are
// forks of this process.
void lay_out_signal(const MadeCall& made, CallImage& image) {
  const std::array<std::uint64_t, 4> action = {std::bit_cast<std::uint64_t>(handler_of(made.call)), 0, 0, 0};
  image.pass(made.call.number, image.put_value(action), 0, set_size);
}

void run_kill(const ReadyCall& call, const CallContext& context, CallSlot& slot) {
  const pid_t self = ::getpid();
  stamped(context, slot, [&] { return ::kill(self, call.number); });
}

// To itself, in the sandbox's numbers; told in those that all its calls are told with.
void lay_out_kill(const MadeCall& made, CallImage& image) { image.pass(made.pid, made.call.number); }

void run_sigprocmask(const ReadyCall& call, const CallContext& context, CallSlot& slot) {
  const sigset_t set = only(call.number);
  stamped(context, slot, [&] {
    const int error = ::pthread_sigmask(call.flags, &set, nullptr);
    return error == 0 ? 0 : (errno = error, -1);
  });
}

void lay_out_sigprocmask(const MadeCall& made, CallImage& image) {
  image.pass(made.call.flags, put_set(made.call.number, image), 0, set_size);
}

void run_sigtimedwait(const ReadyCall& call, const CallContext& context, CallSlot& slot) {
  const sigset_t set = only(call.number);
  siginfo_t info{};
  stamped(context, slot, [&] { return ::sigtimedwait(&set, &info, &at_once); });
  static_assert(sizeof info <= CallSlot::kept_bytes);
  std::memcpy(slot.data, &info, sizeof info);
  slot.value = info.si_pid == ::getpid() ? 1 : 0;
}

void lay_out_sigtimedwait(const MadeCall& made, CallImage& image) {
  siginfo_t info{};
  if (made.returned) std::memcpy(&info, made.slot.data, sizeof info);
  if (made.returned && made.slot.value != 0) info.si_pid = made.pid;  // as in kill()
  image.pass(put_set(made.call.number, image), image.put_value(info), image.put_value(at_once), set_size);
}

// --- Timers and limits -----------------------------------------------------------------------------------------------

void run_setitimer(const ReadyCall& call, const CallContext& context, CallSlot& slot) {
  const itimerval timer = once_after(call.number);
  stamped(context, slot, [&] { return ::setitimer(ITIMER_REAL, &timer, nullptr); });
}

void lay_out_setitimer(const MadeCall& made, CallImage& image) {
  image.pass(ITIMER_REAL, image.put_value(once_after(made.call.number)), 0);
}

void run_setrlimit(const ReadyCall& call, const CallContext& context, CallSlot& slot) {
  ::getrlimit(RLIMIT_NOFILE, &slot.limit);
  slot.limit.rlim_cur = std::min<rlim_t>(call.size, slot.limit.rlim_max);
  stamped(context, slot, [&] { return ::setrlimit(RLIMIT_NOFILE, &slot.limit); });
}

void lay_out_setrlimit(const MadeCall& made, CallImage& image) {
  image.pass(0, RLIMIT_NOFILE, image.put_value(made.slot.limit), 0);
}

// --- Its end and its children ----------------------------------------------------------------------------------------

// No return is stamped.
void run_exit(const ReadyCall& call, const CallContext& context, CallSlot& slot) {
  enter(context, slot);
  ::_exit(call.number);
}

void lay_out_status(const MadeCall& made, CallImage& image) { image.pass(made.call.number); }

void run_fork(const ReadyCall& call, const CallContext& context, CallSlot& slot) {
  enter(context, slot);
  const std::int64_t result = context.fork ? context.fork(call.number) : -1;
  const int error = context.fork ? errno : ENOSYS;
  finish(slot, result, error, now_ns());
}

// Where it succeeds nothing of this program is left to stamp the return.
void run_exec(const ReadyCall& call, const CallContext& context, CallSlot& slot) {
  std::string words = payload_of(call, context.payload);
  TCPWHY_CHECK(words.ends_with('\0'));
  std::vector<char*> arguments;
  for (const std::string_view word : words_in(words)) arguments.push_back(words.data() + (word.data() - words.data()));
  arguments.push_back(nullptr);
  const AsProgramUser user;
  stamped(context, slot, [&] { return user.holds() ? ::execvp(arguments.front(), arguments.data()) : -1; });
}

// The program as the scenario names it: execvp(3) looks for it in PATH. The environment is this process's own, where it really stands:
// agents are forks of it, and change nothing there.
void lay_out_exec(const MadeCall& made, CallImage& image) {
  constexpr std::size_t most_words = 64;  // a speller shows fewer
  const std::string text = payload_of(made.call, made.payload);
  std::vector<std::uint64_t> arguments;
  for (const std::string_view word : words_in(text)) {
    if (arguments.size() == most_words) break;
    arguments.push_back(image.put_text(std::string(word) + '\0'));
  }
  const std::uint64_t program = arguments.empty() ? 0 : arguments.front();
  arguments.push_back(0);
  std::size_t variables = 0;
  while (environ != nullptr && environ[variables] != nullptr) ++variables;
  const auto environment = std::bit_cast<std::uint64_t>(environ);
  if (environ != nullptr) image.put_at(environment, std::as_bytes(std::span(environ, variables + 1)));
  image.pass(program, image.put(std::as_bytes(std::span(arguments))), environment);
}

}  // namespace tcpwhy::lab
