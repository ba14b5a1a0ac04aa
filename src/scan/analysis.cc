#include "scan/analysis.h"

#include <algorithm>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace tcpwhy::scan {
namespace {

constexpr unsigned most_threads = 64;
constexpr std::size_t records_together = 256;

// Records go out together: a lock for each would cost more than making it.
class Outlet {
 public:
  Outlet(const OnRecords& on_records, std::mutex& mutex) : on_records_(on_records), mutex_(mutex) {}
  void put(ConnectionRecord record) {
    records_.push_back(std::move(record));
    if (records_.size() >= records_together) flush();
  }
  void flush() {
    if (records_.empty()) return;
    const std::lock_guard lock(mutex_);
    on_records_(records_);
    records_.clear();
  }

 private:
  const OnRecords& on_records_;
  std::mutex& mutex_;
  std::vector<ConnectionRecord> records_;
};

class Shard {
 public:
  Shard(const TableLimits& limits, std::uint64_t seed, const OnRecords& on_records, std::mutex& mutex)
      : outlet_(on_records, mutex),
        table_(limits, seed, [this](Connection& connection, Left left) { outlet_.put(record_of(connection, left)); }) {}

  void take(const Frame& frame) {
    const wire::DissectedPacket& packet = frame.packet;
    if (packet.kind == wire::Dissection::icmp_error) {
      table_.take_icmp(frame.number, packet.segment, packet.icmp, packet.encapsulation);
    } else {
      table_.take(frame.number, base::to_ns(frame.at), packet.segment, packet.encapsulation);
    }
  }
  void finish() {
    table_.finish();
    outlet_.flush();
  }
  [[nodiscard]] std::uint64_t evicted() const { return table_.evicted(); }

 private:
  Outlet outlet_;
  ConnectionTable table_;
};

void count(Totals& totals, const Frame& frame) {
  const std::int64_t at_ns = base::to_ns(frame.at);
  if (totals.frames++ == 0) totals.first_ns = totals.last_ns = at_ns;
  totals.first_ns = std::min(totals.first_ns, at_ns);
  totals.last_ns = std::max(totals.last_ns, at_ns);
  totals.wire_bytes += frame.original_length;
  switch (frame.packet.kind) {
    case wire::Dissection::tcp: ++totals.segments; break;
    case wire::Dissection::truncated: ++totals.truncated; break;
    case wire::Dissection::malformed: ++totals.malformed; break;
    case wire::Dissection::fragment: ++totals.fragments; break;
    default: ++totals.other; break;
  }
}

void add(Totals& sum, const Totals& part) {
  if (part.frames == 0) return;
  sum.first_ns = sum.frames == 0 ? part.first_ns : std::min(sum.first_ns, part.first_ns);
  sum.last_ns = sum.frames == 0 ? part.last_ns : std::max(sum.last_ns, part.last_ns);
  sum.frames += part.frames;
  sum.segments += part.segments;
  sum.truncated += part.truncated;
  sum.malformed += part.malformed;
  sum.fragments += part.fragments;
  sum.other += part.other;
  sum.wire_bytes += part.wire_bytes;
  sum.evicted += part.evicted;
}

bool has_flow(const Frame& frame) {
  return frame.packet.kind == wire::Dissection::tcp || frame.packet.kind == wire::Dissection::icmp_error;
}

// What belongs to no flow counts for the first.
bool is_ours(const Frame& frame, const FrameShare& share) {
  if (share.count == 1) return true;
  if (!has_flow(frame)) return share.index == 0;
  const wire::TcpSegment& segment = frame.packet.segment;
  return share_of(segment.source, segment.destination, share.count, share.seed) == share.index;
}

// Reads to the end, or to the damage.
Outcome run(FrameReader& reader, const FrameShare& share, const AnalysisOptions& options, Shard& shard) {
  constexpr std::uint64_t frames_between_progress = 1U << 16U;
  Outcome outcome;
  Frame frame;
  for (;;) {
    const auto more = reader.next(frame);
    if (!more) outcome.stopped_by = more.error();
    if (!more || !*more) break;
    if (!is_ours(frame, share)) continue;
    count(outcome.totals, frame);
    if (has_flow(frame)) shard.take(frame);
    if (share.index == 0 && options.on_progress && outcome.totals.frames % frames_between_progress == 0)
      options.on_progress(reader.progress());
  }
  shard.finish();
  outcome.totals.evicted = shard.evicted();
  return outcome;
}

}  // namespace

base::Result<Outcome> analyse(const OpenFrames& open, const AnalysisOptions& options, const OnRecords& on_records) {
  const unsigned threads = std::clamp(options.threads, 1U, most_threads);
  TableLimits limits = options.limits;
  limits.open = std::max<std::size_t>(1, limits.open / threads);
  limits.over = std::max<std::size_t>(1, limits.over / threads);
  struct Part {
    FrameShare share;
    FrameReader reader;
    std::unique_ptr<Shard> shard;  // its parts know each other's places
    Outcome outcome;
  };
  std::mutex mutex;
  std::deque<Part> parts;
  for (unsigned i = 0; i < threads; ++i) {
    const FrameShare share{i, threads, options.seed};
    auto reader = open(share);
    if (!reader) return std::unexpected(std::move(reader.error()));
    parts.emplace_back(share, std::move(*reader), std::make_unique<Shard>(limits, options.seed, on_records, mutex),
                       Outcome{});
  }
  {
    std::vector<std::jthread> others;
    for (unsigned i = 1; i < threads; ++i)
      others.emplace_back(
          [&options, &part = parts[i]] { part.outcome = run(part.reader, part.share, options, *part.shard); });
    parts[0].outcome = run(parts[0].reader, parts[0].share, options, *parts[0].shard);
  }
  Outcome outcome{.totals = {}, .stopped_by = std::move(parts[0].outcome.stopped_by)};
  for (const Part& part : parts) add(outcome.totals, part.outcome.totals);
  return outcome;
}

}  // namespace tcpwhy::scan
