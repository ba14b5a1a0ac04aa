#include "capfile/input/byte_source.h"

#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace tcpwhy::capfile {
namespace {

class MemorySource final : public ByteSource {
 public:
  explicit MemorySource(std::span<const std::uint8_t> bytes) : bytes_(bytes), size_(bytes.size()) {}
  std::size_t read(std::span<std::uint8_t> room) override {
    const std::size_t count = std::min(room.size(), bytes_.size());
    std::copy_n(bytes_.begin(), count, room.begin());
    bytes_ = bytes_.subspan(count);
    return count;
  }
  std::uint64_t position() const override { return size_ - bytes_.size(); }
  std::optional<std::uint64_t> size() const override { return size_; }
  bool may_wait() const override { return false; }

 private:
  std::span<const std::uint8_t> bytes_;
  std::uint64_t size_;
};

class FdSource final : public ByteSource {
 public:
  explicit FdSource(Input input) : input_(std::move(input)) {}

  std::size_t read(std::span<std::uint8_t> room) override {
    while (!failure_ && wait_for_bytes()) {
      const ssize_t count = input_.is_regular() ? ::pread(input_.fd(), room.data(), room.size(), at())
                                                : ::read(input_.fd(), room.data(), room.size());
      if (count >= 0) {
        position_ += static_cast<std::uint64_t>(count);
        return static_cast<std::size_t>(count);
      }
      if (errno == EAGAIN) {
        pollfd waiting{.fd = input_.fd(), .events = POLLIN, .revents = 0};
        ::poll(&waiting, 1, -1);
      } else if (errno != EINTR) {
        failure_ = base::both(std::strerror(errno));
      }
    }
    return 0;
  }
  std::optional<base::OwnedText> failure() const override { return failure_; }
  std::uint64_t position() const override { return position_; }
  std::optional<std::uint64_t> size() const override {
    struct stat status{};
    if (fstat(input_.fd(), &status) != 0 || !S_ISREG(status.st_mode)) return std::nullopt;
    return static_cast<std::uint64_t>(status.st_size);
  }
  bool may_wait() const override { return !input_.is_regular(); }

 private:
  [[nodiscard]] off_t at() const { return static_cast<off_t>(input_.start() + position_); }
  // False: there are to be no more. A signal may come just before read(2) would wait for ever, so poll(2) waits, and not for long.
  [[nodiscard]] bool wait_for_bytes() const {
    if (input_.is_regular() || !input_.stop()) return true;
    constexpr int look_every_ms = 100;
    pollfd waiting{.fd = input_.fd(), .events = POLLIN, .revents = 0};
    int ready = 0;
    do {
      if (input_.stop()()) return false;
      ready = ::poll(&waiting, 1, look_every_ms);
    } while (ready == 0 || (ready < 0 && errno == EINTR));
    return true;
  }
  Input input_;
  std::uint64_t position_ = 0;
  std::optional<base::OwnedText> failure_;
};

}  // namespace

std::unique_ptr<ByteSource> memory_source(std::span<const std::uint8_t> bytes) {
  return std::make_unique<MemorySource>(bytes);
}
std::unique_ptr<ByteSource> input_source(const Input& input) { return std::make_unique<FdSource>(input); }

}  // namespace tcpwhy::capfile
