// For tests: a socket of localhost as the kernel may tell it at one moment.
#pragma once

#include <string_view>

#include "recording/socket_snapshot.h"

namespace tcpwhy::recording::testing {

// 127.0.0.1:9999 to 127.0.0.1:40000, inode 77, held by a process.
inline SocketSnapshot socket_in(std::string_view state) {
  const wire::IpAddress localhost = *wire::IpAddress::parse("127.0.0.1");
  SocketSnapshot socket;
  socket.local = {localhost, 9999};
  socket.remote = {localhost, 40000};
  socket.state = tcp::state_named(state).value();
  socket.inode = 77;
  socket.tcp.emplace();
  return socket;
}

}  // namespace tcpwhy::recording::testing
