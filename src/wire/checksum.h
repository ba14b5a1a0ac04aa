// Whether a segment arrived as it was sent, as far as TCP's checksum tells. Dearer than reading its header: every byte is looked at.
#pragma once

#include <cstdint>
#include <span>

#include "wire/segment.h"

namespace tcpwhy::wire {

enum class Checksum : std::uint8_t {
  unknown,  // not all of it was captured, or it has no payload
  good,
  bad,
  left_to_the_device,  // the sum of the pseudo header alone: captured before the device completes it, or it never does (veth, loopback)
};
// `packet`: the bytes in which the segment's payload lies, with its headers.
Checksum checksum_of(std::span<const std::uint8_t> packet, const TcpSegment& segment);

}  // namespace tcpwhy::wire
