#include "render/timeline/words.h"

#include <fmt/args.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

namespace tcpwhy::render {
namespace {

constexpr Word last = Word::or_else;
constexpr int most_places = 8;

// The places that are filled, of eight that are offered.
std::set<int> places_of(std::string_view text) {
  fmt::dynamic_format_arg_store<fmt::format_context> values;
  for (int i = 0; i < most_places; ++i) values.push_back(std::string(1, static_cast<char>('A' + i)) + "<>");
  const std::string filled = fmt::vformat(text, values);
  EXPECT_EQ(filled.find('{'), std::string::npos) << text;
  std::set<int> places;
  for (int i = 0; i < most_places; ++i)
    if (filled.contains(std::string(1, static_cast<char>('A' + i)) + "<>")) places.insert(i);
  return places;
}

TEST(Words, are_there_in_both_languages_and_have_the_same_places) {
  for (int i = 0; i <= static_cast<int>(last); ++i) {
    const auto english = word(static_cast<Word>(i), base::Language::en);
    const auto chinese = word(static_cast<Word>(i), base::Language::zh);
    EXPECT_FALSE(english.empty() || chinese.empty()) << i;
    EXPECT_EQ(places_of(english), places_of(chinese)) << english;
  }
}

TEST(Words, of_timers_are_chinese_in_chinese) {
  for (auto timer = timeline::Timer::delayed_ack; timer <= timeline::Timer::pacing;
       timer = static_cast<timeline::Timer>(static_cast<int>(timer) + 1))
    EXPECT_NE(timer_words(timer, base::Language::zh), timer_words(timer, base::Language::en));
}

}  // namespace
}  // namespace tcpwhy::render
