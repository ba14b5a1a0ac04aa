#include "wire/packet.h"

#include <algorithm>
#include <memory>
#include <type_traits>

#include "wire/bytes.h"
#include "wire/ether_type.h"
#include "wire/ip/ip_packet.h"
#include "wire/link_layer.h"
#include "wire/tcp_header.h"
#include "wire/tunnel.h"

namespace tcpwhy::wire {
namespace {

// --- ICMP errors -----------------------------------------------------------------------------------------------

// RFC 1122 3.2.2: unreachable, source quench, redirect, time exceeded and parameter problem quote what they are about; RFC 4443 2.1:
// in ICMPv6 every type below 128 is an error.
bool is_error(IpFamily family, std::uint8_t type) {
  if (family == IpFamily::v6) return type >= 1 && type <= 4;
  return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
}

std::uint32_t next_hop_mtu(IpFamily family, Bytes b) {
  constexpr std::uint8_t unreachable = 3, fragmentation_needed = 4, packet_too_big = 2;
  if (family == IpFamily::v6) return b.u8(0) == packet_too_big ? b.be32(4) : 0;
  return b.u8(0) == unreachable && b.u8(1) == fragmentation_needed ? b.be16(6) : 0;
}

// `packet.segment` has the addresses of the ICMP packet; they are replaced by those of the quoted one.
void read_icmp_error(const IpPayload& payload, DissectedPacket& packet) {
  constexpr std::size_t header_length = 8;
  const IpAddress reporter = packet.segment.source.ip;
  const Bytes b = payload.bytes;
  if (!b.has(0, header_length) || !is_error(reporter.family, b.u8(0))) return;
  Carried quoted{.content = reporter.family == IpFamily::v6 ? Content::ipv6 : Content::ipv4,
                 .bytes = b.from(header_length),
                 .original_length = payload.length - header_length,
                 .encapsulation = packet.encapsulation};
  if (!unwrap_to_ip(quoted)) return;
  TcpSegment segment;
  const IpPayload inside = read_ip(quoted, segment);
  constexpr std::size_t ports = 4, fixed_header = 20;
  if (inside.reach != Reach::payload || inside.protocol != ip_protocol::tcp || !inside.bytes.has(0, ports)) return;
  packet.kind = Dissection::icmp_error;
  packet.icmp = {.reporter = reporter,
                 .type = b.u8(0),
                 .code = b.u8(1),
                 .mtu = next_hop_mtu(reporter.family, b),
                 .quoted_header = static_cast<std::uint8_t>(std::min(inside.bytes.size(), fixed_header))};
  packet.segment = segment;
  // Most quotes end inside the segment: that its header then seems cut is no fault of anybody's.
  read_tcp(inside.bytes, inside.length, packet.segment);
}

// --- The way to TCP --------------------------------------------------------------------------------------------

void read_tcp_payload(const IpPayload& payload, DissectedPacket& packet) {
  switch (payload.reach) {
    case Reach::payload: packet.kind = read_tcp(payload.bytes, payload.length, packet.segment); break;
    case Reach::cut: packet.kind = Dissection::truncated; break;
    case Reach::contradiction: packet.kind = Dissection::malformed; break;
    case Reach::later_fragment:
      packet.kind = Dissection::fragment;
      packet.segment.payload_length = static_cast<std::uint32_t>(payload.length);
      packet.segment.payload = payload.bytes.span();
      break;
    case Reach::nothing: break;
  }
}

bool is_icmp(const IpPayload& payload, IpFamily family) {
  return payload.reach == Reach::payload &&
         payload.protocol == (family == IpFamily::v6 ? ip_protocol::icmp6 : ip_protocol::icmp);
}

void dissect_any(Carried carried, const DissectOptions& options, DissectedPacket& packet) {
  for (int depth = 0; depth <= deepest_tunnel; ++depth) {
    if (!unwrap_to_ip(carried)) return;
    const IpPayload payload = read_ip(carried, packet.segment);
    packet.encapsulation = carried.encapsulation;
    packet.fragmented |= payload.fragmented;
    if (payload.protocol == ip_protocol::tcp) return read_tcp_payload(payload, packet);
    if (is_icmp(payload, packet.segment.source.ip.family)) return read_icmp_error(payload, packet);
    if (!options.tunnels || !enter_tunnel(payload, packet.segment, options, carried)) return;
    packet.segment = {};
  }
}

// What most frames are: Ethernet without tags, an IP header without options, TCP. False for every other one, with `packet` as it was.
bool dissect_plain_ethernet(Bytes frame, DissectedPacket& packet) {
  constexpr std::size_t link = 14, ipv4 = 20, ipv6 = 40, tcp = 20;
  if (!frame.has(0, link + ipv4 + tcp)) return false;
  TcpSegment& segment = packet.segment;
  const auto start = frame.header<link + ipv4>(0);
  if (start.be16<12>() == ether_type::ipv4) {
    constexpr std::uint8_t version_4_without_options = 0x45;
    constexpr std::uint16_t fragment_bits = 0x3fff;  // "more fragments" and the offset
    const std::size_t total_length = start.be16<16>();
    if (start.u8<14>() != version_4_without_options || start.u8<23>() != ip_protocol::tcp ||
        (start.be16<20>() & fragment_bits) != 0 || total_length < ipv4)
      return false;
    segment.ecn = start.u8<15>() & 3U;
    segment.ip_id = start.be16<18>();
    segment.ttl = start.u8<22>();
    segment.source.ip.become_v4(start.fixed<26, 4>());
    segment.destination.ip.become_v4(start.fixed<30, 4>());
    const std::size_t length = total_length - ipv4;
    packet.kind = read_tcp(frame.from(link + ipv4).first(length), length, segment);
    return true;
  }
  if (start.be16<12>() != ether_type::ipv6 || !frame.has(0, link + ipv6 + tcp)) return false;
  const auto whole = frame.header<link + ipv6>(0);
  const std::size_t length = whole.be16<18>();
  if (whole.u8<14>() >> 4U != 6 || whole.u8<20>() != ip_protocol::tcp || length == 0) return false;
  segment.ecn = whole.u8<15>() >> 4U & 3U;
  segment.ttl = whole.u8<21>();
  segment.source.ip.become_v6(whole.fixed<22, 16>());
  segment.destination.ip.become_v6(whole.fixed<38, 16>());
  packet.kind = read_tcp(frame.from(link + ipv6).first(length), length, segment);
  return true;
}

}  // namespace

void dissect_into(DissectedPacket& packet, LinkType link_type, std::span<const std::uint8_t> captured,
                  std::size_t original_length, const DissectOptions& options) {
  // In place: what is put together elsewhere is waited for where it is copied.
  static_assert(std::is_trivially_destructible_v<DissectedPacket>);
  std::construct_at(&packet);
  const Bytes frame(captured);
  if (link_type == LinkType::ethernet && options.outer == Encapsulation{} && dissect_plain_ethernet(frame, packet))
    return;
  dissect_any({.content = content_of_link(link_type),
               .bytes = frame,
               .original_length = std::max(original_length, captured.size()),
               .encapsulation = options.outer},
              options, packet);
}

DissectedPacket dissect(LinkType link_type, std::span<const std::uint8_t> captured, std::size_t original_length,
                        const DissectOptions& options) {
  DissectedPacket packet;
  dissect_into(packet, link_type, captured, original_length, options);
  return packet;
}

}  // namespace tcpwhy::wire
