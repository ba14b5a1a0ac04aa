// A packet as it stands in the capture.
#pragma once

#include <cstdint>
#include <span>

#include "base/clock.h"
#include "capfile/formats/reader.h"

namespace tcpwhy::scan {

struct RawFrame {
  // From 1 over all packets read, TCP or not, wanted or not: Wireshark's frame.number; of several files, that in what
  // mergecap makes of them.
  std::uint64_t number = 0;
  base::WallTime at;
  wire::LinkType link_type{};
  std::uint32_t file = 0;               // index into the paths
  std::uint32_t original_length = 0;    // on the wire
  std::span<const std::uint8_t> bytes;  // what was captured; valid until the next frame is read
};

}  // namespace tcpwhy::scan
