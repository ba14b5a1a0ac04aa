// Timers by the capture's clock, due in order of time, then of their making.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

namespace tcpwhy::compat::zeek {

class Connection;

enum class TimerKind : std::uint8_t {
  check,       // is there still life in it? (Zeek: TIMER_TCP_EXPIRE)
  attempt,     // a SYN without an answer
  forget,      // some time after the end (TIMER_CONN_DELETE)
  reset,       // some time after an RST that came after a FIN
  inactivity,  // silence
};

class Timers {
 public:
  struct Timer {
    Connection* connection;
    TimerKind kind;
  };
  using Handle = std::multimap<std::int64_t, Timer>::iterator;

  Handle add(std::int64_t at_us, Timer timer) { return queue_.emplace(at_us, timer); }
  void cancel(Handle handle) { queue_.erase(handle); }

  // The first timer due at `now_us`.
  [[nodiscard]] std::optional<Handle> due(std::int64_t now_us) {
    if (queue_.empty() || queue_.begin()->first > now_us) return std::nullopt;
    return queue_.begin();
  }

 private:
  std::multimap<std::int64_t, Timer> queue_;
};

}  // namespace tcpwhy::compat::zeek
