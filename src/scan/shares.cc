#include "scan/shares.h"

#include <algorithm>

namespace tcpwhy::scan {

unsigned Shares::deal(std::atomic<std::uint8_t>& hand, std::span<const std::size_t> loads) {
  const auto least = static_cast<unsigned>(std::ranges::min_element(loads) - loads.begin());
  std::uint8_t owner = nobody;
  // Another thread may have dealt it out meanwhile.
  if (!hand.compare_exchange_strong(owner, static_cast<std::uint8_t>(least + 1), std::memory_order_relaxed))
    return owner - 1U;
  return least;
}

}  // namespace tcpwhy::scan
