#include "base/language.h"

#include <gtest/gtest.h>

#include "base/format.h"

namespace tcpwhy::base {
namespace {

TEST(Text, is_told_in_the_language_asked_for) {
  constexpr Text closed{"closed", "已关闭"};
  EXPECT_EQ(closed.in(Language::en), "closed");
  EXPECT_EQ(closed.in(Language::zh), "已关闭");
  EXPECT_FALSE(closed.empty());
  EXPECT_TRUE(Text().empty());
}

TEST(OwnedText, joins_with_each_language_its_own_separator) {
  OwnedText list;
  list.join({", ", "、"}, {"one", "一"});
  EXPECT_EQ(list.in(Language::en), "one");
  list.join({", ", "、"}, {"two", "二"});
  EXPECT_EQ(list.in(Language::en), "one, two");
  EXPECT_EQ(list.in(Language::zh), "一、二");
}

TEST(OwnedText, is_taken_where_a_text_is_asked_for) {
  const OwnedText made{"made", "做成"};
  const Text seen = made;
  EXPECT_EQ(seen.in(Language::zh), "做成");
}

TEST(OwnedText, is_the_same_in_both_languages_where_there_is_nothing_to_translate) {
  EXPECT_EQ(both("ls -l").in(Language::en), "ls -l");
  EXPECT_EQ(both("ls -l").in(Language::zh), "ls -l");
}

TEST(Format, writes_each_text_in_its_language) {
  const OwnedText end{"the client", "客户端"};
  const OwnedText said = format({"{} of {}: {}", "{1} 的{0}：{2}"}, Text{"the port", "端口"}, end, 9999);
  EXPECT_EQ(said.en, "the port of the client: 9999");
  EXPECT_EQ(said.zh, "客户端 的端口：9999");
  EXPECT_EQ(format(Language::zh, {"{}!", "{}！"}, end), "客户端！");
}

}  // namespace
}  // namespace tcpwhy::base
