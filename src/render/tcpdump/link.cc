// Link layers of the tcpdump view: what -e shows, and the way to the IP header.
#include <algorithm>
#include <array>
#include <optional>

#include "base/text.h"
#include "render/tcpdump/line.h"
#include "wire/ether_type.h"

namespace tcpwhy::render::tcpdump {
namespace {

namespace ether_type = wire::ether_type;
namespace ppp_protocol = wire::ppp_protocol;

// --- Names -----------------------------------------------------------------------------------------------------

struct NamedNumber {
  std::uint16_t number;
  std::string_view name;
};

constexpr NamedNumber ether_type_names[] = {
    {0x0800, "IPv4"},        {0x0806, "ARP"},          {0x86dd, "IPv6"},
    {0x8100, "802.1Q"},      {0x88a8, "802.1Q-QinQ"},  {0x9100, "802.1Q-9100"},
    {0x9200, "802.1Q-9200"}, {0x8847, "MPLS unicast"}, {0x8848, "MPLS multicast"},
    {0x8863, "PPPoE D"},     {0x8864, "PPPoE S"},      {0x880b, "PPP"},
    {0x6558, "TEB"},
};

constexpr NamedNumber ppp_names[] = {
    {ppp_protocol::ipv4, "IP"},
    {ppp_protocol::ipv6, "IP6"},
    {ppp_protocol::mpls, "MPLS"},
    {ppp_protocol::mpls_multicast, "MPLS"},
};

std::string_view name_of(std::span<const NamedNumber> names, std::uint16_t number, std::string_view otherwise) {
  const auto row = std::ranges::find(names, number, &NamedNumber::number);
  return row == names.end() ? otherwise : row->name;
}

void add_ethernet_address(Line& line, Bytes b, std::size_t at) {
  line.add("{:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}", b.u8(at), b.u8(at + 1), b.u8(at + 2), b.u8(at + 3),
           b.u8(at + 4), b.u8(at + 5));
}

void add_ether_type(Line& line, std::uint16_t type) {
  line.add("ethertype {} (0x{:04x}), ", name_of(ether_type_names, type, "Unknown"), type);
}
void add_ether_type(Line& line, std::uint16_t type, std::size_t length) {
  line.add("ethertype {} (0x{:04x}), length {}: ", name_of(ether_type_names, type, "Unknown"), type, length);
}

// --- What follows an EtherType ---------------------------------------------------------------------------------

// RFC 2516 4.
void write_pppoe(Line& line, Payload pppoe) {
  constexpr std::size_t header_length = 6;
  const Bytes b = pppoe.bytes;
  if (pppoe.length < header_length) {
    line.add(" (length {} < {})", pppoe.length, header_length);
    return line.invalid();
  }
  if (!b.has(0, header_length)) return line.cut("pppoe");
  const unsigned version = b.u8(0) >> 4U, type = b.u8(0) & 0xfU, code = b.u8(1), session = b.be16(2);
  std::size_t length = b.be16(4);
  Payload ppp = pppoe.from(header_length);
  if (version != 1) line.add(" [ver {}]", version);
  if (type != 1) line.add(" [type {}]", type);
  line.add("PPPoE ");
  if (code != 0) line.add("PAD-{:X}", code);
  if (length > ppp.length) {
    line.add(" [len {}{}]", length, fmt::format(" > {}!", ppp.length));
    length = ppp.length;
  }
  if (session != 0) line.add(" [ses 0x{:x}]", session);
  if (code != 0) return;  // discovery: tags
  line.add(" ");
  ppp.length = length;
  write_ppp(line, ppp);
}

// Whether tcpdump has a printer for it; else false, and nothing was written.
bool write_by_ether_type(Line& line, std::uint16_t type, Payload payload) {
  switch (type) {
    case ether_type::ipv4: write_ipv4(line, payload); return true;
    case ether_type::ipv6: write_ipv6(line, payload); return true;
    case ether_type::mpls:
    case ether_type::mpls_multicast: write_mpls(line, payload); return true;
    case ether_type::pppoe_session: write_pppoe(line, payload); return true;
    default: return false;
  }
}

// --- IEEE 802.2 ------------------------------------------------------------------------------------------------

struct NamedSap {
  std::uint8_t sap;
  std::string_view name;
};
constexpr std::uint8_t ip_sap = 0x06, snap_sap = 0xaa, group_bit = 0x01;
constexpr std::uint8_t unnumbered_information = 0x03;

constexpr NamedSap sap_names[] = {{ip_sap, "IP"}, {snap_sap, "SNAP"}, {0x00, "Null"}, {0x42, "STP"}, {0xfe, "OSI"}};

std::string_view sap_name(std::uint8_t sap) {
  const auto* const row = std::ranges::find(sap_names, sap, &NamedSap::sap);
  return row == std::end(sap_names) ? "Unknown" : row->name;
}

// RFC 1042: an EtherType by way of SNAP. `snap` begins with the OUI.
void write_snap(Line& line, Payload snap) {
  constexpr std::size_t header_length = 5;
  constexpr std::uint32_t ethernet = 0x000000, cisco = 0x0000f8;
  if (!snap.bytes.has(0, header_length)) return line.cut("snap");
  const std::uint32_t oui = snap.bytes.be24(0);
  const std::uint16_t type = snap.bytes.be16(3);
  const Payload payload = snap.from(header_length);
  if (line.options.link_header) {
    if (oui == ethernet) {
      line.add("oui Ethernet (0x{:06x}), ethertype {} (0x{:04x}), length {}: ", oui,
               name_of(ether_type_names, type, "Unknown"), type, payload.length);
    } else {
      line.add("oui {} (0x{:06x}), pid {} (0x{:04x}), length {}: ", oui == cisco ? "Cisco bridged" : "Unknown", oui,
               oui == cisco ? name_of(ether_type_names, type, "Unknown") : "Unknown", type, payload.length);
    }
  }
  const bool by_ether_type = oui == ethernet || oui == cisco;
  if (!by_ether_type || !write_by_ether_type(line, type, payload)) line.add("SNAP, length {}", payload.length);
}

void write_llc(Line& line, Payload llc) {
  constexpr std::size_t header_length = 3;
  const Bytes b = llc.bytes;
  if (!b.has(0, header_length)) return line.cut("llc");
  const std::uint8_t dsap = b.u8(0), ssap = b.u8(1), control = b.u8(2);
  const std::uint8_t dsap_own = dsap & 0xfeU, ssap_own = ssap & 0xfeU;
  if (line.options.link_header) {
    line.add("LLC, dsap {} (0x{:02x}) {}, ssap {} (0x{:02x}) {}, ctrl 0x{:02x}: ", sap_name(dsap_own), dsap_own,
             dsap & group_bit ? "Group" : "Individual", sap_name(ssap_own), ssap_own,
             ssap & group_bit ? "Response" : "Command", control);
  }
  if (control == unnumbered_information && dsap_own == snap_sap && ssap_own == snap_sap) {
    return write_snap(line, llc.from(header_length));
  }
  if (control == unnumbered_information && dsap_own == ip_sap && ssap_own == ip_sap) {
    return write_ipv4(line, llc.from(header_length));
  }
  line.add("LLC, length {}", llc.length);
}

// --- VLAN tags -------------------------------------------------------------------------------------------------

// IEEE 802.1Q 9.6: priority, drop eligible, identifier.
void add_vlan_tag(Line& line, std::uint16_t tag) {
  line.add("vlan {}, p {}{}, ", tag & 0xfffU, tag >> 13U, tag & 0x1000U ? ", DEI" : "");
}

constexpr bool is_tag(std::uint16_t type) {
  return type == ether_type::vlan || type == ether_type::service_vlan || type == ether_type::vlan_9100 ||
         type == ether_type::vlan_9200;
}

// --- Linux cooked, null, raw -----------------------------------------------------------------------------------

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
    line.add("ethertype {}, ", name_of(ether_type_names, protocol, "Unknown"));
  }
  if (protocol == llc_802_2) return write_llc(line, payload);
  if (!write_by_ether_type(line, protocol, payload)) line.add("protocol 0x{:04x}, length {}", protocol, payload.length);
}

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

constexpr NamedNumber address_family_names[] = {{2, "IPv4"}, {24, "IPv6"}, {28, "IPv6"}, {30, "IPv6"}};

void write_null(Line& line, Payload frame) {
  constexpr std::size_t header_length = 4;
  if (!frame.bytes.has(0, header_length)) return line.cut("null");
  // In the byte order of whichever machine captured it: families are small numbers.
  std::uint32_t family = frame.bytes.le32(0);
  if (family & 0xffff0000U) family = frame.bytes.be32(0);
  const std::string_view name =
      family > 0xffff ? "Unknown" : name_of(address_family_names, static_cast<std::uint16_t>(family), "Unknown");
  if (line.options.link_header) line.add("AF {} ({}), length {}: ", name, family, frame.length);
  const Payload payload = frame.from(header_length);
  if (name == "IPv4") return write_ipv4(line, payload);
  if (name == "IPv6") return write_ipv6(line, payload);
  line.add("address family {}, length {}", family, payload.length);
}

void write_ip_by_version(Line& line, Payload packet) {
  if (packet.bytes.empty()) return line.add("truncated-ip {}", packet.length);
  const unsigned version = packet.bytes.u8(0) >> 4U;
  if (version == 4) return write_ipv4(line, packet);
  if (version == 6) return write_ipv6(line, packet);
  line.add("unknown ip {}", version);
}

void write_raw(Line& line, Payload frame) {
  if (line.options.link_header) line.add("ip: ");
  write_ip_by_version(line, frame);
}

void write_ppp_frame(Line& line, Payload frame) {
  constexpr std::size_t shortest = 4;
  if (frame.bytes.size() < shortest) return line.cut("ppp");
  write_ppp(line, frame);
}

// --- IEEE 802.11 -----------------------------------------------------------------------------------------------

// Which of the three or four addresses stand first in a data frame, by its To DS and From DS bits (802.11 table 9-30).
struct WirelessAddresses {
  std::array<std::string_view, 4> names;
};
constexpr WirelessAddresses wireless_addresses[] = {
    {{"DA", "SA", "BSSID", ""}}, {{"BSSID", "SA", "DA", ""}}, {{"DA", "BSSID", "SA", ""}}, {{"RA", "TA", "DA", "SA"}}};

// What a data frame does beside carrying data: two bits of its subtype (802.11 table 9-1).
constexpr std::array<std::string_view, 4> wireless_contention_free = {"", "Ack", "Poll", "Ack/Poll"};

void add_wireless_header(Line& line, Bytes b, unsigned systems, bool quality_of_service) {
  constexpr std::array<std::size_t, 4> address_at = {4, 10, 16, 24};
  const std::string_view also = wireless_contention_free[b.u8(0) >> 4U & 3U];
  if (quality_of_service || !also.empty()) line.add("CF {}{} ", also, quality_of_service ? "+QoS" : "");
  const auto& names = wireless_addresses[systems].names;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i].empty()) continue;
    line.add("{}:", names[i]);
    add_ethernet_address(line, b, address_at[i]);
    line.add(" ");
  }
}

void write_wireless(Line& line, Payload frame) {
  const Bytes b = frame.bytes;
  if (!b.has(0, 2)) return line.cut("802.11");
  const unsigned control = b.u8(0), flags = b.u8(1), systems = flags & 3U;
  const bool quality_of_service = (control & 0x80U) != 0, is_data = (control & 0x4cU) == 0x08;
  const std::size_t header_length = 24U + (systems == 3 ? 6U : 0U) + (quality_of_service ? 2U : 0U);
  if (!is_data || (flags & 0x40U)) return line.add("802.11, length {}", frame.length);
  if (!b.has(0, header_length)) return line.cut("802.11");
  if (line.options.link_header) add_wireless_header(line, b, systems, quality_of_service);
  write_llc(line, frame.from(header_length));
}

}  // namespace

void write_ethernet(Line& line, Payload frame) {
  constexpr std::size_t header_length = 14, tag_length = 4;
  if (frame.length < frame.bytes.size()) {
    line.add("[length {} < caplen {}]", frame.length, frame.bytes.size());
    return line.invalid();
  }
  if (!frame.bytes.has(0, header_length)) return line.cut("ether");
  const bool link_header = line.options.link_header;
  if (link_header) {
    add_ethernet_address(line, frame.bytes, 6);
    line.add(" > ");
    add_ethernet_address(line, frame.bytes, 0);
    line.add(", ");
  }
  std::uint16_t type = frame.bytes.be16(12);
  Payload payload = frame.from(header_length);
  bool tagged = false;
  for (; is_tag(type); tagged = true) {
    if (!payload.bytes.has(0, tag_length) || payload.length < tag_length) return line.cut("vlan");
    if (link_header) {
      if (tagged)
        add_ether_type(line, type);
      else
        add_ether_type(line, type, frame.length);
      add_vlan_tag(line, payload.bytes.be16(0));
    }
    type = payload.bytes.be16(2);
    payload = payload.from(tag_length);
  }
  if (type <= ether_type::largest_length) {
    payload = {payload.bytes.first(type), std::min<std::size_t>(payload.length, type)};
    if (link_header && tagged) line.add("802.3");
    if (link_header && !tagged) line.add("802.3, length {}: ", payload.length);
    return write_llc(line, payload);
  }
  if (link_header && tagged) add_ether_type(line, type);
  if (link_header && !tagged) add_ether_type(line, type, frame.length);
  if (!write_by_ether_type(line, type, payload)) line.add("ethertype 0x{:04x}, length {}", type, payload.length);
}

// RFC 3032 2.1. Label 0 and 2 say which IP follows; after others tcpdump guesses by the first byte.
void write_mpls(Line& line, Payload labels) {
  constexpr std::size_t entry_length = 4;
  constexpr std::uint32_t ipv4_explicit_null = 0, ipv6_explicit_null = 2;
  line.add("MPLS");
  std::uint32_t entry = 0;
  do {
    if (labels.length < entry_length) return line.invalid();
    if (!labels.bytes.has(0, entry_length)) return line.cut("mpls");
    entry = labels.bytes.be32(0);
    line.add(" (label {}, tc {}{}, ttl {})", entry >> 12U, entry >> 9U & 7U, entry & 0x100U ? ", [S]" : "",
             entry & 0xffU);
    labels = labels.from(entry_length);
  } while (!(entry & 0x100U));
  if (labels.length == 0) return;
  if (labels.bytes.empty()) return line.cut("mpls");
  const std::uint32_t label = entry >> 12U;
  const unsigned first = labels.bytes.u8(0);
  line.add(" ");
  if (label == ipv4_explicit_null || (label != ipv6_explicit_null && first >= 0x45 && first <= 0x4f)) {
    return write_ipv4(line, labels);
  }
  if (label == ipv6_explicit_null || (first >= 0x60 && first <= 0x6f)) return write_ipv6(line, labels);
  line.text.pop_back();
}

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
    line.add("{} (0x{:04x}), length {}: ", name_of(ppp_names, protocol, "unknown"), protocol, whole_length);
  }
  switch (protocol) {
    case ppp_protocol::ipv4: return write_ipv4(line, ppp);
    case ppp_protocol::ipv6: return write_ipv6(line, ppp);
    case ppp_protocol::mpls:
    case ppp_protocol::mpls_multicast: return write_mpls(line, ppp);
    default: line.add("PPP, protocol 0x{:04x}, length {}", protocol, ppp.length);
  }
}

void write_frame(Line& line, wire::LinkType link_type, Payload frame) {
  using wire::LinkType;
  switch (link_type) {
    case LinkType::ethernet: return write_ethernet(line, frame);
    case LinkType::null:
    case LinkType::loop: return write_null(line, frame);
    case LinkType::raw:
    case LinkType::raw_bsd:
    case LinkType::raw_openbsd:
    case LinkType::ipv4:
    case LinkType::ipv6: return write_raw(line, frame);
    case LinkType::linux_sll: return write_cooked(line, frame);
    case LinkType::linux_sll2: return write_cooked2(line, frame);
    case LinkType::ppp: return write_ppp_frame(line, frame);
    case LinkType::ieee802_11: return write_wireless(line, frame);
    case LinkType::ieee802_11_radiotap: break;
  }
  line.add("link type {}, length {}", static_cast<unsigned>(link_type), frame.length);
}

}  // namespace tcpwhy::render::tcpdump
