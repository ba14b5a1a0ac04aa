// From a link type to the writer of its header.
#include "render/tcpdump/link/link.h"

#include "wire/link_types.h"

namespace tcpwhy::render::tcpdump {
namespace {

void write_unread(Line& line, wire::LinkType link_type, Payload frame) {
  const std::string_view name = wire::name_of(link_type);
  const auto number = static_cast<unsigned>(link_type);
  if (name.empty()) return line.add("link type {}, length {}", number, frame.length);
  line.add("link type {} ({}), length {}", name, number, frame.length);
}

// Behind a byte of direction, for which tcpdump has no printer: as the same without it.
Payload behind_direction(Payload frame) { return frame.from(1); }

}  // namespace

void write_frame(Line& line, wire::LinkType link_type, Payload frame) {
  using wire::Content;
  constexpr wire::LinkType slip{8};
  const Content content = wire::content_of_link(link_type);
  switch (content) {
    case Content::ethernet: return write_ethernet(line, frame);
    case Content::null_header: return write_null(line, frame);
    case Content::ip:
    case Content::ipv4:
    case Content::ipv6: return write_raw(line, frame);
    case Content::cooked: return write_cooked(line, frame);
    case Content::cooked2: return write_cooked2(line, frame);
    case Content::netfilter_log: return write_netfilter_log(line, frame);
    case Content::packet_filter_log: return write_packet_filter_log(line, frame);
    case Content::enc: return write_enc(line, frame);
    case Content::ipnet: return write_ipnet(line, frame);
    case Content::symantec: return write_symantec(line, frame);
    case Content::ppi: return write_ppi(line, frame);
    case Content::pktap: return write_pktap(line, frame);
    case Content::ppp: return write_ppp_frame(line, frame);
    case Content::ppp_or_cisco_hdlc: return write_ppp_or_cisco_hdlc(line, frame);
    case Content::cisco_hdlc: return write_cisco_hdlc(line, frame);
    case Content::frame_relay: return write_frame_relay(line, frame);
    case Content::multilink_frame_relay: return write_multilink_frame_relay(line, frame);
    case Content::directed_ppp: return write_ppp_frame(line, behind_direction(frame));
    case Content::directed_cisco_hdlc: return write_cisco_hdlc(line, behind_direction(frame));
    case Content::directed_frame_relay: return write_frame_relay(line, behind_direction(frame));
    case Content::slip: return write_slip(line, frame, link_type == slip);
    case Content::pppoe: return write_pppoe(line, frame);
    case Content::mpls: return write_mpls(line, frame);
    case Content::broadcom_tag:
    case Content::broadcom_tag_before:
    case Content::marvell_tag:
    case Content::marvell_tag_with_type:
    case Content::netanalyzer:
    case Content::netanalyzer_transparent: return write_switch_tagged(line, content, frame);
    case Content::fddi: return write_fddi(line, frame);
    case Content::token_ring: return write_token_ring(line, frame);
    case Content::arcnet: return write_arcnet(line, frame);
    case Content::arcnet_of_linux: return write_arcnet_of_linux(line, frame);
    case Content::ip_over_infiniband: return write_ip_over_infiniband(line, frame);
    case Content::ip_over_fibre_channel: return write_ip_over_fibre_channel(line, frame);
    case Content::firewire: return write_firewire(line, frame);
    case Content::atm: return write_atm(line, frame);
    case Content::sun_atm: return write_sun_atm(line, frame);
    case Content::classical_ip: return write_classical_ip(line, frame);
    case Content::wireless: return write_wireless(line, frame);
    case Content::radiotap: return write_radiotap(line, frame);
    case Content::avs: return write_avs(line, frame);
    case Content::prism: return write_prism(line, frame);
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
    case Content::juniper_ipsec: return write_juniper(line, link_type, frame);
    case Content::none:
    case Content::ether_type:
    case Content::vlan_tag:
    case Content::backbone_tag:
    case Content::vn_tag:
    case Content::fabric_path:
    case Content::llc:
    case Content::lan_emulation: break;  // no link type begins so
  }
  write_unread(line, link_type, frame);
}

}  // namespace tcpwhy::render::tcpdump
