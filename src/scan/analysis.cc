#include "scan/analysis.h"

#include <algorithm>
#include <array>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

namespace tcpwhy::scan {
namespace {

// Enough that handing over costs little, and small enough for the cache.
constexpr std::size_t batch_size = 256;
constexpr std::size_t batches = 12;
constexpr unsigned most_trackers = 64;
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

// Frames dissected in place, which every worker walks through, taking those of its shard: nothing is copied on the way.
struct Batch {
  std::vector<Frame> frames = std::vector<Frame>(batch_size);
  std::array<std::uint8_t, batch_size> shards{};
  std::size_t size = 0;
  unsigned readers = 0;  // workers that are not done with it
};

// Batches go from the reader to each worker, and back when the last one is done.
class Exchange {
 public:
  explicit Exchange(unsigned workers) : queues_(workers), all_(batches) {
    for (Batch& batch : all_) free_.push_back(&batch);
  }
  Batch& empty() {
    std::unique_lock lock(mutex_);
    freed_.wait(lock, [this] { return !free_.empty(); });
    Batch& batch = *free_.back();
    free_.pop_back();
    batch.size = 0;
    return batch;
  }
  void publish(Batch& batch) {
    {
      const std::lock_guard lock(mutex_);
      batch.readers = static_cast<unsigned>(queues_.size());
      for (auto& queue : queues_) queue.push_back(&batch);
    }
    filled_.notify_all();
  }
  void finish() {
    {
      const std::lock_guard lock(mutex_);
      finished_ = true;
    }
    filled_.notify_all();
  }
  // The next one for this worker, `done` given back; null at the end.
  const Batch* next(unsigned worker, const Batch* done) {
    std::unique_lock lock(mutex_);
    if (done != nullptr) give_back(const_cast<Batch&>(*done));
    auto& queue = queues_[worker];
    filled_.wait(lock, [&] { return !queue.empty() || finished_; });
    if (queue.empty()) return nullptr;
    const Batch* batch = queue.front();
    queue.pop_front();
    return batch;
  }

 private:
  void give_back(Batch& batch) {
    if (--batch.readers > 0) return;
    free_.push_back(&batch);
    freed_.notify_one();
  }

  std::mutex mutex_;
  std::condition_variable filled_, freed_;
  std::vector<std::deque<Batch*>> queues_;
  std::vector<Batch> all_;
  std::vector<Batch*> free_;
  bool finished_ = false;
};

void work(Exchange& exchange, unsigned worker, Shard& shard) {
  const Batch* batch = nullptr;
  while ((batch = exchange.next(worker, batch)) != nullptr)
    for (std::size_t i = 0; i < batch->size; ++i)
      if (batch->shards[i] == worker) shard.take(batch->frames[i]);
  shard.finish();
}

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

// Reads to the end, or to the damage, and gives each segment to `take`.
// Reads to the end, or to the damage. `slot` says where the next frame goes; `take` gets it if it is one of TCP.
template <class Slot, class Take>
Outcome read_all(FrameReader& reader, const AnalysisOptions& options, const Slot& slot, const Take& take) {
  constexpr std::uint64_t frames_between_progress = 1U << 16U;
  Outcome outcome;
  for (;;) {
    Frame& frame = slot();
    const auto more = reader.next(frame);
    if (!more) outcome.stopped_by = more.error();
    if (!more || !*more) return outcome;
    count(outcome.totals, frame);
    if (options.on_progress && outcome.totals.frames % frames_between_progress == 0)
      options.on_progress(reader.progress());
    if (frame.packet.kind != wire::Dissection::tcp && frame.packet.kind != wire::Dissection::icmp_error) continue;
    frame.packet.segment.payload = frame.bytes = {};  // the reader's memory
    take(frame);
  }
}

}  // namespace

Outcome analyse(FrameReader& reader, const AnalysisOptions& options, const OnRecords& on_records) {
  std::mutex mutex;
  const unsigned processors = std::max(1U, std::thread::hardware_concurrency());
  const unsigned trackers = std::min(options.trackers == 0 ? processors : options.trackers, most_trackers);
  if (trackers == 1) {
    Shard shard(options.limits, options.seed, on_records, mutex);
    Frame frame;
    Outcome outcome =
        read_all(reader, options, [&]() -> Frame& { return frame; }, [&](const Frame& read) { shard.take(read); });
    shard.finish();
    outcome.totals.evicted = shard.evicted();
    return outcome;
  }
  TableLimits limits = options.limits;
  limits.open = std::max<std::size_t>(1, limits.open / trackers);
  limits.over = std::max<std::size_t>(1, limits.over / trackers);
  Exchange exchange(trackers);
  std::deque<Shard> shards;
  std::vector<std::jthread> threads;
  for (unsigned i = 0; i < trackers; ++i) {
    Shard& shard = shards.emplace_back(limits, options.seed, on_records, mutex);
    threads.emplace_back([&exchange, &shard, i] { work(exchange, i, shard); });
  }
  Batch* batch = &exchange.empty();
  Outcome outcome = read_all(
      reader, options, [&]() -> Frame& { return batch->frames[batch->size]; },
      [&](const Frame& frame) {
        const std::uint64_t hash = hash_of(key_of(frame.packet.segment, frame.packet.encapsulation), options.seed);
        // The upper half chooses: the table of a shard uses the lower.
        batch->shards[batch->size++] = static_cast<std::uint8_t>((hash >> 32U) * trackers >> 32U);
        if (batch->size < batch_size) return;
        exchange.publish(*batch);
        batch = &exchange.empty();
      });
  exchange.publish(*batch);
  exchange.finish();
  threads.clear();  // joined
  for (const Shard& shard : shards) outcome.totals.evicted += shard.evicted();
  return outcome;
}

}  // namespace tcpwhy::scan
