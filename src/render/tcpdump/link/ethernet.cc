// Ethernet, its tags, LLC and SNAP, MPLS and PPPoE in the tcpdump view.
#include <algorithm>
#include <array>

#include "render/tcpdump/link/link.h"
#include "wire/ether_type.h"

namespace tcpwhy::render::tcpdump {
namespace {

namespace ether_type = wire::ether_type;

constexpr NamedNumber ether_type_names[] = {
    {0x0800, "IPv4"},
    {0x8847, "MPLS unicast"},
    {0x8848, "MPLS multicast"},
    {0x86dd, "IPv6"},
    {0x8100, "802.1Q"},
    {0x9100, "802.1Q-9100"},
    {0x88a8, "802.1Q-QinQ"},
    {0x9200, "802.1Q-9200"},
    {0x88e5, "802.1AE MACsec"},
    {0x0200, "PUP"},
    {0x0806, "ARP"},
    {0x8035, "Reverse ARP"},
    {0x0600, "NS"},
    {0x0500, "Sprite"},
    {0x1000, "Trail"},
    {0x6001, "MOP DL"},
    {0x6002, "MOP RC"},
    {0x6003, "DN"},
    {0x6004, "LAT"},
    {0x6007, "SCA"},
    {0x6558, "TEB"},
    {0x8038, "Lanbridge"},
    {0x803c, "DEC DNS"},
    {0x803e, "DEC DTS"},
    {0x805b, "VEXP"},
    {0x805c, "VPROD"},
    {0x809b, "Appletalk"},
    {0x80f3, "Appletalk ARP"},
    {0x8137, "IPX"},
    {0x880b, "PPP"},
    {0x8808, "MPCP"},
    {0x8809, "Slow Protocols"},
    {0x8863, "PPPoE D"},
    {0x8864, "PPPoE S"},
    {0x888e, "EAPOL"},
    {0x8899, "Realtek protocols"},
    {0x886f, "MS NLB heartbeat"},
    {0x8870, "Jumbo"},
    {0x894f, "NSH"},
    {0x9000, "Loopback"},
    {0xfefe, "OSI"},
    {0x00fe, "GRE-OSI"},
    {0xabcd, "CFM (old)"},
    {0x8902, "CFM"},
    {0x893a, "IEEE1905.1"},
    {0x88cc, "LLDP"},
    {0x88ca, "TIPC"},
    {0x0707, "GeoNet (old)"},
    {0x8947, "GeoNet"},
    {0x1111, "CALM FAST"},
    {0x88a2, "AoE"},
    {0x88f7, "PTP"},
    {0xd28b, "Arista Vendor Specific Protocol"},
};

void add_ether_type(Line& line, std::uint16_t type) {
  line.add("ethertype {} (0x{:04x}), ", ether_type_name(type), type);
}

// --- VLAN tags -------------------------------------------------------------------------------------------------

constexpr bool is_tag(std::uint16_t type) {
  return type == ether_type::vlan || type == ether_type::service_vlan || type == ether_type::vlan_9100 ||
         type == ether_type::vlan_9200;
}

}  // namespace

std::string_view ether_type_name(std::uint16_t type) { return name_of(ether_type_names, type, "Unknown"); }

void add_ethernet_address(Line& line, Bytes b, std::size_t at) {
  line.add("{:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}", b.u8(at), b.u8(at + 1), b.u8(at + 2), b.u8(at + 3),
           b.u8(at + 4), b.u8(at + 5));
}

void add_ether_type(Line& line, std::uint16_t type, std::size_t length) {
  line.add("ethertype {} (0x{:04x}), length {}: ", ether_type_name(type), type, length);
}

// IEEE 802.1Q 9.6: priority, drop eligible, identifier.
void add_vlan_tag(Line& line, std::uint16_t tag) {
  line.add("vlan {}, p {}{}, ", tag & 0xfffU, tag >> 13U, tag & 0x1000U ? ", DEI" : "");
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

void write_behind_ether_type(Line& line, std::uint16_t type, Payload payload) {
  if (!write_by_ether_type(line, type, payload)) line.add("ethertype 0x{:04x}, length {}", type, payload.length);
}

// --- IEEE 802.2 ------------------------------------------------------------------------------------------------

namespace {

struct NamedSap {
  std::uint8_t sap;
  std::string_view name;
};
constexpr std::uint8_t ip_sap = 0x06, snap_sap = 0xaa, osi_sap = 0xfe, group_bit = 0x01;
constexpr std::uint8_t unnumbered_information = 0x03;

constexpr NamedSap sap_names[] = {{ip_sap, "IP"}, {snap_sap, "SNAP"}, {0x00, "Null"}, {0x42, "STP"}, {0xfe, "OSI"}};

std::string_view sap_name(std::uint8_t sap) {
  const auto* const row = std::ranges::find(sap_names, sap, &NamedSap::sap);
  return row == std::end(sap_names) ? "Unknown" : row->name;
}

// RFC 2684 B.1: what is bridged.
constexpr std::uint32_t ethernet_oui = 0x000000, cisco_oui = 0x0000f8, bridged_oui = 0x0080c2;
constexpr NamedNumber bridged_names[] = {
    {0x01, "Ethernet + FCS"},   {0x07, "Ethernet w/o FCS"},   {0x02, "802.4 + FCS"}, {0x08, "802.4 w/o FCS"},
    {0x03, "Token Ring + FCS"}, {0x09, "Token Ring w/o FCS"}, {0x04, "FDDI + FCS"},  {0x0a, "FDDI w/o FCS"},
    {0x05, "802.6 + FCS"},      {0x0b, "802.6 w/o FCS"},      {0x0e, "BPDU"}};

void add_snap_header(Line& line, std::uint32_t oui, std::uint16_t type, std::size_t length) {
  switch (oui) {
    case ethernet_oui:
      return line.add("oui Ethernet (0x{:06x}), ethertype {} (0x{:04x}), length {}: ", oui, ether_type_name(type), type,
                      length);
    case cisco_oui:
      return line.add("oui Cisco bridged (0x{:06x}), pid {} (0x{:04x}), length {}: ", oui, ether_type_name(type), type,
                      length);
    case bridged_oui:
      return line.add("oui Ethernet bridged (0x{:06x}), pid {} (0x{:04x}), length {}: ", oui,
                      name_of(bridged_names, type, "Unknown"), type, length);
    default: return line.add("oui Unknown (0x{:06x}), pid Unknown (0x{:04x}), length {}: ", oui, type, length);
  }
}

// Whether it is a frame that we print; else nothing was written.
bool write_bridged(Line& line, std::uint16_t type, Payload frame) {
  if (line.depth >= deepest_nesting) return false;
  ++line.depth;
  switch (type) {
    case 0x01:
    case 0x07: write_ethernet(line, frame); return true;
    case 0x03:
    case 0x09: write_token_ring(line, frame); return true;
    case 0x04:
    case 0x0a: write_fddi(line, frame.from(1)); return true;
    default: return false;
  }
}

}  // namespace

// RFC 1042: an EtherType by way of SNAP.
void write_snap(Line& line, Payload snap, std::size_t padding) {
  constexpr std::size_t header_length = 5;
  if (!snap.bytes.has(0, header_length)) return line.cut("snap");
  const std::uint32_t oui = snap.bytes.be24(0);
  const std::uint16_t type = snap.bytes.be16(3);
  const Payload payload = snap.from(header_length);
  if (line.options.link_header) add_snap_header(line, oui, type, payload.length);
  if ((oui == ethernet_oui || oui == cisco_oui) && write_by_ether_type(line, type, payload)) return;
  if (oui == bridged_oui && payload.bytes.has(0, padding) && write_bridged(line, type, payload.from(padding))) return;
  line.add("SNAP, length {}", payload.length);
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
    return write_snap(line, llc.from(header_length), 2);
  }
  if (control == unnumbered_information && dsap_own == ip_sap && ssap_own == ip_sap) {
    return write_ipv4(line, llc.from(header_length));
  }
  if (control == unnumbered_information && dsap_own == osi_sap && ssap_own == osi_sap) {
    return write_nlpid(line, llc.from(header_length));
  }
  line.add("LLC, length {}", llc.length);
}

// --- Ethernet --------------------------------------------------------------------------------------------------

namespace {

// What a switch puts between the addresses and the EtherType; printed with -e and without.
struct SwitchTag {
  std::size_t length;
  void (*add)(Line& line, Bytes tag);
};

void add_broadcom_tag(Line& line, Bytes b) {
  constexpr std::uint8_t towards_the_switch = 0x20;
  line.add("BRCM tag OP: {}", b.u8(0) != 0 ? "IG" : "EG");
  if (b.u8(0) & towards_the_switch) {
    constexpr std::array<std::string_view, 4> tag_enforcement = {"None", "Untag", "Header", "Reserved"};
    line.add(", TC: {}, TE: {}, TS: {}, DST map: 0x{:04x}", b.u8(1) >> 2U & 7U, tag_enforcement[b.u8(1) & 3U],
             b.u8(1) >> 7U, b.be16(2) & 0x1ffU);
  } else {
    constexpr NamedNumber reasons[] = {{1, "mirror"},    {2, "MAC learning"}, {4, "switching"},
                                       {8, "prot term"}, {16, "prot snoop"},  {32, "exception"}};
    line.add(", CID: {}, RC: {}, TC: {}, port: {}", b.u8(1), name_of(reasons, b.u8(2), "reserved"), b.u8(3) >> 5U,
             b.u8(3) & 0x1fU);
  }
  line.add(", ");
}

enum class MarvellMode : std::uint8_t { to_cpu, from_cpu, to_sniffer, forward };

void add_marvell_fields(Line& line, Bytes b) {
  const auto mode = static_cast<MarvellMode>(b.u8(0) >> 6U);
  const bool tagged = b.u8(0) & 0x20U, flag = b.u8(1) & 0x04U;  // from a trunk, or received
  const unsigned device = b.u8(0) & 0x1fU, port = b.u8(1) >> 3U, vid = b.be16(2) & 0xfffU;
  if (!line.options.link_header) {
    switch (mode) {
      case MarvellMode::forward: line.add("Forward {} {}.{}, ", flag ? "trunk" : "port", device, port); break;
      case MarvellMode::from_cpu: line.add("CPU > port {}.{}, ", device, port); break;
      case MarvellMode::to_cpu: line.add("port {}.{} > CPU, ", device, port); break;
      case MarvellMode::to_sniffer: line.add("port {}.{} > {} Sniffer, ", device, port, flag ? "Rx" : "Tx"); break;
    }
    return line.add("VLAN {}{}, ", vid, tagged ? 't' : 'u');
  }
  switch (mode) {
    case MarvellMode::forward: line.add("mode Forward, dev {}, {} {}, ", device, flag ? "trunk" : "port", port); break;
    case MarvellMode::from_cpu: line.add("mode From CPU, target dev {}, port {}, ", device, port); break;
    case MarvellMode::to_cpu: {
      constexpr NamedNumber codes[] = {{0, "BPDU (MGMT) Trap"}, {1, "Frame2Reg"},  {2, "IGMP/MLD Trap"},
                                       {3, "Policy Trap"},      {4, "ARP Mirror"}, {5, "Policy Mirror"}};
      const auto code = static_cast<std::uint16_t>((b.u8(1) & 6U) | (b.u8(2) >> 4U & 1U));
      line.add("mode To CPU, source dev {}, port {}, code {}, ", device, port, name_of(codes, code, "reserved"));
      break;
    }
    case MarvellMode::to_sniffer:
      line.add("mode To Sniffer, source dev {}, port {}, {} sniff, ", device, port, flag ? "ingress" : "egress");
      break;
  }
  line.add("{}, {}VID {}, FPri {}, ", tagged ? "tagged" : "untagged", b.u8(1) & 1U ? "CFI, " : "", vid, b.u8(2) >> 5U);
}

void add_marvell_tag(Line& line, Bytes b) {
  line.add("{}", line.options.link_header ? "Marvell DSA " : "DSA ");
  add_marvell_fields(line, b);
}

void add_marvell_tag_with_type(Line& line, Bytes b) {
  const std::uint16_t type = b.be16(0);
  if (line.options.link_header)
    line.add("Marvell EDSA ethertype 0x{:04x} ({}), rsvd {} {}, ", type, ether_type_name(type), b.u8(2), b.u8(3));
  else
    line.add("EDSA 0x{:04x}, ", type);
  add_marvell_fields(line, b.from(4));
}

constexpr SwitchTag broadcom_tag{4, add_broadcom_tag}, marvell_tag{4, add_marvell_tag},
    marvell_tag_with_type{8, add_marvell_tag_with_type};

void write_ethernet(Line& line, Payload frame, const SwitchTag* tag) {
  const std::size_t switch_tag_length = tag != nullptr ? tag->length : 0;
  const std::size_t header_length = 14 + switch_tag_length;
  constexpr std::size_t addresses = 12, tag_length = 4;
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
  if (tag != nullptr) tag->add(line, frame.bytes.from(addresses));
  std::uint16_t type = frame.bytes.be16(addresses + switch_tag_length);
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
  write_behind_ether_type(line, type, payload);
}

}  // namespace

void write_ethernet(Line& line, Payload frame) { write_ethernet(line, frame, nullptr); }

void write_switch_tagged(Line& line, wire::Content content, Payload frame) {
  constexpr std::size_t tag_length = 4, pseudo_header = 4, with_preamble = 12;
  switch (content) {
    case wire::Content::broadcom_tag: return write_ethernet(line, frame, &broadcom_tag);
    case wire::Content::marvell_tag: return write_ethernet(line, frame, &marvell_tag);
    case wire::Content::marvell_tag_with_type: return write_ethernet(line, frame, &marvell_tag_with_type);
    case wire::Content::broadcom_tag_before:
      if (!frame.bytes.has(0, tag_length)) return line.cut("brcm-tag-prepend");
      if (line.options.link_header) add_broadcom_tag(line, frame.bytes);
      return write_ethernet(line, frame.from(tag_length));
    case wire::Content::netanalyzer_transparent:
      if (!frame.bytes.has(0, with_preamble)) return line.cut("netanalyzer_transparent");
      return write_ethernet(line, frame.from(with_preamble));
    default:
      if (!frame.bytes.has(0, pseudo_header)) return line.cut("netanalyzer");
      return write_ethernet(line, frame.from(pseudo_header));
  }
}

void write_lan_emulation(Line& line, Payload frame) {
  constexpr std::size_t id_length = 2;
  constexpr std::uint16_t control = 0xff00;
  if (!frame.bytes.has(0, id_length)) return line.cut("lane");
  const std::uint16_t id = frame.bytes.be16(0);
  if (id == control) return line.add("lec");
  line.add("lecid:{:x} ", id);
  write_ethernet(line, frame.from(id_length));
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

}  // namespace tcpwhy::render::tcpdump
