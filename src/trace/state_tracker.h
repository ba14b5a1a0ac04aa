// Successive samples of a namespace's sockets -> what changed, as events of the recording.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "recording/event.h"
#include "trace/socket_sampler.h"

namespace tcpwhy::trace {

// Pure: no clock, no I/O. One tracker per namespace.
//
// An event says: it was `from` at not_before (the begin of the previous sample: nothing later is certain) and `to` at `at` (the
// end of this one). `from` is not_seen for a socket seen for the first time, `to` is closed for one that vanished. Events with
// from == to tell that the queues, the holder or a timer changed: the receive or send queue at all, `ato` at all, `rto` by half
// or more.
//
// A socket and the TIME-WAIT (or FIN-WAIT-2) entry that replaces it are one, whatever cookies the kernel gives them; the
// first one stays. Another socket on the same 4-tuple is another one: the old one is CLOSED first.
class StateTracker {
 public:
  // Appends to `events`; in order: what vanished, what changed, what is new. A sample that is not complete closes nothing.
  void update(const SocketSample& sample, std::vector<recording::Event>& events);

  // Each socket that was there in the last sample, with the cookie that its events carry.
  [[nodiscard]] std::vector<recording::SocketSnapshot> sockets() const;

 private:
  struct Tracked {
    recording::SocketSnapshot now;              // cookie: the first one seen
    std::uint64_t kernel_cookie = 0;            // the one it has now
    std::optional<recording::TcpDetails> told;  // as of the last event: drifts are measured from here
  };
  std::vector<Tracked> tracked_;
  std::optional<base::WallTime> previous_begin_;
};

}  // namespace tcpwhy::trace
