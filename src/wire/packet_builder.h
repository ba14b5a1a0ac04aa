// Test support: bytes of packets, written down header by header.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>
#include <vector>

namespace tcpwhy::wire::testing {

using ByteString = std::vector<std::uint8_t>;

inline ByteString operator+(ByteString left, const ByteString& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

inline ByteString text(std::string_view characters) { return {characters.begin(), characters.end()}; }
inline ByteString zeros(std::size_t count) { return ByteString(count, 0); }
inline ByteString be16(unsigned value) {
  return {static_cast<std::uint8_t>(value >> 8U), static_cast<std::uint8_t>(value)};
}
inline ByteString be32(std::uint32_t value) { return be16(value >> 16U) + be16(value & 0xffffU); }

struct TcpFields {
  std::uint16_t source_port = 40000, destination_port = 9999;
  std::uint32_t seq = 0xfffffff0, ack = 0x80000001;
  std::uint16_t flags = 0x018;
  std::uint16_t window = 512, urgent_pointer = 0;
  ByteString options = {};  // padded with zeros to a multiple of 4
  int data_offset = -1;     // in words; -1: the right one
};

inline ByteString tcp(TcpFields fields, const ByteString& payload = {}) {
  while (fields.options.size() % 4 != 0) fields.options.push_back(0);
  const unsigned words = fields.data_offset >= 0 ? static_cast<unsigned>(fields.data_offset)
                                                 : static_cast<unsigned>(5 + fields.options.size() / 4);
  return be16(fields.source_port) + be16(fields.destination_port) + be32(fields.seq) + be32(fields.ack) +
         be16(words << 12U | fields.flags) + be16(fields.window) + be16(0) + be16(fields.urgent_pointer) +
         fields.options + payload;
}

struct Ipv4Fields {
  std::uint8_t protocol = 6, type_of_service = 0, ttl = 64;
  std::uint16_t id = 0x1234, fragment = 0;
  int total_length = -1;    // -1: the right one
  int header_words = -1;    // -1: the right one
  ByteString options = {};  // a multiple of 4 bytes
  ByteString source = {192, 0, 2, 1}, destination = {198, 51, 100, 7};
};

// RFC 1071; put into bytes 10 and 11 of an IPv4 header, which must be 0.
inline ByteString with_checksum(ByteString packet) {
  const std::size_t header = (packet[0] & 0xfU) * 4U;
  std::uint32_t sum = 0;
  for (std::size_t at = 0; at < header; at += 2) sum += static_cast<std::uint32_t>(packet[at]) << 8U | packet[at + 1];
  while (sum > 0xffff) sum = (sum & 0xffffU) + (sum >> 16U);
  packet[10] = static_cast<std::uint8_t>(~sum >> 8U);
  packet[11] = static_cast<std::uint8_t>(~sum);
  return packet;
}

inline ByteString ipv4(const Ipv4Fields& fields, const ByteString& payload) {
  const std::size_t header = 20 + fields.options.size();
  const auto words =
      fields.header_words >= 0 ? static_cast<unsigned>(fields.header_words) : static_cast<unsigned>(header / 4);
  const auto total = fields.total_length >= 0 ? static_cast<unsigned>(fields.total_length)
                                              : static_cast<unsigned>(header + payload.size());
  return ByteString{static_cast<std::uint8_t>(0x40U | words), fields.type_of_service} + be16(total) + be16(fields.id) +
         be16(fields.fragment) + ByteString{fields.ttl, fields.protocol} + be16(0) + fields.source +
         fields.destination + fields.options + payload;
}

// RFC 9293 3.1; put into the header of the TCP segment in an IPv4 packet without options, where it must be 0.
inline ByteString with_tcp_checksum(ByteString packet) {
  constexpr std::size_t header = 20, addresses = 12, field = header + 16;
  std::uint32_t sum = 6 + static_cast<std::uint32_t>(packet.size() - header);
  const auto add = [&](std::size_t at) { sum += at % 2 == 0 ? std::uint32_t{packet[at]} << 8U : packet[at]; };
  for (std::size_t at = addresses; at < packet.size(); ++at) add(at);
  while (sum > 0xffff) sum = (sum & 0xffffU) + (sum >> 16U);
  packet[field] = static_cast<std::uint8_t>(~sum >> 8U);
  packet[field + 1] = static_cast<std::uint8_t>(~sum);
  return packet;
}

struct Ipv6Fields {
  std::uint8_t next_header = 6, traffic_class = 0, hop_limit = 63;
  int payload_length = -1;  // -1: the right one
};

inline ByteString ipv6(const Ipv6Fields& fields, const ByteString& payload) {
  const auto length =
      fields.payload_length >= 0 ? static_cast<unsigned>(fields.payload_length) : static_cast<unsigned>(payload.size());
  const ByteString prefix = {0x20, 0x01, 0x0d, 0xb8};
  return be32(0x60000000U | static_cast<std::uint32_t>(fields.traffic_class) << 20U) + be16(length) +
         ByteString{fields.next_header, fields.hop_limit} + prefix + zeros(11) + ByteString{1} + prefix + zeros(11) +
         ByteString{2} + payload;
}

inline ByteString udp(unsigned source_port, unsigned destination_port, const ByteString& payload) {
  return be16(source_port) + be16(destination_port) + be16(static_cast<unsigned>(payload.size() + 8)) + be16(0) +
         payload;
}

inline ByteString ethernet(unsigned ether_type, const ByteString& payload) {
  return ByteString{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2} + be16(ether_type) + payload;
}

}  // namespace tcpwhy::wire::testing
