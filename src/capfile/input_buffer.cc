#include "capfile/input_buffer.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace tcpwhy::capfile {
namespace {
constexpr std::size_t first_size = 256U << 10;
}

InputBuffer::InputBuffer(std::unique_ptr<ByteSource> source)
    : source_(std::move(source)),
      buffer_(std::make_unique_for_overwrite<std::uint8_t[]>(first_size)),
      size_(first_size) {}

void InputBuffer::fill(std::size_t count) {
  if (begin_ != 0) {
    std::memmove(buffer_.get(), buffer_.get() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  while (!at_end_ && end_ < count) {
    if (end_ == size_) grow();
    const std::size_t got = source_->read({buffer_.get() + end_, size_ - end_});
    if (got == 0) at_end_ = true;
    end_ += got;
  }
}

void InputBuffer::grow() {
  auto larger = std::make_unique_for_overwrite<std::uint8_t[]>(size_ * 2);
  std::memcpy(larger.get(), buffer_.get(), end_);
  buffer_ = std::move(larger);
  size_ *= 2;
}

std::uint64_t InputBuffer::skip(std::uint64_t count) {
  std::uint64_t skipped = 0;
  while (skipped < count) {
    const auto step = static_cast<std::size_t>(std::min<std::uint64_t>(count - skipped, first_size));
    const std::size_t got = peek(step).size();
    consume(got);
    skipped += got;
    if (got < step) break;
  }
  return skipped;
}

}  // namespace tcpwhy::capfile
