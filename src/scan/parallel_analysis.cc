#include "scan/parallel_analysis.h"

#include <algorithm>
#include <atomic>
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
constexpr std::size_t frames_a_batch = 2048;
constexpr std::size_t bytes_a_batch = 512U << 10U;
constexpr std::size_t batches_a_thread = 4;
constexpr std::size_t most_bytes = 16U << 20U;

constexpr std::uint64_t frames_between_progress = 1U << 16U;

// Frames that were read and wait to be dissected.
struct Reading {
  std::vector<RawFrame> frames;
  std::vector<capfile::SharedBytes> memory;  // where they lie
  std::size_t bytes = 0;
};

struct Batch {
  std::unique_ptr<Reading> reading;     // until it is complete
  std::vector<Sightings> sightings;     // for each shard
  std::vector<std::size_t> fragmented;  // indices of the frames that wait for completion
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
      if (may_begin() && read_ahead(lock)) continue;
      if (may_begin() && !reading_) {
        read(lock);
      } else if (tracked_[shard] < complete_) {
        track(shard, lock);
      } else if (at_end_ && tracked_[shard] == first_ + batches_.size()) {
        break;
      } else {
        wait(lock);
      }
    }
    lock.unlock();
    shards_[shard].finish();
  }
  // When all have come back.
  Outcome outcome() { return std::move(outcome_); }

 private:
  using Lock = std::unique_lock<std::mutex>;

  // The others' steps are short: for most of them it is quicker to look again a few times than to sleep and be woken.
  void wait(Lock& lock) {
    constexpr int looks = 2000;
    const std::uint32_t seen = changes_.load(std::memory_order_relaxed);
    lock.unlock();
    for (int i = 0; i < looks && changes_.load(std::memory_order_relaxed) == seen; ++i) __builtin_ia32_pause();
    lock.lock();
    if (changes_.load(std::memory_order_relaxed) == seen) changed_.wait(lock);
  }
  // With the lock held.
  void tell_change() {
    changes_.fetch_add(1, std::memory_order_relaxed);
    changed_.notify_all();
  }

  [[nodiscard]] bool may_begin() const {
    return !at_end_ && batches_.size() < batches_a_thread * shards_.size() && bytes_ < most_bytes;
  }

  template <class T>
  static std::unique_ptr<T> take(std::vector<std::unique_ptr<T>>& spare) {
    if (spare.empty()) return std::make_unique<T>();
    auto taken = std::move(spare.back());
    spare.pop_back();
    return taken;
  }

  // Whether there was something to read ahead.
  bool read_ahead(Lock& lock) {
    if (!ahead_) return false;
    const auto ahead = ahead_;
    lock.unlock();
    const bool loaded = ahead->load();
    lock.lock();
    return loaded;
  }

  // Reads a batch and dissects it, and completes all that can be.
  void read(Lock& lock) {
    reading_ = true;
    Batch& batch = *batches_.emplace_back(take(spare_));
    batch.reading = take(spare_readings_);
    lock.unlock();
    const bool more = fill(*batch.reading);
    lock.lock();
    reading_ = false;
    at_end_ = !more;
    ahead_ = more ? reader_.read_ahead() : nullptr;
    bytes_ += batch.reading->bytes;
    tell_change();
    lock.unlock();
    dissect(batch);
    lock.lock();
    batch.dissected = true;
    complete(lock);
  }

  // The memory of former frames is let go here, where nobody else reads.
  bool fill(Reading& reading) {
    reading.frames.clear();
    reading.memory.clear();
    reading.bytes = 0;
    while (reading.frames.size() < frames_a_batch && reading.bytes < bytes_a_batch) {
      const capfile::SharedBytes* memory = nullptr;
      RawFrame& frame = reading.frames.emplace_back();
      const auto more = reader_.read_raw(frame, memory);
      if (!more) outcome_.stopped_by = more.error();
      if (!more || !*more) {
        reading.frames.pop_back();
        return false;
      }
      reading.bytes += frame.bytes.size();
      if (reading.memory.empty() || reading.memory.back() != *memory) reading.memory.push_back(*memory);
      if (options_.on_progress && ++frames_read_ % frames_between_progress == 0) options_.on_progress(reader_.progress());
    }
    return true;
  }

  void dissect(Batch& batch) const {
    batch.sightings.resize(shards_.size());
    for (Sightings& of_shard : batch.sightings) of_shard.clear();
    batch.fragmented.clear();
    batch.totals = {};
    Frame frame;
    for (std::size_t i = 0; i < batch.reading->frames.size(); ++i) {
      static_cast<RawFrame&>(frame) = batch.reading->frames[i];
      reader_.dissect(frame);
      if (frame.packet.fragmented) [[unlikely]] {
        batch.fragmented.push_back(i);
        continue;
      }
      count(batch.totals, frame);
      if (has_flow(frame)) sightings_of(batch, frame).add(frame);
    }
  }

  [[nodiscard]] Sightings& sightings_of(Batch& batch, const Frame& frame) const {
    const wire::TcpSegment& segment = frame.packet.segment;
    const auto count = static_cast<unsigned>(shards_.size());
    return batch.sightings[share_of(segment.source, segment.destination, count, options_.seed)];
  }

  // The oldest batches that have been dissected, in order, by one thread at a time.
  void complete(Lock& lock) {
    if (completing_) return;
    completing_ = true;
    const std::size_t before = complete_;
    while (complete_ < first_ + batches_.size() && batches_[complete_ - first_]->dissected) {
      Batch& batch = *batches_[complete_ - first_];
      if (!batch.fragmented.empty()) {
        lock.unlock();
        reassemble(batch);
        lock.lock();
      }
      add(outcome_.totals, batch.totals);
      bytes_ -= batch.reading->bytes;
      spare_readings_.push_back(std::move(batch.reading));
      ++complete_;
    }
    completing_ = false;
    if (complete_ != before) tell_change();
  }

  void reassemble(Batch& batch) {
    Frame frame;
    for (const std::size_t index : batch.fragmented) {
      static_cast<RawFrame&>(frame) = batch.reading->frames[index];
      reader_.dissect(frame);
      reader_.reassemble(frame);
      count(batch.totals, frame);
      if (has_flow(frame)) sightings_of(batch, frame).insert(frame);
    }
  }

  void track(std::size_t shard, Lock& lock) {
    Batch& batch = *batches_[tracked_[shard] - first_];
    lock.unlock();
    batch.sightings[shard].for_each([&to = shards_[shard]](const Sighting& sighting) { to.take(sighting); });
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
      batch.dissected = false;
      batch.shards_done = 0;
    }
    tell_change();
  }

  FrameReader& reader_;
  std::deque<Shard>& shards_;
  const AnalysisOptions& options_;
  std::uint64_t frames_read_ = 0;  // the reading thread's

  std::mutex mutex_;  // of all that follows, but for what is inside a batch: that belongs to whose hands it is in
  std::condition_variable changed_;
  std::atomic<std::uint32_t> changes_ = 0;
  std::deque<std::unique_ptr<Batch>> batches_;  // on their way, in order; numbered from first_ on
  std::vector<std::unique_ptr<Batch>> spare_;
  std::vector<std::unique_ptr<Reading>> spare_readings_;
  std::shared_ptr<capfile::ReadAhead> ahead_;  // what the reader has for who helps it
  std::size_t first_ = 0;
  std::size_t complete_ = 0;          // the number of the first batch that is not
  std::vector<std::size_t> tracked_;  // by shard: the number of the first batch that it has not taken
  std::size_t bytes_ = 0;             // of the frames of batches that are not complete
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
