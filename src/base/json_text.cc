#include "base/json_text.h"

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string_view>

namespace tcpwhy::base {
namespace {

struct Character {
  std::uint32_t code_point = 0;
  std::size_t size = 1;  // bytes
};

// Of two or three bytes; none of the characters in question has four.
Character character_at(std::string_view text) {
  const auto byte = [&](std::size_t i) { return std::uint32_t{static_cast<unsigned char>(text[i])}; };
  if (byte(0) < 0x80) return {byte(0), 1};
  if (byte(0) < 0xe0 && text.size() >= 2) return {(byte(0) & 0x1fU) << 6U | (byte(1) & 0x3fU), 2};
  if (byte(0) < 0xf0 && text.size() >= 3)
    return {(byte(0) & 0x0fU) << 12U | (byte(1) & 0x3fU) << 6U | (byte(2) & 0x3fU), 3};
  return {};
}

// DEL, C1; Unicode's Bidi_Control property (PropList.txt), and the two separators that some programs show as a new line.
bool acts_on_a_terminal(std::uint32_t c) {
  return (c >= 0x7f && c <= 0x9f) || c == 0x61c || c == 0x200e || c == 0x200f || (c >= 0x2028 && c <= 0x202e) ||
         (c >= 0x2066 && c <= 0x2069);
}

}  // namespace

std::string escape_controls_in_json(std::string json) {
  // Such a character begins with one of these bytes; most documents have none, and stay where they are.
  constexpr std::string_view leads = "\x7f\xc2\xd8\xe2";
  std::size_t at = json.find_first_of(leads);
  if (at == std::string::npos) return json;
  std::string out;
  out.reserve(json.size() + 16);
  std::size_t copied = 0;
  for (; at != std::string::npos; at = json.find_first_of(leads, at)) {
    const Character character = character_at(std::string_view(json).substr(at));
    if (acts_on_a_terminal(character.code_point)) {
      out.append(json, copied, at - copied);
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", character.code_point);
      copied = at + character.size;
    }
    at += character.size;
  }
  return out.append(json, copied);
}

}  // namespace tcpwhy::base
