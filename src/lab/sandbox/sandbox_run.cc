#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "lab/sandbox/sandbox.h"
#include "lab/sandbox/sandbox_internal.h"

namespace tcpwhy::lab {
namespace {

// The signals by which a user ends a run come by a descriptor while this lives. Those that are ignored (nohup) stay so.
class EndingSignals {
 public:
  EndingSignals() {
    sigset_t wanted;
    sigemptyset(&wanted);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
      struct sigaction action{};
      if (::sigaction(signal, nullptr, &action) == 0 && action.sa_handler != SIG_IGN) sigaddset(&wanted, signal);
    }
    sigprocmask(SIG_BLOCK, &wanted, &before_);
    fd_.reset(::signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK));
  }
  ~EndingSignals() { sigprocmask(SIG_SETMASK, &before_, nullptr); }
  EndingSignals(const EndingSignals&) = delete;
  EndingSignals& operator=(const EndingSignals&) = delete;

  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] std::optional<int> arrived() const {
    signalfd_siginfo info{};
    if (::read(fd_.get(), &info, sizeof info) != static_cast<ssize_t>(sizeof info)) return std::nullopt;
    return static_cast<int>(info.ssi_signo);
  }

 private:
  sigset_t before_;
  base::UniqueFd fd_;
};

struct Running {
  std::size_t index;
  Sandbox sandbox;
};

// Waits until something can be pumped, a deadline passes or a signal comes.
void wait_for_any(const std::vector<Running>& running, int signals) {
  std::vector<pollfd> polled{{signals, POLLIN, 0}};
  auto earliest = base::MonotonicTime::max();
  for (const Running& one : running) {
    polled.push_back({one.sandbox.fds().progress, POLLIN, 0});
    polled.push_back({one.sandbox.fds().end, POLLIN, 0});
    earliest = std::min(earliest, one.sandbox.deadline());
  }
  ::poll(polled.data(), polled.size(), poll_timeout_ms(base::MonotonicClock::now(), earliest));
}

}  // namespace

SandboxRun run_sandboxes(std::vector<SandboxJob> jobs, std::size_t parallel,
                         const std::function<void(std::size_t, const base::Result<Bytes>&)>& on_done) {
  const EndingSignals signals;
  SandboxRun run;
  run.results.resize(jobs.size(), base::fail(base::ErrorKind::system, {"interrupted", "被中断"}));
  const auto finish = [&](std::size_t index, base::Result<Bytes> result) {
    run.results[index] = std::move(result);
    if (on_done) on_done(index, run.results[index]);
  };

  std::vector<Running> running;
  for (std::size_t next = 0; next < jobs.size() || !running.empty();) {
    while (next < jobs.size() && running.size() < std::max<std::size_t>(parallel, 1)) {
      const std::size_t index = next++;
      auto sandbox = Sandbox::start(std::move(jobs[index].options), std::move(jobs[index].work));
      if (sandbox)
        running.push_back({index, std::move(*sandbox)});
      else
        finish(index, std::unexpected(std::move(sandbox.error())));
    }
    if (running.empty()) continue;
    wait_for_any(running, signals.fd());
    run.interrupted_by = signals.arrived();
    if (run.interrupted_by) return run;  // the sandboxes go with `running`
    const auto now = base::MonotonicClock::now();
    for (std::size_t i = 0; i < running.size();) {
      if (!running[i].sandbox.pump(now)) {
        ++i;
        continue;
      }
      Running done = std::move(running[i]);
      running.erase(running.begin() + static_cast<std::ptrdiff_t>(i));
      finish(done.index, done.sandbox.wait());
    }
  }
  return run;
}

}  // namespace tcpwhy::lab
