// The way to a TCP segment: how long the IP packet around it is, by its own header and by the wire, and through which tunnels it came.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "wire/packet.h"

namespace tcpwhy::wire {

struct IpPath {
  std::uint32_t length =
      0;  // from the first byte of the innermost IP header, by that header; 0 where it leaves that open
  std::uint32_t on_wire = 0;          // what of the frame's length on the wire is left for it
  bool has_fixed_tcp_header = false;  // the first 20 bytes of TCP belong to it and were captured
  // The tunnels over IP around it, told apart by their outer addresses and UDP ports, whichever of the two is the source: so a
  // tunnel whose directions use different ports is two, unless it is GRE. 0: none. (Encapsulation is the same for both directions.)
  std::uint64_t tunnels = 0;
  int depth = 0;  // how many they are
};

// Of the packet that dissect() finds with the same arguments.
IpPath ip_path(LinkType link_type, std::span<const std::uint8_t> captured, std::size_t original_length,
               const DissectOptions& options = {});

}  // namespace tcpwhy::wire
