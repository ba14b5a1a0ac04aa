// The kernel's answer to a request of trace/socket_sampler.h, a datagram at a time.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "trace/socket_sampler.h"

namespace tcpwhy::trace {

struct DiagAnswer {
  std::vector<recording::SocketSnapshot>& sockets;
  // A socket in CLOSED is in no table: the kernel had picked it up in its last state and described it a moment later
  // (inet_diag_dump_icsk() fills outside the bucket's lock), while a TIME-WAIT entry took its place or it ended.
  bool torn = false;
};

// Adds what the datagram holds; says how that went as mnl_cb_run(3) does, with errno. It begins at a multiple of 4.
int take_diag_answer(std::span<const std::uint8_t> datagram, std::uint32_t sequence, DiagAnswer& answer);

}  // namespace tcpwhy::trace
