#include "render/reports/trace_report.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "base/testing/golden.h"
#include "base/text.h"
#include "recording/testing/story_recorder.h"
#include "render/reports/reset_story_testing.h"
#include "render/timeline/words.h"

namespace tcpwhy::render {
namespace {

using base::Language;
using recording::testing::StoryRecorder;
using testing::reset_by_close;

TEST(Golden, trace_report_of_a_reset_connection) {
  const auto recording = reset_by_close();
  base::testing::expect_golden("src/render/golden/trace_reset.80.txt",
                               trace_report(explain::explain(recording), {.text = {.width = 80}}));
}

// The same connection many times over, each with sockets and ports of its own; every tenth is reset.
recording::Recording many(int count) {
  recording::Recording all;
  for (int i = 0; i < count; ++i) {
    auto one = i % 10 == 0 ? reset_by_close() : [] {
      StoryRecorder story;
      story.call("client", 10, 50, "connect", "3, {sa_family=AF_INET, ...}, 16");
      story.call("client", 60, 61, "send", "3, \"hello\", 5, 0", {5});
      story.call("client", 100, 110, "close", "3");
      return story.take();
    }();
    if (i == 0) all = {one.provenance, one.interfaces, one.actors, {}};
    for (auto& event : one.events) {
      event.at += std::chrono::milliseconds(i * 10);
      if (auto* entered = std::get_if<recording::CallEntered>(&event.what)) {
        entered->call += static_cast<std::uint32_t>(i) * 100;
        if (i % 10 != 0) entered->socket = 1000 + static_cast<std::uint64_t>(i);
      }
      if (auto* returned = std::get_if<recording::CallReturned>(&event.what)) {
        returned->call += static_cast<std::uint32_t>(i) * 100;
        if (i % 10 != 0) returned->socket = 1000 + static_cast<std::uint64_t>(i);
      }
      all.events.push_back(event);
    }
  }
  recording::sort_by_time(all);
  return all;
}

TEST(TraceReport, a_healthy_connection_of_many_is_one_line_and_a_reset_one_a_timeline) {
  const auto recording = many(31);
  const auto explained = explain::explain(recording);
  const auto text = trace_report(explained, {.text = {.width = 80}});
  EXPECT_NE(text.find("└ server's close(), row"), std::string::npos) << text;
  EXPECT_NE(text.find("ended; how"), std::string::npos) << text;
  EXPECT_EQ(text.find("connect(3, {sa_family=AF_INET, ...}"), std::string::npos) << text;
  const auto all = trace_report(explained, {.text = {.width = 80}, .all = true});
  EXPECT_GT(all.size(), text.size());
  EXPECT_NE(all.find("connect(3"), std::string::npos);
}

// On the first lines, whatever the language and the width: who did what, and to whom it was harm.
TEST(TraceReport, tells_the_cause_within_three_lines) {
  const auto one = reset_by_close();
  const auto of_many = many(31);
  for (const auto* recording : {&one, &of_many})
    for (const Language language : {Language::en, Language::zh})
      for (const std::size_t width : {80U, 120U}) {
        const auto text = trace_report(explain::explain(*recording), {.text = {.language = language, .width = width}});
        std::istringstream lines(text);
        std::string first_three;
        for (std::string line;
             std::count(first_three.begin(), first_three.end(), '\n') < 3 && std::getline(lines, line);)
          first_three += line + "\n";
        EXPECT_NE(first_three.find("close(4)"), std::string::npos) << text;
      }
}

TEST(TraceReport, equal_things_are_one_thing_with_a_count) {
  const auto text = trace_report(explain::explain(many(31)), {.text = {.width = 80}});
  EXPECT_NE(text.find("the same of 3 more"), std::string::npos) << text;
  std::size_t sections = 0;
  for (auto at = text.find("\n── "); at != std::string::npos; at = text.find("\n── ", at + 1)) ++sections;
  EXPECT_EQ(sections, 1U) << text;
}

TEST(TraceReport, of_many_that_are_sound_some_are_lines_and_the_rest_a_number) {
  const auto text = trace_report(explain::explain(many(91)), {.text = {.width = 80}});
  EXPECT_NE(text.find("and 61 more like these: --all"), std::string::npos) << text;
  std::size_t lines = 0;
  constexpr std::string_view of_a_sound_one = "ended; how is not known";
  for (auto at = text.find(of_a_sound_one); at != std::string::npos; at = text.find(of_a_sound_one, at + 1)) ++lines;
  EXPECT_EQ(lines, most_lines) << text;
}

TEST(TraceReport, facts_that_are_as_they_should_be_are_told_where_all_is_asked_for) {
  const auto recording = reset_by_close();
  const auto explained = explain::explain(recording);
  const auto text = trace_report(explained, {.text = {.width = 120}});
  const auto all = trace_report(explained, {.text = {.width = 120}, .all = true});
  EXPECT_EQ(text.find("SYN, SYN-ACK, ACK: the connection stood"), std::string::npos) << text;
  EXPECT_NE(all.find("SYN, SYN-ACK, ACK: the connection stood"), std::string::npos) << all;
  EXPECT_EQ(text.find("find out why the peer reset"), std::string::npos) << "it is known";
}

TEST(TraceReport, no_line_is_wider_than_the_terminal) {
  const auto recording = many(31);
  const auto explained = explain::explain(recording);
  for (const std::size_t width : {80U, 120U})
    for (const Language language : {Language::en, Language::zh}) {
      std::istringstream lines(trace_report(explained, {.text = {.language = language, .width = width}, .all = true}));
      for (std::string line; std::getline(lines, line);) EXPECT_LE(base::display_width(line), width) << line;
    }
}

// 20,000 calls and one that stands for five million.
recording::Recording busy_reader() {
  StoryRecorder story;
  story.open();
  for (int i = 0; i < 10'000; ++i) {
    story.call("client", 200 + i * 10, 202 + i * 10, "send", "3, \"hello\", 5, 0", {5});
    story.call("server", 204 + i * 10, 206 + i * 10, "recv", "4, \"hello\", 100, 0", {5});
  }
  const auto last = story.call("server", 900'000, 900'001, "recv", "4, ..., 100, 0", {-1, EAGAIN});
  story.event(890'000, "server",
              recording::CallsRepeated{last, 5'000'000, base::wall_from_ns(1'700'000'000'000'000'000 + 390'000'000)});
  return story.take();
}

TEST(TraceReport, of_a_busy_program_holds_the_rows_that_it_shows_and_no_others) {
  const auto recording = busy_reader();
  const auto explained = explain::explain(recording);
  const EntriesByConnection entries(explained.timeline);
  const Rows all = make_rows_of(explained.timeline, entries, 0, Language::en);
  ASSERT_GT(all.rows.size(), 20'000U);
  const timeline::EventId event = all.rows[12'344].events.front();
  const std::set<timeline::EventId> kept{event};
  const Rows few = make_rows_of(explained.timeline, entries, 0, Language::en, &kept);
  ASSERT_EQ(few.rows.size(), 3U);
  EXPECT_EQ(few.rows[0].text, "⋮ rows 1–12344");
  EXPECT_EQ(few.rows[1].number, 12'345U);
  EXPECT_EQ(few.rows[1].text, all.rows[12'344].text);
  EXPECT_EQ(few.rows[2].text, fmt::format("⋮ rows 12346–{}", all.rows.size()));
  // What is folded is cited by the number that it would have.
  EXPECT_EQ(few.rows_of({all.rows[99].events.front()}), "100");
  EXPECT_EQ(few.row_of(all.rows[99].events.front()), few.rows.data());
}

TEST(TraceReport, equal_calls_are_one_row_with_a_count) {
  const auto recording = busy_reader();
  const auto all = [&](Language language) {
    return trace_report(explain::explain(recording), {.text = {.language = language, .width = 100}, .all = true});
  };
  EXPECT_NE(all(Language::en).find("⋮ the same 5,000,000 times more, in 500.0 ms"), std::string::npos);
  EXPECT_NE(all(Language::zh).find("⋮ 同样的调用又重复了 5,000,000 次，历时 500.0 ms"), std::string::npos);
}

TEST(TraceReport, lets_no_escape_sequence_through) {
  auto recording = reset_by_close();
  recording.actors[0].name = "\x1b[31mserver";
  for (auto& event : recording.events) {
    if (auto* call = std::get_if<recording::CallEntered>(&event.what)) call->stack = "\x1b[5m";
    if (auto* reset = std::get_if<recording::Reset>(&event.what)) reset->reason = "\x1b[5m";
    if (auto* cause = std::get_if<recording::SegmentCause>(&event.what)) cause->name = "\x1b[5m";
  }
  EXPECT_EQ(trace_report(explain::explain(recording), {}).find('\x1b'), std::string::npos);
}

// The page is held against the kernel's table by a test of trace/bpf: so are these words, without including it.
TEST(Words, every_kernel_cause_of_the_page_has_words_in_both_languages) {
  std::ifstream page(TCPWHY_SOURCE_DIR "/docs/KERNEL-CAUSES.md");
  int seen = 0;
  for (std::string line; std::getline(page, line) && line != "## The table";) {
    if (!line.starts_with("| `")) continue;
    const std::string id = line.substr(3, line.find('`', 3) - 3);
    for (const Language language : {Language::en, Language::zh}) EXPECT_TRUE(kernel_cause_words(id, language)) << id;
    ++seen;
  }
  EXPECT_GT(seen, 30);
  EXPECT_EQ(kernel_cause_words("close.unread_data", Language::en), "data unread");
  EXPECT_FALSE(kernel_cause_words("no.such", Language::en));
}

}  // namespace
}  // namespace tcpwhy::render
