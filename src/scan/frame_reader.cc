#include "scan/frame_reader.h"

#include <utility>

namespace tcpwhy::scan {

base::Result<FrameReader> FrameReader::open(const std::string& path) {
  auto reader = capfile::CaptureReader::open(path);
  if (!reader) return std::unexpected(reader.error());
  return FrameReader(std::move(*reader));
}

base::Result<FrameReader> FrameReader::from_memory(std::span<const std::uint8_t> bytes, std::string name) {
  auto reader = capfile::CaptureReader::from_memory(bytes, std::move(name));
  if (!reader) return std::unexpected(reader.error());
  return FrameReader(std::move(*reader));
}

base::Result<std::optional<Frame>> FrameReader::next() {
  for (;;) {
    const auto record = reader_.next();
    if (!record) return std::unexpected(record.error());
    if (!*record) return std::nullopt;
    const auto* packet = std::get_if<capfile::PacketRecord>(&**record);
    if (packet == nullptr) continue;
    const auto& info = reader_.interfaces()[packet->interface];
    Frame frame{.number = ++frames_,
                .at = packet->at,
                .link_type = info.interface.link_type,
                .original_length = packet->original_length,
                .bytes = packet->bytes,
                .packet = {}};
    frame.packet = wire::dissect(frame.link_type, frame.bytes, frame.original_length);
    return frame;
  }
}

}  // namespace tcpwhy::scan
