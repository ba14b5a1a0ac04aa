#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

#include "base/units.h"
#include "explain/explain.h"
#include "explain/texts/catalogue.h"
#include "explain/texts/headlines.h"

namespace tcpwhy::explain {
namespace {

std::set<std::string> places(std::string_view text) {
  std::set<std::string> found;
  for (auto open = text.find('{'); open != std::string_view::npos; open = text.find('{', open + 1)) {
    const auto place = std::string(text.substr(open + 1, text.find('}', open) - open - 1));
    if (!place.starts_with("on, ")) found.insert(place.ends_with("_zh") ? place.substr(0, place.size() - 3) : place);
  }
  return found;
}

TEST(Catalogue, every_rule_has_a_text_in_both_languages_with_the_same_places) {
  for (const Rule& rule : rules()) {
    const FindingText* text = find_text(rule.id);
    ASSERT_NE(text, nullptr) << rule.id;
    EXPECT_FALSE(text->said.en.empty()) << rule.id;
    EXPECT_FALSE(text->said.zh.empty()) << rule.id;
    EXPECT_EQ(places(text->said.en), places(text->said.zh)) << rule.id;
    EXPECT_EQ(text->remedy.en.empty(), text->remedy.zh.empty()) << rule.id;
    EXPECT_EQ(places(text->remedy.en), places(text->remedy.zh)) << rule.id;
  }
}

TEST(Catalogue, has_no_text_without_a_rule_and_no_id_twice) {
  std::set<std::string_view> ids;
  for (const FindingText& text : texts()) {
    EXPECT_NE(find_rule(text.id), nullptr) << text.id;
    EXPECT_TRUE(ids.insert(text.id).second) << text.id;
  }
  EXPECT_EQ(ids.size(), rules().size());
}

TEST(Headlines, are_there_for_what_is_wrong_and_for_rules_that_exist) {
  std::set<std::string_view> ids;
  for (const Headline& row : headlines()) {
    EXPECT_NE(find_rule(row.id), nullptr) << row.id;
    EXPECT_TRUE(ids.insert(row.id).second) << row.id;
    EXPECT_FALSE(row.text.en.empty() || row.text.zh.empty()) << row.id;
    EXPECT_EQ(places(row.text.en), places(row.text.zh)) << row.id;
  }
  for (const Rule& rule : rules())
    EXPECT_TRUE(rule.severity < Severity::warning || ids.contains(rule.id)) << rule.id << " has no headline";
}

TEST(Catalogue, a_rule_says_when_it_is_set_and_what_it_rests_on) {
  for (const Rule& rule : rules()) {
    EXPECT_FALSE(rule.when.empty()) << rule.id;
    EXPECT_FALSE(rule.rests_on.empty()) << rule.id;
  }
}

TEST(Answers, need_rules_that_exist_and_fill_places_of_those_they_need) {
  for (const AnswerRow& row : answer_rows()) {
    EXPECT_FALSE(row.needs.empty());
    for (const auto rule : row.needs) EXPECT_NE(find_rule(rule), nullptr) << rule;
    EXPECT_EQ(places(row.text.en), places(row.text.zh)) << row.text.en;
    for (const auto& place : places(row.text.en)) {
      const auto rule = place.substr(0, place.find('/'));
      EXPECT_NE(std::ranges::find(row.needs, rule), row.needs.end()) << place;
      const auto in_text = places(find_text(rule)->said.en);
      EXPECT_TRUE(in_text.contains(place.substr(place.find('/') + 1))) << place;
    }
  }
}

TEST(Answers, exist_for_all_seven_questions) {
  ASSERT_EQ(questions().size(), 7U);
  for (const Question& question : questions())
    EXPECT_TRUE(std::ranges::any_of(answer_rows(), [&](const auto& row) { return row.question == question.number; }));
}

TEST(Fill, puts_slots_into_places_and_translates_the_ends) {
  EXPECT_EQ(fill("{who}: {n}", {{"who", std::string("server")}, {"n", std::int64_t{3}}}, Language::zh), "服务器: 3");
  EXPECT_EQ(fill("{who} {missing}", {{"who", std::string("server")}}, Language::en), "the server {missing}");
}

TEST(Fill, puts_no_blank_behind_chinese_punctuation) {
  const Slots slots = {{"unread_zh", std::string(" 10 字节")}};
  EXPECT_EQ(fill("关闭：{unread_zh}未读", slots, Language::zh), "关闭：10 字节未读");
  EXPECT_EQ(fill("发来的{unread_zh}未读", slots, Language::zh), "发来的 10 字节未读");
}
TEST(Fill, counts_one_of_something_as_one) {
  const Slots one = {{"n", std::int64_t{1}}}, eleven = {{"n", std::int64_t{11}}};
  EXPECT_EQ(fill("{n} bytes of it, {n} TIME-WAIT entries", one, Language::en), "1 byte of it, 1 TIME-WAIT entries");
  EXPECT_EQ(fill("its {n} entries", one, Language::en), "its 1 entry");
  EXPECT_EQ(fill("{n} bytes", eleven, Language::en), "11 bytes");
}
TEST(Fill, lets_no_escape_sequence_through) {
  EXPECT_EQ(fill("{who}", {{"who", std::string("\x1b[2J")}}, Language::en).find('\x1b'), std::string::npos);
}

}  // namespace
}  // namespace tcpwhy::explain
