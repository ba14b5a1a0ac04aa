#include "base/clock.h"

#include <ctime>

namespace tcpwhy::base {
namespace {

Duration read_clock(clockid_t id) {
  timespec now{};
  clock_gettime(id, &now);
  return std::chrono::seconds(now.tv_sec) + Duration(now.tv_nsec);
}

}  // namespace

MonotonicTime MonotonicClock::now() { return MonotonicTime(read_clock(CLOCK_MONOTONIC)); }

WallTime wall_now() { return WallTime(read_clock(CLOCK_REALTIME)); }

}  // namespace tcpwhy::base
