// One connection as Zeek's TCP analyzer follows it, from the packet that made it to its line in conn.log.
//
// The rules are those of Zeek 8 (its source and documentation say what they are), each in a function of its own.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "compat/zeek/ftp.h"
#include "compat/zeek/row.h"
#include "compat/zeek/sequence.h"
#include "compat/zeek/stream.h"
#include "compat/zeek/timers.h"
#include "wire/segment.h"

namespace tcpwhy::compat::zeek {

// A TCP packet, its addresses unmapped (an IPv4-mapped IPv6 address is that IPv4 address to Zeek).
struct Packet {
  wire::SocketAddress source, destination;
  std::uint32_t seq = 0, ack = 0;
  wire::TcpFlags flags;
  std::uint16_t window = 0;
  std::uint32_t length = 0;  // of the payload, by the IP header
  std::span<const std::uint8_t> payload;
  std::uint32_t ip_length = 0;
  std::int64_t at_us = 0;       // its own time, which may lie before that of the packet before it
  std::uint64_t tunnel = 0;     // what it came through: equal numbers, equal tunnels; 0 for none
  bool header_is_whole = true;  // otherwise Zeek makes a connection of it, and looks at nothing else

  [[nodiscard]] bool captured_whole() const { return payload.size() >= length; }
};

// What connections share.
struct Surroundings {
  Timers timers;
  StretchBudget budget;
  std::int64_t now_us = 0;  // the latest time seen: it never goes back
};

class Connection {
 public:
  // `first` makes it; it is not counted yet: take() it, too.
  Connection(const Packet& first, Surroundings& surroundings);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // A SYN that begins a new connection between the same ends: this one is over.
  [[nodiscard]] bool is_reused_by(const Packet& packet) const;
  void take(const Packet& packet);
  // Whether the connection ends by it. The timer is spent.
  [[nodiscard]] bool ends_by(Timers::Handle timer);

  [[nodiscard]] ConnRow row() const;

 private:
  struct End {
    explicit End(StretchBudget& budget) : stream(budget) {}

    wire::SocketAddress address;
    State state = State::inactive, state_before = State::inactive;
    SequenceSpace space;
    Stream stream;
    std::uint64_t packets = 0, ip_bytes = 0;
    std::uint32_t letters_seen = 0;  // those that are noted once
    std::uint32_t fins = 0;
    std::uint64_t fin_at = 0;  // the relative number after the FIN
    std::uint64_t last_syn = 0, last_fin = 0, last_rst = 0;
    std::uint64_t retransmissions = 0, zero_windows = 0, gaps = 0;
    bool sent_something = false;
    bool did_close = false;    // its closing was told
    bool reached_end = false;  // all its data was handed on after it closed
  };
  struct Outcome {
    bool closes = false;  // the sender closed by this packet
    bool worth_telling = false;
  };

  [[nodiscard]] End& other(End& end) { return &end == ends_.data() ? ends_[1] : ends_[0]; }
  [[nodiscard]] const End& other(const End& end) const { return &end == ends_.data() ? ends_[1] : ends_[0]; }
  [[nodiscard]] End& originator() { return ends_[originator_]; }
  [[nodiscard]] End& responder() { return ends_[1 - originator_]; }
  [[nodiscard]] const End& originator() const { return ends_[originator_]; }
  [[nodiscard]] const End& responder() const { return ends_[1 - originator_]; }
  [[nodiscard]] bool is_originator(const End& end) const { return &end == &originator(); }
  [[nodiscard]] bool is_closed() const { return ends_[0].did_close || ends_[1].did_close; }
  [[nodiscard]] bool both_closed() const { return ends_[0].did_close && ends_[1].did_close; }

  // roles
  void flip();
  void flip_if_only_answered(const Packet& packet);
  void judge_partial(const Packet& packet, const End& sender);

  // sequence numbers
  static void begin_space(const Packet& packet, End& sender);
  std::uint64_t note_ack(const Packet& packet, End& peer);
  void note_last(const Packet& packet, End& sender);

  // history
  void note(char letter);
  void note(const End& sender, char letter);
  bool note_once(End& sender, char letter);
  void note_scaled(const End& sender, char letter, std::uint64_t& count);
  void note_flags(const Packet& packet, End& sender, std::uint64_t seq);
  void note_zero_window(const Packet& packet, End& sender);
  void note_tunnel(const Packet& packet);

  // states
  void set_state(End& end, State state);
  Outcome update_state(const Packet& packet, End& sender);
  Outcome leave_inactive(const Packet& packet, End& sender);
  void answer_syn(const Packet& packet, End& sender);
  void begin_without_syn(const Packet& packet, End& sender);
  Outcome leave_opening(const Packet& packet, End& sender);
  Outcome leave_established(const Packet& packet, End& sender);
  Outcome leave_closed(const Packet& packet, End& sender);

  // data
  [[nodiscard]] Stream::Sender describe(const End& end) const;
  void report(End& sender, const Stream::Gaps& gaps);
  void acknowledge(End& acknowledged, std::uint64_t ack);
  void take_data(const Packet& packet, End& sender, std::uint64_t seq);
  [[nodiscard]] bool has_pending_data(const End& end) const;
  [[nodiscard]] std::uint64_t size(const End& end) const;

  // ends
  void check_end_of_data(End& end);
  void close(End& closing, bool worth_telling);
  void finish_closing(End& closing, bool worth_telling);

  // timers
  void start_timer(TimerKind kind, std::int64_t at_us);
  void cancel_timers(bool also_inactivity);
  void set_silence_allowed(std::int64_t microseconds);
  void allow_silence_of_interactive_services();
  [[nodiscard]] std::int64_t end_of_silence_us() const;
  [[nodiscard]] bool has_died(std::int64_t now_us) const;

  Surroundings* surroundings_;
  std::array<End, 2> ends_;
  std::size_t originator_ = 0;
  std::int64_t start_us_, last_us_;
  std::int64_t silence_allowed_us_ = 0;
  std::uint64_t missed_bytes_ = 0;
  std::uint64_t tunnel_;
  std::string history_;
  std::vector<Timers::Handle> timers_;
  std::unique_ptr<FtpCommands> ftp_;
  std::uint8_t tunnel_changes_ = 0;
  bool limit_noted_ = false;
  bool partial_ = false;         // its beginning was not seen
  bool active_ = true;           // no end was reported yet
  bool close_deferred_ = false;  // until the data before the end has come
  bool deferred_is_worth_telling_ = false;
  bool established_now_ = false;  // by the packet being taken
};

}  // namespace tcpwhy::compat::zeek
