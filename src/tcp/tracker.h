// One connection as an observer in the middle sees it: fed its segments in the order of the capture, it says of each what it is, and
// knows both ends' states as far as the wire shows them. Pure: no clock, no I/O; time comes with each segment.
//
// Beside every state stands "not seen": a capture may begin late, lack packets or see one direction only. A state moves on evidence:
// the receiver of a FIN is in CLOSE-WAIT when its own ACK says so, not when the FIN passed the tap. What RFC 9293 3.10.7 and RFC 5961
// reject moves nothing. Sequence numbers are widened to 64 bits.
//
// Memory: the object itself, and while sequence space is missing a range of 24 bytes a gap (at most max_gaps a direction).
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "tcp/classification.h"
#include "tcp/ends.h"
#include "wire/segment.h"

namespace tcpwhy::tcp {

struct Observed {
  std::int64_t at_ns = 0;
  std::uint64_t frame = 0;
  EndIndex from = EndIndex::first;
  const wire::TcpSegment& segment;
};

// A range of what an end sent: a gap, never seen by the capture, whatever became of it; or what it sent again, or may have.
struct Gap {
  std::int64_t begin, end, opened_ns;
  std::uint64_t opened_by = 0;  // the frame of a gap that did
  // Of a gap: what opened it. The peer had received what was missing, so the capture lacks it, or has it late; nothing tells that it was
  // sent again.
  bool by_ack = false;
  bool may_be_before = false;  // it may have been sent before the capture began
  // Of what was sent again: the first one was captured too; else that may still come. And the time stamp of the retransmission.
  bool first_seen = false;
  std::uint32_t timestamp = 0;
};
inline constexpr std::size_t max_gaps = 64;

// A segment that is larger than its receiver takes, so one that the tap saw before it was cut for the wire, or after what came was put
// together (segmentation and receive offload).
struct LargeSegment {
  std::int64_t begin, at_ns;
  std::uint32_t length, timestamp;
  std::uint32_t piece;  // payload of the largest of its pieces so far
  std::uint16_t ip_id;
};
inline constexpr std::size_t max_large_segments = 16;

// What is counted of what an end sent. Those that are told have a row in explain/texts/wire_counters.h.
struct EndCounters {
  std::uint32_t segments = 0, data_segments = 0, retransmissions = 0, timeouts = 0, fast_retransmissions = 0,
                tail_loss_probes = 0, needless = 0, fins_again = 0, duplicates = 0, offload_copies = 0, reordered = 0,
                behind_ack = 0, illegal = 0, zero_windows = 0, window_full = 0, window_updates = 0, keep_alives = 0,
                window_probes = 0, duplicate_acks_sent = 0, resets = 0, gaps_seen = 0;
};

// What few ends have: apart, so that those that have it not lie close together in memory.
struct Trouble {
  std::uint8_t next_large = 0;     // the place in `large`
  std::uint16_t shrunk_after = 0;  // how often in vain
  std::uint8_t reset_ttl = 0;
  bool reset_is_own = false;  // by its TTL and IP ID: the end itself sent its last reset
  std::uint16_t reset_ip_id = 0;
  std::uint32_t reset_seq = 0;  // of its last reset
  std::uint32_t last_illegal_ack = 0, resent_timestamp = 0;
  std::uint32_t largest_sacked = 0;   // the largest range that was acknowledged selectively
  std::uint32_t fin_resends = 0;      // of its FIN without payload
  std::uint32_t assumed_resends = 0;  // retransmissions that may have come twice, or late
  std::uint32_t late_copies = 0;      // of its segments, so long behind them that no capture made them
  std::uint32_t answered_copies = 0;  // that arrived: the peer answered them
  std::uint32_t late_originals = 0;   // that came behind what was sent in their place: nothing was lost of it
  std::uint32_t small_tail = 0;       // payload of the smallest that it sent again of what lies behind `small_tail_una`
  std::uint32_t stamps_back = 0;      // new packets of it whose time stamp is older than one before
  std::uint32_t answers_behind_fin =
      0;                    // sent after its FIN, which acknowledge what it had acknowledged: something came again
  std::int64_t sacked = 0;  // right edge of the highest SACK block
  std::int64_t small_tail_una = 0;  // what was to be acknowledged then
  std::int64_t came_twice = 0;      // right edge of the last D-SACK
  // What was on its way when a timeout or duplicate ACKs last made it send the first of it again: until that is acknowledged it recovers
  // (RFC 6675, RFC 5681 3.1).
  std::int64_t recovery_end = 0;
  std::int64_t unanswered_since_ns = 0;  // the first of its unanswered retransmissions
  std::uint64_t unanswered_frame = 0;    // and its frame
  std::int64_t last_reset_ns = 0;
  std::int64_t last_sign_ns = 0;        // when the peer last told that something of it is missing
  std::int64_t first_sign_ns = 0;       // the first such since its timer last began
  std::int64_t longest_shut_ns = 0;     // for how long its window was shut, at most, of what has ended
  std::int64_t most_behind_ack_ns = 0;  // how long after its acknowledgment a segment was captured, at most
  std::uint64_t resent_bytes = 0;       // payload of retransmissions
  std::uint64_t forgotten_gap_bytes = 0;
  std::uint64_t first_copy = 0;  // its frame; 0: none
  std::int64_t forgotten_gaps_end = 0;
  std::vector<Gap> gaps;            // in the order in which they opened
  std::vector<Gap> resent;          // retransmissions; of those that filled a gap the original may still come
  std::vector<LargeSegment> large;  // its latest, as a ring
};

// What one end has sent, and what the other said of it.
struct End : EndCounters {
  // What nearly every segment reads or writes comes first: of a hundred thousand connections few lie in the processor's cache.
  // --- sequence space, 64 bits wide: 0 is the initial sequence number
  std::int64_t snd_nxt = 0;        // end of the highest sequence sent
  std::int64_t snd_una = 0;        // highest acknowledgment by the peer
  std::int64_t edge = 0;           // right edge of the peer's window, the farthest that was offered
  std::int64_t fin = -1;           // sequence number of its FIN; -1: none
  std::int64_t last_end = 0;       // end of its last segment that occupies sequence space
  std::int64_t window_seq = 0;     // SND.WL1 of RFC 9293 3.10.7.4: of its segment that told the window last
  std::int64_t seen_from = 0;      // where what was seen of it begins: what lies before may have been sent any time
  std::int64_t last_data_ack = 0;  // what its last payload that was new acknowledged
  std::int64_t last_advance = 0;   // by how much the peer's last acknowledgment of something new went on
  std::int64_t stamped_from = 0;   // where what it sent for the first time with its newest time stamp begins
  // --- times
  std::int64_t last_sent_ns = 0;      // last segment of it that occupies sequence space
  std::int64_t last_progress_ns = 0;  // last time that the peer acknowledged something new
  std::int64_t last_data_ns = 0;      // last payload that was new
  std::int64_t last_seen_ns = 0;
  std::int64_t stamped_ns = 0;  // when its newest time stamp was seen first
  // When its retransmission timer began to run, as far as the wire shows (RFC 6298 5): with the first segment on its way, with each
  // progress, with each time that the first was sent again. 0: not seen.
  std::int64_t timer_began_ns = 0;
  std::int64_t sample_end = -1, sample_ns = 0;  // the round trip being measured (RFC 6298 3, Karn)
  std::int64_t resent_end = -1;                 // the last retransmission, until it is acknowledged
  std::int64_t shut_since_ns = 0;               // when it last shut its window, while that is shut; 0: it is open
  std::uint64_t bytes = 0;                      // payload, each byte once
  // --- identity
  std::uint32_t isn = 0;
  std::uint32_t newest_timestamp = 0;
  std::uint32_t window = 0;  // its last, scaled where the scale is known
  std::uint32_t srtt_us = 0, min_rtt_us = 0;
  std::uint32_t sample_length = 0;  // payload of the segment whose round trip is being measured
  std::uint32_t largest_through =
      0;                           // payload of the largest segment that was acknowledged, of those that were measured
  std::uint32_t shrunk_from = 0;   // payload of what it sent again in vain, before it sent smaller pieces of that
  std::uint32_t stuck_length = 0;  // payload of what it last sent again of what is to be acknowledged next
  std::uint32_t last_ack_raw = 0;  // the ACK field of its last segment that had one
  std::uint16_t newest_ip_id = 0;
  std::uint16_t unanswered_resends = 0;  // retransmissions of it since the peer was last heard
  std::uint16_t mss = 0;                 // the largest segment that it takes, by its SYN; 0: not seen
  std::uint8_t ip_id_counts = 0;         // how often in a row its IP ID grew by little
  std::uint8_t ttl = 0, same_ttl = 0;
  std::uint8_t scale = 0;
  std::uint8_t duplicate_acks = 0;            // of what it sent, since the last progress
  std::uint8_t unanswered_probes = 0;         // keep-alives of it since the peer was last heard
  std::uint8_t unanswered_window_probes = 0;  // the same of its window probes, of those that had to be answered
  State state = State::not_seen;
  Kind last_kind = Kind::ack;
  bool seen = false, based = false;  // sent anything; its sequence space has an origin
  bool una_known =
      false;  // the peer acknowledged something, or its SYN was seen; else snd_una is where it was seen first
  bool syn_seen = false, syn_ack_seen = false, scale_known = false, has_timestamps = false, sack_permitted = false;
  bool fin_acked = false, sent_reset = false, owes_challenge = false;
  bool text_seen = false;     // payload that it sent for the first time: it had not closed
  bool fin_in_doubt = false;  // its FIN was seen, and whether the other had sent one before that was not
  bool fin_assumed = false;   // nothing of it was captured: that it closed is what the other end's acknowledgments say
  bool repeats_syn_ack = false;    // after it was acknowledged, and has sent nothing else since
  bool sent_illegal_ack = false;   // last_illegal_ack is one
  bool ttl_varies = false;         // its own segments come with more than one TTL: copies, or several paths
  bool last_had_data = false;      // its last segment had payload that had not been acknowledged
  bool last_answered_fin = false;  // its last segment acknowledged the other's FIN, for the first time
  bool options_cut = false;  // the capture cut options of its segments: what they told of what arrived is not seen

  bool went_on_after_reset = false;
  bool shrunk_through = false;              // the smaller pieces got through
  bool timed_out = false;                   // what it recovers from is a timeout
  std::uint8_t most_unanswered_probes = 0;  // of a shut window, in a row
  std::uint8_t syns = 0;                    // SYNs or SYN-ACKs that it sent, copies not counted
  // Of a capture at several places of the path: the TTL that its packets have where they are seen once more, and by how many of them in a row
  // that shows.
  std::uint8_t ttl_elsewhere = 0, seen_elsewhere = 0;
  std::int64_t fin_ack = 0;  // what it had acknowledged when it sent its FIN
  // What is read of an end that has none is as if nothing had happened.
  [[nodiscard]] const Trouble& trouble() const {
    static constinit const Trouble none;
    return trouble_ ? *trouble_ : none;
  }
  Trouble& make_trouble() {
    if (!trouble_) trouble_ = std::make_unique<Trouble>();
    return *trouble_;
  }

  // Sequence space that the peer acknowledged and the capture lacks.
  [[nodiscard]] std::uint64_t unseen_bytes() const;

 private:
  std::unique_ptr<Trouble> trouble_;
};

// The first reset that was taken, and who sent it.
struct ResetSeen {
  ResetCause cause = ResetCause::none;
  bool assumed = false;  // more than one cause looks like this
  EndIndex from = EndIndex::first;
  std::uint64_t frame = 0;
  std::int64_t at_ns = 0;
  std::int64_t idle_ns = 0;  // cause idle: since the last data
  bool after_close = false;  // both had closed, and that was acknowledged
  ResetSign sign = ResetSign::usual;
};

class Tracker {
 public:
  // Whether this segment is not of this connection but begins a new one between the same addresses (a new initial sequence number).
  // If so, feed it to a fresh Tracker, after pending_syn() where that is not null.
  [[nodiscard]] bool begins_anew(const Observed& seen) const;
  // A SYN that had been taken for illegal, and which the segment that begins anew answers.
  struct PendingSyn {
    wire::TcpSegment segment;
    std::int64_t at_ns;
    std::uint64_t frame;
    EndIndex from;
  };
  [[nodiscard]] const PendingSyn* pending_syn() const { return pending_.get(); }

  Verdict observe(const Observed& seen);

  [[nodiscard]] const End& end(EndIndex index) const { return ends_[index]; }
  // Who opened: known where a SYN or SYN-ACK was seen.
  [[nodiscard]] bool opener_known() const { return opener_known_; }
  [[nodiscard]] EndIndex opener() const { return opener_; }
  // Who closed first, by FIN or reset; nobody yet, both at once, or not seen.
  [[nodiscard]] std::optional<EndIndex> first_closer() const;
  // Each sent its FIN before the other's can have reached it (RFC 9293 3.6, figure 13).
  [[nodiscard]] bool closed_at_once() const { return closed_at_once_; }
  [[nodiscard]] bool first_closed_by_reset() const { return first_closed_by_reset_; }
  [[nodiscard]] ResetSeen reset() const;  // cause none: not reset; judged with what came afterwards
  [[nodiscard]] bool handshake_complete() const { return handshake_ack_ns_ >= 0; }
  // The capture lacks a part of the handshake, and an end's own segments show that it was done.
  [[nodiscard]] bool handshake_inferred() const { return handshake_inferred_; }
  // Nothing of one of the two was captured, though the other's segments show that it was there.
  [[nodiscard]] bool is_one_way() const;
  // Whether an end sent a segment with this sequence number, as far as the capture tells (RFC 5927 4.1).
  [[nodiscard]] bool has_sent(EndIndex end, std::uint32_t seq) const;
  // A segment that is neither SYN, FIN nor RST: no filter on these flags was between.
  [[nodiscard]] bool has_plain_segments() const { return plain_seen_; }
  // Both ends are one socket (a simultaneous open with itself): all segments are from EndIndex::first.
  [[nodiscard]] bool is_to_itself() const { return to_itself_; }
  // The capture has its packets at several places of the path: that of both ends, merged, or of several interfaces of a router.
  [[nodiscard]] bool has_several_places() const;
  // SYN to SYN-ACK, and SYN-ACK to ACK; -1 where one of them was not seen.
  [[nodiscard]] std::int64_t listener_rtt_ns() const {
    return syn_ns_ < 0 || syn_ack_ns_ < 0 ? -1 : syn_ack_ns_ - syn_ns_;
  }
  [[nodiscard]] std::int64_t opener_rtt_ns() const {
    return handshake_ack_ns_ < 0 || syn_ack_ns_ < 0 ? -1 : handshake_ack_ns_ - syn_ack_ns_;
  }
  [[nodiscard]] std::uint32_t marks_seen() const { return marks_seen_; }  // of any segment
  [[nodiscard]] std::int64_t began_ns() const { return began_ns_; }
  [[nodiscard]] std::int64_t last_ns() const { return last_ns_; }
  [[nodiscard]] std::uint64_t first_frame() const { return first_frame_; }
  // Nothing more is to be expected: both FINs acknowledged, or reset.
  [[nodiscard]] bool is_over() const;

 private:
  struct Step;
  void look_at_sender(Step& step);
  static bool is_known_by_its_header(const Step& step);
  static bool is_seen_before_elsewhere(const Step& step);
  static void take_from_elsewhere(Step& step);
  [[nodiscard]] EndIndex receiver_of(EndIndex from) const { return to_itself_ ? from : opposite(from); }
  bool find_illegal(Step& step);
  [[nodiscard]] bool is_behind_what_was_filtered(const Step& step) const;
  void note_what_was_filtered(Step& step);
  static bool answers_older(const Step& step);
  static bool holds_back_fin(const Step& step);
  static bool is_long_after(const Step& step);
  [[nodiscard]] bool is_from_elsewhere(const Step& step) const;
  [[nodiscard]] bool is_nearer(const Step& step) const;
  [[nodiscard]] bool had_opened_another(const Step& step) const;
  [[nodiscard]] ResetSign sign_of(ResetCause cause, const Step& step) const;
  static bool is_from_behind_proxy(const Step& step);
  [[nodiscard]] static bool fins_cross(const Step& step);
  static bool is_same_reset(const Step& step);
  void take_reset(Step& step);
  static bool is_own_reset(const Step& step);
  static bool shows_that_reset_was_anothers(const Step& step);
  void take_syn(Step& step);
  void take_ack(Step& step);
  void take_window(Step& step);
  void take_sack(Step& step);
  void take_text(Step& step);
  void take_old_text(Step& step);
  static void take_text_from_before(Step& step);
  static void note_resent(Step& step, bool first_seen);
  static void count_copy(Step& step);
  static void note_answer_to_copy(Step& step);
  void take_fin(Step& step);
  [[nodiscard]] bool may_have_closed_unseen(EndIndex end) const;
  void settle_first_closer(EndIndex first, Step& step);
  void infer_opening(Step& step);
  void infer_peers_close(Step& step);
  void assume_fin_of(EndIndex end, Step& step);
  static bool is_large(const Step& step);
  static void remember_large(Step& step);
  static void note_shrinking(Step& step);
  bool is_offload_copy(const Step& step) const;
  [[nodiscard]] bool came_too_soon(const Step& step) const;
  [[nodiscard]] std::int64_t quickest_answer_ns(const End& sender) const;
  // From SYN to ACK, which is the whole path's round trip wherever the tap is; -1 where one of them was not seen.
  [[nodiscard]] std::int64_t handshake_ns() const;
  [[nodiscard]] bool handshake_was_sent_once() const;
  [[nodiscard]] std::int64_t round_trip_ns(const End& sender) const;
  [[nodiscard]] bool answers_sign(const Step& step, std::int64_t sign_ns) const;
  void take_retransmission(Step& step, bool seen_before);
  void name_pure_ack(Step& step);
  [[nodiscard]] RetransmissionReason why_again(Step& step) const;
  // When one of the two last sent payload, SYN or FIN, for the first time or again.
  static std::int64_t last_text_ns(const Step& step);
  // When one of the two last sent payload for the first time: a keep-alive is none; where none was seen, the same as above.
  static std::int64_t last_data_ns(const Step& step);
  [[nodiscard]] ResetCause why_reset(const Step& step, bool& assumed) const;
  [[nodiscard]] ResetCause why_answering_reset(const Step& step, bool& assumed) const;
  [[nodiscard]] ResetCause why_active_reset(const Step& step, bool& assumed) const;
  [[nodiscard]] static ResetCause why_reset_behind_fin(const Step& step);
  [[nodiscard]] static bool gave_up_sending(const Step& step);
  void apply(EndIndex end, Stimulus stimulus, Step& step);
  void move_to(EndIndex end, State state, Step& step);
  void close_first(EndIndex end, bool by_reset);
  static void note_unanswered_probes(const Step& step);
  void remember(Step& step);

  PerEnd<End> ends_;
  std::unique_ptr<PendingSyn> pending_;
  std::int64_t began_ns_ = 0, last_ns_ = 0;
  std::int64_t syn_ns_ = -1, syn_ack_ns_ = -1, handshake_ack_ns_ = -1;
  std::uint64_t first_frame_ = 0;
  std::uint32_t marks_seen_ = 0;
  ResetSeen reset_;
  EndIndex opener_ = EndIndex::first;
  bool opener_known_ = false, first_closed_by_reset_ = false, handshake_inferred_ = false, to_itself_ = false;
  bool closed_at_once_ = false, plain_seen_ = false;
  std::optional<EndIndex> first_closer_;
};

}  // namespace tcpwhy::tcp
