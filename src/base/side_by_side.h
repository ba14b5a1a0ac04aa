// Several pieces of one kind of work, done at once: each takes its time in the kernel, or waits there for what another waits for too.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <thread>
#include <vector>

namespace tcpwhy::base {

// Calls `work` with each number below `pieces`, the lower ones first, on this thread and others, `threads` of them at most. Returns when all
// are done. It must not throw.
template <class Work>
void side_by_side(std::size_t pieces, std::size_t threads, const Work& work) {
  std::atomic<std::size_t> next = 0;
  const auto take_pieces = [&] {
    for (std::size_t i = next++; i < pieces; i = next++) work(i);
  };
  std::vector<std::jthread> helpers;
  while (helpers.size() + 1 < std::min(threads, pieces)) helpers.emplace_back(take_pieces);
  take_pieces();
}

}  // namespace tcpwhy::base
