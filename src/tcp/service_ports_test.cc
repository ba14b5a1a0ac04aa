// Which of two ports is the server's, where the opening was not captured.
#include "tcp/service_ports.h"

#include <gtest/gtest.h>

#include "tcp/seen_connection.h"

namespace tcpwhy::tcp {
namespace {

TEST(ServicePorts, tell_who_was_asked_where_nothing_else_does) {
  const auto opener = [](std::uint16_t first, std::uint16_t second) {
    const auto host = *wire::IpAddress::parse("10.0.0.1");
    const PerEnd<wire::SocketAddress> ends{wire::SocketAddress{host, first}, wire::SocketAddress{host, second}};
    return ends[opener_of(Tracker(), ends)].port;
  };
  constexpr std::uint16_t services[] = {44818, 20000, 2404, 5222, 3389};
  for (const std::uint16_t service : services) {
    EXPECT_EQ(opener(service, 1050), 1050);  // whatever is given to programs that connect
    EXPECT_EQ(opener(1050, service), 1050);
    EXPECT_EQ(opener(service, 50'000), 50'000);
    EXPECT_EQ(opener(service, 80), service);
  }
  EXPECT_EQ(opener(8080, 5222), 8080) << "of two services the higher port";
  EXPECT_EQ(opener(1050, 1051), 1051);
}

}  // namespace
}  // namespace tcpwhy::tcp
