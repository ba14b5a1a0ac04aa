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

// More would push out of the processors' caches what was read first.
constexpr std::size_t most_ahead = 4;

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

void FilePieces::read_at(std::uint64_t offset, Loaded& loaded) {
  Piece& piece = loaded.piece;
  piece.memory = pool_.take();
  while (piece.size < piece_bytes) {
    const ssize_t count = pread(fd_, piece.memory.get() + headroom + piece.size, piece_bytes - piece.size,
                                static_cast<off_t>(offset + piece.size));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) loaded.error = errno;
    if (count <= 0) break;
    piece.size += static_cast<std::size_t>(count);
  }
}

bool FilePieces::load() {
  std::unique_lock lock(mutex_);
  if (end_seen_ || ahead_.size() >= most_ahead) return false;
  Loaded& loaded = ahead_.emplace_back();  // stays where it is while others come and go
  const std::uint64_t offset = std::exchange(offset_, offset_ + piece_bytes);
  lock.unlock();
  read_at(offset, loaded);
  lock.lock();
  loaded.done = true;
  if (loaded.piece.size < piece_bytes) end_seen_ = true;
  done_.notify_all();
  return true;
}

// A file that grows while it is read may have bytes behind a short piece by now: they are not read, there would be a hole before them.
FilePieces::Piece FilePieces::next() {
  if (at_end_) return {};
  std::unique_lock lock(mutex_);
  if (ahead_.empty()) {
    lock.unlock();
    load();
    lock.lock();
  }
  done_.wait(lock, [this] { return ahead_.front().done; });
  Loaded loaded = std::move(ahead_.front());
  ahead_.pop_front();
  position_ += loaded.piece.size;
  at_end_ = loaded.piece.size < piece_bytes;
  if (loaded.error != 0) failure_ = std::strerror(loaded.error);
  return std::move(loaded.piece);
}

}  // namespace tcpwhy::capfile
