// A window over a byte source: contiguous bytes on demand, read in big chunks into memory that is used again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "capfile/byte_source.h"
#include "capfile/reader.h"

namespace tcpwhy::capfile {

class InputBuffer {
 public:
  explicit InputBuffer(std::unique_ptr<ByteSource> source);

  // The next `count` bytes, or fewer at the end of the source. Valid until the next call of any member. The buffer
  // grows as bytes arrive, so a length that is a lie costs no memory.
  std::span<const std::uint8_t> peek(std::size_t count) {
    if (end_ - begin_ < count) fill(count);
    return {buffer_.get() + begin_, end_ - begin_ < count ? end_ - begin_ : count};
  }
  // Moves past `count` bytes that peek() has shown.
  void consume(std::size_t count) { begin_ += count, offset_ += count; }
  // Moves past `count` bytes whatever their number; returns how many there were.
  std::uint64_t skip(std::uint64_t count);

  // What the bytes peeked last lie in. While somebody shares it they stay as they are, and those that follow go elsewhere.
  [[nodiscard]] const SharedBytes& memory() const { return buffer_; }
  [[nodiscard]] std::uint64_t offset() const { return offset_; }
  [[nodiscard]] const ByteSource& source() const { return *source_; }

 private:
  void fill(std::size_t count);
  void grow();
  void move_to_free_memory();

  std::unique_ptr<ByteSource> source_;
  SharedBytes buffer_;             // not zeroed: opening a small file should not cost its size
  std::vector<SharedBytes> made_;  // of this size, `buffer_` among them: as many as were shared at the same time, and one
  std::size_t size_;
  std::size_t begin_ = 0, end_ = 0;
  std::uint64_t offset_ = 0;
  bool at_end_ = false;
};

}  // namespace tcpwhy::capfile
