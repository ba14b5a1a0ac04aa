// A call as strace writes it: send(5, "hello", 5, 0) = -1 EPIPE (Broken pipe).
//
// An argument `...` stands for what the call hands back (recv(5, ..., 1024, 0)): `detail`, if not empty, takes its place; in an unfinished
// call the line ends there, as in strace. A `detail` without such a place follows the result in parentheses, as strace writes what poll()
// found. Nothing is escaped here.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tcpwhy::calls {

// recv(5, <unfinished ...>
std::string unfinished_line(std::string_view name, std::string_view arguments);

// The two pieces in which strace writes it, where another process's line may come between.
struct LinePieces {
  std::string entry;  // `recv(5, `
  std::string rest;   // `"hello", 1024, 0)`
};
LinePieces line_pieces(std::string_view name, std::string_view arguments, std::string_view detail);

// `error`: errno, 0 if none.
std::string returned_line(std::string_view name, std::string_view arguments, std::int64_t result, std::int32_t error,
                          std::string_view detail);
// What stands behind its closing parenthesis: " = 5", " = 1 (POLLIN)".
std::string behind_line(std::string_view arguments, std::int64_t result, std::int32_t error, std::string_view detail);

// "5", "-1 EPIPE (Broken pipe)"
std::string result_text(std::int64_t result, std::int32_t error);

}  // namespace tcpwhy::calls
