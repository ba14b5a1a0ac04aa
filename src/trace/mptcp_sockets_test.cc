#include "trace/mptcp_sockets.h"

#include <gtest/gtest.h>

#include "recording/testing/snapshots.h"

namespace tcpwhy::trace {
namespace {

using recording::MptcpPart;
using recording::testing::socket_in;

recording::SocketSnapshot part(std::string_view state, MptcpPart what, std::uint32_t inode, std::uint32_t token) {
  auto made = socket_in(state);
  made.mptcp = what, made.inode = inode, made.mptcp_token = token;
  return made;
}

TEST(MptcpSockets, hold_their_subflows_by_token_or_by_the_ends_of_the_first) {
  std::vector sockets{part("ESTABLISHED", MptcpPart::subflow, 5, 0), part("ESTABLISHED", MptcpPart::subflow, 6, 99),
                      part("ESTABLISHED", MptcpPart::subflow, 7, 0), socket_in("ESTABLISHED")};
  sockets[1].local.port = 1111, sockets[2].local.port = 2222;
  add_mptcp_sockets({part("CLOSE-WAIT", MptcpPart::socket, 77, 99)}, sockets);
  ASSERT_EQ(sockets.size(), 5U);
  EXPECT_EQ(sockets[0].mptcp, MptcpPart::known_subflow);
  EXPECT_EQ(sockets[0].inode, 77U);
  EXPECT_EQ(sockets[1].mptcp, MptcpPart::known_subflow);
  EXPECT_EQ(sockets[2].mptcp, MptcpPart::subflow);  // of which socket is not known
  EXPECT_EQ(sockets[2].inode, 7U);
  EXPECT_EQ(sockets[3].mptcp, MptcpPart::none);
  EXPECT_EQ(sockets[4].state, tcp::State::close_wait);
}

TEST(MptcpSockets, give_a_listener_their_process_and_are_no_second_one) {
  std::vector sockets{part("LISTEN", MptcpPart::none, 5, 0)};
  add_mptcp_sockets({part("LISTEN", MptcpPart::socket, 77, 0)}, sockets);
  ASSERT_EQ(sockets.size(), 1U);
  EXPECT_EQ(sockets[0].inode, 77U);
}

}  // namespace
}  // namespace tcpwhy::trace
