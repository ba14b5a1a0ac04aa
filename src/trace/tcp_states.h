// The kernel's numbers of TCP states (include/net/tcp_states.h) as RFC 9293's states.
#pragma once

#include <cstdint>
#include <iterator>

#include "tcp/state.h"

namespace tcpwhy::trace {

// TCP_NEW_SYN_RECV (a request) and TCP_SYN_RECV (the connection made of it) are both syn_received; not_seen for a number
// that no kernel uses.
constexpr tcp::State state_of_kernel(std::uint32_t number) {
  using enum tcp::State;
  constexpr tcp::State states[] = {closed, established, syn_sent, syn_received, fin_wait_1, fin_wait_2,  time_wait,
                                   closed, close_wait,  last_ack, listen,       closing,    syn_received};
  return number < std::size(states) ? states[number] : not_seen;
}

}  // namespace tcpwhy::trace
