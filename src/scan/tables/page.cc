#include "scan/tables/page.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "base/units.h"

namespace tcpwhy::scan {
namespace {

// Up to and with the space behind it; a wide character is a word of its own.
std::string_view next_word(std::string_view text) {
  std::size_t end = 0;
  while (end < text.size()) {
    const auto byte = static_cast<unsigned char>(text[end]);
    if (byte >= 0xe0) {
      const std::size_t length = byte >= 0xf0 ? 4 : 3;
      return text.substr(0, end == 0 ? std::min(length, text.size()) : end);
    }
    if (text[end++] == ' ') break;
  }
  return text.substr(0, end);
}

std::string_view trimmed(std::string_view text) {
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

}  // namespace

void Page::heading(const base::Text& words) { text_ += fmt::format("\n{}\n", words.in(options_.language)); }

void Page::line(std::string_view line) { text_ += fmt::format("{}\n", line); }

void Page::counted(std::uint64_t count, std::string_view what) {
  folded(fmt::format("{:>11}  ", base::grouped(count)), what);
}

void Page::folded(const std::string& lead, std::string_view what) {
  const std::size_t indent = base::display_width(lead);
  const std::size_t room = std::max<std::size_t>(options_.width, indent + 20) - indent;
  std::string row = lead;
  std::size_t used = 0;
  while (!what.empty()) {
    const std::string_view word = next_word(what);
    const std::size_t columns = base::display_width(word);
    if (used > 0 && used + columns > room) {
      line(trimmed(row));
      row = std::string(indent, ' ');
      used = 0;
    }
    row += word;
    used += columns;
    what.remove_prefix(word.size());
  }
  line(trimmed(row));
}

Columns::Columns(std::vector<Heading> headings) : headings_(std::move(headings)) {
  for (const Heading& heading : headings_) widths_.push_back(base::display_width(heading.words));
}

void Columns::add(std::vector<std::string> cells) {
  for (std::size_t i = 0; i < cells.size(); ++i) widths_[i] = std::max(widths_[i], base::display_width(cells[i]));
  rows_.push_back(std::move(cells));
}

std::size_t Columns::that_fit(std::size_t width) const {
  std::size_t shown = 0;
  for (std::size_t used = 0; shown < widths_.size(); ++shown) {
    used += widths_[shown] + (shown > 0 ? 2 : 0);
    if (shown > 0 && used > width) break;
  }
  return shown;
}

std::string Columns::joined(const std::vector<std::string>& cells, std::size_t shown) const {
  std::string line;
  for (std::size_t i = 0; i < shown; ++i) {
    if (i > 0) line += "  ";
    line += headings_[i].right ? base::fit_right(cells[i], widths_[i]) : base::fit(cells[i], widths_[i]);
  }
  line.resize(line.find_last_not_of(' ') + 1);
  return line + "\n";
}

std::string Columns::headings(std::size_t shown) const {
  std::vector<std::string> words;
  for (const Heading& heading : headings_) words.push_back(heading.words);
  return joined(words, shown);
}

std::string Columns::line(std::size_t row, std::size_t shown) const { return joined(rows_[row], shown); }

}  // namespace tcpwhy::scan
