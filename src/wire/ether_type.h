// Numbers that say what follows, as they stand in headers.
#pragma once

#include <cstdint>

namespace tcpwhy::wire {

// IEEE 802 EtherTypes (IANA, "IEEE 802 Numbers").
namespace ether_type {
inline constexpr std::uint16_t ipv4 = 0x0800, arp = 0x0806, ipv6 = 0x86dd, vlan = 0x8100, service_vlan = 0x88a8,
                               vlan_9100 = 0x9100, vlan_9200 = 0x9200, vlan_9300 = 0x9300, backbone_tag = 0x88e7,
                               mpls = 0x8847, mpls_multicast = 0x8848, pppoe_session = 0x8864,
                               transparent_ethernet = 0x6558,  // RFC 1701: a whole frame inside GRE or Geneve
    enhanced_gre_ppp = 0x880b,                                 // RFC 2637 4.1
    erspan = 0x88be, erspan_3 = 0x22eb,                        // draft-foschiano-erspan
    vn_tag = 0x8926,                                           // between a switch and its fabric extender
    fabric_path = 0x8903,                                      // Cisco's: a whole frame inside
    largest_length = 1500;                                     // up to here the field is a length: IEEE 802.3 3.2.6
constexpr bool is_vlan(std::uint16_t type) {
  return type == vlan || type == service_vlan || type == vlan_9100 || type == vlan_9200 || type == vlan_9300;
}
}  // namespace ether_type

// IP protocol numbers and IPv6 next headers (IANA, "Assigned Internet Protocol Numbers").
namespace ip_protocol {
inline constexpr std::uint8_t hop_by_hop = 0, icmp = 1, ipv4 = 4, tcp = 6, udp = 17, ipv6 = 41, routing = 43,
                              fragment = 44, gre = 47, esp = 50, authentication = 51, icmp6 = 58, no_next = 59,
                              destination_options = 60, mobility = 135, mpls_in_ip = 137, host_identity = 139,
                              shim6 = 140;
}  // namespace ip_protocol

// PPP DLL protocol numbers (IANA).
namespace ppp_protocol {
inline constexpr std::uint16_t ipv4 = 0x0021, ipv6 = 0x0057, mpls = 0x0281, mpls_multicast = 0x0283;
}  // namespace ppp_protocol

// UDP ports (IANA, "Service Name and Transport Protocol Port Number Registry") that carry tunnels.
namespace udp_port {
inline constexpr std::uint16_t gtp_user = 2152, teredo = 3544, gre_in_udp = 4754, vxlan = 4789, ayiya = 5072,
                               geneve = 6081;
}  // namespace udp_port

}  // namespace tcpwhy::wire
