// IPv4 in the tcpdump view.
#include "render/tcpdump/line.h"
#include "wire/ether_type.h"

namespace tcpwhy::render::tcpdump {
namespace {

constexpr bool prints_its_own_addresses(std::uint8_t protocol) {
  constexpr std::uint8_t dccp = 33, sctp = 132;
  return protocol == wire::ip_protocol::tcp || protocol == wire::ip_protocol::udp || protocol == sctp ||
         protocol == dccp;
}

void write_later_fragment(Line& line, const IpContext& ip) {
  line.is_tcp |= ip.first_protocol == wire::ip_protocol::tcp;
  write_addresses(line, ip);
  line.add(": ip-proto-{}", ip.first_protocol);
}

}  // namespace

void write_addresses(Line& line, const IpContext& ip) { line.add("{} > {}", ip.source, ip.destination); }

// RFC 791 3.1.
void write_ipv4(Line& line, Payload packet) {
  constexpr std::size_t shortest_header = 20;
  if (line.depth >= deepest_nesting) return line.add("IP, nested too deep");
  ++line.depth;
  const Bytes b = packet.bytes;
  if (b.empty()) return line.cut("ip");
  if (b.has(9, 1)) line.is_tcp |= b.u8(9) == wire::ip_protocol::tcp;
  const unsigned version = b.u8(0) >> 4U;
  if (version != 4) {
    line.add("IP{}{}", version, version == 6 ? ", wrong link-layer encapsulation" : "");
    return line.invalid();
  }
  if (!line.options.link_header) line.add("IP ");
  if (!b.has(0, shortest_header)) return line.cut("ip");
  if (packet.length < shortest_header) return line.add("truncated-ip {}", packet.length);
  const std::size_t header_length = (b.u8(0) & 0xfU) * 4U, total_length = b.be16(2);
  if (header_length < shortest_header) return line.add("bad-hlen {}", header_length);
  if (packet.length < total_length) {
    line.add("truncated-ip - {} bytes missing! ", total_length - packet.length);
  }
  if (total_length < header_length) return line.add("bad-len {}", total_length);

  const IpContext ip{wire::IpAddress::v4(b.fixed<4>(12)), wire::IpAddress::v4(b.fixed<4>(16)), b.u8(9)};
  const Bytes own = b.first(total_length);
  const Payload payload = Payload{own, total_length}.from(header_length);
  constexpr std::uint16_t fragment_offset_bits = 0x1fff;
  if (b.be16(6) & fragment_offset_bits) return write_later_fragment(line, ip);
  if (!prints_its_own_addresses(ip.first_protocol)) {
    write_addresses(line, ip);
    line.add(": ");
  }
  if (b.size() < header_length) {
    return line.add(" [remaining caplen({}) < header length({})] [|ip]", b.size(), header_length);
  }
  write_transport(line, ip, ip.first_protocol, payload);
}

}  // namespace tcpwhy::render::tcpdump
