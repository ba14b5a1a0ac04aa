// Memory in pieces of one size, which are used again when nobody shares them any more. For any number of threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "capfile/reader.h"

namespace tcpwhy::capfile {

class MemoryPool {
 public:
  explicit MemoryPool(std::size_t size) : size_(size), spare_(std::make_shared<Spare>()) {}

  // What it holds is not defined. May outlive the pool. One that this thread has taken before, if there is one: it is
  // in the cache of its processor, whoever let it go.
  SharedBytes take();
  [[nodiscard]] std::size_t size() const { return size_; }  // of a piece, in bytes

 private:
  using Piece = std::unique_ptr<std::uint8_t[]>;
  struct Spare {
    std::mutex mutex;
    std::vector<std::pair<Piece, std::thread::id>> pieces;  // and who had taken them; the latest given back last
  };

  std::size_t size_;
  std::shared_ptr<Spare> spare_;
};

}  // namespace tcpwhy::capfile
