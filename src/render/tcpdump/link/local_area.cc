// Rings, ARCnet, InfiniBand, FireWire, Fibre Channel and ATM in the tcpdump view.
#include <array>

#include "render/tcpdump/link/link.h"

namespace tcpwhy::render::tcpdump {
namespace {

// "SRC > DST": Ethernet addresses that stand there.
void add_addresses(Line& line, Bytes b, std::size_t source, std::size_t destination) {
  add_ethernet_address(line, b, source);
  line.add(" > ");
  add_ethernet_address(line, b, destination);
}

}  // namespace

// --- Rings -----------------------------------------------------------------------------------------------------

void write_fddi(Line& line, Payload frame) {
  constexpr std::size_t header_length = 13, destination = 1, source = 7;
  constexpr std::uint8_t class_bits = 0xf0, asynchronous_llc = 0x50;
  const Bytes b = frame.bytes;
  if (!b.has(0, header_length)) return line.cut("fddi");
  const std::uint8_t control = b.u8(0);
  if ((control & class_bits) != asynchronous_llc)
    return line.add("FDDI, control 0x{:02x}, length {}", control, frame.length);
  if (line.options.link_header) {
    line.add("async{:x} ", control & 0xfU);
    add_addresses(line, b, source, destination);
    line.add(", length {}: ", frame.length);
  }
  write_llc(line, frame.from(header_length));
}

namespace {

// IEEE 802.5 3.3: routing control, then ring and bridge numbers.
void add_route(Line& line, Bytes route) {
  constexpr std::array<std::string_view, 8> largest_frame = {"516",  "1500",  "2052",  "4472",
                                                             "8144", "11407", "17800", "??"};
  line.add("rt = {:x}", route.be16(0));
  const std::size_t length = route.u8(0) & 0x1fU;
  for (std::size_t at = 2; at + 2 <= length; at += 2) line.add(":{:x}", route.be16(at));
  line.add(" ({}) ", largest_frame[route.u8(1) >> 4U & 7U]);
}

}  // namespace

void write_token_ring(Line& line, Payload frame) {
  constexpr std::size_t header_length = 14, destination = 2, source = 8;
  constexpr std::uint8_t type_bits = 0xc0, llc = 0x40, routed_bit = 0x80;
  const Bytes b = frame.bytes;
  if (!b.has(0, header_length)) return line.cut("token-ring");
  const bool routed = b.u8(source) & routed_bit;
  if (line.options.link_header) {
    line.add("{:02x} {:02x} {:02x}", b.u8(0), b.u8(1), b.u8(source) & ~unsigned{routed_bit} & 0xffU);
    for (std::size_t i = 1; i < 6; ++i) line.add(":{:02x}", b.u8(source + i));
    line.add(" > ");
    add_ethernet_address(line, b, destination);
    line.add(", length {}: ", frame.length);
  }
  std::size_t length = header_length;
  if (routed) {
    if (!b.has(header_length, 2)) return line.cut("token-ring");
    length += b.u8(header_length) & 0x1fU;
    if (!b.has(0, length)) return line.cut("token-ring");
    add_route(line, b.from(header_length));
  }
  if ((b.u8(1) & type_bits) != llc) return line.add("Token Ring, control 0x{:02x}, length {}", b.u8(1), frame.length);
  write_llc(line, frame.from(length));
}

// --- ARCnet ----------------------------------------------------------------------------------------------------

namespace {

constexpr std::uint8_t old_ip = 0xf0, old_arp = 0xf1, diagnose = 0x80, new_ip = 0xd4, new_ipv6 = 0xc4;

constexpr NamedNumber arcnet_names[] = {{old_ip, "oldip"},  {old_arp, "oldarp"}, {new_ip, "ip"},   {0xd5, "arp"},
                                        {0xd6, "rarp"},     {0xdd, "atalk"},     {0xf7, "banyan"}, {0xfa, "ipx"},
                                        {new_ipv6, "ipv6"}, {diagnose, "diag"}};

constexpr bool has_fragment_header(std::uint8_t protocol) {
  return protocol != old_ip && protocol != old_arp && protocol != diagnose;
}

void add_arcnet_header(Line& line, Bytes b) {
  const std::string_view name = name_of(arcnet_names, b.u8(2), {});
  line.add("{:02x} {:02x} ", b.u8(0), b.u8(1));
  if (name.empty())
    line.add("{:02x} ", b.u8(2));
  else
    line.add("{} ", name);
}

void write_by_arcnet_protocol(Line& line, std::uint8_t protocol, Payload payload) {
  switch (protocol) {
    case old_ip:
    case new_ip: return write_ipv4(line, payload);
    case new_ipv6: return write_ipv6(line, payload);
    default: line.add("ARCnet, protocol 0x{:02x}, length {}", protocol, payload.length);
  }
}

}  // namespace

void write_arcnet(Line& line, Payload frame) {
  constexpr std::size_t plain = 3, with_fragment_header = 6, exception = 10;
  constexpr std::uint8_t exception_flag = 0xff;
  const Bytes b = frame.bytes;
  if (!b.has(0, plain)) return line.cut("arcnet");
  const std::uint8_t protocol = b.u8(2);
  if (!has_fragment_header(protocol)) {
    if (line.options.link_header) {
      add_arcnet_header(line, b);
      line.add("{}: ", frame.length);
    }
    return write_by_arcnet_protocol(line, protocol, frame.from(plain));
  }
  if (!b.has(0, with_fragment_header)) return line.cut("arcnet");
  const std::size_t length = b.u8(3) == exception_flag ? exception : with_fragment_header;
  if (!b.has(0, length)) return line.cut("arcnet");
  const unsigned flag = b.u8(length - 3);
  if (line.options.link_header) {
    add_arcnet_header(line, b);
    line.add("seqid {:04x} ", b.be16(length - 2));
    if (flag % 2 != 0) line.add("(first of {} fragments) ", (flag + 3) / 2);
    if (flag != 0 && flag % 2 == 0) line.add("(fragment {}) ", flag / 2 + 1);
    line.add("{}: ", frame.length);
  }
  if (flag != 0 && flag % 2 == 0) return;
  write_by_arcnet_protocol(line, protocol, frame.from(length));
}

void write_arcnet_of_linux(Line& line, Payload frame) {
  constexpr std::size_t plain = 5, with_fragment_header = 8;
  const Bytes b = frame.bytes;
  if (!b.has(0, plain)) return line.cut("arcnet_linux");
  const std::uint8_t protocol = b.u8(4);
  const std::size_t length = has_fragment_header(protocol) ? with_fragment_header : plain;
  if (!b.has(0, length)) return line.cut("arcnet_linux");
  if (line.options.link_header) {
    add_arcnet_header(line, b);  // where a BSD has the protocol there is the offset here, which tcpdump prints for it
    line.add("{}: ", frame.length);
  }
  write_by_arcnet_protocol(line, protocol, frame.from(length));
}

// --- InfiniBand, Fibre Channel, FireWire -----------------------------------------------------------------------

void write_ip_over_infiniband(Line& line, Payload frame) {
  constexpr std::size_t header_length = 44, type_at = 40;
  if (!frame.bytes.has(0, header_length)) return line.cut("ipoib");
  const std::uint16_t type = frame.bytes.be16(type_at);
  if (line.options.link_header) {
    line.add("IPOIB, ");
    add_ether_type(line, type, frame.length);
  }
  write_behind_ether_type(line, type, frame.from(header_length));
}

void write_ip_over_fibre_channel(Line& line, Payload frame) {
  constexpr std::size_t header_length = 16, destination = 2, source = 10;
  if (!frame.bytes.has(0, header_length)) return line.cut("ipfc");
  if (line.options.link_header) {
    add_addresses(line, frame.bytes, source, destination);
    line.add(", length {}: ", frame.length);
  }
  write_llc(line, frame.from(header_length));
}

void write_firewire(Line& line, Payload frame) {
  constexpr std::size_t header_length = 18, address_length = 8;
  const Bytes b = frame.bytes;
  if (!b.has(0, header_length)) return line.cut("ap1394");
  const std::uint16_t type = b.be16(2 * address_length);
  if (line.options.link_header) {
    for (const std::size_t from : {address_length, std::size_t{0}}) {
      for (std::size_t i = 0; i < address_length; ++i) line.add("{}{:02x}", i == 0 ? "" : ":", b.u8(from + i));
      line.add("{}", from != 0 ? " > " : ", ");
    }
    add_ether_type(line, type, frame.length);
  }
  write_behind_ether_type(line, type, frame.from(header_length));
}

// --- ATM -------------------------------------------------------------------------------------------------------

void write_atm(Line& line, Payload frame) {
  constexpr std::uint8_t unnumbered_information = 0x03;
  constexpr std::uint32_t snap = 0xaaaa03, osi = 0xfefe03, ip = 0x060603;
  constexpr std::size_t foreign_header = 20;
  const Bytes b = frame.bytes;
  if (b.empty()) return line.cut("atm");
  if (b.u8(0) == unnumbered_information) {
    if (line.options.link_header) line.add("CNLPID ");
    return write_nlpid(line, frame.from(1));
  }
  if (!b.has(0, 3)) return line.cut("atm");
  const std::uint32_t start = b.be24(0);
  if (start == snap || start == osi || start == ip) return write_llc(line, frame);
  if (!b.has(0, foreign_header)) return line.cut("atm");
  if (line.options.link_header) line.add("{:08x}{:08x} {:08x}{:08x} ", b.be32(0), b.be32(4), b.be32(8), b.be32(12));
  write_llc(line, frame.from(foreign_header));
}

void write_sun_atm(Line& line, Payload frame) {
  constexpr std::size_t header_length = 4;
  constexpr std::uint8_t kind_bits = 0x0f, lan_emulation = 1, sent = 0x80, last_of_own = 5, management = 16;
  const Bytes b = frame.bytes;
  if (!b.has(0, header_length)) return line.cut("sunatm");
  const std::uint16_t vci = b.be16(2);
  if (line.options.link_header) line.add("{}VPI:{} VCI:{} ", b.u8(0) & sent ? "Tx: " : "Rx: ", b.u8(1), vci);
  if (b.u8(1) == 0 && ((vci >= 1 && vci <= last_of_own) || vci == management))
    return line.add("ATM, VCI {}, length {}", vci, frame.length);
  const Payload payload = frame.from(header_length);
  return (b.u8(0) & kind_bits) == lan_emulation ? write_lan_emulation(line, payload) : write_llc(line, payload);
}

void write_classical_ip(Line& line, Payload frame) {
  constexpr std::uint32_t snap = 0xaaaa03;
  const Bytes b = frame.bytes;
  if (line.options.link_header) line.add("{}: ", frame.length);
  if (!b.has(0, 6)) return line.cut("cip");
  if (b.be24(0) == snap && b.be24(3) == 0) return write_llc(line, frame);
  write_ipv4(line, frame);
}

}  // namespace tcpwhy::render::tcpdump
