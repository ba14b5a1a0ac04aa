// A function that runs in a child process, inside namespaces of its own, and hands back bytes.
//
//   parent ── clone3(NEWUSER, NEWPID, NEWNET) ──> worker: pid 1 of its pid namespace, uid 0 of its user namespace
//                                                  └─ whatever it forks: agents, the link's forwarder
//
// As root no user namespace is made (unless a capability is missing and one helps). The worker's network namespace, and those
// that it makes, have small socket tables of their own where the kernel can do that, so that sampling them is quick. Nothing stays behind, whatever dies:
//   * the worker dies    -> the kernel kills all of its pid namespace (pid_namespaces(7)); the network namespaces follow their
//                           last process and socket
//   * the parent dies    -> PR_SET_PDEATHSIG(SIGKILL) kills the worker; the race before it is set is closed by a pidfd of the
//                           parent that the worker looks at afterwards (getppid() is 0 across a pid namespace and tells nothing)
//   * Ctrl-C             -> the worker has a session of its own, so the terminal's signal reaches the parent alone
//
// The parent must be single-threaded (PDEATHSIG follows the *thread* that cloned). One parent runs many side by side: poll()
// on fds() until the earliest deadline() and call pump(); or let run_sandboxes() do it.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace tcpwhy::lab {

using Bytes = std::vector<std::uint8_t>;

// What the worker holds inside.
class Workplace {
 public:
  // Sends `message` to the parent, at once and whole, as one message (up to 64 KiB; blocks while the parent does not read).
  base::Status progress(std::span<const std::uint8_t> message);
  // Whether the worker is root of a user namespace of its own, rather than real root.
  [[nodiscard]] bool has_user_namespace() const { return user_namespace_; }

 private:
  friend class Sandbox;
  Workplace(base::UniqueFd progress, bool user_namespace)
      : progress_(std::move(progress)), user_namespace_(user_namespace) {}
  base::UniqueFd progress_;
  bool user_namespace_ = false;
};

// Runs as pid 1: it must wait for its own children by pid, signals that it has no handler for are ignored (pid_namespaces(7)),
// and processes whose parent dies become its children. `lo` is down and all settings are inherited until it acts (netns.h).
// Descriptors: 0 is /dev/null, 1 and 2 are the parent's standard error, nothing else is open but SandboxOptions::keep_fds and
// two of the sandbox's own above 500 (close-on-exec): a first socket is 3.
// All signals have their default disposition and none is blocked.
// An exception that it throws is reported as an error.
using Work = std::function<base::Result<Bytes>(Workplace&)>;

struct SandboxOptions {
  std::string name;                                      // for error messages: "close/server-closes"
  base::Duration wall_limit = std::chrono::seconds(60);  // after it everything inside is killed
  std::vector<int> keep_fds;
  // Called in the parent by pump() with each message of Workplace::progress.
  std::function<void(std::span<const std::uint8_t>)> on_progress;
};

class Sandbox {
 public:
  // Errors: privilege, when the kernel refuses the namespaces; message and hint say which setting does and how to go on.
  // Anything that fails inside comes as the result instead.
  static base::Result<Sandbox> start(SandboxOptions options, Work work);

  Sandbox(Sandbox&&) noexcept;
  Sandbox& operator=(Sandbox&&) noexcept;
  // Kills what is left and waits for it.
  ~Sandbox();

  [[nodiscard]] const std::string& name() const;
  [[nodiscard]] pid_t pid() const;  // of the worker, as the parent sees it
  // To poll for POLLIN: progress, and the worker's end. -1 entries (poll(2) skips them) when there is nothing to wait for.
  struct Fds {
    int progress = -1;
    int end = -1;
  };
  [[nodiscard]] Fds fds() const;
  [[nodiscard]] base::MonotonicTime deadline() const;

  // Reads progress, notices the end, and kills when `now` has reached the deadline. Never blocks, except for the kernel's
  // clearing up after a kill. True when the result is there.
  bool pump(base::MonotonicTime now);
  // Blocks until the result is there, pumping, then takes it: the work's own, or an error of kind system that says how the
  // worker ended ("killed by SIGSEGV", "took longer than 60 s").
  base::Result<Bytes> wait();
  // Everything inside, at once. wait() then says so.
  void kill();

 private:
  struct Impl;
  explicit Sandbox(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Whether this process may make the namespaces of a sandbox: tried, not guessed. The error is the one that Sandbox::start
// would give. For `doctor` and for tests that skip.
base::Status sandbox_available();

struct SandboxJob {
  SandboxOptions options;
  Work work;
};

// Runs the jobs side by side, at most `parallel` at a time, in order of start; results in the order of the jobs. `on_done` (may
// be empty) is called as each ends, with its index. SIGINT, SIGTERM and SIGHUP kill all of them and end the run with an
// "interrupted" error in every result that was not there yet; `interrupted_by` then holds the signal, so that the caller can
// die of it as a shell expects.
struct SandboxRun {
  std::vector<base::Result<Bytes>> results;
  std::optional<int> interrupted_by;
};
SandboxRun run_sandboxes(std::vector<SandboxJob> jobs, std::size_t parallel,
                         const std::function<void(std::size_t, const base::Result<Bytes>&)>& on_done = {});

}  // namespace tcpwhy::lab
