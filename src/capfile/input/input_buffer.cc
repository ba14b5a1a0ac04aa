#include "capfile/input/input_buffer.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace tcpwhy::capfile {

void InputBuffer::fill(std::size_t count) {
  while (!at_end_ && end_ - begin_ < count) at_end_ = !(pieces_ ? take(pieces_->next()) : read_more());
}

// What has not been consumed goes there, from `begin` on.
void InputBuffer::move_to(SharedBytes memory, std::size_t size, std::size_t begin) {
  const std::size_t rest = end_ - begin_;
  if (rest > 0) std::memcpy(memory.get() + begin, memory_.get() + begin_, rest);
  memory_ = std::move(memory);
  size_ = size;
  begin_ = begin;
  end_ = begin + rest;
}

// The rest of the piece before goes in front of the next one; where it is larger than the room there, both go elsewhere.
bool InputBuffer::take(const Piece& piece) {
  if (piece.size == 0) return false;
  const std::size_t rest = end_ - begin_;
  if (rest <= Piece::headroom) {
    move_to(piece.memory, 0, Piece::headroom - rest);
    end_ += piece.size;
    return true;
  }
  if (size_ - end_ < piece.size || size_ == 0) {
    const std::size_t size = 2 * (rest + piece.size);
    move_to(std::make_shared_for_overwrite<std::uint8_t[]>(size), size, 0);
  }
  std::memcpy(memory_.get() + end_, piece.memory.get() + Piece::headroom, piece.size);
  end_ += piece.size;
  return true;
}

// Behind what is there already while there is room: a pipe that fills by and by should not take new memory for each packet.
bool InputBuffer::read_more() {
  if (const auto piece = source_->next_piece()) return take(*piece);
  const std::size_t worth_reading = pool_->size() / 4;
  if (size_ - end_ < worth_reading) {
    const std::size_t rest = end_ - begin_;
    if (rest <= pool_->size() - worth_reading) {
      move_to(pool_->take(), pool_->size(), 0);
    } else {
      const std::size_t size = 2 * std::max(rest, pool_->size());
      move_to(std::make_shared_for_overwrite<std::uint8_t[]>(size), size, 0);
    }
  }
  const std::size_t got = source_->read({memory_.get() + end_, size_ - end_});
  end_ += got;
  return got > 0;
}

std::uint64_t InputBuffer::skip(std::uint64_t count) {
  constexpr std::size_t longest_step = 256U << 10U;
  std::uint64_t skipped = 0;
  while (skipped < count) {
    const auto step = static_cast<std::size_t>(std::min<std::uint64_t>(count - skipped, longest_step));
    const std::size_t got = peek(step).size();
    consume(got);
    skipped += got;
    if (got < step) break;
  }
  return skipped;
}

}  // namespace tcpwhy::capfile
