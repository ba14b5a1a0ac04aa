// One line of the tcpdump view while it is being written, and what its writers share.
//
// The writers below are one per layer. Each gets the bytes that are left of the capture and the length that the layer
// above states, which may be more or less; and each stops where tcpdump stops.
#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <iterator>
#include <string>
#include <string_view>

#include "render/tcpdump/conversations.h"
#include "render/tcpdump/tcpdump.h"
#include "wire/bytes.h"

namespace tcpwhy::render::tcpdump {

using wire::Bytes;

struct Line {
  const TcpdumpOptions& options;
  Conversations& conversations;
  std::string text;
  bool is_tcp = false;
  int depth = 0;  // of packets inside packets

  template <class... Arguments>
  void add(fmt::format_string<Arguments...> pattern, Arguments&&... arguments) {
    fmt::format_to(std::back_inserter(text), pattern, std::forward<Arguments>(arguments)...);
  }
  // The capture, or the packet, ends inside a header.
  void cut(std::string_view protocol) { add(" [|{}]", protocol); }
  void invalid() { text += " (invalid)"; }
};

// A packet in a packet in a packet: deeper than this is not looked into (tcpdump goes on until its stack ends).
inline constexpr int deepest_nesting = 100;

// Bytes of a payload, and its length by the header before it.
struct Payload {
  Bytes bytes;
  std::size_t length = 0;

  // What follows `count` bytes of it.
  [[nodiscard]] Payload from(std::size_t count) const {
    return {bytes.from(count), length > count ? length - count : 0};
  }
};

// The IP header that a transport stands in.
struct IpContext {
  wire::IpAddress source, destination;
  std::uint8_t first_protocol =
      0;  // protocol or next header as the IP header itself says; extension headers may follow
};

// Link layers (link/).
void write_frame(Line& line, wire::LinkType link_type, Payload frame);
void write_ethernet(Line& line, Payload frame);
void write_mpls(Line& line, Payload labels);
void write_ppp(Line& line, Payload ppp);

// Internet layer (ip.cc, ipv6.cc).
void write_ipv4(Line& line, Payload packet);
void write_ipv6(Line& line, Payload packet);

// What IP carries (transport.cc, tcp.cc, gre.cc, udp.cc, icmp.cc).
void write_transport(Line& line, const IpContext& ip, std::uint8_t protocol, Payload payload);
void write_tcp(Line& line, const IpContext& ip, Payload segment);
void write_gre(Line& line, Payload payload);
void write_udp(Line& line, const IpContext& ip, Payload datagram);
void write_icmp(Line& line, Payload message);

// "src > dst" of an IP packet, without ports.
void write_addresses(Line& line, const IpContext& ip);

}  // namespace tcpwhy::render::tcpdump
