#include "observe/socket_facts.h"

#include <gtest/gtest.h>

#include <initializer_list>

namespace tcpwhy::observe {
namespace {

TEST(SocketFilter, takes_either_end) {
  recording::SocketSnapshot socket;
  const wire::IpAddress localhost = *wire::IpAddress::parse("127.0.0.1");
  socket.local = {localhost, 9999};
  socket.remote = {localhost, 40000};
  socket.inode = 77;
  recording::SocketHolders holders;
  holders.by_inode[77] = {{42, 4, "x"}};
  EXPECT_TRUE((SocketFilter{.ports = {9999}, .hosts = {}, .pids = {}}).fits(socket, holders));
  EXPECT_TRUE((SocketFilter{.ports = {1, 40000}, .hosts = {}, .pids = {42}}).fits(socket, holders));
  EXPECT_FALSE((SocketFilter{.ports = {80}, .hosts = {}, .pids = {}}).fits(socket, holders));
  EXPECT_FALSE((SocketFilter{.ports = {}, .hosts = {}, .pids = {43}}).fits(socket, holders));
}

TEST(SocketFilter, keeps_what_was_not_asked_for_behind) {
  recording::SocketFacts facts;
  for (const std::uint16_t port : std::initializer_list<std::uint16_t>{1, 2, 3, 2}) {
    facts.sockets.emplace_back();
    facts.sockets.back().local.port = port;
  }
  apply({.ports = {2}, .hosts = {}, .pids = {}}, facts);
  ASSERT_EQ(facts.asked().size(), 2U);
  for (const auto& socket : facts.asked()) EXPECT_EQ(socket.local.port, 2);
  EXPECT_EQ(facts.sockets.size(), 4U);
}

}  // namespace
}  // namespace tcpwhy::observe
