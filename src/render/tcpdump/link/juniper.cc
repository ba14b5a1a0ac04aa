// What Juniper's routers put before packets (wire/link/juniper.cc), in the tcpdump view.
#include <array>
#include <optional>

#include "render/tcpdump/link/link.h"

namespace tcpwhy::render::tcpdump {
namespace {

using wire::Content;

constexpr std::uint8_t incoming_flag = 0x01, no_link_header_flag = 0x02, extensions_flag = 0x80;
constexpr std::uint8_t unnumbered_information = 0x03, link_services = 0x54, adaptive_services = 0x47;
constexpr std::size_t adaptive_services_length = 8;

// Interface cards that put a cookie there, which -e prints.
struct Card {
  std::uint16_t link_type;
  std::size_t cookie_length;
  std::string_view name;
};
constexpr Card cards[] = {{137, 4, "ATM1"},    {135, 8, "ATM2"},  {130, 2, "MLPPP"},     {131, 2, "MLFR"},
                          {134, 4, "MFR"},     {167, 0, "PPPoE"}, {168, 0, "PPPoE ATM"}, {133, 8, "GGSN"},
                          {164, 8, "MONITOR"}, {136, 8, "AS"},    {132, 0, "ES"}};

// What was read before the packet.
struct Header {
  Payload rest;  // behind the cookie
  Bytes cookie;
  std::size_t length = 0;  // of all before `rest`
  bool incoming = false;
  std::uint16_t protocol = 0;
};

// Whether the first byte says IP; else nothing was written.
bool write_guessed_ip(Line& line, Payload packet) {
  if (packet.bytes.empty()) return false;
  const unsigned first = packet.bytes.u8(0);
  if (first >= 0x45 && first <= 0x4f) {
    write_ipv4(line, packet);
    return true;
  }
  if (first < 0x60 || first > 0x6f) return false;
  write_ipv6(line, packet);
  return true;
}

std::size_t cookie_length(const Card& card, Bytes b) {
  // Without a cookie its first byte is the packet's (an Ethernet address may begin so).
  if (card.cookie_length == 0) return 0;
  constexpr std::uint8_t whole_bits = 0xc0;
  constexpr std::uint16_t bundled_frame_relay = 134;
  if (b.empty()) return card.cookie_length;
  if (b.u8(0) == adaptive_services) return adaptive_services_length;
  if (card.link_type == bundled_frame_relay && (b.u8(0) & whole_bits) == whole_bits) return 0;
  return b.u8(0) == link_services ? card.cookie_length + 2 : card.cookie_length;
}

bool is_adaptive(const Header& header) {
  return header.cookie.size() == adaptive_services_length && header.cookie.u8(0) == adaptive_services;
}

// False: it was all there was to write.
bool read_cookie(Line& line, const Card& card, Header& header) {
  constexpr std::size_t longest = 8;
  const std::size_t length = cookie_length(card, header.rest.bytes);
  if (line.options.link_header) line.add("{}-PIC, cookie-len {}", card.name, length);
  if (length > longest) {
    line.invalid();
    return false;
  }
  if (!header.rest.bytes.has(0, length)) {
    line.cut("juniper");
    return false;
  }
  header.cookie = header.rest.bytes.first(length);
  if (line.options.link_header) {
    if (length > 0) line.add(", cookie 0x");
    for (const std::uint8_t byte : header.cookie.span()) line.add("{:02x}", byte);
    line.add(": ");
  }
  header.rest = header.rest.from(length);
  header.length += length;
  if (!header.rest.bytes.has(0, 2)) {
    line.cut("juniper");
    return false;
  }
  header.protocol = header.rest.bytes.be16(0);
  return true;
}

// What a card's kind makes of protocol and length before they are printed.
void adjust(Content content, Header& header) {
  constexpr std::uint8_t protocol_bits = 0x70;
  const bool relay = content == Content::juniper_multilink_frame_relay,
             bundle = content == Content::juniper_bundled_frame_relay;
  if (!relay && !bundle && content != Content::juniper_multilink_ppp) return;
  if (is_adaptive(header)) {
    header.protocol = header.cookie.u8(5) & protocol_bits;
    return;
  }
  const bool services = !header.cookie.empty() && header.cookie.u8(0) == link_services;
  if (relay || (bundle && services)) {
    header.rest = header.rest.from(2);
    header.length += 2;
  }
}

// Type, length, value, one after the other; a zero ends them. False: one runs over the end, where tcpdump gives up.
bool check_extensions(Line& line, Bytes extensions) {
  constexpr std::size_t overhead = 2;
  while (extensions.size() > overhead) {
    const std::size_t length = extensions.u8(1);
    if (extensions.u8(0) == 0 || length == 0) return true;
    if (extensions.size() < length + overhead) {
      line.add(" [extension_length {} < {}]", extensions.size(), length + overhead);
      line.invalid();
      return false;
    }
    extensions = extensions.from(length + overhead);
  }
  return true;
}

std::optional<Header> read_header(Line& line, Content content, wire::LinkType link_type, Payload frame) {
  constexpr std::uint32_t magic = 0x4d4743;
  constexpr std::size_t fixed = 4, without_link_header = 4;
  const Bytes b = frame.bytes;
  Header header;
  if (!b.has(0, fixed)) {
    line.cut("juniper");
    return std::nullopt;
  }
  if (b.be24(0) != magic) {
    line.add("no magic-number found!");
    return std::nullopt;
  }
  const unsigned flags = b.u8(3);
  header.incoming = flags & incoming_flag;
  if (line.options.link_header) line.add("{:>3} ", header.incoming ? "In" : "Out");
  header.length = fixed;
  if (flags & extensions_flag) {
    if (!b.has(fixed, 2) || !b.has(fixed + 2, b.be16(fixed))) {
      line.cut("juniper");
      return std::nullopt;
    }
    header.length += 2U + b.be16(fixed);
    if (!check_extensions(line, b.from(fixed + 2).first(b.be16(fixed)))) return std::nullopt;
  }
  if (flags & no_link_header_flag) {
    if (line.options.link_header) line.add("no-L2-hdr, ");
    if (!b.has(header.length + without_link_header, 1))
      line.cut("juniper");
    else if (!write_guessed_ip(line, frame.from(header.length + without_link_header)))
      line.add("no IP-hdr found!");
    return std::nullopt;
  }
  header.rest = frame.from(header.length);
  const auto* const card = std::ranges::find(cards, static_cast<std::uint16_t>(link_type), &Card::link_type);
  if (card != std::end(cards)) {
    if (!read_cookie(line, *card, header)) return std::nullopt;
    adjust(content, header);
  }
  if (line.options.link_header) line.add("hlen {}, proto 0x{:04x}, ", header.length, header.protocol);
  return header;
}

void write_other(Line& line, const Header& header) {
  line.add("protocol 0x{:04x}, length {}", header.protocol, header.rest.length);
}

// Adaptive services tell the protocol in the cookie.
void write_by_services(Line& line, const Header& header) {
  switch (header.protocol) {
    case 0x00: return write_ipv4(line, header.rest);
    case 0x10: return write_ipv6(line, header.rest);
    case 0x20: return write_mpls(line, header.rest);
    default: return write_other(line, header);
  }
}

void write_multilink_ppp(Line& line, const Header& header) {
  constexpr std::uint16_t osi = 0x0023, address_and_control = 0xff03;
  const std::uint16_t start = header.cookie.be16(0);
  if (line.options.link_header && start != osi && start != address_and_control) {
    unsigned bundle = header.cookie.u8(0);
    if (is_adaptive(header))
      bundle = header.cookie.be16(6) >> 3U;
    else if (header.cookie.u8(0) == link_services)
      bundle = header.cookie.u8(1);
    line.add("Bundle-ID {}: ", bundle & 0xfffU);
  }
  if (is_adaptive(header)) return write_by_services(line, header);
  write_ppp(line, header.rest);
}

unsigned bundle_of(const Header& header) {
  if (is_adaptive(header)) return header.cookie.be16(6) >> 3U & 0xfffU;
  // tcpdump reads it before the cookie is there, where no first byte tells of one.
  return header.cookie.u8(0) == link_services ? header.cookie.u8(1) : header.cookie.u8(0);
}

void add_bundle(Line& line, const Header& header) {
  if (line.options.link_header) line.add("Bundle-ID {}, ", bundle_of(header));
}

// Control and NLPID were read as the protocol.
void write_by_control(Line& line, const Header& header, Payload behind) {
  constexpr std::uint16_t ipv4 = 0x03cc, ipv6 = 0x038e;
  if (header.protocol == ipv4) {
    if (line.options.link_header) line.add("OSI NLPID IPv4 (0xcc): ");
    return write_ipv4(line, behind);
  }
  if (header.protocol == ipv6) {
    if (line.options.link_header) line.add("OSI NLPID IPv6 (0x8e): ");
    return write_ipv6(line, behind);
  }
  write_other(line, header);
}

void write_multilink_relay(Line& line, const Header& header) {
  add_bundle(line, header);
  if (is_adaptive(header)) return write_other(line, header);
  if (header.protocol == unnumbered_information || header.protocol == unnumbered_information << 8U)
    return write_nlpid(line, header.rest);
  write_by_control(line, header, header.rest);
}

void write_bundled_relay(Line& line, const Header& header) {
  if (header.cookie.empty()) return write_multilink_frame_relay(line, header.rest);
  if (is_adaptive(header)) return write_by_services(line, header);
  add_bundle(line, header);
  const bool services = header.cookie.u8(0) == link_services;
  write_by_control(line, header, services ? header.rest : header.rest.from(2));
}

bool begins_with_llc(Bytes b) { return b.has(0, 3) && (b.be24(0) == 0xfefe03 || b.be24(0) == 0xaaaa03); }

void write_atm1(Line& line, const Header& header) {
  constexpr std::uint8_t operation_cell = 0x80;
  if (header.cookie.u8(0) == operation_cell || header.rest.bytes.empty())
    return line.add("OAM, length {}", header.rest.length);
  if (begins_with_llc(header.rest.bytes)) return write_llc(line, header.rest);
  if (header.rest.bytes.u8(0) == unnumbered_information) return write_nlpid(line, header.rest.from(1));
  if (!write_guessed_ip(line, header.rest)) write_other(line, header);
}

void write_atm2(Line& line, const Header& header) {
  constexpr std::uint8_t operation_cell_bits = 0x70;
  constexpr std::uint32_t gap_bits = 0x3f;
  const Bytes b = header.rest.bytes;
  if (header.cookie.u8(7) & operation_cell_bits) return line.add("OAM, length {}", header.rest.length);
  if (begins_with_llc(b)) return write_llc(line, header.rest);
  if (!header.incoming && (header.cookie.be32(0) & gap_bits)) return write_ethernet(line, header.rest);
  if (b.u8(0) == unnumbered_information) return write_nlpid(line, header.rest.from(1));
  constexpr std::array<std::uint16_t, 13> ppp_protocols = {0x0021, 0x0023, 0x0281, 0x0283, 0x8021, 0x8023, 0x8281,
                                                           0xc021, 0xc023, 0xc223, 0x003d, 0x0057, 0x8057};
  if (std::ranges::find(ppp_protocols, b.be16(0)) != ppp_protocols.end()) return write_ppp(line, header.rest);
  if (!write_guessed_ip(line, header.rest)) write_other(line, header);
}

void write_services(Line& line, wire::LinkType link_type, const Header& header) {
  constexpr wire::LinkType monitor{164};
  const Bytes b = header.rest.bytes;
  if (!b.has(0, 8)) return line.cut(link_type == monitor ? "juniper_monitor" : "juniper_services");
  // Fields of the packet itself: tcpdump looks for them behind the cookie that holds them.
  if (line.options.link_header && link_type == monitor)
    line.add("service-id {}, iif {}, pkt-type {}: ", b.be32(4), b.be16(2), b.u8(0));
  if (line.options.link_header && link_type != monitor)
    line.add("service-id {} flags 0x{:02x} service-set-id 0x{:04x} iif {}: ", b.u8(0), b.u8(1), b.be16(2), b.be24(5));
  if (!write_guessed_ip(line, header.rest)) write_other(line, header);
}

void write_gateway(Line& line, const Header& header) {
  const std::uint8_t protocol = header.cookie.u8(2);
  if (line.options.link_header) {
    constexpr NamedNumber names[] = {{1, "Null"}, {2, "IPv4"}, {6, "IPv6"}};
    line.add("proto {} ({}), vlan {}: ", name_of(names, protocol, "Unknown"), protocol, header.cookie.be16(4));
  }
  if (protocol == 2) return write_ipv4(line, header.rest);
  if (protocol == 6) return write_ipv6(line, header.rest);
  line.add("unknown GGSN proto ({})", protocol);
}

void write_ipsec(Line& line, const Header& header) {
  constexpr std::size_t header_length = 16;
  const Bytes b = header.rest.bytes;
  if (!b.has(0, header_length)) return line.cut("juniper_es");
  const std::uint8_t type = b.u8(3);
  if (type < 3 || type > 5) return line.add("ES, type {}, length {}", type, header.rest.length);
  const Payload packet = header.rest.from(header_length);
  if (line.options.link_header) {
    constexpr NamedNumber names[] = {{3, "ESP AUTH"}, {4, "AH AUTH"}, {5, "ESP ENCR"}};
    line.add("ES SA, index {}, ttl {} type {} ({}), spi {}, Tunnel {} > {}, length {}\n", b.be16(0), b.u8(2),
             name_of(names, type, "Unknown"), type, b.be32(4), wire::IpAddress::v4(b.fixed<4>(8)),
             wire::IpAddress::v4(b.fixed<4>(12)), packet.length);
  }
  write_ipv4(line, packet);
}

void write_behind(Line& line, Content content, wire::LinkType link_type, const Header& header) {
  switch (content) {
    case Content::juniper_ethernet: return write_ethernet(line, header.rest);
    case Content::juniper_ether_type:
      if (!write_by_ether_type(line, header.protocol, header.rest.from(2)))
        line.add("unknown ethertype 0x{:04x}", header.protocol);
      return;
    case Content::juniper_ppp: return write_ppp(line, header.rest);
    case Content::juniper_cisco_hdlc: return write_cisco_hdlc(line, header.rest);
    case Content::juniper_frame_relay: return write_frame_relay(line, header.rest);
    case Content::juniper_multilink_ppp: return write_multilink_ppp(line, header);
    case Content::juniper_multilink_frame_relay: return write_multilink_relay(line, header);
    case Content::juniper_bundled_frame_relay: return write_bundled_relay(line, header);
    case Content::juniper_atm1: return write_atm1(line, header);
    case Content::juniper_atm2: return write_atm2(line, header);
    case Content::juniper_services: return write_services(line, link_type, header);
    case Content::juniper_gateway: return write_gateway(line, header);
    case Content::juniper_ipsec: return write_ipsec(line, header);
    default: return write_other(line, header);
  }
}

}  // namespace

void write_juniper(Line& line, wire::LinkType link_type, Payload frame) {
  const Content content = wire::content_of_link(link_type);
  const auto header = read_header(line, content, link_type, frame);
  if (header) write_behind(line, content, link_type, *header);
}

}  // namespace tcpwhy::render::tcpdump
