// ICMP and ICMPv6 errors: what a router or host says about a TCP segment that it could not deliver.
#pragma once

#include <cstdint>
#include <string_view>

#include "wire/address.h"

namespace tcpwhy::wire {

struct IcmpError {
  IpAddress reporter;               // who sent it; its family tells ICMP from ICMPv6
  std::uint8_t type = 0, code = 0;  // RFC 792, RFC 1122 3.2.2; RFC 4443
  std::uint32_t mtu = 0;  // fragmentation needed (RFC 1191 4), packet too big (RFC 4443 3.2): of the next hop, in bytes
  std::uint8_t quoted_header = 0;  // bytes of the fixed TCP header that it quotes: 8 are promised, 20 are all
  bool operator==(const IcmpError&) const = default;
};

// "port unreachable", "fragmentation needed", "hop limit exceeded in transit"; for types without words "ICMP error".
std::string_view words_for(const IcmpError& error);

}  // namespace tcpwhy::wire
