// A connection of a watch in one line, as text or as a JSON document; and how many ended in which way.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "explain/rules/life.h"
#include "recording/socket_life.h"

namespace tcpwhy::render {

class LifeLines {
 public:
  enum class Form : std::uint8_t { text, ndjson };
  explicit LifeLines(Form form) : form_(form) {}

  // Each appends a line to `out`. `peer`: null where the other end is not known; `why`: the verdict in words (explain::words()).
  void opened(const recording::SocketLife& life, std::string& out);
  void ended(const recording::SocketLife& life, const recording::SocketLife* peer, const explain::LifeVerdict& verdict,
             std::string_view why, std::string& out);

 private:
  // The local time of day. What the clock shows in a second is asked of the C library once.
  class ClockTime {
   public:
    std::string operator()(base::WallTime at);

   private:
    std::chrono::sys_seconds second_ = std::chrono::sys_seconds::min();
    std::string text_;
  };
  void ended_as_text(const recording::SocketLife& life, const recording::SocketLife* peer, std::string_view why,
                     std::string& out);

  Form form_;
  ClockTime clock_time_;
};

class EndingCounts {
 public:
  void add(const explain::LifeVerdict& verdict);
  // "12 connections ended, 3 alive", and a line for each way that there was, by its id.
  [[nodiscard]] std::string text(std::size_t alive) const;

 private:
  std::map<std::string, std::uint64_t, std::less<>> counts_;
  std::uint64_t ended_ = 0;
};

}  // namespace tcpwhy::render
