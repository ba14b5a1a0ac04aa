// What the writers of link layers share: each begins with its own header, as tcpdump's printers do.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "render/tcpdump/line.h"
#include "wire/link_layer.h"

namespace tcpwhy::render::tcpdump {

struct NamedNumber {
  std::uint16_t number;
  std::string_view name;
};

inline std::string_view name_of(std::span<const NamedNumber> names, std::uint16_t number, std::string_view otherwise) {
  const auto row = std::ranges::find(names, number, &NamedNumber::number);
  return row == names.end() ? otherwise : row->name;
}

// IEEE 802, and what follows an EtherType (ethernet.cc).
std::string_view ether_type_name(std::uint16_t type);
void add_ethernet_address(Line& line, Bytes b, std::size_t at);
void add_ether_type(Line& line, std::uint16_t type, std::size_t length);
void add_vlan_tag(Line& line, std::uint16_t tag);
// Whether tcpdump has a printer for it; else false, and nothing was written.
bool write_by_ether_type(Line& line, std::uint16_t type, Payload payload);
// The same; without a printer its number and length are written.
void write_behind_ether_type(Line& line, std::uint16_t type, Payload payload);
void write_llc(Line& line, Payload llc);
// `snap` begins with the OUI; a bridged frame has `padding` bytes before it.
void write_snap(Line& line, Payload snap, std::size_t padding);
void write_pppoe(Line& line, Payload pppoe);
// With the tag of a switch behind the addresses, or before them.
void write_switch_tagged(Line& line, wire::Content content, Payload frame);
// An id of LAN emulation, which is printed before the addresses.
void write_lan_emulation(Line& line, Payload frame);

// Serial lines (serial.cc).
void write_ppp_frame(Line& line, Payload frame);
void write_ppp_or_cisco_hdlc(Line& line, Payload frame);
void write_cisco_hdlc(Line& line, Payload frame);
void write_frame_relay(Line& line, Payload frame);
void write_multilink_frame_relay(Line& line, Payload frame);
void write_slip(Line& line, Payload frame, bool with_header);
// What stands behind an NLPID, which is the first byte.
void write_nlpid(Line& line, Payload payload);

// Other local networks, ATM (local_area.cc).
void write_fddi(Line& line, Payload frame);
void write_token_ring(Line& line, Payload frame);
void write_arcnet(Line& line, Payload frame);
void write_arcnet_of_linux(Line& line, Payload frame);
void write_ip_over_infiniband(Line& line, Payload frame);
void write_ip_over_fibre_channel(Line& line, Payload frame);
void write_firewire(Line& line, Payload frame);
void write_atm(Line& line, Payload frame);
void write_sun_atm(Line& line, Payload frame);
void write_classical_ip(Line& line, Payload frame);

// IEEE 802.11 (wireless.cc, radiotap.cc).
void write_wireless(Line& line, Payload frame, bool padded = false);
void write_avs(Line& line, Payload frame);
void write_prism(Line& line, Payload frame);
void write_radiotap(Line& line, Payload frame);

// Juniper's routers (juniper.cc).
void write_juniper(Line& line, wire::LinkType link_type, Payload frame);

// A host's headers (host.cc).
void write_null(Line& line, Payload frame);
void write_raw(Line& line, Payload frame);
void write_cooked(Line& line, Payload frame);
void write_cooked2(Line& line, Payload frame);
void write_netfilter_log(Line& line, Payload frame);
void write_packet_filter_log(Line& line, Payload frame);
void write_enc(Line& line, Payload frame);
void write_ipnet(Line& line, Payload frame);
void write_symantec(Line& line, Payload frame);
void write_ppi(Line& line, Payload frame);
void write_pktap(Line& line, Payload frame);

}  // namespace tcpwhy::render::tcpdump
