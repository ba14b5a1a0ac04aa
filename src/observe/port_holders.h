// Who has the port that a call of the traced program could not have: looked for when the calls are known, since whoever has it need not be
// traced, nor do anything meanwhile.
#pragma once

#include <cstdint>
#include <span>

#include "recording/recording.h"
#include "recording/socket_facts.h"

namespace tcpwhy::observe {

// The sockets of that local port as events: SocketState, whose actor is the process that holds the socket; one without a name where
// nobody is seen to (TIME-WAIT, another user's process). Adds those actors. `at`: when they were looked for.
void add_holders_of_port(std::uint16_t port, std::span<const recording::SocketSnapshot> sockets,
                         const recording::SocketHolders& holders, base::WallTime at, recording::Recording& recording);

// Of the ports for which calls of the recording failed with EADDRINUSE. What cannot be looked up is left out.
void look_for_port_holders(recording::Recording& recording);

}  // namespace tcpwhy::observe
