// Watching real programs: a tracer, the taps of this network namespace, and the kernel's counters and states, all into one
// recording, until the program ends or the user stops it.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "observe/stop_on_signals.h"
#include "recording/recording.h"
#include "trace/bpf/probe.h"
#include "trace/tracer.h"

namespace tcpwhy::observe {

enum class Backend : std::uint8_t { automatic, bpf, ptrace };

// A process of the target that runs already.
struct Watched {
  std::string name;
  pid_t pid;
};

struct TraceSessionOptions {
  trace::Target target;
  Backend backend = Backend::automatic;
  bool stop_at_calls = false;  // ptrace: no calls are recorded inside the process
  bool packets = true;
  std::string filter;               // pcap-filter(7), of the packets; empty: all of TCP
  std::uint32_t snap_length = 256;  // bytes kept of a packet
  std::uint32_t ring_bytes = trace::default_ring_bytes;
  // Calls, kernel's events and packets together; what comes after that many is left out, and said. The explanation takes some
  // 0.9 KB of memory for each.
  std::uint64_t most_events = 1'000'000;
  // How long the kernel's own doings are watched after the last process has ended.
  std::chrono::milliseconds linger{200};
  std::chrono::milliseconds grace{2000};  // that a command has to end by itself when a signal ends the trace
  // Called when nothing is missed any more.
  std::function<void(const std::vector<Watched>&)> on_watching;
};

struct TraceOutcome {
  recording::Recording recording;
  std::optional<int> command_status;  // waitpid(2)'s
  std::vector<base::Error> lacking;   // what could not be watched and why: packets, the kernel's tracepoints
};

// Until what is traced has ended, or a signal comes. Then processes that ran already go on; a command is sent the signal, unless the
// terminal has sent it to both, and what is left of it and of what it forked is killed after `grace`, or at the second signal.
// From then on a signal ends this program at once.
// Where memory is lacking, the recording ends earlier than what is traced, and says so.
// Errors: what makes the whole impossible: no such command or process, no way to trace.
base::Result<TraceOutcome> run_trace_session(const TraceSessionOptions& options, StopOnSignals& signals);

// For want of memory: leaves out the later half of the events, in order of time, and says so in a Loss. False: there is nothing left
// to leave out.
bool leave_out_later_half(recording::Recording& recording);

}  // namespace tcpwhy::observe
