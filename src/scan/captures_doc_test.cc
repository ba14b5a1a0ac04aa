// docs/CAPTURES.md lists every problem, field, class and reset cause as the tables have them.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>

#include "explain/wire_words.h"
#include "scan/fields.h"
#include "scan/problems.h"
#include "tcp/classification.h"

namespace tcpwhy::scan {
namespace {

std::string page() {
  std::ifstream in(std::string(TCPWHY_SOURCE_DIR) + "/docs/CAPTURES.md");
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

void expect_row(const std::string& page, const std::string& row) {
  EXPECT_NE(page.find("\n" + row + "\n"), std::string::npos) << "docs/CAPTURES.md lacks the row\n" << row;
}

TEST(CapturesDoc, lists_every_problem) {
  const std::string text = page();
  for (const ProblemRule& rule : problem_rules())
    expect_row(text,
               fmt::format("| `{}` | {} | {} | {} |", rule.id, explain::name(rule.severity), rule.when, rule.rests_on));
}

TEST(CapturesDoc, lists_every_field) {
  const std::string text = page();
  for (const Field& field : fields()) expect_row(text, fmt::format("| `{}` | {} |", field.name, field.what));
}

TEST(CapturesDoc, lists_every_class_mark_and_reset_cause) {
  const std::string text = page();
  for (std::size_t i = 0; i < tcp::kind_count; ++i) {
    const auto kind = static_cast<tcp::Kind>(i);
    EXPECT_NE(text.find(fmt::format("| `{}` |", tcp::name(kind))), std::string::npos) << tcp::name(kind);
  }
  for (int bit = 0; bit < tcp::mark::count; ++bit)
    EXPECT_NE(text.find(fmt::format("| `{}` |", tcp::mark_name(bit))), std::string::npos) << tcp::mark_name(bit);
  for (std::size_t i = 1; i < tcp::reset_cause_count; ++i) {
    const auto cause = static_cast<tcp::ResetCause>(i);
    const auto& words = explain::text_of(cause);
    expect_row(text, fmt::format("| `{}` | {} | {} |", tcp::name(cause), words.because_en,
                                 words.or_else_en.empty() ? "-" : words.or_else_en));
  }
}

}  // namespace
}  // namespace tcpwhy::scan
