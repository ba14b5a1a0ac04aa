// Addresses by what their first bits are: 10.0.0.0/24, 2001:db8::/32; and ends of connections by address, network or port.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "wire/address.h"

namespace tcpwhy::scan {

inline constexpr unsigned bits_of_v4 = 32, bits_of_v6 = 128;

// IPv4 addresses that are mapped into IPv6 (::ffff:a.b.c.d) count as IPv4.
struct Network {
  wire::IpAddress first;  // its other bits are 0
  unsigned bits = 0;      // of the address that all have in common

  // An address, which is a network of one, or one with "/BITS", with or without [brackets].
  static std::optional<Network> parse(std::string_view text);
  // That of an address, by the length for its family.
  static Network around(const wire::IpAddress& address, unsigned v4_bits, unsigned v6_bits);

  [[nodiscard]] bool contains(const wire::IpAddress& address) const;
  bool operator==(const Network&) const = default;
};
std::string to_string(const Network& network);  // "10.0.0.0/24"; of one address that alone

struct EndPattern {
  std::optional<Network> network;
  std::optional<std::uint16_t> port;

  // "10.0.0.1", "10.0.0.0/24", "10.0.0.1:80", "[::1]:80", "::1", "2001:db8::/32", ":80", "80".
  static std::optional<EndPattern> parse(std::string_view text);
  [[nodiscard]] bool matches(const wire::SocketAddress& end) const;
};

}  // namespace tcpwhy::scan
