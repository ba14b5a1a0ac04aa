// Which shard a flow belongs to. Private to the analysis.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace tcpwhy::scan {

// Flows are dealt out by their hash, some thousand hands of them; each hand goes to the shard that has the least to do when the first
// of its flows is seen: a capture of a few bulky connections would else leave shards idle. Any thread may ask and tell.
class Shares {
 public:
  explicit Shares(std::size_t shards) : done_(shards) {}

  // `hash`: hash_of_ends(). `undone(shard)`: how many segments done() will be told of later; asked where the first of a hand is seen.
  template <class F>
  unsigned of(std::uint32_t hash, F&& undone) {
    std::atomic<std::uint8_t>& hand = hands_[hash >> (32U - hand_bits)];
    const std::uint8_t owner = hand.load(std::memory_order_relaxed);
    if (owner != nobody) return owner - 1U;
    std::vector<std::size_t> loads(done_.size());
    for (std::size_t shard = 0; shard < loads.size(); ++shard)
      loads[shard] = done_[shard].load(std::memory_order_relaxed) + undone(shard);
    return deal(hand, loads);
  }
  // So many segments more.
  void done(unsigned shard, std::size_t segments) { done_[shard].fetch_add(segments, std::memory_order_relaxed); }

  static constexpr std::size_t most_shards = 255;

 private:
  static constexpr unsigned hand_bits = 12;
  static constexpr std::uint8_t nobody = 0;  // else the shard's number and 1

  static unsigned deal(std::atomic<std::uint8_t>& hand, std::span<const std::size_t> loads);

  std::array<std::atomic<std::uint8_t>, std::size_t{1} << hand_bits> hands_{};
  std::vector<std::atomic<std::size_t>> done_;
};

}  // namespace tcpwhy::scan
