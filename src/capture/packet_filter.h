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
  // Errors: usage, an expression that libpcap does not take, with its words.
  static base::Result<PacketFilter> compile(const std::string& expression);
  PacketFilter(PacketFilter&&) noexcept;
  PacketFilter& operator=(PacketFilter&&) noexcept;
  ~PacketFilter();

  // `captured` and `original_length` as wire::dissect() has them. The expression is compiled once for each link type that occurs; one
  // that it can't be compiled for ("ether host" without Ethernet) is a usage error. As with tcpdump: a VLAN tag, a tunnel and the later
  // pieces of a fragmented packet are seen only by an expression that says so ("vlan and port 443").
  [[nodiscard]] base::Result<bool> fits(wire::LinkType link_type, std::span<const std::uint8_t> captured,
                                        std::uint32_t original_length);

 private:
  struct Impl;
  explicit PacketFilter(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace tcpwhy::capture
