#include "scan/compat/tshark_layers.h"

#include <algorithm>
#include <utility>

#include "wire/ether_type.h"
#include "wire/link_layer.h"

namespace tcpwhy::scan::tshark {
namespace {

using wire::Bytes;
using wire::IpAddress;

// Tunnels in tunnels: beyond this a packet is not looked into.
constexpr int deepest_nesting = 24;

namespace udp_port {
constexpr std::uint16_t gtp_user = 2152, teredo = 3544, vxlan = 4789, geneve = 6081;
}

constexpr std::uint8_t ip_in_ip = wire::ip_protocol::ipv4;

// RFC 2784 2.3 and RFC 1701: what a GRE header says of the optional words behind it.
constexpr std::uint16_t gre_checksum = 0x8000, gre_routing = 0x4000, gre_key = 0x2000, gre_sequence = 0x1000,
                        gre_acknowledgment = 0x0080, gre_version = 0x0007;
constexpr std::uint16_t transparent_bridging = 0x6558, ppp_in_gre = 0x880b;

}  // namespace

LayerFinder::Stretch LayerFinder::Stretch::from(std::size_t offset) const {
  return {bytes.from(offset), length - std::min(length, offset)};
}

LayerFinder::Stretch LayerFinder::Stretch::first(std::size_t count) const {
  return {bytes.first(count), std::min(length, count)};
}

const std::vector<TcpHeader>& LayerFinder::find(const Frame& frame) {
  found_.clear();
  whole_.clear();
  depth_ = 0;
  in_fragment_ = in_error_ = false;
  follow_link(frame.link_type, {Bytes(frame.bytes), std::max<std::size_t>(frame.original_length, frame.bytes.size())});
  return found_;
}

void LayerFinder::follow_link(wire::LinkType link_type, Stretch stretch) {
  wire::Carried carried{.content = wire::content_of_link(link_type),
                        .bytes = stretch.bytes,
                        .original_length = stretch.length,
                        .encapsulation = {}};
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
    case wire::ip_protocol::udp: return follow_udp(payload);
    case wire::ip_protocol::icmp: return follow_icmp(payload);
    case wire::ip_protocol::icmp6: return follow_icmp6(payload);
    case ip_in_ip:
    case wire::ip_protocol::ipv6: return follow_ip(payload);
    case wire::ip_protocol::gre: return follow_gre(payload);
    case wire::ip_protocol::authentication: return follow_authentication(payload, addresses);
    default: return;
  }
}

// RFC 4302 2: its length counts 4-byte words, less 2.
void LayerFinder::follow_authentication(Stretch header, const Addresses& addresses) {
  if (!header.bytes.has(0, 12) || ++depth_ > deepest_nesting) return;
  follow_protocol(header.bytes.u8(0), header.from((header.bytes.u8(1) + 2U) * std::size_t{4}), addresses);
}

// RFC 792: destination unreachable, source quench, redirect, time exceeded and parameter problem quote the packet. Of what a
// redirect quotes, Wireshark looks at no more than the first eight bytes behind the IP header.
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
  follow_ip(message.from(8));
  in_error_ = outer;
}

void LayerFinder::follow_ether_type(std::uint16_t type, Stretch payload) {
  switch (type) {
    case wire::ether_type::ipv4:
    case wire::ether_type::ipv6: return follow_ip(payload);
    case transparent_bridging: return follow_link(wire::LinkType::ethernet, payload);
    case ppp_in_gre: return follow_link(wire::LinkType::ppp, payload);
    default: return;
  }
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
  follow_ether_type(header.bytes.be16(2), header.from(length));
}

// RFC 768. Which tunnel it is, one of the ports says, the lower one first.
void LayerFinder::follow_udp(Stretch datagram) {
  constexpr std::size_t header_length = 8;
  if (!datagram.bytes.has(0, header_length)) return;
  const std::size_t length = datagram.bytes.be16(4);
  if (length != 0 && length < header_length) return;
  const std::uint16_t source = datagram.bytes.be16(0), destination = datagram.bytes.be16(2);
  if (length != 0) datagram = datagram.first(length);
  const Stretch payload = datagram.from(header_length);
  for (const std::uint16_t port : {std::min(source, destination), std::max(source, destination)}) {
    switch (port) {
      case udp_port::gtp_user: return follow_gtp(payload);
      case udp_port::teredo: return follow_teredo(payload);
      case udp_port::vxlan: return follow_vxlan(payload);
      case udp_port::geneve: return follow_geneve(payload);
      default: break;
    }
  }
}

// RFC 7348 5.
void LayerFinder::follow_vxlan(Stretch message) {
  if (message.bytes.has(0, 8)) follow_link(wire::LinkType::ethernet, message.from(8));
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
  follow_ip(message.from(at));
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

}  // namespace tcpwhy::scan::tshark
