// A window over a byte source: contiguous bytes on demand, read in big chunks into one reused buffer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "capfile/byte_source.h"

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

  [[nodiscard]] std::uint64_t offset() const { return offset_; }
  [[nodiscard]] const ByteSource& source() const { return *source_; }

 private:
  void fill(std::size_t count);
  void grow();

  std::unique_ptr<ByteSource> source_;
  std::unique_ptr<std::uint8_t[]> buffer_;  // not zeroed: opening a small file should not cost its size
  std::size_t size_;
  std::size_t begin_ = 0, end_ = 0;
  std::uint64_t offset_ = 0;
  bool at_end_ = false;
};

}  // namespace tcpwhy::capfile
