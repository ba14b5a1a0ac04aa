#include "capfile/input/memory_pool.h"

#include <algorithm>
#include <atomic>
#include <iterator>
#include <memory>

namespace tcpwhy::capfile {

MemoryPool::Taken& MemoryPool::taken_by_this_thread() {
  const auto me = std::this_thread::get_id();
  const std::lock_guard lock(mutex_);
  const auto found = std::ranges::find(taken_, me, &Taken::by);
  return found != taken_.end() ? *found : taken_.emplace_back(me);
}

SharedBytes MemoryPool::take() {
  auto& pieces = taken_by_this_thread().pieces;
  const auto latest = std::ranges::find(pieces.rbegin(), pieces.rend(), 1, &SharedBytes::use_count);
  if (latest == pieces.rend()) return pieces.emplace_back(std::make_shared_for_overwrite<std::uint8_t[]>(size_));
  // What others did with it is over: they let it go with a release.
  std::atomic_thread_fence(std::memory_order_acquire);
  std::rotate(std::prev(latest.base()), latest.base(), pieces.end());
  return pieces.back();
}

}  // namespace tcpwhy::capfile
