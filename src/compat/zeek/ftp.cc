#include "compat/zeek/ftp.h"

namespace tcpwhy::compat::zeek {
namespace {

constexpr std::size_t longest_command = 100;  // FTP::max_command_length
constexpr std::size_t shortest_command = 3;

constexpr bool is_space(std::uint8_t byte) { return byte == ' ' || (byte >= '\t' && byte <= '\r'); }
constexpr bool is_printable(std::uint8_t byte) { return byte > ' ' && byte < 0x7f; }
constexpr std::uint32_t letters_of(const char (&word)[5]) {
  std::uint32_t letters = 0;
  for (int i = 0; i < 4; ++i) letters = letters << 8U | static_cast<std::uint8_t>(word[i]);
  return letters;
}

}  // namespace

bool FtpCommands::take(std::uint64_t seq, std::span<const std::uint8_t> bytes) {
  if (encrypted_ || seq + bytes.size() <= expected_) return false;
  if (seq > expected_) in_ = In::broken_line;
  if (seq < expected_) bytes = bytes.subspan(expected_ - seq);
  expected_ = seq > expected_ ? seq + bytes.size() : expected_ + bytes.size();
  bool too_long = false;
  for (const std::uint8_t byte : bytes) too_long |= take_byte(byte);
  return too_long;
}

bool FtpCommands::take_byte(std::uint8_t byte) {
  if (encrypted_) return false;
  if (byte == '\n') return end_line();
  if (in_ == In::before_word && !is_space(byte)) {
    in_ = In::word;
    word_length_ = 0;
    word_start_ = 0;
    printable_ = true;
  }
  if (in_ != In::word) return false;
  if (is_space(byte)) {
    in_ = In::after_word;
    return false;
  }
  if (word_length_++ < 4) word_start_ = word_start_ << 8U | (byte & ~std::uint32_t{0x20});
  printable_ = printable_ && is_printable(byte);
  return false;
}

bool FtpCommands::end_line() {
  const bool is_command = (in_ == In::word || in_ == In::after_word) && printable_ && word_length_ >= shortest_command;
  in_ = In::before_word;
  if (!is_command) return false;
  if (word_length_ > longest_command) return confirmed_;
  confirmed_ = true;
  encrypted_ = word_length_ == 4 && word_start_ == letters_of("AUTH");
  return false;
}

}  // namespace tcpwhy::compat::zeek
