#include "capfile/formats/tick_clock.h"

#include <algorithm>

namespace tcpwhy::capfile {
namespace {

constexpr int nanosecond_digits = 9;
constexpr __int128 ns_per_second = 1'000'000'000;

__int128 power_of_ten(int exponent) {
  __int128 power = 1;
  for (int i = 0; i < exponent; ++i) power *= 10;
  return power;
}

}  // namespace

base::WallTime bounded_time(__int128 ns) {
  const __int128 low = base::to_ns(earliest_time), high = base::to_ns(latest_time);
  return base::wall_from_ns(static_cast<std::int64_t>(std::clamp(ns, low, high)));
}

TickClock::TickClock(std::uint8_t resolution, std::int64_t offset_seconds)
    : binary_((resolution & 0x80) != 0), exponent_(resolution & 0x7f), offset_ns_(offset_seconds * ns_per_second) {
  if (binary_) return;
  // 2^64 ticks of 10^-38 s are no nanosecond, and 10^29 still fits: a finer resolution is as good as that one.
  constexpr int finest = 38;
  const int exponent = std::min<int>(exponent_, finest);
  if (exponent <= nanosecond_digits) {
    multiplier_ = power_of_ten(nanosecond_digits - exponent);
    if (offset_ns_ != 0) return;
    simple_multiplier_ = static_cast<std::uint64_t>(multiplier_);
    largest_simple_ = static_cast<std::uint64_t>(base::to_ns(latest_time)) / simple_multiplier_;
  } else {
    divisor_ = power_of_ten(exponent - nanosecond_digits);
  }
}

base::WallTime TickClock::at_any(std::uint64_t ticks) const {
  const Wide ns = binary_ ? (ticks * ns_per_second) >> exponent_ : ticks * multiplier_ / divisor_;
  return bounded_time(ns + offset_ns_);
}

std::uint8_t TickClock::digits() const {
  if (!binary_) return std::min<std::uint8_t>(exponent_, nanosecond_digits);
  constexpr int log10_of_2_in_1000 = 302;  // rounded up
  return static_cast<std::uint8_t>(std::min((exponent_ * log10_of_2_in_1000 + 999) / 1000, nanosecond_digits));
}

}  // namespace tcpwhy::capfile
