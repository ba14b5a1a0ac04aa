// What is wrong, in a sentence: one cause with what followed from it.
#include "explain/verdict.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "explain/explained_story_testing.h"

namespace tcpwhy::explain {
namespace {

using testing::ExplainedStory;
using testing::five_bytes;
using testing::StoryRecorder;

constexpr std::uint16_t reset_ack = 0x14, ack = 0x10, push_ack = 0x18, fin_ack = 0x11;

struct Judged {
  std::vector<const Finding*> findings;
  std::vector<Verdict> verdicts;
};
Judged judged(const ExplainedStory& story) {
  Judged made;
  for (const Finding& finding : story.explained.findings)
    if (finding.connection) made.findings.push_back(&finding);
  made.verdicts = verdicts_of(story.explained.timeline, made.findings);
  return made;
}

// The server closes with five bytes unread; the client meets it in recv(), and once more in send().
ExplainedStory unread_then_two_errors() {
  StoryRecorder story;
  story.open();
  five_bytes(story);
  story.call("server", 1000, 1100, "close", "4");
  story.segment(1050, "server", reset_ack, 1, 6);
  story.call("client", 2000, 2001, "recv", "3, \"\", 4096, 0", {-1, ECONNRESET});
  story.call("client", 3000, 3010, "send", "3, \"x\", 1, MSG_NOSIGNAL", {-1, EPIPE});
  return ExplainedStory(story);
}

TEST(Verdict, ties_errors_to_the_close_that_made_them) {
  const auto story = unread_then_two_errors();
  const auto [_, verdicts] = judged(story);
  ASSERT_FALSE(verdicts.empty());
  const Verdict& first = verdicts.front();
  EXPECT_EQ(first.cause->rule->id, "reset.unread_data_at_close");
  ASSERT_EQ(first.effects.size(), 2U);
  EXPECT_EQ(first.effects[0]->rule->id, "recv.connection_reset");
  EXPECT_EQ(first.severity(), Severity::error);
  EXPECT_EQ(headline(first, story.explained.timeline, Language::en),
            "server close(4): 5 bytes left unread → reset; client recv(3) = ECONNRESET, send(3) = EPIPE");
  EXPECT_EQ(headline(first, story.explained.timeline, Language::zh),
            "服务器 close(4)：5 字节未读 → 复位；客户端 recv(3) = ECONNRESET，send(3) = EPIPE");
}

TEST(Verdict, does_not_advise_to_look_for_a_cause_that_is_known) {
  const auto story = unread_then_two_errors();
  const auto [_, verdicts] = judged(story);
  const Verdict& first = verdicts.front();
  EXPECT_NE(remedy(first, *first.cause, Language::en), "");
  EXPECT_NE(remedy(*first.effects[0], Language::en), "") << "alone it does";
  EXPECT_EQ(remedy(first, *first.effects[0], Language::en), "");
}

TEST(Verdict, a_reset_that_nobody_explains_leaves_the_advice) {
  StoryRecorder story;
  story.open();
  story.segment(1050, "server", reset_ack, 1, 1);
  story.call("client", 2000, 2001, "recv", "3, \"\", 4096, 0", {-1, ECONNRESET});
  const ExplainedStory told(story);
  const auto [_, verdicts] = judged(told);
  ASSERT_FALSE(verdicts.empty());
  const Finding* met = told.finding("recv.connection_reset");
  ASSERT_NE(met, nullptr);
  EXPECT_NE(remedy(verdicts.front(), *met, Language::en), "");
}

TEST(Verdict, the_call_that_the_reset_answered_is_in_its_sentence) {
  StoryRecorder story;
  story.open();
  story.call("server", 1000, 1100, "close", "4");
  story.segment(1050, "server", fin_ack, 1, 1);
  story.segment(1060, "client", ack, 1, 2);
  story.call("client", 2000, 2100, "send", "3, \"x\", 1, 0", {1});
  story.segment(2050, "client", push_ack, 1, 2, 1);
  story.segment(2060, "server", 0x04, 2, 0);
  story.call("client", 3000, 3010, "send", "3, \"x\", 1, MSG_NOSIGNAL", {-1, EPIPE});
  const ExplainedStory told(story);
  const auto [_, verdicts] = judged(told);
  ASSERT_FALSE(verdicts.empty());
  EXPECT_EQ(verdicts.front().cause->rule->id.substr(0, 6), "reset.");
  const auto words = headline(verdicts.front(), told.explained.timeline, Language::en);
  EXPECT_EQ(words, "client send(3) after server had closed → reset by server's kernel; client send(3) = EPIPE")
      << words;
}

TEST(Verdict, what_is_as_it_should_be_makes_none) {
  StoryRecorder story;
  story.open();
  const ExplainedStory told(story);
  const auto [findings, verdicts] = judged(told);
  EXPECT_FALSE(findings.empty());
  for (const Verdict& verdict : verdicts) EXPECT_LT(verdict.severity(), Severity::warning);
}

TEST(Verdict, every_finding_above_chat_is_in_one_verdict_and_in_one_only) {
  const auto story = unread_then_two_errors();
  const auto [findings, verdicts] = judged(story);
  for (const Finding* finding : findings) {
    std::size_t times = 0;
    for (const Verdict& verdict : verdicts)
      times += static_cast<std::size_t>(std::ranges::count(verdict.findings, finding));
    EXPECT_EQ(times, finding->rule->severity == Severity::chat ? 0U : 1U) << finding->rule->id;
  }
}

}  // namespace
}  // namespace tcpwhy::explain
