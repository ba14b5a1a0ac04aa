#include "compat/tshark/ftp.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>

namespace tcpwhy::compat::tshark {
namespace {

constexpr std::uint16_t control_port = 21, data_port = 20;

std::string_view first_line(wire::Bytes payload) {
  const auto bytes = payload.span();
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return text.substr(0, text.find_first_of("\r\n"));
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string_view skip_blanks(std::string_view text) {
  return text.substr(std::min(text.find_first_not_of(" \t"), text.size()));
}

std::optional<unsigned> take_number(std::string_view& text) {
  text = skip_blanks(text);
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

// Six numbers with commas between them.
std::optional<std::array<unsigned, 6>> six_numbers(std::string_view text) {
  std::array<unsigned, 6> numbers{};
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    if (i > 0) {
      if (!text.starts_with(',')) return std::nullopt;
      text.remove_prefix(1);
    }
    const auto number = take_number(text);
    if (!number) return std::nullopt;
    numbers[i] = *number;
  }
  return numbers;
}

// h1,h2,h3,h4,p1,p2 wherever in the text they stand.
std::optional<wire::SocketAddress> find_host_and_port(std::string_view text) {
  while (!text.empty()) {
    text.remove_prefix(std::min(text.find_first_of("0123456789"), text.size()));
    if (const auto numbers = six_numbers(text)) {
      std::array<std::uint8_t, 6> bytes{};
      std::ranges::transform(*numbers, bytes.begin(), [](unsigned n) { return static_cast<std::uint8_t>(n); });
      return wire::SocketAddress{wire::IpAddress::v4(std::span(bytes).first<4>()),
                                 static_cast<std::uint16_t>(bytes[4] << 8U | bytes[5])};
    }
    while (!text.empty() && is_digit(text.front())) text.remove_prefix(1);
  }
  return std::nullopt;
}

// "(|||6446|)", with whatever character as the bar.
std::optional<std::uint16_t> find_extended_port(std::string_view text) {
  text.remove_prefix(std::min(text.find('('), text.size()));
  if (text.size() < 5 || text[2] != text[1] || text[3] != text[1]) return std::nullopt;
  text.remove_prefix(4);
  const auto number = take_number(text);
  if (!number || *number == 0 || *number > 65'535) return std::nullopt;
  return static_cast<std::uint16_t>(*number);
}

}  // namespace

std::optional<Announcement> read_announcement(const wire::SocketAddress& source, const wire::SocketAddress& destination,
                                              wire::Bytes payload) {
  const std::string_view line = first_line(payload);
  if (destination.port == control_port) {
    if (!line.starts_with("PORT ")) return std::nullopt;
    const auto at = find_host_and_port(line.substr(5));
    if (!at) return std::nullopt;
    return Announcement{.at = *at, .from = destination.ip, .from_port = data_port};
  }
  if (source.port != control_port || line.size() < 4 || is_digit(line[3])) return std::nullopt;
  if (line.starts_with("227")) {
    const auto at = find_host_and_port(line.substr(3));
    if (!at) return std::nullopt;
    return Announcement{.at = *at, .from = destination.ip, .from_port = {}};
  }
  if (line.starts_with("229")) {
    const auto port = find_extended_port(line.substr(3));
    if (!port) return std::nullopt;
    return Announcement{.at = {source.ip, *port}, .from = destination.ip, .from_port = {}};
  }
  return std::nullopt;
}

void AnnouncedConnections::add(const Announcement& announcement) {
  // One with a port of its own is the connection itself, which is the same if it is announced again.
  if (announcement.from_port && std::ranges::find(waiting_, announcement) != waiting_.end()) return;
  if (waiting_.size() >= most) waiting_.pop_front();
  waiting_.push_back(announcement);
}

bool AnnouncedConnections::take(const wire::SocketAddress& source, const wire::SocketAddress& destination) {
  const auto is_between = [](const Announcement& announced, const wire::SocketAddress& at,
                             const wire::SocketAddress& from) {
    return announced.at == at && announced.from == from.ip && announced.from_port.value_or(from.port) == from.port;
  };
  const auto found = std::ranges::find_if(waiting_, [&](const Announcement& announced) {
    return is_between(announced, source, destination) || is_between(announced, destination, source);
  });
  if (found == waiting_.end()) return false;
  waiting_.erase(found);
  return true;
}

}  // namespace tcpwhy::compat::tshark
