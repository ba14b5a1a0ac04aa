// An IPv4 or IPv6 header, read: what follows it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "wire/bytes.h"
#include "wire/ether_type.h"
#include "wire/link_layer.h"
#include "wire/segment.h"

namespace tcpwhy::wire {

enum class Reach : std::uint8_t {
  nothing,         // the capture ends before it says what follows, or nothing follows
  payload,         // `protocol` begins at `bytes`
  later_fragment,  // `bytes` are from the middle of `protocol`
  cut,             // the capture ends inside the header, behind its protocol
  contradiction,   // the header's lengths contradict each other
};

struct IpPayload {
  Reach reach = Reach::nothing;
  std::uint8_t protocol = ip_protocol::no_next;
  bool fragmented = false;  // a piece of a larger packet, the first or a later one
  Bytes bytes;              // what was captured, without padding
  std::size_t length = 0;   // by the IP header
};

// `carried` must begin with an IP header (unwrap_to_ip). Fills in the addresses and the fields of `segment` that IP has.
// Extension headers and an Authentication Header are stepped over.
IpPayload read_ip(const Carried& carried, TcpSegment& segment);

// RFC 4302 2.2: the length of an Authentication Header counts 4-byte words, less 2.
constexpr std::size_t authentication_length(std::uint8_t words) { return (words + 2U) * 4U; }
// RFC 8200 4: that of the other extension headers counts 8-byte words, less 1.
constexpr std::size_t extension_length(std::uint8_t words) { return (words + 1U) * 8U; }
bool is_extension(std::uint8_t next_header);

}  // namespace tcpwhy::wire
