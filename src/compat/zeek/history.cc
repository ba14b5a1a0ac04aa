// The letters of a connection's history: upper case for the originator's, lower case for the responder's.
#include <cctype>

#include "compat/zeek/connection.h"

namespace tcpwhy::compat::zeek {

void Connection::note(const End& sender, char letter) {
  note(is_originator(sender) ? letter : static_cast<char>(std::tolower(static_cast<unsigned char>(letter))));
}

// Whether it was noted before.
bool Connection::note_once(End& sender, char letter) {
  // H and S share one place: a SYN of either kind.
  const std::uint32_t bit = 1U << static_cast<unsigned>((letter == 'H' ? 'S' : letter) - 'A');
  if ((sender.letters_seen & bit) != 0) return true;
  sender.letters_seen |= bit;
  note(sender, letter);
  return false;
}

// At the first time, the tenth, the hundredth and so on.
void Connection::note_scaled(const End& sender, char letter, std::uint64_t& count) {
  ++count;
  std::uint64_t power = 1;
  while (power < count) power *= 10;
  if (power == count) note(sender, letter);
}

// SYN, FIN and RST count again when they stand at another number than the last one; data and acknowledgements once.
void Connection::note_flags(const Packet& packet, End& sender, std::uint64_t seq) {
  const auto note_each = [&](char letter, std::uint64_t number, std::uint64_t& last) {
    if (note_once(sender, letter) && number != last) note(sender, letter);
    last = number;
  };
  const bool syn = packet.flags.syn(), fin = packet.flags.fin(), rst = packet.flags.rst();
  if (fin && rst) {
    note_once(sender, 'I');
  } else if (syn && (fin || rst)) {
    note_once(sender, 'Q');
  } else if (syn) {
    note_each(packet.flags.ack() ? 'H' : 'S', seq, sender.last_syn);
  } else if (fin) {
    note_each('F', seq + packet.length, sender.last_fin);
  } else if (rst) {
    note_each('R', seq, sender.last_rst);
  } else if (packet.length > 0) {
    note_once(sender, 'D');
  } else if (packet.flags.ack()) {
    note_once(sender, 'A');
  }
}

// A shut window means something only while the other end may still send.
void Connection::note_zero_window(const Packet& packet, End& sender) {
  if (packet.window != 0 || packet.flags.rst()) return;
  if (other(sender).state == State::closed || sender.state == State::reset) return;
  note_scaled(sender, 'W', sender.zero_windows);
}

}  // namespace tcpwhy::compat::zeek
