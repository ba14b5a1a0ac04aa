// IP addresses and transport endpoints as values.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace tcpwhy::wire {

enum class IpFamily : std::uint8_t { none, v4, v6 };

// An IPv4 or IPv6 address; the default one is none. IPv4 uses the first 4 bytes, the rest are 0.
struct IpAddress {
  IpFamily family = IpFamily::none;
  std::array<std::uint8_t, 16> bytes{};

  static constexpr IpAddress v4(std::span<const std::uint8_t, 4> octets) {
    IpAddress address{IpFamily::v4, {}};
    std::copy(octets.begin(), octets.end(), address.bytes.begin());
    return address;
  }
  static constexpr IpAddress v6(std::span<const std::uint8_t, 16> octets) {
    IpAddress address{IpFamily::v6, {}};
    std::copy(octets.begin(), octets.end(), address.bytes.begin());
    return address;
  }
  // The same into an address that is none (all bytes 0), written once where it stands: a dissected packet's addresses are most of its cost.
  constexpr void become_v4(std::span<const std::uint8_t, 4> octets) {
    family = IpFamily::v4;
    std::copy(octets.begin(), octets.end(), bytes.begin());
  }
  constexpr void become_v6(std::span<const std::uint8_t, 16> octets) {
    family = IpFamily::v6;
    std::copy(octets.begin(), octets.end(), bytes.begin());
  }
  // "127.0.0.1", "::1"; nothing for anything else (no names are looked up).
  static std::optional<IpAddress> parse(std::string_view text);

  // ::ffff:a.b.c.d as the IPv4 address a.b.c.d; any other address unchanged.
  [[nodiscard]] IpAddress unmapped() const;
  [[nodiscard]] bool is_unspecified() const;
  auto operator<=>(const IpAddress&) const = default;
};

struct SocketAddress {
  IpAddress ip;
  std::uint16_t port = 0;

  [[nodiscard]] SocketAddress unmapped() const { return {ip.unmapped(), port}; }
  auto operator<=>(const SocketAddress&) const = default;
};

// The same end of a connection: a socket of AF_INET6 that talks IPv4 says ::ffff:127.0.0.1 where the wire says 127.0.0.1.
inline bool same_endpoint(const SocketAddress& a, const SocketAddress& b) { return a.unmapped() == b.unmapped(); }

std::string to_string(const IpAddress& address);      // inet_ntop(3) spelling
std::string to_string(const SocketAddress& address);  // 127.0.0.1:9999, [::1]:9999

}  // namespace tcpwhy::wire

template <>
struct fmt::formatter<tcpwhy::wire::IpAddress> : formatter<std::string> {
  auto format(const tcpwhy::wire::IpAddress& address, format_context& context) const {
    return formatter<std::string>::format(to_string(address), context);
  }
};
template <>
struct fmt::formatter<tcpwhy::wire::SocketAddress> : formatter<std::string> {
  auto format(const tcpwhy::wire::SocketAddress& address, format_context& context) const {
    return formatter<std::string>::format(to_string(address), context);
  }
};
