// Input: a capture file. What is decoded from it holds the rules of recording_io.h, and encoding and decoding it again
// gives the same.
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include "base/check.h"
#include "capfile/formats/reader.h"
#include "capfile/recording/recording_io.h"
#include "recording/fields.h"

namespace {

using namespace tcpwhy;
using namespace tcpwhy::recording;

void check_call(const Recording& recording, std::optional<std::uint32_t> call) {
  TCPWHY_CHECK(!call || *call <= recording.events.size());
}

void check_rules(const Recording& recording) {
  for (const Event& event : recording.events) {
    TCPWHY_CHECK(event.at >= capfile::earliest_time && event.at <= capfile::latest_time);
    TCPWHY_CHECK(!event.actor.valid() || event.actor.value < recording.actors.size());
    if (const auto* packet = std::get_if<Packet>(&event.what))
      TCPWHY_CHECK(packet->interface.value < recording.interfaces.size());
    if (const auto* cause = std::get_if<SegmentCause>(&event.what)) {
      if (cause->packet.valid()) {
        TCPWHY_CHECK(cause->packet.value < recording.events.size());
        TCPWHY_CHECK(std::holds_alternative<Packet>(recording[cause->packet].what));
      }
      TCPWHY_CHECK(!cause->by || cause->by->value < recording.events.size());
    }
    std::visit(
        [&recording](const auto& what) {
          if constexpr (requires { what.call; }) check_call(recording, what.call);
        },
        event.what);
    TCPWHY_CHECK(message(event, nullptr).find('\x1b') == std::string::npos);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto first = capfile::decode({data, size}, "fuzz", {.memory_bytes = 16U << 20});
  if (!first) return 0;
  for (const Recording& recording : first->recordings) check_rules(recording);
  const auto bytes = capfile::encode(first->recordings);
  if (!bytes) return 0;  // an event of nearly the largest size
  const auto second = capfile::decode(*bytes, "fuzz");
  TCPWHY_CHECK(second.has_value());
  TCPWHY_CHECK(!second->stopped_by);
  TCPWHY_CHECK(second->recordings == first->recordings);
  return 0;
}
