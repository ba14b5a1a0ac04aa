#include "scan/shares.h"

#include <algorithm>

namespace tcpwhy::scan {

unsigned Shares::deal(std::atomic<std::uint8_t>& hand, std::span<const std::size_t> undone) {
  std::size_t best = 0, least = SIZE_MAX;
  for (std::size_t shard = 0; shard < done_.size(); ++shard) {
    const std::size_t load = done_[shard].load(std::memory_order_relaxed) + undone[shard];
    if (load < least) best = shard, least = load;
  }
  std::uint8_t owner = nobody;
  const auto mine = static_cast<std::uint8_t>(best + 1);
  // Another thread may have dealt it out meanwhile.
  if (!hand.compare_exchange_strong(owner, mine, std::memory_order_relaxed)) return owner - 1U;
  return static_cast<unsigned>(best);
}

}  // namespace tcpwhy::scan
