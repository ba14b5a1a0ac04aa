#include "explain/wire_words.h"

#include <gtest/gtest.h>

#include <set>

#include "explain/catalogue.h"

namespace tcpwhy::explain {
namespace {

constexpr Language both[] = {Language::en, Language::zh};

// Each of `count` values from `first` on has words, and no two the same.
template <class Enum>
void expect_words(std::size_t first, std::size_t count) {
  for (const Language language : both) {
    std::set<std::string_view> seen;
    for (std::size_t i = first; i < count; ++i) {
      const auto value = static_cast<Enum>(i);
      EXPECT_FALSE(words(value, language).empty()) << name(value);
      EXPECT_TRUE(seen.insert(words(value, language)).second) << name(value);
    }
  }
}

TEST(WireWords, no_value_lacks_a_language) {
  expect_words<tcp::Kind>(0, tcp::kind_count);
  expect_words<tcp::RetransmissionReason>(1, static_cast<std::size_t>(tcp::RetransmissionReason::unknown) + 1);
  expect_words<tcp::Illegality>(1, static_cast<std::size_t>(tcp::Illegality::ack_out_of_window) + 1);
  expect_words<tcp::ResetCause>(1, tcp::reset_cause_count);
  for (const Language language : both) {
    std::set<std::string_view> seen;
    for (int bit = 0; bit < tcp::mark::count; ++bit) EXPECT_TRUE(seen.insert(mark_words(bit, language)).second) << bit;
    EXPECT_FALSE(seen.contains(""));
  }
  for (std::size_t i = 1; i <= static_cast<std::size_t>(tcp::Illegality::ack_out_of_window); ++i)
    EXPECT_TRUE(clause_of(static_cast<tcp::Illegality>(i)).starts_with("RFC ")) << i;
}

TEST(WireWords, every_reset_cause_says_what_happened_and_why_we_say_it) {
  for (std::size_t i = 1; i < tcp::reset_cause_count; ++i) {
    const auto cause = static_cast<tcp::ResetCause>(i);
    const ResetText& text = text_of(cause);
    for (const Language language : both) {
      EXPECT_FALSE(text.happened(language).empty()) << name(cause);
      EXPECT_FALSE(text.because(language).empty()) << name(cause);
      const std::string filled =
          fill(std::string(text.happened(language)) + std::string(text.because(language)) +
                   std::string(text.or_else(language)) + std::string(text.remedy(language)),
               {{"sender", std::string("10.0.0.1:80")}, {"receiver", std::string("10.0.0.2:4000")}}, language);
      EXPECT_EQ(filled.find('{'), std::string::npos) << filled;
    }
    EXPECT_EQ(text.or_else_en.empty(), text.or_else_zh.empty()) << name(cause);
    EXPECT_EQ(text.remedy_en.empty(), text.remedy_zh.empty()) << name(cause);
  }
}

// tcp/reset_cause.cc assumes these: the row must name what else it may be.
TEST(WireWords, what_may_be_assumed_names_the_alternative) {
  using enum tcp::ResetCause;
  for (const auto cause : {refused, data_after_close, no_connection, third_party, unread_data, aborted})
    EXPECT_FALSE(text_of(cause).or_else_en.empty()) << name(cause);
}

TEST(SegmentInWords, is_empty_where_the_flags_say_it_all) {
  using enum tcp::Kind;
  for (const auto kind : {syn, syn_ack, data, fin, ack}) {
    tcp::Verdict verdict;
    verdict.kind = kind;
    verdict.marks = tcp::mark::with_fin;
    EXPECT_EQ(segment_in_words(verdict, Language::en), "") << name(kind);
  }
}

TEST(SegmentInWords, joins_class_reason_and_marks) {
  tcp::Verdict verdict;
  verdict.kind = tcp::Kind::retransmission;
  verdict.reason = tcp::RetransmissionReason::tail_loss_probe;
  verdict.marks = tcp::mark::needless | tcp::mark::carries_new | tcp::mark::assumed;
  EXPECT_EQ(segment_in_words(verdict, Language::en), "retransmission: tail-loss probe, needless, carries new data too");
  EXPECT_EQ(segment_in_words(verdict, Language::zh), "重传：尾部丢失探测，不必要，也带新数据");
  verdict = {};
  verdict.kind = tcp::Kind::illegal;
  verdict.illegality = tcp::Illegality::out_of_window;
  EXPECT_EQ(segment_in_words(verdict, Language::en), "illegal: outside the window");
  verdict = {};
  verdict.marks = tcp::mark::zero_window;
  EXPECT_EQ(segment_in_words(verdict, Language::en), "zero window");
}

}  // namespace
}  // namespace tcpwhy::explain
