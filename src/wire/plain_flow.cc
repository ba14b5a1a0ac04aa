#include "wire/plain_flow.h"

#include "wire/bytes.h"
#include "wire/ether_type.h"

namespace tcpwhy::wire {
namespace {

constexpr std::size_t ports_length = 4;

std::optional<PlainFlow> plain_ipv4(Bytes b) {
  constexpr std::size_t shortest_header = 20;
  constexpr std::uint16_t fragment_bits = 0x3fff;  // more fragments, and the offset
  if (!b.has(0, shortest_header) || b.u8(9) != ip_protocol::tcp || (b.be16(6) & fragment_bits) != 0)
    return std::nullopt;
  const std::size_t header_length = (b.u8(0) & 0xfU) * 4U;
  if (header_length < shortest_header || !b.has(header_length, ports_length)) return std::nullopt;
  return PlainFlow{{IpAddress::v4(b.fixed<4>(12)), b.be16(header_length)},
                   {IpAddress::v4(b.fixed<4>(16)), b.be16(header_length + 2)}};
}

std::optional<PlainFlow> plain_ipv6(Bytes b) {
  constexpr std::size_t header_length = 40;
  if (!b.has(0, header_length + ports_length) || b.u8(6) != ip_protocol::tcp) return std::nullopt;
  return PlainFlow{{IpAddress::v6(b.fixed<16>(8)), b.be16(header_length)},
                   {IpAddress::v6(b.fixed<16>(24)), b.be16(header_length + 2)}};
}

std::optional<PlainFlow> plain_ip(Bytes b) {
  if (b.empty()) return std::nullopt;
  switch (b.u8(0) >> 4U) {
    case 4: return plain_ipv4(b);
    case 6: return plain_ipv6(b);
    default: return std::nullopt;
  }
}

}  // namespace

std::optional<PlainFlow> glance_at(LinkType link_type, std::span<const std::uint8_t> captured) {
  const Bytes b(captured);
  switch (link_type) {
    case LinkType::raw: return plain_ip(b);
    case LinkType::ethernet: {
      constexpr std::size_t header_length = 14, type_at = 12;
      if (!b.has(0, header_length)) return std::nullopt;
      const Bytes packet = b.from(header_length);
      const std::uint16_t type = b.be16(type_at);
      if (packet.empty() || (type != ether_type::ipv4 && type != ether_type::ipv6)) return std::nullopt;
      if ((type == ether_type::ipv4) != (packet.u8(0) >> 4U == 4)) return std::nullopt;
      return plain_ip(packet);
    }
    default: return std::nullopt;
  }
}

}  // namespace tcpwhy::wire
