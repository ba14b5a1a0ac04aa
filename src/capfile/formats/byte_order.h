// Integers out of and into the bytes of a file, in the byte order that the file states.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>

namespace tcpwhy::capfile {

// Reads a T at `bytes`, which must hold sizeof(T) bytes.
template <std::unsigned_integral T>
T load(const std::uint8_t* bytes, bool swapped) {
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return swapped ? std::byteswap(value) : value;
}

inline std::uint64_t load_little_endian_64(const std::uint8_t* bytes) {
  return load<std::uint64_t>(bytes, std::endian::native == std::endian::big);
}

}  // namespace tcpwhy::capfile
