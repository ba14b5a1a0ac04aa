// Watching real programs: a tracer, the taps of this network namespace, and the kernel's counters and states, all into one
// recording, until the program ends or the user stops it.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "recording/recording.h"
#include "trace/bpf/probe.h"
#include "trace/tracer.h"

namespace tcpwhy::cli {

enum class Backend : std::uint8_t { automatic, bpf, ptrace };

struct TraceSessionOptions {
  trace::Target target;
  Backend backend = Backend::automatic;
  bool stop_at_calls = false;  // ptrace: no calls are recorded inside the process
  bool packets = true;
  std::string filter;               // pcap-filter(7), of the packets; empty: all of TCP
  std::uint32_t snap_length = 256;  // bytes kept of a packet
  std::uint32_t ring_bytes = trace::default_ring_bytes;
  std::chrono::milliseconds linger{
      200};  // how long the kernel's own doings are watched after the last process has ended
};

struct TraceOutcome {
  recording::Recording recording;
  std::optional<int> command_status;  // waitpid(2)'s
  std::vector<base::Error> lacking;   // what could not be watched and why: packets, the kernel's tracepoints
};

// Errors: what makes the whole impossible: no such command or process, no way to trace.
base::Result<TraceOutcome> run_trace_session(const TraceSessionOptions& options, const std::atomic<bool>& stop);

}  // namespace tcpwhy::cli
