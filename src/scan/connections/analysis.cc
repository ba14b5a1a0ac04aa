#include "scan/connections/analysis.h"

#include <algorithm>
#include <deque>
#include <mutex>
#include <utility>

#include "scan/connections/parallel_analysis.h"
#include "scan/connections/shard.h"

namespace tcpwhy::scan {
namespace {

constexpr unsigned most_threads = 64;

// Reads to the end, or to the damage.
Outcome analyse_alone(FrameReader& reader, Shard& shard, const AnalysisOptions& options) {
  constexpr std::uint64_t frames_between_progress = 1U << 16U;
  Outcome outcome;
  Frame frame;
  for (;;) {
    const auto more = reader.next(frame);
    if (!more) outcome.stopped_by = more.error();
    if (!more || !*more) break;
    count(outcome.totals, frame);
    if (has_flow(frame)) shard.take(frame);
    if (options.on_progress && outcome.totals.frames % frames_between_progress == 0)
      options.on_progress(reader.progress());
  }
  shard.finish(outcome.totals.last_ns);
  outcome.totals.disorder = reader.disorder();
  return outcome;
}

}  // namespace

Outcome analyse(FrameReader reader, const AnalysisOptions& options, const OnRecords& on_records) {
  const unsigned threads = std::clamp(options.threads, 1U, most_threads);
  TableLimits limits = options.limits;
  limits.open = std::max<std::size_t>(1, limits.open / threads);
  limits.over = std::max<std::size_t>(1, limits.over / threads);
  std::mutex mutex;
  std::deque<Shard> shards;
  for (unsigned i = 0; i < threads; ++i) shards.emplace_back(limits, options.seed, on_records, mutex);
  Outcome outcome =
      threads == 1 ? analyse_alone(reader, shards[0], options) : analyse_in_parallel(reader, shards, options);
  outcome.unread_links = reader.unread_links();
  for (const Shard& shard : shards) outcome.totals.evicted += shard.evicted();
  return outcome;
}

}  // namespace tcpwhy::scan
