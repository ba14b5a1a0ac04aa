// Serial lines: PPP, Cisco's HDLC, Frame Relay.
#include "wire/ether_type.h"
#include "wire/link/layer.h"

namespace tcpwhy::wire {

Content content_of_ppp_protocol(std::uint16_t protocol) {
  switch (protocol) {
    case ppp_protocol::ipv4: return Content::ipv4;
    case ppp_protocol::ipv6: return Content::ipv6;
    case ppp_protocol::mpls:
    case ppp_protocol::mpls_multicast: return Content::mpls;
    default: return Content::none;
  }
}

// RFC 1661 2 and RFC 1662 3.1: address FF, control 03 (left out after negotiation), protocol of 2 bytes or, compressed,
// of one odd byte. pppd puts the direction in the place of the address: 0 in, 1 out.
Layer after_ppp(Bytes b) {
  constexpr std::uint16_t address_and_control = 0xff03, inbound = 0x0003, outbound = 0x0103;
  std::size_t start = 0;
  if (b.has(0, 2) && (b.be16(0) == address_and_control || b.be16(0) == inbound || b.be16(0) == outbound)) start = 2;
  if (!b.has(start, 1)) return nothing_known;
  if (b.u8(start) & 1U) return {content_of_ppp_protocol(b.u8(start)), start + 1};
  if (!b.has(start, 2)) return nothing_known;
  return {content_of_ppp_protocol(b.be16(start)), start + 2};
}

// Cisco's HDLC: address 0F or 8F (broadcast), control 0, then an EtherType.
Layer after_cisco_hdlc(Bytes b) {
  constexpr std::size_t header_length = 4;
  return b.has(0, header_length) ? by_ether_type(b.be16(2), header_length) : nothing_known;
}

// LINKTYPE_PPP_HDLC: which of the two says the address.
Layer after_ppp_or_cisco_hdlc(Bytes b) {
  if (!b.has(0, 1)) return nothing_known;
  return b.u8(0) == 0x0f || b.u8(0) == 0x8f ? after_cisco_hdlc(b) : after_ppp(b);
}

Layer after_nlpid(Bytes b, std::size_t offset) {
  constexpr std::uint8_t snap = 0x80, ipv6 = 0x8e, ipv4 = 0xcc, ppp = 0xcf;
  if (!b.has(offset, 1)) return nothing_known;
  switch (b.u8(offset)) {
    case snap: return after_snap(b, offset + 1, 0);
    case ipv4: return {Content::ipv4, offset + 1};
    case ipv6: return {Content::ipv6, offset + 1};
    case ppp: return {Content::ppp, offset + 1};
    default: return nothing_known;
  }
}

// ITU-T Q.922 3.2: an address of two to four bytes, the last with its lowest bit set. RFC 2427 3: control 03, perhaps a zero to pad, NLPID.
// Cisco has an EtherType at once; on DLCI 0, which signals, there is none.
Layer after_frame_relay(Bytes b) {
  constexpr std::size_t shortest = 2, longest = 4;
  constexpr std::uint8_t last = 0x01, unnumbered_information = 0x03;
  std::size_t address = 1;
  while (b.has(0, address) && !(b.u8(address - 1) & last)) {
    if (++address > longest) return nothing_known;
  }
  if (address < shortest || !b.has(0, address + 2)) return nothing_known;
  if (b.u8(address) != unnumbered_information) {
    const bool signalling = address == shortest && (b.u8(0) & 0xfcU) == 0 && (b.u8(1) & 0xf0U) == 0;
    return signalling ? nothing_known : by_ether_type(b.be16(address), address + 2);
  }
  return after_nlpid(b, b.u8(address + 1) == 0 ? address + 2 : address + 1);
}

// FRF.16.1 3.2.1: B (first), E (last), C (control), then a sequence number. Of a first fragment the packet's headers are there.
Layer after_multilink_frame_relay(Bytes b) {
  constexpr std::size_t header_length = 2;
  constexpr std::uint8_t first = 0x80, control = 0x20;
  if (!b.has(0, header_length) || !(b.u8(0) & first) || (b.u8(0) & control)) return nothing_known;
  return {Content::frame_relay, header_length};
}

}  // namespace tcpwhy::wire
