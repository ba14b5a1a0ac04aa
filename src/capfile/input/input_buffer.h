// A window over an input: contiguous bytes on demand. They lie in memory that others may share: it is not written again
// while they do.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "capfile/formats/reader.h"
#include "capfile/input/byte_source.h"
#include "capfile/input/file_pieces.h"
#include "capfile/input/memory_pool.h"
#include "capfile/input/piece.h"

namespace tcpwhy::capfile {

class InputBuffer {
 public:
  explicit InputBuffer(std::unique_ptr<ByteSource> source) : source_(std::move(source)) {}
  explicit InputBuffer(std::shared_ptr<FilePieces> pieces) : pieces_(std::move(pieces)), read_ahead_(pieces_) {}

  // The next `count` bytes, or fewer at the end of the input. Valid until the next call of any member, or as long as
  // memory() is shared. The buffer grows as bytes arrive, so a length that is a lie costs no memory.
  std::span<const std::uint8_t> peek(std::size_t count) {
    if (end_ - begin_ < count) fill(count);
    return {memory_.get() + begin_, end_ - begin_ < count ? end_ - begin_ : count};
  }
  // Moves past `count` bytes that peek() has shown.
  void consume(std::size_t count) { begin_ += count, offset_ += count; }
  // Moves past `count` bytes whatever their number; returns how many there were.
  std::uint64_t skip(std::uint64_t count);

  // What the bytes peeked last lie in.
  [[nodiscard]] const SharedBytes& memory() const { return memory_; }
  [[nodiscard]] std::size_t in_memory() const { return end_ - begin_; }  // bytes that peek() gives without reading
  [[nodiscard]] std::uint64_t offset() const { return offset_; }
  // Who reads ahead for it; null: nobody can.
  [[nodiscard]] const std::shared_ptr<ReadAhead>& read_ahead() const { return read_ahead_; }

  // As those of ByteSource.
  [[nodiscard]] std::optional<base::OwnedText> failure() const {
    return pieces_ ? pieces_->failure() : source_->failure();
  }
  [[nodiscard]] std::string compression() const { return pieces_ ? std::string() : source_->compression(); }
  [[nodiscard]] std::uint64_t position() const { return pieces_ ? pieces_->position() : source_->position(); }
  [[nodiscard]] std::optional<std::uint64_t> size() const { return pieces_ ? pieces_->size() : source_->size(); }

 private:
  void fill(std::size_t count);
  bool take(const Piece& piece);
  bool read_more();
  void move_to(SharedBytes memory, std::size_t size, std::size_t begin);

  std::unique_ptr<ByteSource> source_;  // or
  std::shared_ptr<FilePieces> pieces_;
  // The same, given by reference: it is asked for with each batch, and all threads write where its sharers are counted.
  std::shared_ptr<ReadAhead> read_ahead_;
  std::unique_ptr<MemoryPool> pool_ = std::make_unique<MemoryPool>(256U << 10U);  // for what a source reads
  SharedBytes memory_;
  std::size_t size_ = 0;  // of memory_; where the input is pieces, as far as it may be written
  std::size_t begin_ = 0, end_ = 0;
  std::uint64_t offset_ = 0;
  bool at_end_ = false;
};

}  // namespace tcpwhy::capfile
