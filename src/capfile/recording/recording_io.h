// Recordings as files, and back. The form is described field by field in docs/FORMAT.md: pcapng in which every event
// that is no packet is a systemd Journal Export Block between the packets, so that Wireshark, tshark, tcpdump and
// capinfos open it.
//
// decode(encode(r)) == r for every recording that holds the rules below (times inside capfile/formats/reader.h's bounds; texts
// that become pcapng options, which are comments, interface names and the like, no longer than 65,535 bytes: they are
// cut there; a packet has no actor).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "capfile/input/compression.h"
#include "capfile/input/input.h"
#include "recording/recording.h"

namespace tcpwhy::capfile {

// What could be read, and what stopped the reading before the end of the file, if anything did.
struct ReadOutcome {
  std::vector<recording::Recording> recordings;
  std::optional<base::Error> stopped_by;
  std::uint64_t memory_bytes = 0;  // what was counted against the limit
};

// 4 GiB, or half of what the machine has.
std::uint64_t memory_for_recordings();

struct ReadLimits {
  // Estimated memory of all recordings together and of what is made of them when they are explained, several times as much; reading
  // stops there, so that a file cannot exhaust the machine (20 bytes of compressed zeros can claim a million packets).
  std::uint64_t memory_bytes = memory_for_recordings();
};

// A classic pcap file gives one recording without actors; each section of a pcapng file gives one recording. The error
// is for an input of which nothing can be read: missing, empty, no capture. Whatever the file says, each recording
// holds these rules, so that what follows need not check them again:
// - Packet::interface is an index into interfaces; Event::actor is invalid or an index into actors;
// - every call number is at most events.size() (larger ones are renumbered in order of appearance); a call is entered
//   once, and returns at most once, after its entry; the optional call of other events names a call that was entered;
// - SegmentCause::packet names a Packet or is not valid, SegmentCause::by, if set, names an event;
// - times lie between earliest_time and latest_time. Events keep the order of the file: order of time in what this
//   program wrote, but a foreign capture may step back in time.
// Rows that break a rule are left out and counted in one Loss event at the end of the recording. Journal blocks of
// other programs, kinds of event and fields that this version does not know are skipped.
base::Result<ReadOutcome> read_recordings(const std::string& path,
                                          const ReadLimits& limits = {});  // "-": standard input
base::Result<ReadOutcome> read_recordings(const Input& input, const ReadLimits& limits = {});
// The same from a descriptor to its end (not closed), or from bytes; `name` is for messages.
base::Result<ReadOutcome> read_recordings_from(int fd, const std::string& name, const ReadLimits& limits = {});
base::Result<ReadOutcome> decode(std::span<const std::uint8_t> bytes, const std::string& name,
                                 const ReadLimits& limits = {});

// Piece by piece, in memory that does not grow with the recordings. Fails when the sink does, or when a single event is larger
// than max_block_bytes: then what has been written is no whole file.
base::Status write_recordings(std::span<const recording::Recording> recordings, const Sink& sink,
                              Compression compression = Compression::none);
base::Result<std::vector<std::uint8_t>> encode(std::span<const recording::Recording> recordings);

}  // namespace tcpwhy::capfile
