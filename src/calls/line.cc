#include "calls/line.h"

#include <fmt/format.h>

#include "calls/names.h"
#include "calls/nesting.h"

namespace tcpwhy::calls {
namespace {

constexpr std::string_view handed_back_later = "...";

// Where the first argument that is exactly `...` stands in a list of arguments, or npos.
std::size_t find_place(std::string_view arguments) {
  Nesting nesting;
  bool at_start = true;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const char c = arguments[i];
    if (at_start && arguments.substr(i).starts_with(handed_back_later)) {
      const std::string_view after = arguments.substr(i + handed_back_later.size());
      if (after.empty() || after[0] == ',') return i;
    }
    nesting.step(c);
    at_start = nesting.between_arguments() && (c == ',' || (at_start && c == ' '));
  }
  return std::string_view::npos;
}

std::string behind(bool has_place, std::int64_t result, std::int32_t error, std::string_view detail) {
  return fmt::format(" = {}{}", result_text(result, error),
                     has_place || detail.empty() ? "" : fmt::format(" ({})", detail));
}

}  // namespace

std::string result_text(std::int64_t result, std::int32_t error) {
  return error == 0 ? fmt::format("{}", result) : fmt::format("{} {}", result, error_text(error));
}

std::string behind_line(std::string_view arguments, std::int64_t result, std::int32_t error, std::string_view detail) {
  return behind(find_place(arguments) != std::string_view::npos, result, error, detail);
}

std::string unfinished_line(std::string_view name, std::string_view arguments) {
  const std::string_view known = arguments.substr(0, find_place(arguments));
  const bool spaced = known.empty() || known.ends_with(' ');
  return fmt::format("{}({}{}<unfinished ...>", name, known, spaced ? "" : " ");
}

std::string returned_line(std::string_view name, std::string_view arguments, std::int64_t result, std::int32_t error,
                          std::string_view detail) {
  const std::size_t place = find_place(arguments);
  const bool has_place = place != std::string_view::npos;
  const std::string end = behind(has_place, result, error, detail);
  if (!has_place) return fmt::format("{}({}){}", name, arguments, end);
  return fmt::format("{}({}{}{}){}", name, arguments.substr(0, place), detail.empty() ? handed_back_later : detail,
                     arguments.substr(place + handed_back_later.size()), end);
}

}  // namespace tcpwhy::calls
