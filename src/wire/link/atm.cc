// ATM, put together from its cells (AAL5).
#include "wire/ether_type.h"
#include "wire/link/layer.h"

namespace tcpwhy::wire {
namespace {

constexpr std::uint8_t unnumbered_information = 0x03;

}  // namespace

// LINKTYPE_ATM_RFC1483: LLC (RFC 2684 5), or Cisco's: control 03 and an NLPID at once. Another start is taken for 20 bytes that a driver put
// there (IEEE 802.6), as tcpdump takes it.
Layer after_atm(Bytes b) {
  constexpr std::uint32_t snap = 0xaaaa03, osi = 0xfefe03, ip = 0x060603;
  constexpr std::size_t foreign_header = 20;
  if (!b.has(0, 3)) return nothing_known;
  if (b.u8(0) == unnumbered_information) return after_nlpid(b, 1);
  const std::uint32_t start = b.be24(0);
  if (start == snap || start == osi || start == ip) return after_llc(b);
  return {b.has(0, foreign_header) ? Content::llc : Content::none, foreign_header};
}

// LINKTYPE_SUNATM: direction and kind of traffic, VPI, VCI. On VPI 0 the lowest VCIs, and 16, are the network's own.
Layer after_sun_atm(Bytes b) {
  constexpr std::size_t header_length = 4;
  constexpr std::uint8_t kind_bits = 0x0f, lan_emulation = 1, last_of_own = 5, management = 16;
  constexpr std::uint16_t lan_emulation_control = 0xff00;
  if (!b.has(0, header_length)) return nothing_known;
  const std::uint16_t vci = b.be16(2);
  if (b.u8(1) == 0 && ((vci >= 1 && vci <= last_of_own) || vci == management)) return nothing_known;
  if ((b.u8(0) & kind_bits) != lan_emulation) return {Content::llc, header_length};
  const bool control = !b.has(header_length, 2) || b.be16(header_length) == lan_emulation_control;
  return {control ? Content::none : Content::lan_emulation, header_length};
}

// LINKTYPE_ATM_CLIP: RFC 2225's LLC and SNAP, or IP at once.
Layer after_classical_ip(Bytes b) {
  constexpr std::uint32_t snap = 0xaaaa03, ethernet = 0;
  if (b.has(0, 6) && b.be24(0) == snap && b.be24(3) == ethernet) return after_llc(b);
  return {Content::ip, 0};
}

}  // namespace tcpwhy::wire
