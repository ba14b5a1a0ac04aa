#include "capture/endpoint_filter.h"

#include <gtest/gtest.h>

namespace tcpwhy::capture {
namespace {

wire::SocketAddress at(const char* ip, std::uint16_t port) { return {*wire::IpAddress::parse(ip), port}; }

TEST(EndpointFilter, takes_a_connection_by_either_of_its_ends) {
  const auto filter = EndpointFilter::compile("dst port 5432 and net 10.0.0.0/8");
  ASSERT_TRUE(filter);
  EXPECT_TRUE(filter->fits(at("10.1.2.3", 40000), at("10.0.0.1", 5432)));
  EXPECT_TRUE(filter->fits(at("10.0.0.1", 5432), at("10.1.2.3", 40000)));
  EXPECT_FALSE(filter->fits(at("10.1.2.3", 40000), at("10.0.0.1", 5433)));
  EXPECT_FALSE(filter->fits(at("192.0.2.1", 40000), at("192.0.2.2", 5432)));
}

TEST(EndpointFilter, knows_ipv6) {
  const auto filter = EndpointFilter::compile("host fd00::1");
  ASSERT_TRUE(filter);
  EXPECT_TRUE(filter->fits(at("fd00::2", 1), at("fd00::1", 2)));
  EXPECT_FALSE(filter->fits(at("fd00::2", 1), at("fd00::3", 2)));
}

TEST(EndpointFilter, says_what_does_not_compile) {
  const auto filter = EndpointFilter::compile("port and");
  ASSERT_FALSE(filter);
  EXPECT_EQ(filter.error().kind, base::ErrorKind::usage);
}

}  // namespace
}  // namespace tcpwhy::capture
