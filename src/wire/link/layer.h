// What the decoders of link layers share: one step from a header to what follows it.
//
// Each gets the bytes from its header on, and says what comes next. Where the header is not whole, or is none that carries IP, it says
// that nothing is known.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

#include "wire/bytes.h"
#include "wire/encapsulation.h"
#include "wire/link_layer.h"

namespace tcpwhy::wire {

inline constexpr std::size_t unlimited = std::numeric_limits<std::size_t>::max();

struct Layer {
  Content content = Content::none;
  std::size_t header_length = 0;   // of the header before it
  std::size_t length = unlimited;  // of it, where the header says that: what is behind is padding
  std::size_t trailer_length = 0;  // what stands at the end of the frame and is no part of it
};

inline constexpr Layer nothing_known{};

// --- Ethernet and what may follow an EtherType (ethernet.cc) ----------------------------------------------------

// An EtherType at `offset`, after which the header ends.
Layer after_ether_type(Bytes b, std::size_t offset);
// After a header of `header_length` that says by this EtherType what follows it, where IEEE 802.3's lengths do not occur.
Layer by_ether_type(std::uint16_t type, std::size_t header_length);
// The two addresses, then `tag_length` bytes that a switch put there, then the EtherType.
Layer after_ethernet(Bytes b, std::size_t tag_length = 0);
Layer after_llc(Bytes b);
// RFC 1042 and its kin: `snap` is where the OUI begins; a bridged frame has `padding` bytes before it (RFC 2684 5.2: two).
Layer after_snap(Bytes b, std::size_t snap, std::size_t padding);
Layer after_mpls(Bytes b);
Layer after_pppoe(Bytes b, Encapsulation& around);
Layer after_vlan_tag(Bytes b, Encapsulation& around);
Layer after_backbone_tag(Bytes b, Encapsulation& around);
Layer after_vn_tag(Bytes b);
Layer after_fabric_path(Bytes b);
// Marvell's tag of 4 bytes, `before_tag` bytes behind the addresses.
Layer after_marvell_tag(Bytes b, std::size_t before_tag, Encapsulation& around);

// --- Serial lines (serial.cc) -----------------------------------------------------------------------------------

Layer after_ppp(Bytes b);
Layer after_ppp_or_cisco_hdlc(Bytes b);
Layer after_cisco_hdlc(Bytes b);
Layer after_frame_relay(Bytes b);
Layer after_multilink_frame_relay(Bytes b);
// An NLPID (ISO 9577) at `offset`.
Layer after_nlpid(Bytes b, std::size_t offset);
// IP, MPLS or nothing by a PPP protocol number.
Content content_of_ppp_protocol(std::uint16_t protocol);

// --- Rings, ARCnet, InfiniBand (local_area.cc) ------------------------------------------------------------------

Layer after_fddi(Bytes b);
Layer after_token_ring(Bytes b);
Layer after_arcnet(Bytes b);
Layer after_arcnet_of_linux(Bytes b);
Layer after_ip_over_infiniband(Bytes b);

// --- ATM (atm.cc) -----------------------------------------------------------------------------------------------

Layer after_atm(Bytes b);
Layer after_sun_atm(Bytes b);
Layer after_classical_ip(Bytes b);

// --- Radio (wireless.cc) ----------------------------------------------------------------------------------------

Layer after_wireless(Bytes b, bool padded = false);
Layer after_radiotap(Bytes b);
Layer after_avs(Bytes b);
Layer after_prism(Bytes b);

// --- Headers of Juniper's routers (juniper.cc) ------------------------------------------------------------------

Layer after_juniper(Content kind, Bytes b);

// --- Headers that a host put before the packet when it captured it (host.cc) ------------------------------------

Layer after_null(Bytes b);
Layer after_cooked(Bytes b);
Layer after_cooked2(Bytes b);
Layer after_netfilter_log(Bytes b);
Layer after_packet_filter_log(Bytes b);
Layer after_enc(Bytes b);
Layer after_ipnet(Bytes b);
Layer after_symantec(Bytes b);
Layer after_ppi(Bytes b);
Layer after_pktap(Bytes b);

}  // namespace tcpwhy::wire
