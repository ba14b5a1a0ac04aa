// A sentence with places, in both languages: each is checked against what fills it when it is compiled, so that no locale has a
// format of its own that fails.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "base/language.h"

namespace tcpwhy::base {

// A value as it is written in a language: of a text its words in that one, anything else as it is.
template <class Value>
const Value& said_in(Language, const Value& value) {
  return value;
}
inline std::string_view said_in(Language language, const Text& text) { return text.in(language); }
inline std::string_view said_in(Language language, const OwnedText& text) { return text.in(language); }
template <class Value>
using Said = std::remove_cvref_t<decltype(said_in(Language::en, std::declval<const Value&>()))>;

// Two formats as fmt has them, for values of these types. Where word order differs both number their places: {0}, {1}.
template <class... Values>
struct Format {
  fmt::format_string<Said<Values>...> en, zh;
};

template <class... Values>
std::string format(Language language, const std::type_identity_t<Format<Values...>>& words, const Values&... values) {
  const fmt::string_view text = language == Language::zh ? words.zh : words.en;
  const auto write = [text](const auto&... said) { return fmt::vformat(text, fmt::make_format_args(said...)); };
  return write(said_in(language, values)...);
}

// In both. Texts among the values are each in its language.
template <class... Values>
OwnedText format(const std::type_identity_t<Format<Values...>>& words, const Values&... values) {
  return {format(Language::en, words, values...), format(Language::zh, words, values...)};
}

}  // namespace tcpwhy::base
