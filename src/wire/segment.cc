#include "wire/segment.h"

#include <algorithm>
#include <iterator>

namespace tcpwhy::wire {
namespace {

struct FlagLetter {
  std::uint16_t bit;
  char letter;
};

// In the order in which tcpdump 4.99 prints them; tcpdump(1), "TCP Packets".
constexpr std::string_view no_flags = "none";
constexpr FlagLetter flag_letters[] = {
    {TcpFlags::fin_bit, 'F'}, {TcpFlags::syn_bit, 'S'}, {TcpFlags::rst_bit, 'R'},
    {TcpFlags::psh_bit, 'P'}, {TcpFlags::ack_bit, '.'}, {TcpFlags::urg_bit, 'U'},
    {TcpFlags::ece_bit, 'E'}, {TcpFlags::cwr_bit, 'W'}, {TcpFlags::ae_bit, 'e'},
};

}  // namespace

std::optional<TcpFlags> TcpFlags::parse(std::string_view text) {
  TcpFlags flags;
  if (text == no_flags) return flags;
  for (const char letter : text) {
    const auto* known = std::ranges::find(flag_letters, letter, &FlagLetter::letter);
    if (known == std::end(flag_letters)) return std::nullopt;
    flags.bits |= known->bit;
  }
  return text.empty() ? std::nullopt : std::optional(flags);
}

std::string to_string(TcpFlags flags) {
  std::string text;
  for (const auto& [bit, letter] : flag_letters) {
    if (flags.bits & bit) text += letter;
  }
  return text.empty() ? std::string(no_flags) : text;
}

}  // namespace tcpwhy::wire
