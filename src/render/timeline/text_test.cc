#include "render/timeline/text.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <sstream>

#include "base/language.h"
#include "base/testing/golden.h"
#include "base/text.h"
#include "recording/testing/story_recorder.h"
#include "render/documents/json.h"
#include "render/reports/lab_report.h"

namespace tcpwhy::render {
namespace {

using base::Language;
using recording::testing::StoryRecorder;

constexpr std::uint16_t F = 0x01, R = 0x04, P = 0x08, A = 0x10;

// The experiment that the project began with, in short: the server closes, the client goes on writing.
recording::Recording server_closes_client_writes() {
  StoryRecorder story;
  story.provenance().title = "close/client-writes-on";
  story.provenance().labels = {{"asks", "2, 5, 7"},
                               {"title", "The server closes; the client goes on writing"},
                               {"title.zh", "服务器 close 之后，客户端继续 write"}};
  story.open();
  story.call("server", 1000, 1100, "close", "4");
  story.segment(1050, "server", F | A, 1, 1);
  story.sample(1040, 1200, "server", "ESTABLISHED", "FIN-WAIT-1");
  story.call("client", 1300, 1301, "recv", "3, \"\", 4096, 0", {0});
  story.segment(4000, "client", A, 1, 2);
  story.counter(3900, 4100, "TcpExt.DelayedACKs");
  story.call("client", 9000, 9100, "send", "3, \"anyone there?\", 13, 0", {13});
  story.segment(9040, "client", P | A, 1, 2, 13);
  story.segment(9050, "server", R, 2);
  const auto last = story.call("client", 10000, -1, "send", "3, \"hello?\", 6, 0");
  story.event(10400, "client", recording::ProcessEnded{{}, "SIGPIPE", last});
  return story.take();
}

std::string text(std::size_t width, Language language) {
  const auto recording = server_closes_client_writes();
  return recording_text(explain::explain(recording), {.language = language, .width = width});
}

TEST(Golden, text_at_80_columns) {
  base::testing::expect_golden("src/render/golden/client_writes_on.80.txt", text(80, Language::en));
}
TEST(Golden, text_at_120_columns) {
  base::testing::expect_golden("src/render/golden/client_writes_on.120.txt", text(120, Language::en));
}
TEST(Golden, text_in_chinese) {
  base::testing::expect_golden("src/render/golden/client_writes_on.zh.txt", text(80, Language::zh));
}

TEST(Text, no_line_is_wider_than_the_terminal) {
  for (const std::size_t width : {80U, 97U, 119U, 120U, 200U})
    for (const Language language : {Language::en, Language::zh}) {
      std::istringstream lines(text(width, language));
      for (std::string line; std::getline(lines, line);) EXPECT_LE(base::display_width(line), width) << line;
    }
}

// Names, numbers and times as long as they come in the traces of real programs.
recording::Recording long_in_everything() {
  StoryRecorder story;
  story.open();
  for (std::int64_t i = 0; i < 1000; ++i)
    story.call("client", 1000 + 2 * i, 1001 + 2 * i, "recv", "3, ..., 4096, MSG_DONTWAIT", {-1, EAGAIN});
  story.call("server", 2'000'000'000, 2'000'000'100, "close", "4");
  story.segment(2'000'000'050, "server", F | A, 1, 1);
  story.segment(2'000'044'000, "client", A, 1, 2);
  auto recording = story.take();
  for (auto& actor : recording.actors) actor.name += " of a program with a long name [2001:db8::1234:5678]:54321";
  return recording;
}

TEST(Text, no_line_is_wider_with_long_names_numbers_and_times) {
  const auto recording = long_in_everything();
  const auto explained = explain::explain(recording);
  for (const std::size_t width : {80U, 120U})
    for (const Language language : {Language::en, Language::zh}) {
      const auto shown = recording_text(explained, {.language = language, .width = width});
      EXPECT_NE(shown.find("client of a program"), std::string::npos);
      std::istringstream lines(shown);
      for (std::string line; std::getline(lines, line);) EXPECT_LE(base::display_width(line), width) << line;
    }
}

TEST(Text, names_one_row_in_the_singular) {
  const auto recording = server_closes_client_writes();
  auto explained = explain::explain(recording);
  ASSERT_FALSE(explained.findings.empty());
  const auto rows = make_rows(explained.timeline, Language::en);
  explained.findings.resize(1);
  explained.findings[0].evidence = {rows.rows[2].events.front()};
  EXPECT_NE(findings_text(explained.findings, rows, {}).find("; row 3]"), std::string::npos);
  explained.findings[0].evidence.push_back(rows.rows[4].events.front());
  EXPECT_NE(findings_text(explained.findings, rows, {}).find("; rows 3, 5]"), std::string::npos);
}

// What a program sends may look like the end of a call's line.
TEST(Rows, take_a_call_for_what_it_is_whatever_its_payload) {
  StoryRecorder story;
  story.open();
  story.call("client", 200, 220, "send", "3, \"x\", 1) = -1 EPIPE (Broken pipe)\", 30, 0", {30});
  story.call("client", 300, 320, "send", "3, \" = 5\", 4, 0", {-1, EPIPE});
  story.call("client", 400, 500, "setsockopt", "3, SOL_TCP, TCP_CONGESTION, \"SO_LINGER\", 9");
  story.call("client", 600, 610, "send", "3, \"setsockopt(\", 11, 0", {11});
  const auto recording = story.take();
  const auto explained = explain::explain(recording);
  const auto rows = make_rows(explained.timeline, Language::en).rows;
  const auto row_with = [&](std::string_view text) {
    return *std::ranges::find_if(rows, [&](const Row& row) { return row.text.find(text) != std::string::npos; });
  };
  EXPECT_FALSE(row_with("\"x\"").failed);
  EXPECT_TRUE(row_with("\" = 5\"").failed);
  EXPECT_TRUE(row_with("TCP_CONGESTION").opens);
  EXPECT_FALSE(row_with("\"setsockopt(\"").opens);
}

TEST(Text, lets_no_escape_sequence_of_a_recording_through) {
  auto recording = server_closes_client_writes();
  recording.provenance.labels["title"] = "\x1b[2Jtitle";
  recording.provenance.title = "\x1b]0;name\x07";
  recording.actors[0].name = "\x1b[31mserver";
  for (auto& event : recording.events)
    if (auto* call = std::get_if<recording::CallEntered>(&event.what)) call->arguments = "\x1b[5m";
  const auto explained = explain::explain(recording);
  EXPECT_EQ(recording_text(explained, {}).find('\x1b'), std::string::npos);
  EXPECT_EQ(lab_report(std::span(&explained, 1), {}).find('\x1b'), std::string::npos);
  EXPECT_EQ(json_report(std::span(&explained, 1), Language::en).find('\x1b'), std::string::npos);
}

TEST(LabReport, shows_an_experiment_once_and_refers_to_it_later) {
  const auto recording = server_closes_client_writes();
  const auto explained = explain::explain(recording);
  const auto report = lab_report(std::span(&explained, 1), {.elide_opening = true});
  EXPECT_NE(report.find("(shown at question 2)"), std::string::npos);
  EXPECT_NE(report.find("the connection is opened, as in question 1"), std::string::npos);
  EXPECT_EQ(report.find("listen("), std::string::npos);
}

TEST(LabReport, no_line_is_wider_whatever_the_titles) {
  auto recording = server_closes_client_writes();
  recording.provenance.labels["title"] += " on and on, though nobody listens any longer, again and again";
  recording.provenance.title = std::string(100, 'x');
  const auto explained = explain::explain(recording);
  for (const auto& shown : {lab_report(std::span(&explained, 1), {}), recording_text(explained, {})}) {
    std::istringstream lines(shown);
    for (std::string line; std::getline(lines, line);) EXPECT_LE(base::display_width(line), 80U) << line;
  }
}

TEST(LabReport, a_question_without_its_main_experiment_has_no_section_of_its_own) {
  auto main = server_closes_client_writes(), contrast = server_closes_client_writes();
  main.provenance.labels["asks"] = "7";
  contrast.provenance.labels["asks"] = "3, 7";
  contrast.provenance.labels["role"] = "contrast";
  const explain::Explained both[] = {explain::explain(main), explain::explain(contrast)};
  EXPECT_EQ(lab_report(both, {}).find("━━ 3."), std::string::npos);
  EXPECT_NE(lab_report(both, {}).find("━━ 7."), std::string::npos);
  EXPECT_NE(lab_report(std::span(both).subspan(1), {}).find("━━ 3."), std::string::npos);
}

}  // namespace
}  // namespace tcpwhy::render
