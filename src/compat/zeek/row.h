// A line of Zeek's conn.log.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "wire/address.h"

namespace tcpwhy::compat::zeek {

// What Zeek knows of an end of a connection. The order is Zeek's (TCP_INACTIVE = 0 ...).
enum class State : std::uint8_t {
  inactive,      // nothing seen
  syn_sent,      // a SYN
  syn_ack_sent,  // a SYN-ACK by the end that counts as the originator
  partial,       // something else than a SYN came first
  established,
  closed,  // FIN
  reset,   // RST
};

struct EndRow {
  wire::SocketAddress address;
  State state = State::inactive;
  std::uint64_t bytes = 0;  // of payload, by the sequence numbers
  std::uint64_t packets = 0, ip_bytes = 0;
};

struct ConnRow {
  std::int64_t start_us = 0;     // since 1970
  std::int64_t duration_us = 0;  // where not above 0, Zeek tells neither duration nor bytes
  EndRow originator, responder;
  std::uint64_t missed_bytes = 0;
  std::string history;
};

// "SF", "S0", "RSTO", ...
std::string_view conn_state(const ConnRow& row);

// The lines that begin a log: separator, fields, types.
std::string header_text();
// The row as one line with its newline.
std::string to_text(const ConnRow& row);

}  // namespace tcpwhy::compat::zeek
