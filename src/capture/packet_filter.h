// pcap-filter(7) over packets of any link type: "port 443 and net 10/8".
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/result.h"
#include "wire/packet.h"

namespace tcpwhy::capture {

class PacketFilter {
 public:
  // For every link type that wire::dissect() knows, now: names of hosts and services are looked up, which takes files and sockets.
  // Errors: usage, an expression that libpcap does not take, with its words.
  static base::Result<PacketFilter> compile(const std::string& expression);
  PacketFilter(PacketFilter&&) noexcept;
  PacketFilter& operator=(PacketFilter&&) noexcept;
  ~PacketFilter();

  // `captured` and `original_length` as wire::dissect() has them. Of a link type that
  // wire::dissect() does not know, or that the expression can't be compiled for ("ether host" without Ethernet), it is a usage error. As with tcpdump: a VLAN tag, a tunnel and the later
  // pieces of a fragmented packet are seen only by an expression that says so ("vlan and port 443").
  [[nodiscard]] base::Result<bool> fits(wire::LinkType link_type, std::span<const std::uint8_t> captured,
                                        std::uint32_t original_length);

 private:
  struct Impl;
  explicit PacketFilter(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace tcpwhy::capture
