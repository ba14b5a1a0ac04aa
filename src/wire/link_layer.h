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
  // Ethernet, and what follows an EtherType.
  ethernet,
  ether_type,
  vlan_tag,
  backbone_tag,
  vn_tag,
  fabric_path,
  mpls,
  pppoe,
  llc,
  broadcom_tag,         // behind the addresses
  broadcom_tag_before,  // before them
  marvell_tag,
  marvell_tag_with_type,
  netanalyzer,
  netanalyzer_transparent,
  // Serial lines.
  ppp,
  ppp_or_cisco_hdlc,
  cisco_hdlc,
  frame_relay,
  multilink_frame_relay,
  directed_ppp,  // behind a byte of direction
  directed_cisco_hdlc,
  directed_frame_relay,
  slip,
  // Other local networks.
  fddi,
  token_ring,
  arcnet,
  arcnet_of_linux,
  ip_over_infiniband,
  ip_over_fibre_channel,
  firewire,
  // ATM.
  atm,
  sun_atm,
  lan_emulation,
  classical_ip,
  // IEEE 802.11.
  wireless,
  radiotap,
  avs,
  prism,
  // Juniper's routers.
  juniper_ethernet,
  juniper_ether_type,
  juniper_ppp,
  juniper_cisco_hdlc,
  juniper_frame_relay,
  juniper_multilink_ppp,
  juniper_multilink_frame_relay,
  juniper_bundled_frame_relay,
  juniper_atm1,
  juniper_atm2,
  juniper_services,
  juniper_gateway,
  juniper_ipsec,
  // What a host puts before a packet that it captures.
  null_header,
  cooked,
  cooked2,
  netfilter_log,
  packet_filter_log,
  enc,
  ipnet,
  symantec,
  ppi,
  pktap,
};

Content content_of_link(LinkType link_type);  // wire/link_types.cc has the table
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
