#include "explain/texts/wire_words.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <set>

#include "base/testing/golden.h"
#include "explain/texts/wire_counters.h"

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
  expect_words<tcp::Illegality>(1, static_cast<std::size_t>(tcp::Illegality::another_syn_ack) + 1);
  expect_words<tcp::ResetCause>(1, tcp::reset_cause_count);
  for (const Language language : both) {
    std::set<std::string_view> seen;
    for (int bit = 0; bit < tcp::mark::count; ++bit) EXPECT_TRUE(seen.insert(mark_words(bit, language)).second) << bit;
    EXPECT_FALSE(seen.contains(""));
  }
  for (std::size_t i = 1; i <= static_cast<std::size_t>(tcp::Illegality::another_syn_ack); ++i)
    EXPECT_TRUE(clause_of(static_cast<tcp::Illegality>(i)).starts_with("RFC ")) << i;
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

TEST(Golden, json_page_has_every_counter) {
  std::string rows;
  for (const WireCounter& counter : wire_counters)
    rows += fmt::format("| `{}` | {} |\n", counter.id,
                        counter.what.empty() ? counter.words(Language::en) : counter.what.en);
  base::testing::expect_golden_table("docs/JSON.md", "| counter | of what an end sent |\n| --- | --- |\n", rows);
}

}  // namespace
}  // namespace tcpwhy::explain
