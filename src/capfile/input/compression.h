// gzip and zstd, for writing: piece by piece, or a whole buffer.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace tcpwhy::capfile {

// Takes the bytes of a file, one piece after the other. What it returns as an error ends the writing.
using Sink = std::function<base::Status(std::span<const std::uint8_t>)>;

enum class Compression : std::uint8_t { none, gzip, zstd };
// By the end of a file's name: .gz, .zst.
Compression compression_of(std::string_view path);

// Compresses into a sink, in memory that does not grow with what is written.
class Compressor {
 public:
  // `sink` must outlive it.
  static std::unique_ptr<Compressor> make(Compression compression, const Sink& sink);
  Compressor() = default;
  Compressor(const Compressor&) = delete;
  Compressor& operator=(const Compressor&) = delete;
  virtual ~Compressor() = default;

  virtual base::Status write(std::span<const std::uint8_t> bytes) = 0;
  virtual base::Status finish() = 0;  // once, at the end
};

std::vector<std::uint8_t> gzip_compressed(std::span<const std::uint8_t> bytes);
std::vector<std::uint8_t> zstd_compressed(std::span<const std::uint8_t> bytes);

}  // namespace tcpwhy::capfile
