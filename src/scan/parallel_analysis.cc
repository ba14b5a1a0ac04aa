#include "scan/parallel_analysis.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "scan/flow_key.h"

namespace tcpwhy::scan {
namespace {

// What is on its way at a time: enough that no thread waits for another, and little enough to stay in the processors'
// caches.
constexpr std::size_t frames_a_batch = 4096;
constexpr std::size_t bytes_a_batch = 1U << 20U;
constexpr std::size_t batches_a_thread = 8;
constexpr std::size_t backlog = 2;  // that a shard may have while its thread makes new batches
constexpr std::size_t most_bytes = 16U << 20U;

constexpr std::size_t header_bytes = 64;  // about what a record adds to its frame

// What one thread writes for each frame must not lie on a line that another reads or writes; processors fetch lines in
// pairs.
constexpr std::size_t lines_apart = 128;

constexpr std::uint64_t frames_between_progress = 1U << 16U;

// Frames that were read and wait to be dissected.
struct Reading {
  std::vector<RawFrame> frames = std::vector<RawFrame>(frames_a_batch);  // written over in place
  std::size_t count = 0;                                                 // of them that are there
  std::vector<capfile::SharedBytes> memory;                              // where they lie
  std::size_t bytes = 0;
};

// To make a batch: who has read a piece of the input ahead makes one of it, while its bytes are in the cache of his
// processor. Without a piece it is anybody's.
struct Turn {
  std::uint64_t number = 0;
  std::shared_ptr<capfile::ReadAhead> ahead;  // null: without
  std::uint64_t piece = 0;
};

struct Batch {
  std::size_t maker = 0;                // which thread
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
      : reader_(reader),
        shards_(shards),
        options_(options),
        shard_count_(static_cast<unsigned>(shards.size())),
        seed_(options.seed),
        spare_(shards.size()),
        tracked_(shards.size()) {}

  // Until nothing is left to do for this shard.
  void work(std::size_t shard) {
    Turn turn;
    std::unique_lock lock(mutex_);
    while (true) {
      if (!turn.ahead && complete_ - tracked_[shard] > backlog) {
        track(shard, lock);
        continue;
      }
      if (may_begin() && !turn.ahead) turn = read_ahead(lock);
      const bool is_next = turn.ahead ? turn.number == turn_ : turns_ == turn_;
      if (may_begin() && is_next && !reading_) {
        read(shard, std::exchange(turn, {}), lock);
      } else if (tracked_[shard] < complete_ && !(is_next && turn.ahead && reading_)) {
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

  // A piece of the input, and with it the turn to make a batch of it: its bytes are in this processor's cache. None:
  // nothing is to be read ahead.
  Turn read_ahead(Lock& lock) {
    if (!ahead_) return {};
    const auto ahead = ahead_;
    const auto piece = ahead->begin();
    if (!piece) return {};
    const Turn turn{turns_++, ahead, *piece};
    lock.unlock();
    ahead->load(*piece);
    lock.lock();
    return turn;
  }

  // Reads a batch and dissects it, and completes all that can be.
  void read(std::size_t thread, const Turn& turn, Lock& lock) {
    reading_ = true;
    if (turn.ahead) ++turn_;
    Batch& batch = *batches_.emplace_back(take(spare_[thread].batches));
    batch.maker = thread;
    batch.reading = take(spare_[thread].readings);
    lock.unlock();
    const bool more = fill(*batch.reading, turn);
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

  // To the end of the turn's piece; false at the end of the input.
  bool fill(Reading& reading, const Turn& turn) {
    reading.count = 0;
    reading.memory.clear();
    reading.bytes = 0;
    const std::uint8_t* last = nullptr;
    std::size_t longest = longest_, in_memory = 0;  // at least
    bool more_to_come = true;
    do {
      const capfile::SharedBytes* memory = nullptr;
      RawFrame& frame = reading.frames[reading.count];
      const auto more = reader_.read_raw(frame, memory);
      if (!more) outcome_.stopped_by = more.error();
      if (!more || !*more) {
        more_to_come = false;
        break;
      }
      ++reading.count;
      reading.bytes += frame.bytes.size();
      if (memory->get() != last) {
        last = memory->get();
        if (std::ranges::find(reading.memory, *memory) == reading.memory.end()) reading.memory.push_back(*memory);
      }
      const std::size_t length = frame.bytes.size() + header_bytes;
      longest = std::max(longest, length);
      in_memory -= std::min(in_memory, length);
      if (in_memory < longest) in_memory = reader_.in_memory();
    } while (reading.count < frames_a_batch && reading.bytes < bytes_a_batch &&
             (in_memory >= longest || !is_done_with(turn)));
    longest_ = longest;
    frames_read_ += reading.count;
    if (options_.on_progress && frames_read_ / frames_between_progress != progress_told_) {
      progress_told_ = frames_read_ / frames_between_progress;
      options_.on_progress(reader_.progress());
    }
    return more_to_come;
  }

  // Where less than a record is left in memory, as far as can be said: whether that is the rest of the turn's piece.
  [[nodiscard]] bool is_done_with(const Turn& turn) const {
    return turn.ahead ? turn.ahead->taken() > turn.piece : reader_.read_ahead() != nullptr;
  }

  void dissect(Batch& batch) const {
    batch.sightings.resize(shards_.size());
    for (Sightings& of_shard : batch.sightings) of_shard.clear();
    batch.fragmented.clear();
    const auto frames = std::span<const RawFrame>(batch.reading->frames).first(batch.reading->count);
    Totals totals;
    Frame frame;
    for (std::size_t i = 0; i < frames.size(); ++i) {
      static_cast<RawFrame&>(frame) = frames[i];
      reader_.dissect(frame);
      if (frame.packet.fragmented) [[unlikely]] {
        batch.fragmented.push_back(i);
        continue;
      }
      count(totals, frame);
      if (has_flow(frame)) sightings_of(batch, frame).add(frame);
    }
    batch.totals = totals;
    // For who reads next: it is in this processor's cache still.
    if (batch.fragmented.empty()) batch.reading->memory.clear();
  }

  [[nodiscard]] Sightings& sightings_of(Batch& batch, const Frame& frame) const {
    const wire::TcpSegment& segment = frame.packet.segment;
    return batch.sightings[share_of(segment.source, segment.destination, shard_count_, seed_)];
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
      scan::add(outcome_.totals, batch.totals);
      bytes_ -= batch.reading->bytes;
      spare_[batch.maker].readings.push_back(std::move(batch.reading));
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
      std::unique_ptr<Batch> batch = std::move(batches_.front());
      batches_.pop_front();
      ++first_;
      batch->dissected = false;
      batch->shards_done = 0;
      auto& spare = spare_[batch->maker].batches;
      spare.push_back(std::move(batch));
    }
    tell_change();
  }

  FrameReader& reader_;
  std::deque<Shard>& shards_;
  const AnalysisOptions& options_;
  const unsigned shard_count_;
  const std::uint64_t seed_;
  // The reading thread's:
  alignas(lines_apart) std::uint64_t frames_read_ = 0;
  std::uint64_t progress_told_ = 0;
  std::size_t longest_ = 0;  // record so far

  alignas(lines_apart) std::mutex mutex_;  // of all that follows, but for what is inside a batch: that belongs to whose hands it is in
  std::condition_variable changed_;
  std::atomic<std::uint32_t> changes_ = 0;
  std::deque<std::unique_ptr<Batch>> batches_;  // on their way, in order; numbered from first_ on
  struct Spare {
    std::vector<std::unique_ptr<Batch>> batches;
    std::vector<std::unique_ptr<Reading>> readings;
  };
  std::vector<Spare> spare_;  // by the thread that made them, in whose processor's cache they are
  std::shared_ptr<capfile::ReadAhead> ahead_;  // what the reader has for who helps it
  std::uint64_t turns_ = 0, turn_ = 0;         // how many have been given, whose it is
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
