#include "wire/link_layer.h"

#include <algorithm>
#include <iterator>

#include "wire/ether_type.h"
#include "wire/link/layer.h"

namespace tcpwhy::wire {
namespace {

// A tag inside a tag inside a tag: real networks nest four or five. Beyond this a frame is not looked into.
constexpr int deepest_nesting = 16;

// A header of which nothing matters but its length.
constexpr struct {
  Content content, inside;
  std::size_t length;
} fixed_headers[] = {
    {Content::broadcom_tag_before, Content::ethernet, 4},
    {Content::netanalyzer, Content::ethernet, 4},               // Hilscher's: time, port
    {Content::netanalyzer_transparent, Content::ethernet, 12},  // the same, and the preamble
    {Content::lan_emulation, Content::ethernet, 2},             // ATM Forum, LANE 1.0: the client's id
    {Content::directed_ppp, Content::ppp, 1},
    {Content::directed_cisco_hdlc, Content::cisco_hdlc, 1},
    {Content::directed_frame_relay, Content::frame_relay, 1},
    {Content::slip, Content::ip, 16},  // direction, and the compressed header, which is expanded behind it
    {Content::ip_over_fibre_channel, Content::llc, 16},  // RFC 4338: two addresses
    {Content::firewire, Content::ether_type, 16},        // Apple's: two EUI-64
};

Layer after_fixed_header(Content content, Bytes b) {
  const auto* const row = std::ranges::find(fixed_headers, content, [](const auto& r) { return r.content; });
  if (row == std::end(fixed_headers) || !b.has(0, row->length)) return nothing_known;
  return {row->inside, row->length};
}

Layer next_layer(Content content, Bytes b, Encapsulation& around) {
  switch (content) {
    case Content::ethernet: return after_ethernet(b);
    case Content::ether_type: return after_ether_type(b, 0);
    case Content::vlan_tag: return after_vlan_tag(b, around);
    case Content::backbone_tag: return after_backbone_tag(b, around);
    case Content::vn_tag: return after_vn_tag(b);
    case Content::fabric_path: return after_fabric_path(b);
    case Content::mpls: return after_mpls(b);
    case Content::pppoe: return after_pppoe(b, around);
    case Content::llc: return after_llc(b);
    case Content::broadcom_tag: return after_ethernet(b, 4);
    case Content::marvell_tag: return after_marvell_tag(b, 0, around);
    case Content::marvell_tag_with_type: return after_marvell_tag(b, 4, around);
    case Content::ppp: return after_ppp(b);
    case Content::ppp_or_cisco_hdlc: return after_ppp_or_cisco_hdlc(b);
    case Content::cisco_hdlc: return after_cisco_hdlc(b);
    case Content::frame_relay: return after_frame_relay(b);
    case Content::multilink_frame_relay: return after_multilink_frame_relay(b);
    case Content::fddi: return after_fddi(b);
    case Content::token_ring: return after_token_ring(b);
    case Content::arcnet: return after_arcnet(b);
    case Content::arcnet_of_linux: return after_arcnet_of_linux(b);
    case Content::ip_over_infiniband: return after_ip_over_infiniband(b);
    case Content::atm: return after_atm(b);
    case Content::sun_atm: return after_sun_atm(b);
    case Content::classical_ip: return after_classical_ip(b);
    case Content::wireless: return after_wireless(b);
    case Content::radiotap: return after_radiotap(b);
    case Content::avs: return after_avs(b);
    case Content::prism: return after_prism(b);
    case Content::null_header: return after_null(b);
    case Content::cooked: return after_cooked(b);
    case Content::cooked2: return after_cooked2(b);
    case Content::netfilter_log: return after_netfilter_log(b);
    case Content::packet_filter_log: return after_packet_filter_log(b);
    case Content::enc: return after_enc(b);
    case Content::ipnet: return after_ipnet(b);
    case Content::symantec: return after_symantec(b);
    case Content::ppi: return after_ppi(b);
    case Content::pktap: return after_pktap(b);
    case Content::juniper_ethernet:
    case Content::juniper_ether_type:
    case Content::juniper_ppp:
    case Content::juniper_cisco_hdlc:
    case Content::juniper_frame_relay:
    case Content::juniper_multilink_ppp:
    case Content::juniper_multilink_frame_relay:
    case Content::juniper_bundled_frame_relay:
    case Content::juniper_atm1:
    case Content::juniper_atm2:
    case Content::juniper_services:
    case Content::juniper_gateway:
    case Content::juniper_ipsec: return after_juniper(content, b);
    case Content::broadcom_tag_before:
    case Content::netanalyzer:
    case Content::netanalyzer_transparent:
    case Content::lan_emulation:
    case Content::directed_ppp:
    case Content::directed_cisco_hdlc:
    case Content::directed_frame_relay:
    case Content::slip:
    case Content::ip_over_fibre_channel:
    case Content::firewire: return after_fixed_header(content, b);
    case Content::none:
    case Content::ip:
    case Content::ipv4:
    case Content::ipv6: break;
  }
  return nothing_known;
}

constexpr bool is_ip(Content content) {
  return content == Content::ip || content == Content::ipv4 || content == Content::ipv6;
}

bool version_agrees(Content content, Bytes b) {
  if (b.empty()) return false;
  const unsigned version = b.u8(0) >> 4U;
  return (version == 4 && content != Content::ipv6) || (version == 6 && content != Content::ipv4);
}

}  // namespace

Content content_of_ether_type(std::uint16_t type) {
  switch (type) {
    case ether_type::ipv4: return Content::ipv4;
    case ether_type::ipv6: return Content::ipv6;
    case ether_type::mpls:
    case ether_type::mpls_multicast: return Content::mpls;
    case ether_type::pppoe_session: return Content::pppoe;
    case ether_type::backbone_tag: return Content::backbone_tag;
    case ether_type::vn_tag: return Content::vn_tag;
    case ether_type::fabric_path: return Content::fabric_path;
    case ether_type::transparent_ethernet: return Content::ethernet;
    default: break;
  }
  if (ether_type::is_vlan(type)) return Content::vlan_tag;
  return type <= ether_type::largest_length ? Content::llc : Content::none;
}

bool unwrap_to_ip(Carried& carried) {
  for (int depth = 0; depth < deepest_nesting && carried.content != Content::none && !is_ip(carried.content); ++depth) {
    const Layer next = next_layer(carried.content, carried.bytes, carried.encapsulation);
    carried.content = next.content;
    const std::size_t rest = carried.original_length - std::min(carried.original_length, next.header_length);
    carried.original_length = std::min(next.length, rest - std::min(rest, next.trailer_length));
    carried.bytes = carried.bytes.from(next.header_length).first(carried.original_length);
  }
  carried.original_length = std::max(carried.original_length, carried.bytes.size());
  return is_ip(carried.content) && version_agrees(carried.content, carried.bytes);
}

}  // namespace tcpwhy::wire
