// A regular file in pieces, which several threads may read ahead of the one that takes them.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "base/unique_fd.h"
#include "capfile/memory_pool.h"
#include "capfile/reader.h"

namespace tcpwhy::capfile {

class FilePieces final : public ReadAhead {
 public:
  struct Piece {
    SharedBytes memory;    // room for `headroom` bytes, then its bytes
    std::size_t size = 0;  // 0: the end, or a failure
  };
  static constexpr std::size_t headroom = 64U << 10U;
  static constexpr std::size_t piece_bytes = 256U << 10U;

  // Whether it is a regular file whose bytes are what they are: not compressed.
  static bool can_read(int fd);
  // From where the descriptor stands.
  explicit FilePieces(base::UniqueFd fd) : FilePieces(fd.get()) { owned_ = std::move(fd); }
  explicit FilePieces(int borrowed);

  // In order; for one thread at a time. Reads where nobody has read ahead.
  Piece next();
  std::optional<std::uint64_t> begin() override;
  void load(std::uint64_t piece) override;
  [[nodiscard]] std::uint64_t taken() const override { return first_; }

  // As those of ByteSource, of what next() has given.
  [[nodiscard]] std::optional<std::string> failure() const { return failure_; }
  [[nodiscard]] std::uint64_t position() const { return position_; }
  [[nodiscard]] std::optional<std::uint64_t> size() const;

 private:
  struct Loaded {
    std::uint64_t offset = 0;
    Piece piece;
    int error = 0;  // errno
    bool done = false;
  };

  void read(Loaded& loaded);

  base::UniqueFd owned_;
  int fd_;  // its or another's
  MemoryPool pool_{headroom + piece_bytes};

  std::mutex mutex_;  // of these
  std::condition_variable done_;
  std::deque<Loaded> ahead_;  // in order, those that are being read among them
  std::uint64_t first_ = 0;   // the number of the first of them
  std::uint64_t offset_;      // of the first byte after them
  bool end_seen_ = false;     // one of them is short: the file ended there

  std::uint64_t position_;
  bool at_end_ = false;  // next() has given the last
  std::optional<std::string> failure_;
};

}  // namespace tcpwhy::capfile
