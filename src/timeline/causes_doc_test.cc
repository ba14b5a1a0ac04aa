#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/testing/golden.h"
#include "timeline/cause.h"

namespace tcpwhy::timeline {
namespace {

// docs/CAUSES.md is written from the table, so that it cannot say anything else.
TEST(Golden, causes_page_is_the_table) {
  std::string page =
      "# What made a segment leave\n\n"
      "Where the kernel's own word is missing (no kernel probe ran), the cause of each segment is *derived* by one of these rules, or\n"
      "*assumed* where several fit; the grade stands beside it. `tools/golden update` writes this page from the table in\n"
      "`src/timeline/cause_rules.cc`; the code that applies it is `src/timeline/derive_causes.cc`.\n\n"
      "| rule | holds when | rests on |\n| --- | --- | --- |\n";
  for (const auto& rule : cause_rules()) page += fmt::format("| `{}` | {} | {} |\n", rule.id, rule.when, rule.rests_on);
  base::testing::expect_golden("docs/CAUSES.md", page);
}

}  // namespace
}  // namespace tcpwhy::timeline
