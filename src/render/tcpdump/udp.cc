// UDP in the tcpdump view: only what may carry TCP, VXLAN.
#include <algorithm>

#include "render/tcpdump/line.h"

namespace tcpwhy::render::tcpdump {
namespace {

constexpr std::uint16_t vxlan_port = 4789;

// RFC 7348 5. The inner frame gets a line of its own.
void write_vxlan(Line& line, Payload vxlan) {
  constexpr std::size_t header_length = 8;
  constexpr std::uint8_t identifier_valid = 0x08;
  line.add("VXLAN");
  if (!vxlan.bytes.has(0, header_length) || vxlan.length < header_length) return line.cut("vxlan");
  const std::uint8_t flags = vxlan.bytes.u8(0);
  line.add(", flags [{}] (0x{:02x}), vni {}\n", flags & identifier_valid ? "I" : "invalid", flags, vxlan.bytes.be24(4));
  write_ethernet(line, vxlan.from(header_length));
}

}  // namespace

void write_udp(Line& line, const IpContext& ip, Payload datagram) {
  constexpr std::size_t header_length = 8;
  if (!datagram.bytes.has(0, 4)) {
    write_addresses(line, ip);
    return line.add(": [|udp]");
  }
  const std::uint16_t source_port = datagram.bytes.be16(0), destination_port = datagram.bytes.be16(2);
  line.add("{}.{} > {}.{}: ", ip.source, source_port, ip.destination, destination_port);
  if (!datagram.bytes.has(0, header_length)) return line.cut("udp");
  const std::size_t stated = datagram.bytes.be16(4);
  if (stated < header_length || datagram.length < header_length) {
    return line.add("UDP, bad length {}", stated);
  }
  datagram.length = std::min(datagram.length, stated);
  const Payload payload = datagram.from(header_length);
  if (destination_port == vxlan_port) return write_vxlan(line, payload);
  line.add("UDP, length {}", payload.length);
}

}  // namespace tcpwhy::render::tcpdump
