// The TCP headers that Wireshark finds in a frame: also those inside tunnels and inside the packets that ICMP errors quote.
//
// Unlike wire::dissect, which wants a connection's segments, this follows Wireshark's default preferences: fragments are
// put together and dissected where the last one arrives, UDP payload is a tunnel by its port, a header that was cut by the
// capture is still a header.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "compat/tshark/fragments.h"
#include "scan/packets/frame_reader.h"
#include "wire/bytes.h"
#include "wire/link_layer.h"

namespace tcpwhy::compat::tshark {

struct TcpHeader {
  wire::IpAddress source, destination;
  wire::Bytes bytes;                // what was captured, from the header's first byte on
  std::size_t reported_length = 0;  // what there was of it on the wire, by the headers around it
  bool in_fragment = false;         // the first fragment of a packet that can't be put together
  bool in_error = false;            // quoted by an ICMP error
};

class LayerFinder {
 public:
  // In the order in which they stand in the frame. Valid until the next call.
  const std::vector<TcpHeader>& find(const scan::Frame& frame);

 private:
  // A stretch of a packet: what was captured of it, and how long it was.
  struct Stretch {
    wire::Bytes bytes;
    std::size_t length = 0;

    [[nodiscard]] Stretch from(std::size_t offset) const;
    [[nodiscard]] Stretch first(std::size_t count) const;
  };
  struct Addresses {
    wire::IpAddress source, destination;
  };

  void follow_link(wire::LinkType link_type, Stretch stretch);
  void follow_content(wire::Content content, Stretch stretch);
  void follow_ip(Stretch packet);
  void follow_ipv4(Stretch packet);
  void follow_ipv6(Stretch packet);
  void follow_ipv6_headers(std::uint8_t next_header, Stretch rest, const Addresses& addresses);
  void follow_protocol(std::uint8_t protocol, Stretch payload, const Addresses& addresses);
  void follow_authentication(Stretch header, const Addresses& addresses);
  void follow_icmp(Stretch message);
  void follow_icmp6(Stretch message);
  void follow_pim(Stretch message);
  void follow_gre(Stretch header);
  void follow_erspan(bool type3, bool numbered, Stretch header);
  void follow_ether_type(std::uint16_t type, Stretch payload);
  void follow_udp(Stretch datagram, const Addresses& addresses);
  void follow_ayiya(Stretch message, const Addresses& addresses);
  void follow_vxlan(Stretch message);
  void follow_vxlan_gpe(Stretch message);
  void follow_l2tp(Stretch message);
  void follow_geneve(Stretch message);
  void follow_gtp(Stretch message);
  void follow_teredo(Stretch message);
  // The whole packet, where this fragment is the last that was missing. A fragment that was not wholly captured is not
  // put together; if it is the first it is looked into by itself.
  std::optional<Stretch> reassemble(const FragmentKey& key, const Fragment& fragment, Stretch payload, bool captured);

  FragmentTable fragments_;
  std::vector<TcpHeader> found_;
  std::vector<std::vector<std::uint8_t>> whole_;  // reassembled packets that found_ points into
  int depth_ = 0;
  bool in_fragment_ = false, in_error_ = false;
};

}  // namespace tcpwhy::compat::tshark
