// The one place where packet memory is read: a view of bytes whose every access is checked against its end.
//
// The view owns nothing. Reading past the end is a mistake of ours, not of the packet (TCPWHY_CHECK): ask has() first.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/check.h"

namespace tcpwhy::wire {

// `Count` bytes at `at` in network byte order. Private to this file: whoever calls it has checked.
template <std::size_t Count>
constexpr std::uint64_t big_endian_value(const std::uint8_t* at) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < Count; ++i) value = value << 8U | at[i];
  return value;
}

// A header of fixed size, whole: its offsets are checked when the program is compiled, so reading it costs no check.
template <std::size_t Size>
class FixedHeader {
 public:
  constexpr explicit FixedHeader(std::span<const std::uint8_t, Size> bytes) : at_(bytes.data()) {}

  template <std::size_t Offset>
  [[nodiscard]] constexpr std::uint8_t u8() const {
    return static_cast<std::uint8_t>(value<Offset, 1>());
  }
  template <std::size_t Offset>
  [[nodiscard]] constexpr std::uint16_t be16() const {
    return static_cast<std::uint16_t>(value<Offset, 2>());
  }
  template <std::size_t Offset>
  [[nodiscard]] constexpr std::uint32_t be32() const {
    return static_cast<std::uint32_t>(value<Offset, 4>());
  }
  template <std::size_t Offset, std::size_t Count>
  [[nodiscard]] constexpr std::span<const std::uint8_t, Count> fixed() const {
    static_assert(Offset + Count <= Size);
    return std::span<const std::uint8_t, Count>(at_ + Offset, Count);
  }

 private:
  template <std::size_t Offset, std::size_t Count>
  [[nodiscard]] constexpr std::uint64_t value() const {
    static_assert(Offset + Count <= Size);
    return big_endian_value<Count>(at_ + Offset);
  }
  const std::uint8_t* at_;
};

class Bytes {
 public:
  constexpr Bytes() = default;
  constexpr explicit Bytes(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}

  [[nodiscard]] constexpr std::size_t size() const { return bytes_.size(); }
  [[nodiscard]] constexpr bool empty() const { return bytes_.empty(); }
  [[nodiscard]] constexpr std::span<const std::uint8_t> span() const { return bytes_; }

  // Whether `count` bytes stand at `offset`.
  [[nodiscard]] constexpr bool has(std::size_t offset, std::size_t count) const {
    return offset <= bytes_.size() && count <= bytes_.size() - offset;
  }

  // Integers in network byte order (be*) or in that of a little-endian machine (le*). They need has(offset, their size).
  [[nodiscard]] constexpr std::uint8_t u8(std::size_t offset) const {
    TCPWHY_CHECK(has(offset, 1));
    return bytes_[offset];
  }
  [[nodiscard]] constexpr std::uint16_t be16(std::size_t offset) const {
    return static_cast<std::uint16_t>(big_endian<2>(offset));
  }
  [[nodiscard]] constexpr std::uint32_t be24(std::size_t offset) const {
    return static_cast<std::uint32_t>(big_endian<3>(offset));
  }
  [[nodiscard]] constexpr std::uint32_t be32(std::size_t offset) const {
    return static_cast<std::uint32_t>(big_endian<4>(offset));
  }
  [[nodiscard]] constexpr std::uint64_t be64(std::size_t offset) const { return big_endian<8>(offset); }
  [[nodiscard]] constexpr std::uint16_t le16(std::size_t offset) const {
    return static_cast<std::uint16_t>(little_endian<2>(offset));
  }
  [[nodiscard]] constexpr std::uint32_t le32(std::size_t offset) const {
    return static_cast<std::uint32_t>(little_endian<4>(offset));
  }

  // `Count` bytes at `offset`; they must be there.
  template <std::size_t Count>
  [[nodiscard]] constexpr std::span<const std::uint8_t, Count> fixed(std::size_t offset) const {
    TCPWHY_CHECK(has(offset, Count));
    return bytes_.subspan(offset).template first<Count>();
  }

  // The header of `Size` bytes at `offset`; it must be there.
  template <std::size_t Size>
  [[nodiscard]] constexpr FixedHeader<Size> header(std::size_t offset) const {
    return FixedHeader<Size>(fixed<Size>(offset));
  }

  // What follows `offset`; nothing where the view ends before it.
  [[nodiscard]] constexpr Bytes from(std::size_t offset) const {
    return Bytes(bytes_.subspan(std::min(offset, bytes_.size())));
  }
  // The first `count` bytes, or fewer where there are fewer.
  [[nodiscard]] constexpr Bytes first(std::size_t count) const {
    return Bytes(bytes_.first(std::min(count, bytes_.size())));
  }

 private:
  template <std::size_t Count>
  [[nodiscard]] constexpr std::uint64_t big_endian(std::size_t offset) const {
    TCPWHY_CHECK(has(offset, Count));
    return big_endian_value<Count>(bytes_.data() + offset);
  }
  template <std::size_t Count>
  [[nodiscard]] constexpr std::uint64_t little_endian(std::size_t offset) const {
    TCPWHY_CHECK(has(offset, Count));
    std::uint64_t value = 0;
    for (std::size_t i = Count; i-- > 0;) value = value << 8U | bytes_[offset + i];
    return value;
  }

  std::span<const std::uint8_t> bytes_;
};

}  // namespace tcpwhy::wire
