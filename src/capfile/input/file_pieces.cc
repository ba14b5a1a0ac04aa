#include "capfile/input/file_pieces.h"

#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <span>
#include <utility>

#include "capfile/input/unpacked_source.h"

namespace tcpwhy::capfile {
bool FilePieces::can_read(const Input& input) {
  if (!input.is_regular()) return false;
  std::array<std::uint8_t, longest_magic> start{};
  const ssize_t count = pread(input.fd(), start.data(), start.size(), static_cast<off_t>(input.start()));
  return count >= 0 && !is_compressed(std::span(start).first(static_cast<std::size_t>(count)));
}

std::optional<std::uint64_t> FilePieces::size() const {
  struct stat info{};
  if (fstat(input_.fd(), &info) != 0) return std::nullopt;
  return static_cast<std::uint64_t>(info.st_size);
}

void FilePieces::read(Slot& slot, std::uint64_t number) {
  Piece& piece = slot.piece;
  piece.memory = pool_.take();
  piece.size = 0;
  slot.error = 0;
  while (piece.size < piece_bytes) {
    const ssize_t count =
        pread(input_.fd(), piece.memory.get() + Piece::headroom + piece.size, piece_bytes - piece.size,
              static_cast<off_t>(input_.start() + number * piece_bytes + piece.size));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) slot.error = errno;
    if (count <= 0) break;
    piece.size += static_cast<std::size_t>(count);
  }
}

// Without a lock: all threads come here and to load() for each piece.
std::optional<std::uint64_t> FilePieces::begin() {
  std::uint64_t piece = begun_.load(std::memory_order_relaxed);
  do {
    if (end_seen_.load(std::memory_order_relaxed)) return std::nullopt;
    // What next() did with the piece before in that slot is over.
    if (piece - first_.load(std::memory_order_acquire) >= most_ahead) return std::nullopt;
  } while (!begun_.compare_exchange_weak(piece, piece + 1, std::memory_order_relaxed));
  return piece;
}

void FilePieces::load(std::uint64_t piece) {
  Slot& slot = slots_[piece % most_ahead];
  read(slot, piece);
  if (slot.piece.size < piece_bytes) end_seen_.store(true, std::memory_order_relaxed);
  slot.loaded.store(1, std::memory_order_release);
  slot.loaded.notify_one();
}

// A file that grows while it is read may have bytes behind a short piece by now: they are not read, there would be a
// hole before them.
Piece FilePieces::next() {
  if (at_end_) return {};
  const std::uint64_t number = taken();
  if (number == begun_.load(std::memory_order_relaxed))
    if (const auto piece = begin()) load(*piece);
  Slot& slot = slots_[number % most_ahead];
  slot.loaded.wait(0, std::memory_order_acquire);
  slot.loaded.store(0, std::memory_order_relaxed);
  position_ += slot.piece.size;
  at_end_ = slot.piece.size < piece_bytes;
  if (slot.error != 0) failure_ = base::both(std::strerror(slot.error));
  Piece piece = std::move(slot.piece);
  first_.store(number + 1, std::memory_order_release);
  return piece;
}

}  // namespace tcpwhy::capfile
