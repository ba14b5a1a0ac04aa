// Capture files to recordings. The form: docs/FORMAT.md.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <utility>
#include <variant>

#include "base/format.h"
#include "base/unique_fd.h"
#include "capfile/formats/reader.h"
#include "capfile/formats/reader_impl.h"
#include "capfile/recording/journal_events.h"
#include "capfile/recording/recording_io.h"
#include "capfile/recording/recording_rules.h"

namespace tcpwhy::capfile {
namespace {

// What timeline and findings take for an event, beside its own bytes: at most, in the recordings of recording/testing/growing_shapes.h
// (src/cli/growth_test.cc holds it). A packet may be a connection of its own.
constexpr std::uint64_t packet_explained_bytes = 1700, event_explained_bytes = 1200;

class RecordingReader {
 public:
  RecordingReader(CaptureReader reader, const ReadLimits& limits) : reader_(std::move(reader)), limits_(limits) {}

  base::Result<ReadOutcome> read() {
    while (!outcome_.stopped_by) {
      auto record = reader_.next();
      if (!record)
        outcome_.stopped_by = std::move(record.error());
      else if (!*record)
        break;
      else
        take(**record);
      if (memory_ > limits_.memory_bytes && !outcome_.stopped_by) outcome_.stopped_by = too_large();
    }
    finish_section();
    if (outcome_.recordings.empty() && outcome_.stopped_by) return std::unexpected(std::move(*outcome_.stopped_by));
    outcome_.memory_bytes = memory_;
    return std::move(outcome_);
  }

 private:
  void take(const Record& record) {
    if (const auto* section = std::get_if<SectionRecord>(&record)) return begin_section(*section);
    note_interfaces();
    if (const auto* packet = std::get_if<PacketRecord>(&record))
      take_packet(*packet);
    else
      take_journal(std::get<JournalRecord>(record));
  }

  [[nodiscard]] base::Error too_large() const {
    return unreadable(reader_.name(),
                      base::format({"more events than fit {} MiB, reading stopped at byte {}",
                                    "事件超出 {} MiB 的容量，读取止于第 {} 字节"},
                                   limits_.memory_bytes >> 20, reader_.offset()),
                      {"take a part of it: editcap -r INPUT OUTPUT FIRST-LAST",
                       "截取其中一部分：editcap -r INPUT OUTPUT FIRST-LAST"})
        .error();
  }

  void begin_section(const SectionRecord& section) {
    finish_section();
    recording::Provenance provenance;
    provenance.kernel = section.os;
    provenance.program = section.application;
    provenance.comments = section.comments;
    section_.emplace();
    section_->recording.provenance = std::move(provenance);
    header_seen_ = false;
    account(sizeof(recording::Recording));
    for (const std::string& comment : section.comments) account(sizeof comment + comment.size());
  }

  void finish_section() {
    if (!section_) return;
    note_interfaces();
    outcome_.recordings.push_back(checked(std::move(*section_)));
    section_.reset();
  }

  // Interfaces may be described anywhere in a section, after packets too. (At the next section's start the reader has
  // forgotten them, and this does nothing.)
  void note_interfaces() {
    auto& interfaces = section_->recording.interfaces;
    const auto described = reader_.interfaces();
    for (std::size_t i = interfaces.size(); i < described.size(); ++i) {
      interfaces.push_back(described[i].interface);
      account(sizeof(recording::Interface) + interfaces.back().name.size() + interfaces.back().description.size());
    }
  }

  void take_packet(const PacketRecord& record) {
    recording::Packet packet;
    packet.interface = {record.interface};
    packet.original_length = record.original_length;
    packet.bytes.assign(record.bytes.begin(), record.bytes.end());
    for (const std::string_view comment : record.comments) packet.comments.emplace_back(comment);
    account(record.bytes.size());
    for (const std::string_view comment : record.comments) account(sizeof(std::string) + comment.size());
    add({.at = record.at, .actor = {}, .what = std::move(packet)}, record.packet_id);
  }

  void take_journal(const JournalRecord& record) {
    const auto fields = parse_journal_entry(record.entry);
    if (!fields) {
      section_->broken_rows += record.entry.find("\nTCPWHY_KIND=") != std::string_view::npos ? 1 : 0;
      return;
    }
    if (!header_seen_ && decode_recording_entry(*fields, section_->recording)) {
      header_seen_ = true;
      account(record.entry.size() + section_->recording.actors.size() * sizeof(recording::Actor));
      return drop_summary();
    }
    auto decoded = decode_event(*fields);
    if (!decoded) {
      section_->broken_rows += decoded.error() == NoEvent::broken ? 1 : 0;
      return;
    }
    account(record.entry.size());
    add(std::move(decoded->event), decoded->id);
  }

  // The writer's summary for people is no comment of the recording.
  void drop_summary() {
    recording::Provenance& provenance = section_->recording.provenance;
    if (!provenance.comments.empty() && provenance.comments.front() == section_summary(provenance))
      provenance.comments.erase(provenance.comments.begin());
  }

  void add(recording::Event event, std::optional<std::uint64_t> id) {
    section_->recording.events.push_back(std::move(event));
    section_->ids.push_back(id);
    const bool is_packet = std::holds_alternative<recording::Packet>(section_->recording.events.back().what);
    account(sizeof(recording::Event) + sizeof(std::optional<std::uint64_t>));
    account(is_packet ? packet_explained_bytes : event_explained_bytes);
  }

  void account(std::size_t bytes) { memory_ += bytes; }

  CaptureReader reader_;
  ReadLimits limits_;
  ReadOutcome outcome_;
  std::optional<UncheckedRecording> section_;
  bool header_seen_ = false;
  std::uint64_t memory_ = 0;
};

base::Result<ReadOutcome> read_all(base::Result<CaptureReader> reader, const ReadLimits& limits) {
  if (!reader) return std::unexpected(std::move(reader.error()));
  return RecordingReader(std::move(*reader), limits).read();
}

}  // namespace

std::uint64_t memory_for_recordings() {
  constexpr std::uint64_t most = std::uint64_t{4} << 30U;
  const long pages = sysconf(_SC_PHYS_PAGES), page_bytes = sysconf(_SC_PAGESIZE);
  if (pages <= 0 || page_bytes <= 0) return most;
  return std::min(most, static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(page_bytes) / 2);
}

base::Result<ReadOutcome> read_recordings(const std::string& path, const ReadLimits& limits) {
  return read_all(CaptureReader::open(path), limits);
}

base::Result<ReadOutcome> read_recordings(const Input& input, const ReadLimits& limits) {
  return read_all(CaptureReader::open(input), limits);
}

base::Result<ReadOutcome> read_recordings_from(int fd, const std::string& name, const ReadLimits& limits) {
  base::UniqueFd own(::dup(fd));
  if (!own.valid()) return base::fail_errno("dup");
  return read_all(CaptureReader::open(Input(std::move(own), name)), limits);
}

base::Result<ReadOutcome> decode(std::span<const std::uint8_t> bytes, const std::string& name,
                                 const ReadLimits& limits) {
  return read_all(CaptureReader::from_memory(bytes, name), limits);
}

}  // namespace tcpwhy::capfile
