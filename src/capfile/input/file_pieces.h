// A regular file in pieces, which several threads may read ahead of the one that takes them.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/cache_lines.h"
#include "base/language.h"
#include "capfile/formats/reader.h"
#include "capfile/input/input.h"
#include "capfile/input/memory_pool.h"
#include "capfile/input/piece.h"

namespace tcpwhy::capfile {

class FilePieces final : public ReadAhead {
 public:
  static constexpr std::size_t piece_bytes = 256U << 10U;

  // Whether it is a regular file whose bytes are what they are: not compressed.
  static bool can_read(const Input& input);
  explicit FilePieces(Input input) : input_(std::move(input)), position_(input_.start()) {}

  // In order; for one thread at a time. Reads where nobody has read ahead.
  Piece next();
  std::optional<std::uint64_t> begin() override;
  void load(std::uint64_t piece) override;
  [[nodiscard]] std::uint64_t taken() const override { return first_.load(std::memory_order_relaxed); }

  // As those of ByteSource, of what next() has given.
  [[nodiscard]] std::optional<base::OwnedText> failure() const { return failure_; }
  [[nodiscard]] std::uint64_t position() const { return position_; }
  [[nodiscard]] std::optional<std::uint64_t> size() const;

 private:
  // Of the pieces that are on their way each has one of these; nobody else writes near it.
  struct alignas(base::lines_apart) Slot {
    Piece piece;
    int error = 0;  // errno
    std::atomic<std::uint32_t> loaded = 0;
  };
  static constexpr std::size_t most_ahead = 64;

  void read(Slot& slot, std::uint64_t piece);

  const Input input_;
  MemoryPool pool_{Piece::headroom + piece_bytes};
  std::array<Slot, most_ahead> slots_;  // by the number of the piece

  alignas(base::lines_apart) std::atomic<std::uint64_t> begun_ = 0;  // how many pieces are somebody's, or were
  std::atomic<bool> end_seen_ = false;                               // one of them is short: the file ended there
  alignas(base::lines_apart) std::atomic<std::uint64_t> first_ = 0;  // how many next() has given

  std::uint64_t position_;
  bool at_end_ = false;  // next() has given the last
  std::optional<base::OwnedText> failure_;
};

}  // namespace tcpwhy::capfile
