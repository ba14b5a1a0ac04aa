#include "capfile/input/compression.h"

#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <limits>

#include "base/check.h"

namespace tcpwhy::capfile {
namespace {

class Plain final : public Compressor {
 public:
  explicit Plain(const Sink& sink) : sink_(sink) {}
  base::Status write(std::span<const std::uint8_t> bytes) override {
    return bytes.empty() ? base::Status() : sink_(bytes);
  }
  base::Status finish() override { return {}; }

 private:
  const Sink& sink_;
};

class Gzip final : public Compressor {
 public:
  explicit Gzip(const Sink& sink) : sink_(sink), chunk_(256U << 10) {
    constexpr int gzip_framing = 16, memory_level = 8;
    TCPWHY_CHECK(deflateInit2(&stream_, Z_DEFAULT_COMPRESSION, Z_DEFLATED, MAX_WBITS + gzip_framing, memory_level,
                              Z_DEFAULT_STRATEGY) == Z_OK);
  }
  ~Gzip() override { deflateEnd(&stream_); }

  base::Status write(std::span<const std::uint8_t> bytes) override {
    while (!bytes.empty()) {
      const std::size_t step = std::min<std::size_t>(bytes.size(), std::numeric_limits<int>::max());
      if (auto passed = pass(bytes.first(step), Z_NO_FLUSH); !passed) return passed;
      bytes = bytes.subspan(step);
    }
    return {};
  }
  base::Status finish() override { return pass({}, Z_FINISH); }

 private:
  base::Status pass(std::span<const std::uint8_t> bytes, int flush) {
    stream_.next_in = const_cast<std::uint8_t*>(bytes.data());  // zlib's interface lacks the const
    stream_.avail_in = static_cast<uInt>(bytes.size());
    while (true) {
      stream_.next_out = chunk_.data();
      stream_.avail_out = static_cast<uInt>(chunk_.size());
      const int status = deflate(&stream_, flush);
      TCPWHY_CHECK(status == Z_OK || status == Z_STREAM_END || status == Z_BUF_ERROR);
      const std::size_t made = chunk_.size() - stream_.avail_out;
      if (made > 0)
        if (auto taken = sink_(std::span(chunk_).first(made)); !taken) return taken;
      if (status == Z_STREAM_END || (flush == Z_NO_FLUSH && stream_.avail_out > 0)) return {};
    }
  }

  const Sink& sink_;
  std::vector<std::uint8_t> chunk_;
  z_stream stream_{};
};

class Zstd final : public Compressor {
 public:
  explicit Zstd(const Sink& sink) : sink_(sink), context_(ZSTD_createCCtx()), chunk_(ZSTD_CStreamOutSize()) {
    TCPWHY_CHECK(context_ != nullptr);
    // As zstd(1) does: so that damage is found, whatever it hits.
    TCPWHY_CHECK(ZSTD_isError(ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_checksumFlag, 1)) == 0);
  }
  base::Status write(std::span<const std::uint8_t> bytes) override { return pass(bytes, ZSTD_e_continue); }
  base::Status finish() override { return pass({}, ZSTD_e_end); }

 private:
  struct Free {
    void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  };

  base::Status pass(std::span<const std::uint8_t> bytes, ZSTD_EndDirective what) {
    ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
    while (true) {
      ZSTD_outBuffer out{chunk_.data(), chunk_.size(), 0};
      const std::size_t left = ZSTD_compressStream2(context_.get(), &out, &in, what);
      TCPWHY_CHECK(ZSTD_isError(left) == 0);
      if (out.pos > 0)
        if (auto taken = sink_(std::span(chunk_).first(out.pos)); !taken) return taken;
      if (what == ZSTD_e_end ? left == 0 : in.pos == in.size) return {};
    }
  }

  const Sink& sink_;
  std::unique_ptr<ZSTD_CCtx, Free> context_;
  std::vector<std::uint8_t> chunk_;
};

std::vector<std::uint8_t> compressed(Compression compression, std::span<const std::uint8_t> bytes) {
  std::vector<std::uint8_t> out;
  const Sink sink = [&out](std::span<const std::uint8_t> piece) {
    out.insert(out.end(), piece.begin(), piece.end());
    return base::Status();
  };
  const auto compressor = Compressor::make(compression, sink);
  TCPWHY_CHECK(compressor->write(bytes) && compressor->finish());
  return out;
}

}  // namespace

Compression compression_of(std::string_view path) {
  if (path.ends_with(".gz")) return Compression::gzip;
  if (path.ends_with(".zst")) return Compression::zstd;
  return Compression::none;
}

std::unique_ptr<Compressor> Compressor::make(Compression compression, const Sink& sink) {
  switch (compression) {
    case Compression::gzip: return std::make_unique<Gzip>(sink);
    case Compression::zstd: return std::make_unique<Zstd>(sink);
    case Compression::none: break;
  }
  return std::make_unique<Plain>(sink);
}

std::vector<std::uint8_t> gzip_compressed(std::span<const std::uint8_t> bytes) {
  return compressed(Compression::gzip, bytes);
}
std::vector<std::uint8_t> zstd_compressed(std::span<const std::uint8_t> bytes) {
  return compressed(Compression::zstd, bytes);
}

}  // namespace tcpwhy::capfile
