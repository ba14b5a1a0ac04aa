// A connection of which one direction only was seen, and a segment that may be of the other: tunnels and VLANs often name the two
// differently (wire/encapsulation.h), so that what is around a segment does not tell that it is the same connection.
//
// Its numbers do. The same addresses and ports may be two connections, of two tenants, and one connection may have been captured twice,
// before and behind a router or a tunnel's end: of those each has both its directions.
#pragma once

#include <cstdint>

#include "tcp/tracker.h"

namespace tcpwhy::scan {

// How well a segment's numbers fit what the other end sent. The greater, the surer.
enum class Fit : std::uint8_t {
  none,
  near,    // both numbers are close to what the other end sent and acknowledged
  answer,  // it acknowledges what was seen, or has exactly the number that was acknowledged
};

// The only end that was seen of a connection.
class HalfSeen {
 public:
  HalfSeen(const tcp::Tracker& tracker, tcp::EndIndex seen)
      : seen_(tracker.end(seen)), other_(tracker.end(tcp::opposite(seen))) {}

  [[nodiscard]] bool is_one() const { return seen_.based && seen_.segments > 0 && other_.segments == 0; }
  // Of a segment by the end that was not seen.
  [[nodiscard]] Fit fit(const wire::TcpSegment& segment) const;
  // Whether the end that was seen sent a segment with this number.
  [[nodiscard]] bool sent(wire::SequenceNumber number) const;

 private:
  // Sequence numbers as on the wire: the first that was seen, and the one after the last.
  [[nodiscard]] std::uint32_t first() const { return seen_.isn + (seen_.syn_seen ? 0 : 1); }
  [[nodiscard]] std::uint32_t next() const { return seen_.isn + static_cast<std::uint32_t>(seen_.snd_nxt); }
  [[nodiscard]] bool is_syn_only() const { return seen_.syn_seen && seen_.data_segments == 0 && seen_.snd_nxt == 1; }
  // It has acknowledged something of the other end, which is known by that alone.
  [[nodiscard]] bool has_acknowledged() const { return other_.based; }

  const tcp::End& seen_;
  const tcp::End& other_;
};

}  // namespace tcpwhy::scan
