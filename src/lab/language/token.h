// The words of one line of a scenario.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/language.h"

namespace tcpwhy::lab {

struct Token {
  enum class Kind : std::uint8_t {
    word,         // send, server.reader, FIN-WAIT-2, 20ms, ---, ..., +1
    text,         // "hello\n": `text` holds the decoded bytes
    bracket,      // [F.]: `text` is what stands between the brackets
    punctuation,  // one of ( ) , ; = ! > * |
    end,          // of the line
  };
  Kind kind = Kind::end;
  std::string text;
  std::uint32_t column = 1;

  [[nodiscard]] bool is(std::string_view punctuation_or_word) const {
    return (kind == Kind::word || kind == Kind::punctuation) && text == punctuation_or_word;
  }
};

// What a message says was found: `"hello"`, `)`, `the end of the line`.
base::OwnedText describe(const Token& token);

struct TokenError {
  std::uint32_t column = 1;
  base::OwnedText expected, found;
};

struct TokenLine {
  std::vector<Token> tokens;           // always ends with an `end` token
  std::optional<std::string> comment;  // what follows # outside a string, trimmed
  std::uint32_t comment_column = 0;
  std::size_t code_length = 0;      // bytes of the line before the comment, without trailing blanks
  std::optional<TokenError> error;  // the first thing that is no token; `tokens` has those before it
};

TokenLine tokenize(std::string_view line);

// "20ms", "1.5s", "300us", "10ns"; nothing for anything else, and for more than an hour.
std::optional<base::Duration> parse_duration(std::string_view text);
// Decimal or 0x..., with a sign; nothing if it does not fit or is followed by anything.
std::optional<std::int64_t> parse_number(std::string_view text);
std::string_view trim(std::string_view text);

}  // namespace tcpwhy::lab
