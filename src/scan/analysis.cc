#include "scan/analysis.h"

#include <algorithm>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace tcpwhy::scan {
namespace {

struct Item {
  std::uint64_t frame = 0;
  std::int64_t at_ns = 0;
  wire::TcpSegment segment;  // or what an ICMP error quotes
  wire::Encapsulation around;
  bool quoted = false;
  wire::IcmpError icmp;
};
using Batch = std::vector<Item>;

// Enough that handing over costs little, and small enough for the cache.
constexpr std::size_t batch_size = 512;
constexpr std::size_t batches_waiting = 8;
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

  void take(const Item& item) {
    if (item.quoted) {
      table_.take_icmp(item.frame, item.segment, item.icmp, item.around);
    } else {
      table_.take(item.frame, item.at_ns, item.segment, item.around);
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

// A shard with a thread of its own, fed by batches; emptied batches go back, so that nothing is allocated on the way.
class Worker {
 public:
  template <class... Arguments>
  explicit Worker(Arguments&&... arguments) : shard_(std::forward<Arguments>(arguments)...) {
    batch_.reserve(batch_size);
    thread_ = std::thread([this] { run(); });
  }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  ~Worker() { stop(); }

  void take(const Item& item) {
    batch_.push_back(item);
    if (batch_.size() >= batch_size) hand_over();
  }
  void stop() {
    if (!thread_.joinable()) return;
    hand_over();
    {
      const std::lock_guard lock(mutex_);
      finished_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  [[nodiscard]] std::uint64_t evicted() const { return shard_.evicted(); }

 private:
  void hand_over() {
    if (batch_.empty()) return;
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return full_.size() < batches_waiting; });
    full_.push_back(std::move(batch_));
    batch_ = {};
    if (!empty_.empty()) {
      batch_ = std::move(empty_.back());
      empty_.pop_back();
    }
    lock.unlock();
    changed_.notify_all();
    batch_.reserve(batch_size);
  }
  void run() {
    std::vector<Batch> mine;
    for (;;) {
      {
        std::unique_lock lock(mutex_);
        for (Batch& batch : mine) {
          batch.clear();
          empty_.push_back(std::move(batch));
        }
        mine.clear();
        changed_.wait(lock, [this] { return !full_.empty() || finished_; });
        if (full_.empty()) break;
        mine.swap(full_);
      }
      changed_.notify_all();
      for (const Batch& batch : mine)
        for (const Item& item : batch) shard_.take(item);
    }
    shard_.finish();
  }

  Shard shard_;
  Batch batch_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Batch> full_, empty_;
  bool finished_ = false;
  std::thread thread_;
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

// Reads to the end, or to the damage, and gives each segment to `take`.
template <class Take>
Outcome read_all(FrameReader& reader, const AnalysisOptions& options, const Take& take) {
  constexpr std::uint64_t frames_between_progress = 1U << 16U;
  Outcome outcome;
  Frame frame;
  for (;;) {
    const auto more = reader.next(frame);
    if (!more) outcome.stopped_by = more.error();
    if (!more || !*more) return outcome;
    count(outcome.totals, frame);
    if (options.on_progress && outcome.totals.frames % frames_between_progress == 0)
      options.on_progress(reader.progress());
    const wire::DissectedPacket& packet = frame.packet;
    const bool quoted = packet.kind == wire::Dissection::icmp_error;
    if (packet.kind == wire::Dissection::tcp || quoted) take(frame, quoted);
  }
}

Item item_of(const Frame& frame, bool quoted) {
  Item item{frame.number, base::to_ns(frame.at), frame.packet.segment, frame.packet.encapsulation, quoted, {}};
  item.segment.payload = {};  // the reader's memory
  if (quoted) item.icmp = frame.packet.icmp;
  return item;
}

}  // namespace

Outcome analyse(FrameReader& reader, const AnalysisOptions& options, const OnRecords& on_records) {
  std::mutex mutex;
  const unsigned processors = std::max(1U, std::thread::hardware_concurrency());
  const unsigned trackers = options.trackers == 0 ? processors : options.trackers;
  if (trackers == 1) {
    Shard shard(options.limits, options.seed, on_records, mutex);
    Outcome outcome =
        read_all(reader, options, [&](const Frame& frame, bool quoted) { shard.take(item_of(frame, quoted)); });
    shard.finish();
    outcome.totals.evicted = shard.evicted();
    return outcome;
  }
  TableLimits limits = options.limits;
  limits.open = std::max<std::size_t>(1, limits.open / trackers);
  limits.over = std::max<std::size_t>(1, limits.over / trackers);
  std::vector<std::unique_ptr<Worker>> workers;
  for (unsigned i = 0; i < trackers; ++i)
    workers.push_back(std::make_unique<Worker>(limits, options.seed, on_records, mutex));
  Outcome outcome = read_all(reader, options, [&](const Frame& frame, bool quoted) {
    const std::uint64_t hash = hash_of(key_of(frame.packet.segment, frame.packet.encapsulation), options.seed);
    // The upper half chooses: the table of a shard uses the lower.
    const auto shard = static_cast<std::size_t>((hash >> 32U) * trackers >> 32U);
    workers[shard]->take(item_of(frame, quoted));
  });
  for (auto& worker : workers) worker->stop();
  for (auto& worker : workers) outcome.totals.evicted += worker->evicted();
  return outcome;
}

}  // namespace tcpwhy::scan
