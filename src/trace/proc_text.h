// The texts of /proc that are read here, taken apart. Pure: names of processes and of files in them are whatever somebody chose.
#pragma once

#include <charconv>
#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "trace/stacks/mapping.h"

namespace tcpwhy::trace {

// Nothing: it is not a number from its first character to its last.
template <class Number>
std::optional<Number> number_in(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// /proc/PID/fd/N of a socket: "socket:[12345]"; nothing: it is none.
std::optional<std::uint32_t> socket_inode(std::string_view link);

// /proc/PID/task/TID/stat: the letter of its state; 0: not to be read. The name before it may hold parentheses and blanks.
char task_state(std::string_view stat);

// /proc/PID/status: what stands behind "NAME:"; empty: no such line.
std::string status_value(std::istream& status, std::string_view name);

// /proc/PID/maps: a range a line.
std::vector<MemoryRange> memory_ranges_in(std::istream& maps);

// /proc/net/snmp and netstat: the lines that begin with `prefix` ("TcpExt:"), the first of names, the second of values. Nothing: they
// do not match, or a value is no number.
struct CounterLines {
  std::vector<std::string_view> names;  // views into the text
  std::vector<std::int64_t> values;
};
std::optional<CounterLines> counter_lines(std::string_view text, std::string_view prefix);

}  // namespace tcpwhy::trace
