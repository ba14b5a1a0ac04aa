#include "observe/socket_facts.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace tcpwhy::observe
