#include "observe/interface_addresses.h"

#include <gtest/gtest.h>

namespace tcpwhy::observe {
namespace {

wire::SocketAddress at(std::string_view ip, std::uint16_t port) { return {*wire::IpAddress::parse(ip), port}; }

TEST(InterfaceAddresses, of_loopback_are_those_of_connections_within_this_machine) {
  const auto lo = InterfaceAddresses::of("lo");
  ASSERT_TRUE(lo) << lo.error().message.en;
  EXPECT_TRUE(lo->fits(at("127.0.0.1", 4000), at("127.0.0.1", 80)));
  EXPECT_TRUE(lo->fits(at("127.0.0.1", 4000), at("127.9.9.9", 80)));
  EXPECT_TRUE(lo->fits(at("::ffff:127.0.0.1", 4000), at("::ffff:127.0.0.1", 80)));
  EXPECT_FALSE(lo->fits(at("192.0.2.1", 4000), at("198.51.100.7", 80)));  // RFC 5737: nobody's
}

TEST(InterfaceAddresses, of_no_interface_are_a_mistake_that_names_those_there_are) {
  const auto none = InterfaceAddresses::of("nosuch0");
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().kind, base::ErrorKind::usage);
  EXPECT_NE(none.error().hint.en.find("lo"), std::string::npos) << none.error().hint.en;
}

}  // namespace
}  // namespace tcpwhy::observe
