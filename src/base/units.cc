#include "base/units.h"

#include <fmt/format.h>

#include <string_view>

namespace tcpwhy::base {

using std::chrono::duration_cast;
using std::chrono::milliseconds;
using namespace std::chrono_literals;

std::string in_words(Duration duration) {
  const double ms = to_ms(duration);
  if (ms < 1) return fmt::format("{:.0f} µs", ms * 1000);
  if (ms < 10) return fmt::format("{:.2f} ms", ms);
  if (ms < 1000) return fmt::format("{:.1f} ms", ms);
  return fmt::format("{:.2f} s", ms / 1000);
}

std::string age_in_words(Duration duration) {
  const auto ms = duration_cast<milliseconds>(duration).count();
  if (ms < 1000) return fmt::format("{} ms", ms);
  const auto s = ms / 1000;
  if (s < 60) return fmt::format("{} s", s);
  if (s < 3600) return s % 60 == 0 ? fmt::format("{} min", s / 60) : fmt::format("{} min {} s", s / 60, s % 60);
  if (s < 86400)
    return s / 60 % 60 == 0 ? fmt::format("{} h", s / 3600) : fmt::format("{} h {} min", s / 3600, s / 60 % 60);
  return fmt::format("{} d {} h", s / 86400, s / 3600 % 24);
}

std::string duration_cell(Duration duration) {
  const double ms = to_ms(duration);
  if (ms < 1) return fmt::format("{:.0f} us", ms * 1e3);
  if (ms < 1000) return fmt::format("{:.1f} ms", ms);
  if (ms < 120'000) return fmt::format("{:.2f} s", ms / 1e3);
  if (ms < 7'200'000) return fmt::format("{:.1f} min", ms / 6e4);
  if (ms < 172'800'000) return fmt::format("{:.1f} h", ms / 3.6e6);
  return fmt::format("{:.1f} d", ms / 8.64e7);
}

std::string duration_in_tenths(Duration duration) {
  const auto rounded_to = [duration](Duration unit) { return (duration + unit / 2) / unit; };
  const auto with_point = [](std::int64_t tenths, std::string_view unit) {
    return fmt::format("{}.{} {}", tenths / 10, tenths % 10, unit);
  };
  if (const auto tenths = rounded_to(100us); tenths < 10'000) return with_point(tenths, "ms");
  if (duration < 2min) return with_point(rounded_to(100ms), "s");
  return fmt::format("{} min", rounded_to(1min));
}

std::string seconds_in_words(Duration duration) {
  std::string text = std::to_string(to_ms(duration) / 1000);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.pop_back();
  return text + " s";
}

std::string milliseconds_in_words(Duration duration) { return fmt::format("{:.1f} ms", to_ms(duration)); }

std::string bytes_in_words(std::uint64_t bytes) {
  const auto count = static_cast<double>(bytes);
  if (bytes < 10'000) return fmt::format("{} B", bytes);
  if (bytes < 10'000'000) return fmt::format("{:.1f} kB", count / 1e3);
  if (bytes < 10'000'000'000) return fmt::format("{:.1f} MB", count / 1e6);
  return fmt::format("{:.1f} GB", count / 1e9);
}

std::string bytes_in_whole_units(std::uint64_t bytes) {
  if (bytes < 10'000) return fmt::format("{} B", bytes);
  if (bytes < 10'000'000) return fmt::format("{} kB", bytes / 1000);
  return fmt::format("{} MB", bytes / 1'000'000);
}

std::string grouped(std::uint64_t number) {
  std::string digits = std::to_string(number);
  for (std::size_t at = digits.size(); at > 3; at -= 3) digits.insert(at - 3, ",");
  return digits;
}

}  // namespace tcpwhy::base
