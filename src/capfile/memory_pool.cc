#include "capfile/memory_pool.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace tcpwhy::capfile {

SharedBytes MemoryPool::take() {
  Piece piece;
  {
    const std::lock_guard lock(spare_->mutex);
    if (!spare_->pieces.empty()) {
      const auto ours = std::ranges::find(spare_->pieces.rbegin(), spare_->pieces.rend(), std::this_thread::get_id(),
                                          [](const auto& piece_and_taker) { return piece_and_taker.second; });
      const auto chosen = std::prev(ours == spare_->pieces.rend() ? spare_->pieces.end() : ours.base());
      piece = std::move(chosen->first);
      spare_->pieces.erase(chosen);
    }
  }
  if (!piece) piece = std::make_unique_for_overwrite<std::uint8_t[]>(size_);
  return {piece.release(), [spare = spare_, taker = std::this_thread::get_id()](std::uint8_t* bytes) {
            const std::lock_guard lock(spare->mutex);
            spare->pieces.emplace_back(bytes, taker);
          }};
}

}  // namespace tcpwhy::capfile
