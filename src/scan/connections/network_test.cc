#include "scan/connections/network.h"

#include <gtest/gtest.h>

#include <string>

namespace tcpwhy::scan {
namespace {

wire::IpAddress ip(std::string_view text) { return *wire::IpAddress::parse(text); }

bool contains(std::string_view network, std::string_view address) {
  const auto parsed = Network::parse(network);
  EXPECT_TRUE(parsed) << network;
  return parsed && parsed->contains(ip(address));
}

bool matches(std::string_view pattern, std::string_view address, std::uint16_t port) {
  const auto parsed = EndPattern::parse(pattern);
  EXPECT_TRUE(parsed) << pattern;
  return parsed && parsed->matches({ip(address), port});
}

TEST(Network, has_the_addresses_that_begin_alike) {
  EXPECT_TRUE(contains("10.0.0.0/24", "10.0.0.255"));
  EXPECT_FALSE(contains("10.0.0.0/24", "10.0.1.0"));
  EXPECT_TRUE(contains("10.0.0.128/25", "10.0.0.200"));
  EXPECT_FALSE(contains("10.0.0.128/25", "10.0.0.127"));
  EXPECT_TRUE(contains("10.0.0.77/24", "10.0.0.1")) << "that of this host";
  EXPECT_TRUE(contains("0.0.0.0/0", "203.0.113.9"));
  EXPECT_FALSE(contains("0.0.0.0/0", "2001:db8::1"));
  EXPECT_TRUE(contains("2001:db8::/33", "2001:db8:7fff::1"));
  EXPECT_FALSE(contains("2001:db8::/33", "2001:db8:8000::1"));
  EXPECT_TRUE(contains("[2001:db8::1]", "2001:db8::1"));
  EXPECT_FALSE(contains("10.0.0.1", "10.0.0.2"));
}

TEST(Network, mapped_addresses_are_ipv4) {
  EXPECT_TRUE(contains("10.0.0.0/24", "::ffff:10.0.0.9"));
  EXPECT_TRUE(contains("::ffff:10.0.0.9", "10.0.0.9"));
  EXPECT_TRUE(contains("::ffff:10.0.0.0/120", "10.0.0.9"));
  EXPECT_FALSE(contains("::ffff:10.0.0.0/120", "10.0.1.9"));
  EXPECT_TRUE(contains("::/0", "::ffff:10.0.0.9"));
}

TEST(Network, is_written_with_its_length) {
  EXPECT_EQ(to_string(Network::around(ip("192.0.2.77"), 24, 64)), "192.0.2.0/24");
  EXPECT_EQ(to_string(Network::around(ip("::ffff:192.0.2.77"), 24, 64)), "192.0.2.0/24");
  EXPECT_EQ(to_string(Network::around(ip("2001:db8:1:2:3::4"), 24, 64)), "2001:db8:1:2::/64");
  EXPECT_EQ(to_string(*Network::parse("192.0.2.77/32")), "192.0.2.77");
}

TEST(Network, what_is_none) {
  for (const char* text : {"", "10.0.0", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "::1/129", "server", "[::1",
                           "10.0.0.0/2x", "10.0.0.1:80"})
    EXPECT_FALSE(Network::parse(text)) << text;
}

TEST(EndPattern, address_network_port_or_both) {
  EXPECT_TRUE(matches("10.0.0.1", "10.0.0.1", 80));
  EXPECT_TRUE(matches("10.0.0.0/24", "10.0.0.1", 80));
  EXPECT_TRUE(matches("10.0.0.0/24:80", "10.0.0.1", 80));
  EXPECT_FALSE(matches("10.0.0.0/24:80", "10.0.0.1", 81));
  EXPECT_TRUE(matches("10.0.0.1:80", "10.0.0.1", 80));
  EXPECT_FALSE(matches("10.0.0.1:80", "10.0.0.2", 80));
  EXPECT_TRUE(matches(":80", "10.0.0.1", 80));
  EXPECT_TRUE(matches("80", "10.0.0.1", 80));
  EXPECT_TRUE(matches("[2001:db8::1]:80", "2001:db8::1", 80));
  EXPECT_FALSE(matches("[2001:db8::1]:80", "2001:db8::1", 81));
  EXPECT_TRUE(matches("2001:db8::1", "2001:db8::1", 80));
  EXPECT_TRUE(matches("2001:db8::1:80", "2001:db8::1:80", 5)) << "without brackets the whole is an address";
  EXPECT_TRUE(matches("[2001:db8::/32]:80", "2001:db8:5::1", 80));
}

TEST(EndPattern, what_is_none) {
  for (const char* text : {"", ":", "10.0.0.1:", "10.0.0.1:65536", "x:80", "10.0.0.0/33:80", "[::1]80", "server"})
    EXPECT_FALSE(EndPattern::parse(text)) << text;
}

}  // namespace
}  // namespace tcpwhy::scan
