// The packets of a capture as frames: numbered as Wireshark numbers them, dissected down to the TCP segment where there is one.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "capfile/reader.h"
#include "wire/packet.h"

namespace tcpwhy::scan {

struct Frame {
  std::uint64_t number = 0;  // from 1 over all packets of the capture, TCP or not: Wireshark's frame.number
  base::WallTime at;
  wire::LinkType link_type{};
  std::uint32_t original_length = 0;    // on the wire
  std::span<const std::uint8_t> bytes;  // what was captured; valid until the next frame is read
  wire::DissectedPacket packet;         // its payload points into `bytes`
};

class FrameReader {
 public:
  // Errors as those of capfile::CaptureReader: ErrorKind::unreadable, with the input's name.
  static base::Result<FrameReader> open(const std::string& path);  // "-": standard input
  static base::Result<FrameReader> from_memory(std::span<const std::uint8_t> bytes, std::string name);

  // The next packet, or nothing at the end. After damage every frame before it has been given; further calls repeat the error.
  base::Result<std::optional<Frame>> next();

 private:
  explicit FrameReader(capfile::CaptureReader reader) : reader_(std::move(reader)) {}

  capfile::CaptureReader reader_;
  std::uint64_t frames_ = 0;
};

}  // namespace tcpwhy::scan
