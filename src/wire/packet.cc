#include "wire/packet.h"

#include <algorithm>

#include "wire/bytes.h"
#include "wire/ether_type.h"
#include "wire/link_layer.h"

namespace tcpwhy::wire {
namespace {

// The transport's part of an IP packet.
struct IpPayload {
  Dissection kind = Dissection::other;  // tcp: `bytes` begin with a TCP header, or with what was captured of it
  Bytes bytes;                          // what was captured, without padding
  std::size_t length = 0;               // by the IP header
};

constexpr std::size_t shortest_tcp_header = 20;

// --- TCP options (RFC 9293 3.1) ---------------------------------------------------------------------------------

namespace option_kind {
constexpr std::uint8_t end = 0, no_operation = 1, maximum_segment_size = 2, window_scale = 3, sack_permitted = 4,
                       sack = 5, timestamps = 8, md5_signature = 19, multipath = 30, fast_open = 34, experiment = 254;
}

// RFC 7413 4.1.1: Fast Open as an experiment (kind 254), before it got its own kind.
constexpr std::uint16_t fast_open_experiment = 0xf989;

void read_sack(Bytes body, TcpOptions& options) {
  options.sack_count = 0;
  for (std::size_t at = 0; body.has(at, 8) && options.sack_count < options.sack_storage.size(); at += 8) {
    options.sack_storage[options.sack_count++] = {{body.be32(at)}, {body.be32(at + 4)}};
  }
}

// An option of a known kind whose length is not that kind's is passed over, as Linux does (tcp_parse_options).
void read_option(std::uint8_t kind, Bytes body, TcpOptions& options) {
  const std::size_t size = body.size();
  switch (kind) {
    case option_kind::maximum_segment_size:
      if (size == 2) options.maximum_segment_size = body.be16(0);
      break;
    case option_kind::window_scale:
      if (size == 1) options.window_scale = body.u8(0);
      break;
    case option_kind::sack_permitted:
      if (size == 0) options.sack_permitted = true;
      break;
    case option_kind::sack:
      if (size >= 8 && size % 8 == 0) read_sack(body, options);
      break;
    case option_kind::timestamps:
      if (size == 8) options.timestamps = TcpTimestamps{body.be32(0), body.be32(4)};
      break;
    case option_kind::md5_signature:
      if (size == 16) options.md5_signature = true;
      break;
    case option_kind::multipath: options.multipath = true; break;
    case option_kind::fast_open: options.fast_open_cookie_length = static_cast<std::uint8_t>(size); break;
    case option_kind::experiment:
      if (size >= 2 && body.be16(0) == fast_open_experiment) {
        options.fast_open_cookie_length = static_cast<std::uint8_t>(size - 2);
      }
      break;
    default: break;
  }
}

TcpOptions read_options(Bytes list) {
  TcpOptions options;
  while (!list.empty() && list.u8(0) != option_kind::end) {
    if (list.u8(0) == option_kind::no_operation) {
      list = list.from(1);
      continue;
    }
    const std::size_t length = list.has(1, 1) ? list.u8(1) : 0;
    if (length < 2 || !list.has(0, length)) {
      options.malformed = true;
      break;
    }
    read_option(list.u8(0), list.first(length).from(2), options);
    list = list.from(length);
  }
  return options;
}

// --- TCP header ------------------------------------------------------------------------------------------------

// The fixed part of the header, field by field, as far as it was captured.
void read_fixed_header(Bytes b, TcpSegment& segment) {
  if (b.has(0, 2)) segment.source.port = b.be16(0);
  if (b.has(2, 2)) segment.destination.port = b.be16(2);
  if (b.has(4, 4)) segment.seq = {b.be32(4)};
  if (b.has(8, 4)) segment.ack = {b.be32(8)};
  if (b.has(12, 2)) segment.flags.bits = b.be16(12) & 0x1ffU;
  if (b.has(14, 2)) segment.window = b.be16(14);
  if (b.has(18, 2)) segment.urgent_pointer = b.be16(18);
}

Dissection read_tcp(const IpPayload& ip, TcpSegment& segment) {
  read_fixed_header(ip.bytes, segment);
  if (ip.length < shortest_tcp_header) return Dissection::malformed;
  if (!ip.bytes.has(0, 13)) return Dissection::truncated;
  const std::size_t header_length = (ip.bytes.u8(12) >> 4U) * 4U;
  if (header_length < shortest_tcp_header || header_length > ip.length) return Dissection::malformed;
  segment.payload_length = static_cast<std::uint32_t>(ip.length - header_length);
  if (!ip.bytes.has(0, header_length)) return Dissection::truncated;
  segment.options = read_options(ip.bytes.first(header_length).from(shortest_tcp_header));
  segment.payload = ip.bytes.from(header_length).span();
  return Dissection::tcp;
}

// --- IP headers ------------------------------------------------------------------------------------------------

// RFC 4302 2.2: the length of an Authentication Header counts 4-byte words, less 2.
constexpr std::size_t authentication_length(std::uint8_t words) { return (words + 2U) * 4U; }
// RFC 8200 4: that of the other extension headers counts 8-byte words, less 1.
constexpr std::size_t extension_length(std::uint8_t words) { return (words + 1U) * 8U; }

constexpr bool is_extension(std::uint8_t next_header) {
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

// Follows the extension headers (and, in IPv4, an Authentication Header) from `next_header` to TCP. `length`: what the
// IP header says follows.
IpPayload follow_extensions(std::uint8_t next_header, Bytes b, std::size_t length) {
  b = b.first(length);
  while (next_header != ip_protocol::tcp) {
    const bool fragment = next_header == ip_protocol::fragment;
    if ((!fragment && !is_extension(next_header)) || !b.has(0, 8)) return {};
    // RFC 8200 4.5: the offset of a fragment stands in the upper 13 bits of its third and fourth byte.
    if (fragment && (b.be16(2) & 0xfff8U) != 0) {
      const bool of_tcp = b.u8(0) == ip_protocol::tcp;
      return {of_tcp ? Dissection::fragment : Dissection::other, b.from(8), length - 8};
    }
    const std::size_t header = fragment                                     ? 8
                               : next_header == ip_protocol::authentication ? authentication_length(b.u8(1))
                                                                            : extension_length(b.u8(1));
    if (header > length) return {};
    next_header = b.u8(0);
    b = b.from(header);
    length -= header;
  }
  return {Dissection::tcp, b, length};
}

// RFC 791 3.1.
IpPayload read_ipv4(const IpPacketBytes& packet, TcpSegment& segment) {
  const Bytes b = packet.bytes;
  constexpr std::size_t protocol_at = 9, shortest_header = 20;
  if (!b.has(protocol_at, 1)) return {};
  const std::uint8_t protocol = b.u8(protocol_at);
  if (protocol != ip_protocol::tcp && protocol != ip_protocol::authentication) return {};
  segment.ecn = b.u8(1) & 3U;
  segment.ip_id = b.be16(4);
  segment.ttl = b.u8(8);
  if (!b.has(0, shortest_header))
    return {protocol == ip_protocol::tcp ? Dissection::truncated : Dissection::other, {}, 0};
  segment.source.ip = IpAddress::v4(b.fixed<4>(12));
  segment.destination.ip = IpAddress::v4(b.fixed<4>(16));

  const std::size_t header_length = (b.u8(0) & 0xfU) * 4U;
  // A sender that leaves segmentation to its device is captured before the length is filled in (TSO): it says 0.
  const std::size_t total_length = b.be16(2) != 0 ? b.be16(2) : packet.original_length;
  if (header_length < shortest_header || header_length > total_length) {
    return {protocol == ip_protocol::tcp ? Dissection::malformed : Dissection::other, {}, 0};
  }
  const std::size_t length = total_length - header_length;
  const Bytes payload = b.from(header_length).first(length);
  constexpr std::uint16_t fragment_offset_bits = 0x1fff;
  if ((b.be16(6) & fragment_offset_bits) != 0) {
    return {protocol == ip_protocol::tcp ? Dissection::fragment : Dissection::other, payload, length};
  }
  return follow_extensions(protocol, payload, length);
}

// RFC 8200 3.
IpPayload read_ipv6(const IpPacketBytes& packet, TcpSegment& segment) {
  const Bytes b = packet.bytes;
  constexpr std::size_t header_length = 40, next_header_at = 6;
  if (!b.has(next_header_at, 1)) return {};
  segment.ecn = b.u8(1) >> 4U & 3U;
  if (b.has(7, 1)) segment.ttl = b.u8(7);
  if (!b.has(0, header_length)) {
    return {b.u8(next_header_at) == ip_protocol::tcp ? Dissection::truncated : Dissection::other, {}, 0};
  }
  segment.source.ip = IpAddress::v6(b.fixed<16>(8));
  segment.destination.ip = IpAddress::v6(b.fixed<16>(24));
  // 0: a jumbogram (RFC 2675), or a packet larger than 65535 bytes that its device is to cut (Linux's BIG TCP).
  const std::size_t length = b.be16(4) != 0 ? b.be16(4) : packet.original_length - header_length;
  return follow_extensions(b.u8(next_header_at), b.from(header_length), length);
}

}  // namespace

DissectedPacket dissect(LinkType link_type, std::span<const std::uint8_t> captured, std::size_t original_length) {
  DissectedPacket packet;
  original_length = std::max(original_length, captured.size());
  const IpPacketBytes ip = find_ip_packet(link_type, Bytes(captured), original_length);
  if (ip.bytes.empty()) return packet;
  const bool v4 = ip.bytes.u8(0) >> 4U == 4;
  const IpPayload payload = v4 ? read_ipv4(ip, packet.segment) : read_ipv6(ip, packet.segment);
  packet.kind = payload.kind;
  if (payload.kind == Dissection::fragment) {
    packet.segment.payload_length = static_cast<std::uint32_t>(payload.length);
    packet.segment.payload = payload.bytes.span();
  }
  if (payload.kind == Dissection::tcp) packet.kind = read_tcp(payload, packet.segment);
  return packet;
}

}  // namespace tcpwhy::wire
