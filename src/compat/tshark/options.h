// The options of a TCP header, as far as they move Wireshark's analysis.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "wire/bytes.h"

namespace tcpwhy::compat::tshark {

struct Options {
  std::optional<std::uint8_t> window_scale;        // at most 14
  std::optional<std::uint32_t> selectively_acked;  // bytes in the SACK blocks that are counted
  bool fast_open_cookie = false;
  bool multipath = false;                 // an MPTCP option that belongs to a connection
  std::uint8_t multipath_operations = 0;  // one bit for each kind of MPTCP option
  // Reading ended in the middle: the capture ends there, or an option contradicts itself. Wireshark then gives the packet
  // up: what it had found of the segment is not shown.
  bool given_up = false;
};

// `list`: what was captured of the options; `length`: how long they are by the header. `relative_ack`: the
// acknowledgment as shown, from which a SACK block is known to be a D-SACK.
Options read_options(wire::Bytes list, std::size_t length, std::uint32_t relative_ack);

}  // namespace tcpwhy::compat::tshark
