// Time stamps of capture files as wall time.
#pragma once

#include <cstdint>

#include "base/clock.h"
#include "capfile/formats/reader.h"

namespace tcpwhy::capfile {

// Counts of 10^-n or 2^-n seconds since 1970 plus an offset: if_tsresol and if_tsoffset of an Interface Description
// Block.
class TickClock {
 public:
  // if_tsresol: the highest bit chooses 2^-n (set) or 10^-n; the rest is n. 6 where the option is absent.
  explicit TickClock(std::uint8_t resolution = 6, std::int64_t offset_seconds = 0);

  [[nodiscard]] base::WallTime at(std::uint64_t ticks) const {
    if (ticks > largest_simple_) return at_any(ticks);
    return base::wall_from_ns(static_cast<std::int64_t>(ticks * simple_multiplier_));
  }
  // Decimal digits that show one tick, at most 9.
  [[nodiscard]] std::uint8_t digits() const;

 private:
  using Wide = __int128;
  [[nodiscard]] base::WallTime at_any(std::uint64_t ticks) const;

  // Up to so many ticks, of 10^-9 s or a multiple of it and without an offset, 64 bits are enough and no bound is
  // reached: every real capture. 0 where nothing is that simple.
  std::uint64_t largest_simple_ = 0, simple_multiplier_ = 1;
  bool binary_;
  std::uint8_t exponent_;
  Wide multiplier_ = 1, divisor_ = 1;  // of the decimal resolutions, to nanoseconds
  Wide offset_ns_;
};

// `ns` since 1970 brought between earliest_time and latest_time.
base::WallTime bounded_time(__int128 ns);

}  // namespace tcpwhy::capfile
