#include "observe/port_holders.h"

#include <gtest/gtest.h>

namespace tcpwhy::observe {
namespace {

const wire::SocketAddress here{*wire::IpAddress::parse("127.0.0.1"), 9999};
const wire::SocketAddress there{*wire::IpAddress::parse("127.0.0.1"), 40000};

recording::SocketSnapshot socket(const wire::SocketAddress& local, const wire::SocketAddress& remote, tcp::State state,
                                 std::uint32_t inode) {
  recording::SocketSnapshot snapshot;
  snapshot.local = local, snapshot.remote = remote, snapshot.state = state, snapshot.inode = inode;
  return snapshot;
}

TEST(HoldersOfPort, are_the_sockets_of_that_local_port_with_who_holds_them) {
  recording::Recording recording;
  recording.actors.push_back({"mine", 1, 1, "mine", ""});
  recording::SocketHolders holders;
  holders.by_inode[7] = {{42, 3, "helper"}};
  add_holders_of_port(
      9999,
      std::vector{socket(here, there, tcp::State::time_wait, 0), socket(here, {}, tcp::State::listen, 7),
                  socket(there, here, tcp::State::established, 8)},
      holders, {}, recording);
  ASSERT_EQ(recording.events.size(), 2U);  // not the one that has the port at its other end
  const auto& first = std::get<recording::SocketState>(recording.events[0].what);
  EXPECT_EQ(first.to, tcp::State::listen);  // first, whatever the order of the kernel's list
  EXPECT_EQ(recording.actors[recording.events[0].actor.value].name, "helper");
  EXPECT_EQ(recording.actors[recording.events[0].actor.value].pid, 42);
  // Nobody holds an entry in TIME-WAIT: an actor without a name, so that the event is not taken for one of the program's sockets.
  ASSERT_TRUE(recording.events[1].actor.valid());
  EXPECT_EQ(recording.actors[recording.events[1].actor.value].pid, 0);
}

TEST(HoldersOfPort, are_not_looked_for_where_nothing_failed_for_its_port) {
  recording::Recording recording;
  recording::CallEntered entered;
  entered.name = "bind", entered.arguments = "3, {sa_family=AF_INET, sin_port=htons(9999), sin_addr=...}, 16";
  recording::CallReturned returned;
  recording.events = {{{}, {}, entered}, {{}, {}, returned}};
  look_for_port_holders(recording);
  EXPECT_EQ(recording.events.size(), 2U);
}

}  // namespace
}  // namespace tcpwhy::observe
