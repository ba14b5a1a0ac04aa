#include "render/tcpdump/time.h"

#include <fmt/format.h>

#include <chrono>
#include <ctime>

namespace tcpwhy::render::tcpdump {
namespace {

using std::chrono::duration_cast;
using std::chrono::floor;
using std::chrono::microseconds;
using std::chrono::seconds;

}  // namespace

TimeColumn::TimeColumn(TcpdumpTime style, bool nanoseconds) : style_(style), nanoseconds_(nanoseconds) {}

std::string TimeColumn::next(base::WallTime at) {
  // libpcap hands tcpdump microseconds: differences are those of the cut stamps.
  if (!nanoseconds_) at = floor<microseconds>(at);
  // To tcpdump a stamp of 0 is no stamp: the difference to it is 0, and the next one is the first.
  constexpr base::WallTime none{};
  const base::WallTime previous = previous_ == none ? at : previous_;
  previous_ = at;
  if (first_ == none) first_ = at;
  switch (style_) {
    case TcpdumpTime::none: return {};
    case TcpdumpTime::time_of_day: return calendar(at, "%H:%M:%S");
    case TcpdumpTime::date_and_time: return calendar(at, "%Y-%m-%d %H:%M:%S");
    case TcpdumpTime::epoch: {
      const auto whole = floor<seconds>(at);
      return fmt::format("{}.{} ", whole.time_since_epoch().count(), fraction(at - whole));
    }
    case TcpdumpTime::since_previous: return difference(at - previous);
    case TcpdumpTime::since_first: return difference(at - first_);
  }
  return {};
}

std::string TimeColumn::fraction(base::Duration below_a_second) const {
  if (nanoseconds_) return fmt::format("{:09}", below_a_second.count());
  return fmt::format("{:06}", duration_cast<microseconds>(below_a_second).count());
}

// A difference of more than a day begins at 0 again.
std::string TimeColumn::difference(base::Duration duration) const {
  const bool backwards = duration < base::Duration(0);
  if (backwards) duration = -duration;
  const auto whole = duration_cast<seconds>(duration);
  const auto of_day = whole.count() % 86400;
  return fmt::format("{}{:02}:{:02}:{:02}.{} ", backwards ? '-' : ' ', of_day / 3600, of_day / 60 % 60, of_day % 60,
                     fraction(duration - whole));
}

std::string TimeColumn::calendar(base::WallTime at, const char* pattern) const {
  const auto whole = floor<seconds>(at);
  const auto epoch_seconds = static_cast<std::time_t>(whole.time_since_epoch().count());
  std::tm local{};
  if (localtime_r(&epoch_seconds, &local) == nullptr) return "[Error converting time] ";
  char text[64];
  const std::size_t length = std::strftime(text, sizeof text, pattern, &local);
  return fmt::format("{}.{} ", std::string_view(text, length), fraction(at - whole));
}

}  // namespace tcpwhy::render::tcpdump
