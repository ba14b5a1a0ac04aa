// The bytes of a TCP header into a TcpSegment.
#pragma once

#include <cstddef>

#include "wire/bytes.h"
#include "wire/packet.h"
#include "wire/segment.h"

namespace tcpwhy::wire {

// The fixed part of the header, field by field, as far as it was captured.
void read_tcp_fields(Bytes b, TcpSegment& segment);

// `captured`: from the TCP header on, without padding; `length`: what the IP header says that they are. Dissection::tcp, truncated
// or malformed.
Dissection read_tcp(Bytes captured, std::size_t length, TcpSegment& segment);

}  // namespace tcpwhy::wire
