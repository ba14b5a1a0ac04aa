// For tests: compressed data of each kind that is read.
#pragma once

#include <bzlib.h>
#include <lz4frame.h>
#include <lzma.h>

#include <cstdint>
#include <ostream>
#include <span>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "capfile/input/compression.h"

namespace tcpwhy::capfile::testing {

inline std::vector<std::uint8_t> xz_compressed(std::span<const std::uint8_t> bytes) {
  std::vector<std::uint8_t> out(lzma_stream_buffer_bound(bytes.size()));
  std::size_t made = 0;
  TCPWHY_CHECK(lzma_easy_buffer_encode(LZMA_PRESET_DEFAULT, LZMA_CHECK_CRC64, nullptr, bytes.data(), bytes.size(),
                                       out.data(), &made, out.size()) == LZMA_OK);
  out.resize(made);
  out.shrink_to_fit();
  return out;
}

inline std::vector<std::uint8_t> bzip2_compressed(std::span<const std::uint8_t> bytes) {
  std::vector<std::uint8_t> out(bytes.size() + bytes.size() / 100 + 600);  // as bzlib.h's manual says
  auto made = static_cast<unsigned>(out.size());
  // Its interface lacks the const, and does not like null.
  static char nothing = 0;
  char* const from = bytes.empty() ? &nothing : reinterpret_cast<char*>(const_cast<std::uint8_t*>(bytes.data()));
  TCPWHY_CHECK(BZ2_bzBuffToBuffCompress(reinterpret_cast<char*>(out.data()), &made, from,
                                        static_cast<unsigned>(bytes.size()), 9, 0, 0) == BZ_OK);
  out.resize(made);
  out.shrink_to_fit();
  return out;
}

inline std::vector<std::uint8_t> lz4_compressed(std::span<const std::uint8_t> bytes) {
  LZ4F_preferences_t preferences{};
  preferences.frameInfo.contentChecksumFlag = LZ4F_contentChecksumEnabled;  // as lz4(1)
  std::vector<std::uint8_t> out(LZ4F_compressFrameBound(bytes.size(), &preferences));
  const std::size_t made = LZ4F_compressFrame(out.data(), out.size(), bytes.data(), bytes.size(), &preferences);
  TCPWHY_CHECK(LZ4F_isError(made) == 0);
  out.resize(made);
  out.shrink_to_fit();
  return out;
}

struct Packer {
  std::string_view name;
  std::string_view suffix;
  std::vector<std::uint8_t> (*pack)(std::span<const std::uint8_t>);
  bool ignores_what_follows;
};
inline std::ostream& operator<<(std::ostream& out, const Packer& packer) { return out << packer.name; }

inline constexpr Packer packers[] = {
    {"gzip", ".gz", gzip_compressed, true}, {"zstd", ".zst", zstd_compressed, false},
    {"xz", ".xz", xz_compressed, false},    {"bzip2", ".bz2", bzip2_compressed, true},
    {"LZ4", ".lz4", lz4_compressed, false},
};

}  // namespace tcpwhy::capfile::testing
