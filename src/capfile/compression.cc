#include "capfile/compression.h"

#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <limits>

#include "base/check.h"

namespace tcpwhy::capfile {

std::vector<std::uint8_t> gzip_compressed(std::span<const std::uint8_t> bytes) {
  constexpr int gzip_framing = 16, memory_level = 8;
  z_stream stream{};
  TCPWHY_CHECK(deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, MAX_WBITS + gzip_framing, memory_level,
                            Z_DEFAULT_STRATEGY) == Z_OK);
  std::vector<std::uint8_t> out;
  std::vector<std::uint8_t> chunk(256U << 10);
  int status = Z_OK;
  while (status != Z_STREAM_END) {
    const std::size_t step = std::min<std::size_t>(bytes.size(), std::numeric_limits<int>::max());
    stream.next_in = const_cast<std::uint8_t*>(bytes.data());  // zlib's interface lacks the const
    stream.avail_in = static_cast<uInt>(step);
    stream.next_out = chunk.data();
    stream.avail_out = static_cast<uInt>(chunk.size());
    status = deflate(&stream, step == bytes.size() ? Z_FINISH : Z_NO_FLUSH);
    TCPWHY_CHECK(status == Z_OK || status == Z_STREAM_END);
    bytes = bytes.subspan(step - stream.avail_in);
    out.insert(out.end(), chunk.begin(), chunk.end() - static_cast<std::ptrdiff_t>(stream.avail_out));
  }
  deflateEnd(&stream);
  return out;
}

std::vector<std::uint8_t> zstd_compressed(std::span<const std::uint8_t> bytes) {
  std::vector<std::uint8_t> out(ZSTD_compressBound(bytes.size()));
  const std::size_t size = ZSTD_compress(out.data(), out.size(), bytes.data(), bytes.size(), ZSTD_CLEVEL_DEFAULT);
  TCPWHY_CHECK(ZSTD_isError(size) == 0);
  out.resize(size);
  return out;
}

}  // namespace tcpwhy::capfile
