#include "capfile/input_buffer.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace tcpwhy::capfile {
namespace {
constexpr std::size_t first_size = 256U << 10;

SharedBytes make_memory(std::size_t size) { return std::make_shared_for_overwrite<std::uint8_t[]>(size); }
}

InputBuffer::InputBuffer(std::unique_ptr<ByteSource> source)
    : source_(std::move(source)), buffer_(make_memory(first_size)), made_{buffer_}, size_(first_size) {}

// Ours are `buffer_` and its place in `made_`.
void InputBuffer::move_to_free_memory() {
  constexpr long in_use = 2, nobodys = 1;
  if (buffer_.use_count() == in_use) {
    std::memmove(buffer_.get(), buffer_.get() + begin_, end_ - begin_);
    return;
  }
  auto free = std::ranges::find_if(made_, [](const SharedBytes& bytes) { return bytes.use_count() == nobodys; });
  if (free == made_.end()) free = made_.insert(free, make_memory(size_));
  std::memcpy(free->get(), buffer_.get() + begin_, end_ - begin_);
  buffer_ = *free;
}

void InputBuffer::fill(std::size_t count) {
  if (begin_ != 0) {
    move_to_free_memory();
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
  SharedBytes larger = make_memory(size_ * 2);
  std::memcpy(larger.get(), buffer_.get(), end_);
  buffer_ = std::move(larger);
  made_ = {buffer_};
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
