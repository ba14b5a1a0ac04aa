// One connection with every segment of it that a capture holds, and what the tracker says of each.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "tcp/service_ports.h"
#include "tcp/tracker.h"

namespace tcpwhy::tcp {

// Who opened. Where neither SYN nor SYN-ACK was seen, the end whose port is no service's is taken for it, else the one with the higher
// port: programs that open are given one from the upper range.
inline EndIndex opener_of(const Tracker& tracker, const PerEnd<wire::SocketAddress>& ends) {
  if (tracker.opener_known()) return tracker.opener();
  const int first = service_rank(ends[EndIndex::first].port), second = service_rank(ends[EndIndex::second].port);
  if (first != second) return first > second ? EndIndex::first : EndIndex::second;
  return ends[EndIndex::first].port >= ends[EndIndex::second].port ? EndIndex::first : EndIndex::second;
}

struct SeenSegment {
  std::uint64_t frame = 0;
  std::int64_t at_ns = 0;
  EndIndex from = EndIndex::first;
  wire::TcpSegment segment;  // without its payload's bytes
  Verdict verdict;
  std::int64_t ack = 0;  // relative as Verdict::ack; as on the wire where the other end was never seen
  PerEnd<State> states;  // of both ends, after it
};

struct SeenConnection {
  std::uint64_t number = 0;  // by the first frame, from 0
  PerEnd<wire::SocketAddress> ends;
  std::vector<SeenSegment> segments;  // in the order of the capture
  // Segments that there was no room for: they stood before segments[left_out_before].
  std::uint64_t left_out = 0;
  std::size_t left_out_before = 0;
  Tracker tracker;  // as it was in the end

  [[nodiscard]] EndIndex opener() const { return opener_of(tracker, ends); }
};

}  // namespace tcpwhy::tcp
