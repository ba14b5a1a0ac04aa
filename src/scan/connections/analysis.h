// A whole capture from frames to records. Several threads share the work: scan/connections/parallel_analysis.h says how.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>

#include "base/result.h"
#include "scan/connections/connection_table.h"
#include "scan/connections/record.h"
#include "scan/packets/frame_reader.h"
#include "scan/packets/unread_links.h"

namespace tcpwhy::scan {

struct AnalysisOptions {
  unsigned threads = 1;
  TableLimits limits;                                // of all threads together
  std::uint64_t seed = 0;                            // of the flow hash
  std::function<void(const Progress&)> on_progress;  // called now and then, by one thread at a time; may be empty
};

// What the capture held.
struct Totals {
  std::uint64_t frames = 0, segments = 0;
  std::uint64_t truncated = 0, malformed = 0, fragments = 0, other = 0;  // by wire::Dissection
  std::uint64_t wire_bytes = 0;                                          // original lengths
  std::int64_t first_ns = 0, last_ns = 0;
  std::uint64_t evicted = 0;  // connections that left before their end
  Disorder disorder;          // of the frames as they stand in the file
};

// Called with records as connections end, by one thread at a time, in no particular order.
using OnRecords = std::function<void(std::span<const ConnectionRecord>)>;

struct Outcome {
  Totals totals;
  UnreadLinks unread_links;               // among what the totals have as `other`
  std::optional<base::Error> stopped_by;  // damage: what came before it was analysed
};

// The records are the same whatever the number of threads, as long as nothing is evicted.
Outcome analyse(FrameReader reader, const AnalysisOptions& options, const OnRecords& on_records);

}  // namespace tcpwhy::scan
