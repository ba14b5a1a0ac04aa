#include "wire/tunnel.h"

#include <algorithm>
#include <span>

#include "wire/ether_type.h"

namespace tcpwhy::wire {
namespace {

// What a tunnel's header says: what follows it, and after how many bytes.
struct Inside {
  Content content = Content::none;
  std::size_t header_length = 0;
};

constexpr Inside no_tunnel{};

// --- Names of tunnels ------------------------------------------------------------------------------------------

std::uint64_t number_of(const IpAddress& address) {
  std::uint64_t number = 0;
  for (const std::uint8_t byte : address.bytes) number = (number ^ byte) * 0x100000001b3;  // FNV-1a
  return number;
}

// The same whichever of the two is the source.
std::uint64_t pair_of(const TcpSegment& outer) { return number_of(outer.source.ip) + number_of(outer.destination.ip); }

std::uint64_t pair_and_key(const TcpSegment& outer, std::uint32_t key) {
  return pair_of(outer) ^ (std::uint64_t{key} + 1) * 0x9e3779b97f4a7c15;
}

// --- GRE -------------------------------------------------------------------------------------------------------

// draft-foschiano-erspan 4: without a sequence number type I, which has no header of its own; type II has 8 bytes; type III 12, and 8
// more if the lowest bit of its last byte says so.
Inside inside_erspan(Bytes b, std::uint16_t protocol, bool sequenced, std::size_t at) {
  if (protocol == ether_type::erspan) return {Content::ethernet, at + (sequenced ? 8U : 0U)};
  constexpr std::size_t header_length = 12, platform_header = 8;
  if (!b.has(at, header_length)) return no_tunnel;
  return {Content::ethernet, at + header_length + (b.u8(at + header_length - 1) & 1U ? platform_header : 0U)};
}

// RFC 2784 2.1 and RFC 2890 2: flags (C checksum, K key, S sequence number), version, EtherType; version 1 (RFC 2637 4.1) has an
// acknowledgment flag and carries PPP. RFC 1701's routing (R) is not followed.
Inside inside_gre(Bytes b, const TcpSegment& outer, Encapsulation& around) {
  if (!b.has(0, 4)) return no_tunnel;
  constexpr unsigned checksum = 0x8000, routing = 0x4000, key_present = 0x2000, sequence = 0x1000,
                     acknowledgment = 0x80, version_bits = 7, enhanced = 1;
  const unsigned flags = b.be16(0);
  const std::uint16_t protocol = b.be16(2);
  const unsigned version = flags & version_bits;
  if (version > enhanced || (flags & routing)) return no_tunnel;
  std::size_t at = 4;
  if (flags & checksum) at += 4;
  std::uint32_t key = 0;
  if (flags & key_present) {
    if (!b.has(at, 4)) return no_tunnel;
    key = b.be32(at);
    at += 4;
  }
  if (flags & sequence) at += 4;
  if (version == enhanced) {
    if (flags & acknowledgment) at += 4;
    if (protocol != ether_type::enhanced_gre_ppp) return no_tunnel;
    around.add_tunnel(TunnelKind::gre, pair_of(outer));  // its key is a call ID, of one direction
    return {Content::ppp, at};
  }
  if (protocol == ether_type::erspan || protocol == ether_type::erspan_3) {
    around = {};
    return inside_erspan(b, protocol, flags & sequence, at);
  }
  constexpr unsigned flow_id_bits = 8;
  if (protocol == ether_type::transparent_ethernet) key >>= flow_id_bits;
  around.add_tunnel(TunnelKind::gre, flags & key_present ? pair_and_key(outer, key) : pair_of(outer));
  // Below 1536 an EtherType is the length of an 802.3 frame, which GRE does not carry.
  const Content content = content_of_ether_type(protocol);
  return content == Content::llc ? no_tunnel : Inside{content, at};
}

// --- Over UDP --------------------------------------------------------------------------------------------------

constexpr std::size_t udp_header_length = 8;

// RFC 7348 5: flags with I (08), 24 bits of VNI at byte 4, then a whole frame.
Inside inside_vxlan(Bytes b, Encapsulation& around) {
  constexpr std::size_t header_length = 8;
  constexpr std::uint8_t vni_is_valid = 0x08;
  if (!b.has(0, header_length) || !(b.u8(0) & vni_is_valid)) return no_tunnel;
  around.add_tunnel(TunnelKind::vxlan, b.be24(4));
  return {Content::ethernet, header_length};
}

// RFC 8926 3.4: version 0, options in words, EtherType, 24 bits of VNI.
Inside inside_geneve(Bytes b, Encapsulation& around) {
  constexpr std::size_t header_length = 8;
  if (!b.has(0, header_length) || b.u8(0) >> 6U != 0) return no_tunnel;
  const Content content = content_of_ether_type(b.be16(2));
  if (content == Content::llc) return no_tunnel;
  around.add_tunnel(TunnelKind::geneve, b.be24(4));
  return {content, header_length + (b.u8(0) & 0x3fU) * 4U};
}

// 3GPP TS 29.281 5.1: version 1 of GTP, message G-PDU; if any of E, S and PN is set, four bytes more, of which the last says
// what extension header follows (5.2.1: its length in words, ..., the type of the next one).
Inside inside_gtp(Bytes b, const TcpSegment& outer, Encapsulation& around) {
  constexpr std::uint8_t version_and_type_bits = 0xf0, gtp_1 = 0x30, extra_bits = 0x07, extension_bit = 0x04,
                         user_packet = 0xff;
  std::size_t at = 8;
  if (!b.has(0, at) || (b.u8(0) & version_and_type_bits) != gtp_1 || b.u8(1) != user_packet) return no_tunnel;
  if (b.u8(0) & extra_bits) {
    at += 4;
    if (!b.has(0, at)) return no_tunnel;
    std::uint8_t next = b.u8(0) & extension_bit ? b.u8(at - 1) : std::uint8_t{0};
    while (next != 0) {
      const std::size_t length = b.has(at, 1) ? b.u8(at) * 4U : 0U;
      if (length == 0 || !b.has(at, length)) return no_tunnel;
      at += length;
      next = b.u8(at - 1);
    }
  }
  around.add_tunnel(TunnelKind::gtp, pair_of(outer));
  return {Content::ip, at};
}

// RFC 4380 5.1.1: an authentication (00 01) and an origin indication (00 00) may stand before the IPv6 packet.
Inside inside_teredo(Bytes b, Encapsulation& around) {
  constexpr std::uint16_t authentication = 0x0001, origin = 0x0000;
  constexpr std::size_t authentication_fixed = 13, origin_length = 8;
  std::size_t at = 0;
  if (b.has(at, 4) && b.be16(at) == authentication) at += authentication_fixed + b.u8(at + 2) + b.u8(at + 3);
  if (b.has(at, 2) && b.be16(at) == origin) at += origin_length;
  if (!b.has(at, 40) || b.u8(at) >> 4U != 6) return no_tunnel;
  around.add_tunnel(TunnelKind::teredo, 0);
  return {Content::ipv6, at};
}

// draft-massar-v6ops-ayiya 3: length of the identity as a power of 2, of the signature in words, ..., operation, next header, time; then
// identity, signature and, where the operation is "forward", a packet.
Inside inside_ayiya(Bytes b, const TcpSegment& outer, Encapsulation& around) {
  constexpr std::size_t fixed_length = 8;
  constexpr unsigned operation_bits = 0x0f, forward = 1, word = 4, largest_identity = 7;
  if (!b.has(0, fixed_length) || (b.u8(2) & operation_bits) != forward) return no_tunnel;
  const unsigned identity_power = b.u8(0) >> 4U;
  const std::uint8_t next = b.u8(3);
  if (identity_power > largest_identity || (next != ip_protocol::ipv4 && next != ip_protocol::ipv6)) return no_tunnel;
  around.add_tunnel(TunnelKind::ip_in_ip, pair_of(outer));
  return {next == ip_protocol::ipv4 ? Content::ipv4 : Content::ipv6,
          fixed_length + (std::size_t{1} << identity_power) + (b.u8(1) >> 4U) * word};
}

Inside inside_udp(Bytes b, const TcpSegment& outer, const DissectOptions& options, Encapsulation& around) {
  if (!b.has(0, udp_header_length)) return no_tunnel;
  const std::uint16_t source = b.be16(0), destination = b.be16(2);
  const auto to_or_from = [&](std::uint16_t port) { return source == port || destination == port; };
  const auto inside = [&, data = b.from(udp_header_length)]() -> Inside {
    // The source port of the first two is a hash of what they carry (RFC 7348 5, RFC 8926 3.3).
    if (destination == udp_port::vxlan) return inside_vxlan(data, around);
    if (destination == udp_port::geneve) return inside_geneve(data, around);
    if (destination == udp_port::gre_in_udp) return inside_gre(data, outer, around);
    // 3GPP TS 29.281 4.4.2 fixes the destination only; some nodes send to where requests came from.
    if (to_or_from(udp_port::gtp_user)) return inside_gtp(data, outer, around);
    if (to_or_from(udp_port::ayiya)) return inside_ayiya(data, outer, around);
    if (options.teredo && to_or_from(udp_port::teredo)) return inside_teredo(data, around);
    return no_tunnel;
  }();
  return {inside.content, inside.header_length + udp_header_length};
}

// --- IP in IP --------------------------------------------------------------------------------------------------

// RFC 3056 2: 2002::/16. Replies may come through another relay.
bool is_six_to_four(Bytes packet) {
  constexpr std::uint16_t prefix = 0x2002;
  return packet.has(0, 40) && (packet.be16(8) == prefix || packet.be16(24) == prefix);
}

Inside inside_ip(Content content, Bytes b, const TcpSegment& outer, Encapsulation& around) {
  if (content == Content::ipv6 && is_six_to_four(b))
    around.add_tunnel(TunnelKind::six_to_four, 0);
  else
    around.add_tunnel(TunnelKind::ip_in_ip, pair_of(outer));
  return {content, 0};
}

}  // namespace

bool enter_tunnel(const IpPayload& payload, const TcpSegment& outer, const DissectOptions& options, Carried& carried) {
  if (payload.reach != Reach::payload) return false;
  Inside inside;
  Encapsulation around = carried.encapsulation;
  switch (payload.protocol) {
    case ip_protocol::udp: inside = inside_udp(payload.bytes, outer, options, around); break;
    case ip_protocol::gre: inside = inside_gre(payload.bytes, outer, around); break;
    case ip_protocol::ipv4: inside = inside_ip(Content::ipv4, payload.bytes, outer, around); break;
    case ip_protocol::ipv6: inside = inside_ip(Content::ipv6, payload.bytes, outer, around); break;
    case ip_protocol::mpls_in_ip:
      around.add_tunnel(TunnelKind::ip_in_ip, pair_of(outer));
      inside = {Content::mpls, 0};
      break;
    default: break;
  }
  if (inside.content == Content::none) return false;
  carried.content = inside.content;
  carried.bytes = payload.bytes.from(inside.header_length);
  carried.original_length =
      std::max(payload.length - std::min(payload.length, inside.header_length), carried.bytes.size());
  carried.encapsulation = around;
  return true;
}

}  // namespace tcpwhy::wire
