// From a captured frame, or from what a tunnel carries, to the IP packet inside it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "wire/bytes.h"
#include "wire/encapsulation.h"
#include "wire/packet.h"

namespace tcpwhy::wire {

// What the next bytes are.
enum class Content : std::uint8_t {
  none,
  ip,
  ipv4,
  ipv6,
  ethernet,
  vlan_tag,
  backbone_tag,
  vn_tag,
  fabric_path,
  mpls,
  pppoe,
  ppp,
  llc,
  cooked,
  cooked2,
  null_header,
  wireless,
  radiotap,
  netfilter_log,
};

Content content_of_link(LinkType link_type);
Content content_of_ether_type(std::uint16_t type);

// Bytes on the way to a TCP segment.
struct Carried {
  Content content = Content::none;
  Bytes bytes;
  std::size_t original_length = 0;  // what of the wire's length is left for them; never less than bytes.size()
  Encapsulation encapsulation;      // around them
};

// Steps over link headers, tags and labels until `carried` begins with an IP header. Whether it is IPv4 or IPv6 says its own first
// nibble. False where it holds none, or a header contradicts the nibble.
bool unwrap_to_ip(Carried& carried);

}  // namespace tcpwhy::wire
