// The VLANs and tunnels around a packet, as a part of its connection's key: the same addresses and ports in two VLANs are two
// connections.
//
// Both directions of a connection should agree, so nothing goes in that mostly differs by direction:
//
//   802.1Q, 802.1ad       the VIDs, outermost first; VID 0 (priority only, IEEE 802.1Q 6.9) is no VLAN
//   802.1ah               the I-SID
//   PPPoE                 the session id
//   VXLAN, Geneve         the VNI, which means the same on every endpoint of the overlay
//   GRE                   the pair of outer addresses, and the key where there is one. Of a key before Ethernet frames the low 8 bits are
//                         left out: they are NVGRE's FlowID (RFC 7637 3.2), which hashes each direction by itself
//   IP in IP, GTP-U       the pair of outer addresses. A TEID belongs to one direction, and a handover moves the outer addresses:
//                         what follows it is another connection that was begun before the capture
//   6to4, Teredo          that there is one: their relays differ by direction, their addresses are global
//   MPLS                  nothing: a label belongs to one direction (RFC 3031 3.1)
//   ERSPAN                nothing, and what is around it is forgotten: it says how the copy reached the observer, not where the
//                         packet was
//
// Where one direction is tagged and the other is not, or both are tagged differently (a mirrored trunk, a transparent firewall), or tunnels
// name each direction otherwise, they do not agree. Who keeps connections should look for an equal `value()` first, and where there is none,
// join the segment to a connection of the same addresses and ports that has not seen this direction yet, if the numbers of the two fit.
// That keeps together what is asymmetric and apart tenants, and what was captured before and behind a router.
#pragma once

#include <cstdint>

namespace tcpwhy::wire {

enum class TunnelKind : std::uint8_t {
  backbone = 1,  // 802.1ah
  pppoe,
  vxlan,
  geneve,
  gre,
  ip_in_ip,
  six_to_four,
  gtp,
  teredo,
};

struct Encapsulation {
  std::uint32_t vlans = 0;  // none: 0; one VID: itself; two: outer << 12 | inner; more, or tags around a tunnel: a hash
  std::uint32_t tunnels = 0;  // none: 0; else a hash of all of them in order

  [[nodiscard]] constexpr std::uint64_t value() const { return std::uint64_t{tunnels} << 32U | vlans; }
  bool operator==(const Encapsulation&) const = default;

  constexpr void add_vlan(std::uint16_t vid) {
    constexpr std::uint32_t one_vid = 0xfff;
    if (vid == 0) return;
    vlans = vlans <= one_vid ? vlans << 12U | vid : mixed(vlans, vid);
  }
  // `id` as the table above has it.
  constexpr void add_tunnel(TunnelKind kind, std::uint64_t id) {
    tunnels = mixed(tunnels, id << 8U ^ id >> 56U ^ static_cast<std::uint64_t>(kind));
    // So that a VLAN around a tunnel is not taken for the same VLAN inside it.
    if (vlans != 0) vlans = mixed(vlans, 0);
  }

 private:
  // The finaliser of splitmix64. The highest bit is set: never 0, and never what one or two VIDs make.
  static constexpr std::uint32_t mixed(std::uint32_t before, std::uint64_t value) {
    std::uint64_t x = value ^ (std::uint64_t{before} << 32U | (before ^ 0x9e3779b9U));
    x = (x ^ x >> 30U) * 0xbf58476d1ce4e5b9U;
    x = (x ^ x >> 27U) * 0x94d049bb133111ebU;
    return static_cast<std::uint32_t>(x >> 32U) | 0x80000000U;
  }
};

}  // namespace tcpwhy::wire
