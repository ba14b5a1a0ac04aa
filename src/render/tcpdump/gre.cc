// GRE in the tcpdump view.
#include <algorithm>

#include "render/tcpdump/line.h"
#include "wire/address.h"
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
constexpr GreName gre_names[] = {{ether_type::ipv4, "IPv4"},         {ether_type::ipv6, "IPv6"},
                                 {ether_type::mpls, "MPLS unicast"}, {ether_type::mpls_multicast, "MPLS multicast"},
                                 {ppp_protocol_type, "PPP"},         {ethernet_protocol_type, "TEB"}};

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

// Source routes (RFC 1701): each entry has a family, the offset of the active address in it, and a length; one of
// family 0 and length 0 is the last.
struct RouteFamily {
  std::uint16_t number;
  std::string_view name;
  std::size_t address_size;
};
constexpr RouteFamily route_families[] = {{0x0800, "ip", 4}, {0xfffe, "asn", 2}};

// Why an entry cannot be read as addresses of its family; empty: it can.
std::string route_problem(std::size_t offset, std::size_t length, std::size_t address_size) {
  if (offset % address_size != 0) return fmt::format(", badoffset={}", offset);
  if (length % address_size != 0) return fmt::format(", badlength={}", length);
  if (offset >= length) return fmt::format(", badoff/len={}/{}", offset, length);
  return {};
}

void add_route_addresses(Line& line, Bytes addresses, std::size_t active_at, std::size_t address_size) {
  for (std::size_t at = 0; addresses.has(at, address_size); at += address_size) {
    line.add(" {}", at == active_at ? "*" : "");
    if (address_size == 4)
      line.add("{}", wire::IpAddress::v4(addresses.fixed<4>(at)));
    else
      line.add("{:x}", addresses.be16(at));
  }
}

void write_source_route(Line& line, std::uint16_t number, std::size_t offset, std::size_t length, Bytes addresses) {
  const auto* const family = std::ranges::find(route_families, number, &RouteFamily::number);
  if (family == std::end(route_families)) return line.add(", (rtaf=0x{:x})", number);
  const std::string problem = route_problem(offset, length, family->address_size);
  line.add(", (rtaf={}{}", family->name, problem);
  if (problem.empty()) add_route_addresses(line, addresses.first(length), offset, family->address_size);
  line.add(")");
}

bool write_source_routes(Line& line, GreReader& reader) {
  while (reader.take(4)) {
    const Bytes head = reader.taken();
    const std::size_t length = head.u8(3);
    if (head.be16(0) == 0 && length == 0) return true;
    write_source_route(line, head.be16(0), head.u8(2), length, reader.rest().bytes);
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
  if ((flags & routing_present) && !write_source_routes(line, reader)) return;
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

}  // namespace tcpwhy::render::tcpdump
