// Lines of text for a terminal of a given width: headings, counts with what they count, folded.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/language.h"

namespace tcpwhy::scan {

struct TextOptions {
  base::Language language = base::Language::en;
  std::size_t width = 80;
};

class Page {
 public:
  explicit Page(const TextOptions& options) : options_(options) {}

  void heading(const base::Text& words);
  void line(std::string_view line);
  void put(std::string_view lines) { text_ += lines; }  // with their ends
  // A count, and what it counts, folded to the width.
  void counted(std::uint64_t count, std::string_view what);
  // `what` behind `lead`, and below where `lead` ends.
  void folded(const std::string& lead, std::string_view what);
  [[nodiscard]] std::string take() { return std::move(text_); }

 private:
  const TextOptions& options_;
  std::string text_;
};

// Cells in lines under a line of headings, as wide as what stands in them; columns that would not fit are left out whole, from the right.
class Columns {
 public:
  struct Heading {
    std::string words;
    bool right = false;  // numbers: flush right
  };
  explicit Columns(std::vector<Heading> headings);

  // `cells`: one for each heading.
  void add(std::vector<std::string> cells);
  void align_right(std::size_t column) { headings_[column].right = true; }
  // How many of them fit: one at least.
  [[nodiscard]] std::size_t that_fit(std::size_t width) const;
  // Without what stands behind the last cell that is not empty; with an end of line.
  [[nodiscard]] std::string headings(std::size_t shown) const;
  [[nodiscard]] std::string line(std::size_t row, std::size_t shown) const;
  [[nodiscard]] std::size_t rows() const { return rows_.size(); }
  [[nodiscard]] std::size_t columns() const { return headings_.size(); }

 private:
  [[nodiscard]] std::string joined(const std::vector<std::string>& cells, std::size_t shown) const;

  std::vector<Heading> headings_;
  std::vector<std::size_t> widths_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace tcpwhy::scan
