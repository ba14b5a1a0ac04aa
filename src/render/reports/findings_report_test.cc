#include "render/reports/findings_report.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <string>

#include "base/testing/golden.h"
#include "base/text.h"
#include "recording/testing/story_recorder.h"

namespace tcpwhy::render {
namespace {

using recording::testing::StoryRecorder;

constexpr std::uint16_t F = 0x01, R = 0x04, P = 0x08, A = 0x10;

// A server closes with data unread; the client is told when it reads.
recording::Recording reset_by_close() {
  StoryRecorder story;
  story.open();
  story.call("client", 500, 600, "send", "3, \"hello\", 5, 0", {5});
  story.segment(550, "client", P | A, 1, 1, 5);
  story.segment(560, "server", A, 1, 6);
  const auto close = story.call("server", 1000, 1100, "close", "4");
  story.cause(1049, "server", "R.", 1, 6, 0, {"call", "close.unread_data", close});
  story.segment(1050, "server", R | A, 1, 6);
  story.reset(1060, "server", true, true, "TCP_ABORT_ON_CLOSE");
  story.socket_error(1055, "client", ECONNRESET);
  story.call("client", 2000, 2001, "recv", "3, \"\", 4096, 0", {-1, ECONNRESET});
  auto recording = story.take();
  recording.provenance.title = "close/unread";
  return recording;
}

recording::Recording closed_in_order() {
  StoryRecorder story;
  story.open();
  story.call("client", 1000, 1100, "close", "3");
  story.segment(1050, "client", F | A, 1, 1);
  story.segment(1060, "server", A, 1, 2);
  story.call("server", 1200, 1300, "recv", "4, \"\", 4096, 0", {0});
  story.call("server", 2000, 2100, "close", "4");
  story.segment(2050, "server", F | A, 1, 2);
  story.segment(2060, "client", A, 2, 2);
  return story.take();
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
  const auto recording = closed_in_order();
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
