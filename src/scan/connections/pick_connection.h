// The one connection that somebody wants to see, out of a whole capture: its segments with the tracker's verdicts, and
// its packets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"
#include "recording/recording.h"
#include "scan/connections/connection_table.h"
#include "scan/connections/network.h"
#include "scan/connections/record.h"
#include "scan/packets/frame_reader.h"
#include "tcp/seen_connection.h"

namespace tcpwhy::scan {

// Connections are numbered by their first frames, from 0.
struct ByNumber {
  std::uint64_t number = 0;
};
// Or those of which an end fits.
using Choice = std::variant<ByNumber, EndPattern>;

enum class KeepPackets : std::uint8_t { none, headers, all };

struct PickOptions {
  KeepPackets packets = KeepPackets::none;
  // About 300 bytes each, and the packets. Of a longer connection the first three quarters and the last quarter of this
  // are kept.
  std::size_t most_segments = 200'000;
  std::size_t most_candidates = 20;
  TableLimits table;
};

struct Candidate {
  std::uint64_t number = 0, first_frame = 0;
  tcp::PerEnd<wire::SocketAddress> ends;
};

struct Picked {
  tcp::SeenConnection seen;
  ConnectionRecord record;  // as tables have it; ICMP errors that quote it included
  Left left = Left::capture_end;
  // With PickOptions::packets: the i-th segment's packet is the i-th event.
  recording::Recording packets;
};

struct PickOutcome {
  std::uint64_t connections = 0;          // of the capture
  std::uint64_t matches = 0;              // connections that the choice fits
  std::vector<Candidate> candidates;      // the first of them
  std::optional<Picked> picked;           // if there is exactly one
  std::optional<base::Error> stopped_by;  // damage: what came before it was looked at
};

// Opens the capture; a second time only in the rare case that a connection turns out, in the middle of the capture, to
// have begun before others that were numbered already. An input that can't be opened twice then gives an error, as does one of whose
// packets none has a link type that is known.
using OpenCapture = std::function<base::Result<FrameReader>()>;
base::Result<PickOutcome> pick_connection(const OpenCapture& open, const Choice& choice, const PickOptions& options);

}  // namespace tcpwhy::scan
