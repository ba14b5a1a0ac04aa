// One interface for the two ways of watching real programs: trace/bpf (the kernel's own tracepoints, for root) and trace/ptrace
// (anybody's own processes). Both give the same events: actors, calls, signals, starts and ends of processes; the kernel's own
// (states, resets, causes, drops) only where there is BPF.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

#include "base/result.h"
#include "recording/recording.h"

namespace tcpwhy::trace {

struct Target {
  std::vector<std::string> command;  // to be started; looked up in PATH; empty: none
  std::vector<pid_t> pids;           // processes that run already: all their threads, and what they fork from now on
};

// What a system lacks for more to be seen.
struct Lack {
  std::string sentence;
  std::string words;  // whose fault it is, in its own words: a verifier's last lines; may be empty
};

class Tracer {
 public:
  virtual ~Tracer() = default;

  // Readable (poll, POLLIN) when drain() has something to do, or some milliseconds later.
  [[nodiscard]] virtual int fd() const = 0;
  // Appends what has happened to `recording`: actors, and events in the order in which they were learnt (sort_by_time() puts
  // them right). Never blocks. Call numbers are unique in the recording. The same recording each time.
  virtual base::Status drain(recording::Recording& recording) = 0;
  // Every process that was to be traced has ended.
  [[nodiscard]] virtual bool finished() const = 0;
  // The command's wait status (waitpid(2)) once it has ended.
  [[nodiscard]] virtual std::optional<int> command_status() const = 0;
  // Stops watching, takes what is left, notes losses. The processes go on as if nothing had been. At most once.
  virtual base::Status stop(recording::Recording& recording) = 0;
  // What it sees, for Provenance::observed: "calls.ptrace", "calls.bpf", "causes.kernel", "resets.reason", ...
  [[nodiscard]] virtual std::vector<std::string> observes() const = 0;
  [[nodiscard]] virtual std::vector<Lack> lacks() const { return {}; }
};

}  // namespace tcpwhy::trace
