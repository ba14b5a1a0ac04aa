// For tests: a capture read to its end, into values that outlive the reader.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "capfile/formats/reader.h"

namespace tcpwhy::capfile::testing {

struct ReadPacket {
  std::uint32_t interface = 0;
  std::int64_t ns = 0;
  std::uint32_t original_length = 0;
  std::string bytes;
  std::vector<std::string> comments;
  bool operator==(const ReadPacket&) const = default;
};

struct ReadCapture {
  std::vector<SectionRecord> sections;
  std::vector<ReadPacket> packets;
  std::vector<std::string> journal;
  std::vector<InterfaceInfo> interfaces;  // of the last section
  std::optional<base::Error> stopped_by;
};

inline ReadCapture read_all(CaptureReader reader) {
  ReadCapture all;
  while (true) {
    auto record = reader.next();
    if (!record) all.stopped_by = record.error();
    if (!record || !*record) break;
    if (const auto* section = std::get_if<SectionRecord>(&**record)) all.sections.push_back(*section);
    if (const auto* entry = std::get_if<JournalRecord>(&**record)) all.journal.emplace_back(entry->entry);
    if (const auto* packet = std::get_if<PacketRecord>(&**record))
      all.packets.push_back({packet->interface,
                             base::to_ns(packet->at),
                             packet->original_length,
                             std::string(packet->bytes.begin(), packet->bytes.end()),
                             {packet->comments.begin(), packet->comments.end()}});
  }
  all.interfaces.assign(reader.interfaces().begin(), reader.interfaces().end());
  return all;
}

// An error of open() stands in stopped_by too.
inline ReadCapture read_all(base::Result<CaptureReader> reader) {
  if (reader) return read_all(std::move(*reader));
  ReadCapture nothing;
  nothing.stopped_by = reader.error();
  return nothing;
}
inline ReadCapture read_all(std::span<const std::uint8_t> bytes) {
  return read_all(CaptureReader::from_memory(bytes, "test"));
}

}  // namespace tcpwhy::capfile::testing
