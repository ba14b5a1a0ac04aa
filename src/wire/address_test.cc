#include "wire/address.h"

#include <gtest/gtest.h>

namespace tcpwhy::wire {
namespace {

IpAddress address(std::string_view text) { return IpAddress::parse(text).value(); }

TEST(Address, text_form_is_that_of_inet_ntop) {
  for (const char* text : {"0.0.0.0", "127.0.0.1", "255.255.255.255", "::", "::1", "2001:db8::1", "::ffff:127.0.0.1",
                           "fe80::1:0:0:1", "2001:db8:1:2:3:4:5:6"}) {
    EXPECT_EQ(to_string(address(text)), text);
  }
  EXPECT_EQ(to_string(IpAddress{}), "none");
}

TEST(Address, nothing_but_addresses_is_parsed) {
  for (const char* text : {"", "localhost", "127.0.0", "127.0.0.1 ", "127.0.0.256", "127.1", "[::1]", "::1%lo",
                           ":::", "1:2:3:4:5:6:7:8:9", "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000"}) {
    EXPECT_FALSE(IpAddress::parse(text)) << text;
  }
  EXPECT_FALSE(IpAddress::parse(std::string_view("127.0.0.1\0", 10)));
}

TEST(Address, unmapped_turns_only_mapped_addresses) {
  EXPECT_EQ(address("::ffff:10.1.2.3").unmapped(), address("10.1.2.3"));
  for (const char* text : {"10.1.2.3", "::10.1.2.3", "::fffe:10.1.2.3", "1::ffff:10.1.2.3"}) {
    EXPECT_EQ(address(text).unmapped(), address(text)) << text;
  }
}

TEST(Address, unspecified) {
  EXPECT_TRUE(address("0.0.0.0").is_unspecified());
  EXPECT_TRUE(address("::").is_unspecified());
  EXPECT_TRUE(IpAddress{}.is_unspecified());
  EXPECT_FALSE(address("::1").is_unspecified());
}

TEST(Address, families_never_compare_equal) {
  EXPECT_NE(address("0.0.0.0"), address("::"));
  EXPECT_NE(address("::ffff:10.1.2.3"), address("10.1.2.3"));
}

TEST(Address, socket_addresses_bracket_ipv6) {
  EXPECT_EQ(fmt::format("{}", SocketAddress{address("127.0.0.1"), 9999}), "127.0.0.1:9999");
  EXPECT_EQ(fmt::format("{:>12}", SocketAddress{address("::1"), 65535}), " [::1]:65535");
  EXPECT_EQ(fmt::format("{}", address("::1")), "::1");
}

}  // namespace
}  // namespace tcpwhy::wire
