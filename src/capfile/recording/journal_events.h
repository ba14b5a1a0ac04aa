// Events and the header of a recording as journal entries, and back. docs/FORMAT.md describes every field.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "capfile/recording/journal_entry.h"
#include "recording/recording.h"

namespace tcpwhy::capfile {

inline constexpr std::string_view recording_kind = "recording";  // TCPWHY_KIND of the header's entry

// The entry of event number `position`. `line`: its MESSAGE without the actor.
std::string event_entry(const recording::Recording& recording, std::size_t position, const std::string& line);

struct DecodedEvent {
  recording::Event event;           // ids as the file has them, not checked
  std::optional<std::uint32_t> id;  // TCPWHY_EVENT
};
// Why an entry gives no event is either that it is not ours or of a kind we do not know, or that it contradicts the
// form.
enum class NoEvent { foreign, broken };
std::expected<DecodedEvent, NoEvent> decode_event(const std::vector<JournalField>& fields);

// The entry of the header: what of a recording pcapng's own options do not hold. `file_snap_length` is what the
// Interface Description Blocks say.
std::string recording_entry(const recording::Recording& recording, std::uint32_t file_snap_length);
// Adds what such an entry says to `recording`, whose interfaces have been read already. False if the entry is no
// header.
bool decode_recording_entry(const std::vector<JournalField>& fields, recording::Recording& recording);

// The first comment of a section, for people: what was recorded, where, and what could be observed.
std::string section_summary(const recording::Provenance& provenance);

}  // namespace tcpwhy::capfile
