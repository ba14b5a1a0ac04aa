#include "scan/connections/network.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace tcpwhy::scan {
namespace {

unsigned length_of(wire::IpFamily family) { return family == wire::IpFamily::v4 ? bits_of_v4 : bits_of_v6; }

std::optional<unsigned> parse_number(std::string_view text, unsigned most) {
  unsigned number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number > most) return std::nullopt;
  return number;
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
  const auto port = parse_number(text, UINT16_MAX);
  return port ? std::optional(static_cast<std::uint16_t>(*port)) : std::nullopt;
}

// All bits behind the first `bits` cleared.
wire::IpAddress masked(wire::IpAddress address, unsigned bits) {
  for (unsigned i = 0; i < address.bytes.size(); ++i) {
    const unsigned kept = std::clamp(bits, 8 * i, 8 * i + 8) - 8 * i;
    address.bytes[i] = static_cast<std::uint8_t>(address.bytes[i] & (0xff00U >> kept));
  }
  return address;
}

}  // namespace

std::optional<Network> Network::parse(std::string_view text) {
  if (text.starts_with('[') && text.ends_with(']')) text = text.substr(1, text.size() - 2);
  const auto slash = text.find('/');
  const auto address = wire::IpAddress::parse(text.substr(0, slash));
  if (!address) return std::nullopt;
  unsigned bits = length_of(address->family);
  if (slash != std::string_view::npos) {
    const auto given = parse_number(text.substr(slash + 1), bits);
    if (!given) return std::nullopt;
    bits = *given;
  }
  // ::ffff:10.0.0.0/104 is 10.0.0.0/8.
  const wire::IpAddress unmapped = address->unmapped();
  constexpr unsigned mapped_prefix = bits_of_v6 - bits_of_v4;
  if (unmapped.family != address->family && bits >= mapped_prefix)
    return Network{masked(unmapped, bits - mapped_prefix), bits - mapped_prefix};
  return Network{masked(*address, bits), bits};
}

Network Network::around(const wire::IpAddress& address, unsigned v4_bits, unsigned v6_bits) {
  const wire::IpAddress unmapped = address.unmapped();
  const unsigned bits = unmapped.family == wire::IpFamily::v4 ? v4_bits : v6_bits;
  return {masked(unmapped, bits), bits};
}

bool Network::contains(const wire::IpAddress& address) const {
  const auto holds = [this](const wire::IpAddress& one) {
    return one.family == first.family && masked(one, bits) == first;
  };
  return holds(address) || holds(address.unmapped());
}

std::string to_string(const Network& network) {
  const std::string address = wire::to_string(network.first);
  return network.bits == length_of(network.first.family) ? address : fmt::format("{}/{}", address, network.bits);
}

std::optional<EndPattern> EndPattern::parse(std::string_view text) {
  if (const auto port = parse_port(text)) return EndPattern{std::nullopt, port};
  if (const auto network = Network::parse(text)) return EndPattern{network, std::nullopt};
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto port = parse_port(text.substr(colon + 1));
  if (!port) return std::nullopt;
  if (colon == 0) return EndPattern{std::nullopt, port};
  const auto network = Network::parse(text.substr(0, colon));
  return network ? std::optional(EndPattern{network, port}) : std::nullopt;
}

bool EndPattern::matches(const wire::SocketAddress& end) const {
  return (!network || network->contains(end.ip)) && (!port || *port == end.port);
}

}  // namespace tcpwhy::scan
