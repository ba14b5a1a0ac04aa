#include "wire/address.h"

#include <arpa/inet.h>

#include <algorithm>

#include <array>
#include <charconv>

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

namespace {

void append_number(std::string& text, unsigned number) {
  std::array<char, 10> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  text.append(digits.data(), end);
}

void append(std::string& text, const IpAddress& address) {
  if (address.family == IpFamily::v4) {
    for (std::size_t i = 0; i < 4; ++i) {
      if (i != 0) text += '.';
      append_number(text, address.bytes[i]);
    }
  } else if (address.family == IpFamily::v6) {
    std::array<char, INET6_ADDRSTRLEN> words{};
    inet_ntop(AF_INET6, address.bytes.data(), words.data(), words.size());
    text += words.data();
  } else {
    text += "none";
  }
}

}  // namespace

std::string to_string(const IpAddress& address) {
  std::string text;
  append(text, address);
  return text;
}

std::string to_string(const SocketAddress& address) {
  const bool is_v6 = address.ip.family == IpFamily::v6;
  std::string text = is_v6 ? "[" : "";
  append(text, address.ip);
  text += is_v6 ? "]:" : ":";
  append_number(text, address.port);
  return text;
}

}  // namespace tcpwhy::wire
