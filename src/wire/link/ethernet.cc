// Ethernet, its tags, LLC and SNAP, MPLS and PPPoE.
#include "wire/ether_type.h"
#include "wire/link/layer.h"

namespace tcpwhy::wire {

Layer after_ether_type(Bytes b, std::size_t offset) {
  if (!b.has(offset, 2)) return nothing_known;
  const std::uint16_t type = b.be16(offset);
  // IEEE 802.3 3.2.6: as a length it counts what the client gave; what makes the frame long enough stands behind that.
  return {content_of_ether_type(type), offset + 2, type <= ether_type::largest_length ? type : unlimited};
}

Layer by_ether_type(std::uint16_t type, std::size_t header_length) {
  const Content content = content_of_ether_type(type);
  return content == Content::llc ? nothing_known : Layer{content, header_length};
}

Layer after_ethernet(Bytes b, std::size_t tag_length) {
  constexpr std::size_t addresses = 12;
  return after_ether_type(b, addresses + tag_length);
}

// RFC 1042 has the OUI 0 before an EtherType, Cisco also 00-00-F8; RFC 2684 B.1 and RFC 2427 D number bridged frames behind 00-80-C2.
Layer after_snap(Bytes b, std::size_t snap, std::size_t padding) {
  constexpr std::size_t snap_length = 5;
  constexpr std::uint32_t ethernet = 0x000000, cisco = 0x0000f8, bridged = 0x0080c2;
  if (!b.has(snap, snap_length)) return nothing_known;
  const std::uint32_t oui = b.be24(snap);
  const std::uint16_t type = b.be16(snap + 3);
  const std::size_t header = snap + snap_length;
  if (oui == ethernet || oui == cisco) return by_ether_type(type, header);
  if (oui != bridged) return nothing_known;
  constexpr std::size_t check_sequence = 4;
  const auto frame = [&](Content content, std::size_t more, bool checked) -> Layer {
    return {.content = content,
            .header_length = header + padding + more,
            .trailer_length = checked ? check_sequence : std::size_t{0}};
  };
  switch (type) {
    case 0x0001:
    case 0x0007: return frame(Content::ethernet, 0, type == 0x0001);
    case 0x0003:
    case 0x0009: return frame(Content::token_ring, 0, type == 0x0003);
    case 0x0004:
    case 0x000a: return frame(Content::fddi, 1, type == 0x0004);
    default: return nothing_known;
  }
}

// IEEE 802.2 5.2: DSAP, SSAP, whose lowest bits say group and response; control 03 is unnumbered information.
Layer after_llc(Bytes b) {
  constexpr std::size_t header_length = 3;
  constexpr std::uint8_t unnumbered_information = 0x03, address_bits = 0xfe;
  constexpr std::uint8_t ip = 0x06, snap = 0xaa, osi = 0xfe;
  if (!b.has(0, header_length) || b.u8(2) != unnumbered_information) return nothing_known;
  const unsigned service = b.u8(0) & address_bits;
  if ((b.u8(1) & address_bits) != service) return nothing_known;
  switch (service) {
    case ip: return {Content::ipv4, header_length};
    case snap: return after_snap(b, header_length, 2);
    case osi: return after_nlpid(b, header_length);
    default: return nothing_known;
  }
}

// RFC 3032 2.1: label, traffic class, bottom of stack, TTL. What the labels carry is known to their ends only; by
// custom (RFC 4928 2) the first nibble tells IP.
Layer after_mpls(Bytes b) {
  constexpr std::uint8_t bottom_of_stack = 0x01;
  if (!b.has(0, 4)) return nothing_known;
  return {b.u8(2) & bottom_of_stack ? Content::ip : Content::mpls, 4};
}

// RFC 2516 4: version and type 1, code 0 for a session's data, then PPP without address and control, as long as the last field says:
// a short frame is padded behind that.
Layer after_pppoe(Bytes b, Encapsulation& around) {
  constexpr std::size_t header_length = 6;
  if (!b.has(0, header_length) || b.u8(0) != 0x11 || b.u8(1) != 0) return nothing_known;
  around.add_tunnel(TunnelKind::pppoe, b.be16(2));
  return {Content::ppp, header_length, b.be16(4)};
}

// IEEE 802.1Q 9.6: priority, drop eligible, 12 bits of VID, then the next EtherType.
constexpr std::uint16_t vid_bits = 0x0fff;

Layer after_vlan_tag(Bytes b, Encapsulation& around) {
  if (b.has(0, 2)) around.add_vlan(b.be16(0) & vid_bits);
  return after_ether_type(b, 2);
}

// IEEE 802.1Q 9.7 (802.1ah): flags and 24 bits of I-SID, then the customer's whole frame.
Layer after_backbone_tag(Bytes b, Encapsulation& around) {
  constexpr std::size_t service_tag = 4;
  if (!b.has(0, service_tag)) return nothing_known;
  around.add_tunnel(TunnelKind::backbone, b.be24(1));
  return {Content::ethernet, service_tag};
}

// 4 bytes of direction and interfaces, then the next EtherType.
Layer after_vn_tag(Bytes b) { return after_ether_type(b, 4); }

// 2 bytes of tree and TTL, then the frame that entered the fabric.
Layer after_fabric_path(Bytes b) {
  constexpr std::size_t tag_length = 2;
  return {b.has(0, tag_length) ? Content::ethernet : Content::none, tag_length};
}

// LINKTYPE_DSA_TAG_DSA, or, behind an EtherType of its own and two bytes, _EDSA. Mode and switch, port, then priority and VID as 802.1Q has
// them, whose tag it replaces where the bit "tagged" is set; else the VID is the port's own and on no wire.
Layer after_marvell_tag(Bytes b, std::size_t before_tag, Encapsulation& around) {
  constexpr std::size_t addresses = 12, tag_length = 4;
  constexpr std::uint8_t tagged = 0x20;
  const std::size_t tag = addresses + before_tag;
  if (b.has(tag, tag_length) && (b.u8(tag) & tagged)) around.add_vlan(b.be16(tag + 2) & vid_bits);
  return after_ethernet(b, before_tag + tag_length);
}

}  // namespace tcpwhy::wire
