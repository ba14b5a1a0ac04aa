#include "wire/segment.h"

namespace tcpwhy::wire {
namespace {

struct FlagLetter {
  std::uint16_t bit;
  char letter;
};

// In the order in which tcpdump 4.99 prints them; tcpdump(1), "TCP Packets".
constexpr FlagLetter flag_letters[] = {
    {TcpFlags::fin_bit, 'F'}, {TcpFlags::syn_bit, 'S'}, {TcpFlags::rst_bit, 'R'},
    {TcpFlags::psh_bit, 'P'}, {TcpFlags::ack_bit, '.'}, {TcpFlags::urg_bit, 'U'},
    {TcpFlags::ece_bit, 'E'}, {TcpFlags::cwr_bit, 'W'}, {TcpFlags::ae_bit, 'e'},
};

}  // namespace

std::string to_string(TcpFlags flags) {
  std::string text;
  for (const auto& [bit, letter] : flag_letters) {
    if (flags.bits & bit) text += letter;
  }
  return text.empty() ? "none" : text;
}

}  // namespace tcpwhy::wire
