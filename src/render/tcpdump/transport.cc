// What IP carries, by its protocol number, in the tcpdump view.
#include "render/tcpdump/line.h"
#include "wire/ether_type.h"

namespace tcpwhy::render::tcpdump {
namespace {

namespace ip_protocol = wire::ip_protocol;

// RFC 4302 2. Its own size, or 0 where the line ends with it.
std::size_t write_authentication_header(Line& line, Bytes b) {
  constexpr std::size_t fixed_length = 12;
  const auto cut = [&line]() -> std::size_t {
    line.cut("ah");
    return 0;
  };
  if (b.empty()) return cut();
  line.add("AH");
  if (!b.has(0, 2)) return cut();
  const std::size_t size = (b.u8(1) + 2U) * 4U;
  line.add("(");
  if (!b.has(0, 4)) return cut();
  if (b.be16(2) != 0) line.add("reserved=0x{:x}[MustBeZero],", b.be16(2));
  if (!b.has(0, 8)) return cut();
  line.add("spi=0x{:08x},", b.be32(4));
  if (!b.has(0, fixed_length)) return cut();
  line.add("seq=0x{:x},icv=0x", b.be32(8));
  for (std::size_t at = fixed_length; at < size; ++at) {
    if (!b.has(at, 1)) return cut();
    line.add("{:02x}", b.u8(at));
  }
  line.add("): ");
  return size;
}

void write_unknown(Line& line, std::uint8_t protocol, const Payload& payload) {
  switch (protocol) {
    case ip_protocol::icmp6: return line.add("ICMP6, length {}", payload.length);
    case ip_protocol::esp: return line.add("ESP, length {}", payload.length);
    case ip_protocol::no_next: return line.add("no next header");
    default: return line.add("ip-proto-{} {}", protocol, payload.length);
  }
}

}  // namespace

void write_transport(Line& line, const IpContext& ip, std::uint8_t protocol, Payload payload) {
  while (protocol == ip_protocol::authentication) {
    const std::size_t size = write_authentication_header(line, payload.bytes);
    if (size == 0) return;
    // It was captured whole, but for a header that states less than its fixed part: then there may be nothing after it.
    protocol = payload.bytes.u8(0);
    payload = payload.from(size);
  }
  switch (protocol) {
    case ip_protocol::tcp: return write_tcp(line, ip, payload);
    case ip_protocol::udp: return write_udp(line, ip, payload);
    case ip_protocol::icmp: return write_icmp(line, payload);
    case ip_protocol::ipv4: return write_ipv4(line, payload);
    case ip_protocol::ipv6: return write_ipv6(line, payload);
    case ip_protocol::gre: return write_gre(line, payload);
    default: return write_unknown(line, protocol, payload);
  }
}

}  // namespace tcpwhy::render::tcpdump
