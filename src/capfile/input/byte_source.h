// Where bytes come from: memory, an open file, or the decompressed content of another source.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "base/language.h"
#include "capfile/input/input.h"
#include "capfile/input/piece.h"

namespace tcpwhy::capfile {

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // Fills a part of `room` (not empty) and says how much; 0 at the end, and from the first failure on.
  virtual std::size_t read(std::span<std::uint8_t> room) = 0;
  // Of a source that has its bytes in pieces, from some moment on: the next one, whose rest read() has not given. Nothing where it has
  // not, or not yet; once it has there will be nothing but pieces.
  virtual std::optional<Piece> next_piece() { return std::nullopt; }
  // What ended the bytes early ("the gzip data are corrupt"), if anything did.
  [[nodiscard]] virtual std::optional<base::OwnedText> failure() const { return std::nullopt; }
  // How much of the innermost input, compressed or not, has been read, and how much there is in all, where that is known.
  [[nodiscard]] virtual std::uint64_t position() const = 0;
  [[nodiscard]] virtual std::optional<std::uint64_t> size() const = 0;
  // Whether read() may wait for somebody who writes, for however long.
  [[nodiscard]] virtual bool may_wait() const = 0;
  // "gzip", "zstd", "xz", "bzip2", "LZ4", or empty.
  [[nodiscard]] virtual std::string compression() const { return {}; }
};

std::unique_ptr<ByteSource> memory_source(std::span<const std::uint8_t> bytes);  // `bytes` must outlive it
std::unique_ptr<ByteSource> input_source(const Input& input);

}  // namespace tcpwhy::capfile
