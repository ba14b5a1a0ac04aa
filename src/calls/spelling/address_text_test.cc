#include "calls/spelling/address_text.h"

#include <gtest/gtest.h>

namespace tcpwhy::calls {
namespace {

constexpr std::string_view v4 = R"({sa_family=AF_INET, sin_port=htons(9999), sin_addr=inet_addr("127.0.0.1")})";
constexpr std::string_view v6 =
    R"({sa_family=AF_INET6, sin6_port=htons(80), sin6_flowinfo=htonl(0), inet_pton(AF_INET6, "fd09::1", &sin6_addr), sin6_scope_id=0})";

TEST(AddressText, is_read_back) {
  EXPECT_EQ(wire::to_string(*read_address(v4)), "127.0.0.1:9999");
  EXPECT_EQ(wire::to_string(*read_address(v6)), "[fd09::1]:80");
  for (const std::string_view none : {"", "NULL", "{sa_family=AF_UNIX, sun_path=\"/x\"}",
                                      R"({sa_family=AF_INET, sin_port=htons(70000), sin_addr=inet_addr("127.0.0.1")})",
                                      R"({sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("1.2.3")})"})
    EXPECT_FALSE(read_address(none)) << none;
}

TEST(AddressText, stands_short_in_a_line_without_its_length) {
  const auto line = [](std::string_view before, std::string_view address, std::string_view behind) {
    return with_short_addresses(std::string(before) + std::string(address) + std::string(behind));
  };
  EXPECT_EQ(line("connect(3, ", v4, ", 16) = 0"), "connect(3, 127.0.0.1:9999) = 0");
  EXPECT_EQ(line("accept(3, ", v6, ", [128 => 28]) = 4"), "accept(3, [fd09::1]:80) = 4");
  EXPECT_EQ(line("sendto(3, \"x\", 1, 0, ", v4, ", 16) = 1"), "sendto(3, \"x\", 1, 0, 127.0.0.1:9999) = 1");
  EXPECT_EQ(with_short_addresses("bind(3, {sa_family=AF_UNIX, sun_path=\"/x\"}, 5) = 0"),
            "bind(3, {sa_family=AF_UNIX, sun_path=\"/x\"}, 5) = 0");
}

}  // namespace
}  // namespace tcpwhy::calls
