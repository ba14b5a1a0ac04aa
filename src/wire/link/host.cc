// Headers that a host put before the packet when it captured it: none was on the wire.
#include "wire/ether_type.h"
#include "wire/link/layer.h"

namespace tcpwhy::wire {
namespace {

// LINKTYPE_LINUX_SLL: the protocol is no EtherType where the device's ARPHRD_ type says that it is something else.
constexpr bool has_ether_type(std::uint16_t arphrd) {
  constexpr std::uint16_t netlink = 824, gre = 778, radiotap = 803, frame_relay = 770;
  return arphrd != netlink && arphrd != gre && arphrd != radiotap && arphrd != frame_relay;
}

// Linux's own numbers (linux/if_ether.h) stand where an EtherType would be a length: of them 4 is IEEE 802.2.
Content content_of_cooked(std::uint16_t protocol) {
  constexpr std::uint16_t ieee_802_2 = 4;
  const Content content = content_of_ether_type(protocol);
  return content == Content::llc && protocol != ieee_802_2 ? Content::none : content;
}

}  // namespace

Layer after_cooked(Bytes b) {
  constexpr std::size_t header_length = 16;
  if (!b.has(0, header_length) || !has_ether_type(b.be16(2))) return nothing_known;
  return {content_of_cooked(b.be16(14)), header_length};
}

Layer after_cooked2(Bytes b) {
  constexpr std::size_t header_length = 20;
  if (!b.has(0, header_length) || !has_ether_type(b.be16(8))) return nothing_known;
  return {content_of_cooked(b.be16(0)), header_length};
}

namespace {

// AF_INET is 2 everywhere; AF_INET6 is 10 (Linux), 24 (NetBSD, OpenBSD), 28 (FreeBSD) or 30 (Darwin).
Content content_of_family(std::uint32_t family) {
  if (family == 2) return Content::ipv4;
  return family == 10 || family == 24 || family == 28 || family == 30 ? Content::ipv6 : Content::none;
}

// In the byte order of the machine that captured, which is not known: families are small numbers.
Content content_of_family(Bytes b, std::size_t offset) {
  const Content content = content_of_family(b.be32(offset));
  return content != Content::none ? content : content_of_family(b.le32(offset));
}

}  // namespace

// LINKTYPE_NULL: an address family in the byte order of the machine that captured; LINKTYPE_LOOP: the same in network
// byte order.
Layer after_null(Bytes b) {
  constexpr std::size_t header_length = 4;
  if (!b.has(0, header_length)) return nothing_known;
  return {content_of_family(b, 0), header_length};
}

// LINKTYPE_NFLOG: family, version 0, resource, then attributes: length with these 4 bytes, type, value, padding to 4. Their numbers are in
// the byte order of the machine that captured; types are below 256. Type 9 is the IP packet.
Layer after_netfilter_log(Bytes b) {
  constexpr std::size_t attribute_header = 4;
  constexpr std::uint16_t payload_type = 9;
  if (!b.has(0, 4) || b.u8(1) != 0) return nothing_known;
  for (std::size_t at = 4; b.has(at, attribute_header);) {
    const bool little_endian = b.u8(at + 3) == 0 || b.u8(at + 2) != 0;
    const std::size_t length = little_endian ? b.le16(at) : b.be16(at);
    const std::uint16_t type = little_endian ? b.le16(at + 2) : b.be16(at + 2);
    if (length < attribute_header) return nothing_known;
    if (type == payload_type) return {Content::ip, at + attribute_header, length - attribute_header};
    at += (length + 3) / 4 * 4;
  }
  return nothing_known;
}

// LINKTYPE_PFLOG: its length, which is padded to words, the family, and what pf did.
Layer after_packet_filter_log(Bytes b) {
  constexpr std::size_t shortest = 45;
  if (!b.has(0, 2) || b.u8(0) < shortest) return nothing_known;
  const std::size_t length = (b.u8(0) + 3U) / 4U * 4U;
  return {b.has(0, length) ? content_of_family(b.u8(1)) : Content::none, length};
}

// LINKTYPE_ENC: family, SPI, flags of IPsec.
Layer after_enc(Bytes b) {
  constexpr std::size_t header_length = 12;
  if (!b.has(0, header_length)) return nothing_known;
  return {content_of_family(b, 0), header_length};
}

// LINKTYPE_IPNET: version, family as Solaris has it, then lengths, interfaces and zones.
Layer after_ipnet(Bytes b) {
  constexpr std::size_t header_length = 24;
  constexpr std::uint8_t ipv4 = 2, ipv6 = 26;
  if (!b.has(0, header_length)) return nothing_known;
  if (b.u8(1) == ipv4) return {Content::ipv4, header_length};
  return {b.u8(1) == ipv6 ? Content::ipv6 : Content::none, header_length};
}

// LINKTYPE_SYMANTEC_FIREWALL: an EtherType among 44 bytes.
Layer after_symantec(Bytes b) {
  constexpr std::size_t header_length = 44, type = 6;
  return b.has(0, header_length) ? by_ether_type(b.be16(type), header_length) : nothing_known;
}

namespace {

Content content_of_number(std::uint32_t link_type) {
  constexpr std::uint32_t largest = 0xffff;
  return link_type <= largest ? content_of_link(static_cast<LinkType>(link_type)) : Content::none;
}

}  // namespace

// LINKTYPE_PPI: version, flags, length of all headers (little-endian), link type of the packet.
Layer after_ppi(Bytes b) {
  constexpr std::size_t shortest = 8;
  if (!b.has(0, shortest) || b.le16(2) < shortest || !b.has(0, b.le16(2))) return nothing_known;
  return {content_of_number(b.le32(4)), b.le16(2)};
}

// LINKTYPE_PKTAP: length (little-endian, as all there), kind of record (1: a packet follows), link type of the packet; then interface and process.
Layer after_pktap(Bytes b) {
  constexpr std::size_t shortest = 108;
  constexpr std::uint32_t packet_follows = 1;
  if (!b.has(0, shortest) || b.le32(0) < shortest || b.le32(4) != packet_follows) return nothing_known;
  return {content_of_number(b.le32(8)), b.le32(0)};
}

}  // namespace tcpwhy::wire
