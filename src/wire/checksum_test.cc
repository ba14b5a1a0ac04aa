#include "wire/checksum.h"

#include <gtest/gtest.h>

#include "wire/packet.h"
#include "wire/packet_builder.h"

namespace tcpwhy::wire {
namespace {

using namespace wire::testing;

constexpr std::size_t field = 20 + 16;

ByteString packet_of(std::string_view payload) { return with_tcp_checksum(ipv4({}, tcp({}, text(payload)))); }

// What Linux leaves in the field for the device: the sum of the pseudo header.
ByteString left_to_the_device(std::string_view payload) {
  ByteString packet = with_tcp_checksum(ipv4({}, zeros(20 + payload.size())));
  const unsigned sum = 0xffffU & ~(unsigned{packet[field]} << 8U | packet[field + 1]);
  packet = packet_of(payload);
  packet[field] = static_cast<std::uint8_t>(sum >> 8U);
  packet[field + 1] = static_cast<std::uint8_t>(sum);
  return packet;
}

Checksum of(const ByteString& packet) {
  const DissectedPacket dissected = dissect(LinkType::raw, packet, packet.size());
  return checksum_of(packet, dissected.segment);
}

TEST(TcpChecksum, tells_what_was_damaged_from_what_the_device_completes) {
  for (const std::string_view payload : {"hello", "even", "x"}) {
    EXPECT_EQ(of(packet_of(payload)), Checksum::good);
    EXPECT_EQ(of(left_to_the_device(payload)), Checksum::left_to_the_device);
    ByteString damaged = packet_of(payload);
    damaged.back() ^= 0x10U;
    EXPECT_EQ(of(damaged), Checksum::bad);
  }
}

TEST(TcpChecksum, of_what_was_not_all_captured_is_not_known) {
  const ByteString whole = packet_of("hello");
  ByteString cut(whole.begin(), whole.end() - 2);
  const DissectedPacket dissected = dissect(LinkType::raw, cut, whole.size());
  EXPECT_EQ(checksum_of(cut, dissected.segment), Checksum::unknown);
  EXPECT_EQ(of(ipv4({}, tcp({}))), Checksum::unknown);
}

}  // namespace
}  // namespace tcpwhy::wire
