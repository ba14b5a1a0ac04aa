#include "lab/language/token.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "base/text.h"

namespace tcpwhy::lab {
namespace {

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

bool is_word_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
         c == '.' || c == '+' || c == ':' || c == '/' || c == '@';
}

bool is_punctuation(char c) { return std::string_view("(),;=!>*|").find(c) != std::string_view::npos; }

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

class Scanner {
 public:
  explicit Scanner(std::string_view line) : line_(line) {}

  TokenLine scan() {
    while (!result_.error && at_ < line_.size()) {
      const char c = line_[at_];
      if (is_blank(c))
        ++at_;
      else if (c == '#')
        take_comment();
      else if (c == '"')
        take_text();
      else if (c == '[')
        take_bracket();
      else if (is_punctuation(c))
        take(Token::Kind::punctuation, 1);
      else if (is_word_char(c))
        take_word();
      else
        fail(at_, {"a word, a string or one of ( ) , ; = ! > * |", "单词、字符串或 ( ) , ; = ! > * | 之一"},
             base::both(fmt::format("'{}'", base::escape_controls(one_character()))));
    }
    result_.tokens.push_back({Token::Kind::end, "", static_cast<std::uint32_t>(at_ + 1)});
    return std::move(result_);
  }

 private:
  void take(Token::Kind kind, std::size_t length) {
    result_.tokens.push_back({kind, std::string(line_.substr(at_, length)), column()});
    at_ += length;
    result_.code_length = at_;
  }

  void take_word() {
    std::size_t length = 1;
    while (at_ + length < line_.size() && is_word_char(line_[at_ + length])) ++length;
    take(Token::Kind::word, length);
  }

  void take_comment() {
    result_.comment = std::string(trim(line_.substr(at_ + 1)));
    result_.comment_column = column();
    at_ = line_.size();
  }

  void take_bracket() {
    const std::size_t close = line_.find(']', at_);
    if (close == std::string_view::npos)
      return fail(line_.size(), {"] after the flags of a segment", "报文段标志之后的 ]"},
                  {"the end of the line", "行尾"});
    result_.tokens.push_back({Token::Kind::bracket, std::string(line_.substr(at_ + 1, close - at_ - 1)), column()});
    at_ = close + 1;
    result_.code_length = at_;
  }

  void take_text() {
    Token token{Token::Kind::text, "", column()};
    for (std::size_t i = at_ + 1; i < line_.size(); ++i) {
      if (line_[i] == '"') {
        at_ = i + 1;
        result_.code_length = at_;
        result_.tokens.push_back(std::move(token));
        return;
      }
      if (line_[i] != '\\')
        token.text += line_[i];
      else if (!take_escape(i, token.text))
        return;
    }
    fail(line_.size(), {"\" at the end of the string", "字符串结尾的 \""}, {"the end of the line", "行尾"});
  }

  // `i` stands on the backslash and ends on the escape's last character.
  bool take_escape(std::size_t& i, std::string& into) {
    const char c = i + 1 < line_.size() ? line_[i + 1] : '\0';
    switch (c) {
      case 'n': into += '\n'; break;
      case 't': into += '\t'; break;
      case 'r': into += '\r'; break;
      case '0': into += '\0'; break;
      case '\\': into += '\\'; break;
      case '"': into += '"'; break;
      case 'x': {
        const int high = i + 2 < line_.size() ? hex_digit(line_[i + 2]) : -1;
        const int low = i + 3 < line_.size() ? hex_digit(line_[i + 3]) : -1;
        if (high < 0 || low < 0)
          return fail(i + 2, {"two hexadecimal digits after \\x", "\\x 之后的两位十六进制数"},
                      {"something else", "其他内容"}),
                 false;
        into += static_cast<char>(high * 16 + low);
        i += 3;
        return true;
      }
      default:
        return fail(i + 1, {"one of n t r 0 x \\ \" after a backslash", "反斜杠之后的 n t r 0 x \\ \" 之一"},
                    {"something else", "其他内容"}),
               false;
    }
    ++i;
    return true;
  }

  // A whole UTF-8 character, so that a message shows it and not its first byte.
  [[nodiscard]] std::string_view one_character() const {
    std::size_t length = 1;
    while (at_ + length < line_.size() && (static_cast<unsigned char>(line_[at_ + length]) & 0xc0U) == 0x80U) ++length;
    return line_.substr(at_, length);
  }

  void fail(std::size_t at, base::OwnedText expected, base::OwnedText found) {
    result_.error = TokenError{static_cast<std::uint32_t>(at + 1), std::move(expected), std::move(found)};
  }

  [[nodiscard]] std::uint32_t column() const { return static_cast<std::uint32_t>(at_ + 1); }

  std::string_view line_;
  std::size_t at_ = 0;
  TokenLine result_;
};

}  // namespace

base::OwnedText describe(const Token& token) {
  switch (token.kind) {
    case Token::Kind::word:
    case Token::Kind::punctuation: return base::both(base::escape_controls(token.text));
    case Token::Kind::text: return base::both(base::quote(token.text));
    case Token::Kind::bracket: return base::both(fmt::format("[{}]", base::escape_controls(token.text)));
    case Token::Kind::end: break;
  }
  return {"the end of the line", "行尾"};
}

TokenLine tokenize(std::string_view line) { return Scanner(line).scan(); }

std::optional<base::Duration> parse_duration(std::string_view text) {
  double value = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  if (error != std::errc{} || !(value >= 0)) return std::nullopt;
  const std::string_view unit = text.substr(static_cast<std::size_t>(rest - text.data()));
  double scale = 0;
  if (unit == "ns")
    scale = 1;
  else if (unit == "us")
    scale = 1e3;
  else if (unit == "ms")
    scale = 1e6;
  else if (unit == "s")
    scale = 1e9;
  else
    return std::nullopt;
  constexpr double hour = 3600e9;
  if (value * scale > hour) return std::nullopt;
  return base::Duration(std::llround(value * scale));
}

std::optional<std::int64_t> parse_number(std::string_view text) {
  bool negative = false;
  if (text.starts_with('+') || text.starts_with('-')) {
    negative = text.front() == '-';
    text.remove_prefix(1);
  }
  int radix = 10;
  if (text.starts_with("0x") || text.starts_with("0X")) {
    radix = 16;
    text.remove_prefix(2);
  }
  if (text.empty() || text.front() == '-') return std::nullopt;
  std::int64_t value = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value, radix);
  if (error != std::errc{} || rest != text.data() + text.size()) return std::nullopt;
  return negative ? -value : value;
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

}  // namespace tcpwhy::lab
