#include "tcp/tracker.h"

#include <algorithm>

#include "tcp/tracker_step.h"

namespace tcpwhy::tcp {
namespace {

// A copy of a packet comes within this time, where its sender's IP ID has not yet shown to count.
constexpr std::int64_t same_packet_ns = 100 * millisecond;
// RFC 6298 2.1; Linux: TCP_TIMEOUT_INIT.
constexpr std::int64_t syn_timer_ns = 1000 * millisecond;
// A listener's timer runs for a second (TCP_TIMEOUT_INIT): less a round trip it sends its SYN-ACK again behind an ACK that it did not take.
constexpr std::int64_t soonest_syn_ack_ns = 200 * millisecond;
// Linux answers what is outside its window, as a probe is, so often at most (tcp_invalid_ratelimit; RFC 5961 7), by a clock of 10 ms at
// worst: a probe that comes sooner may have no answer though it arrived.
constexpr std::int64_t answer_again_ns = 510 * millisecond;
// Sequence numbers that far apart are no neighbours: a segment of another connection, or forged.
constexpr std::int64_t far_away = std::int64_t{1} << 30;
// A host that has no connection any more answers each segment that was in flight towards it, with the number that this segment
// acknowledges: less than what the peer has acknowledged since.
constexpr std::int64_t most_in_flight = 1 << 20;
// So many packets in a row that came once more with the same other TTL were seen at another place of the path.
constexpr std::uint8_t enough_elsewhere = 3;
constexpr std::uint16_t flags_of_a_filter = wire::TcpFlags::syn_bit | wire::TcpFlags::fin_bit | wire::TcpFlags::rst_bit;

bool is_synchronized(State state) {
  return state != State::not_seen && state != State::closed && state != State::listen && state != State::syn_sent &&
         state != State::syn_received;
}

}  // namespace

bool Tracker::is_over() const {
  if (reset_.cause != ResetCause::none) return true;
  return ends_[EndIndex::first].fin_acked && ends_[EndIndex::second].fin_acked;
}

bool Tracker::is_one_way() const {
  const End& first = ends_[EndIndex::first];
  const End& second = ends_[EndIndex::second];
  // What the one acknowledges gives the other's sequence space its origin.
  return !to_itself_ && first.based && second.based && (first.segments == 0) != (second.segments == 0);
}

// Of an end that nothing was captured of, whose FIN was not inferred, it may well have been the first.
std::optional<EndIndex> Tracker::first_closer() const {
  if (closed_at_once_) return std::nullopt;
  if (first_closer_ && !first_closed_by_reset_ && is_one_way() && !ends_[opposite(*first_closer_)].seen &&
      !ends_[opposite(*first_closer_)].fin_assumed)
    return std::nullopt;
  return first_closer_;
}

bool Tracker::has_sent(EndIndex index, std::uint32_t seq) const {
  const End& end = ends_[index];
  if (pending_ && pending_->from == index && pending_->segment.seq.value == seq) return true;
  if (!end.based) return false;
  const std::int64_t at = widen(end, seq);
  return at <= end.snd_nxt && at >= (end.syn_seen ? 0 : end.snd_una - far_away);
}

bool Tracker::begins_anew(const Observed& seen) const {
  const wire::TcpSegment& segment = seen.segment;
  const End& from = ends_[seen.from];
  const End& to = ends_[receiver_of(seen.from)];
  if (pending_) {
    const std::uint32_t after_syn = pending_->segment.seq.value + 1;
    if (seen.from != pending_->from) {
      if (segment.flags.syn() && segment.flags.ack() && segment.ack.value == after_syn) return true;
    } else if (!segment.flags.syn() && !segment.flags.rst() && segment.seq.value == after_syn &&
               widen(from, after_syn) != from.snd_nxt) {
      return true;
    }
  }
  if (!segment.flags.syn() || segment.flags.rst() || segment.flags.fin()) return false;
  if (from.syn_seen && segment.seq.value == from.isn) return false;
  // A SYN-ACK whose SYN was not captured, behind a connection that is over.
  if (segment.flags.ack()) {
    // Or, of one direction, another SYN-ACK than the one before.
    const bool answers_another = to.based && segment.ack.value - 1 != to.isn;
    return answers_another && (is_over() || (from.syn_ack_seen && !to.seen));
  }
  if (from.based && !from.syn_seen && segment.seq.value == from.isn && from.snd_una <= 1)
    return false;  // captured late
  if (is_over() || (ends_[EndIndex::first].fin >= 0 && ends_[EndIndex::second].fin >= 0)) return true;
  // Its sender has forgotten the connection, or the listener's entry waits in TIME-WAIT (RFC 6191).
  // RFC 9293 3.6.1: "it MAY accept a new SYN from the remote TCP endpoint to reopen the connection directly from
  // TIME-WAIT state"
  if (from.state == State::closed || to.state == State::closed || to.state == State::time_wait) return true;
  // What was acknowledged of it before the capture had another number.
  const std::uint32_t acknowledged = from.isn + static_cast<std::uint32_t>(from.snd_una);
  if (from.based && !from.seen && to.seen && segment.seq.value + 1 != acknowledged &&
      segment.seq.value + segment.sequence_length() != acknowledged)
    return true;
  // Of a capture that begins late: it had been over when the last FIN was acknowledged.
  if ((from.fin_in_doubt && from.fin_acked) || (to.fin_in_doubt && to.fin_acked)) return true;
  // An attempt that nobody answered was given up, and the port is used again.
  return from.syn_seen && !to.seen;
}

ResetSeen Tracker::reset() const {
  ResetSeen judged = reset_;
  if (judged.cause != ResetCause::none && ends_[judged.from].went_on_after_reset) {
    const ResetCause third_party = judged.after_close ? ResetCause::third_party_late : ResetCause::third_party;
    if (judged.cause != third_party) judged.sign = ResetSign::went_on;
    judged.cause = third_party;
    judged.assumed = false;
  }
  return judged;
}

void Tracker::apply(EndIndex end, Stimulus stimulus, Step& step) {
  const Transition* transition = find_transition(ends_[end].state, stimulus);
  if (transition != nullptr) move_to(end, transition->to, step);
}

void Tracker::move_to(EndIndex end, State state, Step& step) {
  End& which = ends_[end];
  Move& move = end == step.sender ? step.verdict.sender : step.verdict.receiver;
  if (!move.happened()) {
    move.from = which.state;
    move.via = state;
  }
  which.state = move.to = state;
}

void Tracker::close_first(EndIndex end, bool by_reset) {
  if (first_closer_) return;
  first_closer_ = end;
  first_closed_by_reset_ = by_reset;
}

// Who sent it, and when: TTL; and whether IP ID and time stamp say that it left before the sender's newest segment.
void Tracker::look_at_sender(Step& step) {
  const End& from = step.from;
  const wire::TcpSegment& segment = step.segment;
  if (from.segments == 0) return;
  // By its stamp it was captured before what stands before it in the file: several queues, or a file of two captures.
  if (step.at() < from.last_seen_ns) step.order = SendOrder::earlier;
  // Of an end that has sent nothing but resets no TTL was noted.
  if (from.seen && segment.ttl != from.ttl) step.verdict.marks |= mark::foreign_ttl;
  if (segment.options.timestamps && from.has_timestamps) {
    const auto ahead = static_cast<std::int32_t>(segment.options.timestamps->value - from.newest_timestamp);
    if (ahead != 0) {
      // A copy of an earlier packet has that one's IP ID: what is numbered behind the newest is a new packet, whoever set its time stamp back.
      const bool is_later = ahead > 0 || is_numbered_behind(from, segment, ip_id_stride - 1);
      step.order = is_later ? SendOrder::later : SendOrder::earlier;
      if (ahead < 0 && step.order == SendOrder::later) step.verdict.marks |= mark::old_timestamp;
      return;
    }
  }
  // RFC 9293 3.8.1, of the IP ID: "It is not a reasonable way to indicate duplicate sent segments nor to identify
  // duplicate received segments." That binds an end. An observer asks whether a packet was copied on its way, and
  // Linux gives what it sends again a new ID.
  if (segment.ip_id == 0) return;  // IPv6, or RFC 6864: an atomic datagram need not have one
  if (step.order != SendOrder::unknown) return;
  const int ahead = ip_id_ahead(from, segment);
  if (ahead == 0) {
    const bool same_text =
        step.segment.seq.value + step.segment.sequence_length() == from.isn + static_cast<std::uint32_t>(from.last_end);
    // Of a host that does not number its packets an ACK is the same one where it says the same.
    const bool says_the_same =
        step.segment.sequence_length() > 0 ||
        (segment.ack.value == from.last_ack_raw && std::uint32_t{segment.window} << from.scale == from.window);
    if (from.ip_id_counts > 0 || (same_text && says_the_same && step.at() - from.last_seen_ns < same_packet_ns))
      step.order = SendOrder::same_packet;
  } else if (ip_id_counts_packets(from) && ahead > -ip_id_stride && ahead < ip_id_stride) {
    step.order = ahead < 0 ? SendOrder::earlier : SendOrder::later;
  } else if (from.ip_id_counts > 0 && ahead < 0 && ahead > -few_packets &&
             step.at() - from.last_seen_ns < same_packet_ns) {
    step.order = SendOrder::earlier;  // a number of a moment ago is no new one, by whatever rule
  }
}

bool Tracker::has_several_places() const {
  return ends_[EndIndex::first].seen_elsewhere >= enough_elsewhere ||
         ends_[EndIndex::second].seen_elsewhere >= enough_elsewhere;
}

// The packet that was seen before, by what no router changes. Of a SYN its number and time stamp: what is sent again is stamped anew, a
// second later at the soonest. A SYN-ACK may have neither.
bool Tracker::is_known_by_its_header(const Step& step) {
  const End& from = step.from;
  const wire::TcpSegment& segment = step.segment;
  if (!segment.flags.syn()) return step.sent_before();
  if (from.syns != 1) return false;
  if (segment.options.timestamps && from.has_timestamps)
    return segment.options.timestamps->value == from.newest_timestamp && segment.ip_id == from.newest_ip_id;
  if (segment.ip_id != 0) return segment.ip_id == from.newest_ip_id;
  return step.to.seen_elsewhere >= enough_elsewhere;
}

// Between two places of the path routers have taken something off the TTL. One packet may have taken another route; but where one after the
// other comes again with that TTL, and nothing new does, what has it was captured at another place.
bool Tracker::is_seen_before_elsewhere(const Step& step) {
  End& from = step.from;
  const wire::TcpSegment& segment = step.segment;
  if (segment.flags.rst())
    return from.sent_reset && segment.seq.value == from.trouble().reset_seq && segment.ttl == from.ttl_elsewhere &&
           from.seen_elsewhere >= enough_elsewhere;
  const auto is_missing = [&](const Gap& gap) { return gap.begin < step.end && step.seq < gap.end; };
  const bool is_new = !from.based || step.end > from.snd_nxt || (segment.flags.ack() && step.ack > step.to.snd_una) ||
                      (segment.flags.syn() && (!from.syn_seen || step.seq != 0)) ||
                      (step.length > 0 && std::ranges::any_of(from.trouble().gaps, is_missing));
  if (is_new) {
    if (segment.ttl == from.ttl_elsewhere) from.seen_elsewhere = 0;
    return false;
  }
  if (segment.ttl == from.ttl_elsewhere && from.seen_elsewhere >= enough_elsewhere) return true;
  if (!is_known_by_its_header(step)) return false;
  if (segment.ttl != from.ttl_elsewhere) from.seen_elsewhere = 0;
  from.ttl_elsewhere = segment.ttl;
  if (segment.flags.syn()) from.seen_elsewhere = enough_elsewhere;
  count_up(from.seen_elsewhere);
  return from.seen_elsewhere >= enough_elsewhere;
}

void Tracker::take_from_elsewhere(Step& step) {
  step.verdict.kind = Kind::duplicate;
  step.verdict.marks |= mark::captured_twice;
  if (step.length > 0 || step.flags().rst()) count_up(step.from.duplicates);
  if (step.segment.payload_length > 0) count_up(step.from.data_segments);
}

// RFC 9293 3.10.7.3 and 3.10.7.4, first to fourth, with RFC 5961, as far as the observer knows what the receiver expects.
bool Tracker::find_illegal(Step& step) {
  const wire::TcpFlags flags = step.flags();
  const auto illegal = [&](Illegality illegality, bool earns_challenge = false) {
    step.verdict.kind = Kind::illegal;
    step.verdict.illegality = illegality;
    step.to.owes_challenge = earns_challenge;
    const bool is_same = illegality == Illegality::ack_in_syn_sent && step.from.sent_illegal_ack &&
                         step.segment.ack.value == step.from.trouble().last_illegal_ack &&
                         step.at() - step.from.last_seen_ns < same_packet_ns;
    if (!is_same) count_up(step.from.illegal);
    if (flags.ack()) {
      step.from.make_trouble().last_illegal_ack = step.segment.ack.value;
      step.from.sent_illegal_ack = true;
    }
    return true;
  };
  // RFC 9293 3.10.7.4, fifth: "if the ACK bit is off, drop the segment and return"
  if ((flags.syn() && (flags.fin() || flags.rst())) || (flags.rst() && flags.fin()) ||
      (!flags.syn() && !flags.rst() && !flags.ack()))
    return illegal(Illegality::flags);
  const End& from = step.from;
  const End& to = step.to;
  // RFC 9293 3.10.7.3, first: "If SND.UNA < SEG.ACK =< SND.NXT, then the ACK is acceptable."
  if (to.state == State::syn_sent && to.snd_una == 0 && (flags.ack() || flags.rst())) {
    const bool acceptable =
        flags.ack() && widen(to, step.segment.ack.value) > 0 && widen(to, step.segment.ack.value) <= to.snd_nxt;
    if (acceptable) return false;
    return illegal(flags.rst() ? Illegality::reset_in_syn_sent : Illegality::ack_in_syn_sent);
  }
  if (!from.based || from.segments == 0 || !to.seen) return false;
  // RFC 9293 3.10.7.3, first: "send a reset (unless the RST bit is set, if so drop the segment and return)
  // <SEQ=SEG.ACK><CTL=RST>"
  if (flags.rst() && to.sent_illegal_ack && step.segment.seq.value == to.trouble().last_illegal_ack) return false;
  // RFC 9293 3.5, figure 8: an old SYN that comes late, behind the close, opens once more, until the answer to this one refuses it.
  if (flags.syn() && flags.ack() && from.syn_ack_seen && from.snd_una > 0 && step.seq != 0)
    return illegal(Illegality::another_syn_ack, is_synchronized(to.state));
  if (flags.syn()) {
    // RFC 9293 3.10.7.4, fourth: "if the SYN bit is set, irrespective of the sequence number, TCP endpoints MUST send
    // a" challenge ACK. Not for a SYN-ACK here: a late copy of it is answered by an ACK in any case.
    if (flags.ack() || !is_synchronized(to.state) || (from.syn_seen ? step.seq == 0 : step.seq <= 0)) return false;
    pending_ = std::make_unique<PendingSyn>(PendingSyn{step.segment, step.at(), step.seen.frame, step.sender});
    pending_->segment.payload = {};
    return illegal(Illegality::syn_in_connection, true);
  }
  if (flags.rst()) {
    // RFC 9293 3.10.7.4, second: "If the RST bit is set and the sequence number is outside the current receive window,
    // silently drop the segment. ... If the RST bit is set and the sequence number does not exactly match the next
    // expected sequence value, yet is within the current receive window, TCP endpoints MUST send an acknowledgment
    // (challenge ACK)"
    // RCV.NXT lies between what was last acknowledged and what was last sent. Linux also takes one at our FIN (tcp_reset_check()).
    if (step.seq >= from.snd_una && step.seq <= from.snd_nxt) return false;
    if (from.fin >= 0 && step.seq >= from.fin && step.seq <= from.snd_nxt) return false;
    if (from.sent_reset && step.segment.seq.value == from.trouble().reset_seq) return false;  // as the one before
    if (answers_older(step)) return false;  // nobody gains by forging it
    if (is_behind_what_was_filtered(step)) return false;
    const bool in_window = step.seq > from.snd_nxt && step.seq < from.edge;
    return illegal(in_window ? Illegality::reset_in_window : Illegality::reset_out_of_window, in_window);
  }
  // The observer does not know where the window ends that the receiver holds open: only what is far from it is surely
  // not acceptable.
  // RFC 9293 3.10.7.4, first: "If an incoming segment is not acceptable, an acknowledgment should be sent in reply"
  if (step.seq > from.snd_nxt + far_away || step.seq < from.snd_nxt - far_away)
    return illegal(Illegality::out_of_window, true);
  // RFC 9293 3.10.7.4, fifth: "All incoming segments whose ACK value doesn't satisfy the above condition MUST be
  // discarded and an ACK sent back."
  if (to.based && (step.ack > to.snd_nxt + far_away || step.ack < to.snd_una - far_away))
    return illegal(Illegality::ack_out_of_window, true);
  return false;
}

// A capture through a filter on flags has SYN, FIN and RST only: the numbers of a reset go beyond what it has by all that was sent. Of one
// without ACK, which answers, the number was another's.
bool Tracker::is_behind_what_was_filtered(const Step& step) const {
  if (plain_seen_ || !step.from.based || !step.flags().ack()) return false;
  const bool acknowledges_more = step.to.based && step.ack > step.to.snd_nxt;
  return (step.seq > step.from.snd_nxt && step.seq < step.from.snd_nxt + far_away) ||
         (acknowledges_more && step.seq == step.from.snd_nxt);
}

// Then the handshake was done, and what lies between was sent.
void Tracker::note_what_was_filtered(Step& step) {
  End& from = step.from;
  End& to = step.to;
  if (step.seq > from.snd_nxt) {
    step.verdict.marks |= mark::gap_before;
    open_gap(from, {.begin = from.snd_nxt, .end = step.seq, .opened_ns = step.at(), .by_ack = true});
    from.snd_nxt = step.seq;
  }
  if (to.based && step.ack > to.snd_nxt) {
    step.verdict.marks |= mark::acks_unseen;
    open_gap(to, {.begin = to.snd_nxt, .end = step.ack, .opened_ns = step.at(), .by_ack = true});
    to.snd_nxt = to.snd_una = step.ack;
  }
  if (from.state == State::syn_sent || from.state == State::syn_received) infer_opening(step);
}

bool Tracker::answers_older(const Step& step) {
  const End& from = step.from;
  if (step.flags().ack() || !from.based || step.seq >= from.snd_una || step.seq <= from.snd_una - most_in_flight)
    return false;
  if (from.fin >= 0 || from.sent_reset) return true;
  // Of one that was not seen to close: the very number that was acknowledged before the last one, or an IP ID that only answers have.
  if (step.verdict.has(mark::foreign_ttl) || (from.syn_seen && step.seq <= 0)) return false;
  return step.seq == from.snd_una - from.last_advance || has_number_of_an_answer(from, step.segment);
}

// The last one of its sender once more: a copy.
bool Tracker::is_same_reset(const Step& step) {
  const End& from = step.from;
  const wire::TcpSegment& segment = step.segment;
  if (!from.sent_reset || segment.seq.value != from.trouble().reset_seq ||
      step.at() - from.trouble().last_reset_ns >= same_packet_ns)
    return false;
  if (segment.ip_id != 0 && segment.ip_id == from.trouble().reset_ip_id) return true;
  if (segment.ip_id != 0 || from.trouble().reset_ip_id != 0) return false;
  // Who aborts says so once. Each of those without an ACK may answer another segment; but not from another place on the way.
  const bool is_unasked = step.to.last_seen_ns <= from.trouble().last_reset_ns;
  return segment.ttl != from.trouble().reset_ttl || (step.flags().ack() && is_unasked);
}

// It comes as far as its sender's other segments do, and is numbered behind the last of them. Who forges one would have to have seen both.
bool Tracker::is_own_reset(const Step& step) {
  return is_numbered_behind(step.from, step.segment, few_packets) && step.from.same_ttl > 0 &&
         step.segment.ttl == step.from.ttl;
}

// An end that goes on after its reset did not send that. What left before the reset may arrive behind it, and what comes from elsewhere is
// no word of this end: only what is surely later and its own shows that it knows of no reset.
bool Tracker::shows_that_reset_was_anothers(const Step& step) {
  const Trouble& trouble = step.from.trouble();
  if (trouble.reset_is_own || step.verdict.has(mark::foreign_ttl)) return false;
  const bool is_new = step.verdict.kind == Kind::data || step.verdict.kind == Kind::fin;
  // What the reset stands behind in sequence may have left before it.
  if (is_new && static_cast<std::int32_t>(step.segment.seq.value - trouble.reset_seq) >= 0) return true;
  if (step.order != SendOrder::later) return false;
  const auto ahead = static_cast<std::int16_t>(step.segment.ip_id - trouble.reset_ip_id);
  const bool is_numbered_before =
      step.segment.ip_id != 0 && trouble.reset_ip_id != 0 && ahead <= 0 && ahead > -ip_id_stride;
  // A kernel that has both to send, an acknowledgment and the reset, may send them in any order (macOS).
  return !is_numbered_before && step.at() - trouble.last_reset_ns >= millisecond;
}

void Tracker::take_reset(Step& step) {
  if (step.from.sent_reset && (is_same_reset(step) || step.order == SendOrder::earlier)) {
    step.verdict.kind = Kind::duplicate;
    count_up(step.from.duplicates);
    return;
  }
  if (!plain_seen_ && is_behind_what_was_filtered(step)) note_what_was_filtered(step);
  Trouble& trouble = step.from.make_trouble();
  trouble.reset_ip_id = step.segment.ip_id;
  trouble.reset_seq = step.segment.seq.value;
  trouble.reset_ttl = step.segment.ttl;
  trouble.last_reset_ns = step.at();
  trouble.reset_is_own = is_own_reset(step);
  bool assumed = false;
  step.verdict.kind = Kind::reset;
  step.verdict.reset_cause = why_reset(step, assumed);
  if (assumed) step.verdict.marks |= mark::assumed;
  count_up(step.from.resets);
  // RFC 9293 3.5.2: "the reset takes its sequence number from the ACK field of the segment ... The connection remains
  // in the same state." Its sender stays in SYN-SENT; the other end had not heard of it.
  if (step.verdict.reset_cause == ResetCause::bad_ack) return;
  if (reset_.cause == ResetCause::none)
    reset_ = {.cause = step.verdict.reset_cause,
              .assumed = assumed,
              .from = step.sender,
              .frame = step.seen.frame,
              .at_ns = step.at(),
              .idle_ns = step.at() - last_data_ns(step),
              .after_close = step.from.fin_acked && step.to.fin_acked,
              .sign = sign_of(step.verdict.reset_cause, step)};
  // Who answers that it has no such connection had lost it before: by whom, the capture shows if it has all.
  const bool answers_stranger =
      (step.verdict.reset_cause == ResetCause::no_connection || step.verdict.reset_cause == ResetCause::alone) &&
      !step.from.syn_seen;
  const bool nobody_had_closed = !answers_stranger && !step.from.sent_reset && !step.to.sent_reset &&
                                 step.from.fin < 0 && step.to.fin < 0 && !may_have_closed_unseen(step.receiver);
  step.from.sent_reset = true;
  if (nobody_had_closed) close_first(step.sender, true);
  apply(step.sender, Stimulus::sends_rst, step);
  // What answers an older segment in flight has a number that its receiver expects no more. What that is, it says itself.
  const bool number_known = step.to.seen && step.from.una_known;
  const bool is_taken = step.to.state == State::syn_sent || (number_known && !answers_older(step));
  if (is_taken) apply(step.receiver, Stimulus::gets_rst, step);
}

void Tracker::take_syn(Step& step) {
  End& from = step.from;
  End& to = step.to;
  const bool answers = step.flags().ack();
  const bool sent_syn_before = from.syn_seen;
  const bool again = answers ? from.syn_ack_seen : sent_syn_before;
  from.syn_seen = true;
  from.syn_ack_seen = from.syn_ack_seen || answers;
  // Of a list of options that the capture cut nothing tells what it lacks.
  from.scale_known = !step.segment.options.cut || step.segment.options.window_scale;
  from.sack_permitted = step.segment.options.sack_permitted;
  from.mss = step.segment.options.maximum_segment_size.value_or(0);
  // RFC 7323 2.2: both ends send the option, or neither scales; 2.3: a shift beyond 14 counts as 14.
  if (step.segment.options.window_scale) {
    from.scale = std::min<std::uint8_t>(*step.segment.options.window_scale, 14);
  } else {
    from.scale = 0;
    if (answers && !step.segment.options.cut) to.scale = 0;
  }
  if (!opener_known_) {
    opener_ = answers ? step.receiver : step.sender;
    opener_known_ = true;
  }
  if (answers ? syn_ack_ns_ < 0 : syn_ns_ < 0) (answers ? syn_ack_ns_ : syn_ns_) = step.at();
  if (step.segment.payload_length > 0) step.verdict.marks |= mark::fast_open;

  // No handshake timer is that quick (RFC 6298 2.1; TCP_TIMEOUT_INIT); and a SYN, like Linux's SYN-ACK, has no IP ID that tells.
  const bool at_once = again && step.order == SendOrder::unknown && step.at() - from.last_sent_ns < same_packet_ns;
  if (at_once) step.verdict.marks |= mark::assumed;
  const bool copied = again && (step.sent_before() || at_once);
  // What is sent again or captured again moves nothing; but who was refused may try again with the same number.
  if (!again || (!answers && !copied && from.state == State::closed))
    apply(step.sender, answers ? Stimulus::sends_syn_ack : Stimulus::sends_syn, step);
  if (!answers && !again && to.syn_seen && !to.syn_ack_seen) {
    // RFC 9293 3.5: "A TCP implementation MUST support simultaneous open attempts" (figure 7). Or, after an ACK of the
    // opener's SYN, a handshake that was split in two.
    step.verdict.marks |= to.snd_una > 0 ? mark::split_handshake : mark::simultaneous_open;
  }
  if (answers && sent_syn_before && !again) {
    step.verdict.marks |= marks_seen_ & mark::split_handshake ? mark::split_handshake : mark::simultaneous_open;
    apply(step.sender, Stimulus::gets_syn, step);
    if (from.snd_una > 0) apply(step.sender, Stimulus::gets_ack_of_syn, step);
  }

  step.verdict.kind = answers ? Kind::syn_ack : Kind::syn;
  if (copied) {
    step.verdict.kind = Kind::duplicate;
    count_copy(step);
  } else if (again) {
    step.verdict.kind = Kind::retransmission;
    step.verdict.reason = RetransmissionReason::syn;
    // As many as there were SYNs answer those; what no timer can have sent answers one that was not captured; and what comes soon behind
    // its acknowledgment crossed that.
    const bool by_timer = step.at() - from.last_sent_ns >= syn_timer_ns / 2;
    const bool crossed = step.at() - from.last_progress_ns < std::max(soonest_syn_ack_ns, listener_rtt_ns());
    if (from.snd_una > 0 && (!answers || (from.syns >= to.syns && by_timer && !crossed))) {
      // It was acknowledged, and yet its sender has not got that, or could not take it: Linux goes on in SYN-RECEIVED while the accept
      // queue is full (tcp_check_req()). What else it sends will tell when it has got further.
      step.verdict.marks |= mark::acked_before;
      if (answers && from.snd_nxt <= 1 && !is_over()) {
        from.state = State::syn_received;
        from.repeats_syn_ack = true;
      }
    }
    count_resend(from, step.seen);
    from.sample_end = -1;
  } else if (from.sample_end < 0 && from.snd_una == 0) {
    from.sample_end = 1;
    from.sample_ns = step.at();
    from.sample_length = 0;
  }
  if (!copied) count_up(from.syns);
  if (step.end > from.snd_nxt) {
    from.bytes += step.segment.payload_length;
    from.snd_nxt = step.end;
  }
}

// The last of them is answered now. A single one that was lost tells only that, where the window is as shut as before.
void Tracker::note_unanswered_probes(const Step& step) {
  End& prober = step.to;
  const auto unanswered = static_cast<std::uint8_t>(prober.unanswered_window_probes - 1);
  if (unanswered > 1 || step.from.window > 0)
    prober.most_unanswered_probes = std::max(prober.most_unanswered_probes, unanswered);
}

void Tracker::remember(Step& step) {
  End& from = step.from;
  const wire::TcpSegment& segment = step.segment;
  const bool first = from.segments == 0;
  if (step.verdict.has(mark::foreign_ttl)) from.ttl_varies = true;
  const bool is_copy = step.verdict.kind == Kind::duplicate || step.verdict.kind == Kind::reordered;
  if (first || (from.same_ttl == 0 && !is_copy)) {
    from.same_ttl = first || segment.ttl != from.ttl ? 0 : 1;
    from.ttl = segment.ttl;
  }
  if (step.verdict.has(mark::old_timestamp)) {
    count_up(from.make_trouble().stamps_back);
  } else if (segment.options.timestamps && (!from.has_timestamps || step.order != SendOrder::earlier)) {
    if (from.newest_timestamp != segment.options.timestamps->value || !from.has_timestamps) {
      from.stamped_from = from.snd_nxt - (step.end == from.snd_nxt ? step.length : 0);
      from.stamped_ns = step.at();
    }
    from.has_timestamps = true;
    from.newest_timestamp = segment.options.timestamps->value;
  }
  if (segment.ip_id != 0) {
    const int ahead = ip_id_ahead(from, segment);
    if (from.newest_ip_id != 0 && ahead > 0 && ahead < ip_id_stride && from.ip_id_counts < 255) ++from.ip_id_counts;
    if (ahead <= -ip_id_stride || ahead >= ip_id_stride) from.ip_id_counts = 0;
    if (from.ip_id_counts == 0 || ahead > 0) from.newest_ip_id = segment.ip_id;
  }
  if (segment.payload_length > 0) count_up(from.data_segments);
  from.last_had_data = segment.payload_length > 0 && step.end > from.snd_una;
  from.last_answered_fin = step.verdict.has(mark::answers_fin);
  if (from.fin >= 0 && step.length == 0 && step.seq > from.fin && step.ack == step.to.snd_una && !step.moves_ack)
    count_up(from.make_trouble().answers_behind_fin);
  if (step.length > 0) {
    from.last_sent_ns = std::max(from.last_sent_ns, step.at());
    from.last_end = step.end;
  }
  if (step.flags().ack()) from.last_ack_raw = segment.ack.value;
  from.last_kind = step.verdict.kind;
  from.owes_challenge = false;
  from.seen = true;
  switch (step.verdict.kind) {
    case Kind::keep_alive:
      count_up(from.keep_alives);
      count_up(from.unanswered_probes);
      break;
    case Kind::window_probe:
      count_up(from.window_probes);
      if (step.at() - step.to.last_seen_ns >= answer_again_ns) count_up(from.unanswered_window_probes);
      break;
    default: break;
  }
  if (step.verdict.has(mark::zero_window)) count_up(from.zero_windows);
  if (step.to.unanswered_window_probes > 1) [[unlikely]]
    note_unanswered_probes(step);
  step.to.unanswered_probes = step.to.unanswered_window_probes = 0;
  if (step.moves_ack) step.to.unanswered_resends = 0;
}

// A capture of one direction, or one that lacks a part of the handshake: what an end sends then shows that it was done.
void Tracker::infer_opening(Step& step) {
  End& from = step.from;
  if (from.state == State::syn_sent && step.flags().ack()) {
    // RFC 9293 3.10.7.3, fourth: it got a SYN-ACK, and acknowledges it.
    apply(step.sender, Stimulus::gets_syn_ack, step);
    if (step.to.state == State::not_seen) move_to(step.receiver, State::syn_received, step);
    apply(step.receiver, Stimulus::gets_ack_of_syn, step);
    handshake_inferred_ = true;
  } else if (from.state == State::syn_received && !step.to.seen && (step.moves_ack || step.length > 0)) {
    handshake_inferred_ = true;
    // It has taken data: the ACK of its SYN-ACK had come. Or it sends some, which with Fast Open it may do before (RFC 7413 3), though not
    // for so long that it would have sent its SYN-ACK again.
    const bool was_acknowledged = step.moves_ack || step.at() - syn_ack_ns_ >= syn_timer_ns;
    if (!was_acknowledged) return;
    apply(step.sender, Stimulus::gets_ack_of_syn, step);
    if (step.to.state == State::not_seen) move_to(step.receiver, State::established, step);
  }
}

// Of an end that no segment was captured of: that it has closed, as far as the other's acknowledgments tell.
void Tracker::assume_fin_of(EndIndex end, Step& step) {
  End& closed = ends_[end];
  closed.fin = closed.snd_una - 1;
  closed.fin_acked = closed.fin_assumed = true;
  step.verdict.marks |= mark::assumed;
}

Verdict Tracker::observe(const Observed& seen) {
  const wire::TcpSegment& segment = seen.segment;
  if (first_frame_ == 0) {
    first_frame_ = seen.frame;
    began_ns_ = seen.at_ns;
    to_itself_ = segment.source.port != 0 && segment.source == segment.destination;
  }
  const EndIndex receiver = receiver_of(seen.from);
  Step step{.seen = seen,
            .segment = segment,
            .sender = seen.from,
            .receiver = receiver,
            .from = ends_[seen.from],
            .to = ends_[receiver],
            .verdict = {}};
  last_ns_ = std::max(last_ns_, seen.at_ns);
  End& from = step.from;
  const bool origin_known = from.based;
  if (!from.based && !segment.flags.rst()) {
    const bool syn = segment.flags.syn();
    base_on(from, syn ? segment.seq.value : segment.seq.value - 1, syn ? 0 : 1);
  }
  step.length = segment.sequence_length();
  // Of an end that sent a reset only, nothing tells where its sequence space begins.
  step.seq = from.based ? widen(from, segment.seq.value) : 0;
  step.end = step.seq + step.length;
  step.verdict.seq = step.seq;
  if (from.segments == 0) from.seen_from = std::max(step.seq, from.snd_nxt);
  if (segment.flags.ack() && step.to.based) step.verdict.ack = step.ack = widen(step.to, segment.ack.value);
  look_at_sender(step);

  plain_seen_ = plain_seen_ || (segment.flags.bits & flags_of_a_filter) == 0;
  if (step.verdict.has(mark::foreign_ttl) && is_seen_before_elsewhere(step)) [[unlikely]] {
    take_from_elsewhere(step);
    step.verdict.in_flight = from.snd_nxt - from.snd_una;
    count_up(from.segments);
    marks_seen_ |= step.verdict.marks;
    return step.verdict;
  }
  if (find_illegal(step)) {
    if (!origin_known) from.based = false;
  } else if (segment.flags.rst()) {
    take_reset(step);
  } else {
    // A connection that was open before we looked.
    if (from.state == State::not_seen && !segment.flags.syn() && step.to.state != State::syn_sent && from.fin < 0 &&
        !step.to.fin_in_doubt)
      from.state = State::established;
    if (from.repeats_syn_ack && !segment.flags.syn()) {
      from.repeats_syn_ack = false;
      if (from.state == State::syn_received) apply(seen.from, Stimulus::gets_ack_of_syn, step);
    }
    if (from.fin_assumed) {  // something of it is in the capture after all
      from.fin_assumed = from.fin_acked = false;
      from.fin = -1;
    }
    if (segment.flags.ack()) take_ack(step);
    if (!segment.flags.syn() && (from.state == State::syn_sent || from.state == State::syn_received))
      infer_opening(step);
    if (segment.flags.syn()) {
      take_syn(step);
    } else if (step.length > 0) {
      take_text(step);
    } else {
      if (step.seq > from.snd_nxt && from.seen) {  // text before it was not captured
        step.verdict.marks |= mark::gap_before;
        open_gap(from, {.begin = from.snd_nxt,
                        .end = step.seq,
                        .opened_ns = seen.at_ns,
                        .opened_by = seen.frame,
                        .may_be_before = may_be_from_before(from)});
        from.snd_nxt = step.seq;
      }
      name_pure_ack(step);
    }
    if (segment.flags.urg()) step.verdict.marks |= mark::urgent;
    if (from.sent_reset && shows_that_reset_was_anothers(step)) from.went_on_after_reset = true;
  }
  step.verdict.in_flight = from.snd_nxt - from.snd_una;
  if (step.verdict.kind != Kind::illegal && step.verdict.kind != Kind::reset) remember(step);
  count_up(from.segments);
  // Of a reset that its receiver must not take nobody knows who sent it.
  if (step.verdict.kind != Kind::illegal || !segment.flags.rst())
    from.last_seen_ns = std::max(from.last_seen_ns, seen.at_ns);
  marks_seen_ |= step.verdict.marks;
  return step.verdict;
}

}  // namespace tcpwhy::tcp
