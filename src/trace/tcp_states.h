// The kernel's numbers of TCP states (include/net/tcp_states.h) in RFC 9293's spelling.
#pragma once

#include <cstdint>
#include <string_view>

namespace tcpwhy::trace {

// "ESTABLISHED", "FIN-WAIT-1", ...; TCP_NEW_SYN_RECV (a request) and TCP_SYN_RECV (the connection made of it) are both SYN-RECEIVED;
// "?" for a number that no kernel uses.
constexpr std::string_view tcp_state_name(std::uint8_t number) {
  constexpr std::string_view names[] = {"CLOSED",     "ESTABLISHED", "SYN-SENT",    "SYN-RECEIVED", "FIN-WAIT-1",
                                        "FIN-WAIT-2", "TIME-WAIT",   "CLOSED",      "CLOSE-WAIT",   "LAST-ACK",
                                        "LISTEN",     "CLOSING",     "SYN-RECEIVED"};
  return number < std::size(names) ? names[number] : "?";
}

}  // namespace tcpwhy::trace
