#include "wire/ip/ip_path.h"

#include <algorithm>

#include "wire/bytes.h"
#include "wire/ether_type.h"
#include "wire/ip/ip_packet.h"
#include "wire/link_layer.h"
#include "wire/tunnel.h"

namespace tcpwhy::wire {
namespace {

std::uint64_t number_of(const IpAddress& address, unsigned port) {
  std::uint64_t number = port;
  for (const std::uint8_t byte : address.bytes) number = (number ^ byte) * 0x100000001b3;  // FNV-1a
  return number;
}

// The tunnels around, and one more, between the addresses of `outer`.
std::uint64_t with_tunnel(std::uint64_t around, const IpPayload& payload, const TcpSegment& outer) {
  const bool udp = payload.protocol == ip_protocol::udp && payload.bytes.has(0, 4);
  const unsigned source = udp ? payload.bytes.be16(0) : 0, destination = udp ? payload.bytes.be16(2) : 0;
  // RFC 8086 3.1: its source port is a hash of what it carries. It is the same GRE.
  const bool gre_in_udp = udp && destination == udp_port::gre_in_udp;
  const std::uint64_t ends = gre_in_udp
                                 ? number_of(outer.source.ip, 0) + number_of(outer.destination.ip, 0)
                                 : number_of(outer.source.ip, source) + number_of(outer.destination.ip, destination);
  const std::uint64_t mixed =
      (around ^ (ends + (gre_in_udp ? ip_protocol::gre : payload.protocol))) * 0x9e3779b97f4a7c15;
  return std::max<std::uint64_t>(mixed ^ mixed >> 32U, 1);
}

std::uint32_t length_by_header(Bytes packet) {
  constexpr std::uint32_t ipv6_header = 40;
  if (packet.u8(0) >> 4U == 4) return packet.has(2, 2) ? packet.be16(2) : 0;
  return packet.has(4, 2) && packet.be16(4) != 0 ? packet.be16(4) + ipv6_header : 0;
}

}  // namespace

IpPath ip_path(LinkType link_type, std::span<const std::uint8_t> captured, std::size_t original_length,
               const DissectOptions& options) {
  IpPath path;
  Carried carried{.content = content_of_link(link_type),
                  .bytes = Bytes(captured),
                  .original_length = std::max(original_length, captured.size()),
                  .encapsulation = options.outer};
  for (int depth = 0; depth <= deepest_tunnel; ++depth) {
    if (!unwrap_to_ip(carried)) return {};
    TcpSegment addresses;
    const IpPayload payload = read_ip(carried, addresses);
    path.length = length_by_header(carried.bytes);
    path.on_wire = static_cast<std::uint32_t>(carried.original_length);
    if (payload.protocol == ip_protocol::tcp) {
      constexpr std::size_t fixed_header = 20;
      path.has_fixed_tcp_header =
          payload.reach == Reach::payload && payload.length >= fixed_header && payload.bytes.has(0, fixed_header);
      return path;
    }
    if (!options.tunnels || !enter_tunnel(payload, addresses, options, carried)) return path;
    path.tunnels = with_tunnel(path.tunnels, payload, addresses);
    ++path.depth;
  }
  return {};
}

}  // namespace tcpwhy::wire
