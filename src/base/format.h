// A sentence with places, in both languages: each is checked against what fills it when it is compiled, so that no locale has a
// format of its own that fails.
#pragma once

#include <fmt/format.h>

#include <string>
#include <type_traits>

#include "base/language.h"

namespace tcpwhy::base {

// Two formats as fmt has them, for values of these types. Where word order differs both number their places: {0}, {1}.
template <class... Values>
struct Format {
  fmt::format_string<Values...> en, zh;
};

template <class... Values>
std::string format(Language language, const std::type_identity_t<Format<Values...>>& words, const Values&... values) {
  const fmt::string_view text = language == Language::zh ? words.zh : words.en;
  return fmt::vformat(text, fmt::make_format_args(values...));
}

// In both.
template <class... Values>
OwnedText format(const std::type_identity_t<Format<Values...>>& words, const Values&... values) {
  return {format(Language::en, words, values...), format(Language::zh, words, values...)};
}

}  // namespace tcpwhy::base
