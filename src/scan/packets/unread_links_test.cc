#include "scan/packets/unread_links.h"

#include <gtest/gtest.h>

namespace tcpwhy::scan {
namespace {

UnreadLinks counted(std::initializer_list<unsigned> link_types) {
  UnreadLinks links;
  for (const unsigned number : link_types) links.count(wire::LinkType{static_cast<std::uint16_t>(number)});
  return links;
}

TEST(UnreadLinks, those_that_are_read_are_no_words) {
  const auto links = counted({1, 104, 1, 239});
  EXPECT_EQ(links.packets(), 0U);
  EXPECT_TRUE(links.in_words().empty());
  EXPECT_TRUE(links.status());
  EXPECT_TRUE(UnreadLinks().status()) << "no packets";
}

TEST(UnreadLinks, are_named_the_commonest_first) {
  const auto links = counted({143, 1, 147, 60000, 147, 143, 147});
  EXPECT_EQ(links.packets(), 6U);
  EXPECT_EQ(links.in_words().en, "6 packets of link types that are not known: USER0 (147), DOCSIS (143), 60000");
  EXPECT_EQ(links.in_words().zh, "6 个报文的链路类型未知：USER0 (147)、DOCSIS (143)、60000");
  EXPECT_TRUE(links.status()) << "one is read";
  EXPECT_EQ(counted({1, 143}).in_words().en, "1 packet of a link type that is not known: DOCSIS (143)");
}

TEST(UnreadLinks, where_there_is_no_other_packet_the_input_is_unreadable) {
  const auto status = counted({143, 143}).status();
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().kind, base::ErrorKind::unreadable);
  EXPECT_EQ(status.error().message.en, "nothing can be read: 2 packets of a link type that is not known: DOCSIS (143)");
}

TEST(UnreadLinks, a_thousand_types_are_counted_and_not_kept) {
  UnreadLinks links;
  for (int round = 0; round < 3; ++round)
    for (std::uint16_t number = 1000; number < 2000; ++number) links.count(wire::LinkType{number});
  EXPECT_EQ(links.packets(), 3000U);
  EXPECT_EQ(links.in_words().en, "3,000 packets of link types that are not known: 1000, 1001, 1002, 1003, and others");
  EXPECT_EQ(links.in_words().zh, "3,000 个报文的链路类型未知：1000、1001、1002、1003等");
  EXPECT_FALSE(links.status());
}

}  // namespace
}  // namespace tcpwhy::scan
