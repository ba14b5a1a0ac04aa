// The analysis of one capture by several threads. Private to the analysis.
//
// The capture is read once, in batches of some hundred frames that go through these hands:
//   read      by one thread at a time, in order: the records' headers say where the frames lie
//   dissect   by the thread that read it, while another reads the next
//   complete  by one thread at a time, in order: fragments are put together, where there are some
//   track     by each shard, in order: the thread it belongs to takes the sightings of its flows
// So every shard sees what it would see if one thread did everything.
#pragma once

#include <deque>

#include "scan/connections/analysis.h"
#include "scan/connections/shard.h"
#include "scan/packets/frame_reader.h"

namespace tcpwhy::scan {

// With a thread for each shard, the caller's among them. Its totals lack what was evicted.
Outcome analyse_in_parallel(FrameReader& reader, std::deque<Shard>& shards, const AnalysisOptions& options);

}  // namespace tcpwhy::scan
