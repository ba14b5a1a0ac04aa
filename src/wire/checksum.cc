#include "wire/checksum.h"

#include <functional>

#include "wire/bytes.h"

namespace tcpwhy::wire {
namespace {

constexpr std::uint64_t tcp_protocol = 6;

// RFC 1071: the one's complement sum of 16 bits each.
std::uint64_t sum_of(Bytes bytes) {
  std::uint64_t sum = 0;
  std::size_t at = 0;
  for (; bytes.has(at, 4); at += 4) sum += bytes.be32(at);
  if (bytes.has(at, 2)) sum += bytes.be16(at), at += 2;
  if (bytes.has(at, 1)) sum += std::uint64_t{bytes.u8(at)} << 8U;
  return sum;
}

std::uint16_t folded(std::uint64_t sum) {
  while (sum > 0xffff) sum = (sum & 0xffffU) + (sum >> 16U);
  return static_cast<std::uint16_t>(sum);
}

// Behind the addresses of the pseudo header stand protocol and length. RFC 9293 3.1
std::uint64_t sum_of_pseudo_header(const TcpSegment& segment, std::size_t length) {
  const std::size_t octets = segment.source.ip.family == IpFamily::v4 ? 4 : 16;
  return sum_of(Bytes(std::span(segment.source.ip.bytes)).first(octets)) +
         sum_of(Bytes(std::span(segment.destination.ip.bytes)).first(octets)) + tcp_protocol + length;
}

// The header whose payload begins at `payload`; empty: there is none.
std::size_t header_length_before(Bytes packet, std::size_t payload, const TcpSegment& segment) {
  constexpr std::size_t shortest = 20, longest = 60, word = 4;
  for (std::size_t length = shortest; length <= longest && length <= payload; length += word) {
    const Bytes header = packet.first(payload).from(payload - length);
    if ((header.u8(12) >> 4U) * word == length && header.be16(0) == segment.source.port &&
        header.be16(2) == segment.destination.port && header.be32(4) == segment.seq.value)
      return length;
  }
  return 0;
}

}  // namespace

Checksum checksum_of(std::span<const std::uint8_t> packet, const TcpSegment& segment) {
  const std::uint8_t* const payload = segment.payload.data();
  const bool lies_there = !segment.payload.empty() && !std::less<>{}(payload, packet.data()) &&
                          std::less<>{}(payload, packet.data() + packet.size());
  if (!lies_there || segment.payload.size() < segment.payload_length) return Checksum::unknown;
  const auto at = static_cast<std::size_t>(payload - packet.data());
  const Bytes bytes(packet);
  const std::size_t header = header_length_before(bytes, at, segment);
  if (header == 0) return Checksum::unknown;
  const std::size_t length = header + segment.payload_length;
  const Bytes whole = bytes.from(at - header).first(length);
  const std::uint64_t pseudo = sum_of_pseudo_header(segment, length);
  if (folded(pseudo + sum_of(whole)) == 0xffff) return Checksum::good;
  const std::uint16_t field = whole.be16(16);
  const bool is_partial = field == folded(pseudo) || field == folded(pseudo - length);
  return is_partial ? Checksum::left_to_the_device : Checksum::bad;
}

}  // namespace tcpwhy::wire
