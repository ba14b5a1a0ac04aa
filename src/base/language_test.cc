#include "base/language.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace tcpwhy::base
