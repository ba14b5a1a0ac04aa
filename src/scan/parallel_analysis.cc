#include "scan/parallel_analysis.h"

#include <algorithm>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "scan/flow_key.h"

namespace tcpwhy::scan {
namespace {

// What is on its way at a time: enough that no thread waits for another, and little enough to stay in the processors' caches.
constexpr std::size_t frames_a_batch = 512;
constexpr std::size_t bytes_a_batch = 256U << 10U;
constexpr std::size_t batches_a_thread = 4;
constexpr std::size_t most_bytes = 16U << 20U;

constexpr std::uint64_t frames_between_progress = 1U << 16U;

struct Batch {
  std::vector<RawFrame> frames;
  std::vector<capfile::SharedBytes> memory;  // where they lie
  std::size_t bytes = 0;

  std::vector<std::vector<Sighting>> sightings;  // for each shard, in the order of the frames
  std::vector<std::size_t> fragmented;           // indices of `frames`, which wait for completion
  Totals totals;

  bool dissected = false;
  std::size_t shards_done = 0;
};

class Pipeline {
 public:
  Pipeline(FrameReader& reader, std::deque<Shard>& shards, const AnalysisOptions& options)
      : reader_(reader), shards_(shards), options_(options), tracked_(shards.size()) {}

  // Until nothing is left to do for this shard.
  void work(std::size_t shard) {
    std::unique_lock lock(mutex_);
    while (true) {
      if (tracked_[shard] < complete_) {
        track(shard, lock);
      } else if (may_read()) {
        read(lock);
      } else if (at_end_ && tracked_[shard] == first_ + batches_.size()) {
        break;
      } else {
        changed_.wait(lock);
      }
    }
    lock.unlock();
    shards_[shard].finish();
  }
  // When all have come back.
  Outcome outcome() { return std::move(outcome_); }

 private:
  using Lock = std::unique_lock<std::mutex>;

  [[nodiscard]] bool may_read() const {
    return !reading_ && !at_end_ && batches_.size() < batches_a_thread * shards_.size() && bytes_ < most_bytes;
  }

  // Reads a batch and dissects it, and completes all that can be.
  void read(Lock& lock) {
    reading_ = true;
    if (spare_.empty()) spare_.push_back(std::make_unique<Batch>());
    Batch& batch = *batches_.emplace_back(std::move(spare_.back()));
    spare_.pop_back();
    lock.unlock();
    const bool more = fill(batch);
    lock.lock();
    reading_ = false;
    at_end_ = !more;
    bytes_ += batch.bytes;
    changed_.notify_all();
    lock.unlock();
    dissect(batch);
    lock.lock();
    batch.dissected = true;
    complete(lock);
  }

  // The memory of the batch's former frames is let go here, where nobody else reads.
  bool fill(Batch& batch) {
    batch.frames.clear();
    batch.memory.clear();
    batch.bytes = 0;
    while (batch.frames.size() < frames_a_batch && batch.bytes < bytes_a_batch) {
      const capfile::SharedBytes* memory = nullptr;
      RawFrame frame;
      const auto more = reader_.read_raw(frame, memory);
      if (!more) outcome_.stopped_by = more.error();
      if (!more || !*more) return false;
      batch.bytes += frame.bytes.size();
      if (batch.memory.empty() || batch.memory.back() != *memory) batch.memory.push_back(*memory);
      batch.frames.push_back(frame);
      if (options_.on_progress && ++frames_read_ % frames_between_progress == 0) options_.on_progress(reader_.progress());
    }
    return true;
  }

  void dissect(Batch& batch) const {
    batch.sightings.resize(shards_.size());
    for (auto& of_shard : batch.sightings) of_shard.clear();
    batch.fragmented.clear();
    batch.totals = {};
    Frame frame;
    for (std::size_t i = 0; i < batch.frames.size(); ++i) {
      static_cast<RawFrame&>(frame) = batch.frames[i];
      reader_.dissect(frame);
      if (frame.packet.fragmented) [[unlikely]] {
        batch.fragmented.push_back(i);
        continue;
      }
      count(batch.totals, frame);
      if (has_flow(frame)) add_sighting(shard_of(batch, frame), frame);
    }
  }

  [[nodiscard]] std::vector<Sighting>& shard_of(Batch& batch, const Frame& frame) const {
    const wire::TcpSegment& segment = frame.packet.segment;
    const auto count = static_cast<unsigned>(shards_.size());
    return batch.sightings[share_of(segment.source, segment.destination, count, options_.seed)];
  }

  static void add_sighting(std::vector<Sighting>& to, const Frame& frame) {
    Sighting& sighting = to.emplace_back();
    sighting.frame = frame.number;
    sighting.at_ns = base::to_ns(frame.at);
    sighting.around = frame.packet.encapsulation;
    sighting.segment = frame.packet.segment;
    if (frame.packet.kind == wire::Dissection::icmp_error) sighting.error = frame.packet.icmp;
  }

  // The oldest batches that have been dissected, in order, by one thread at a time.
  void complete(Lock& lock) {
    if (completing_) return;
    completing_ = true;
    while (complete_ < first_ + batches_.size() && batches_[complete_ - first_]->dissected) {
      Batch& batch = *batches_[complete_ - first_];
      if (!batch.fragmented.empty()) {
        lock.unlock();
        reassemble(batch);
        lock.lock();
      }
      add(outcome_.totals, batch.totals);
      ++complete_;
    }
    completing_ = false;
    changed_.notify_all();
  }

  void reassemble(Batch& batch) {
    Frame frame;
    for (const std::size_t index : batch.fragmented) {
      static_cast<RawFrame&>(frame) = batch.frames[index];
      reader_.dissect(frame);
      reader_.reassemble(frame);
      count(batch.totals, frame);
      if (!has_flow(frame)) continue;
      std::vector<Sighting>& sightings = shard_of(batch, frame);
      add_sighting(sightings, frame);
      const auto last = std::prev(sightings.end());
      std::rotate(std::ranges::upper_bound(sightings.begin(), last, frame.number, {}, &Sighting::frame), last,
                  sightings.end());
    }
  }

  void track(std::size_t shard, Lock& lock) {
    Batch& batch = *batches_[tracked_[shard] - first_];
    lock.unlock();
    for (const Sighting& sighting : batch.sightings[shard]) shards_[shard].take(sighting);
    lock.lock();
    ++tracked_[shard];
    if (++batch.shards_done == shards_.size()) let_go();
  }

  // Of the oldest batches those that every shard is done with.
  void let_go() {
    while (!batches_.empty() && batches_.front()->shards_done == shards_.size()) {
      Batch& batch = *spare_.emplace_back(std::move(batches_.front()));
      batches_.pop_front();
      ++first_;
      bytes_ -= batch.bytes;
      batch.dissected = false;
      batch.shards_done = 0;
    }
    changed_.notify_all();
  }

  FrameReader& reader_;
  std::deque<Shard>& shards_;
  const AnalysisOptions& options_;
  std::uint64_t frames_read_ = 0;  // the reading thread's

  std::mutex mutex_;  // of all that follows, but for what is inside a batch: that belongs to whose hands it is in
  std::condition_variable changed_;
  std::deque<std::unique_ptr<Batch>> batches_;  // on their way, in order; numbered from first_ on
  std::vector<std::unique_ptr<Batch>> spare_;
  std::size_t first_ = 0;
  std::size_t complete_ = 0;          // the number of the first batch that is not
  std::vector<std::size_t> tracked_;  // by shard: the number of the first batch that it has not taken
  std::size_t bytes_ = 0;
  bool reading_ = false, completing_ = false, at_end_ = false;
  Outcome outcome_;
};

}  // namespace

Outcome analyse_in_parallel(FrameReader& reader, std::deque<Shard>& shards, const AnalysisOptions& options) {
  Pipeline pipeline(reader, shards, options);
  {
    std::vector<std::jthread> others;
    for (std::size_t i = 1; i < shards.size(); ++i) others.emplace_back([&pipeline, i] { pipeline.work(i); });
    pipeline.work(0);
  }
  return pipeline.outcome();
}

}  // namespace tcpwhy::scan
