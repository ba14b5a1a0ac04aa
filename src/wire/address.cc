#include "wire/address.h"

#include <arpa/inet.h>

#include <algorithm>

namespace tcpwhy::wire {
namespace {

// RFC 4291 2.5.5.2: 80 bits of zero, 16 bits of one, then the IPv4 address.
constexpr std::array<std::uint8_t, 12> mapped_prefix = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

int address_family(IpFamily family) { return family == IpFamily::v4 ? AF_INET : AF_INET6; }

std::optional<IpAddress> parse_as(IpFamily family, const char* text) {
  IpAddress address;
  address.family = family;
  if (inet_pton(address_family(family), text, address.bytes.data()) != 1) return std::nullopt;
  return address;
}

}  // namespace

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  // The longest spelling, ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255, has 45 characters.
  std::array<char, INET6_ADDRSTRLEN> terminated{};
  if (text.size() >= terminated.size() || text.find('\0') != std::string_view::npos) return std::nullopt;
  std::ranges::copy(text, terminated.begin());
  if (auto address = parse_as(IpFamily::v4, terminated.data())) return address;
  return parse_as(IpFamily::v6, terminated.data());
}

IpAddress IpAddress::unmapped() const {
  if (family != IpFamily::v6 || !std::ranges::equal(mapped_prefix, std::span(bytes).first<12>())) return *this;
  return v4(std::span(bytes).last<4>());
}

bool IpAddress::is_unspecified() const {
  return std::ranges::all_of(bytes, [](std::uint8_t byte) { return byte == 0; });
}

std::string to_string(const IpAddress& address) {
  if (address.family == IpFamily::none) return "none";
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop(address_family(address.family), address.bytes.data(), text.data(), text.size());
  return text.data();
}

std::string to_string(const SocketAddress& address) {
  const auto pattern = address.ip.family == IpFamily::v6 ? "[{}]:{}" : "{}:{}";
  return fmt::format(fmt::runtime(pattern), to_string(address.ip), address.port);
}

}  // namespace tcpwhy::wire
