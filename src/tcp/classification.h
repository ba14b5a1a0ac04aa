// What an observer calls a TCP segment, and why it says that a connection was reset. Names are stable: they appear in JSON, tests and docs.
#pragma once

#include <cstdint>
#include <iterator>
#include <optional>
#include <string_view>

#include "tcp/state.h"

namespace tcpwhy::tcp {

// What a segment is to its connection. Exactly one; marks (below) say what else is true of it.
enum class Kind : std::uint8_t {
  syn,
  syn_ack,
  data,              // payload never seen before; may carry FIN
  fin,               // FIN without payload, the first time
  ack,               // acknowledges something new, or nothing worth a name
  duplicate_ack,     // RFC 5681 2: same ACK and window while data is outstanding, or new SACK information
  window_update,     // RFC 5681 2: same ACK, other window
  challenge_ack,     // RFC 5961 7: answers a segment that may not move the state
  keep_alive,        // RFC 9293 3.8.4: at SND.NXT-1, 0 or 1 byte, nothing outstanding
  keep_alive_ack,    // the answer
  window_probe,      // RFC 9293 3.8.6.1: into a shut window; Linux: no byte, at SND.UNA-1 (tcp_xmit_probe_skb())
  window_probe_ack,  // the answer
  retransmission,    // sequence space that its sender sends again
  duplicate,         // a copy of a packet, made by the network or the capture: its sender sent it once
  reordered,         // sent before a segment that was seen earlier
  reset,             // a reset by an end of the connection
  illegal,           // RFC 9293 3.10.7, RFC 5961: moves nothing; see Illegality
};
inline constexpr std::size_t kind_count = 17;
std::string_view name(Kind kind);  // "retransmission", "keep-alive", ...

// What made the sender send again.
enum class RetransmissionReason : std::uint8_t {
  none,
  syn,              // handshake timer
  fin,              // FIN alone, by whatever timer
  timeout,          // RFC 6298
  fast,             // RFC 5681 3.2, RFC 6675: duplicate ACKs or SACK of what follows
  sack_hole,        // RFC 6675, RFC 8985: a later hole of the same recovery
  tail_loss_probe,  // RFC 8985 7
  recovery,         // without a wait or a sign of its own, behind one that was lost: RFC 5681 3.1 (go-back-N), RFC 6675
  unknown,          // nothing in the capture says why
};
std::string_view name(RetransmissionReason reason);

enum class Illegality : std::uint8_t {
  none,
  flags,                // a combination that no sender of RFC 9293 makes
  reset_in_window,      // RFC 5961 3.2: earns a challenge ACK
  reset_out_of_window,  // RFC 9293 3.10.7.4, first
  reset_in_syn_sent,    // RFC 9293 3.10.7.3, second: does not acknowledge the SYN
  syn_in_connection,    // RFC 5961 4.2: earns a challenge ACK
  ack_in_syn_sent,      // RFC 9293 3.10.7.3, first: acknowledges something else than the SYN
  out_of_window,        // RFC 9293 3.10.7.4, first
  ack_out_of_window,    // RFC 5961 5.2
  another_syn_ack,      // with another number than the one before, which had been acknowledged: it opens once more
};
std::string_view name(Illegality illegality);

// What else is true of a segment; a set of bits.
namespace mark {
inline constexpr std::uint32_t gap_before = 1U << 0,  // what precedes it in sequence was not seen: lost, or late
    acks_unseen = 1U << 1,                            // acknowledges what the capture lacks
    zero_window = 1U << 2, window_full = 1U << 3,     // its sender takes nothing; it fills what the receiver takes
    urgent = 1U << 4, fast_open = 1U << 5,            // RFC 7413: data on the SYN
    simultaneous_open = 1U << 6, split_handshake = 1U << 7, port_reused = 1U << 8,
                               needless = 1U << 9,  // retransmission of what had been acknowledged before it was sent
    proves_needless = 1U << 10,  // D-SACK (RFC 2883) or time stamp (RFC 3522): an earlier retransmission was needless
    with_fin = 1U << 11,         // FIN behind payload, or on a retransmission
    carries_new = 1U << 12,      // a retransmission that goes on beyond what was sent before
    foreign_ttl = 1U << 13,      // another TTL than the sender's segments have
    captured_twice = 1U << 14,   // duplicate: the capture's copy, not the network's
    answers_fin = 1U << 15,      // acknowledges the peer's FIN for the first time
    old_ack = 1U << 16,          // acknowledges less than was acknowledged before
    assumed = 1U << 17,          // two explanations look alike; the likelier was taken
    behind_ack =
        1U << 18,  // captured behind the segment that acknowledges it: late into the capture, not onto the wire
    offload_copy = 1U << 19,  // the capture's copy, on the other side of segmentation or receive offload
    acked_before =
        1U << 20,  // a SYN-ACK or FIN again that had been acknowledged: its sender has not got that, or not taken it
    old_timestamp = 1U << 21;  // a new packet, by its IP ID, with an older time stamp than one before (RFC 7323 5)
inline constexpr int count = 22;
}  // namespace mark
std::string_view mark_name(int bit);  // "gap-before"; bit < mark::count

// Why a connection was reset, as far as a wire can tell. What is said of each: explain/texts/reset_reasons.cc.
enum class ResetCause : std::uint8_t {
  none,
  refused,                // answer to a SYN: nobody listens, or something refuses in the listener's name
  abandoned,              // the opener itself, before the handshake was done
  bad_ack,                // answer to a SYN-ACK that acknowledges something else (RFC 9293 3.10.7.3, first)
  data_after_close,       // answer to data for a program that has closed
  data_after_unsent_fin,  // the same, of one whose FIN waits behind what it had still to send
  late_after_close,       // answer to a segment without data that is new, after the close
  after_reset,            // answer to a segment of a connection that had been reset
  no_connection,          // answer by a host that does not know the connection (half-open, RFC 9293 3.5.1)
  had_given_up,           // answer by a host whose retransmissions had had no answer
  gave_up,                // active: what it had sent again and again had no answer
  unread_data,            // active: closed with unread data (RFC 2525 2.17), the likelier
  aborted,                // active: SO_LINGER 0, disconnect, or from outside (ss -K)
  idle,                   // active: by an end that had neither sent nor received data for a while
  keep_alive_gave_up,     // active: probes without answer
  let_go,                 // active: behind a FIN, by an end that had nothing more to wait for
  alone,                  // nothing else of the connection was captured
  not_captured,           // what led to it: of all between SYN and RST a filter let nothing through
  behind_proxy,           // who answered the SYN is another than who resets
  third_party,            // by somebody else in the sender's name: injection or middlebox
  third_party_late,       // the same, when both had closed and that was acknowledged
};
inline constexpr std::string_view reset_cause_names[] = {"none",
                                                         "refused",
                                                         "abandoned",
                                                         "bad-ACK",
                                                         "data-after-close",
                                                         "data-after-unsent-FIN",
                                                         "late-after-close",
                                                         "after-reset",
                                                         "no-connection",
                                                         "had-given-up",
                                                         "gave-up",
                                                         "unread-data",
                                                         "aborted",
                                                         "idle",
                                                         "keep-alive-gave-up",
                                                         "let-go",
                                                         "alone",
                                                         "not-captured",
                                                         "behind-proxy",
                                                         "third-party",
                                                         "third-party-after-close"};
// What shows that somebody else sent it.
// What tells the cause of this reset from another's, where that is not always the same.
enum class ResetSign : std::uint8_t {
  usual,
  // Of third_party, third_party_late.
  ttl,              // another one than the sender's segments have
  too_soon,         // the same, and it came sooner than an answer of the sender's can
  ip_id,            // another one than the sender's next
  answers_nothing,  // without an ACK, and neither with a number that the other end acknowledged nor its sender's next one
  went_on,          // its sender, afterwards
  // Of no_connection.
  own_syn,       // its sender had opened another connection meanwhile, and the other end had answered for this one
  ip_id_back,    // its sender's counter began anew
  not_captured,  // what it answers
};
inline constexpr std::size_t reset_cause_count = std::size(reset_cause_names);
std::string_view name(ResetCause cause);  // "data-after-close"

// `via`: the state between, where one segment shows two moves at once (a FIN that acknowledges the peer's); otherwise `to`.
struct Move {
  State from = State::not_seen, via = State::not_seen, to = State::not_seen;
  [[nodiscard]] bool happened() const { return from != to; }
};

// What the tracker says of one segment.
struct Verdict {
  Kind kind = Kind::ack;
  RetransmissionReason reason = RetransmissionReason::none;
  Illegality illegality = Illegality::none;
  ResetCause reset_cause = ResetCause::none;
  std::uint32_t marks = 0;
  // In the 64-bit space whose 0 is the sender's initial sequence number (or the byte before the first seen); ack in the receiver's.
  std::int64_t seq = 0, ack = 0;
  std::int64_t in_flight = 0;  // bytes of the sender not acknowledged, this segment included
  std::int64_t rtt_ns = -1;    // of what it acknowledges, measured at the tap; -1: no sample
  Move sender, receiver;       // what it shows of the two states

  [[nodiscard]] bool has(std::uint32_t bits) const { return (marks & bits) != 0; }
};

}  // namespace tcpwhy::tcp
