// docs/CAPTURES.md lists every problem, field, class and reset cause as the tables have them.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>

#include "base/testing/golden.h"
#include "explain/texts/reset_reasons.h"
#include "scan/connections/problems.h"
#include "scan/tables/fields.h"
#include "tcp/classification.h"

namespace tcpwhy::scan {
namespace {

std::string page() {
  std::ifstream in(std::string(TCPWHY_SOURCE_DIR) + "/docs/CAPTURES.md");
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

TEST(Golden, captures_page_has_every_problem) {
  std::string rows;
  for (const ProblemRule& rule : problem_rules())
    rows += fmt::format("| `{}` | {} | {} | {} |\n", rule.id, explain::name(rule.severity), rule.when, rule.rests_on);
  base::testing::expect_golden_table("docs/CAPTURES.md",
                                     "| id | severity | said when | rests on |\n| --- | --- | --- | --- |\n", rows);
}

TEST(Golden, captures_page_has_every_cause_of_a_reset) {
  std::string rows;
  for (std::size_t i = 1; i < tcp::reset_cause_count; ++i) {
    const auto cause = static_cast<tcp::ResetCause>(i);
    const auto& told = explain::reset_reason_on_wire(cause).on_wire;
    rows += fmt::format("| `{}` | {} | {} |\n", tcp::name(cause), told.because.en,
                        told.or_else.empty() ? "-" : told.or_else.en);
  }
  base::testing::expect_golden_table("docs/CAPTURES.md",
                                     "| cause | said because | looks the same |\n| --- | --- | --- |\n", rows);
}

TEST(Golden, captures_page_has_every_field) {
  std::string rows;
  for (const Field& field : fields())
    rows += fmt::format("| `{}` | {} | {} | {} |\n", field.name, field.what.en,
                        field.name == "problems" ? "the ids above" : values_in_words(field).en,
                        has_few_values(field) ? "yes" : "");
  base::testing::expect_golden_table("docs/CAPTURES.md",
                                     "| field | what | values | `--by` |\n| --- | --- | --- | --- |\n", rows);
}

TEST(CapturesDoc, lists_every_class_and_mark) {
  const std::string text = page();
  for (std::size_t i = 0; i < tcp::kind_count; ++i) {
    const auto kind = static_cast<tcp::Kind>(i);
    EXPECT_NE(text.find(fmt::format("| `{}` |", tcp::name(kind))), std::string::npos) << tcp::name(kind);
  }
  for (int bit = 0; bit < tcp::mark::count; ++bit)
    EXPECT_NE(text.find(fmt::format("| `{}` |", tcp::mark_name(bit))), std::string::npos) << tcp::mark_name(bit);
}

}  // namespace
}  // namespace tcpwhy::scan
