#include "tcp/half_seen.h"

namespace tcpwhy::tcp {
namespace {

// Numbers of one direction that far apart may be of one connection: what is on its way fills a buffer at most, which Linux lets grow to 6 MiB
// (tcp_rmem). By chance two connections have both their numbers that close once in 65,536 times.
constexpr std::uint32_t reach = 1U << 23U;

// On the circle: whether it lies from `low` to `high`.
bool is_between(std::uint32_t low, std::uint32_t number, std::uint32_t high) { return number - low <= high - low; }

}  // namespace

void HalfSeen::note(const wire::TcpSegment& segment) {
  if (segment.flags.rst()) return;
  const std::uint32_t seq = segment.seq.value;
  if (!is_based_) first_ = next_ = seq;
  is_based_ = true;
  if (const std::uint32_t end = seq + segment.sequence_length(); static_cast<std::int32_t>(end - next_) > 0)
    next_ = end;
  if (segment.flags.ack()) acknowledged_ = segment.ack.value, has_acknowledged_ = true;
  if (segment.flags.syn()) (segment.flags.ack() ? syn_ack_seen_ : syn_seen_) = true;
}

Fit HalfSeen::fit(const wire::TcpSegment& segment) const {
  if (!is_based_) return Fit::none;
  const std::uint32_t seq = segment.seq.value, ack = segment.ack.value;
  // Something that was seen: between the first number, and the one after the last.
  const bool acknowledges = segment.flags.ack() && ack - first_ - 1 < next_ - first_;
  if (!segment.flags.ack()) {
    // RFC 9293 3.5: "simultaneous open attempts": two SYNs cross.
    if (!has_acknowledged_) return segment.flags.syn() && syn_seen_ && next_ - first_ == 1 ? Fit::near : Fit::none;
    // RFC 9293 3.5.2: a reset without ACK has the number that was acknowledged. A SYN may be captured behind its SYN-ACK.
    const bool is_expected = segment.flags.rst()   ? seq == acknowledged_
                             : segment.flags.syn() ? syn_ack_seen_ && seq + 1 == acknowledged_
                                                   : false;
    return is_expected ? Fit::answer : Fit::none;
  }
  // Nothing but its SYN was seen. A reset that refuses it has the number 0.
  if (!has_acknowledged_) return acknowledges ? Fit::answer : Fit::none;
  if (!is_between(acknowledged_ - reach, seq, acknowledged_ + reach)) return Fit::none;
  if (acknowledges) return Fit::answer;
  return is_between(first_ - reach, ack, next_ + reach) ? Fit::near : Fit::none;
}

bool HalfSeen::sent(wire::SequenceNumber number) const { return is_based_ && is_between(first_, number.value, next_); }

std::optional<HalfSeen> half_seen(const Tracker& tracker, EndIndex end) {
  const End &seen = tracker.end(end), &other = tracker.end(opposite(end));
  if (!seen.based || seen.segments == 0 || other.segments > 0) return std::nullopt;
  HalfSeen half;
  half.is_based_ = true;
  half.first_ = seen.isn + (seen.syn_seen ? 0 : 1);
  half.next_ = seen.isn + static_cast<std::uint32_t>(seen.snd_nxt);
  half.acknowledged_ = seen.last_ack_raw;
  half.has_acknowledged_ = other.based;  // by that alone
  half.syn_seen_ = seen.syn_seen;
  half.syn_ack_seen_ = seen.syn_ack_seen;
  return half;
}

}  // namespace tcpwhy::tcp
