// ICMP in the tcpdump view: errors that quote TCP as tcpdump words them, the rest shortly.
#include <algorithm>
#include <optional>

#include "render/tcpdump/line.h"
#include "wire/ether_type.h"

namespace tcpwhy::render::tcpdump {
namespace {

constexpr std::uint8_t echo_reply = 0, unreachable = 3, echo_request = 8, time_exceeded = 11;
// The packet that the error is about begins after 8 bytes (RFC 792).
constexpr std::size_t quoted_at = 8;

// What an error quotes, as far as its text needs it.
struct Quoted {
  wire::IpAddress destination;
  std::uint8_t protocol = 0;
  std::optional<std::uint16_t> destination_port;
};

std::optional<Quoted> read_quoted(Bytes b) {
  if (!b.has(0, 20)) return std::nullopt;
  Quoted quoted{wire::IpAddress::v4(b.fixed<4>(16)), b.u8(9), std::nullopt};
  const std::size_t port_at = (b.u8(0) & 0xfU) * 4U + 2;
  if (b.has(port_at, 2)) quoted.destination_port = b.be16(port_at);
  return quoted;
}

// RFC 792, RFC 1122 3.2.2.1, RFC 1812 5.2.7.1: "{}" is the destination of the quoted packet.
struct UnreachableText {
  std::uint8_t code;
  const char* text;
};
constexpr UnreachableText unreachable_texts[] = {
    {0, "net {} unreachable"},
    {1, "host {} unreachable"},
    {5, "{} unreachable - source route failed"},
    {6, "net {} unreachable - unknown"},
    {7, "host {} unreachable - unknown"},
    {8, "{} unreachable - source host isolated"},
    {9, "net {} unreachable - admin prohibited"},
    {10, "host {} unreachable - admin prohibited"},
    {11, "net {} unreachable - tos prohibited"},
    {12, "host {} unreachable - tos prohibited"},
    {13, "host {} unreachable - admin prohibited filter"},
    {14, "host {} unreachable - host precedence violation"},
    {15, "host {} unreachable - precedence cutoff"},
};

std::string_view transport_name(std::uint8_t protocol) {
  if (protocol == wire::ip_protocol::tcp) return "tcp";
  return protocol == wire::ip_protocol::udp ? "udp" : "";
}

void write_unreachable_port(Line& line, const Quoted& quoted) {
  const std::string_view name = transport_name(quoted.protocol);
  if (name.empty()) {
    line.add("{} protocol {} port {} unreachable", quoted.destination, quoted.protocol,
             quoted.destination_port.value_or(0));
  } else {
    line.add("{} {} port {} unreachable", quoted.destination, name, quoted.destination_port.value_or(0));
  }
}

void write_unreachable(Line& line, Bytes message) {
  constexpr std::uint8_t protocol_code = 2, port_code = 3, fragmentation_needed = 4;
  const auto quoted = read_quoted(message.from(quoted_at));
  if (!quoted) return line.add("unreachable, quoted packet cut");
  const std::uint8_t code = message.u8(1);
  if (code == protocol_code) return line.add("{} protocol {} unreachable", quoted->destination, quoted->protocol);
  if (code == port_code) return write_unreachable_port(line, *quoted);
  if (code == fragmentation_needed) {
    line.add("{} unreachable - need to frag", quoted->destination);
    if (message.be16(6) != 0) line.add(" (mtu {})", message.be16(6));
    return;
  }
  const auto* const row = std::ranges::find(unreachable_texts, code, &UnreachableText::code);
  if (row == std::end(unreachable_texts)) return line.add("{} unreachable - #{}", quoted->destination, code);
  line.add(fmt::runtime(row->text), quoted->destination);
}

void write_echo(Line& line, Bytes message, std::string_view name) {
  line.add("echo {}, id {}, seq {}", name, message.be16(4), message.be16(6));
}

}  // namespace

void write_icmp(Line& line, Payload message) {
  const Bytes b = message.bytes;
  line.add("ICMP ");
  if (!b.has(0, quoted_at)) return line.cut("icmp");
  switch (b.u8(0)) {
    case echo_reply: write_echo(line, b, "reply"); break;
    case echo_request: write_echo(line, b, "request"); break;
    case unreachable: write_unreachable(line, b); break;
    case time_exceeded:
      line.add("{}", b.u8(1) == 0 ? "time exceeded in-transit" : "ip reassembly time exceeded");
      break;
    default: line.add("type-#{}", b.u8(0));
  }
  line.add(", length {}", message.length);
}

}  // namespace tcpwhy::render::tcpdump
