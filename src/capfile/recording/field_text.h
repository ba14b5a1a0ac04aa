// How a member of an event reads as the text of a journal field, and back. One overload a type: a member of a type
// that is here needs nothing more to travel.
#pragma once

#include <charconv>
#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "base/clock.h"
#include "recording/fields.h"
#include "wire/address.h"
#include "wire/segment.h"

namespace tcpwhy::capfile {

template <class T>
concept PlainInteger = std::integral<T> && !std::same_as<T, bool>;

template <class T>
concept Enum = std::is_enum_v<T>;

template <PlainInteger T>
std::string to_text(T number) {
  return std::to_string(number);
}
// Its name (recording/fields.h).
template <Enum T>
std::string to_text(T value) {
  return std::string(recording::name_of(value));
}
inline std::string to_text(bool truth) { return truth ? "true" : "false"; }
inline std::string to_text(const std::string& text) { return text; }
inline std::string to_text(base::WallTime time) { return to_text(base::to_ns(time)); }
inline std::string to_text(recording::EventId id) { return to_text(id.value); }
inline std::string to_text(wire::TcpFlags flags) { return wire::to_string(flags); }
// 127.0.0.1:9999, [::1]:9999; none:PORT for an address of no family.
std::string to_text(const wire::SocketAddress& address);

// False, and `value` unchanged, if `text` is not of the type.
template <PlainInteger T>
bool from_text(std::string_view text, T& value) {
  T parsed{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), parsed);
  if (error != std::errc{} || end != text.data() + text.size()) return false;
  value = parsed;
  return true;
}
template <Enum T>
bool from_text(std::string_view text, T& value) {
  return recording::read_name(text, value);
}
bool from_text(std::string_view text, bool& value);
bool from_text(std::string_view text, std::string& value);
bool from_text(std::string_view text, base::WallTime& value);  // brought between earliest_time and latest_time
bool from_text(std::string_view text, recording::EventId& value);
bool from_text(std::string_view text, wire::TcpFlags& value);  // none where it is not spelt as tcpdump's
bool from_text(std::string_view text, wire::SocketAddress& value);
template <class T>
bool from_text(std::string_view text, std::optional<T>& value) {
  T parsed{};
  if (!from_text(text, parsed)) return false;
  value = std::move(parsed);
  return true;
}

}  // namespace tcpwhy::capfile
