#include "capfile/file_pieces.h"

#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <span>
#include <utility>

#include "capfile/byte_source.h"

namespace tcpwhy::capfile {
namespace {

constexpr std::size_t most_ahead = 64;

}  // namespace

bool FilePieces::can_read(int fd) {
  struct stat info{};
  if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) return false;
  std::array<std::uint8_t, 4> start{};
  const ssize_t count = pread(fd, start.data(), start.size(), lseek(fd, 0, SEEK_CUR));
  return count >= 0 && !is_compressed(std::span(start).first(static_cast<std::size_t>(count)));
}

FilePieces::FilePieces(int borrowed)
    : fd_(borrowed), offset_(static_cast<std::uint64_t>(lseek(borrowed, 0, SEEK_CUR))), position_(offset_) {}

std::optional<std::uint64_t> FilePieces::size() const {
  struct stat info{};
  if (fstat(fd_, &info) != 0) return std::nullopt;
  return static_cast<std::uint64_t>(info.st_size);
}

void FilePieces::read(Loaded& loaded) {
  Piece& piece = loaded.piece;
  piece.memory = pool_.take();
  while (piece.size < piece_bytes) {
    const ssize_t count = pread(fd_, piece.memory.get() + headroom + piece.size, piece_bytes - piece.size,
                                static_cast<off_t>(loaded.offset + piece.size));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) loaded.error = errno;
    if (count <= 0) break;
    piece.size += static_cast<std::size_t>(count);
  }
}

std::optional<std::uint64_t> FilePieces::begin() {
  const std::lock_guard lock(mutex_);
  if (end_seen_ || ahead_.size() >= most_ahead) return std::nullopt;
  ahead_.push_back({.offset = std::exchange(offset_, offset_ + piece_bytes), .piece = {}});
  return first_ + ahead_.size() - 1;
}

void FilePieces::load(std::uint64_t piece) {
  std::unique_lock lock(mutex_);
  Loaded& loaded = ahead_[piece - first_];  // stays where it is while others come and go
  lock.unlock();
  read(loaded);
  lock.lock();
  loaded.done = true;
  if (loaded.piece.size < piece_bytes) end_seen_ = true;
  done_.notify_all();
}

// A file that grows while it is read may have bytes behind a short piece by now: they are not read, there would be a
// hole before them.
FilePieces::Piece FilePieces::next() {
  if (at_end_) return {};
  std::unique_lock lock(mutex_);
  if (ahead_.empty()) {
    lock.unlock();
    if (const auto piece = begin()) load(*piece);
    lock.lock();
  }
  done_.wait(lock, [this] { return ahead_.front().done; });
  Loaded loaded = std::move(ahead_.front());
  ahead_.pop_front();
  ++first_;
  position_ += loaded.piece.size;
  at_end_ = loaded.piece.size < piece_bytes;
  if (loaded.error != 0) failure_ = std::strerror(loaded.error);
  return std::move(loaded.piece);
}

}  // namespace tcpwhy::capfile
