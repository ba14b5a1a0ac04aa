// From a captured frame to the IP packet inside it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "wire/bytes.h"
#include "wire/packet.h"

namespace tcpwhy::wire {

struct IpPacketBytes {
  Bytes bytes;                      // from the first byte of the IP header on; empty where the frame holds none
  std::size_t original_length = 0;  // what of the wire's length is left for them
};

// The IP packet that `frame` carries, behind whatever tags and sessions wire/packet.h says are unwrapped.
// Whether it is IPv4 or IPv6 says its own first nibble; a frame whose header contradicts it carries none.
IpPacketBytes find_ip_packet(LinkType link_type, Bytes frame, std::size_t original_length);

}  // namespace tcpwhy::wire
