#include "wire/link_layer.h"

#include <algorithm>
#include <array>
#include <optional>

#include "wire/ether_type.h"

namespace tcpwhy::wire {
namespace {

// A tag inside a tag inside a tag: real networks nest four or five. Beyond this a frame is not looked into.
constexpr int deepest_nesting = 16;

struct Layer {
  Content content = Content::none;
  std::size_t header_length = 0;  // of the header before it
};

constexpr Layer nothing_known{};

// Read here only.
constexpr LinkType ppp_hdlc{50}, netfilter_log{239};

constexpr struct {
  LinkType link_type;
  Content content;
} first_layers[] = {
    {LinkType::null, Content::null_header},
    {LinkType::loop, Content::null_header},
    {LinkType::ethernet, Content::ethernet},
    {LinkType::ppp, Content::ppp},
    {ppp_hdlc, Content::ppp},
    {LinkType::raw_bsd, Content::ip},
    {LinkType::raw_openbsd, Content::ip},
    {LinkType::raw, Content::ip},
    {LinkType::ipv4, Content::ipv4},
    {LinkType::ipv6, Content::ipv6},
    {LinkType::linux_sll, Content::cooked},
    {LinkType::linux_sll2, Content::cooked2},
    {LinkType::ieee802_11, Content::wireless},
    {LinkType::ieee802_11_radiotap, Content::radiotap},
    {netfilter_log, Content::netfilter_log},
};

Content content_of_ppp_protocol(std::uint16_t protocol) {
  switch (protocol) {
    case ppp_protocol::ipv4: return Content::ipv4;
    case ppp_protocol::ipv6: return Content::ipv6;
    case ppp_protocol::mpls:
    case ppp_protocol::mpls_multicast: return Content::mpls;
    default: return Content::none;
  }
}

// An EtherType at `offset`, after which the header ends.
Layer after_ether_type(Bytes b, std::size_t offset) {
  if (!b.has(offset, 2)) return nothing_known;
  return {content_of_ether_type(b.be16(offset)), offset + 2};
}

// RFC 1042: DSAP and SSAP AA, unnumbered information, OUI 0, then an EtherType. SAP 6 is IP itself (IEEE 802.2).
Layer after_llc(Bytes b) {
  if (!b.has(0, 3)) return nothing_known;
  if (b.be24(0) == 0x06'06'03) return {Content::ipv4, 3};
  constexpr std::size_t snap_length = 8;
  if (!b.has(0, snap_length) || b.be24(0) != 0xaa'aa'03 || b.be24(3) != 0) return nothing_known;
  return after_ether_type(b, snap_length - 2);
}

// RFC 3032 2.1: label, traffic class, bottom of stack, TTL. What the labels carry is known to their ends only; by
// custom (RFC 4928 2) the first nibble tells IP.
Layer after_mpls(Bytes b) {
  constexpr std::uint8_t bottom_of_stack = 0x01;
  if (!b.has(0, 4)) return nothing_known;
  return {b.u8(2) & bottom_of_stack ? Content::ip : Content::mpls, 4};
}

// RFC 2516 4: version and type 1, code 0 for a session's data, then PPP without address and control.
Layer after_pppoe(Bytes b, Encapsulation& around) {
  constexpr std::size_t header_length = 6;
  if (!b.has(0, header_length) || b.u8(0) != 0x11 || b.u8(1) != 0) return nothing_known;
  around.add_tunnel(TunnelKind::pppoe, b.be16(2));
  return {Content::ppp, header_length};
}

// IEEE 802.1Q 9.6: priority, drop eligible, 12 bits of VID, then the next EtherType.
Layer after_vlan_tag(Bytes b, Encapsulation& around) {
  constexpr std::uint16_t vid_bits = 0x0fff;
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

// RFC 1661 2 and RFC 1662 3.1: address FF, control 03 (left out after negotiation), protocol of 2 bytes or, compressed,
// of one odd byte.
Layer after_ppp(Bytes b) {
  const std::size_t start = b.has(0, 2) && b.be16(0) == 0xff03 ? 2 : 0;
  if (!b.has(start, 1)) return nothing_known;
  if (b.u8(start) & 1U) return {content_of_ppp_protocol(b.u8(start)), start + 1};
  if (!b.has(start, 2)) return nothing_known;
  return {content_of_ppp_protocol(b.be16(start)), start + 2};
}

// LINKTYPE_LINUX_SLL: the protocol is no EtherType where the device's ARPHRD_ type says that it is something else.
constexpr bool has_ether_type(std::uint16_t arphrd) {
  constexpr std::uint16_t netlink = 824, gre = 778, radiotap = 803, frame_relay = 770;
  return arphrd != netlink && arphrd != gre && arphrd != radiotap && arphrd != frame_relay;
}

Layer after_cooked(Bytes b) {
  if (!b.has(0, 16) || !has_ether_type(b.be16(2))) return nothing_known;
  return after_ether_type(b, 14);
}

Layer after_cooked2(Bytes b) {
  constexpr std::size_t header_length = 20;
  if (!b.has(0, header_length) || !has_ether_type(b.be16(8))) return nothing_known;
  return {content_of_ether_type(b.be16(0)), header_length};
}

// LINKTYPE_NULL: an address family in the byte order of the machine that captured; LINKTYPE_LOOP: the same in network
// byte order. AF_INET is 2 everywhere; AF_INET6 is 10 (Linux), 24 (NetBSD, OpenBSD), 28 (FreeBSD) or 30 (Darwin).
Layer after_null(Bytes b) {
  constexpr std::size_t header_length = 4;
  if (!b.has(0, header_length)) return nothing_known;
  for (const std::uint32_t family : {b.be32(0), b.le32(0)}) {
    if (family == 2) return {Content::ipv4, header_length};
    if (family == 10 || family == 24 || family == 28 || family == 30) return {Content::ipv6, header_length};
  }
  return nothing_known;
}

// LINKTYPE_NFLOG: family, version 0, resource, then attributes: length with these 4 bytes, type, value, padding to 4. Their numbers are in
// the byte order of the machine that captured; types are below 256. Type 9 is the IP packet.
Layer after_netfilter_log(Bytes b) {
  constexpr std::size_t attribute_header = 4;
  constexpr std::uint16_t payload_type = 9;
  if (!b.has(0, 4) || b.u8(1) != 0) return nothing_known;
  for (std::size_t at = 4; b.has(at, attribute_header);) {
    const bool little_endian = b.u8(at + 3) == 0;
    const std::size_t length = little_endian ? b.le16(at) : b.be16(at);
    const std::uint16_t type = little_endian ? b.le16(at + 2) : b.be16(at + 2);
    if (length < attribute_header) return nothing_known;
    if (type == payload_type) return {Content::ip, at + attribute_header};
    at += (length + 3) / 4 * 4;
  }
  return nothing_known;
}

// www.radiotap.org: version 0, length (little-endian), words of "present" bits (bit 31: another word follows), then the fields.
// The second field, after 8 aligned bytes of time, has a flag for a header padded to 4 bytes before the data.
struct Radiotap {
  std::size_t length = 0;  // 0: none
  bool data_pad = false;
};

Radiotap read_radiotap(Bytes b) {
  constexpr std::uint32_t time_bit = 1U << 0U, flags_bit = 1U << 1U, more_bit = 1U << 31U;
  constexpr std::uint8_t data_pad_flag = 0x20;
  if (!b.has(0, 8) || b.u8(0) != 0 || !b.has(0, b.le16(2))) return {};
  const Radiotap plain{b.le16(2), false};
  const std::uint32_t present = b.le32(4);
  if (!(present & flags_bit)) return plain;
  std::size_t at = 8;
  for (std::uint32_t word = present; word & more_bit; at += 4) {
    if (!b.has(at, 4)) return plain;
    word = b.le32(at);
  }
  if (present & time_bit) at = (at + 7) / 8 * 8 + 8;
  return {plain.length, at < plain.length && (b.u8(at) & data_pad_flag)};
}

// IEEE 802.11 data frames that carry data and are not encrypted: an LLC header follows.
Layer after_wireless(Bytes b, bool padded = false) {
  if (!b.has(0, 2)) return nothing_known;
  const unsigned control = b.u8(0), flags = b.u8(1);
  const unsigned type = control >> 2U & 3U, subtype = control >> 4U;
  constexpr unsigned data = 2, no_data_bit = 4, quality_of_service_bit = 8, both_systems = 3, protected_bit = 0x40;
  if (type != data || (subtype & no_data_bit) || (flags & protected_bit)) return nothing_known;
  std::size_t length =
      24U + ((flags & both_systems) == both_systems ? 6U : 0U) + (subtype & quality_of_service_bit ? 2U : 0U);
  if (padded) length = (length + 3U) / 4U * 4U;
  return {b.has(0, length) ? Content::llc : Content::none, length};
}

Layer after_radiotap(Bytes b) {
  const Radiotap radiotap = read_radiotap(b);
  if (radiotap.length == 0) return nothing_known;
  const Layer inside = after_wireless(b.from(radiotap.length), radiotap.data_pad);
  return {inside.content, radiotap.length + inside.header_length};
}

Layer next_layer(Content content, Bytes b, Encapsulation& around) {
  switch (content) {
    case Content::ethernet: return after_ether_type(b, 12);
    case Content::vlan_tag: return after_vlan_tag(b, around);
    case Content::backbone_tag: return after_backbone_tag(b, around);
    case Content::vn_tag: return after_vn_tag(b);
    case Content::fabric_path: return after_fabric_path(b);
    case Content::mpls: return after_mpls(b);
    case Content::pppoe: return after_pppoe(b, around);
    case Content::ppp: return after_ppp(b);
    case Content::llc: return after_llc(b);
    case Content::cooked: return after_cooked(b);
    case Content::cooked2: return after_cooked2(b);
    case Content::null_header: return after_null(b);
    case Content::wireless: return after_wireless(b);
    case Content::radiotap: return after_radiotap(b);
    case Content::netfilter_log: return after_netfilter_log(b);
    case Content::none:
    case Content::ip:
    case Content::ipv4:
    case Content::ipv6: break;
  }
  return nothing_known;
}

constexpr bool is_ip(Content content) {
  return content == Content::ip || content == Content::ipv4 || content == Content::ipv6;
}

bool version_agrees(Content content, Bytes b) {
  if (b.empty()) return false;
  const unsigned version = b.u8(0) >> 4U;
  return (version == 4 && content != Content::ipv6) || (version == 6 && content != Content::ipv4);
}

}  // namespace

Content content_of_link(LinkType link_type) {
  const auto* const row = std::ranges::find(first_layers, link_type, [](const auto& r) { return r.link_type; });
  return row == std::end(first_layers) ? Content::none : row->content;
}

Content content_of_ether_type(std::uint16_t type) {
  switch (type) {
    case ether_type::ipv4: return Content::ipv4;
    case ether_type::ipv6: return Content::ipv6;
    case ether_type::mpls:
    case ether_type::mpls_multicast: return Content::mpls;
    case ether_type::pppoe_session: return Content::pppoe;
    case ether_type::backbone_tag: return Content::backbone_tag;
    case ether_type::vn_tag: return Content::vn_tag;
    case ether_type::fabric_path: return Content::fabric_path;
    case ether_type::transparent_ethernet: return Content::ethernet;
    default: break;
  }
  if (ether_type::is_vlan(type)) return Content::vlan_tag;
  return type <= ether_type::largest_length ? Content::llc : Content::none;
}

bool unwrap_to_ip(Carried& carried) {
  for (int depth = 0; depth < deepest_nesting && carried.content != Content::none && !is_ip(carried.content); ++depth) {
    const Layer next = next_layer(carried.content, carried.bytes, carried.encapsulation);
    carried.content = next.content;
    carried.bytes = carried.bytes.from(next.header_length);
    carried.original_length -= std::min(carried.original_length, next.header_length);
  }
  carried.original_length = std::max(carried.original_length, carried.bytes.size());
  return is_ip(carried.content) && version_agrees(carried.content, carried.bytes);
}

}  // namespace tcpwhy::wire
