#include "render/reports/findings_report.h"

#include <gtest/gtest.h>

#include <string>

#include "base/testing/golden.h"
#include "base/text.h"
#include "render/reports/reset_story_testing.h"

namespace tcpwhy::render {
namespace {

recording::Recording reset_by_close() {
  auto recording = testing::reset_by_close();
  recording.provenance.title = "close/unread";
  return recording;
}

std::string report(const recording::Recording& recording, const TextOptions& options = {}) {
  return findings_report(explain::explain(recording), options);
}

TEST(Golden, findings_of_a_reset_connection) {
  base::testing::expect_golden("src/render/golden/findings.80.txt", report(reset_by_close()));
  base::testing::expect_golden("src/render/golden/findings.zh.txt",
                               report(reset_by_close(), {.language = base::Language::zh}));
}

TEST(FindingsReport, what_is_in_order_is_left_out_and_that_nothing_else_was_found_is_said) {
  const auto recording = testing::reset_by_close();
  auto explained = explain::explain(recording);
  std::erase_if(explained.findings,
                [](const explain::Finding& finding) { return finding.rule->severity != explain::Severity::chat; });
  ASSERT_FALSE(explained.findings.empty());
  EXPECT_EQ(findings_report(explained, {}), "no finding\n");
  EXPECT_EQ(findings_report(explained, {.language = base::Language::zh}), "没有发现\n");
}

TEST(FindingsReport, is_no_wider_than_it_may_be_and_shows_no_escape_sequence) {
  auto recording = reset_by_close();
  recording.provenance.title = "\x1b[31m" + std::string(120, 'x');
  const auto text = report(recording, {.width = 80});
  EXPECT_EQ(text.find('\x1b'), std::string::npos) << text;
  std::size_t begin = 0;
  for (std::size_t end = 0; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
    const auto line = text.substr(begin, end - begin);
    if (!line.contains("xxx")) {
      EXPECT_LE(base::display_width(line), 80U) << line;
    }
  }
}

}  // namespace
}  // namespace tcpwhy::render
