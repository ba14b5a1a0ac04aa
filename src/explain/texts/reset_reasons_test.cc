// The table of reset reasons is whole: every way in which a reason can be known leads to one row, and each row tells it in both languages.
#include "explain/texts/reset_reasons.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <set>
#include <string>

#include "explain/texts/catalogue.h"

namespace tcpwhy::explain {
namespace {

constexpr Language both[] = {Language::en, Language::zh};

// Of an id, a problem, a word of the kernel: none in two rows.
template <class Values>
void expect_each_once(Values values_of) {
  std::set<std::string_view> seen;
  for (const ResetReason& row : reset_reasons())
    for (const std::string_view value : values_of(row))
      EXPECT_TRUE(value.empty() || seen.insert(value).second) << value << " stands in two rows";
}

TEST(ResetReasons, no_id_problem_or_word_of_the_kernel_stands_in_two_rows) {
  expect_each_once([](const ResetReason& row) { return std::array{row.id}; });
  expect_each_once([](const ResetReason& row) { return std::array{row.on_wire.problem}; });
  expect_each_once([](const ResetReason& row) { return std::array{row.kernel.cause}; });
  expect_each_once([](const ResetReason& row) { return row.kernel.reasons; });
}

TEST(ResetReasons, each_cause_that_a_wire_shows_has_one_row_with_its_words) {
  for (std::size_t i = 1; i < tcp::reset_cause_count; ++i) {
    const auto cause = static_cast<tcp::ResetCause>(i);
    EXPECT_EQ(std::ranges::count(reset_reasons(), cause, &ResetReason::wire), 1) << tcp::name(cause);
    const ResetOnWire& told = reset_reason_on_wire(cause).on_wire;
    for (const Language language : both) {
      EXPECT_FALSE(told.short_form.in(language).empty()) << tcp::name(cause);
      EXPECT_FALSE(told.sentence.in(language).empty()) << tcp::name(cause);
      EXPECT_FALSE(told.because.in(language).empty()) << tcp::name(cause);
    }
    EXPECT_EQ(told.problem.empty(), told.summary.empty()) << tcp::name(cause);
  }
}

// tcp/reset_cause.cc assumes these: the row must name what else it may be.
TEST(ResetReasons, what_a_wire_may_assume_names_the_alternative) {
  using enum tcp::ResetCause;
  for (const auto cause : {refused, data_after_close, no_connection, gave_up, let_go, alone, third_party, unread_data,
                           aborted, idle, keep_alive_gave_up})
    EXPECT_FALSE(reset_reason_on_wire(cause).on_wire.or_else.empty()) << tcp::name(cause);
}

// The kernel's reasons that a kernel of 6.10 to 6.14 gives for a reset and that say something by themselves; NOT_SPECIFIED, ERROR and those of
// MPTCP do not.
TEST(ResetReasons, each_reason_that_the_kernel_gives_leads_to_a_row) {
  for (const std::string_view reason :
       {"NO_SOCKET", "TCP_FLAGS", "TCP_INVALID_ACK_SEQUENCE", "TCP_TIMEWAIT_SOCKET", "INVALID_SYN",
        "TCP_ABORT_ON_CLOSE", "TCP_ABORT_ON_LINGER", "TCP_ABORT_ON_MEMORY", "TCP_STATE", "TCP_KEEPALIVE_TIMEOUT",
        "TCP_ABORT_ON_DATA"})
    EXPECT_NE(reset_reason_of_kernel("", reason), nullptr) << reason;
  EXPECT_EQ(reset_reason_of_kernel("", ""), nullptr);
  EXPECT_EQ(reset_reason_of_kernel("", "SOMETHING_NEW"), nullptr);
}

TEST(ResetReasons, the_kernels_stack_goes_before_its_reason_which_several_causes_share) {
  EXPECT_EQ(reset_reason_of_kernel("close.linger_zero", "TCP_STATE")->id, "reset.linger_zero");
  EXPECT_EQ(reset_reason_of_kernel("segment.refused", "TCP_ABORT_ON_DATA")->id, "reset.orphan_fin_wait_1");
}

TEST(ResetReasons, each_cause_by_the_kernels_stack_is_one_that_is_documented) {
  std::ifstream file(TCPWHY_SOURCE_DIR "/docs/KERNEL-CAUSES.md");
  const std::string page{std::istreambuf_iterator<char>(file), {}};
  for (const ResetReason& row : reset_reasons())
    EXPECT_TRUE(row.kernel.cause.empty() || page.contains("\n| `" + std::string(row.kernel.cause) + "` | "))
        << row.kernel.cause;
}

TEST(ResetReasons, a_row_that_another_one_names_exists_and_tells_more_widely) {
  for (const ResetReason& row : reset_reasons()) {
    EXPECT_TRUE(row.at_exit.empty() || find_reset_reason(row.at_exit) != nullptr) << row.id;
    if (row.wider.empty()) continue;
    const ResetReason* wider = find_reset_reason(row.wider);
    ASSERT_NE(wider, nullptr) << row.id;
    EXPECT_TRUE(wider->wider.empty()) << row.id;
    EXPECT_NE(wider->wire, tcp::ResetCause::none)
        << row.id << ": a wire sees less than anybody, and tells the wider one";
    EXPECT_EQ(row.wire, tcp::ResetCause::none) << row.id;
  }
}

std::set<std::string> places(std::string_view text) {
  std::set<std::string> found;
  for (auto open = text.find('{'); open != std::string_view::npos; open = text.find('{', open + 1)) {
    auto place = std::string(text.substr(open + 1, text.find('}', open) - open - 1));
    if (place.ends_with("_zh")) place.resize(place.size() - 3);
    found.insert(std::move(place));
  }
  return found;
}

TEST(ResetReasons, each_row_is_told_by_somebody_and_each_text_in_both_languages_with_the_same_places) {
  for (const ResetReason& row : reset_reasons()) {
    EXPECT_FALSE(row.rests_on.empty()) << row.id;
    EXPECT_FALSE(row.finding.empty() && row.ending.empty() && row.on_wire.sentence.empty()) << row.id;
    EXPECT_EQ(row.finding.empty(), row.when.empty()) << row.id;
    for (const Text& text :
         {row.kernel.row_words, row.finding, row.ending, row.answer, row.remedy, row.on_wire.short_form,
          row.on_wire.sentence, row.on_wire.because, row.on_wire.or_else, row.on_wire.summary}) {
      EXPECT_EQ(text.en.empty(), text.zh.empty()) << row.id;
      EXPECT_EQ(places(text.en), places(text.zh)) << row.id << ": " << text.en;
    }
  }
}

// A capture knows the two ends and no more.
TEST(ResetReasons, what_a_wire_tells_has_no_other_places_than_the_two_ends_and_how_long_it_was_idle) {
  for (const ResetReason& row : reset_reasons()) {
    if (row.wire == tcp::ResetCause::none) continue;
    for (const Text& text :
         {row.on_wire.sentence, row.on_wire.because, row.on_wire.or_else, row.on_wire.summary, row.remedy})
      for (const std::string& place : places(text.en))
        EXPECT_TRUE(place == "who" || place == "peer" || (place == "idle" && row.wire == tcp::ResetCause::idle))
            << row.id << ": {" << place << "}";
    EXPECT_TRUE(places(row.on_wire.short_form.en).empty() && places(row.on_wire.summary.en).empty()) << row.id;
  }
}

}  // namespace
}  // namespace tcpwhy::explain
