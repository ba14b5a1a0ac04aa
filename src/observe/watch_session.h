// Watching all programs: the kernel's tracepoints of TCP sockets, put together to lives, each told when its connection is over.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "observe/stop_on_signals.h"
#include "recording/recording.h"
#include "recording/socket_life.h"

namespace tcpwhy::observe {

// What a connection must have, of one of its ends on this machine. Empty: anything.
struct LifeFilter {
  std::vector<std::int32_t> pids;     // who was in a call on it last, or closed it
  std::vector<std::string> commands;  // the same, by name (/proc/PID/comm)
  std::vector<std::uint16_t> ports;   // of either end
  std::string cgroup;                 // a control group (version 2): its path, or that below where it is mounted
  // `peer`: null where the other end is not known.
  [[nodiscard]] bool fits(const recording::SocketLife& life, const recording::SocketLife* peer) const;
  bool operator==(const LifeFilter&) const = default;
};

struct WatchSessionOptions {
  std::string filter;  // pcap-filter(7), asked of a connection; empty: all of them
  LifeFilter lives;
  bool every_netns = false;  // else only connections of which an end is in the network namespace that is current
  std::string interface;     // only connections that go over it, by their addresses; empty: over any
  bool openings = false;     // WatchListener::opened() is called
  bool record = false;       // keep what the kernel told of each connection until its end
  // Counts twice in the memory that the process has, for it is mapped twice in a row.
  std::uint32_t ring_bytes = 8U << 20;
  std::optional<std::chrono::duration<double>> duration;  // nothing: until a signal comes
};

// Told of what is seen, in the order in which it is known. Only connections that the filter and the interface let through are told.
class WatchListener {
 public:
  virtual ~WatchListener() = default;

  virtual void opened(const recording::SocketLife& life) = 0;
  // `peer`: the other end, where it lives on this machine and has been watched; else null. `kept`: the kernel's events of both, in order of
  // time, with title and provenance; empty unless WatchSessionOptions::record.
  virtual void ended(const recording::SocketLife& life, const recording::SocketLife* peer,
                     recording::Recording&& kept) = 0;
  // All that the kernel has told until now has been passed on. An error ends the watch, and nothing more is told.
  virtual base::Status caught_up() = 0;
  // Something was lost, or is not told: a sentence.
  virtual void lost(const base::Text& sentence) = 0;
  // Once a second.
  virtual void second_passed() = 0;
  // Nobody needs it any more: asked before each look.
  [[nodiscard]] virtual bool done() const = 0;
};

class WatchSession {
 public:
  // Errors: usage, a filter that does not compile, an interface that is not there.
  static base::Result<WatchSession> prepare(const WatchSessionOptions& options);
  WatchSession(WatchSession&&) noexcept;
  WatchSession& operator=(WatchSession&&) noexcept;
  ~WatchSession();

  // From now on nothing that happens is missed; what is there already is known with its holder. What this kernel cannot tell goes to
  // `listener` as lost. Errors: privilege (with a hint), or a kernel that cannot. To be called once, before run().
  base::Status begin(WatchListener& listener);
  // Until the time is over, a signal comes or `listener` is done. Error: caught_up()'s.
  base::Status run(WatchListener& listener, const StopOnSignals& signals);
  // Connections that live now, of those that would be told; one of two ends on this machine counts once.
  [[nodiscard]] std::size_t alive() const;

 private:
  struct Impl;
  explicit WatchSession(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace tcpwhy::observe
