#include "compat/tshark/layers.h"

#include <algorithm>
#include <utility>

#include "wire/ether_type.h"

namespace tcpwhy::compat::tshark {
namespace {

using wire::Bytes;
using wire::IpAddress;

// Tunnels in tunnels: beyond this a packet is not looked into.
constexpr int deepest_nesting = 24;

namespace udp_port {
constexpr std::uint16_t l2tp = 1701, gtp_control = 2123, gtp_user = 2152, teredo = 3544, lisp = 4341, gre = 4754,
                        vxlan = 4789, vxlan_gpe = 4790, ayiya = 5072, geneve = 6081, mpls = 6635;
}

constexpr std::uint8_t ip_in_ip = wire::ip_protocol::ipv4, ethernet_in_ip = 97, pim = 103;

// RFC 2784 2.3 and RFC 1701: what a GRE header says of the optional words behind it.
constexpr std::uint16_t gre_checksum = 0x8000, gre_routing = 0x4000, gre_key = 0x2000, gre_sequence = 0x1000,
                        gre_acknowledgment = 0x0080, gre_version = 0x0007;
constexpr std::uint16_t transparent_bridging = 0x6558, ppp_in_gre = 0x880b, web_cache = 0x883e, erspan = 0x88be,
                        erspan3 = 0x22eb;

// The number that Linux has for AF_INET6 is one that Wireshark does not know: it knows those of the BSDs.
bool is_linux_ipv6_on_loopback(const scan::Frame& frame) {
  const Bytes b(frame.bytes);
  constexpr std::uint32_t linux_ipv6 = 10;
  const bool loopback = frame.link_type == wire::LinkType::null || frame.link_type == wire::LinkType::loop;
  return loopback && b.has(0, 4) && (b.be32(0) == linux_ipv6 || b.le32(0) == linux_ipv6);
}

}  // namespace

LayerFinder::Stretch LayerFinder::Stretch::from(std::size_t offset) const {
  return {bytes.from(offset), length - std::min(length, offset)};
}

LayerFinder::Stretch LayerFinder::Stretch::first(std::size_t count) const {
  return {bytes.first(count), std::min(length, count)};
}

const std::vector<TcpHeader>& LayerFinder::find(const scan::Frame& frame) {
  found_.clear();
  whole_.clear();
  depth_ = 0;
  in_fragment_ = in_error_ = false;
  if (is_linux_ipv6_on_loopback(frame)) return found_;
  follow_link(frame.link_type, {Bytes(frame.bytes), std::max<std::size_t>(frame.original_length, frame.bytes.size())});
  return found_;
}

void LayerFinder::follow_link(wire::LinkType link_type, Stretch stretch) {
  follow_content(wire::content_of_link(link_type), stretch);
}

void LayerFinder::follow_content(wire::Content content, Stretch stretch) {
  wire::Carried carried{
      .content = content, .bytes = stretch.bytes, .original_length = stretch.length, .encapsulation = {}};
  if (wire::unwrap_to_ip(carried)) follow_ip({carried.bytes, carried.original_length});
}

void LayerFinder::follow_ip(Stretch packet) {
  if (packet.bytes.empty() || ++depth_ > deepest_nesting) return;
  switch (packet.bytes.u8(0) >> 4U) {
    case 4: return follow_ipv4(packet);
    case 6: return follow_ipv6(packet);
    default: return;
  }
}

std::optional<LayerFinder::Stretch> LayerFinder::reassemble(const FragmentKey& key, const Fragment& fragment,
                                                            Stretch payload, bool captured) {
  if (captured && payload.length > 0) {
    auto whole = fragments_.add(key, fragment);
    if (!whole) return std::nullopt;
    whole_.push_back(std::move(*whole));
    return Stretch{Bytes(whole_.back()), whole_.back().size()};
  }
  if (fragment.offset != 0) return std::nullopt;
  in_fragment_ = in_fragment_ || fragment.more;
  return payload;
}

// RFC 791 3.1.
void LayerFinder::follow_ipv4(Stretch packet) {
  constexpr std::size_t shortest_header = 20;
  constexpr std::uint16_t offset_bits = 0x1fff, more_bit = 0x2000;
  const Bytes b = packet.bytes;
  if (!b.has(0, shortest_header)) return;
  const std::size_t header_length = (b.u8(0) & 0xfU) * 4U;
  if (header_length < shortest_header || !b.has(0, header_length)) return;
  // 0: captured before the device cut a large segment into packets.
  const std::size_t total_length = b.be16(2) != 0 ? b.be16(2) : packet.length;
  if (total_length < header_length) return;
  const Addresses addresses{IpAddress::v4(b.fixed<4>(12)), IpAddress::v4(b.fixed<4>(16))};
  const std::uint8_t protocol = b.u8(9);
  Stretch payload = packet.first(total_length).from(header_length);
  if (const std::uint16_t fragmenting = b.be16(6); (fragmenting & (offset_bits | more_bit)) != 0) {
    const Fragment fragment{.offset = (fragmenting & offset_bits) * std::size_t{8},
                            .more = (fragmenting & more_bit) != 0,
                            .bytes = payload.bytes};
    const bool captured = payload.bytes.size() >= total_length - header_length;
    const auto whole =
        reassemble({addresses.source, addresses.destination, b.be16(4), protocol}, fragment, payload, captured);
    if (!whole) return;
    payload = *whole;
  }
  follow_protocol(protocol, payload, addresses);
}

// RFC 8200 3.
void LayerFinder::follow_ipv6(Stretch packet) {
  constexpr std::size_t header_length = 40;
  const Bytes b = packet.bytes;
  if (!b.has(0, header_length)) return;
  const std::size_t payload_length = b.be16(4);
  // A jumbogram says its length in a hop-by-hop option; of any other packet without a length nothing is looked at.
  if (payload_length == 0 && b.u8(6) != wire::ip_protocol::hop_by_hop) return;
  Stretch rest = packet.from(header_length);
  if (payload_length != 0) rest = rest.first(payload_length);
  follow_ipv6_headers(b.u8(6), rest, {IpAddress::v6(b.fixed<16>(8)), IpAddress::v6(b.fixed<16>(24))});
}

void LayerFinder::follow_ipv6_headers(std::uint8_t next_header, Stretch rest, const Addresses& addresses) {
  using namespace wire::ip_protocol;
  while (next_header == hop_by_hop || next_header == routing || next_header == destination_options ||
         next_header == mobility || next_header == host_identity || next_header == shim6 || next_header == fragment) {
    if (!rest.bytes.has(0, 8)) return;
    const Bytes b = rest.bytes;
    const std::uint8_t after = b.u8(0);
    const std::size_t length = next_header == fragment ? 8 : (b.u8(1) + 1U) * std::size_t{8};
    // RFC 8200 4.5: the offset in the upper 13 bits, M in the lowest. A packet of one fragment (RFC 6946) is whole.
    const std::uint16_t fragmenting = b.be16(2);
    const std::uint32_t id = b.be32(4);
    rest = rest.from(length);
    if (next_header == fragment && (fragmenting & 0xfff9U) != 0) {
      const bool captured = rest.bytes.size() >= rest.length;
      const auto whole = reassemble(
          {addresses.source, addresses.destination, id, 0},
          {.offset = fragmenting & 0xfff8U, .more = (fragmenting & 1U) != 0, .bytes = rest.bytes}, rest, captured);
      if (!whole) return;
      rest = *whole;
    }
    next_header = after;
  }
  follow_protocol(next_header, rest, addresses);
}

void LayerFinder::follow_protocol(std::uint8_t protocol, Stretch payload, const Addresses& addresses) {
  switch (protocol) {
    case wire::ip_protocol::tcp:
      found_.push_back({.source = addresses.source,
                        .destination = addresses.destination,
                        .bytes = payload.bytes.first(payload.length),
                        .reported_length = payload.length,
                        .in_fragment = in_fragment_,
                        .in_error = in_error_});
      return;
    case wire::ip_protocol::udp: return follow_udp(payload, addresses);
    case wire::ip_protocol::icmp: return follow_icmp(payload);
    case wire::ip_protocol::icmp6: return follow_icmp6(payload);
    case ip_in_ip:
    case wire::ip_protocol::ipv6: return follow_ip(payload);
    case wire::ip_protocol::gre: return follow_gre(payload);
    case wire::ip_protocol::authentication: return follow_authentication(payload, addresses);
    case ethernet_in_ip: return follow_link(wire::LinkType::ethernet, payload.from(2));  // RFC 3378 3
    case pim: return follow_pim(payload);
    default: return;
  }
}

// RFC 4302 2: its length counts 4-byte words, less 2.
void LayerFinder::follow_authentication(Stretch header, const Addresses& addresses) {
  if (!header.bytes.has(0, 12) || ++depth_ > deepest_nesting) return;
  follow_protocol(header.bytes.u8(0), header.from((header.bytes.u8(1) + 2U) * std::size_t{4}), addresses);
}

// RFC 792: destination unreachable, source quench, redirect, time exceeded and parameter problem quote the packet. Of
// what a redirect quotes, Wireshark looks at no more than the first eight bytes behind the IP header.
void LayerFinder::follow_icmp(Stretch message) {
  constexpr std::uint8_t unreachable = 3, source_quench = 4, redirect = 5, time_exceeded = 11, parameter_problem = 12;
  if (!message.bytes.has(0, 8)) return;
  Stretch quoted = message.from(8);
  switch (message.bytes.u8(0)) {
    case redirect:
      if (quoted.bytes.has(0, 1)) quoted = quoted.first((quoted.bytes.u8(0) & 0xfU) * std::size_t{4} + 8U);
      break;
    case unreachable:
    case source_quench:
    case time_exceeded:
    case parameter_problem: break;
    default: return;
  }
  const bool outer = std::exchange(in_error_, true);
  follow_ip(quoted);
  in_error_ = outer;
}

// RFC 4443 3: the error messages are types 1 to 4.
void LayerFinder::follow_icmp6(Stretch message) {
  if (!message.bytes.has(0, 8)) return;
  const std::uint8_t type = message.bytes.u8(0);
  if (type < 1 || type > 4) return;
  const bool outer = std::exchange(in_error_, true);
  if (message.bytes.has(8, 1) && message.bytes.u8(8) >> 4U == 6) follow_ip(message.from(8));
  in_error_ = outer;
}

// RFC 7761 4.9.3: a register message (type 1) carries the packet.
void LayerFinder::follow_pim(Stretch message) {
  if (message.bytes.has(0, 8) && message.bytes.u8(0) == 0x21) follow_ip(message.from(8));
}

void LayerFinder::follow_ether_type(std::uint16_t type, Stretch payload) {
  switch (type) {
    case wire::ether_type::ipv4:
    case wire::ether_type::ipv6: return follow_ip(payload);
    case transparent_bridging: return follow_link(wire::LinkType::ethernet, payload);
    case ppp_in_gre: return follow_link(wire::LinkType::ppp, payload);
    case web_cache: return follow_ip(payload.from(4));  // WCCP's redirect header
    case wire::ether_type::mpls:
    case wire::ether_type::mpls_multicast: return follow_content(wire::Content::mpls, payload);
    default: return;
  }
}

// draft-foschiano-erspan: without a sequence number in GRE there is no header of its own; type II has 8 bytes, type III
// 12, and 8 more where its last bit says so.
void LayerFinder::follow_erspan(bool type3, bool numbered, Stretch header) {
  std::size_t length = numbered ? 8 : 0;
  if (type3) {
    if (!header.bytes.has(0, 12)) return;
    length = (header.bytes.u8(11) & 1U) != 0 ? 20 : 12;
  }
  follow_link(wire::LinkType::ethernet, header.from(length));
}

void LayerFinder::follow_gre(Stretch header) {
  if (!header.bytes.has(0, 4)) return;
  const std::uint16_t flags = header.bytes.be16(0);
  if ((flags & gre_routing) != 0) return;
  std::size_t length = 4;
  if ((flags & gre_checksum) != 0) length += 4;
  if ((flags & gre_key) != 0) length += 4;
  if ((flags & gre_sequence) != 0) length += 4;
  if ((flags & gre_version) == 1 && (flags & gre_acknowledgment) != 0) length += 4;
  if (!header.bytes.has(0, length)) return;
  const std::uint16_t type = header.bytes.be16(2);
  if (type == erspan || type == erspan3) {
    return follow_erspan(type == erspan3, (flags & gre_sequence) != 0, header.from(length));
  }
  follow_ether_type(type, header.from(length));
}

// RFC 768. Which tunnel it is, one of the ports says, the lower one first.
void LayerFinder::follow_udp(Stretch datagram, const Addresses& addresses) {
  constexpr std::size_t header_length = 8;
  if (!datagram.bytes.has(0, header_length)) return;
  const std::size_t length = datagram.bytes.be16(4);
  if (length != 0 && length < header_length) return;
  const std::uint16_t source = datagram.bytes.be16(0), destination = datagram.bytes.be16(2);
  if (length != 0) datagram = datagram.first(length);
  const Stretch payload = datagram.from(header_length);
  for (const std::uint16_t port : {std::min(source, destination), std::max(source, destination)}) {
    switch (port) {
      case udp_port::l2tp: return follow_l2tp(payload);
      case udp_port::gtp_control:
      case udp_port::gtp_user: return follow_gtp(payload);
      case udp_port::lisp: return follow_ip(payload.from(8));  // RFC 9300 5.1
      case udp_port::vxlan_gpe: return follow_vxlan_gpe(payload);
      case udp_port::mpls: return follow_content(wire::Content::mpls, payload);  // RFC 7510 3
      case udp_port::teredo: return follow_teredo(payload);
      case udp_port::gre: return follow_gre(payload);  // RFC 8086
      case udp_port::vxlan: return follow_vxlan(payload);
      case udp_port::ayiya: return follow_ayiya(payload, addresses);
      case udp_port::geneve: return follow_geneve(payload);
      default: break;
    }
  }
}

// draft-massar-v6ops-ayiya 3: the first four bits are the length of the identity, as a power of 2; those of the second byte that of the
// signature, in words. Only what is to be forwarded is a packet.
void LayerFinder::follow_ayiya(Stretch message, const Addresses& addresses) {
  constexpr unsigned fixed_length = 8, word = 4, operation_bits = 0x0f, forward = 1;
  const Bytes b = message.bytes;
  if (!b.has(0, fixed_length) || (b.u8(2) & operation_bits) != forward || ++depth_ > deepest_nesting) return;
  const std::size_t identity = std::size_t{1} << (b.u8(0) >> 4U), signature = (b.u8(1) >> 4U) * word;
  follow_protocol(b.u8(3), message.from(fixed_length + identity + signature), addresses);
}

// RFC 7348 5.
void LayerFinder::follow_vxlan(Stretch message) {
  if (message.bytes.has(0, 8)) follow_link(wire::LinkType::ethernet, message.from(8));
}

// draft-ietf-nvo3-vxlan-gpe 3.1: the last byte of the first word says what follows.
void LayerFinder::follow_vxlan_gpe(Stretch message) {
  constexpr std::uint8_t ipv4 = 1, ipv6 = 2, ethernet = 3;
  if (!message.bytes.has(0, 8)) return;
  switch (message.bytes.u8(3)) {
    case ipv4:
    case ipv6: return follow_ip(message.from(8));
    case ethernet: return follow_link(wire::LinkType::ethernet, message.from(8));
    default: return;
  }
}

// RFC 2661 3.1: a data message (T is 0) of version 2; a length (L), sequence numbers (S) and an offset (O) may be there.
void LayerFinder::follow_l2tp(Stretch message) {
  constexpr std::uint16_t control = 0x8000, has_length = 0x4000, has_sequence = 0x0800, has_offset = 0x0200;
  if (!message.bytes.has(0, 2)) return;
  const std::uint16_t flags = message.bytes.be16(0);
  if ((flags & control) != 0 || (flags & 0xfU) != 2) return;
  std::size_t at = 6;
  if ((flags & has_length) != 0) at += 2;
  if ((flags & has_sequence) != 0) at += 4;
  if ((flags & has_offset) != 0) {
    if (!message.bytes.has(at, 2)) return;
    at += 2U + message.bytes.be16(at);
  }
  follow_link(wire::LinkType::ppp, message.from(at));
}

// RFC 8926 3.4: the options count 4-byte words.
void LayerFinder::follow_geneve(Stretch message) {
  if (!message.bytes.has(0, 8)) return;
  const std::size_t length = 8U + (message.bytes.u8(0) & 0x3fU) * 4U;
  follow_ether_type(message.bytes.be16(2), message.from(length));
}

// 3GPP TS 29.281 5.1: version 1, a G-PDU; one of the flags E, S and PN adds four bytes, then extension headers may follow
// (their length counts 4-byte words, their last byte is the type of the next).
void LayerFinder::follow_gtp(Stretch message) {
  constexpr std::uint8_t user_packet = 0xff, optional_fields = 0x07, extension_follows = 0x04;
  const Bytes b = message.bytes;
  if (!b.has(0, 8) || b.u8(0) >> 5U != 1 || b.u8(1) != user_packet) return;
  std::size_t at = 8;
  if ((b.u8(0) & optional_fields) != 0) {
    if (!b.has(at, 4)) return;
    std::uint8_t next = (b.u8(0) & extension_follows) != 0 ? b.u8(at + 3) : 0;
    at += 4;
    while (next != 0) {
      if (!b.has(at, 1) || b.u8(at) == 0) return;
      const std::size_t length = b.u8(at) * std::size_t{4};
      if (!b.has(at, length)) return;
      next = b.u8(at + length - 1);
      at += length;
    }
  }
  // What it carries is not said in the header: IP by its first nibble, else Ethernet.
  const Stretch packet = message.from(at);
  const unsigned version = packet.bytes.empty() ? 0 : packet.bytes.u8(0) >> 4U;
  if (version == 4 || version == 6) return follow_ip(packet);
  follow_link(wire::LinkType::ethernet, packet);
}

// RFC 4380 5.1.1: an authentication header (0x0001) and an origin indication (0x0000) may stand before the IPv6 packet.
void LayerFinder::follow_teredo(Stretch message) {
  if (message.bytes.has(0, 4) && message.bytes.be16(0) == 1) {
    message = message.from(4U + message.bytes.u8(2) + message.bytes.u8(3) + 9U);
  }
  constexpr std::size_t origin_length = 8;
  if (message.bytes.has(0, origin_length) && message.bytes.be16(0) == 0) message = message.from(origin_length);
  if (message.bytes.has(0, 1) && message.bytes.u8(0) >> 4U == 6) follow_ip(message);
}

}  // namespace tcpwhy::compat::tshark
