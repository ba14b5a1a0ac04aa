// Local networks other than Ethernet: FDDI, Token Ring, ARCnet, IP over InfiniBand.
#include "wire/ether_type.h"
#include "wire/link/layer.h"

namespace tcpwhy::wire {

// ISO 9314-2: frame control, of which 5x is asynchronous LLC, then two addresses.
Layer after_fddi(Bytes b) {
  constexpr std::size_t header_length = 13;
  constexpr std::uint8_t class_bits = 0xf0, asynchronous_llc = 0x50;
  if (!b.has(0, header_length) || (b.u8(0) & class_bits) != asynchronous_llc) return nothing_known;
  return {Content::llc, header_length};
}

// IEEE 802.5 3.2: access control, frame control (01 in its upper bits: LLC), two addresses. The highest bit of the source says that routing
// information follows, of whose length the first five bits behind three tell.
Layer after_token_ring(Bytes b) {
  constexpr std::size_t header_length = 14, source = 8;
  constexpr std::uint8_t type_bits = 0xc0, llc = 0x40, routed = 0x80, length_bits = 0x1f;
  if (!b.has(0, header_length) || (b.u8(1) & type_bits) != llc) return nothing_known;
  if (!(b.u8(source) & routed)) return {Content::llc, header_length};
  if (!b.has(header_length, 2)) return nothing_known;
  const std::size_t length = header_length + (b.u8(header_length) & length_bits);
  return {b.has(0, length) ? Content::llc : Content::none, length};
}

namespace {

// RFC 1051, RFC 1201 and ANSI 878.1: protocol IDs.
constexpr std::uint8_t old_ip = 0xf0, old_arp = 0xf1, diagnose = 0x80, ip = 0xd4, ipv6 = 0xc4;

// RFC 1201 2.2.2: those of RFC 1051 come without a fragment header.
constexpr bool has_fragment_header(std::uint8_t protocol) {
  return protocol != old_ip && protocol != old_arp && protocol != diagnose;
}

constexpr Content content_of_arcnet(std::uint8_t protocol) {
  if (protocol == old_ip || protocol == ip) return Content::ipv4;
  return protocol == ipv6 ? Content::ipv6 : Content::none;
}

}  // namespace

// LINKTYPE_ARCNET_BSD: source, destination, protocol ID, then RFC 1201's split flag and sequence number, before which an exception frame has
// FF and two bytes and the protocol ID again. An even flag but 0: not the first fragment.
Layer after_arcnet(Bytes b) {
  constexpr std::size_t plain = 3, with_fragment_header = 6, exception = 10;
  constexpr std::uint8_t exception_flag = 0xff;
  if (!b.has(0, plain)) return nothing_known;
  const Content content = content_of_arcnet(b.u8(2));
  if (!has_fragment_header(b.u8(2))) return {content, plain};
  if (!b.has(0, with_fragment_header)) return nothing_known;
  const bool excepted = b.u8(3) == exception_flag;
  const std::size_t length = excepted ? exception : with_fragment_header;
  if (!b.has(0, length)) return nothing_known;
  const unsigned flag = b.u8(excepted ? 7 : 3);
  return {flag != 0 && flag % 2 == 0 ? Content::none : content, length};
}

// LINKTYPE_ARCNET_LINUX: two bytes of offset stand before the protocol ID, and packets are whole.
Layer after_arcnet_of_linux(Bytes b) {
  constexpr std::size_t plain = 5, with_fragment_header = 8, protocol = 4;
  if (!b.has(0, plain)) return nothing_known;
  const std::size_t length = has_fragment_header(b.u8(protocol)) ? with_fragment_header : plain;
  return {b.has(0, length) ? content_of_arcnet(b.u8(protocol)) : Content::none, length};
}

// LINKTYPE_IPOIB: a global routing header of 40 bytes, then RFC 4391 6: an EtherType, two bytes that are reserved.
Layer after_ip_over_infiniband(Bytes b) {
  constexpr std::size_t routing_header = 40, header_length = routing_header + 4;
  return b.has(0, header_length) ? by_ether_type(b.be16(routing_header), header_length) : nothing_known;
}

}  // namespace tcpwhy::wire
