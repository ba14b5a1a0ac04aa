// Test support: an IPv4 and an IPv6 packet inside the headers of each link type, written down by hand.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "wire/packet.h"
#include "wire/packet_builder.h"

namespace tcpwhy::wire::testing {

struct LinkFrame {
  std::string_view what;
  LinkType link_type;
  ByteString bytes;
  std::size_t headers = 0;  // bytes before the IP packet
  bool in_tcpdump =
      true;  // it prints the packet; else it has no printer, or another opinion (render/tcpdump/tolerated.md)
};

inline ByteString le16(unsigned value) {
  return {static_cast<std::uint8_t>(value), static_cast<std::uint8_t>(value >> 8U)};
}
inline ByteString le32(std::uint32_t value) { return le16(value & 0xffffU) + le16(value >> 16U); }

inline std::vector<LinkFrame> link_frames(const ByteString& four, const ByteString& six) {
  std::vector<LinkFrame> frames;
  const auto add = [&](unsigned number, std::string_view what, const ByteString& headers, const ByteString& packet,
                       const ByteString& behind = {}) -> LinkFrame& {
    return frames.emplace_back(
        LinkFrame{what, LinkType{static_cast<std::uint16_t>(number)}, headers + packet + behind, headers.size()});
  };
  const auto no_tcpdump = [](LinkFrame& frame) { frame.in_tcpdump = false; };
  const ByteString mac_1 = {2, 0, 0, 0, 0, 1}, mac_2 = {2, 0, 0, 0, 0, 2}, macs = mac_1 + mac_2;
  const ByteString ipv4_type = be16(0x0800), ipv6_type = be16(0x86dd), label = be32(0x00010140);
  const ByteString llc_snap = {0xaa, 0xaa, 3, 0, 0, 0}, bridged = {0xaa, 0xaa, 3, 0, 0x80, 0xc2};
  const ByteString ethernet_4 = macs + ipv4_type, ethernet_6 = macs + ipv6_type;
  const ByteString fddi = ByteString{0x51} + macs, ring = ByteString{0x10, 0x40} + macs;

  // PPP and Cisco's HDLC.
  add(9, "PPP", be16(0xff03) + be16(0x0021), four);
  add(9, "PPP without address and control", be16(0x0057), six);
  add(9, "PPP from pppd, in", be16(0x0003) + be16(0x0021), four);
  add(9, "PPP from pppd, out", be16(0x0103) + be16(0x0057), six);
  add(50, "PPP in HDLC", be16(0xff03) + be16(0x0021), four);
  add(50, "PPP in HDLC, IPv6", be16(0xff03) + be16(0x0057), six);
  add(50, "Cisco's HDLC as PPP in HDLC", be16(0x0f00) + ipv4_type, four);
  no_tcpdump(add(50, "PPP in HDLC without address and control", be16(0x0021), four));
  add(51, "PPPoE", ByteString{0x11, 0, 0, 9} + be16(static_cast<unsigned>(four.size()) + 2) + be16(0x0021), four);
  add(51, "PPPoE, padded", ByteString{0x11, 0, 0, 9} + be16(static_cast<unsigned>(six.size()) + 2) + be16(0x0057), six,
      zeros(7));
  add(104, "Cisco's HDLC", be16(0x0f00) + ipv4_type, four);
  add(104, "Cisco's HDLC, broadcast, IPv6", be16(0x8f00) + ipv6_type, six);
  add(104, "Cisco's HDLC, MPLS", be16(0x0f00) + be16(0x8847) + label, four);
  add(112, "Cisco's HDLC of NetBSD", be16(0x0f00) + ipv4_type, four);
  add(166, "PPP of pppd", be16(0x0103) + be16(0x0021), four);
  no_tcpdump(add(204, "PPP behind a direction", ByteString{1} + be16(0xff03) + be16(0x0021), four));
  no_tcpdump(add(205, "Cisco's HDLC behind a direction", ByteString{0} + be16(0x0f00) + ipv4_type, four));
  no_tcpdump(add(206, "Frame Relay behind a direction", ByteString{0, 0x18, 0x41, 0x03, 0xcc}, four));
  add(8, "SLIP", ByteString{0, 0x40} + zeros(14), four);
  add(8, "SLIP, out, IPv6", ByteString{1, 0x45} + zeros(14), six);
  add(102, "SLIP of BSD/OS", zeros(16), four);

  // Frame Relay.
  add(107, "Frame Relay, IPv4", {0x18, 0x41, 0x03, 0xcc}, four);
  add(107, "Frame Relay, IPv6", {0x18, 0x41, 0x03, 0x8e}, six);
  add(107, "Frame Relay, an address of three bytes", {0x1a, 0x4e, 0x09, 0x03, 0x00, 0xcc}, four);
  add(107, "Frame Relay, an address of four bytes", {0x18, 0x40, 0x08, 0x0b, 0x03, 0xcc}, four);
  add(107, "Frame Relay, SNAP", ByteString{0x18, 0x41, 0x03, 0x00, 0x80, 0, 0, 0} + ipv4_type, four);
  add(107, "Frame Relay, bridged Ethernet", ByteString{0x18, 0x41, 0x03, 0x00, 0x80, 0, 0x80, 0xc2, 0, 7} + ethernet_4,
      four);
  add(107, "Frame Relay, PPP", ByteString{0x18, 0x41, 0x03, 0xcf} + be16(0x0021), four);
  add(107, "Frame Relay as Cisco has it", ByteString{0x18, 0x41} + ipv4_type, four);
  add(107, "Frame Relay as Cisco has it, IPv6", ByteString{0x18, 0x41} + ipv6_type, six);
  add(182, "Multilink Frame Relay, whole", {0xc1, 0x07, 0x18, 0x41, 0x03, 0xcc}, four);
  add(182, "Multilink Frame Relay, first", {0x85, 0x08, 0x18, 0x41, 0x03, 0x8e}, six);

  // Local networks.
  add(6, "Token Ring", ring + llc_snap + ipv4_type, four);
  add(6, "Token Ring, routed by the source",
      ByteString{0x10, 0x40} + mac_1 + ByteString{0x82, 0, 0, 0, 0, 2} +
          ByteString{0x06, 0x30, 0x00, 0x11, 0x00, 0x20} + llc_snap + ipv6_type,
      six);
  add(7, "ARCnet", {1, 2, 0xd4, 0, 0, 7}, four);
  add(7, "ARCnet, IPv6", {1, 2, 0xc4, 0, 0, 7}, six);
  add(7, "ARCnet, the first of two fragments", {1, 2, 0xd4, 1, 0, 7}, four);
  add(7, "ARCnet, an exception frame", {1, 2, 0xd4, 0xff, 0xff, 0xff, 0xd4, 0, 0, 7}, four);
  add(7, "ARCnet, RFC 1051", {1, 2, 0xf0}, four);
  add(10, "FDDI", fddi + llc_snap + ipv4_type, four);
  add(10, "FDDI, IP by its service access point", fddi + ByteString{6, 6, 3}, four);
  add(122, "IP over Fibre Channel", ByteString{0x10, 0} + mac_1 + ByteString{0x10, 0} + mac_2 + llc_snap + ipv4_type,
      four);
  add(129, "ARCnet of Linux", {1, 2, 0, 0, 0xd4, 0, 0, 7}, four);
  add(129, "ARCnet of Linux, RFC 1051", {1, 2, 0, 0, 0xf0}, four);
  add(138, "IP over FireWire", ByteString{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16} + ipv6_type, six);
  add(242, "IP over InfiniBand", zeros(40) + ipv4_type + zeros(2), four);
  add(240, "netANALYZER", zeros(4) + ethernet_4, four);
  add(241, "netANALYZER, transparent", zeros(12) + ethernet_6, six);
  add(281, "Broadcom's tag", macs + ByteString{0, 0, 0, 3} + ipv4_type, four);
  add(281, "Broadcom's tag, towards the switch", macs + ByteString{0x20, 1, 0, 8} + ipv6_type, six);
  add(282, "Broadcom's tag before the frame", ByteString{0, 0, 0, 3} + ethernet_4, four);
  add(284, "Marvell's tag, to the processor", macs + ByteString{0x00, 0x18, 0, 0} + ipv4_type, four);
  add(284, "Marvell's tag, from the processor", macs + ByteString{0x40, 0x18, 0, 0} + ipv6_type, six);
  add(284, "Marvell's tag, forwarded, with a VID", macs + ByteString{0xe1, 0x1c, 0x60, 0x07} + ipv4_type, four);
  add(284, "Marvell's tag, to a sniffer", macs + ByteString{0x81, 0x1c, 0x60, 0x07} + ipv4_type, four);
  add(285, "Marvell's tag behind a type",
      macs + be16(0xdada) + zeros(2) + ByteString{0xe1, 0x19, 0x60, 0x07} + ipv4_type, four);
  add(105, "802.11 with bridged Ethernet",
      ByteString{0x08, 1, 0, 0} + macs + mac_1 + zeros(2) + bridged + be16(7) + zeros(2) + ethernet_4, four);

  // ATM.
  add(11, "ATM by BSD's number", llc_snap + ipv4_type, four);
  add(100, "ATM, SNAP", llc_snap + ipv4_type, four);
  add(100, "ATM, routed by NLPID", {0xfe, 0xfe, 3, 0xcc}, four);
  add(100, "ATM, IP by its service access point", {6, 6, 3}, four);
  add(100, "ATM, control and NLPID", {3, 0x8e}, six);
  add(100, "ATM, bridged Ethernet with a check sequence", bridged + be16(1) + zeros(2) + ethernet_4, four,
      be32(0xdeadbeef));
  add(100, "ATM, bridged Token Ring", bridged + be16(9) + zeros(2) + ring + llc_snap + ipv4_type, four);
  add(100, "ATM, bridged FDDI", bridged + be16(10) + zeros(3) + fddi + llc_snap + ipv6_type, six);
  add(100, "ATM behind an 802.6 header", ByteString(20, 0x11) + llc_snap + ipv4_type, four);
  add(106, "Classical IP", llc_snap + ipv4_type, four);
  add(106, "Classical IP without LLC", {}, four);
  add(19, "Classical IP by Linux's number", {}, four);
  add(123, "SunATM, LLC", ByteString{0x82, 1, 0, 100} + llc_snap + ipv4_type, four);
  add(123, "SunATM, LAN emulation", ByteString{0x01, 0, 0, 100, 0, 5} + ethernet_6, six);

  // 802.11.
  const ByteString data = ByteString{0x08, 0x01, 0, 0} + macs + mac_1 + zeros(2) + llc_snap + ipv4_type;
  const ByteString quality = ByteString{0x88, 0x02, 0, 0} + macs + mac_1 + zeros(4);
  add(119, "Prism", zeros(144) + data, four);
  add(119, "AVS as Prism", be32(0x80211001) + be32(64) + zeros(56) + data, four);
  add(127, "radiotap", ByteString{0, 0, 8, 0} + le32(0) + data, four);
  add(127, "radiotap with rate, channel, signal, antenna",
      ByteString{0, 0, 16, 0} + le32(0x0000082e) + ByteString{0x10, 0x16} + le16(2437) + le16(0x0480) +
          ByteString{0xc4, 1} + data,
      four, be32(0x01020304));
  add(127, "radiotap with time, padded",
      ByteString{0, 0, 17, 0} + le32(3) + le32(77) + zeros(4) + ByteString{0x22} + quality + zeros(2) + llc_snap +
          ipv4_type,
      four);
  add(127, "radiotap with MCS", ByteString{0, 0, 11, 0} + le32(1U << 19U) + ByteString{0x3f, 0x15, 7} + data, four);
  add(163, "AVS", be32(0x80211001) + be32(64) + zeros(56) + data, four);

  // Juniper.
  const ByteString in = {0x4d, 0x47, 0x43, 1}, out = {0x4d, 0x47, 0x43, 0};
  const ByteString services = {0x47, 0, 0, 0, 0, 0x00, 0, 0}, services_6 = {0x47, 0, 0, 0, 0, 0x10, 0, 0};
  add(178, "Juniper, Ethernet", in + ethernet_4, four);
  add(178, "Juniper, Ethernet behind extensions",
      ByteString{0x4d, 0x47, 0x43, 0x80, 0, 6, 1, 1, 5, 4, 1, 9} + ethernet_6, six);
  add(178, "Juniper, without a link header", ByteString{0x4d, 0x47, 0x43, 3} + zeros(4), four);
  add(167, "Juniper, PPPoE", in + ethernet_4, four);
  no_tcpdump(add(167, "Juniper, PPPoE, an address that begins as a cookie does",
                 in + ByteString{0x54, 0, 0, 0, 0, 1} + mac_2 + ipv4_type, four));
  add(168, "Juniper, PPPoE over ATM",
      in + be16(0x8864) + ByteString{0x11, 0, 0, 9} + be16(static_cast<unsigned>(four.size()) + 2) + be16(0x21), four);
  add(179, "Juniper, PPP", out + be16(0xff03) + be16(0x21), four);
  add(180, "Juniper, Frame Relay", in + ByteString{0x18, 0x41, 0x03, 0xcc}, four);
  add(181, "Juniper, Cisco's HDLC", in + be16(0x0f00) + ipv4_type, four);
  add(130, "Juniper, a link of multilink PPP", in + be16(0xff03) + be16(0x21), four);
  add(130, "Juniper, multilink PPP on link services", in + ByteString{0x54, 0, 0, 9} + be16(0xff03) + be16(0x57), six);
  add(130, "Juniper, multilink PPP on adaptive services", in + services, four);
  add(130, "Juniper, multilink PPP on adaptive services, IPv6", in + services_6, six);
  add(131, "Juniper, multilink Frame Relay", in + ByteString{0, 9, 3, 0xcc}, four);
  add(131, "Juniper, multilink Frame Relay on link services", in + ByteString{0x54, 0, 0, 9, 3, 0x8e}, six);
  add(134, "Juniper, a link of bundled Frame Relay", in + ByteString{0xc1, 0x07, 0x18, 0x41, 0x03, 0xcc}, four);
  add(134, "Juniper, bundled Frame Relay on adaptive services", in + services, four);
  add(134, "Juniper, bundled Frame Relay on link services", in + ByteString{0x54, 0, 0, 9, 0, 0, 3, 0xcc}, four);
  add(137, "Juniper, ATM1, SNAP", in + ByteString{0, 0, 1, 2} + llc_snap + ipv4_type, four);
  add(137, "Juniper, ATM1, IP at once", in + ByteString{0, 0, 1, 2}, six);
  add(137, "Juniper, ATM1, control and NLPID", in + ByteString{0, 0, 1, 2, 3, 0xcc}, four);
  add(135, "Juniper, ATM2, routed", in + zeros(8) + ByteString{0xfe, 0xfe, 3, 0xcc}, four);
  add(135, "Juniper, ATM2, bridged", out + ByteString{0, 0, 0, 5, 0, 0, 0, 0} + ethernet_4, four);
  add(135, "Juniper, ATM2, PPP", in + zeros(8) + be16(0x21), four);
  add(135, "Juniper, ATM2, IP at once", in + zeros(8), four);
  add(136, "Juniper, services", in + zeros(8), four);
  add(164, "Juniper, monitoring", in + zeros(8), six);
  add(133, "Juniper, a gateway", in + ByteString{0, 0, 2, 0, 0, 0, 0, 0}, four);
  add(133, "Juniper, a gateway, IPv6", in + ByteString{0, 0, 6, 0, 0, 0, 0, 0}, six);
  add(132, "Juniper, IPsec", in + ByteString{0, 1, 64, 3} + zeros(12), four);

  // Pseudo-headers of hosts.
  add(99, "Symantec's firewall", zeros(6) + ipv4_type + zeros(36), four);
  add(109, "OpenBSD's enc, as a big-endian machine has it", be32(2) + be32(0x1234) + be32(0x0c00), four);
  add(109, "OpenBSD's enc, as a little-endian machine has it", le32(24) + be32(0x1234) + le32(0), six);
  add(117, "pf's log", ByteString{61, 2, 0, 0} + zeros(60), four);
  add(117, "pf's log, IPv6", ByteString{48, 30, 1, 0} + zeros(44), six);
  add(226, "Solaris's ipnet", ByteString{1, 2, 0, 0} + zeros(20), four);
  add(226, "Solaris's ipnet, IPv6", ByteString{1, 26, 0, 0} + zeros(20), six);
  const ByteString log =
      ByteString{2, 0, 0, 5} + le16(8) + le16(1) + ByteString{8, 0, 1, 0} + le16(5) + le16(10) + zeros(4);
  const auto padding = [](const ByteString& packet) { return zeros((4 - packet.size() % 4) % 4); };
  add(239, "netfilter's log", log + le16(static_cast<unsigned>(four.size()) + 4) + le16(9), four, padding(four));
  add(239, "netfilter's log, IPv6", ByteString{10, 0, 0, 5} + le16(static_cast<unsigned>(six.size()) + 4) + le16(9),
      six, padding(six));
  add(192, "PPI, Ethernet", ByteString{0, 0, 8, 0} + le32(1) + ethernet_4, four);
  add(192, "PPI with a field, 802.11", ByteString{0, 0, 16, 0} + le32(105) + zeros(8) + data, four);
  const ByteString tap = le32(108) + le32(1), tap_rest = zeros(96);
  add(258, "pktap, Ethernet", tap + le32(1) + tap_rest + ethernet_4, four);
  add(258, "pktap, raw IP", tap + le32(12) + tap_rest, six);
  no_tcpdump(add(219, "MPLS", label, four));
  return frames;
}

}  // namespace tcpwhy::wire::testing
