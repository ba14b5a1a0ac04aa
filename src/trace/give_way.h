// The reader of events lets the programs that it watches have the processor first, as long as nothing is lost by that.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <optional>

namespace tcpwhy::trace {

// Of the thread that makes it: its nice value is raised while it keeps up, and as it was while it does not. Where it may not be lowered
// again (no CAP_SYS_NICE, and RLIMIT_NICE below) it is left alone. Children and threads that begin meanwhile have what it has then.
class GiveWay {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::size_t events_between = 256;

  GiveWay();
  GiveWay(const GiveWay&) = delete;
  GiveWay& operator=(const GiveWay&) = delete;
  ~GiveWay();  // as it was

  // How full the buffer is that it empties, 0 to 1. To be said at each look, and, so that it doesn't fall behind while it works, every
  // `events_between` events.
  void found(double fullness, Clock::time_point now = Clock::now());

 private:
  void set(int nice);

  pid_t thread_;
  int own_nice_;
  int nice_;
  bool may_ = false;
  std::optional<Clock::time_point> calm_since_;
};

}  // namespace tcpwhy::trace
