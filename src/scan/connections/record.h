// What remains of a connection when it leaves the table: one row of every table that `tcpwhy read` prints.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "scan/connections/connection_table.h"
#include "tcp/tracker.h"

namespace tcpwhy::scan {

enum class Opening : std::uint8_t {
  handshake,       // SYN, SYN-ACK, ACK
  before_capture,  // no SYN was seen
  unanswered,      // SYN only
  refused,         // reset in answer to the SYN
  incomplete,      // the SYN-ACK was not acknowledged
  half_seen,       // the capture lacks a part of the handshake; what follows shows that it was done
};
inline constexpr int opening_count = 6;
std::string_view name(Opening opening);

enum class Ending : std::uint8_t {
  open,         // not yet, when the capture ended
  half_closed,  // one FIN
  closed,       // both sent FINs, which were acknowledged as far as the capture can tell
  closing,      // both FINs, not both acknowledged
  reset,
  never_opened,  // refused or unanswered
};
inline constexpr int ending_count = 6;
std::string_view name(Ending ending);

// As far as is known who opened it (opener_known); else the first that was seen is taken for the opener.
using tcp::listener;
using tcp::opener;
using tcp::Side;

struct EndRecord : tcp::EndCounters {
  tcp::State state = tcp::State::not_seen;
  std::uint64_t bytes = 0, resent_bytes = 0, unseen_bytes = 0;
  std::uint32_t unanswered_resends = 0, syn_resends = 0, fin_resends = 0, assumed_resends = 0, late_or_lost = 0,
                blind_resends = 0;
  std::uint32_t window = 0;                   // that it offered last
  std::uint32_t srtt_us = 0, min_rtt_us = 0;  // of what it sent, measured at the tap; 0: no sample
  // Payload of the largest segment that got through, and of the one that it sent again and again at the end.
  std::uint32_t largest_through = 0, stuck_length = 0;
  std::uint32_t largest_sacked = 0;  // range that was acknowledged selectively: no segment in it is larger
  // The payload of what it sent again `shrunk_after` times in vain, before it sent smaller pieces of that; and whether those got through.
  std::uint32_t shrunk_from = 0, shrunk_after = 0;
  bool shrunk_through = false;
  std::uint32_t most_unanswered_probes = 0;  // of a shut window, in a row, that had to be answered
  // Of its duplicates: those that lie too far behind the first for a capture to have made them, and those that the peer answered.
  std::uint32_t late_copies = 0, answered_copies = 0;
  std::uint32_t stamps_back = 0;  // new packets with an older time stamp than one before
  std::uint64_t first_copy = 0;   // its frame
  // The peer acknowledged what comes behind, and never that: what the capture lacks of it, too.
  std::uint64_t undelivered_bytes = 0;
  // By its own sequence numbers it sent them (a FIN counts as one); the capture lacks them, and nobody acknowledged them.
  std::uint64_t vanished_bytes = 0;
  std::int64_t vanished_ns = 0;          // when that showed
  std::uint64_t missing_frame = 0;       // the frame that showed what is undelivered, or vanished
  std::int64_t unanswered_since_ns = 0;  // the first of its unanswered retransmissions
  std::uint64_t unanswered_frame = 0;
  bool shows_needless = false;       // SACK or time stamps: a retransmission that was needless would show
  bool small_was_stuck = false;      // what it sent again to the end was not only what is larger than what got through
  bool nothing_through = false;      // nothing that it sent behind its SYN was ever acknowledged
  bool peer_answered = false;        // something, after the first of its unanswered retransmissions
  std::int64_t longest_shut_ns = 0;  // that it took nothing
  std::int64_t most_behind_ack_ns = 0;  // that a segment was captured after its acknowledgment
  std::int64_t last_progress_ns = 0;    // when the other end last acknowledged something new of it; 0: never
  [[nodiscard]] std::uint32_t copied_by_network() const { return std::max(late_copies, answered_copies); }
  // Segments whose checksum does not fit, and which it sent again; looked at in the connection that somebody wants to see.
  std::uint32_t damaged = 0;
  std::uint64_t first_damaged = 0;  // its frame
  bool sent_fin = false;
  bool syn_was_held = false;  // its SYNs came at once that it had sent one after the other
  bool only_fin_unacknowledged = false;
};

struct ConnectionRecord {
  tcp::PerSide<wire::SocketAddress> addresses;
  tcp::PerSide<EndRecord> ends;
  bool opener_known = false;
  bool one_way = false;             // nothing of one end was captured, though it was there
  bool in_vain = false;             // the same, and the one that was captured sent again and again what had no answer
  bool has_plain_segments = false;  // that are neither SYN, FIN nor RST
  bool to_itself = false;           // one socket, connected to itself
  std::uint64_t first_frame = 0, last_frame = 0;
  std::int64_t began_ns = 0, ended_ns = 0;
  std::int64_t quiet_ns = INT64_MAX;                      // for how long the capture went on behind it; at least
  std::int64_t listener_rtt_ns = -1, opener_rtt_ns = -1;  // of the handshake: SYN to SYN-ACK, SYN-ACK to ACK
  Opening opening = Opening::before_capture;
  Ending ending = Ending::open;
  std::optional<Side> closed_by;  // who closed first; absent: nobody
  tcp::ResetCause reset_cause = tcp::ResetCause::none;
  bool reset_assumed = false;
  std::optional<Side> reset_by;
  std::uint64_t reset_frame = 0;
  std::uint32_t marks = 0;  // of any of its segments
  std::uint32_t reuse = 0;  // connections before it between the same addresses
  Left left = Left::over;
  Evidence evidence;
  IcmpSeen icmp;

  // Of both ends together, and of the one that has more: of EndRecord, or of the counters that it has of the tracker.
  template <class T, class Counters>
  [[nodiscard]] std::uint64_t sum(T Counters::* field) const {
    return std::uint64_t{ends[opener].*field} + ends[listener].*field;
  }
  template <class T>
  [[nodiscard]] T greater(T EndRecord::* field) const {
    return std::max(ends[opener].*field, ends[listener].*field);
  }
  [[nodiscard]] std::uint64_t bytes() const { return sum(&EndRecord::bytes); }
  [[nodiscard]] std::uint64_t segments() const { return sum(&EndRecord::segments); }
  [[nodiscard]] std::uint64_t retransmissions() const { return sum(&EndRecord::retransmissions); }
  // Its numbers go beyond what a capture of SYN, FIN and RST alone has of it.
  [[nodiscard]] bool lacks_plain_segments() const {
    return !has_plain_segments && ends[opener].gaps_seen + ends[listener].gaps_seen > 0;
  }
  [[nodiscard]] bool both_seen() const { return ends[opener].segments > 0 && ends[listener].segments > 0; }
  // Whether the capture shows that something did not come that would have by then: since `ns` it went on for as long as the first
  // retransmission timer runs (RFC 6298 2.1).
  [[nodiscard]] bool waited_since(std::int64_t ns) const;
  [[nodiscard]] std::int64_t duration_ns() const { return ended_ns - began_ns; }
};

ConnectionRecord record_of(const Connection& connection, Left left);
// The same into one that is new.
void fill(ConnectionRecord& record, const Connection& connection, Left left);

// Community ID version 1, seed 0 (github.com/corelight/community-id-spec): the same in Zeek, Suricata and Wireshark.
std::string community_id(const ConnectionRecord& record);

}  // namespace tcpwhy::scan
