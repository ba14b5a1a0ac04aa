// Recordings to pcapng. The form: docs/FORMAT.md.
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <utility>

#include "base/check.h"
#include "base/format.h"
#include "capfile/formats/block_writer.h"
#include "capfile/formats/reader.h"
#include "capfile/formats/tick_clock.h"
#include "capfile/input/compression.h"
#include "capfile/recording/journal_events.h"
#include "capfile/recording/recording_io.h"

namespace tcpwhy::capfile {
namespace {

using recording::Recording;

// One snapshot length for the whole file: libpcap refuses a file whose interfaces differ in it. 0 (no limit) if any
// has none.
std::uint32_t common_snap_length(std::span<const Recording> recordings) {
  std::uint32_t longest = 0;
  for (const Recording& recording : recordings)
    for (const recording::Interface& interface : recording.interfaces) {
      if (interface.snap_length == 0) return 0;
      longest = std::max(longest, interface.snap_length);
    }
  return longest;
}

class SectionWriter {
 public:
  SectionWriter(std::vector<std::uint8_t>& out, const Recording& recording, std::uint32_t snap_length)
      : out_(out), block_(out), recording_(recording), snap_length_(snap_length) {}

  // What has been made is handed over, and forgotten, whenever it is a good piece.
  base::Status write(const std::function<base::Status()>& hand_over) {
    constexpr std::size_t good_piece = 1U << 20;
    section_header();
    for (const recording::Interface& interface : recording_.interfaces) interface_description(interface);
    if (auto written = journal(recording_entry(recording_, snap_length_), {"the recording's header", "记录头"});
        !written)
      return written;
    for (std::size_t i = 0; i < recording_.events.size(); ++i) {
      if (auto written = event(i); !written) return written;
      if (out_.size() < good_piece) continue;
      if (auto taken = hand_over(); !taken) return taken;
    }
    return hand_over();
  }

 private:
  void section_header() {
    const recording::Provenance& provenance = recording_.provenance;
    block_.begin(pcapng::section_header);
    block_.u32(pcapng::byte_order_magic);
    block_.u16(1);  // version 1.0
    block_.u16(0);
    block_.u64(UINT64_MAX);  // the section's length is not stated
    block_.text_option(pcapng::comment, section_summary(provenance));
    for (const std::string& comment : provenance.comments) block_.text_option(pcapng::comment, comment);
    if (!provenance.kernel.empty()) block_.text_option(pcapng::shb_os, provenance.kernel);
    if (!provenance.program.empty()) block_.text_option(pcapng::shb_userappl, provenance.program);
    block_.end_options();
    block_.end();
  }

  void interface_description(const recording::Interface& interface) {
    constexpr std::uint8_t nanoseconds = 9;
    block_.begin(pcapng::interface_description);
    block_.u16(static_cast<std::uint16_t>(interface.link_type));
    block_.u16(0);
    block_.u32(snap_length_);
    if (!interface.host.empty())
      block_.text_option(pcapng::comment, fmt::format("a tap in the network namespace of {}", interface.host));
    if (!interface.name.empty()) block_.text_option(pcapng::if_name, interface.name);
    if (!interface.description.empty()) block_.text_option(pcapng::if_description, interface.description);
    block_.option(pcapng::if_tsresol, {&nanoseconds, 1});
    block_.end_options();
    block_.end();
  }

  base::Status event(std::size_t position) {
    const recording::Event& event = recording_.events[position];
    if (const auto* packet = std::get_if<recording::Packet>(&event.what))
      return enhanced_packet(event, *packet, position);
    return journal(event_entry(recording_, position, recording::message(event, entry_of(event))), {"an event", "事件"});
  }

  // The entry of a call that returns. Calls are noted as they pass, so that writing takes one pass.
  const recording::CallEntered* entry_of(const recording::Event& event) {
    if (const auto* entered = std::get_if<recording::CallEntered>(&event.what))
      calls_.insert_or_assign(entered->call, entered);
    const auto* returned = std::get_if<recording::CallReturned>(&event.what);
    const auto found = returned == nullptr ? calls_.end() : calls_.find(returned->call);
    return found == calls_.end() ? nullptr : found->second;
  }

  base::Status enhanced_packet(const recording::Event& event, const recording::Packet& packet, std::size_t position) {
    TCPWHY_CHECK(packet.interface.value < recording_.interfaces.size());
    const auto ticks = static_cast<std::uint64_t>(base::to_ns(bounded_time(base::to_ns(event.at))));
    block_.begin(pcapng::enhanced_packet);
    block_.u32(packet.interface.value);
    block_.u32(static_cast<std::uint32_t>(ticks >> 32));
    block_.u32(static_cast<std::uint32_t>(ticks));
    block_.u32(static_cast<std::uint32_t>(packet.bytes.size()));
    block_.u32(packet.original_length);
    block_.bytes(packet.bytes);
    block_.pad();
    for (const std::string& comment : packet.comments) block_.text_option(pcapng::comment, comment);
    const std::uint64_t id = position;
    block_.option(pcapng::epb_packetid, {reinterpret_cast<const std::uint8_t*>(&id), sizeof id});
    block_.end_options();
    return checked(block_.end(), {"a packet", "报文"});
  }

  base::Status journal(const std::string& entry, const base::Text& what) {
    block_.begin(pcapng::journal_export);
    block_.text(entry);
    return checked(block_.end(), what);
  }

  static base::Status checked(std::size_t block_length, const base::Text& what) {
    if (block_length <= max_block_bytes) return {};
    return base::fail(base::ErrorKind::system, base::format({"{} of {} bytes does not fit a capture file (at most {})",
                                                             "{}有 {} 字节，抓包文件放不下（最多 {}）"},
                                                            what, block_length, max_block_bytes));
  }

  std::vector<std::uint8_t>& out_;
  BlockWriter block_;
  const Recording& recording_;
  std::uint32_t snap_length_;
  std::map<std::uint32_t, const recording::CallEntered*> calls_;
};

}  // namespace

base::Status write_recordings(std::span<const Recording> recordings, const Sink& sink, Compression compression) {
  const auto compressor = Compressor::make(compression, sink);
  std::vector<std::uint8_t> out;
  const auto hand_over = [&]() -> base::Status {
    auto taken = compressor->write(out);
    out.clear();
    return taken;
  };
  const std::uint32_t snap_length = common_snap_length(recordings);
  for (const Recording& recording : recordings)
    if (auto written = SectionWriter(out, recording, snap_length).write(hand_over); !written) return written;
  return compressor->finish();
}

base::Result<std::vector<std::uint8_t>> encode(std::span<const Recording> recordings) {
  std::vector<std::uint8_t> out;
  const Sink sink = [&out](std::span<const std::uint8_t> piece) {
    out.insert(out.end(), piece.begin(), piece.end());
    return base::Status();
  };
  if (auto written = write_recordings(recordings, sink); !written) return std::unexpected(std::move(written.error()));
  return out;
}

}  // namespace tcpwhy::capfile
