// Text that may come from a hostile place, and its width on a terminal.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace tcpwhy::base {

// `text` with every control character (C0, DEL, C1), every byte that is not well-formed UTF-8 and every
// bidirectional-formatting character written as \n, \t, \r or \xHH (\u{HHHH} for the latter), so that no payload, process
// name or file can send an escape sequence to a terminal. Printable UTF-8 and the backslash pass unchanged.
std::string escape_controls(std::string_view text);

// As strace prints a string argument: "hello\n", with bytes outside printable ASCII as \ooo or \xHH escapes and
// `"` and `\` escaped; at most `limit` bytes of `bytes`, followed by `...` when some were left out.
std::string quote(std::string_view bytes, std::size_t limit = 32);

// Columns that `text` (UTF-8) takes on a terminal: 2 for East Asian wide and fullwidth characters, 0 for combining
// marks, 1 otherwise.
std::size_t display_width(std::string_view text);

// `text` cut or padded with spaces on the right to exactly `columns`; a cut is shown as "…".
std::string fit(std::string_view text, std::size_t columns);
// The same, padded on the left.
std::string fit_right(std::string_view text, std::size_t columns);

// `text` in lines of at most `width` columns, the first after `first_indent` spaces, the others after `indent`; no
// newline at the end. It is broken at spaces and beside wide characters, but not before closing Chinese punctuation; a
// word that no line can hold is broken where the line ends.
std::string wrap(std::string_view text, std::size_t first_indent, std::size_t indent, std::size_t width);

}  // namespace tcpwhy::base
