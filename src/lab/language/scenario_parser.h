// Reads the scenario language (docs/SCENARIOS.md).
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "lab/agents/call.h"
#include "lab/language/scenario.h"

namespace tcpwhy::lab {

// What a scenario may hold at most: a file is hostile until it has been read.
struct ScenarioLimits {
  static constexpr std::size_t file_bytes = 256 * 1024;
  static constexpr std::size_t line_bytes = 4096;
  static constexpr std::size_t steps = 2000;
  static constexpr std::size_t calls_in_a_step = 16;
  static constexpr std::size_t ends = 8;
  static constexpr unsigned attempts = 20;
  static constexpr std::size_t threads = 4;                   // of an end, beyond its first
  static constexpr std::uint64_t bytes_of_a_call = 16 << 20;  // sent or received
};

// `file`: named in messages. An error is ErrorKind::usage, its message
//
//   file:line:column: expected X, found Y
//     the line
//       ^
//
// three lines with control characters escaped. The scenario's name and path stay empty.
base::Result<Scenario> parse_scenario(std::string_view text, const std::string& file);

// One line of the experiment by hand, such as `send hello` or `setsockopt SO_LINGER 1 0`: the same calls, words instead
// of parentheses. A first word @N names a descriptor. The error's message is one line.
struct TypedCall {
  CallSpec spec;
  std::optional<std::int32_t> fd;
};
base::Result<TypedCall> parse_typed_call(std::string_view line);

}  // namespace tcpwhy::lab
