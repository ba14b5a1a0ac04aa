// Input: a capture file, compressed or not. Reading it ends, in order, within the bounds that reader.h states.
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/check.h"
#include "capfile/formats/reader.h"

namespace {

using namespace tcpwhy;
using namespace tcpwhy::capfile;

// Reads every byte that a record shows, for a sanitizer to see.
std::size_t touch(std::string_view bytes) {
  std::size_t sum = 0;
  for (const char byte : bytes) sum += static_cast<unsigned char>(byte);
  return sum;
}

std::size_t check_packet(const CaptureReader& reader, const PacketRecord& packet) {
  TCPWHY_CHECK(packet.interface < reader.interfaces().size());
  TCPWHY_CHECK(packet.bytes.size() <= max_block_bytes);
  TCPWHY_CHECK(packet.at >= earliest_time && packet.at <= latest_time);
  TCPWHY_CHECK(reader.interfaces()[packet.interface].interface.timestamp_digits <= 9);
  std::size_t sum = 0;
  for (const std::uint8_t byte : packet.bytes) sum += byte;
  for (const std::string_view comment : packet.comments) sum += touch(comment);
  return sum;
}

void check_error(const base::Error& error) {
  TCPWHY_CHECK(error.kind == base::ErrorKind::unreadable);
  TCPWHY_CHECK(error.message.en.starts_with("fuzz: "));
  TCPWHY_CHECK(error.message.en.find('\n') == std::string::npos);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  auto reader = CaptureReader::from_memory({data, size}, "fuzz");
  if (!reader) return check_error(reader.error()), 0;
  [[maybe_unused]] volatile std::size_t sum = 0;
  // Compressed input may hold far more than its size: enough is enough.
  constexpr std::uint64_t enough = 64U << 20;
  bool section_seen = false;
  while (reader->offset() < enough) {
    const auto record = reader->next();
    if (!record) return check_error(record.error()), 0;
    if (!*record) break;
    section_seen = section_seen || std::holds_alternative<SectionRecord>(**record);
    TCPWHY_CHECK(section_seen);
    if (const auto* packet = std::get_if<PacketRecord>(&**record)) sum = sum + check_packet(*reader, *packet);
    if (const auto* entry = std::get_if<JournalRecord>(&**record)) sum = sum + touch(entry->entry);
  }
  return 0;
}
