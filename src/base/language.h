// What is said to the user, in each language that we speak, as one value.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tcpwhy::base {

enum class Language : std::uint8_t { en, zh };

// One text in both languages. It owns nothing: for tables and literals.
struct Text {
  std::string_view en, zh;

  [[nodiscard]] constexpr std::string_view in(Language language) const { return language == Language::zh ? zh : en; }
  [[nodiscard]] constexpr bool empty() const { return en.empty(); }
  bool operator==(const Text&) const = default;
};

// The same, made while the program runs.
struct OwnedText {
  std::string en, zh;

  // As a string converts to a string_view: good as long as this text is.
  operator Text() const { return {en, zh}; }  // NOLINT(google-explicit-constructor)
  [[nodiscard]] const std::string& in(Language language) const { return language == Language::zh ? zh : en; }
  [[nodiscard]] bool empty() const { return en.empty(); }

  // Adds `more` to a list: behind `separator` where something stands already.
  void join(const Text& separator, const Text& more) {
    if (!en.empty()) en += separator.en;
    if (!zh.empty()) zh += separator.zh;
    en += more.en;
    zh += more.zh;
  }
};

inline OwnedText owned(const Text& text) { return {std::string(text.en), std::string(text.zh)}; }
// What is the same in both: a path, a command to type, another program's words.
inline OwnedText both(std::string words) { return {words, words}; }

}  // namespace tcpwhy::base
