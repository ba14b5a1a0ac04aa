// Quantities in words, for people. Each function is one form, with what it is for; how a file format or a notation of
// another program writes a number stands with that format.
#pragma once

#include <cstdint>
#include <string>

#include "base/clock.h"

namespace tcpwhy::base {

// ---- durations

// What was measured, in the unit that reads best, with some three figures: "38 µs", "4.27 ms", "42.1 ms", "1.02 s".
// Seconds are the largest unit.
std::string in_words(Duration duration);

// For how long something has been so: whole units, the two largest, cut and not rounded: "450 ms", "12 s", "1 min 2 s",
// "3 h 2 min", "2 d 4 h".
std::string age_in_words(Duration duration);

// A cell of a table, in ASCII, one unit up to days: "38 us", "4.3 ms", "1.02 s", "12.3 min", "5.0 h", "3.1 d".
std::string duration_cell(Duration duration);

// A column of lines that come by ten thousands a second, whole numbers all the way (a number with a point costs several
// times as much): tenths of "ms" or "s", and from two minutes on whole "min".
std::string duration_in_tenths(Duration duration);

// A limit as it was set: "10 s", "0.25 s".
std::string seconds_in_words(Duration duration);

// A time beside others of the same kind, so in one unit whatever its size: "0.3 ms", "1500.0 ms".
std::string milliseconds_in_words(Duration duration);

// ---- bytes and digits

// "9999 B", "12.3 kB", "41.0 MB", "12.0 GB": thousands, not 1024; up to 9999 of a unit are told in it.
std::string bytes_in_words(std::uint64_t bytes);

// The same for the lines of duration_in_tenths(): whole units, cut: "12 kB", "41 MB".
std::string bytes_in_whole_units(std::uint64_t bytes);

// "1,234,567".
std::string grouped(std::uint64_t number);

}  // namespace tcpwhy::base
