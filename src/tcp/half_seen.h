// One direction of a connection, and a segment that may be of the other: tunnels and VLANs often name the two differently
// (wire/encapsulation.h), so that what is around a segment does not tell that it is of the same connection.
//
// Its numbers do. The same addresses and ports may be two connections, of two tenants, and one connection may have been captured twice,
// before and behind a router or a tunnel's end: of those each has both its directions.
#pragma once

#include <cstdint>
#include <optional>

#include "tcp/tracker.h"
#include "wire/segment.h"

namespace tcpwhy::tcp {

// How well a segment's numbers fit what the other end sent. The greater, the surer.
enum class Fit : std::uint8_t {
  none,
  near,    // both numbers are close to what the other end sent and acknowledged
  answer,  // it acknowledges what was seen, or has exactly the number that was acknowledged
};

// A connection that was captured twice has both its directions in each place. Of what was on its way when the capture began a place may
// show one direction first: it is taken for the missing half of the other place, until its own second direction comes. So
// many segments may lie between.
inline constexpr std::uint32_t segments_in_doubt = 64;

// What an end sent; numbers as on the wire.
class HalfSeen {
 public:
  // A segment of it. Of resets alone nothing tells where its sequence space is.
  void note(const wire::TcpSegment& segment);
  // How well a segment of the end that was not seen fits.
  [[nodiscard]] Fit fit(const wire::TcpSegment& segment) const;
  // Whether a segment with this number was seen.
  [[nodiscard]] bool sent(wire::SequenceNumber number) const;

 private:
  friend std::optional<HalfSeen> half_seen(const Tracker& tracker, EndIndex end);

  std::uint32_t first_ = 0, next_ = 0;  // the first number, and the one after the last
  std::uint32_t acknowledged_ = 0;      // of the other end
  bool is_based_ = false, has_acknowledged_ = false, syn_seen_ = false, syn_ack_seen_ = false;
};

// What was seen of this end, if nothing was seen of the other.
std::optional<HalfSeen> half_seen(const Tracker& tracker, EndIndex end);

}  // namespace tcpwhy::tcp
