// From the bytes of a captured packet to its TCP segment.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "wire/segment.h"

namespace tcpwhy::wire {

// Link types by their number in capture files (LINKTYPE_*, www.tcpdump.org/linktypes.html). Values not named here occur in
// files and are kept as they are.
enum class LinkType : std::uint16_t {
  null = 0,
  ethernet = 1,
  raw_bsd = 12,
  raw_openbsd = 14,
  ppp = 9,
  raw = 101,
  ieee802_11 = 105,
  loop = 108,
  linux_sll = 113,
  ipv4 = 228,
  ipv6 = 229,
  linux_sll2 = 276,
};

enum class Dissection : std::uint8_t {
  tcp,        // `segment` is valid
  truncated,  // TCP by the IP header, but the capture ends inside the TCP header
  malformed,  // TCP by the IP header, but lengths contradict each other
  fragment,   // a later IP fragment of TCP: no ports
  other,      // not TCP, or not IP
};

struct DissectedPacket {
  Dissection kind = Dissection::other;
  TcpSegment segment;  // for truncated and malformed: the addresses and what else could be read
};

// `captured`: what the file or the tap holds of the packet, `original_length`: its length on the wire in bytes.
// Unwraps VLAN tags (802.1Q, 802.1ad), MPLS and PPPoE; tunnels over IP are left alone. Never reads outside `captured`.
DissectedPacket dissect(LinkType link_type, std::span<const std::uint8_t> captured, std::size_t original_length);

}  // namespace tcpwhy::wire
