// One interface for the two ways of watching real programs: trace/bpf (the kernel's own tracepoints, for root) and trace/ptrace
// (anybody's own processes). Both give the same events: actors, calls, signals, starts and ends of processes; the kernel's own
// (states, resets, causes, drops) only where there is BPF.
#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

#include "base/result.h"
#include "recording/recording.h"
#include "wire/address.h"

namespace tcpwhy::trace {

struct Target {
  std::vector<std::string> command;  // to be started; looked up in PATH; empty: none
  std::vector<pid_t> pids;           // processes that run already: all their threads, and what they fork from now on
};

// What a system lacks for more to be seen.
struct Lack {
  base::OwnedText sentence;
  base::OwnedText words;  // whose fault it is, in its own words: a verifier's last lines; may be empty
};

// A connection of what is traced, or, with a remote address that is none, a place where it listens.
struct Conversation {
  wire::SocketAddress local, remote;
  auto operator<=>(const Conversation&) const = default;
};

class Tracer {
 public:
  virtual ~Tracer() = default;

  // Readable (poll, POLLIN) when drain() has something to do, or some milliseconds later.
  [[nodiscard]] virtual int fd() const = 0;
  // Appends what has happened to `recording`: actors, and events in the order in which they were learnt (sort_by_time() puts
  // them right). Never blocks. Call numbers are unique in the recording. The same recording each time.
  virtual base::Status drain(recording::Recording& recording) = 0;
  // Appends the conversations that have become known since the last time, for who has to know them before the events are made that
  // name them. One may be told again.
  virtual void tell_conversations(std::vector<Conversation>& told) = 0;
  // How many events there are so far, those included that are made at the end.
  [[nodiscard]] virtual std::uint64_t recorded() const = 0;
  // Nothing more is recorded from now on; what ends is still seen. Recording ends so by itself when there is no memory for more.
  virtual void pause() = 0;
  [[nodiscard]] virtual bool paused() const = 0;
  [[nodiscard]] virtual std::uint64_t left_out() const = 0;  // events that came when it was paused
  // Every process that was to be traced has ended.
  [[nodiscard]] virtual bool finished() const = 0;
  // The command's wait status (waitpid(2)) once it has ended.
  [[nodiscard]] virtual std::optional<int> command_status() const = 0;
  // Sends a signal to the command and to what it has forked, as far as they live; to processes that ran already, never.
  virtual void signal_command(int signal) = 0;
  // Stops watching, takes what is left, notes losses (but not what is left out: who paused it knows why). The processes go on as if nothing had been. At most once.
  virtual base::Status stop(recording::Recording& recording) = 0;
  // What it sees, for Provenance::observed.
  [[nodiscard]] virtual recording::Observations observes() const = 0;
  [[nodiscard]] virtual std::vector<Lack> lacks() const { return {}; }
};

}  // namespace tcpwhy::trace
