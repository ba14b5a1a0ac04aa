// What the parts of the scenario parser share: a cursor over the tokens of a line, and errors with their place.
// Private to the parser.
#pragma once

#include <expected>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/language.h"
#include "lab/agents/call.h"
#include "lab/language/scenario.h"
#include "lab/language/token.h"

namespace tcpwhy::lab::syntax {

// "expected EXPECTED, found FOUND" at a place; with an empty `found`, `expected` is the whole message.
struct Complaint {
  Position at;
  base::OwnedText expected, found;
  base::OwnedText hint = {};
};
template <class T>
using Parsed = std::expected<T, Complaint>;

class Cursor {
 public:
  Cursor(std::vector<Token> tokens, std::uint32_t line) : tokens_(std::move(tokens)), line_(line) {}

  [[nodiscard]] const Token& peek(std::size_t ahead = 0) const {
    return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
  }
  Token next() { return at_end() ? peek() : tokens_[at_++]; }
  [[nodiscard]] bool at_end() const { return peek().kind == Token::Kind::end; }
  bool take(std::string_view text) { return peek().is(text) && (++at_, true); }
  [[nodiscard]] Position position() const { return {line_, peek().column}; }
  // At the token that comes next.
  [[nodiscard]] std::unexpected<Complaint> expected(base::OwnedText what) const {
    return std::unexpected(Complaint{position(), std::move(what), describe(peek())});
  }

 private:
  std::vector<Token> tokens_;  // ends with an `end` token
  std::size_t at_ = 0;
  std::uint32_t line_;
};

// Where arguments come from: between parentheses with commas, or words on a prompt.
struct ArgumentStyle {
  bool typed = false;                                     // words without commas
  std::function<bool(const std::string&)> is_descriptor;  // is it a variable that this end has?
};

// The arguments of `row` up to (not including) the closing parenthesis or the end of the line.
Parsed<CallSpec> parse_arguments(Cursor& cursor, const CallRow& row, const ArgumentStyle& style);

// SIGPIPE or PIPE, any case; no real-time signal: the C library keeps some of those for itself.
Parsed<int> parse_signal(Cursor& cursor);
// = 14, = "hello", = EPIPE, ! EPIPE SIGPIPE, ...; success if nothing of the kind stands there.
Parsed<Expectation> parse_expectation(Cursor& cursor);
// after 30ms within 200ms; in any order.
Parsed<Bounds> parse_bounds(Cursor& cursor);
Parsed<base::Duration> parse_duration_word(Cursor& cursor);

bool is_end_name(std::string_view word);  // letters, digits, - and _, a thread after a dot: "client.reader"

}  // namespace tcpwhy::lab::syntax
