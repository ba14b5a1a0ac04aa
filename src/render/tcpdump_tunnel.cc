// Tunnels in the tcpdump view: GRE, and VXLAN over UDP.
#include <algorithm>

#include "render/tcpdump_line.h"
#include "wire/ether_type.h"

namespace tcpwhy::render::tcpdump {
namespace {

namespace ether_type = wire::ether_type;

// --- GRE (RFC 2784, RFC 2890; version 1 is PPTP's, RFC 2637) ------------------------------------------------------

constexpr std::uint16_t checksum_present = 0x8000, routing_present = 0x4000, key_present = 0x2000,
                        sequence_present = 0x1000, acknowledgment_present = 0x0080;
constexpr std::uint16_t ppp_protocol_type = 0x880b, ethernet_protocol_type = 0x6558;

struct GreName {
  std::uint16_t type;
  std::string_view name;
};
constexpr GreName gre_names[] = {{ether_type::ipv4, "IPv4"},           {ether_type::ipv6, "IPv6"},
                                 {ether_type::mpls, "MPLS unicast"},   {ether_type::mpls_multicast, "MPLS multicast"},
                                 {ppp_protocol_type, "PPP"},           {ethernet_protocol_type, "TEB"}};

// Reads the header field by field; a missing one ends the line.
class GreReader {
 public:
  GreReader(Line& line, Payload gre) : line_(line), rest_(gre) {}

  [[nodiscard]] bool take(std::size_t count) {
    if (rest_.length < count || !rest_.bytes.has(0, count)) {
      line_.add(" [|gre]");
      return false;
    }
    taken_ = rest_.bytes.first(count);
    rest_ = rest_.from(count);
    return true;
  }
  [[nodiscard]] Bytes taken() const { return taken_; }
  [[nodiscard]] Payload rest() const { return rest_; }

 private:
  Line& line_;
  Payload rest_;
  Bytes taken_;
};

void add_protocol_and_length(Line& line, std::uint16_t type, std::size_t length) {
  if (line.options.link_header) {
    const auto* const row = std::ranges::find(gre_names, type, &GreName::type);
    line.add(", proto {} (0x{:04x})", row == std::end(gre_names) ? "unknown" : row->name, type);
  }
  line.add(", length {}", length);
}

// Source route entries (RFC 1701): family, offset, length; one of length 0 is the last.
bool skip_source_routes(GreReader& reader) {
  while (reader.take(4)) {
    const std::size_t length = reader.taken().u8(3);
    if (length == 0) return true;
    if (!reader.take(length)) return false;
  }
  return false;
}

void write_gre0(Line& line, GreReader reader, std::uint16_t flags, std::size_t whole_length) {
  if (!reader.take(2)) return;
  const std::uint16_t type = reader.taken().be16(0);
  if (flags & (checksum_present | routing_present)) {
    if (!reader.take(2) || !reader.take(2)) return;
    line.add(", off 0x{:x}", reader.taken().be16(0));
  }
  if (flags & key_present) {
    if (!reader.take(4)) return;
    line.add(", key=0x{:x}", reader.taken().be32(0));
  }
  if (flags & sequence_present) {
    if (!reader.take(4)) return;
    line.add(", seq {}", reader.taken().be32(0));
  }
  if ((flags & routing_present) && !skip_source_routes(reader)) return;
  add_protocol_and_length(line, type, whole_length);
  line.add(": ");
  switch (type) {
    case ether_type::ipv4: return write_ipv4(line, reader.rest());
    case ether_type::ipv6: return write_ipv6(line, reader.rest());
    case ether_type::mpls:
    case ether_type::mpls_multicast: return write_mpls(line, reader.rest());
    case ethernet_protocol_type: return write_ethernet(line, reader.rest());
    default: return line.add("gre-proto-0x{:x}", type);
  }
}

void write_gre1(Line& line, GreReader reader, std::uint16_t flags, std::size_t whole_length) {
  if (!reader.take(2)) return;
  const std::uint16_t type = reader.taken().be16(0);
  if (flags & key_present) {
    if (!reader.take(4)) return;
    line.add(", call {}", reader.taken().be32(0) & 0xffffU);
  }
  if (flags & sequence_present) {
    if (!reader.take(4)) return;
    line.add(", seq {}", reader.taken().be32(0));
  }
  if (flags & acknowledgment_present) {
    if (!reader.take(4)) return;
    line.add(", ack {}", reader.taken().be32(0));
  }
  const bool has_payload = flags & sequence_present;
  if (!has_payload) line.add(", no-payload");
  add_protocol_and_length(line, type, whole_length);
  if (!has_payload) return;
  line.add(": ");
  if (type == ppp_protocol_type) return write_ppp(line, reader.rest());
  line.add("gre-proto-0x{:x}", type);
}

// --- UDP -------------------------------------------------------------------------------------------------------

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

void write_gre(Line& line, Payload payload) {
  const std::size_t whole_length = payload.length;
  GreReader reader(line, payload);
  if (!reader.take(2)) return;
  const std::uint16_t flags = reader.taken().be16(0);
  const unsigned version = flags & 7U;
  line.add("GREv{}", version);
  if (version == 0) return write_gre0(line, reader, flags, whole_length);
  if (version == 1) return write_gre1(line, reader, flags, whole_length);
  line.add(" ERROR: unknown-version");
}

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
  datagram.bytes = datagram.bytes.first(stated);
  const Payload payload = datagram.from(header_length);
  if (destination_port == vxlan_port) return write_vxlan(line, payload);
  line.add("UDP, length {}", payload.length);
}

}  // namespace tcpwhy::render::tcpdump
