// What is inside a packet that is no TCP: the tunnels that are looked into.
#pragma once

#include "wire/ip/ip_packet.h"
#include "wire/link_layer.h"
#include "wire/packet.h"

namespace tcpwhy::wire {

// How deep tunnels in tunnels are followed. Real ones nest two or three deep.
inline constexpr int deepest_tunnel = 8;

// Replaces `carried`, an IP packet with `payload`, between the addresses of `outer`, by what its tunnel carries. False where
// it is no tunnel, or none that is looked into: GRE (RFC 2784, 2890; also NVGRE, PPTP's, ERSPAN), IP in IP (RFC 2003, 2473, 4213),
// MPLS in IP (RFC 4023), and over UDP VXLAN (RFC 7348), Geneve (RFC 8926), GTP-U (3GPP TS 29.281), GRE (RFC 8086), AYIYA
// and Teredo (RFC 4380).
bool enter_tunnel(const IpPayload& payload, const TcpSegment& outer, const DissectOptions& options, Carried& carried);

}  // namespace tcpwhy::wire
