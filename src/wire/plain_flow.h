// A glance at a packet: whose is it? For who shares out packets by flow and wants to dissect only its own.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "wire/address.h"
#include "wire/packet.h"

namespace tcpwhy::wire {

struct PlainFlow {
  SocketAddress source, destination;
};

// The endpoints of a plain TCP segment: Ethernet without tags or raw IP; IPv4 that is no fragment, or IPv6 without extension headers. The
// same that dissect() finds. Nothing for all else, which may be TCP nevertheless.
std::optional<PlainFlow> glance_at(LinkType link_type, std::span<const std::uint8_t> captured);

}  // namespace tcpwhy::wire
