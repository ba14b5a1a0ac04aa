// The tracer for root: calls, signals, states, resets, errors, drops and the cause of every segment from the kernel's tracepoints.
#pragma once

#include <functional>
#include <memory>

#include "base/result.h"
#include "trace/bpf/probe.h"
#include "trace/tracer.h"

namespace tcpwhy::trace {

struct BpfOptions {
  std::uint32_t ring_bytes = default_ring_bytes;  // ProbeOptions::ring_bytes
  bool user_stacks = true;
  bool gives_way = false;                     // the thread that opens and drains it: trace/give_way.h
  std::vector<std::string> without, refused;  // ProbeOptions
  // What else must be ready, called before anything is recorded and before the command is forked. If it fails, so does open_bpf().
  std::function<base::Status()> before_start;
};

// Loads the probe, follows the target's processes and their sockets, and lets the command go. Errors: privilege, where BPF is not to
// be had (nothing has been started then: ptrace may do instead); usage, for a command or a process that is not there.
base::Result<std::unique_ptr<Tracer>> open_bpf(const Target& target, const BpfOptions& options);

}  // namespace tcpwhy::trace
