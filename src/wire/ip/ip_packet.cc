#include "wire/ip/ip_packet.h"

#include <algorithm>

namespace tcpwhy::wire {

bool is_extension(std::uint8_t next_header) {
  switch (next_header) {
    case ip_protocol::hop_by_hop:
    case ip_protocol::routing:
    case ip_protocol::destination_options:
    case ip_protocol::mobility:
    case ip_protocol::host_identity:
    case ip_protocol::shim6:
    case ip_protocol::authentication: return true;
    default: return false;
  }
}

namespace {

// Follows the extension headers (and, in IPv4, an Authentication Header) from `next_header` to what is none. `length`: what
// the IP header says follows.
IpPayload follow_extensions(std::uint8_t next_header, Bytes b, std::size_t length) {
  IpPayload payload{.reach = Reach::payload, .protocol = next_header, .bytes = b.first(length), .length = length};
  while (payload.protocol == ip_protocol::fragment || is_extension(payload.protocol)) {
    b = payload.bytes;
    if (!b.has(0, 8)) return {};
    const bool fragment = payload.protocol == ip_protocol::fragment;
    const std::size_t header = fragment                                          ? 8
                               : payload.protocol == ip_protocol::authentication ? authentication_length(b.u8(1))
                                                                                 : extension_length(b.u8(1));
    if (header > payload.length) return {};
    payload.protocol = b.u8(0);
    payload.bytes = b.from(header);
    payload.length -= header;
    if (!fragment) continue;
    // RFC 8200 4.5: the upper 13 bits of the third and fourth byte are the offset, the lowest says that more follow.
    // Neither: an atomic fragment (RFC 6946), which is a whole packet.
    constexpr std::uint16_t offset_bits = 0xfff8, more_bit = 0x0001;
    payload.fragmented |= (b.be16(2) & (offset_bits | more_bit)) != 0;
    if ((b.be16(2) & offset_bits) != 0) {
      payload.reach = Reach::later_fragment;
      return payload;
    }
  }
  return payload;
}

// RFC 791 3.1.
IpPayload read_ipv4(const Carried& carried, TcpSegment& segment) {
  const Bytes b = carried.bytes;
  constexpr std::size_t protocol_at = 9, shortest_header = 20;
  if (!b.has(protocol_at, 1)) return {};
  const std::uint8_t protocol = b.u8(protocol_at);
  segment.ecn = b.u8(1) & 3U;
  segment.ip_id = b.be16(4);
  segment.ttl = b.u8(8);
  if (!b.has(0, shortest_header)) return {.reach = Reach::cut, .protocol = protocol};
  segment.source.ip.become_v4(b.fixed<4>(12));
  segment.destination.ip.become_v4(b.fixed<4>(16));
  const std::size_t header_length = (b.u8(0) & 0xfU) * 4U;
  // A packet recorded before its length is filled in (TSO): it says 0.
  const std::size_t total_length = b.be16(2) != 0 ? b.be16(2) : carried.original_length;
  if (header_length < shortest_header || header_length > total_length) {
    return {.reach = Reach::contradiction, .protocol = protocol};
  }
  const std::size_t length = total_length - header_length;
  const Bytes payload = b.from(header_length).first(length);
  constexpr std::uint16_t offset_bits = 0x1fff, more_bit = 0x2000;
  const bool fragmented = (b.be16(6) & (offset_bits | more_bit)) != 0;
  if ((b.be16(6) & offset_bits) != 0) return {Reach::later_fragment, protocol, fragmented, payload, length};
  if (protocol != ip_protocol::authentication) return {Reach::payload, protocol, fragmented, payload, length};
  IpPayload authenticated = follow_extensions(protocol, payload, length);
  authenticated.fragmented |= fragmented;
  return authenticated;
}

// RFC 8200 3.
IpPayload read_ipv6(const Carried& carried, TcpSegment& segment) {
  const Bytes b = carried.bytes;
  constexpr std::size_t header_length = 40, next_header_at = 6;
  if (!b.has(next_header_at, 1)) return {};
  segment.ecn = b.u8(1) >> 4U & 3U;
  if (b.has(7, 1)) segment.ttl = b.u8(7);
  if (!b.has(0, header_length)) return {.reach = Reach::cut, .protocol = b.u8(next_header_at)};
  segment.source.ip.become_v6(b.fixed<16>(8));
  segment.destination.ip.become_v6(b.fixed<16>(24));
  // 0: a jumbogram (RFC 2675), or a packet larger than 65535 bytes that its device is to cut (Linux's BIG TCP).
  const std::size_t length = b.be16(4) != 0 ? b.be16(4) : carried.original_length - header_length;
  return follow_extensions(b.u8(next_header_at), b.from(header_length), length);
}

}  // namespace

IpPayload read_ip(const Carried& carried, TcpSegment& segment) {
  return carried.bytes.u8(0) >> 4U == 4 ? read_ipv4(carried, segment) : read_ipv6(carried, segment);
}

}  // namespace tcpwhy::wire
