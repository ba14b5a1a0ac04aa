// The TCP header in the tcpdump view.
#include <optional>

#include "render/tcpdump/line.h"
#include "render/tcpdump/options.h"
#include "wire/ether_type.h"
#include "wire/segment.h"

namespace tcpwhy::render::tcpdump {
namespace {

using wire::TcpFlags;

constexpr std::size_t shortest_header = 20;
// tcpdump 4.99.3 looks at the eight flags of RFC 3168; newer ones print AE as well.
constexpr std::uint16_t printed_flags = 0x0ff;

struct Header {
  std::uint16_t source_port = 0, destination_port = 0;
  std::uint32_t seq = 0, ack = 0;
  TcpFlags flags;
  std::size_t header_length = 0;
  std::uint16_t window = 0, urgent_pointer = 0;
};

Header read_header(Bytes b) {
  return {.source_port = b.be16(0),
          .destination_port = b.be16(2),
          .seq = b.be32(4),
          .ack = b.be32(8),
          .flags = {static_cast<std::uint16_t>(b.be16(12) & printed_flags)},
          .header_length = (b.u8(12) >> 4U) * std::size_t{4},
          .window = b.be16(14),
          .urgent_pointer = b.be16(18)};
}

// Addresses with ports; after an extension header or AH, which the addresses stand before already, ports only.
void write_ends(Line& line, const IpContext& ip, Bytes segment) {
  const std::uint16_t source_port = segment.be16(0), destination_port = segment.be16(2);
  if (ip.first_protocol == wire::ip_protocol::tcp) {
    line.add("{}.{} > {}.{}: ", ip.source, source_port, ip.destination, destination_port);
  } else {
    line.add("{} > {}: ", source_port, destination_port);
  }
}

RelativeNumbers numbers_of(Line& line, const IpContext& ip, const Header& header) {
  if (line.options.absolute_sequence_numbers || !header.flags.ack()) return {header.seq, header.ack, 0};
  return line.conversations.relative({ip.source, header.source_port}, {ip.destination, header.destination_port},
                                     header.flags.syn(), header.seq, header.ack);
}

void write_numbers(Line& line, const Header& header, const RelativeNumbers& numbers, std::size_t payload_length) {
  if (payload_length > 0 || header.flags.syn() || header.flags.fin() || header.flags.rst()) {
    line.add(", seq {}", numbers.seq);
    if (payload_length > 0) line.add(":{}", numbers.seq + static_cast<std::uint32_t>(payload_length));
  }
  if (header.flags.ack()) line.add(", ack {}", numbers.ack);
  line.add(", win {}", header.window);
  if (header.flags.urg()) line.add(", urg {}", header.urgent_pointer);
}

}  // namespace

void write_tcp(Line& line, const IpContext& ip, Payload segment) {
  line.is_tcp = true;
  const Bytes b = segment.bytes;
  if (!b.has(0, 4)) {
    write_addresses(line, ip);
    return line.add(": [|tcp]");
  }
  write_ends(line, ip, b);
  if (!b.has(0, shortest_header)) return line.cut("tcp");
  const Header header = read_header(b);
  if (header.header_length < shortest_header) {
    return line.add(" tcp {} [bad hdr length {} - too short, < {}]", segment.length - header.header_length,
                    header.header_length, shortest_header);
  }
  line.add("Flags [{}]", wire::to_string(header.flags));
  const RelativeNumbers numbers = numbers_of(line, ip, header);
  if (header.header_length > segment.length) {
    return line.add(" [bad hdr length {} - too long, > {}]", header.header_length, segment.length);
  }
  const std::size_t payload_length = segment.length - header.header_length;
  write_numbers(line, header, numbers, payload_length);
  if (header.header_length > shortest_header) {
    const OptionList options{b.from(shortest_header), header.header_length - shortest_header, header.flags,
                             numbers.sack_base, b.size() >= segment.length};
    if (!write_options(line, options)) return;
  }
  line.add(", length {}", payload_length);
}

}  // namespace tcpwhy::render::tcpdump
