#include "capfile/recording/field_text.h"

#include "capfile/formats/tick_clock.h"

namespace tcpwhy::capfile {
namespace {
constexpr std::string_view no_family = "none";
}

std::string to_text(const wire::SocketAddress& address) {
  switch (address.ip.family) {
    case wire::IpFamily::v4: return wire::to_string(address.ip) + ":" + to_text(address.port);
    case wire::IpFamily::v6: return "[" + wire::to_string(address.ip) + "]:" + to_text(address.port);
    case wire::IpFamily::none: break;
  }
  return std::string(no_family) + ":" + to_text(address.port);
}

bool from_text(std::string_view text, bool& value) {
  if (text != "true" && text != "false") return false;
  value = text == "true";
  return true;
}

bool from_text(std::string_view text, std::string& value) {
  value = text;
  return true;
}

bool from_text(std::string_view text, base::WallTime& value) {
  std::int64_t ns = 0;
  if (!from_text(text, ns)) return false;
  value = bounded_time(ns);
  return true;
}

bool from_text(std::string_view text, recording::EventId& value) { return from_text(text, value.value); }

bool from_text(std::string_view text, wire::TcpFlags& value) {
  value = wire::TcpFlags::parse(text).value_or(wire::TcpFlags{});
  return true;
}

bool from_text(std::string_view text, wire::SocketAddress& value) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return false;
  wire::SocketAddress address;
  if (!from_text(text.substr(colon + 1), address.port)) return false;
  std::string_view ip = text.substr(0, colon);
  if (ip != no_family) {
    const bool bracketed = ip.size() > 2 && ip.front() == '[' && ip.back() == ']';
    if (bracketed) ip = ip.substr(1, ip.size() - 2);
    const auto parsed = wire::IpAddress::parse(ip);
    if (!parsed || (parsed->family == wire::IpFamily::v6) != bracketed) return false;
    address.ip = *parsed;
  }
  value = address;
  return true;
}

}  // namespace tcpwhy::capfile
