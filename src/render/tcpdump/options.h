// TCP options in the tcpdump view.
#pragma once

#include <cstddef>
#include <cstdint>

#include "render/tcpdump/line.h"
#include "wire/segment.h"

namespace tcpwhy::render::tcpdump {

struct OptionList {
  Bytes bytes;             // what was captured from the first option on; may hold what follows the options
  std::size_t length = 0;  // of the options, by the header
  wire::TcpFlags flags;
  std::uint32_t sack_base = 0;
  bool segment_is_whole = true;  // the capture has all of its payload
};

// ", options [...]". False where the list is malformed or cut, which ends the line.
bool write_options(Line& line, const OptionList& list);

// The multipath option (RFC 8684), whole in `option` with kind and length. False where it is malformed: what could be read is
// written (tcpdump_mptcp.cc).
bool write_multipath(Line& line, Bytes option, wire::TcpFlags flags);

}  // namespace tcpwhy::render::tcpdump
