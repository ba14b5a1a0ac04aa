#include "capfile/input/unpacked_source.h"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "base/format.h"
#include "capfile/input/memory_pool.h"
#include "capfile/input/piece.h"

namespace tcpwhy::capfile {
namespace {

// Bytes already taken from a source to look at them, then the rest of it.
class PeekedSource final : public ByteSource {
 public:
  PeekedSource(std::vector<std::uint8_t> peeked, std::unique_ptr<ByteSource> rest)
      : peeked_(std::move(peeked)), rest_(std::move(rest)) {}
  std::size_t read(std::span<std::uint8_t> room) override {
    if (used_ == peeked_.size()) return rest_->read(room);
    const std::size_t count = std::min(room.size(), peeked_.size() - used_);
    std::copy_n(peeked_.begin() + static_cast<std::ptrdiff_t>(used_), count, room.begin());
    used_ += count;
    return count;
  }
  std::optional<base::OwnedText> failure() const override { return rest_->failure(); }
  std::uint64_t position() const override { return rest_->position(); }
  std::optional<std::uint64_t> size() const override { return rest_->size(); }
  bool may_wait() const override { return rest_->may_wait(); }

 private:
  std::vector<std::uint8_t> peeked_;
  std::size_t used_ = 0;
  std::unique_ptr<ByteSource> rest_;
};

// A source and the machine that unpacks it, step by step, and how it ended.
class Unpacking {
 public:
  Unpacking(const PackedFormat& format, std::unique_ptr<ByteSource> packed)
      : name_(format.name),
        unpacker_(format.make()),
        packed_(std::move(packed)),
        chunk_(std::make_unique_for_overwrite<std::uint8_t[]>(chunk_bytes)) {}

  // At most one read of the source. What it returns may be 0 before the end: there are packed bytes by the gigabyte that hold nothing.
  std::size_t step(std::span<std::uint8_t> room) {
    if (begin_ == end_) {
      begin_ = 0;
      end_ = packed_->read({chunk_.get(), chunk_bytes});
    }
    const std::span<const std::uint8_t> packed(chunk_.get() + begin_, end_ - begin_);
    if (packed.empty() && !inside_member_) {
      ended_ = true;
      return 0;
    }
    const Unpacker::Step step = unpacker_->step(packed, room);
    begin_ += step.used;
    settle(step, packed.empty());
    return step.made;
  }
  [[nodiscard]] bool ended() const { return ended_; }

  [[nodiscard]] std::string name() const { return std::string(name_); }
  [[nodiscard]] std::optional<base::OwnedText> failure() const {
    if (auto below = packed_->failure()) return below;
    return failure_;
  }
  [[nodiscard]] std::uint64_t position() const { return packed_->position(); }
  // These two also while another thread is inside step().
  [[nodiscard]] std::optional<std::uint64_t> size() const { return packed_->size(); }
  [[nodiscard]] bool may_wait() const { return packed_->may_wait(); }

 private:
  static constexpr std::size_t chunk_bytes = 128U << 10U;

  void settle(const Unpacker::Step& step, bool input_is_over) {
    switch (step.state) {
      case Unpacker::State::inside:
        inside_member_ = true;
        if (step.used > 0 || step.made > 0) break;
        // Whoever takes nothing and makes nothing although there is something to take would do so for ever.
        fail(input_is_over ? base::format({"the {} data end early", "{} 数据不完整"}, name_) : damage());
        break;
      case Unpacker::State::between:
        inside_member_ = false;
        has_member_ = true;
        break;
      case Unpacker::State::other:
        if (!has_member_) fail(damage());
        ended_ = true;
        break;
      case Unpacker::State::damaged: fail(damage()); break;
    }
  }
  [[nodiscard]] base::OwnedText damage() const {
    const base::OwnedText how = unpacker_->damage();
    if (how.empty()) return base::format({"the {} data are corrupt", "{} 数据已损坏"}, name_);
    return base::format({"the {} data are corrupt: {}", "{} 数据已损坏：{}"}, name_, how);
  }
  void fail(base::OwnedText what) {
    failure_ = std::move(what);
    ended_ = true;
  }

  std::string_view name_;
  std::unique_ptr<Unpacker> unpacker_;
  std::unique_ptr<ByteSource> packed_;
  std::unique_ptr<std::uint8_t[]> chunk_;
  std::size_t begin_ = 0, end_ = 0;  // of the packed bytes not used yet, in chunk_
  bool inside_member_ = true, has_member_ = false, ended_ = false;
  std::optional<base::OwnedText> failure_;
};

// Does the steps of an unpacking by a thread of its own, a few pieces ahead of who reads. As long as it is there, nobody else does.
class UnpackAhead {
 public:
  // More threads than processors would only take turns.
  static bool another_is_worth_it() { return running < std::max(std::thread::hardware_concurrency(), 1U); }
  // Null: no thread is to be had.
  static std::unique_ptr<UnpackAhead> begin(Unpacking& unpacking) {
    std::unique_ptr<UnpackAhead> ahead(new UnpackAhead(unpacking));
    return ahead->thread_.joinable() ? std::move(ahead) : nullptr;
  }
  UnpackAhead(const UnpackAhead&) = delete;
  UnpackAhead& operator=(const UnpackAhead&) = delete;
  ~UnpackAhead() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
    --running;
  }

  // The next piece. Once it is empty, all steps are done.
  Piece next() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return filled_ > taken_ || ended_; });
    if (filled_ == taken_) return {};
    Made& made = ring_[taken_++ % pieces_ahead];
    position_ = made.position;
    Piece piece = std::move(made.piece);
    lock.unlock();
    changed_.notify_all();
    return piece;
  }
  // Of the packed bytes that what next() has given is of.
  [[nodiscard]] std::uint64_t position() const { return position_; }

 private:
  struct Made {
    Piece piece;
    std::uint64_t position = 0;
  };
  // Large ones: each costs up to two wake-ups (docs/PERFORMANCE.md).
  static constexpr std::size_t pieces_ahead = 4, piece_bytes = 1U << 20U;

  explicit UnpackAhead(Unpacking& unpacking) : unpacking_(unpacking), position_(unpacking.position()) {
    ++running;
    // Signals are the other threads'.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
      thread_ = std::thread([this] { work(); });
    } catch (const std::system_error&) {  // no more threads: who reads unpacks
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }

  // For the thread.
  void work() {
    while (hand_over(make())) {
    }
  }
  Made make() {
    Piece piece{.memory = pool_.take(), .size = 0};
    std::uint8_t* const begin = piece.memory.get() + Piece::headroom;
    while (piece.size < piece_bytes && !unpacking_.ended() && !stop_) {
      const std::size_t made = unpacking_.step({begin + piece.size, piece_bytes - piece.size});
      piece.size += made;
      if (made == 0 && piece.size > 0) break;  // what follows may hold nothing for long
    }
    return {.piece = std::move(piece), .position = unpacking_.position()};
  }
  bool hand_over(Made made) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return filled_ - taken_ < pieces_ahead || stop_; });
    if (made.piece.size > 0 && !stop_) ring_[filled_++ % pieces_ahead] = std::move(made);
    ended_ = unpacking_.ended() || stop_;
    const bool more = !ended_;
    lock.unlock();
    changed_.notify_all();
    return more;
  }

  // How many there are in this process.
  static inline std::atomic<unsigned> running = 0;

  Unpacking& unpacking_;
  std::uint64_t position_;  // of who reads
  MemoryPool pool_{Piece::headroom + piece_bytes};

  std::mutex mutex_;  // of all from here on
  std::condition_variable changed_;
  std::array<Made, pieces_ahead> ring_;  // those from taken_ to filled_ wait to be read
  std::uint64_t filled_ = 0, taken_ = 0;
  bool ended_ = false;
  std::atomic<bool> stop_ = false;  // looked at between two steps too
  std::thread thread_;
};

class UnpackedSource final : public ByteSource {
 public:
  UnpackedSource(const PackedFormat& format, std::unique_ptr<ByteSource> packed)
      : unpacking_(format, std::move(packed)), may_be_ahead_(!unpacking_.may_wait()) {}

  std::size_t read(std::span<std::uint8_t> room) override {
    if (used_ == piece_.size) {
      if (auto next = take_from_ahead()) {
        piece_ = std::move(*next);
        used_ = 0;
      }
    }
    if (used_ < piece_.size) {
      const std::size_t count = std::min(room.size(), piece_.size - used_);
      std::copy_n(piece_.memory.get() + Piece::headroom + used_, count, room.begin());
      used_ += count;
      return count;
    }
    while (!unpacking_.ended())
      if (const std::size_t count = unpacking_.step(room)) {
        made_ += count;
        return count;
      }
    return 0;
  }
  std::optional<Piece> next_piece() override { return take_from_ahead(); }
  // What has not been read yet has not failed yet.
  std::optional<base::OwnedText> failure() const override { return ahead_ ? std::nullopt : unpacking_.failure(); }
  std::uint64_t position() const override { return ahead_ ? ahead_->position() : unpacking_.position(); }
  std::optional<std::uint64_t> size() const override { return unpacking_.size(); }
  bool may_wait() const override { return unpacking_.may_wait(); }
  std::string compression() const override { return unpacking_.name(); }

 private:
  // Small files, and a look at the first packet, are not worth a thread.
  static constexpr std::uint64_t read_by_itself = 1U << 20U;

  // The thread's next piece, an empty one behind the last; nothing: there is no thread, and was none.
  std::optional<Piece> take_from_ahead() {
    if (was_ahead_) return Piece{};
    if (!ahead_ && may_be_ahead_ && made_ >= read_by_itself && !unpacking_.ended() &&
        UnpackAhead::another_is_worth_it()) {
      ahead_ = UnpackAhead::begin(unpacking_);
      may_be_ahead_ = ahead_ != nullptr;
    }
    if (!ahead_) return std::nullopt;
    Piece piece = ahead_->next();
    was_ahead_ = piece.size == 0;
    if (was_ahead_) ahead_.reset();
    return piece;
  }

  Unpacking unpacking_;
  bool may_be_ahead_, was_ahead_ = false;
  Piece piece_;  // of the thread's, the one that read() gives
  std::size_t used_ = 0;
  std::uint64_t made_ = 0;  // without the thread
  std::unique_ptr<UnpackAhead> ahead_;
};

}  // namespace

bool is_compressed(std::span<const std::uint8_t> start) { return packed_format_of(start) != nullptr; }

std::unique_ptr<ByteSource> decompressed(std::unique_ptr<ByteSource> source) {
  std::vector<std::uint8_t> start(longest_magic);
  std::size_t have = 0;
  while (have < start.size()) {
    const std::size_t count = source->read(std::span(start).subspan(have));
    if (count == 0) break;
    have += count;
  }
  start.resize(have);
  const PackedFormat* const format = packed_format_of(start);
  auto whole = std::make_unique<PeekedSource>(std::move(start), std::move(source));
  if (format == nullptr) return whole;
  return std::make_unique<UnpackedSource>(*format, std::move(whole));
}

}  // namespace tcpwhy::capfile
