// Sequence-number arithmetic, RFC 9293 3.4: numbers live on a circle of 2^32, so there is no "less than", only
// before and after within half the circle. Named predicates, no operators.
#pragma once

#include <cstdint>

#include "wire/segment.h"

namespace tcpwhy::tcp {

using wire::SequenceNumber;

// How far `to` lies ahead of `from`, -2^31 .. 2^31-1; exactly half the circle counts as behind.
constexpr std::int32_t distance(SequenceNumber from, SequenceNumber to) {
  return static_cast<std::int32_t>(to.value - from.value);
}
constexpr bool before(SequenceNumber a, SequenceNumber b) { return distance(a, b) > 0; }
constexpr bool at_or_before(SequenceNumber a, SequenceNumber b) { return distance(a, b) >= 0; }
constexpr bool after(SequenceNumber a, SequenceNumber b) { return before(b, a); }
constexpr bool at_or_after(SequenceNumber a, SequenceNumber b) { return at_or_before(b, a); }
// first <= x < first + length
constexpr bool in_window(SequenceNumber x, SequenceNumber first, std::uint32_t length) {
  return x.value - first.value < length;
}
constexpr SequenceNumber advance(SequenceNumber from, std::uint32_t by) { return {from.value + by}; }

}  // namespace tcpwhy::tcp
