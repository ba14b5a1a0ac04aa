#include "calls/spelling/line.h"

#include <fmt/format.h>

#include "calls/names.h"
#include "calls/spelling/nesting.h"

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

}  // namespace

std::string result_text(std::int64_t result, std::int32_t error) {
  return error == 0 ? fmt::format("{}", result) : fmt::format("{} {}", result, error_text(error));
}

std::string behind_line(std::string_view arguments, std::int64_t result, std::int32_t error, std::string_view detail) {
  const bool has_place = find_place(arguments) != std::string_view::npos;
  return fmt::format(" = {}{}", result_text(result, error),
                     has_place || detail.empty() ? "" : fmt::format(" ({})", detail));
}

LinePieces line_pieces(std::string_view name, std::string_view arguments, std::string_view detail) {
  const std::size_t place = find_place(arguments);
  LinePieces pieces{fmt::format("{}({}", name, arguments.substr(0, place)), ")"};
  if (place != std::string_view::npos)
    pieces.rest = fmt::format("{}{})", detail.empty() ? handed_back_later : detail,
                              arguments.substr(place + handed_back_later.size()));
  return pieces;
}

std::string unfinished_line(std::string_view name, std::string_view arguments) {
  const std::string entry = line_pieces(name, arguments, {}).entry;
  const bool spaced = entry.ends_with('(') || entry.ends_with(' ');
  return fmt::format("{}{}<unfinished ...>", entry, spaced ? "" : " ");
}

std::string returned_line(std::string_view name, std::string_view arguments, std::int64_t result, std::int32_t error,
                          std::string_view detail) {
  const LinePieces pieces = line_pieces(name, arguments, detail);
  return pieces.entry + pieces.rest + behind_line(arguments, result, error, detail);
}

}  // namespace tcpwhy::calls
