#include "scan/connections/parallel_analysis.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "base/cache_lines.h"
#include "base/spin_pause.h"
#include "scan/connections/flow_key.h"

namespace tcpwhy::scan {
namespace {

// What is on its way at a time: enough that no thread waits for another, even where that one's processor is taken away
// from it for a while, and little enough that what comes next lies in the processors' caches still.
constexpr std::size_t frames_a_batch = 4096;
constexpr std::size_t bytes_a_batch = 1U << 20U;
constexpr std::size_t batches_a_thread = 16;
constexpr std::size_t turns_a_thread = 8;       // while one has not come, the pieces for the next are read
constexpr std::uint64_t backlog = 2;            // that a shard may have while its thread makes new batches
constexpr std::size_t most_bytes = 16U << 20U;  // that wait for fragments to be put together

constexpr std::size_t header_bytes = 64;  // about what a record adds to its frame

constexpr std::uint64_t frames_between_progress = 1U << 16U;

// Frames that were read and wait to be dissected.
struct Reading {
  std::vector<RawFrame> frames = std::vector<RawFrame>(frames_a_batch);  // written over in place
  std::size_t count = 0;                                                 // of them that are there
  std::vector<capfile::SharedBytes> memory;                              // where they lie
  std::size_t bytes = 0;
};

// To read the batch of that number. Who has read a piece of the input ahead makes one of it, while its bytes are in
// the cache of his processor.
struct Turn {
  std::uint64_t number = 0;
  std::shared_ptr<capfile::ReadAhead> ahead;  // whose piece; null: none
  std::uint64_t piece = 0;
};

struct alignas(base::lines_apart) Batch {
  enum class State : std::uint8_t {
    read,        // is being dissected
    fragmented,  // waits for its fragments to be put together
    completing,  // somebody does that
    complete,    // is for the shards to track
  };
  std::atomic<State> state = State::read;
  std::uint64_t number = 0;
  std::vector<Sightings> sightings;          // for each shard
  std::vector<RawFrame> fragments;           // frames that are some
  std::vector<capfile::SharedBytes> memory;  // where those lie
  std::size_t bytes = 0;                     // there
};

// What belongs to one thread.
struct alignas(base::lines_apart) Worker {
  Worker(std::size_t own, Shard& its_shard) : index(own), shard(its_shard) {}

  const std::size_t index;
  Shard& shard;
  std::deque<Turn> turns;  // that it has, the next first
  Reading reading;
  std::vector<std::unique_ptr<Batch>> batches;  // that it made, in no order
  Totals totals;
  alignas(base::lines_apart) std::atomic<std::uint64_t> tracked = 0;  // batches; the others read it
};

// All orders of memory are the strongest: what a thread has seen before it sleeps depends on them (see sleep()), and
// on x86 only stores cost more by that, of which there are a handful a batch.
class Pipeline {
 public:
  Pipeline(FrameReader& reader, std::deque<Shard>& shards, const AnalysisOptions& options)
      : reader_(reader),
        options_(options),
        shard_count_(static_cast<unsigned>(shards.size())),
        seed_(options.seed),
        ring_(batches_a_thread * shards.size()) {
    for (Shard& shard : shards) workers_.emplace_back(workers_.size(), shard);
  }

  // Until nothing is left to do for this shard.
  void work(std::size_t shard) {
    constexpr int looks = 8000;  // the others' steps are short: to look again is quicker than to be woken
    Worker& worker = workers_[shard];
    int idle = 0;
    while (!is_done(worker)) {
      if (step(worker)) {
        idle = 0;
      } else if (++idle < looks) {
        base::spin_pause();
      } else {
        sleep(worker);
        idle = 0;
      }
    }
    worker.shard.finish(capture_ended_ns());
  }
  // When all have come back.
  Outcome outcome() {
    for (const Worker& worker : workers_) scan::add(outcome_.totals, worker.totals);
    outcome_.totals.disorder = reader_.disorder();
    return std::move(outcome_);
  }

 private:
  using State = Batch::State;

  [[nodiscard]] bool is_done(const Worker& worker) const { return worker.tracked == end_; }

  // For who is done: all batches are complete, so nobody counts any more.
  [[nodiscard]] std::int64_t capture_ended_ns() const {
    Totals totals;
    for (const Worker& worker : workers_) scan::add(totals, worker.totals);
    return totals.last_ns;
  }

  // What is to be done next; false: nothing, now.
  bool step(Worker& worker) {
    auto& turns = worker.turns;
    if (turns.empty()) {
      if (worker.tracked + backlog < read_ && track(worker)) return true;
      if (begin_turn(worker)) return true;
    } else if (read_ == end_) {
      turns.clear();
    } else if (turns.front().number == read_) {
      const Turn turn = std::move(turns.front());
      turns.pop_front();
      read(worker, turn);
      return true;
    }
    return track(worker) || (!turns.empty() && turns.size() < turns_a_thread && begin_turn(worker));
  }

  // Until another has got on. A change that comes before the last look is seen there; who makes one after it sees that
  // somebody sleeps.
  void sleep(Worker& worker) {
    ++sleepers_;
    const std::uint32_t seen = changes_;
    if (!step(worker) && !is_done(worker)) changes_.wait(seen);
    --sleepers_;
  }
  void tell_change() {
    if (sleepers_ == 0) return;
    ++changes_;
    changes_.notify_all();
  }

  // How many batches all shards are done with.
  [[nodiscard]] std::uint64_t tracked_by_all() const {
    std::uint64_t least = UINT64_MAX;
    for (const Worker& worker : workers_) least = std::min(least, worker.tracked.load());
    return least;
  }

  [[nodiscard]] bool may_begin() const {
    return turns_ < end_ && turns_ < tracked_by_all() + ring_.size() && fragment_bytes_ < most_bytes;
  }

  // Gives it the turn to read the batch that nobody has yet, with a piece of the input where there are some.
  bool begin_turn(Worker& worker) {
    if (!may_begin()) return false;  // without the lock: who waits asks often
    Turn turn;
    {
      const std::lock_guard lock(turns_mutex_);
      if (!may_begin()) return false;
      turn.number = turns_;
      if (const auto piece = ahead_ ? ahead_->begin() : std::nullopt) {
        turn.ahead = ahead_;
        turn.piece = *piece;
      } else if (turns_ != read_) {
        return false;  // another is to read first
      }
      ++turns_;
    }
    if (turn.ahead) turn.ahead->load(turn.piece);
    worker.turns.push_back(std::move(turn));
    return true;
  }

  // One that all shards are done with; of those the latest, which is still in this processor's cache.
  static Batch& new_batch(Worker& worker, std::uint64_t tracked_by_all) {
    Batch* found = nullptr;
    for (const auto& batch : worker.batches)
      if (batch->number < tracked_by_all && (found == nullptr || batch->number > found->number)) found = batch.get();
    return found != nullptr ? *found : *worker.batches.emplace_back(std::make_unique<Batch>());
  }

  // Reads a batch and dissects it.
  void read(Worker& worker, const Turn& turn) {
    Batch& batch = new_batch(worker, tracked_by_all());
    batch.number = turn.number;
    batch.state = State::read;
    ring_[turn.number % ring_.size()] = &batch;
    if (!fill(worker, turn)) end_ = turn.number + 1;
    if (reader_.read_ahead() != ahead_) {  // nobody else writes it
      const std::lock_guard lock(turns_mutex_);
      ahead_ = reader_.read_ahead();
    }
    read_ = turn.number + 1;
    tell_change();
    dissect(worker, batch);
  }

  // To the end of the turn's piece; false at the end of the input.
  bool fill(Worker& worker, const Turn& turn) {
    Reading& reading = worker.reading;
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

  void dissect(Worker& worker, Batch& batch) {
    batch.sightings.resize(shard_count_);
    for (Sightings& of_shard : batch.sightings) of_shard.clear();
    batch.fragments.clear();
    Totals totals;
    Frame frame;
    for (const RawFrame& raw : std::span(worker.reading.frames).first(worker.reading.count)) {
      static_cast<RawFrame&>(frame) = raw;
      reader_.dissect(frame);
      if (frame.packet.fragmented) [[unlikely]] {
        batch.fragments.push_back(raw);
        continue;
      }
      count(totals, frame);
      if (has_flow(frame)) batch.sightings[shard_of(frame)].add(frame);
    }
    scan::add(worker.totals, totals);
    if (batch.fragments.empty()) {
      // For who reads next: it is in this processor's cache still.
      worker.reading.memory.clear();
      batch.state = State::complete;
    } else {
      batch.memory = std::exchange(worker.reading.memory, {});
      batch.bytes = worker.reading.bytes;
      fragment_bytes_ += batch.bytes;
      batch.state = State::fragmented;
    }
    tell_change();
  }

  [[nodiscard]] unsigned shard_of(const Frame& frame) const {
    const wire::TcpSegment& segment = frame.packet.segment;
    return share_of(segment.source, segment.destination, shard_count_, seed_);
  }

  // Whoever tracks comes to a batch when those before are complete.
  void complete(Worker& worker, Batch& batch) {
    Frame frame;
    for (const RawFrame& raw : batch.fragments) {
      static_cast<RawFrame&>(frame) = raw;
      reader_.dissect(frame);
      reader_.reassemble(frame);
      count(worker.totals, frame);
      if (has_flow(frame)) batch.sightings[shard_of(frame)].insert(frame);
    }
    batch.memory.clear();
    fragment_bytes_ -= batch.bytes;
    batch.state = State::complete;
    tell_change();
  }

  // The next batch, as far as it is there.
  bool track(Worker& worker) {
    const std::uint64_t number = worker.tracked;
    if (number >= read_) return false;
    Batch& batch = *ring_[number % ring_.size()];
    State state = batch.state;
    if (state == State::fragmented && batch.state.compare_exchange_strong(state, State::completing)) {
      complete(worker, batch);
      state = State::complete;
    }
    if (state != State::complete) return false;
    batch.sightings[worker.index].for_each([&shard = worker.shard](const Sighting& sighting) { shard.take(sighting); });
    worker.tracked = number + 1;
    tell_change();
    return true;
  }

  FrameReader& reader_;
  const AnalysisOptions& options_;
  const unsigned shard_count_;
  const std::uint64_t seed_;
  std::deque<Worker> workers_;  // one for each shard
  // Batches by their numbers, from tracked_by_all() to read_ - 1.
  std::vector<Batch*> ring_;

  // Of who reads; it goes with the turn.
  alignas(base::lines_apart) std::uint64_t frames_read_ = 0;
  std::uint64_t progress_told_ = 0;
  std::size_t longest_ = 0;  // record so far
  Outcome outcome_;

  alignas(base::lines_apart) std::atomic<std::uint64_t> read_ = 0;  // batches; the number of the next
  std::atomic<std::uint64_t> end_ = UINT64_MAX;                     // how many there are; known at the end

  alignas(base::lines_apart) std::mutex turns_mutex_;  // of who gives turns, or writes one of these:
  std::atomic<std::uint64_t> turns_ = 0;               // that have been given
  std::shared_ptr<capfile::ReadAhead> ahead_;          // what the reader has for who helps it

  alignas(base::lines_apart) std::atomic<std::uint32_t> sleepers_ = 0;
  std::atomic<std::uint32_t> changes_ = 0;  // while there are some
  std::atomic<std::size_t> fragment_bytes_ = 0;
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
