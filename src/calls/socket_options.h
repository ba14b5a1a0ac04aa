// The options of sockets, a row each: what setsockopt() and getsockopt() name by level and number, and a scenario by its name.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace tcpwhy::calls {

// What stands in an option's value.
enum class OptionValue : std::uint8_t {
  by_length,  // whatever it is: spelled as a number if it has four bytes, else as bytes
  number,     // an int
  error,      // an int which is an errno when it is handed back
  linger,     // struct linger
  key,        // struct tcp_md5sig
};

struct SocketOption {
  std::uint64_t level = 0, number = 0;
  std::string_view name;
  OptionValue value = OptionValue::by_length;
};

std::span<const SocketOption> socket_options();  // those of a level stand together
// Null: not in the table.
const SocketOption* find_option(std::uint64_t level, std::uint64_t number);
const SocketOption* find_option(std::string_view name);  // any case
// "TCP_NODELAY", "0x63 /* TCP_??? */"; of a level that nobody knows the number.
std::string spell_option(std::uint64_t level, std::uint64_t number);

}  // namespace tcpwhy::calls
