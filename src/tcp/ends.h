// The two ends of a connection, named in two ways that do not mix: by what they did, and by whose segment a capture has
// first.
#pragma once

#include <cstdint>

#include "base/enum_array.h"

namespace tcpwhy::tcp {

// By what they did: one opened the connection (sent the SYN), the other was asked.
enum class Side : std::uint8_t { opener, listener };
inline constexpr Side opener = Side::opener, listener = Side::listener;
inline constexpr Side both_sides[] = {opener, listener};
constexpr Side other(Side side) { return side == opener ? listener : opener; }
template <class T>
using PerSide = base::EnumArray<Side, T, 2>;

// By whom was seen sending first: all that a capture that begins late may tell. Tracker::opener() says which of them
// opened.
enum class EndIndex : std::uint8_t { first, second };
inline constexpr EndIndex both_ends[] = {EndIndex::first, EndIndex::second};
constexpr EndIndex opposite(EndIndex end) { return end == EndIndex::first ? EndIndex::second : EndIndex::first; }
template <class T>
using PerEnd = base::EnumArray<EndIndex, T, 2>;

}  // namespace tcpwhy::tcp
