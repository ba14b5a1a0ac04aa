// A connection of a watch in one line, as text or as a JSON document; and how many ended in which way.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "explain/rules/life.h"
#include "recording/socket_life.h"

namespace tcpwhy::render {

// "Watching all TCP of this network namespace since 14:31:35; Ctrl-C ends.", the line that a watch begins with.
struct WatchHeading {
  bool every_netns = false;
  std::string_view netns;  // as it was asked for; empty: the one that tcpwhy was started in
  bool filtered = false;   // not all connections are told
  base::WallTime since{};
  base::Language language = base::Language::en;
  std::size_t width = 80;
};
std::string watch_heading(const WatchHeading& heading);

class LifeLines {
 public:
  enum class Form : std::uint8_t { text, ndjson };
  struct Options {
    Form form = Form::text;
    base::Language language = base::Language::en;
    // Columns of a line of text; what takes more has its last part on lines of its own. Nothing: one line each, however long.
    std::optional<std::size_t> width{};
  };
  explicit LifeLines(Options options) : options_(options) {}

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
  // "curl[812] :40000 → 10.0.0.2:80 nginx[800]"
  [[nodiscard]] std::string ends(const recording::SocketLife& life, const recording::SocketLife* peer) const;
  void ended_as_text(const recording::SocketLife& life, const recording::SocketLife* peer, std::string_view why,
                     std::string& out);

  Options options_;
  ClockTime clock_time_;
};

// How connections ended, in words, each way with its count: those that did not end well first, then by their number.
class EndingCounts {
 public:
  explicit EndingCounts(base::Language language) : language_(language) {}

  void add(const explain::LifeVerdict& verdict, bool opener);
  // "12 connections ended in 4.0 s, 2 of them not well; 3 are open", and a line for each way that there was, in `width` columns.
  [[nodiscard]] std::string text(std::size_t alive, base::Duration watched, std::size_t width) const;

 private:
  struct Way {
    bool abnormal = false;
    std::uint64_t count = 0;
  };
  base::Language language_;
  std::map<std::string, Way, std::less<>> ways_;
  std::uint64_t ended_ = 0, abnormal_ = 0;
};

}  // namespace tcpwhy::render
