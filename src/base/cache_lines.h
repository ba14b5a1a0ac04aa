// Where threads write beside each other.
#pragma once

#include <cstddef>

namespace tcpwhy::base {

// In bytes: what one thread writes often lies that far from what another reads or writes for other reasons. Two lines
// of the cache, which processors fetch in pairs.
inline constexpr std::size_t lines_apart = 128;

}  // namespace tcpwhy::base
