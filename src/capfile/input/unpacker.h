// The kinds of compressed data that are read. Of each a machine that takes packed bytes and gives unpacked ones, in memory that does
// not grow with either. All packed bytes may be hostile.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "base/language.h"

namespace tcpwhy::capfile {

class Unpacker {
 public:
  enum class State : std::uint8_t {
    inside,   // a member (gzip), frame (zstd, LZ4) or stream (xz, bzip2) is not over
    between,  // one has ended just there; another may follow
    other,    // what follows the one before is none, and who made this kind of data ignores that
    damaged,
  };
  struct Step {
    std::size_t used = 0, made = 0;
    State state = State::inside;
  };

  Unpacker() = default;
  Unpacker(const Unpacker&) = delete;
  Unpacker& operator=(const Unpacker&) = delete;
  virtual ~Unpacker() = default;

  // Unpacks what fits into `room`, which is not empty. `packed` is empty when the input is over; then nothing that is made means
  // that nothing more will be. Not to be called after `other` and `damaged`, nor without input where the state is `between`.
  virtual Step step(std::span<const std::uint8_t> packed, std::span<std::uint8_t> room) = 0;
  // Behind `damaged`: in which way, where the library says so.
  [[nodiscard]] virtual base::OwnedText damage() const { return {}; }
};

struct PackedFormat {
  std::string_view name;
  bool (*begins)(std::span<const std::uint8_t> start);
  std::unique_ptr<Unpacker> (*make)();
};

// By the first bytes, `longest_magic` are enough; null: it is none.
inline constexpr std::size_t longest_magic = 6;
const PackedFormat* packed_format_of(std::span<const std::uint8_t> start);

}  // namespace tcpwhy::capfile
