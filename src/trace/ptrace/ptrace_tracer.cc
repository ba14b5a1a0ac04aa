#include "trace/ptrace/ptrace_tracer.h"

#include <fmt/format.h>
#include <pthread.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstring>
#include <future>
#include <new>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "base/format.h"
#include "trace/machine/machine.h"
#include "trace/ptrace/inside/area.h"
#include "trace/ptrace/loop/trace_loop.h"

namespace tcpwhy::trace {
namespace {

class PtraceTracer : public Tracer {
 public:
  explicit PtraceTracer(const PtraceOptions& options) : options_(options), outbox_(options.most_pending) {}
  PtraceTracer(const PtraceTracer&) = delete;
  PtraceTracer& operator=(const PtraceTracer&) = delete;

  ~PtraceTracer() override {
    if (!thread_.joinable()) return;
    state_.wish = LoopState::Wish::end;
    state_.bell.ring();
    thread_.join();
  }

  base::Status open(const Target& target) {
    if (outbox_.fd() < 0)
      return base::fail(base::ErrorKind::system, {"there is no descriptor left", "没有可用的描述符了"},
                        {"see ulimit -n", "见 ulimit -n"});
    has_command_ = !target.command.empty();
    std::promise<base::Result<base::UniqueFd>> started;
    auto start = started.get_future();
    thread_ = std::thread([this, &target, &started] { run(target, started); });
    auto failed = start.get();
    if (!failed) return std::unexpected(failed.error());
    // The command's exec, or the reason why there is none.
    int error = 0;
    if (!failed->valid() || ::read(failed->get(), &error, sizeof error) != static_cast<ssize_t>(sizeof error))
      return {};
    const std::string& name = target.command.front();
    if (error == ENOENT)
      return base::fail(base::ErrorKind::usage, base::format({"{}: no such program", "{}：没有这个程序"}, name),
                        {"it is looked for in PATH", "在 PATH 中查找"});
    return base::fail(base::ErrorKind::usage, base::format({"{}: {}", "{}：{}"}, name, std::strerror(error)));
  }

  [[nodiscard]] int fd() const override { return outbox_.fd(); }
  base::Status drain(recording::Recording& recording) override {
    const bool at_end = state_.finished;
    outbox_.drain(recording, at_end);
    return {};
  }
  [[nodiscard]] bool finished() const override { return state_.finished; }
  [[nodiscard]] std::optional<int> command_status() const override {
    return state_.command_ended ? std::optional(state_.command_status.load()) : std::nullopt;
  }
  void tell_conversations(std::vector<Conversation>& told) override { outbox_.take_conversations(told); }
  [[nodiscard]] std::uint64_t recorded() const override { return outbox_.recorded(); }
  void pause() override { outbox_.pause(); }
  [[nodiscard]] bool paused() const override { return outbox_.paused(); }
  [[nodiscard]] std::uint64_t left_out() const override { return outbox_.left_out(); }
  void signal_command(int signal) override {
    state_.signal = signal;
    state_.bell.ring();
  }
  base::Status stop(recording::Recording& recording) override {
    state_.wish = LoopState::Wish::let_go;
    state_.bell.ring();
    state_.let_go.wait(false);
    outbox_.drain(recording, true);
    return {};
  }
  [[nodiscard]] recording::Observations observes() const override {
    using enum recording::Observation;
    return {calls, calls_ptrace, signals, processes};
  }
  [[nodiscard]] std::vector<Lack> lacks() const override {
    const auto why = options_.filter && options_.inside && has_command_ ? why_no_recorder() : base::OwnedText{};
    if (why.empty()) return {};
    return {{base::format({"each recorded call stops the program, which a busy one feels: {}",
                           "每个被记录的调用都会使程序停顿，繁忙的程序会受影响：{}"},
                          why),
             {}}};
  }

 private:
  void run(const Target& target, std::promise<base::Result<base::UniqueFd>>& started) {
    // Signals are the other threads'; the command gets what we had.
    sigset_t all, before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    // Without it nobody could be heard: no process may be made (RLIMIT_NPROC), or there is no memory for one.
    if (auto hung = state_.bell.hang(); !hung) {
      started.set_value(std::unexpected(hung.error()));
      is_over();
      return;
    }
    TraceLoop loop(options_, outbox_, state_, unwinder_);
    auto begun = begin_with_memory(loop, target, before);
    const bool runs = begun.has_value();
    started.set_value(std::move(begun));
    if (!runs) {
      state_.wish = LoopState::Wish::end;
      state_.bell.ring();
    }
    try {
      loop.run();
    } catch (const std::bad_alloc&) {
      // Whose stop it was at is not known: the kernel lets go of all, or kills them, when this thread ends.
      outbox_.run_out_of_memory();
      is_over();
    }
  }

  void is_over() {
    state_.finished = true;
    state_.let_go = true;
    state_.let_go.notify_all();
    outbox_.wake();
  }

  base::Result<base::UniqueFd> begin_with_memory(TraceLoop& loop, const Target& target, const sigset_t& mask) try {
    return begin(loop, target, mask);
  } catch (const std::bad_alloc&) {
    return base::fail(base::ErrorKind::system, {"there is not enough memory to trace", "内存不足，无法跟踪"});
  }

  base::Result<base::UniqueFd> begin(TraceLoop& loop, const Target& target, const sigset_t& mask) {
    for (const pid_t pid : target.pids)
      if (auto attached = loop.attach(pid); !attached) return std::unexpected(attached.error());
    if (target.command.empty()) return base::UniqueFd();
    auto launched = loop.start(target.command, mask);
    if (!launched) return std::unexpected(launched.error());
    return std::move(launched->failed);
  }

  PtraceOptions options_;
  Unwinder unwinder_;
  Outbox outbox_;
  LoopState state_;
  std::thread thread_;
  bool has_command_ = false;  // others stop at each call anyhow
};

// After unshare(CLONE_NEWPID) without a /proc of its own the numbers there mean other processes.
bool proc_is_ours() {
  std::array<char, 32> target{};
  const ssize_t length = ::readlink("/proc/self", target.data(), target.size());
  return length > 0 && std::string_view(target.data(), static_cast<std::size_t>(length)) == std::to_string(::getpid());
}

}  // namespace

base::OwnedText why_no_recorder() {
  if (!machine::has_recorder)
    return base::format({"no recorder is written for {}", "没有为 {} 编写的记录器"}, machine::name);
  if (InsideArea::open()) return {};
  return {"the kernel has no kcmp(2) (CONFIG_KCMP), or no memory to share",
          "内核没有 kcmp(2)（CONFIG_KCMP），或没有可共享的内存"};
}

base::Result<std::unique_ptr<Tracer>> open_ptrace(const Target& target, const PtraceOptions& options) {
  if (target.command.empty() && target.pids.empty())
    return base::fail(base::ErrorKind::usage, {"nothing to trace", "没有可跟踪的对象"},
                      {"name a command or a process", "请指定一条命令或一个进程"});
  if (!proc_is_ours())
    return base::fail(base::ErrorKind::system,
                      {"/proc shows another PID namespace's processes", "/proc 显示的是另一个 PID 命名空间的进程"},
                      {"ptrace needs to look into those of its own: unshare --mount-proc, or mount -t proc proc /proc",
                       "ptrace 需要查看自己命名空间的进程：unshare --mount-proc，或 mount -t proc proc /proc"});
  auto tracer = std::make_unique<PtraceTracer>(options);
  if (auto opened = tracer->open(target); !opened) return std::unexpected(opened.error());
  return tracer;
}

}  // namespace tcpwhy::trace
