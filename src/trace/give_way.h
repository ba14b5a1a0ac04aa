// The reader of events lets the programs that it watches have the processor first, as long as nothing is lost by that.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

namespace tcpwhy::trace {

// When a reader may give way: while its buffer is less than half full and it comes to look into it; again after it has kept up for a while.
class GiveWayPolicy {
 public:
  using Clock = std::chrono::steady_clock;

  explicit GiveWayPolicy(Clock::time_point now) : looked_(now) {}
  // `fullness`: of the buffer, 0 to 1; `looks`: how often the reader has looked. To be asked every `ask_every`.
  bool gives_way(double fullness, std::uint64_t looks, Clock::time_point now);

  static constexpr auto ask_every = std::chrono::milliseconds(20);

 private:
  bool gives_way_ = true;
  std::uint64_t looks_ = 0;
  Clock::time_point looked_;
  std::optional<Clock::time_point> calm_since_;
};

// Of the thread that makes it: it runs where nobody else wants to (SCHED_IDLE, sched(7)), and before others while it does not keep up, so
// that nothing is lost beside programs that are as busy as it is. A thread
// of its own watches over that, since who is not let run cannot help himself. Left alone is what could not be taken back (no
// CAP_SYS_NICE, and RLIMIT_NICE below), and another policy than SCHED_OTHER. Children and threads that begin meanwhile have what it has then.
class GiveWay {
 public:
  // `fullness`: of the buffer that the thread empties, 0 to 1; called by another thread, until this is destroyed.
  explicit GiveWay(std::function<double()> fullness);
  GiveWay(const GiveWay&) = delete;
  GiveWay& operator=(const GiveWay&) = delete;
  ~GiveWay();  // as it was

  // To be said at each look into the buffer.
  void looked() { looks_.fetch_add(1, std::memory_order_relaxed); }

 private:
  void watch_over(std::stop_token stop);
  void set(int policy);

  std::function<double()> fullness_;
  pid_t thread_;
  int policy_;    // the guard's
  int nice_ = 0;  // as it was
  std::atomic<std::uint64_t> looks_ = 0;
  std::mutex mutex_;
  std::condition_variable_any ends_;
  std::jthread guard_;
};

}  // namespace tcpwhy::trace
