// An array with one element for each value of an enum: indexed by that enum alone, so that an index of another meaning
// does not compile.
#pragma once

#include <array>
#include <cstddef>

namespace tcpwhy::base {

template <class Enum, class T, std::size_t count>
struct EnumArray {
  std::array<T, count> values{};

  constexpr T& operator[](Enum index) { return values[static_cast<std::size_t>(index)]; }
  constexpr const T& operator[](Enum index) const { return values[static_cast<std::size_t>(index)]; }
  constexpr auto begin() { return values.begin(); }
  constexpr auto end() { return values.end(); }
  constexpr auto begin() const { return values.begin(); }
  constexpr auto end() const { return values.end(); }
  bool operator==(const EnumArray&) const = default;
};

}  // namespace tcpwhy::base
