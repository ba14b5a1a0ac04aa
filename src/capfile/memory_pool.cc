#include "capfile/memory_pool.h"

#include <utility>

namespace tcpwhy::capfile {

SharedBytes MemoryPool::take() {
  Piece piece;
  {
    const std::lock_guard lock(spare_->mutex);
    if (!spare_->pieces.empty()) {
      piece = std::move(spare_->pieces.back());
      spare_->pieces.pop_back();
    }
  }
  if (!piece) piece = std::make_unique_for_overwrite<std::uint8_t[]>(size_);
  return {piece.release(), [spare = spare_](std::uint8_t* bytes) {
            const std::lock_guard lock(spare->mutex);
            spare->pieces.emplace_back(bytes);
          }};
}

}  // namespace tcpwhy::capfile
