#include "capfile/input/byte_source.h"

#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "base/check.h"

namespace tcpwhy::capfile {
namespace {

constexpr std::size_t compressed_chunk = 128U << 10;

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
        failure_ = std::strerror(errno);
      }
    }
    return 0;
  }
  std::optional<std::string> failure() const override { return failure_; }
  std::uint64_t position() const override { return position_; }
  std::optional<std::uint64_t> size() const override {
    struct stat status{};
    if (fstat(input_.fd(), &status) != 0 || !S_ISREG(status.st_mode)) return std::nullopt;
    return static_cast<std::uint64_t>(status.st_size);
  }

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
  std::optional<std::string> failure_;
};

// Bytes already taken from a source to look at them, then the rest of it.
class PeekedSource final : public ByteSource {
 public:
  PeekedSource(std::vector<std::uint8_t> peeked, std::unique_ptr<ByteSource> rest)
      : peeked_(std::move(peeked)), rest_(std::move(rest)) {}
  std::size_t read(std::span<std::uint8_t> room) override {
    if (used_ == peeked_.size()) return rest_->read(room);
    const std::size_t count = std::min(room.size(), peeked_.size() - used_);
    std::copy_n(peeked_.begin() + static_cast<std::ptrdiff_t>(used_), count, room.begin());
    used_ += count;
    return count;
  }
  std::optional<std::string> failure() const override { return rest_->failure(); }
  std::uint64_t position() const override { return rest_->position(); }
  std::optional<std::uint64_t> size() const override { return rest_->size(); }

 private:
  std::vector<std::uint8_t> peeked_;
  std::size_t used_ = 0;
  std::unique_ptr<ByteSource> rest_;
};

// What both decompressors share: a chunk of compressed input, and how the stream ended.
class Decompressor : public ByteSource {
 public:
  explicit Decompressor(std::unique_ptr<ByteSource> inner)
      : inner_(std::move(inner)), chunk_(std::make_unique_for_overwrite<std::uint8_t[]>(compressed_chunk)) {}
  std::optional<std::string> failure() const override {
    if (auto below = inner_->failure()) return below;
    return failure_;
  }
  std::uint64_t position() const override { return inner_->position(); }
  std::optional<std::uint64_t> size() const override { return inner_->size(); }

 protected:
  // The compressed bytes not used yet, refilled if there are none; empty at the end of the input.
  std::span<const std::uint8_t> input() {
    if (begin_ == end_) {
      begin_ = 0;
      end_ = inner_->read({chunk_.get(), compressed_chunk});
    }
    return {chunk_.get() + begin_, end_ - begin_};
  }
  void use_input(std::size_t count) { begin_ += count; }
  void fail(std::string what) { failure_ = std::move(what); }
  [[nodiscard]] bool failed() const { return failure_.has_value(); }

 private:
  std::unique_ptr<ByteSource> inner_;
  std::unique_ptr<std::uint8_t[]> chunk_;
  std::size_t begin_ = 0, end_ = 0;
  std::optional<std::string> failure_;
};

class GzipSource final : public Decompressor {
 public:
  explicit GzipSource(std::unique_ptr<ByteSource> inner) : Decompressor(std::move(inner)) {
    constexpr int gzip_framing = 16;
    TCPWHY_CHECK(inflateInit2(&stream_, MAX_WBITS + gzip_framing) == Z_OK);
  }
  GzipSource(const GzipSource&) = delete;
  GzipSource& operator=(const GzipSource&) = delete;
  ~GzipSource() override { inflateEnd(&stream_); }

  std::size_t read(std::span<std::uint8_t> room) override {
    while (!failed() && !ended_) {
      const std::span<const std::uint8_t> in = input();
      if (between_members_ && (in.empty() || in[0] != 0x1f)) {
        ended_ = true;
        break;
      }
      if (in.empty() && !output_pending_) {
        fail("the gzip data end early");
        break;
      }
      if (const std::size_t count = inflate_some(in, room)) return count;
    }
    return 0;
  }
  std::string compression() const override { return "gzip"; }

 private:
  std::size_t inflate_some(std::span<const std::uint8_t> in, std::span<std::uint8_t> room) {
    stream_.next_in = const_cast<std::uint8_t*>(in.data());  // zlib's interface lacks the const
    stream_.avail_in = static_cast<uInt>(in.size());
    stream_.next_out = room.data();
    stream_.avail_out = static_cast<uInt>(std::min<std::size_t>(room.size(), 1U << 30));
    const uInt offered = stream_.avail_out;
    const int status = inflate(&stream_, Z_NO_FLUSH);
    use_input(in.size() - stream_.avail_in);
    output_pending_ = status == Z_OK && stream_.avail_out == 0;
    if (status == Z_STREAM_END) {
      first_member_done_ = true;
      between_members_ = true;
      inflateReset(&stream_);
    } else if (status == Z_OK || status == Z_BUF_ERROR) {
      between_members_ = false;
    } else if (first_member_done_ && stream_.total_out == 0 && offered == stream_.avail_out) {
      ended_ = true;  // a 1f byte after the last member that begins no other
    } else {
      fail("the gzip data are corrupt");
    }
    return offered - stream_.avail_out;
  }

  z_stream stream_{};
  bool between_members_ = false, first_member_done_ = false, ended_ = false, output_pending_ = false;
};

struct FreeZstd {
  void operator()(ZSTD_DStream* stream) const { ZSTD_freeDStream(stream); }
};

class ZstdSource final : public Decompressor {
 public:
  explicit ZstdSource(std::unique_ptr<ByteSource> inner)
      : Decompressor(std::move(inner)), stream_(ZSTD_createDStream()) {
    TCPWHY_CHECK(stream_ != nullptr);  // its window limit stays zstd's default: 128 MiB
  }

  std::size_t read(std::span<std::uint8_t> room) override {
    while (!failed()) {
      const std::span<const std::uint8_t> in = input();
      if (in.empty() && !output_pending_) {
        if (inside_frame_) fail("the zstd data end early");
        break;
      }
      ZSTD_inBuffer source{in.data(), in.size(), 0};
      ZSTD_outBuffer target{room.data(), room.size(), 0};
      const std::size_t status = ZSTD_decompressStream(stream_.get(), &target, &source);
      if (ZSTD_isError(status) != 0) {
        fail(std::string("the zstd data are corrupt: ") + ZSTD_getErrorName(status));
        break;
      }
      use_input(source.pos);
      inside_frame_ = status != 0;
      output_pending_ = inside_frame_ && target.pos == target.size;
      if (target.pos != 0) return target.pos;
    }
    return 0;
  }
  std::string compression() const override { return "zstd"; }

 private:
  std::unique_ptr<ZSTD_DStream, FreeZstd> stream_;
  bool inside_frame_ = false, output_pending_ = false;
};

bool is_gzip(std::span<const std::uint8_t> start) { return start.size() >= 2 && start[0] == 0x1f && start[1] == 0x8b; }

// RFC 8878 3.1.1 (Zstandard frame) and 3.1.2 (skippable frame, 0x184D2A50 to 0x184D2A5F).
bool is_zstd(std::span<const std::uint8_t> start) {
  if (start.size() < 4) return false;
  const bool frame = start[0] == 0x28 && start[1] == 0xb5 && start[2] == 0x2f && start[3] == 0xfd;
  const bool skippable = (start[0] & 0xf0) == 0x50 && start[1] == 0x2a && start[2] == 0x4d && start[3] == 0x18;
  return frame || skippable;
}

}  // namespace

bool is_compressed(std::span<const std::uint8_t> start) { return is_gzip(start) || is_zstd(start); }

std::unique_ptr<ByteSource> memory_source(std::span<const std::uint8_t> bytes) {
  return std::make_unique<MemorySource>(bytes);
}
std::unique_ptr<ByteSource> input_source(const Input& input) { return std::make_unique<FdSource>(input); }

std::unique_ptr<ByteSource> decompressed(std::unique_ptr<ByteSource> source) {
  std::vector<std::uint8_t> start(4);
  std::size_t have = 0;
  while (have < start.size()) {
    const std::size_t count = source->read(std::span(start).subspan(have));
    if (count == 0) break;
    have += count;
  }
  start.resize(have);
  const bool gzip = is_gzip(start), zstd = is_zstd(start);
  auto whole = std::make_unique<PeekedSource>(std::move(start), std::move(source));
  if (gzip) return std::make_unique<GzipSource>(std::move(whole));
  if (zstd) return std::make_unique<ZstdSource>(std::move(whole));
  return whole;
}

}  // namespace tcpwhy::capfile
