// The sockets of Multipath TCP (protocol 262) of this moment, which the dump of TCP's sockets has not: `ss -M`.
#pragma once

#include <vector>

#include "base/result.h"
#include "recording/socket_snapshot.h"

namespace tcpwhy::trace {

// Of the network namespace that is current; listeners too. Errors: the kernel tells nothing of them (no mptcp_diag, before 5.10).
base::Result<std::vector<recording::SocketSnapshot>> sample_mptcp_sockets();

// Ties the subflows among `sockets` to `mptcp`: by token, else by the ends that a socket has of its first subflow. What they are of is known then, and
// who holds it. The MPTCP sockets that don't listen go behind `sockets`: what they wait for is in their own state.
void add_mptcp_sockets(std::vector<recording::SocketSnapshot>&& mptcp, std::vector<recording::SocketSnapshot>& sockets);

}  // namespace tcpwhy::trace
