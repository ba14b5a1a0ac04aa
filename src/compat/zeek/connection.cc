#include "compat/zeek/connection.h"

#include <algorithm>
#include <utility>

#include "compat/zeek/ports.h"

namespace tcpwhy::compat::zeek {
namespace {

constexpr std::int64_t second = 1'000'000;  // in microseconds, the unit of Zeek's clock when it reads a file

// Zeek's own settings (init-bare.zeek).
constexpr std::int64_t first_check = 5 * second;       // tcp_SYN_timeout
constexpr std::int64_t attempt_delay = 5 * second;     // tcp_attempt_delay
constexpr std::int64_t silence_opening = 60 * second;  // until the handshake is over, that of UDP
constexpr std::int64_t silence_established = 300 * second;
constexpr std::int64_t silence_interactive = 3600 * second;
constexpr std::uint8_t most_tunnel_changes = 5;  // Tunnel::max_changes_per_connection

// A jump of a SYN's or RST's number that is more likely nonsense than data.
constexpr std::int32_t too_large_jump = 1048576;

// Not one of Zeek's: a history grows with each SYN, FIN or RST of another number, without end.
constexpr std::size_t longest_history = 4096;

// The sequence space that Zeek thinks a segment occupies: data that comes with an RST is none.
std::uint32_t length_in_space(const Packet& packet) {
  return (packet.flags.rst() ? 0 : packet.length) + (packet.flags.syn() ? 1U : 0U) + (packet.flags.fin() ? 1U : 0U);
}

bool is_plain(const Packet& packet) { return !packet.flags.syn() && !packet.flags.fin() && !packet.flags.rst(); }

// Where the first packet is no SYN, the port says who serves.
bool begins_at_server(const Packet& first) {
  if (first.flags.syn() && !first.flags.ack()) return false;
  if (!is_likely_server_port(first.source.port)) return false;
  if (!is_likely_server_port(first.destination.port)) return true;
  // Both may. A SYN-ACK of a stealth scan must not be turned round; else the lower port serves.
  return !first.flags.syn() && first.source.port < first.destination.port;
}

bool is_broadcast(const wire::IpAddress& address) {
  return address.family == wire::IpFamily::v4 &&
         std::all_of(address.bytes.begin(), address.bytes.begin() + 4, [](std::uint8_t byte) { return byte == 0xff; });
}

}  // namespace

Connection::Connection(const Packet& first, Surroundings& surroundings)
    : surroundings_(&surroundings),
      ends_{End(surroundings.budget), End(surroundings.budget)},
      start_us_(first.at_us),
      last_us_(first.at_us),
      tunnel_(first.tunnel) {
  ends_[0].address = first.source;
  ends_[1].address = first.destination;
  if (begins_at_server(first) && !is_broadcast(first.destination.ip)) flip();
  constexpr std::uint16_t ftp_port = 21;
  if (responder().address.port == ftp_port) ftp_ = std::make_unique<FtpCommands>();
  start_timer(TimerKind::check, surroundings_->now_us + first_check);
  set_silence_allowed(silence_opening);
}

Connection::~Connection() { cancel_timers(true); }

bool Connection::is_reused_by(const Packet& packet) const {
  if (!packet.header_is_whole || !packet.flags.syn()) return false;
  // A SYN-ACK begins a connection anew only where nothing but a SYN-ACK began the old one.
  if (packet.flags.ack() && originator().state != State::inactive) return false;
  if (is_closed()) return true;
  const End& beginner = packet.flags.ack() ? responder() : originator();
  if (packet.seq == beginner.space.start()) return false;
  // The SYN that belongs to a SYN-ACK that was captured before it.
  const bool late_syn = !packet.flags.ack() && beginner.state == State::syn_ack_sent &&
                        responder().state == State::inactive && packet.seq == responder().space.start();
  return !late_syn;
}

void Connection::take(const Packet& packet) {
  note_tunnel(packet);
  if (!packet.header_is_whole) return;
  flip_if_only_answered(packet);
  End& sender = packet.source == originator().address ? originator() : responder();
  End& peer = other(sender);
  established_now_ = false;
  judge_partial(packet, sender);
  begin_space(packet, sender);
  const auto seq = sender.space.relative_to_last(packet.seq);
  note_flags(packet, sender, seq.value);
  note_zero_window(packet, sender);
  if (!both_closed()) last_us_ = packet.at_us;
  if (packet.flags.fin()) {
    ++sender.fins;
    sender.fin_at = seq.value + length_in_space(packet);
  }
  const std::uint64_t ack = packet.flags.ack() ? note_ack(packet, peer) : 0;
  note_last(packet, sender);
  const Outcome outcome = update_state(packet, sender);
  if (packet.flags.ack()) acknowledge(peer, ack);
  sender.sent_something = true;
  if (packet.length > 0 && !packet.flags.rst() && !seq.before_start) {
    take_data(packet, sender, seq.value + (packet.flags.syn() ? 1 : 0));
  }
  check_end_of_data(sender);
  if (outcome.closes) close(sender, outcome.worth_telling);
  ++sender.packets;
  sender.ip_bytes += packet.ip_length;
  if (established_now_) allow_silence_of_interactive_services();
}

// --- roles -----------------------------------------------------------------------------------------------------

void Connection::flip() {
  originator_ = 1 - originator_;
  partial_ = false;
  note('^');
}

// A SYN-ACK came first and looked like a stealth scan's; but now an acknowledgement or data follows it, from either
// side, so it was the answer to a SYN that was not captured.
void Connection::flip_if_only_answered(const Packet& packet) {
  const bool only_answered = originator().state == State::syn_ack_sent && responder().state == State::inactive &&
                             !responder().sent_something && history_ == "H";
  if (!only_answered || !is_plain(packet) || (packet.length == 0 && !packet.flags.ack())) return;
  flip();
  history_ = "^h";
  set_state(responder(), State::established);
}

void Connection::judge_partial(const Packet& packet, const End& sender) {
  if (sender.sent_something) return;
  if (is_originator(sender)) {
    partial_ = !packet.flags.syn() || packet.flags.ack();
  } else if (!partial_) {
    partial_ = !packet.flags.syn();
  }
}

// --- sequence numbers --------------------------------------------------------------------------------------------

// Where the sender's numbers begin. A beginning that was not seen is put where the SYN would have stood.
void Connection::begin_space(const Packet& packet, End& sender) {
  const std::uint32_t past = packet.seq + length_in_space(packet);
  switch (sender.state) {
    case State::inactive:
      if (packet.flags.syn()) {
        sender.space.begin(packet.seq, past);
      } else {
        sender.space.begin(packet.seq - 1, packet.seq);
      }
      return;
    case State::syn_sent:
    case State::syn_ack_sent:
      if (packet.flags.syn() && packet.seq != sender.space.start()) sender.space.begin(packet.seq, past);
      return;
    case State::established:
    case State::partial:
      // Perhaps the connection never came about, and this is the SYN that opens it.
      if (packet.flags.syn()) sender.space.begin(packet.seq, past);
      return;
    case State::reset:
      // The RST that came first may have been forged.
      if (packet.flags.syn() && sender.state_before == State::inactive) sender.space.begin(packet.seq, past);
      return;
    case State::closed: return;
  }
}

// Returns the relative number that is acknowledged.
std::uint64_t Connection::note_ack(const Packet& packet, End& peer) {
  if (peer.state == State::inactive) {
    peer.space.begin(packet.ack - 1, packet.ack - 1);
    return 1;
  }
  const auto ack = peer.space.relative_to_ack(packet.ack);
  if (ack.before_start) return 0;
  if (packet.flags.rst()) return ack.value;  // an RST's acknowledgement is not to be trusted
  const std::int32_t step = sequence_distance(peer.space.ack(), packet.ack);
  const bool broken = packet.ack == 0 && step > too_large_jump;
  if (step > 0 && !broken) peer.space.advance_ack(packet.ack);
  return ack.value;
}

// How far the sender has come, and whether it sent something again.
void Connection::note_last(const Packet& packet, End& sender) {
  const std::uint32_t past = packet.seq + length_in_space(packet);
  const std::int32_t step = sequence_distance(sender.space.last(), past);
  const bool jumps = step > too_large_jump || step < -too_large_jump;
  if ((packet.flags.syn() || packet.flags.rst()) && jumps) return;
  if (packet.flags.fin() && sender.space.last() == sender.space.start() + 1) {
    sender.space.advance_last(past);  // only SYN and FIN of a connection of more than 2 GiB
    return;
  }
  if (sender.state == State::reset) return;
  if (step > 0) {
    sender.space.advance_last(past);
  } else if (packet.length > 0) {
    note_scaled(sender, 'T', sender.retransmissions);
  }
}

// --- states ----------------------------------------------------------------------------------------------------

void Connection::set_state(End& end, State state) {
  if (end.state == state) return;
  const auto opening = [](State s) { return s == State::inactive || s == State::syn_sent || s == State::syn_ack_sent; };
  if (!opening(state) && opening(end.state) && opening(other(end).state)) set_silence_allowed(silence_established);
  end.state_before = std::exchange(end.state, state);
}

Connection::Outcome Connection::update_state(const Packet& packet, End& sender) {
  switch (sender.state) {
    case State::inactive: return leave_inactive(packet, sender);
    case State::syn_sent:
    case State::syn_ack_sent: return leave_opening(packet, sender);
    case State::established:
    case State::partial: return leave_established(packet, sender);
    case State::closed: return leave_closed(packet, sender);
    case State::reset: break;
  }
  return {};
}

// The first packet of an end.
Connection::Outcome Connection::leave_inactive(const Packet& packet, End& sender) {
  Outcome outcome;
  if (packet.flags.syn()) {
    if (is_originator(sender)) {
      set_state(sender, packet.flags.ack() ? State::syn_ack_sent : State::syn_sent);
      start_timer(TimerKind::attempt, packet.at_us + attempt_delay);
    } else {
      answer_syn(packet, sender);
    }
  }
  if (packet.flags.fin()) {
    set_state(sender, State::closed);
    outcome = {.closes = true, .worth_telling = true};
  }
  if (packet.flags.rst()) {
    const State peer = other(sender).state;
    const bool refuses =
        is_originator(sender) ? peer == State::established : peer == State::syn_sent || peer == State::syn_ack_sent;
    set_state(sender, State::reset);
    outcome = {.closes = true, .worth_telling = !refuses};
  }
  if (sender.state == State::inactive) begin_without_syn(packet, sender);
  return outcome;
}

// A SYN, with an acknowledgement or without, by the responder.
void Connection::answer_syn(const Packet& packet, End& sender) {
  End& peer = other(sender);
  if (!packet.flags.ack() && peer.state == State::syn_ack_sent && packet.seq == sender.space.start()) {
    flip();  // the SYN was captured after its SYN-ACK
    set_state(peer, State::established);
    sender.sent_something = true;
  }
  if (peer.state == State::syn_sent) set_state(peer, State::established);
  set_state(sender, State::established);
  established_now_ = peer.state != State::partial;
}

void Connection::begin_without_syn(const Packet& packet, End& sender) {
  // Some systems acknowledge a SYN before they send their own.
  const bool early_ack = !is_originator(sender) && packet.length == 0 && originator().state == State::syn_sent;
  if (early_ack) return;
  if (packet.flags.ack() && other(sender).state == State::established) {
    set_state(sender, State::established);  // a SYN-ACK was acknowledged: only the SYN was missed
    partial_ = false;
    sender.sent_something = true;
    return;
  }
  set_state(sender, State::partial);
}

Connection::Outcome Connection::leave_opening(const Packet& packet, End& sender) {
  Outcome outcome;
  if (packet.flags.fin()) {
    set_state(sender, State::closed);
    outcome = {.closes = true, .worth_telling = true};
  }
  if (packet.flags.rst()) {
    set_state(sender, State::reset);
    active_ = false;
    outcome.closes = true;
  }
  return outcome;
}

Connection::Outcome Connection::leave_established(const Packet& packet, End& sender) {
  End& peer = other(sender);
  Outcome outcome;
  if (packet.flags.syn() && !packet.flags.ack() && sender.state == State::partial && peer.state == State::inactive) {
    set_state(sender, State::syn_sent);
  }
  if (packet.flags.fin() && !packet.flags.rst()) {
    set_state(sender, State::closed);
    // A FIN, then an RST, then the other's FIN: that was a normal end.
    if (peer.state == State::reset && peer.state_before == State::closed) set_state(peer, State::closed);
    outcome = {.closes = true, .worth_telling = true};
  }
  if (packet.flags.rst()) {
    set_state(sender, State::reset);
    outcome.closes = true;
    if (peer.state != State::reset || peer.state_before != State::established) active_ = false;
  }
  return outcome;
}

// After a FIN only an RST changes anything, and that only while the other end has not sent its FIN.
Connection::Outcome Connection::leave_closed(const Packet& packet, End& sender) {
  constexpr std::int64_t reset_delay = 5 * second;  // tcp_reset_delay
  if (!packet.flags.rst() || other(sender).state == State::closed) return {};
  set_state(sender, State::reset);
  start_timer(TimerKind::reset, packet.at_us + reset_delay);
  return {.closes = !sender.did_close, .worth_telling = false};
}

// --- the line ----------------------------------------------------------------------------------------------------

// Bytes by the sequence numbers, without the SYN's and the FIN's.
std::uint64_t Connection::size(const End& end) const {
  // A half-open connection found out by its own end: its numbers mean nothing.
  if (end.state_before == State::syn_sent && end.state == State::reset && other(end).state == State::inactive &&
      !end.space.no_data_acked()) {
    return 0;
  }
  const std::uint64_t farthest = std::max(end.space.full_last(), end.space.full_ack());
  std::uint64_t bytes = farthest - end.space.unsigned_start();
  if (bytes != 0) --bytes;
  if (end.fins > 0 && bytes != 0) --bytes;
  return bytes;
}

ConnRow Connection::row() const {
  const auto end_row = [this](const End& end) {
    return EndRow{.address = end.address,
                  .state = end.state,
                  .bytes = size(end),
                  .packets = end.packets,
                  .ip_bytes = end.ip_bytes};
  };
  return {.start_us = start_us_,
          .duration_us = last_us_ - start_us_,
          .originator = end_row(originator()),
          .responder = end_row(responder()),
          .missed_bytes = missed_bytes_,
          .history = history_};
}

// --- history (one part; the letters stand in zeek_history.cc) -----------------------------------------------------

// Zeek tells its scripts of so many changes of the tunnel; the next one is a limit that it notes.
void Connection::note_tunnel(const Packet& packet) {
  if (packet.tunnel == tunnel_) return;
  const bool both_tunnelled = packet.tunnel != 0 && tunnel_ != 0;
  tunnel_ = packet.tunnel;
  if (!both_tunnelled) return;
  if (tunnel_changes_ < most_tunnel_changes) {
    ++tunnel_changes_;
  } else if (!limit_noted_) {
    limit_noted_ = true;
    note('X');
  }
}

void Connection::note(char letter) {
  if (history_.size() < longest_history) history_ += letter;
}

void Connection::set_silence_allowed(std::int64_t microseconds) {
  if (silence_allowed_us_ == microseconds) return;
  std::erase_if(timers_, [this](Timers::Handle timer) {
    if (timer->second.kind != TimerKind::inactivity) return false;
    surroundings_->timers.cancel(timer);
    return true;
  });
  silence_allowed_us_ = microseconds;
  start_timer(TimerKind::inactivity, end_of_silence_us());
}

// The ports whose users may think for long; where the beginning was missed, that of the other end if it alone is a
// server's.
void Connection::allow_silence_of_interactive_services() {
  std::uint16_t port = responder().address.port;
  const std::uint16_t other_port = originator().address.port;
  if (originator().state == State::inactive && !is_likely_server_port(port) && is_likely_server_port(other_port)) {
    port = other_port;
  }
  if (is_interactive_port(port)) set_silence_allowed(silence_interactive);
}

}  // namespace tcpwhy::compat::zeek
