// Points in time carry their clock in the type, so that a difference of two clocks does not compile.
#pragma once

#include <chrono>
#include <cstdint>

namespace tcpwhy::base {

using Duration = std::chrono::nanoseconds;

// CLOCK_REALTIME: what packets are stamped with, and what every event of a recording carries.
using WallTime = std::chrono::sys_time<Duration>;

// CLOCK_MONOTONIC: what the kernel's tracepoints and our own deadlines use.
struct MonotonicClock {
  using rep = Duration::rep;
  using period = Duration::period;
  using duration = Duration;
  using time_point = std::chrono::time_point<MonotonicClock>;
  static constexpr bool is_steady = true;
  static time_point now();
};
using MonotonicTime = MonotonicClock::time_point;

WallTime wall_now();

inline WallTime wall_from_ns(std::int64_t ns) { return WallTime(Duration(ns)); }
inline std::int64_t to_ns(WallTime time) { return time.time_since_epoch().count(); }
inline double to_ms(Duration duration) { return static_cast<double>(duration.count()) / 1e6; }

}  // namespace tcpwhy::base
