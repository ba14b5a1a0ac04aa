// A whole capture from frames to records. Several threads each read all of it, but dissect and track only the flows of their share: they have
// nothing to tell each other.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>

#include "base/result.h"
#include "scan/connection_table.h"
#include "scan/frame_reader.h"
#include "scan/record.h"

namespace tcpwhy::scan {

struct AnalysisOptions {
  unsigned threads = 1;
  TableLimits limits;                                // of all threads together
  std::uint64_t seed = 0;                            // of the flow hash
  std::function<void(const Progress&)> on_progress;  // called now and then by the first thread; may be empty
};

// What the capture held.
struct Totals {
  std::uint64_t frames = 0, segments = 0;
  std::uint64_t truncated = 0, malformed = 0, fragments = 0, other = 0;  // by wire::Dissection
  std::uint64_t wire_bytes = 0;                                          // original lengths
  std::int64_t first_ns = 0, last_ns = 0;
  std::uint64_t evicted = 0;  // connections that left before their end
};

// Called with records as connections end, by one thread at a time, in no particular order.
using OnRecords = std::function<void(std::span<const ConnectionRecord>)>;

struct Outcome {
  Totals totals;
  std::optional<base::Error> stopped_by;  // damage: what came before it was analysed
};

// Opens the capture for one thread. Called once for each, all in the same thread; an input that can't be read twice must have one.
using OpenFrames = std::function<base::Result<FrameReader>(const FrameShare& share)>;

// The error is that of opening.
base::Result<Outcome> analyse(const OpenFrames& open, const AnalysisOptions& options, const OnRecords& on_records);

}  // namespace tcpwhy::scan
