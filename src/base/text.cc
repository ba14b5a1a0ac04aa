#include "base/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <optional>
#include <span>
#include <utility>

#include "base/width_table.h"

namespace tcpwhy::base {
namespace {

struct DecodedCharacter {
  char32_t code_point = 0;
  std::size_t size = 0;  // bytes
};

bool is_continuation(char byte) { return (static_cast<unsigned char>(byte) & 0xC0U) == 0x80U; }

// How many bytes the sequence that starts with `lead` has, by Unicode 15 table 3-6; 0 where no sequence starts so.
std::size_t sequence_size(unsigned char lead) {
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return 2;
  if (lead >= 0xE0 && lead <= 0xEF) return 3;
  if (lead >= 0xF0 && lead <= 0xF4) return 4;
  return 0;
}

// The well-formed UTF-8 sequence at the start of `text` (Unicode 15 table 3-7: no overlong form, no surrogate,
// nothing above U+10FFFF), or nothing. `text` is not empty.
std::optional<DecodedCharacter> decode_first(std::string_view text) {
  constexpr char32_t smallest_of_size[] = {0, 0, 0x80, 0x800, 0x10000};
  constexpr unsigned lead_bits_of_size[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
  const auto lead = static_cast<unsigned char>(text.front());
  const std::size_t size = sequence_size(lead);
  if (size == 0 || size > text.size()) return std::nullopt;
  char32_t code_point = lead & lead_bits_of_size[size];
  for (std::size_t i = 1; i < size; ++i) {
    if (!is_continuation(text[i])) return std::nullopt;
    code_point = (code_point << 6U) | (static_cast<unsigned char>(text[i]) & 0x3FU);
  }
  const bool surrogate = code_point >= 0xD800 && code_point <= 0xDFFF;
  if (code_point < smallest_of_size[size] || surrogate || code_point > 0x10FFFF) return std::nullopt;
  return DecodedCharacter{code_point, size};
}

bool is_control(char32_t code_point) { return code_point < 0x20 || (code_point >= 0x7F && code_point <= 0x9F); }

// Unicode's Bidi_Control property (PropList.txt), and the two separators that some programs show as a new line.
bool reorders_or_breaks_line(char32_t code_point) {
  return code_point == 0x061C || code_point == 0x200E || code_point == 0x200F ||
         (code_point >= 0x2028 && code_point <= 0x202E) || (code_point >= 0x2066 && code_point <= 0x2069);
}

void append_escaped(std::string& out, char32_t code_point, std::string_view bytes) {
  switch (code_point) {
    case U'\n': out += "\\n"; return;
    case U'\t': out += "\\t"; return;
    case U'\r': out += "\\r"; return;
    default: break;
  }
  if (reorders_or_breaks_line(code_point)) {
    fmt::format_to(std::back_inserter(out), "\\u{{{:04X}}}", static_cast<std::uint32_t>(code_point));
  } else if (is_control(code_point)) {
    fmt::format_to(std::back_inserter(out), "\\x{:02x}", static_cast<std::uint32_t>(code_point));
  } else {
    out += bytes;
  }
}

bool contains(std::span<const CodePointRange> ranges, char32_t code_point) {
  const auto range = std::ranges::lower_bound(ranges, code_point, {}, &CodePointRange::last);
  return range != ranges.end() && range->first <= code_point;
}

std::size_t width_of(char32_t code_point) {
  if (contains(zero_width_characters, code_point)) return 0;
  return contains(wide_characters, code_point) ? 2 : 1;
}

// The character at the start of `text` and its columns. A byte that is not UTF-8 counts as one column: terminals show
// one replacement character for it.
struct MeasuredCharacter {
  std::size_t size = 0;
  std::size_t columns = 0;
};

// Most of most texts: itself everywhere, one column wide.
bool is_printable_ascii(char c) { return c >= ' ' && c <= '~'; }

MeasuredCharacter measure_first(std::string_view text) {
  if (is_printable_ascii(text.front())) return {1, 1};
  const auto character = decode_first(text);
  if (!character) return {1, 1};
  return {character->size, width_of(character->code_point)};
}

// The longest start of `text` that takes no more than `columns`, and the columns it takes.
struct Prefix {
  std::string_view text;
  std::size_t columns = 0;
};

Prefix prefix_within(std::string_view text, std::size_t columns) {
  Prefix prefix;
  std::size_t bytes = 0;
  while (bytes < text.size()) {
    const auto next = measure_first(text.substr(bytes));
    if (prefix.columns + next.columns > columns) break;
    bytes += next.size;
    prefix.columns += next.columns;
  }
  prefix.text = text.substr(0, bytes);
  return prefix;
}

// `text` in at most `columns`, with "…" in the last of them when something was cut.
struct Cut {
  std::string text;
  std::size_t columns = 0;
};

Cut cut_to(std::string_view text, std::size_t columns) {
  const auto whole = prefix_within(text, columns);
  if (whole.text.size() == text.size()) return {std::string(text), whole.columns};
  if (columns == 0) return {};
  const auto kept = prefix_within(text, columns - 1);
  return {std::string(kept.text) + "…", kept.columns + 1};
}

// Chinese punctuation that may not begin a line.
bool is_closing_punctuation(std::string_view character) {
  static constexpr std::string_view closing[] = {"，", "。", "；", "：", "）", "”", "、", "？"};
  return std::ranges::find(closing, character) != std::end(closing);
}

// The next piece that must not be broken: a word with the blanks before it, or one wide character with the closing
// punctuation behind it.
std::string_view next_piece(std::string_view text) {
  std::size_t end = 0;
  while (end < text.size() && text[end] == ' ') ++end;
  bool first = true;
  while (end < text.size() && text[end] != ' ') {
    const auto next = measure_first(text.substr(end));
    const auto character = text.substr(end, next.size);
    const bool wide = next.columns == 2;
    if (!first && wide && !is_closing_punctuation(character)) break;
    end += next.size;
    if (first && wide && end < text.size()) {
      const auto following = text.substr(end, measure_first(text.substr(end)).size);
      if (!is_closing_punctuation(following)) break;
    }
    first = false;
  }
  return text.substr(0, end);
}

// The longest start that takes no more than `columns`, and at least one character.
std::string_view prefix_to_break(std::string_view text, std::size_t columns) {
  const auto prefix = prefix_within(text, columns).text;
  return prefix.empty() && !text.empty() ? text.substr(0, measure_first(text).size) : prefix;
}

void append_quoted_byte(std::string& out, char byte, bool digit_follows) {
  switch (byte) {
    case '"':
    case '\\':
      out += '\\';
      out += byte;
      return;
    case '\t': out += "\\t"; return;
    case '\n': out += "\\n"; return;
    case '\v': out += "\\v"; return;
    case '\f': out += "\\f"; return;
    case '\r': out += "\\r"; return;
    default: break;
  }
  const auto value = static_cast<unsigned char>(byte);
  if (value >= 0x20 && value < 0x7F) {
    out += byte;
  } else {
    // As short as a reader of C strings can still tell apart: three digits where a digit follows.
    fmt::format_to(std::back_inserter(out), "\\{:0{}o}", unsigned{value}, digit_follows ? 3 : 1);
  }
}

}  // namespace

std::string escape_controls(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const auto* const special = std::ranges::find_if_not(text, is_printable_ascii);
    out.append(text.begin(), special);
    text.remove_prefix(static_cast<std::size_t>(special - text.begin()));
    if (text.empty()) break;
    const auto character = decode_first(text);
    const std::size_t size = character ? character->size : 1;
    if (character) {
      append_escaped(out, character->code_point, text.substr(0, size));
    } else {
      fmt::format_to(std::back_inserter(out), "\\x{:02x}", unsigned{static_cast<unsigned char>(text.front())});
    }
    text.remove_prefix(size);
  }
  return out;
}

std::string quote(std::string_view bytes, std::size_t limit) {
  const auto shown = bytes.substr(0, limit);
  std::string out = "\"";
  for (std::size_t i = 0; i < shown.size(); ++i) {
    const bool digit_follows = i + 1 < shown.size() && shown[i + 1] >= '0' && shown[i + 1] <= '9';
    append_quoted_byte(out, shown[i], digit_follows);
  }
  out += '"';
  if (shown.size() < bytes.size()) out += "...";
  return out;
}

std::size_t display_width(std::string_view text) {
  std::size_t columns = 0;
  while (!text.empty()) {
    const auto next = measure_first(text);
    columns += next.columns;
    text.remove_prefix(next.size);
  }
  return columns;
}

std::string fit(std::string_view text, std::size_t columns) {
  auto cut = cut_to(text, columns);
  cut.text.append(columns - cut.columns, ' ');
  return std::move(cut.text);
}

std::string fit_right(std::string_view text, std::size_t columns) {
  const auto cut = cut_to(text, columns);
  return std::string(columns - cut.columns, ' ') + cut.text;
}

std::string wrap(std::string_view text, std::size_t first_indent, std::size_t indent, std::size_t width) {
  std::string out(first_indent, ' ');
  std::size_t column = first_indent;
  bool line_start = true;
  while (!text.empty()) {
    auto piece = next_piece(text);
    text.remove_prefix(piece.size());
    if (!line_start && column + display_width(piece) > width) {
      out += "\n" + std::string(indent, ' ');
      column = indent;
      line_start = true;
    }
    if (line_start) piece.remove_prefix(std::min(piece.find_first_not_of(' '), piece.size()));
    // A word that no line can hold is broken where the line ends.
    while (width > indent && column + display_width(piece) > width) {
      const auto part = prefix_to_break(piece, width - column);
      out.append(part).append("\n").append(indent, ' ');
      piece.remove_prefix(part.size());
      column = indent;
    }
    out += piece;
    column += display_width(piece);
    line_start = line_start && piece.empty();
  }
  return out;
}

}  // namespace tcpwhy::base
