// Whether an FTP client sends a command that Zeek's analyzer finds too long: one of the limits that it notes in the
// history (x).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace tcpwhy::compat::zeek {

class FtpCommands {
 public:
  // The client's bytes at the relative number `seq`. What comes out of order is passed over: the line that it belongs to is
  // not judged. Whether a command was too long.
  bool take(std::uint64_t seq, std::span<const std::uint8_t> bytes);

 private:
  bool take_byte(std::uint8_t byte);
  bool end_line();

  enum class In : std::uint8_t { before_word, word, after_word, broken_line };
  std::uint64_t expected_ = 1;
  std::size_t word_length_ = 0;
  std::uint32_t word_start_ = 0;  // its first four letters
  In in_ = In::before_word;
  bool printable_ = true;
  bool confirmed_ = false;  // a proper command came: this is FTP
  bool encrypted_ = false;  // after AUTH the bytes are TLS's
};

}  // namespace tcpwhy::compat::zeek
