// The headers that a host puts before the packets it captures, in the tcpdump view.
#include <algorithm>
#include <array>
#include <utility>

#include "base/text.h"
#include "render/tcpdump/link/link.h"
#include "wire/ether_type.h"
#include "wire/link_types.h"

namespace tcpwhy::render::tcpdump {
namespace {

namespace ether_type = wire::ether_type;

struct CookedFields {
  std::uint16_t protocol = 0;
  std::uint8_t packet_type = 0, address_length = 0;
  std::uint16_t hardware_type = 0;
  std::size_t address_at = 0;
};

constexpr std::array<std::string_view, 5> cooked_packet_types = {"In", "B", "M", "P", "Out"};

std::string_view cooked_packet_type(std::uint8_t type) {
  return type < cooked_packet_types.size() ? cooked_packet_types[type] : "?";
}

void add_cooked_header(Line& line, Bytes b, const CookedFields& fields, std::size_t length) {
  constexpr std::size_t ethernet_address_length = 6;
  if (fields.address_length == ethernet_address_length) {
    add_ethernet_address(line, b, fields.address_at);
    line.add(" ");
  }
  if (fields.protocol > ether_type::largest_length) return add_ether_type(line, fields.protocol, length);
  constexpr std::uint16_t raw_802_3 = 1, llc_802_2 = 4;
  if (fields.protocol == raw_802_3) return line.add("802.3, length {}: ", length);
  if (fields.protocol == llc_802_2) return line.add("802.2, length {}: ", length);
  line.add("ethertype Unknown (0x{:04x}), length {}: ", fields.protocol, length);
}

// `payload` follows the cooked header; its protocol was printed.
void write_cooked_payload(Line& line, std::uint16_t protocol, Payload payload) {
  constexpr std::uint16_t llc_802_2 = 4;
  while (protocol == ether_type::vlan) {
    if (!payload.bytes.has(0, 4)) return line.cut("vlan");
    if (line.options.link_header) add_vlan_tag(line, payload.bytes.be16(0));
    protocol = payload.bytes.be16(2);
    payload = payload.from(4);
    if (protocol <= ether_type::largest_length) protocol = llc_802_2;
    line.add("ethertype {}, ", ether_type_name(protocol));
  }
  if (protocol == llc_802_2) return write_llc(line, payload);
  if (!write_by_ether_type(line, protocol, payload)) line.add("protocol 0x{:04x}, length {}", protocol, payload.length);
}

}  // namespace

void write_cooked(Line& line, Payload frame) {
  constexpr std::size_t header_length = 16;
  const Bytes b = frame.bytes;
  if (!b.has(0, header_length)) return line.cut("sll");
  const CookedFields fields{b.be16(14), static_cast<std::uint8_t>(std::min<unsigned>(b.be16(0), 0xff)),
                            static_cast<std::uint8_t>(std::min<unsigned>(b.be16(4), 0xff)), b.be16(2), 6};
  if (line.options.link_header) {
    line.add("{:>3} ", cooked_packet_type(fields.packet_type));
    add_cooked_header(line, b, fields, frame.length);
  }
  write_cooked_payload(line, fields.protocol, frame.from(header_length));
}

void write_cooked2(Line& line, Payload frame) {
  constexpr std::size_t header_length = 20;
  const Bytes b = frame.bytes;
  if (!b.has(0, header_length)) return line.cut("sll2");
  const CookedFields fields{b.be16(0), b.u8(10), b.u8(11), b.be16(8), 12};
  const std::uint32_t index = b.be32(4);
  const std::string name =
      line.options.interface_name ? base::escape_controls(line.options.interface_name(index)) : std::string{};
  line.add("{:<5} {:<3} ", name.empty() ? "?" : name, cooked_packet_type(fields.packet_type));
  if (line.options.link_header) {
    line.add("ifindex {} ", index);
    add_cooked_header(line, b, fields, frame.length);
  }
  write_cooked_payload(line, fields.protocol, frame.from(header_length));
}

namespace {

// As BSDs number them; Linux's 10 is not known to tcpdump.
constexpr std::uint8_t family_ipv4 = 2;
constexpr bool is_family_of_ipv6(std::uint32_t family) { return family == 24 || family == 28 || family == 30; }

// In the byte order of whichever machine captured: families are small numbers.
bool is_big_endian(Bytes family) { return (family.le32(0) & 0xffff0000U) != 0; }

}  // namespace

void write_null(Line& line, Payload frame) {
  constexpr std::size_t header_length = 4;
  if (!frame.bytes.has(0, header_length)) return line.cut("null");
  const std::uint32_t family = is_big_endian(frame.bytes) ? frame.bytes.be32(0) : frame.bytes.le32(0);
  const bool ipv4 = family == family_ipv4, ipv6 = is_family_of_ipv6(family);
  if (line.options.link_header)
    line.add("AF {} ({}), length {}: ", ipv4 ? "IPv4" : ipv6 ? "IPv6" : "Unknown", family, frame.length);
  const Payload payload = frame.from(header_length);
  if (ipv4) return write_ipv4(line, payload);
  if (ipv6) return write_ipv6(line, payload);
  line.add("address family {}, length {}", family, payload.length);
}

namespace {

void write_ip_by_version(Line& line, Payload packet) {
  if (packet.bytes.empty()) return line.add("truncated-ip {}", packet.length);
  const unsigned version = packet.bytes.u8(0) >> 4U;
  if (version == 4) return write_ipv4(line, packet);
  if (version == 6) return write_ipv6(line, packet);
  line.add("unknown ip {}", version);
}

}  // namespace

void write_raw(Line& line, Payload frame) {
  if (line.options.link_header) line.add("ip: ");
  write_ip_by_version(line, frame);
}

// --- Logs of packet filters ------------------------------------------------------------------------------------

// Numbers in the byte order of the machine that captured: types are below 256. (tcpdump takes those of the machine it runs on.)
void write_netfilter_log(Line& line, Payload frame) {
  constexpr std::size_t header_length = 4, attribute_header = 4;
  constexpr std::uint16_t payload_type = 9;
  constexpr std::uint8_t ipv4 = 2, ipv6 = 10;
  const Bytes b = frame.bytes;
  if (!b.has(0, header_length)) return line.cut("nflog");
  const std::uint8_t family = b.u8(0), version = b.u8(1);
  if (version != 0) return line.add("version {} (unknown)", version);
  if (line.options.link_header)
    line.add("version {}, resource ID {}, family {} ({}), length {}: ", version, b.be16(2),
             family == ipv4   ? "IPv4"
             : family == ipv6 ? "IPv6"
                              : "Unknown",
             family, frame.length);
  Payload rest = frame.from(header_length);
  while (rest.length > 0) {
    if (!rest.bytes.has(0, attribute_header)) return line.cut("nflog");
    const bool little_endian = rest.bytes.u8(3) == 0 || rest.bytes.u8(2) != 0;
    const std::uint16_t length = little_endian ? rest.bytes.le16(0) : rest.bytes.be16(0);
    const std::uint16_t type = little_endian ? rest.bytes.le16(2) : rest.bytes.be16(2);
    const auto padded = static_cast<std::uint16_t>((length + 3U) / 4U * 4U);
    if (padded < attribute_header || !rest.bytes.has(0, padded)) return line.cut("nflog");
    rest = rest.from(type == payload_type ? attribute_header : padded);
    if (type == payload_type) break;
  }
  if (family == ipv4) return write_ipv4(line, rest);
  if (family == ipv6) return write_ipv6(line, rest);
  line.add("family {}, length {}", family, rest.length);
}

namespace {

// A text that ends with its field or a zero before; no control character gets out.
void add_text(Line& line, Bytes field) {
  for (const std::uint8_t byte : field.span()) {
    if (byte == 0) return;
    const unsigned low = byte & 0x7fU;
    if (low != byte) line.add("M-");
    if (low < 0x20 || low == 0x7f)
      line.add("^{}", static_cast<char>(low ^ 0x40U));
    else
      line.add("{}", static_cast<char>(low));
  }
}

// A number's name, or "unkn(N)". Its third and fourth reason are as tcpdump has them.
void add_known(Line& line, std::span<const NamedNumber> names, std::uint8_t number) {
  const std::string_view name = name_of(names, number, {});
  if (name.empty())
    line.add("unkn({})", number);
  else
    line.add("{}", name);
}

void add_packet_filter_header(Line& line, Bytes b) {
  constexpr NamedNumber reasons[] = {
      {0, "0(match)"},       {1, "1(bad-offset)"},       {2, "2(fragment)"},       {4, "3(short)"},
      {5, "5(memory)"},      {6, "6(bad-timestamp)"},    {7, "7(congestion)"},     {8, "8(ip-option)"},
      {9, "9(proto-cksum)"}, {10, "10(state-mismatch)"}, {11, "11(state-insert)"}, {12, "12(state-limit)"},
      {13, "13(src-limit)"}, {14, "14(synproxy)"}};
  constexpr NamedNumber actions[] = {{0, "pass"},  {1, "block"},   {2, "scrub"}, {4, "nat"},   {5, "nonat"},
                                     {6, "binat"}, {7, "nobinat"}, {8, "rdr"},   {9, "nordr"}, {10, "synproxy-drop"}};
  constexpr NamedNumber directions[] = {{0, "in/out"}, {1, "in"}, {2, "out"}};
  constexpr std::size_t action = 2, reason = 3, interface = 4, ruleset = 20, rule = 36, subrule = 40, direction = 60,
                        name_length = 16;
  constexpr std::uint32_t no_subrule = 0xffffffff;
  line.add("rule {}", b.be32(rule));
  if (b.be32(subrule) != no_subrule) {
    line.add(".");
    add_text(line, b.from(ruleset).first(name_length));
    line.add(".{}", b.be32(subrule));
  }
  line.add("/");
  add_known(line, reasons, b.u8(reason));
  line.add(": ");
  add_known(line, actions, b.u8(action));
  line.add(" ");
  add_known(line, directions, b.u8(direction));
  line.add(" on ");
  add_text(line, b.from(interface).first(name_length));
  line.add(": ");
}

}  // namespace

void write_packet_filter_log(Line& line, Payload frame) {
  constexpr std::size_t shortest = 45, whole = 64;
  const Bytes b = frame.bytes;
  if (!b.has(0, 2)) return line.cut("pflog");
  if (b.u8(0) < shortest) return line.add("[pflog: invalid header length!]");
  const std::size_t length = (b.u8(0) + 3U) / 4U * 4U;
  if (!b.has(0, length) || !b.has(0, whole)) return line.cut("pflog");
  if (line.options.link_header) add_packet_filter_header(line, b);
  const Payload payload = frame.from(length);
  if (b.u8(1) == family_ipv4) return write_ipv4(line, payload);
  if (is_family_of_ipv6(b.u8(1))) return write_ipv6(line, payload);
  line.add("pflog, family {}, length {}", b.u8(1), payload.length);
}

// --- Others ----------------------------------------------------------------------------------------------------

void write_enc(Line& line, Payload frame) {
  constexpr std::size_t header_length = 12;
  constexpr std::uint32_t authentic = 0x0800, confidential = 0x0400;
  const Bytes b = frame.bytes;
  if (!b.has(0, header_length)) return line.cut("enc");
  const bool swapped = is_big_endian(b);
  const std::uint32_t family = swapped ? b.be32(0) : b.le32(0);
  std::uint32_t flags = swapped ? b.be32(8) : b.le32(8);
  line.add("{}", flags == 0 ? "(unprotected): " : "(");
  for (const auto& [bit, name] : {std::pair{authentic, "authentic"}, std::pair{confidential, "confidential"}}) {
    if (!(flags & bit)) continue;
    line.add("{}{}", name, flags == bit ? "): " : ",");
    flags &= ~bit;
  }
  line.add("SPI 0x{:08x}: ", b.be32(4));
  const Payload payload = frame.from(header_length);
  if (family == family_ipv4) return write_ipv4(line, payload);
  if (is_family_of_ipv6(family)) return write_ipv6(line, payload);
}

void write_ipnet(Line& line, Payload frame) {
  constexpr std::size_t header_length = 24, source_zone = 16, destination_zone = 20;
  constexpr std::uint8_t ipv4 = 2, ipv6 = 26;
  const Bytes b = frame.bytes;
  if (!b.has(0, header_length)) return line.cut("ipnet");
  const std::uint8_t family = b.u8(1);
  if (line.options.link_header)
    line.add("{} > {}, family {} ({}), length {}: ", b.be32(source_zone), b.be32(destination_zone),
             family == ipv4   ? "IPv4"
             : family == ipv6 ? "IPv6"
                              : "Unknown",
             family, frame.length);
  const Payload payload = frame.from(header_length);
  if (family == ipv4) return write_ipv4(line, payload);
  if (family == ipv6) return write_ipv6(line, payload);
  line.add("family {}, length {}", family, payload.length);
}

void write_symantec(Line& line, Payload frame) {
  constexpr std::size_t header_length = 44, type_at = 6;
  if (!frame.bytes.has(0, header_length)) return line.cut("symantec");
  const std::uint16_t type = frame.bytes.be16(type_at);
  if (line.options.link_header) {
    if (type <= ether_type::largest_length)
      line.add("invalid ethertype {}, length {}: ", type, frame.length);
    else
      add_ether_type(line, type, frame.length);
  }
  write_behind_ether_type(line, type, frame.from(header_length));
}

// --- A packet of another link type inside ----------------------------------------------------------------------

namespace {

// As libpcap names DLT_*, where that is another word than of LINKTYPE_*.
constexpr NamedNumber dlt_names[] = {{1, "EN10MB"},
                                     {6, "IEEE802"},
                                     {7, "ARCNET"},
                                     {50, "PPP_SERIAL"},
                                     {107, "FRELAY"},
                                     {119, "PRISM_HEADER"},
                                     {127, "IEEE802_11_RADIO"},
                                     {163, "IEEE802_11_RADIO_AVS"}};

std::string_view dlt_name(std::uint32_t number) {
  constexpr std::uint32_t largest = 0xffff;
  if (number > largest) return "UNKNOWN";
  const auto link_type = static_cast<std::uint16_t>(number);
  const std::string_view name = name_of(dlt_names, link_type, wire::name_of(wire::LinkType{link_type}));
  return name.empty() ? "UNKNOWN" : name;
}

void write_inside(Line& line, std::uint32_t number, Payload packet) {
  constexpr std::uint32_t largest = 0xffff;
  if (number > largest) return line.add("link type {}, length {}", number, packet.length);
  if (line.depth >= deepest_nesting) return line.add("nested too deep");
  ++line.depth;
  write_frame(line, wire::LinkType{static_cast<std::uint16_t>(number)}, packet);
}

}  // namespace

void write_ppi(Line& line, Payload frame) {
  constexpr std::size_t shortest = 8, longest = 65532;
  const Bytes b = frame.bytes;
  if (!b.has(0, shortest)) return line.cut("ppi");
  const std::size_t length = b.le16(2);
  if (length < shortest || length > longest) {
    line.add(" [length {} < 8 or > 65532]", length);
    return line.invalid();
  }
  if (!b.has(0, length)) return line.cut("ppi");
  const std::uint32_t number = b.le32(4);
  if (line.options.link_header)
    line.add("V.{} DLT {} ({}) len {}, length {}: ", b.u8(0), dlt_name(number), number, length, frame.length);
  write_inside(line, number, frame.from(length));
}

void write_pktap(Line& line, Payload frame) {
  constexpr std::size_t shortest = 108;
  const Bytes b = frame.bytes;
  if (!b.has(0, shortest)) return line.cut("pktap");
  const std::uint32_t length = b.le32(0), kind = b.le32(4), number = b.le32(8);
  if (length < shortest || length > frame.length) {
    line.add(" (pkt_len too {}, {} {} {})", length < shortest ? "small" : "big", length, length < shortest ? '<' : '>',
             length < shortest ? shortest : frame.length);
    return line.invalid();
  }
  if (!b.has(0, length)) return line.cut("pktap");
  if (line.options.link_header)
    line.add("DLT {} ({}) len {}, length {}: ", dlt_name(number), number, length, frame.length);
  if (kind == 0) return line.add("no data");
  if (kind == 1) write_inside(line, number, frame.from(length));
}

}  // namespace tcpwhy::render::tcpdump
