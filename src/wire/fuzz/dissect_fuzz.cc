// Input: two bytes of link type, two bytes that the original length exceeds the captured one by (all big-endian), then the
// packet. What dissect() promises must hold for all of them.
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/check.h"
#include "wire/bytes.h"
#include "wire/packet.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tcpwhy::wire;
  const Bytes input(std::span(data, size));
  if (!input.has(0, 4)) return 0;
  const std::span<const std::uint8_t> captured = input.from(4).span();
  const std::size_t original_length = captured.size() + input.be16(2);

  const DissectedPacket packet =
      dissect(static_cast<LinkType>(input.be16(0)), captured, original_length, {.teredo = true});
  const TcpSegment& segment = packet.segment;
  TCPWHY_CHECK(segment.payload.size() <= captured.size());
  if (!segment.payload.empty()) {
    TCPWHY_CHECK(segment.payload.data() >= captured.data());
    TCPWHY_CHECK(segment.payload.data() + segment.payload.size() <= captured.data() + captured.size());
  }
  TCPWHY_CHECK(segment.options.sack_count <= segment.options.sack_storage.size());
  if (packet.kind == Dissection::icmp_error) {
    TCPWHY_CHECK(packet.icmp.quoted_header >= 4 && packet.icmp.quoted_header <= 20);
    TCPWHY_CHECK(packet.icmp.reporter.family == packet.segment.source.ip.family);
    TCPWHY_CHECK(!words_for(packet.icmp).empty());
  }
  if (packet.kind == Dissection::tcp) {
    TCPWHY_CHECK(segment.payload.size() <= segment.payload_length);
    TCPWHY_CHECK(segment.source.ip.family != IpFamily::none);
    TCPWHY_CHECK(segment.source.ip.family == segment.destination.ip.family);
  }
  return 0;
}
