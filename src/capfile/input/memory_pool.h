// Memory in pieces of one size, which are used again when nobody shares them any more. For any number of threads.
#pragma once

#include <cstddef>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "capfile/formats/reader.h"

namespace tcpwhy::capfile {

class MemoryPool {
 public:
  explicit MemoryPool(std::size_t size) : size_(size) {}

  // What it holds is not defined. May outlive the pool. One that this thread has taken before, if there is one that is
  // free: it is in the cache of its processor, whoever let it go.
  SharedBytes take();
  [[nodiscard]] std::size_t size() const { return size_; }  // of a piece, in bytes

 private:
  struct Taken {
    std::thread::id by;
    std::vector<SharedBytes> pieces;  // the one taken last comes last
  };
  Taken& taken_by_this_thread();

  std::size_t size_;
  std::mutex mutex_;         // of the list; what one thread has taken is for it alone
  std::deque<Taken> taken_;  // stay where they are
};

}  // namespace tcpwhy::capfile
