#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/testing/golden.h"
#include "explain/texts/catalogue.h"

namespace tcpwhy::explain {
namespace {

TEST(Golden, findings_page_is_the_tables) {
  std::string page =
      "# Findings\n\n"
      "Every statement that tcpwhy makes about a connection, what must hold for it to be made, and what it rests on. A finding carries the\n"
      "events that are its evidence and a grade: *observed*, *derived* or *assumed*. `tools/golden update` writes this page from the tables in\n"
      "`src/explain/texts/rules.cc` and `src/explain/texts/reset_reasons.cc`.\n\n"
      "| rule | severity | made when | rests on | leaves open |\n| --- | --- | --- | --- | --- |\n";
  for (const auto& rule : rules())
    page += fmt::format("| `{}` | {} | {} | {} | {} |\n", rule.id, name(rule.severity), rule.when, rule.rests_on,
                        rule.cannot_know.empty() ? "–" : rule.cannot_know);
  base::testing::expect_golden("docs/FINDINGS.md", page);
}

}  // namespace
}  // namespace tcpwhy::explain
