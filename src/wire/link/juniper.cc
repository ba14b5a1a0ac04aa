// What Juniper's routers put before packets that they capture: "MGC", flags, extensions, and from some interface cards a cookie.
//
// Written down nowhere but in tcpdump; how many bytes there are was taken from what it skips.
#include "wire/ether_type.h"
#include "wire/link/layer.h"

namespace tcpwhy::wire {
namespace {

constexpr std::uint8_t incoming_flag = 0x01, no_link_header_flag = 0x02, extensions_flag = 0x80;
constexpr std::uint8_t unnumbered_information = 0x03;
constexpr std::size_t adaptive_services_length = 8;

// Length of the cookie that a kind of card puts there; two first bytes tell of another length.
std::size_t cookie_length(Bytes b, std::size_t usual) {
  constexpr std::uint8_t link_services = 0x54, adaptive_services = 0x47;
  if (!b.has(0, 1)) return usual;
  if (b.u8(0) == adaptive_services) return adaptive_services_length;
  return b.u8(0) == link_services ? usual + 2 : usual;
}

// The sixth byte of an adaptive services cookie.
Layer by_services_cookie(Bytes b) {
  constexpr std::size_t protocol = 5;
  constexpr std::uint8_t protocol_bits = 0x70;
  if (!b.has(0, adaptive_services_length)) return nothing_known;
  switch (b.u8(protocol) & protocol_bits) {
    case 0x00: return {Content::ipv4, adaptive_services_length};
    case 0x10: return {Content::ipv6, adaptive_services_length};
    case 0x20: return {Content::mpls, adaptive_services_length};
    default: return nothing_known;
  }
}

bool has_llc(Bytes b, std::size_t at) {
  constexpr std::uint32_t osi = 0xfefe03, snap = 0xaaaa03;
  return b.has(at, 3) && (b.be24(at) == osi || b.be24(at) == snap);
}

Layer further(const Layer& layer, std::size_t count) {
  Layer moved = layer;
  moved.header_length += count;
  return moved;
}

// RFC 2684's LLC, Cisco's control and NLPID, or IP at once.
Layer after_atm1(Bytes b) {
  constexpr std::size_t cookie_usual = 4;
  constexpr std::uint8_t operation_cell = 0x80;
  const std::size_t cookie = cookie_length(b, cookie_usual);
  if (!b.has(0, cookie + 1) || b.u8(0) == operation_cell) return nothing_known;
  if (has_llc(b, cookie)) return {Content::llc, cookie};
  if (b.u8(cookie) == unnumbered_information) return after_nlpid(b, cookie + 1);
  return {Content::ip, cookie};
}

// Also bridged Ethernet, where the cookie of what goes out counts a gap, and PPP (RFC 2364).
Layer after_atm2(Bytes b, bool incoming) {
  constexpr std::size_t cookie_usual = 8;
  constexpr std::uint8_t operation_cell_bits = 0x70;
  constexpr std::uint32_t gap_bits = 0x3f;
  const std::size_t cookie = cookie_length(b, cookie_usual);
  if (cookie != cookie_usual || !b.has(0, cookie + 2) || (b.u8(7) & operation_cell_bits)) return nothing_known;
  if (has_llc(b, cookie)) return {Content::llc, cookie};
  if (!incoming && (b.be32(0) & gap_bits)) return {Content::ethernet, cookie};
  if (b.u8(cookie) == unnumbered_information) return after_nlpid(b, cookie + 1);
  if (content_of_ppp_protocol(b.be16(cookie)) != Content::none) return {Content::ppp, cookie};
  return {Content::ip, cookie};
}

Layer after_multilink_ppp(Bytes b) {
  constexpr std::size_t cookie_usual = 2;
  const std::size_t cookie = cookie_length(b, cookie_usual);
  if (cookie == adaptive_services_length) return by_services_cookie(b);
  return {Content::ppp, cookie};
}

// Behind the cookie control and NLPID; on the bundle as a whole the NLPID may be missing from the control's two bytes.
Layer after_multilink_relay(Bytes b) {
  constexpr std::size_t cookie_usual = 2;
  const std::size_t cookie = cookie_length(b, cookie_usual);
  if (cookie == adaptive_services_length || !b.has(cookie, 2)) return nothing_known;
  if (b.u8(cookie) == unnumbered_information && b.u8(cookie + 1) != 0) return after_nlpid(b, cookie + 1);
  const bool padded = b.be16(cookie) == unnumbered_information || b.be16(cookie) == unnumbered_information << 8U;
  return padded ? after_nlpid(b, cookie + 2) : nothing_known;
}

// FRF.16 on the links of a bundle, which have no cookie; control and NLPID on the bundle.
Layer after_bundled_relay(Bytes b) {
  constexpr std::size_t cookie_usual = 4;
  constexpr std::uint8_t whole_bits = 0xc0;
  if (b.has(0, 1) && (b.u8(0) & whole_bits) == whole_bits) return {Content::multilink_frame_relay, 0};
  const std::size_t cookie = cookie_length(b, cookie_usual);
  if (cookie == adaptive_services_length) return by_services_cookie(b);
  if (!b.has(cookie, 2) || b.u8(cookie) != unnumbered_information) return nothing_known;
  return after_nlpid(b, cookie + 1);
}

// The third byte of a gateway's cookie is the protocol.
Layer after_gateway(Bytes b) {
  constexpr std::size_t protocol = 2;
  const std::size_t cookie = cookie_length(b, adaptive_services_length);
  if (!b.has(0, cookie)) return nothing_known;
  if (b.u8(protocol) == 2) return {Content::ipv4, cookie};
  return b.u8(protocol) == 6 ? Layer{Content::ipv6, cookie} : nothing_known;
}

// An association's index, TTL, type, SPI and two addresses. Types 1 and 2 are bundles, of which it is not known what they hold.
Layer after_ipsec(Bytes b) {
  constexpr std::size_t header_length = 16, type = 3;
  if (!b.has(0, header_length) || b.u8(type) < 3 || b.u8(type) > 5) return nothing_known;
  return {Content::ipv4, header_length};
}

Layer behind_flags(Content kind, Bytes b, bool incoming) {
  switch (kind) {
    case Content::juniper_ethernet: return {Content::ethernet, 0};
    case Content::juniper_ether_type: return {Content::ether_type, 0};
    case Content::juniper_ppp: return {Content::ppp, 0};
    case Content::juniper_cisco_hdlc: return {Content::cisco_hdlc, 0};
    case Content::juniper_frame_relay: return {Content::frame_relay, 0};
    case Content::juniper_multilink_ppp: return after_multilink_ppp(b);
    case Content::juniper_multilink_frame_relay: return after_multilink_relay(b);
    case Content::juniper_bundled_frame_relay: return after_bundled_relay(b);
    case Content::juniper_atm1: return after_atm1(b);
    case Content::juniper_atm2: return after_atm2(b, incoming);
    case Content::juniper_services: return {Content::ip, cookie_length(b, adaptive_services_length)};
    case Content::juniper_gateway: return after_gateway(b);
    case Content::juniper_ipsec: return after_ipsec(b);
    default: return nothing_known;
  }
}

}  // namespace

Layer after_juniper(Content kind, Bytes b) {
  constexpr std::uint32_t magic = 0x4d4743;  // "MGC"
  constexpr std::size_t flags_at = 3, without_link_header = 4;
  std::size_t at = 4;
  if (!b.has(0, at) || b.be24(0) != magic) return nothing_known;
  const unsigned flags = b.u8(flags_at);
  if (flags & extensions_flag) {
    if (!b.has(at, 2)) return nothing_known;
    at += 2U + b.be16(at);
  }
  if (flags & no_link_header_flag) return {Content::ip, at + without_link_header};
  if (!b.has(0, at)) return nothing_known;
  return further(behind_flags(kind, b.from(at), flags & incoming_flag), at);
}

}  // namespace tcpwhy::wire
