// PPP, Cisco's HDLC and Frame Relay in the tcpdump view.
#include <string>
#include <utility>

#include "render/tcpdump/link/link.h"
#include "wire/ether_type.h"

namespace tcpwhy::render::tcpdump {
namespace {

namespace ppp_protocol = wire::ppp_protocol;

constexpr NamedNumber ppp_names[] = {
    {ppp_protocol::ipv4, "IP"},   {ppp_protocol::ipv6, "IP6"},
    {ppp_protocol::mpls, "MPLS"}, {ppp_protocol::mpls_multicast, "MPLS"},
    {0x002f, "VJNC IP"},
};

// Not PPP's numbers, but taken for them.
constexpr std::uint16_t uncompressed_tcp = 0x002f, ether_ipv4 = wire::ether_type::ipv4,
                        ether_ipv6 = wire::ether_type::ipv6;

void write_by_ppp_protocol(Line& line, std::uint16_t protocol, Payload payload) {
  switch (protocol) {
    case ppp_protocol::ipv4:
    case uncompressed_tcp:
    case ether_ipv4: return write_ipv4(line, payload);
    case ppp_protocol::ipv6:
    case ether_ipv6: return write_ipv6(line, payload);
    case ppp_protocol::mpls:
    case ppp_protocol::mpls_multicast: return write_mpls(line, payload);
    default: line.add("PPP, protocol 0x{:04x}, length {}", protocol, payload.length);
  }
}

}  // namespace

// RFC 1661 2, RFC 1662 3.1. Captures that note the direction have 0 (in) or 1 (out) for the address.
void write_ppp(Line& line, Payload ppp) {
  const std::size_t whole_length = ppp.length;
  constexpr std::uint16_t address_and_control = 0xff03, inbound = 0x0003, outbound = 0x0103;
  if (ppp.length < 2 || !ppp.bytes.has(0, 2)) return line.cut("ppp");
  const std::uint16_t start = ppp.bytes.be16(0);
  if (start == address_and_control || start == inbound || start == outbound) {
    if (line.options.link_header && start != address_and_control) line.add("{}", start == inbound ? "In  " : "Out ");
    ppp = ppp.from(2);
    if (ppp.length < 2) return line.cut("ppp");
  }
  if (!ppp.bytes.has(0, 1)) return line.cut("ppp");
  const bool compressed = ppp.bytes.u8(0) & 1U;
  if (!compressed && !ppp.bytes.has(0, 2)) return line.cut("ppp");
  const std::uint16_t protocol = compressed ? ppp.bytes.u8(0) : ppp.bytes.be16(0);
  ppp = ppp.from(compressed ? 1 : 2);
  if (line.options.link_header) {
    const std::string_view name = name_of(ppp_names, protocol, "unknown");
    line.add("{} (0x{:04x}), length {}", name, protocol, whole_length);
    if (name == "unknown") return;
    line.add(": ");
  }
  write_by_ppp_protocol(line, protocol, ppp);
}

void write_ppp_frame(Line& line, Payload frame) {
  constexpr std::size_t shortest = 4;
  if (frame.bytes.size() < shortest) return line.cut("ppp");
  write_ppp(line, frame);
}

// The address says which: FF is PPP's, whose protocol is named with -e and without.
void write_ppp_or_cisco_hdlc(Line& line, Payload frame) {
  constexpr std::size_t header_length = 4;
  constexpr std::uint8_t ppp_address = 0xff, unicast = 0x0f, broadcast = 0x8f;
  const Bytes b = frame.bytes;
  if (b.size() < 2) return line.cut("ppp_hdlc");
  const std::uint8_t address = b.u8(0);
  if (address == unicast || address == broadcast) return write_cisco_hdlc(line, frame);
  if (b.size() < header_length) return line.cut("ppp_hdlc");
  // Both left out after negotiation: tcpdump knows no such address.
  if (b.be16(0) == ppp_protocol::ipv4 || b.be16(0) == ppp_protocol::ipv6) return write_ppp(line, frame);
  if (line.options.link_header) line.add("{:02x} {:02x} {} ", address, b.u8(1), frame.length);
  if (address != ppp_address) return line.add("unknown addr {:02x}; ctrl {:02x}", b.u8(2), b.u8(3));
  const std::uint16_t protocol = b.be16(2);
  const std::string_view name = name_of(ppp_names, protocol, {});
  if (name.empty())
    line.add("unknown PPP protocol (0x{:04x}): ", protocol);
  else
    line.add("{}: ", name);
  write_by_ppp_protocol(line, protocol, frame.from(header_length));
}

void write_cisco_hdlc(Line& line, Payload frame) {
  constexpr std::size_t header_length = 4;
  const Bytes b = frame.bytes;
  if (frame.length < header_length || !b.has(0, header_length)) return line.cut("chdlc");
  const std::uint16_t type = b.be16(2);
  if (line.options.link_header) {
    constexpr NamedNumber addresses[] = {{0x0f, "unicast"}, {0x8f, "bcast"}};
    const std::string_view name = name_of(addresses, b.u8(0), {});
    if (name.empty())
      line.add("0x{:02x}, ", b.u8(0));
    else
      line.add("{}, ", name);
    add_ether_type(line, type, frame.length);
  }
  const Payload payload = frame.from(header_length);
  switch (type) {
    case wire::ether_type::ipv4: return write_ipv4(line, payload);
    case wire::ether_type::ipv6: return write_ipv6(line, payload);
    case wire::ether_type::mpls:
    case wire::ether_type::mpls_multicast: return write_mpls(line, payload);
    default: line.add("CHDLC, protocol 0x{:04x}, length {}", type, payload.length);
  }
}

// --- NLPID (ISO 9577) ------------------------------------------------------------------------------------------

namespace {

constexpr std::uint8_t snap_id = 0x80, ipv6_id = 0x8e, ipv4_id = 0xcc, ppp_id = 0xcf;

constexpr NamedNumber nlpid_names[] = {{0x00, "NULL"},     {0x08, "Q.933"},     {0x09, "LMI"},     {snap_id, "SNAP"},
                                       {0x81, "CLNP"},     {0x82, "ES-IS"},     {0x83, "IS-IS"},   {0x84, "CONS"},
                                       {0x85, "IDRP"},     {0x8a, "X25 ES-IS"}, {ipv6_id, "IPv6"}, {0xb1, "FRF.15"},
                                       {0xc1, "ISIS_SPB"}, {ipv4_id, "IPv4"},   {ppp_id, "PPP"}};

}  // namespace

void write_nlpid(Line& line, Payload payload) {
  if (!payload.bytes.has(0, 1)) return line.cut("isoclns");
  const std::uint8_t nlpid = payload.bytes.u8(0);
  if (line.options.link_header) line.add("OSI NLPID {} (0x{:02x}): ", name_of(nlpid_names, nlpid, "Unknown"), nlpid);
  switch (nlpid) {
    case ipv4_id: return write_ipv4(line, payload.from(1));
    case ipv6_id: return write_ipv6(line, payload.from(1));
    case ppp_id: return write_ppp(line, payload.from(1));
    default: line.add("OSI NLPID 0x{:02x}, length {}", nlpid, payload.length);
  }
}

// --- Frame Relay -----------------------------------------------------------------------------------------------

namespace {

// ITU-T Q.922 3.2.
struct RelayAddress {
  std::size_t length = 0;
  std::uint32_t dlci = 0;
  std::string flags;
};

enum class RelayFault : std::uint8_t { none, cut, invalid };

RelayFault read_relay_address(Payload frame, RelayAddress& address) {
  const auto has = [&](std::size_t at) { return frame.bytes.has(at, 1) && frame.length > at; };
  const Bytes b = frame.bytes;
  constexpr std::uint8_t last = 0x01;
  if (!has(0)) return RelayFault::cut;
  if (b.u8(0) & last) return RelayFault::invalid;
  if (!has(1)) return RelayFault::cut;
  address.length = 2;
  address.dlci = (b.u8(0) & 0xfcU) << 2U | b.u8(1) >> 4U;
  bool core = false;
  if (!(b.u8(1) & last)) {
    std::size_t at = 2;
    if (!has(at)) return RelayFault::cut;
    if (!(b.u8(at) & last)) {
      address.dlci = address.dlci << 7U | b.u8(at) >> 1U;
      ++at;
    }
    if (!has(at)) return RelayFault::cut;
    if (!(b.u8(at) & last)) return RelayFault::invalid;
    core = b.u8(at) & 0x02U;
    address.dlci = address.dlci << 6U | b.u8(at) >> 2U;
    address.length = at + 1;
  }
  const std::pair<bool, std::string_view> flags[] = {{(b.u8(0) & 0x02U) != 0, "C!"},
                                                     {(b.u8(1) & 0x02U) != 0, "DE"},
                                                     {(b.u8(1) & 0x04U) != 0, "BECN"},
                                                     {(b.u8(1) & 0x08U) != 0, "FECN"},
                                                     {core, "sdlcore"}};
  for (const auto& [set, name] : flags)
    if (set) address.flags.append(address.flags.empty() ? "" : ", ").append(name);
  if (address.flags.empty()) address.flags = "none";
  return RelayFault::none;
}

void add_relay_header(Line& line, const RelayAddress& address, std::size_t length, std::uint16_t protocol) {
  if (!line.options.link_header) return;
  line.add("Q.922, hdr-len {}, DLCI {}, Flags [{}], ", address.length, address.dlci, address.flags);
  if (protocol <= 0xff)
    line.add("NLPID {} (0x{:02x}), length {}: ", name_of(nlpid_names, protocol, "unknown"), protocol, length);
  else
    line.add("cisco-ethertype {} (0x{:04x}), length {}: ",
             ether_type_name(protocol) == "Unknown" ? "unknown" : ether_type_name(protocol), protocol, length);
}

void write_relay(Line& line, Payload frame) {
  constexpr std::uint8_t unnumbered_information = 0x03;
  const Bytes b = frame.bytes;
  const auto has = [&](std::size_t at) { return b.has(at, 1) && frame.length > at; };
  RelayAddress address;
  switch (read_relay_address(frame, address)) {
    case RelayFault::cut: return line.cut("fr");
    case RelayFault::invalid: return line.add("Q.922, invalid address");
    case RelayFault::none: break;
  }
  if (!has(address.length)) return line.cut("fr");
  const std::uint8_t control = b.u8(address.length);
  if (control != unnumbered_information && address.dlci != 0) {  // Cisco's: an EtherType
    if (has(address.length + 1)) {
      const std::uint16_t type = b.be16(address.length);
      add_relay_header(line, address, frame.length, type);
      if (write_by_ether_type(line, type, frame.from(address.length + 2))) return;
    }
    line.add("UI {:02x}! ", control);
  }
  if (!has(address.length + 1)) return line.cut("fr");
  const bool padded = b.u8(address.length + 1) == 0;
  if (padded && address.length != 3) line.add("Pad! ");
  if (!padded && address.length == 3) line.add("No pad! ");
  const std::size_t nlpid_at = address.length + (padded ? 2 : 1);
  if (!has(nlpid_at)) return line.cut("fr");
  const std::uint8_t nlpid = b.u8(nlpid_at);
  add_relay_header(line, address, frame.length, nlpid);
  const Payload payload = frame.from(nlpid_at + 1);
  switch (nlpid) {
    case ipv4_id: return write_ipv4(line, payload);
    case ipv6_id: return write_ipv6(line, payload);
    case snap_id: return write_snap(line, payload, 0);
    case ppp_id: return write_ppp(line, payload);
    default: line.add("NLPID 0x{:02x}, length {}", nlpid, payload.length);
  }
}

}  // namespace

void write_frame_relay(Line& line, Payload frame) {
  constexpr std::size_t shortest = 4;
  if (frame.bytes.size() < shortest) return line.cut("fr");
  write_relay(line, frame);
}

// FRF.16.1 3.2.1.
void write_multilink_frame_relay(Line& line, Payload frame) {
  constexpr std::size_t header_length = 2, shortest = 4;
  constexpr std::uint8_t first = 0x80, last = 0x40, control = 0x20;
  const Bytes b = frame.bytes;
  if (b.size() < header_length) return line.cut("mfr");
  if (frame.length < shortest) {
    line.add("[length {} < {}]", frame.length, shortest);
    return line.invalid();
  }
  if (!b.has(0, shortest)) return line.cut("mfr");
  const unsigned flags = b.u8(0) & (first | last | control);
  if (flags == (first | last | control) && b.u8(1) == 0) return line.add("FRF.16 Control, length {}", frame.length);
  line.add("FRF.16 Frag, seq {}, Flags [{}{}]", (b.u8(0) & 0x1eU) << 7U | b.u8(1), flags & first ? "Begin" : "",
           flags & last ? (flags & first ? ", End" : "End") : "");
  if (!(flags & first) || (flags & control)) return;
  line.add(", ");
  write_relay(line, frame.from(header_length));
}

// --- SLIP ------------------------------------------------------------------------------------------------------

void write_slip(Line& line, Payload frame, bool with_header) {
  constexpr std::size_t header_length = 16;
  const Bytes b = frame.bytes;
  if (!b.has(0, header_length)) return line.cut(with_header ? "slip" : "slip_bsdos");
  const Payload packet = frame.from(header_length);
  if (!with_header) return write_ipv4(line, packet);
  if (line.options.link_header) {
    constexpr std::uint8_t plain_ip = 0x40, uncompressed_tcp = 0x70, compressed_tcp = 0x80;
    const std::uint8_t direction = b.u8(0), kind = b.u8(1);
    if (direction <= 1)
      line.add("{} ", direction == 0 ? 'I' : 'O');
    else
      line.add("Invalid direction {} ", direction);
    if ((kind & 0xf0U) == plain_ip)
      line.add("ip {}: ", frame.length);
    else if ((kind & 0xf0U) != uncompressed_tcp && !(kind & compressed_tcp) && direction <= 1)
      line.add("slip-{}!: ", kind);
  }
  if (packet.bytes.empty()) return line.cut("slip");
  const unsigned version = packet.bytes.u8(0) >> 4U;
  if (version == 4) return write_ipv4(line, packet);
  if (version == 6) return write_ipv6(line, packet);
  line.add("ip v{}", version);
}

}  // namespace tcpwhy::render::tcpdump
