// The link types of capture files: their names, and which of them dissect() looks into.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "wire/link_layer.h"
#include "wire/packet.h"

namespace tcpwhy::wire {

struct LinkTypeRow {
  std::uint16_t number;  // LINKTYPE_*, www.tcpdump.org/linktypes.html; below 20 also what BSDs write of their own DLT_*
  std::string_view name;  // without LINKTYPE_
  Content content;        // of a packet; none: it is not looked into
};

// By number.
std::span<const LinkTypeRow> link_types();

// Whether dissect() looks into its packets.
bool is_read(LinkType link_type);

// Empty where there is none.
std::string_view name_of(LinkType link_type);

}  // namespace tcpwhy::wire
