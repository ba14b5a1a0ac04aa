// From the bytes of a captured packet to its TCP segment.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "wire/encapsulation.h"
#include "wire/ip/icmp_error.h"
#include "wire/segment.h"

namespace tcpwhy::wire {

// Link types by their number in capture files (LINKTYPE_*, www.tcpdump.org/linktypes.html). Values not named here occur in
// files and are kept as they are.
enum class LinkType : std::uint16_t {
  null = 0,
  ethernet = 1,
  raw_bsd = 12,
  raw_openbsd = 14,
  ppp = 9,
  raw = 101,
  ieee802_11 = 105,
  loop = 108,
  linux_sll = 113,
  ieee802_11_radiotap = 127,
  ipv4 = 228,
  ipv6 = 229,
  linux_sll2 = 276,
};

enum class Dissection : std::uint8_t {
  tcp,         // `segment` is valid; the capture may end inside its options (TcpOptions::cut)
  truncated,   // TCP by the IP header, but the capture ends inside the first 20 bytes of the TCP header
  malformed,   // TCP by the IP header, but lengths contradict each other
  fragment,    // a later IP fragment of TCP: no ports
  icmp_error,  // an ICMP error that quotes a TCP segment: `segment` is what it quotes, `icmp` what it says
  other,       // not TCP, or not IP
};

struct DissectedPacket {
  Dissection kind = Dissection::other;
  // A piece of an IP packet, the first or a later one, or inside such a piece. What a first piece holds is dissected as it stands:
  // wire/ip/reassembler.h knows the whole.
  bool fragmented = false;
  Encapsulation encapsulation;  // around the IP header whose addresses `segment` has
  // For truncated and malformed: the addresses and what else could be read. For an ICMP error: the header that it quotes, as far as it
  // does (IcmpError::quoted_header); what was not quoted is 0.
  TcpSegment segment;
  IcmpError icmp;
};

struct DissectOptions {
  bool tunnels = true;  // look into tunnels over IP (wire/tunnel.h says which)
  bool teredo = false;  // into Teredo too; it is told by its UDP port alone
  Encapsulation outer;  // what was around the bytes already (a packet put together from fragments)
};

// `captured`: what the file or the tap holds of the packet, `original_length`: its length on the wire in bytes.
// Unwraps VLAN tags (802.1Q, 802.1ad), 802.1ah, MPLS, PPPoE and tunnels, to a bounded depth. Never reads outside `captured`.
DissectedPacket dissect(LinkType link_type, std::span<const std::uint8_t> captured, std::size_t original_length,
                        const DissectOptions& options = {});
// The same into a packet that exists already; all of it is overwritten.
void dissect_into(DissectedPacket& packet, LinkType link_type, std::span<const std::uint8_t> captured,
                  std::size_t original_length, const DissectOptions& options = {});

}  // namespace tcpwhy::wire
