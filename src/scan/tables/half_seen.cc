#include "scan/tables/half_seen.h"

namespace tcpwhy::scan {
namespace {

// Numbers of one direction that far apart may be of one connection: what is on its way fills a buffer at most, which Linux lets grow to 6 MiB
// (tcp_rmem). By chance two connections have both their numbers that close once in 65,536 times.
constexpr std::uint32_t reach = 1U << 23U;

// On the circle: whether it lies from `low` to `high`.
bool is_between(std::uint32_t low, std::uint32_t number, std::uint32_t high) { return number - low <= high - low; }

}  // namespace

Fit HalfSeen::fit(const wire::TcpSegment& segment) const {
  const std::uint32_t seq = segment.seq.value, ack = segment.ack.value, expected = seen_.last_ack_raw;
  // Something that was seen: between the first number, and the one after the last.
  const bool acknowledges = segment.flags.ack() && ack - first() - 1 < next() - first();
  if (!segment.flags.ack()) {
    // RFC 9293 3.5: "simultaneous open attempts": two SYNs cross.
    if (!has_acknowledged()) return segment.flags.syn() && is_syn_only() ? Fit::near : Fit::none;
    // RFC 9293 3.5.2: a reset without ACK has the number that was acknowledged. A SYN may be captured behind its SYN-ACK.
    const bool is_expected = segment.flags.rst()   ? seq == expected
                             : segment.flags.syn() ? seen_.syn_ack_seen && seq + 1 == expected
                                                   : false;
    return is_expected ? Fit::answer : Fit::none;
  }
  // Nothing but its SYN was seen. A reset that refuses it has the number 0.
  if (!has_acknowledged()) return acknowledges ? Fit::answer : Fit::none;
  if (!is_between(expected - reach, seq, expected + reach)) return Fit::none;
  if (acknowledges) return Fit::answer;
  return is_between(first() - reach, ack, next() + reach) ? Fit::near : Fit::none;
}

bool HalfSeen::sent(wire::SequenceNumber number) const { return is_between(first(), number.value, next()); }

}  // namespace tcpwhy::scan
