#include "calls/spelling/address_text.h"

#include <algorithm>
#include <charconv>
#include <cstdint>

namespace tcpwhy::calls {
namespace {

std::string_view between(std::string_view text, std::string_view before, std::string_view after) {
  const auto found = text.find(before);
  if (found == std::string_view::npos) return {};
  text.remove_prefix(found + before.size());
  const auto end = text.find(after);
  return end == std::string_view::npos ? std::string_view() : text.substr(0, end);
}

std::optional<std::uint16_t> port_of(std::string_view digits) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  return error == std::errc{} && end == digits.data() + digits.size() ? std::optional(port) : std::nullopt;
}

// The length argument after a socket address: ", 16" or ", [16]" or ", [128 => 16]".
std::size_t length_argument(std::string_view rest) {
  if (!rest.starts_with(", ")) return 0;
  const auto end = rest.find_first_not_of("0123456789[]=> ", 2);
  return end == std::string_view::npos || rest[end] == ')' || rest[end] == ',' ? std::min(end, rest.size()) : 0;
}

}  // namespace

std::optional<wire::SocketAddress> read_address(std::string_view spelt) {
  const auto port = port_of(between(spelt, "port=htons(", ")"));
  std::string_view address = between(spelt, "inet_addr(\"", "\"");
  if (address.empty()) address = between(spelt, "inet_pton(AF_INET6, \"", "\"");
  const auto ip = wire::IpAddress::parse(address);
  if (!port || !ip) return std::nullopt;
  return wire::SocketAddress{*ip, *port};
}

std::string with_short_addresses(std::string_view line) {
  constexpr std::string_view begin = "{sa_family=";
  std::string text;
  for (auto open = line.find(begin); open != std::string_view::npos; open = line.find(begin)) {
    const auto close = line.find('}', open);
    if (close == std::string_view::npos) break;
    const auto address = read_address(line.substr(open, close - open));
    if (!address) break;
    text += line.substr(0, open);
    text += wire::to_string(*address);
    line.remove_prefix(close + 1);
    line.remove_prefix(length_argument(line));
  }
  text += line;
  return text;
}

}  // namespace tcpwhy::calls
