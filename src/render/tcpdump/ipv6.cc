// IPv6 and its extension headers in the tcpdump view.
#include <cstdint>
#include <optional>

#include "render/tcpdump/line.h"
#include "wire/ether_type.h"

namespace tcpwhy::render::tcpdump {
namespace {

namespace ip_protocol = wire::ip_protocol;
constexpr std::size_t fixed_header_length = 40;

constexpr bool prints_its_own_addresses(std::uint8_t protocol) {
  constexpr std::uint8_t dccp = 33, sctp = 132;
  return protocol == ip_protocol::tcp || protocol == ip_protocol::udp || protocol == sctp || protocol == dccp;
}

// The walk along the chain of headers. `at` begins with the current one.
struct Chain {
  Payload at;
  std::size_t payload_length = 0;  // as the fixed header says; 0 for a jumbogram
  std::size_t passed = 0;          // bytes of extension headers before `at`
  bool hop_by_hop_seen = false;
  std::optional<std::uint32_t> jumbo_length = std::nullopt;
};

// --- Options of the hop-by-hop header (RFC 8200 4.2) --------------------------------------------

struct OptionRule {
  std::uint8_t type;
  std::uint8_t length;  // the only one allowed
  std::string_view name;
};
constexpr std::uint8_t jumbo_payload = 0xc2;
constexpr OptionRule option_rules[] = {{0x05, 2, "rtalert"}, {jumbo_payload, 4, "jumbo"}, {0xc9, 16, "homeaddr"}};

// RFC 2675 3: smaller ones than this do not need the option, and may not have it.
constexpr std::uint32_t smallest_jumbo = 65536;

// One option at the start of `list`; its size there, or nothing where the list ends inside it or it is malformed.
std::optional<std::size_t> walk_option(Line& line, Bytes list, Chain& chain) {
  constexpr std::uint8_t pad1 = 0;
  if (list.u8(0) == pad1) return 1;
  if (!list.has(0, 2)) return std::nullopt;
  const std::size_t body_length = list.u8(1);
  if (!list.has(2, body_length)) return std::nullopt;
  for (const auto& rule : option_rules) {
    if (rule.type == list.u8(0) && rule.length != body_length) {
      line.add("({}: invalid len {})", rule.name, body_length);
      return std::nullopt;
    }
  }
  // The first one counts.
  if (list.u8(0) == jumbo_payload && chain.payload_length == 0 && !chain.jumbo_length) {
    chain.jumbo_length = list.be32(2);
  }
  return 2 + body_length;
}

// False where the list is malformed.
bool walk_options(Line& line, Bytes list, Chain& chain) {
  while (!list.empty()) {
    const auto size = walk_option(line, list, chain);
    if (!size) return false;
    list = list.from(*size);
  }
  return true;
}

// --- Headers ---------------------------------------------------------------------------------------------------

// Each writes one header and gives its size, or nothing where the line ends with it.
using HeaderSize = std::optional<std::size_t>;

HeaderSize write_options_header(Line& line, const Chain& chain, std::string_view title, std::string_view protocol) {
  const Bytes b = chain.at.bytes;
  const std::size_t size = b.has(0, 2) ? (b.u8(1) + 1U) * 8U : 0;
  if (size == 0 || !b.has(0, size)) {
    line.cut(protocol);
    return std::nullopt;
  }
  line.add("{} ", title);
  return size;
}

HeaderSize write_hop_by_hop(Line& line, Chain& chain) {
  const auto refuse = [&line](std::string_view why) -> HeaderSize {
    line.add("[{}]", why);
    line.invalid();
    return std::nullopt;
  };
  if (chain.hop_by_hop_seen) return refuse("The Hop-by-Hop Options header was already found");
  if (chain.passed != 0) return refuse("The Hop-by-Hop Options header don't follow the IPv6 header");
  chain.hop_by_hop_seen = true;
  HeaderSize size = write_options_header(line, chain, "HBH", "hbhopt");
  if (size && !walk_options(line, chain.at.bytes.first(*size).from(2), chain)) {
    line.cut("hbhopt");
    size.reset();
  }
  if (chain.payload_length == 0) {
    if (chain.jumbo_length.value_or(0) < smallest_jumbo)
      return refuse("No valid Jumbo Payload Hop-by-Hop option found");
    chain.at.length = *chain.jumbo_length;
  }
  return size;
}

HeaderSize write_destination_options(Line& line, const Chain& chain) {
  return write_options_header(line, chain, "DSTOPT", "dstopt");
}

// RFC 8200 4.5.
HeaderSize write_fragment(Line& line, const Chain& chain) {
  constexpr std::size_t size = 8;
  const Bytes b = chain.at.bytes;
  if (!b.has(0, 4)) {
    line.cut("frag6");
    return std::nullopt;
  }
  const unsigned offset = b.be16(2) & 0xfff8U;
  // Where the lengths contradict each other the difference wraps around, and is shown so.
  const std::uint64_t length = std::uint64_t{chain.payload_length} - chain.passed - size;
  line.add("frag ({}|{})", offset, length);
  if (offset != 0) {
    line.is_tcp |= b.u8(0) == ip_protocol::tcp;
    return std::nullopt;
  }
  line.add(" ");
  if (b.size() <= size) return std::nullopt;
  return size;
}

// RFC 8200 4.4 (type 0, deprecated by RFC 5095), RFC 6275 6.4 (type 2), RFC 8754 2 (type 4, segment routing).
HeaderSize write_routing(Line& line, const Chain& chain) {
  constexpr unsigned source_route = 0, mobile = 2, segment_routing = 4;
  const Bytes b = chain.at.bytes;
  const auto cut = [&]() -> HeaderSize {
    line.text += " [|rt6]";
    return std::nullopt;
  };
  if (b.empty()) {
    line.cut("ip6");
    return std::nullopt;
  }
  line.add("RT6");
  if (!b.has(0, 2)) return cut();
  const unsigned length = b.u8(1);
  line.add(" (len={}", length);
  if (!b.has(0, 3)) return cut();
  const unsigned type = b.u8(2);
  line.add(", type={}{}", type, type == source_route ? " [Deprecated]" : "");
  if (!b.has(0, 4)) return cut();
  line.add(", segleft={}", b.u8(3));
  if (type != source_route && type != mobile && type != segment_routing) {
    line.add(" (unknown type)");
    line.invalid();
    return std::nullopt;
  }
  if (type == segment_routing) {
    if (!b.has(0, 5)) return cut();
    line.add(", last-entry={}", b.u8(4));
    if (!b.has(0, 6)) return cut();
    if (b.u8(5) != 0) line.add(", flags=0x{:x}", b.u8(5));
    if (!b.has(0, 8)) return cut();
    line.add(", tag={:x}", b.be16(6));
  } else {
    if (!b.has(0, 8)) return cut();
    if (b.be32(4) != 0) line.add(", rsv=0x{:x}", b.be32(4));
  }
  if (length % 2 == 1) {
    line.add(" (invalid length {})", length);
    line.invalid();
    return std::nullopt;
  }
  for (std::size_t i = 0; i < length / 2; ++i) {
    const std::size_t at = 8 + 16 * i;
    if (!b.has(at, 16)) return cut();
    line.add(", [{}]{}", i, wire::IpAddress::v6(b.fixed<16>(at)));
  }
  line.add(") ");
  return (length + 1U) * 8U;
}

HeaderSize write_extension(Line& line, std::uint8_t header, Chain& chain) {
  switch (header) {
    case ip_protocol::hop_by_hop: return write_hop_by_hop(line, chain);
    case ip_protocol::destination_options: return write_destination_options(line, chain);
    case ip_protocol::fragment: return write_fragment(line, chain);
    default: return write_routing(line, chain);
  }
}

constexpr bool is_extension(std::uint8_t header) {
  return header == ip_protocol::hop_by_hop || header == ip_protocol::destination_options ||
         header == ip_protocol::fragment || header == ip_protocol::routing;
}

// `length`: of the whole packet on the wire.
void write_chain(Line& line, const IpContext& ip, Chain chain, std::size_t length) {
  std::uint8_t header = ip.first_protocol;
  while (is_extension(header)) {
    const HeaderSize size = write_extension(line, header, chain);
    if (!size) return;
    if (chain.at.length < *size) return line.cut("ip6");
    header = chain.at.bytes.u8(0);
    chain.at = chain.at.from(*size);
    chain.passed += *size;
  }
  if (chain.jumbo_length && fixed_header_length + *chain.jumbo_length > length) {
    line.add("truncated-ip6 - {} bytes missing!", fixed_header_length + *chain.jumbo_length - length);
  }
  chain.at.bytes = chain.at.bytes.first(chain.at.length);
  write_transport(line, ip, header, chain.at);
}

}  // namespace

// RFC 8200 3.
void write_ipv6(Line& line, Payload packet) {
  if (line.depth >= deepest_nesting) return line.add("IP6, nested too deep");
  ++line.depth;
  const Bytes b = packet.bytes;
  if (b.has(6, 1)) line.is_tcp |= b.u8(6) == ip_protocol::tcp;
  if (!b.has(0, fixed_header_length)) return line.cut("ip6");
  if (packet.length < fixed_header_length) return line.add("truncated-ip6 {}", packet.length);
  if (!line.options.link_header) line.add("IP6 ");
  const unsigned version = b.u8(0) >> 4U;
  if (version != 6) return line.add("version error: {} != 6", version);

  const IpContext ip{wire::IpAddress::v6(b.fixed<16>(8)), wire::IpAddress::v6(b.fixed<16>(24)), b.u8(6)};
  Chain chain{.at = Payload{b, packet.length}.from(fixed_header_length), .payload_length = b.be16(4)};
  if (chain.payload_length != 0) {
    if (chain.payload_length > chain.at.length) {
      line.add("truncated-ip6 - {} bytes missing!", chain.payload_length - chain.at.length);
    }
    chain.at.bytes = chain.at.bytes.first(chain.payload_length);
  }
  chain.at.length = chain.payload_length;
  if (!prints_its_own_addresses(ip.first_protocol)) {
    write_addresses(line, ip);
    line.add(": ");
  }
  write_chain(line, ip, chain, packet.length);
}

}  // namespace tcpwhy::render::tcpdump
