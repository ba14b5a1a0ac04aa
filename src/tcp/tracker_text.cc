// The tracker: payload and FIN, the first time and again.
#include <algorithm>
#include <cstdlib>

#include "tcp/tracker_step.h"

namespace tcpwhy::tcp {
namespace {

// Linux: TCP_RTO_MIN (RFC 6298 2.4 would have a second). No retransmission timer of it runs out sooner.
constexpr std::int64_t rto_min_ns = 200 * millisecond;
// What comes out of order within this time was not sent again, where no round trip is known to compare with.
constexpr std::int64_t reordering_ns = 3 * millisecond;
// What an acknowledgment was captured before came late into the capture, not late onto the wire: by far less than this, and nobody sends
// again so soon what was acknowledged (a quarter of rto_min_ns).
constexpr std::int64_t capture_delay_ns = 50 * millisecond;
// Between the two sides of segmentation or receive offload: a queue of the device at most.
constexpr std::int64_t offload_ns = 10 * millisecond;
// RFC 5681 3.2.
constexpr std::uint8_t duplicate_ack_threshold = 3;

void note_late(Trouble& trouble, std::int64_t late_ns) {
  trouble.most_behind_ack_ns = std::max(trouble.most_behind_ack_ns, std::abs(late_ns));
}

// A retransmission, once more: what was sent again before, with the same stamp.
bool was_sent_again(const End& end, std::int64_t begin, std::int64_t until, std::uint32_t timestamp) {
  return std::ranges::any_of(end.trouble().resent, [&](const Gap& resent) {
    return resent.begin <= begin && until <= resent.end && resent.timestamp == timestamp;
  });
}

// By its SYN; without that, what an Ethernet carries.
std::uint32_t takes_at_most(const End& receiver) {
  constexpr std::uint16_t usual_mss = 1460;
  return receiver.mss != 0 ? receiver.mss : usual_mss;
}

// Whether what begins there, and fills no gap, was captured: neither before all that was seen of its sender nor in a gap that was forgotten.
bool was_captured_from(const End& end, std::int64_t begin) {
  return begin >= end.seen_from && begin >= end.trouble().forgotten_gaps_end;
}

// Its state is what its own segments say: who sends its FIN again has not got the acknowledgment that the tap saw.
void forget_ack_of_fin(End& from, const End& to) {
  const bool has_peers_fin = to.fin >= 0 && to.fin_acked;
  if (from.state == State::closed) from.state = State::last_ack;
  if (from.state == State::fin_wait_2) from.state = State::fin_wait_1;
  if (from.state == State::time_wait) from.state = has_peers_fin ? State::closing : State::fin_wait_1;
}

}  // namespace

// RFC 9293 3.10.7.4, seventh and eighth, from the sender's side.
void Tracker::take_text(Step& step) {
  End& from = step.from;
  const bool window_shut = step.to.window == 0 && step.to.seen && step.to.scale_known;
  // RFC 9293 3.8.6.1: "must regularly transmit at least one octet of new data (if available), or retransmit to the
  // receiving TCP peer even if the send window is zero"
  if (step.segment.payload_length == 1 && window_shut && step.seq >= from.edge && step.seq == from.snd_nxt &&
      !step.flags().fin()) {
    step.verdict.kind = Kind::window_probe;  // BSD's way: one byte beyond the edge
  } else {
    step.verdict.kind = step.segment.payload_length > 0 ? Kind::data : Kind::fin;
  }
  if (step.flags().fin() && step.segment.payload_length > 0) step.verdict.marks |= mark::with_fin;
  if (step.seq < from.snd_nxt) {
    take_old_text(step);
  } else {
    if (step.seq > from.snd_nxt && from.seen) {
      step.verdict.marks |= mark::gap_before;
      open_gap(from, {.begin = from.snd_nxt,
                      .end = step.seq,
                      .opened_ns = step.at(),
                      .opened_by = step.seen.frame,
                      .may_be_before = may_be_from_before(from)});
    }
    // RFC 6298 5.1: "if the timer is not running, start it running"
    if (from.snd_una >= from.snd_nxt) from.timer_began_ns = step.at();
    from.bytes += step.segment.payload_length;
    if (!from.seen && !from.syn_seen) note_resent(step, false);
    if (step.segment.payload_length > 0) {
      from.last_data_ns = step.at();
      from.last_data_ack = step.ack;
    }
    from.snd_nxt = step.end;
    if (from.sample_end < 0) {
      from.sample_end = step.end;
      from.sample_ns = step.at();
      from.sample_length = step.segment.payload_length;
    }
  }
  if (step.to.scale_known && step.to.seen && step.end >= from.edge && step.segment.payload_length > 0 &&
      step.verdict.kind == Kind::data) {
    step.verdict.marks |= mark::window_full;
    count_up(from.window_full);
  }
  if (step.segment.payload_length > 0 && step.verdict.kind == Kind::data && !step.verdict.has(mark::behind_ack))
    from.text_seen = true;
  if (step.flags().fin() && from.fin < 0) {
    take_fin(step);
  } else if (step.to.fin_in_doubt && !may_have_closed_unseen(step.sender)) {
    settle_first_closer(step.receiver, step);
  }
  if (step.verdict.kind == Kind::data && is_large(step)) remember_large(step);
}

void Tracker::take_fin(Step& step) {
  End& from = step.from;
  from.fin = step.end - 1;
  if (!step.to.seen && step.to.last_advance == 1 && step.to.fin < 0) {
    // Nothing of the peer is in the capture. A single sequence number that was acknowledged last was its FIN: one byte of data would
    // be rare.
    assume_fin_of(step.receiver, step);
    close_first(step.receiver, false);
    apply(step.receiver, Stimulus::sends_fin, step);
    apply(step.sender, Stimulus::gets_fin, step);
    apply(step.receiver, Stimulus::gets_ack_of_fin, step);
  }
  from.fin_ack = step.ack;
  closed_at_once_ = fins_cross(step);
  if (step.to.fin_in_doubt) {
    settle_first_closer(step.to.fin_ack > from.fin ? step.sender : step.receiver, step);
    if (from.fin_acked) return;
  } else if (step.to.fin < 0 && may_have_closed_unseen(step.receiver)) {
    from.fin_in_doubt = true;
    move_to(step.sender, State::not_seen, step);
    step.verdict.marks |= mark::assumed;
    return;
  }
  close_first(step.sender, false);
  apply(step.sender, Stimulus::sends_fin, step);
  if (from.snd_una > from.fin && !from.fin_acked) {  // captured behind its acknowledgment
    from.fin_acked = true;
    apply(step.receiver, Stimulus::gets_fin, step);
    apply(step.sender, Stimulus::gets_ack_of_fin, step);
  }
}

// The second FIN, so soon that the first can't have been what made its sender close: within a round trip of the whole path, of which the tap
// divides the ends'. Which of the two was sent first then depends on where the tap is.
bool Tracker::fins_cross(const Step& step) {
  constexpr std::int64_t unknown_path_ns = 200 * millisecond, spread_ns = 2 * millisecond;
  const End& from = step.from;
  const End& to = step.to;
  if (to.fin < 0 || to.fin_assumed || to.trouble().fin_resends > 0 || &from == &to) return false;
  if (step.ack > to.fin || to.fin_ack > from.fin) return false;
  const std::int64_t path_ns = (std::int64_t{from.srtt_us} + to.srtt_us) * 1000;
  return step.at() - to.last_sent_ns < (path_ns == 0 ? unknown_path_ns : path_ns + spread_ns);
}

// Whether its FIN may stand before the capture, or is what the other end acknowledged last of what the capture lacks.
bool Tracker::may_have_closed_unseen(EndIndex index) const {
  const End& end = ends_[index];
  if (to_itself_ || end.fin >= 0) return false;
  if (!end.syn_seen && !end.text_seen) return true;
  return !end.trouble().gaps.empty() && end.trouble().gaps.back().by_ack &&
         end.trouble().gaps.back().end == end.snd_nxt;
}

// A FIN was seen whose sender may have been the first to close or the second: now it shows.
void Tracker::settle_first_closer(EndIndex first, Step& step) {
  const EndIndex second = opposite(first);
  close_first(first, false);
  if (ends_[first].fin_in_doubt) {
    move_to(first, ends_[first].fin_acked ? State::fin_wait_2 : State::fin_wait_1, step);
    move_to(second, ends_[first].fin_acked ? State::close_wait : State::established, step);
  } else {  // the second one's FIN acknowledged the first one's, which was captured behind it
    ends_[first].fin_acked = true;
    move_to(first, ends_[second].fin_acked ? State::time_wait : State::fin_wait_2, step);
    move_to(second, ends_[second].fin_acked ? State::closed : State::last_ack, step);
  }
  ends_[first].fin_in_doubt = ends_[second].fin_in_doubt = false;
}

bool Tracker::is_large(const Step& step) { return step.segment.payload_length > takes_at_most(step.to); }

void Tracker::remember_large(Step& step) {
  End& from = step.from;
  const auto& stamps = step.segment.options.timestamps;
  const LargeSegment large{.begin = step.seq,
                           .at_ns = step.at(),
                           .length = step.segment.payload_length,
                           .timestamp = stamps ? stamps->value : 0,
                           .piece = 0,
                           .ip_id = step.segment.ip_id};
  Trouble& trouble = from.make_trouble();
  if (trouble.large.size() < max_large_segments) {
    trouble.large.push_back(large);
  } else {
    trouble.large[trouble.next_large] = large;
    trouble.next_large = static_cast<std::uint8_t>((trouble.next_large + 1U) % max_large_segments);
  }
}

// The same bytes on the other side of an offload: a piece of a segment that the tap saw before it was cut, or a segment that was put
// together of pieces that it saw. They come moments apart, are stamped alike, and the pieces are numbered one after the other
// (inet_gso_segment()). Where nothing numbers them, what duplicate ACKs ask for would be as quick on a short path, but no quicker than its
// round trip.
// Of a larger one it learns as they come how long its pieces are.
bool Tracker::is_offload_copy(const Step& step) const {
  End& from = step.from;
  const auto& stamps = step.segment.options.timestamps;
  const std::uint16_t ip_id = step.segment.ip_id;
  const std::uint32_t length = step.segment.payload_length;
  const std::int64_t payload_end = step.seq + length;
  const auto asked_for_since = [&](std::int64_t at_ns) {
    return from.trouble().last_sign_ns >= at_ns && step.at() - at_ns >= quickest_answer_ns(from);
  };
  const auto is_piece_of = [&](LargeSegment& large) {
    const std::int64_t large_end = large.begin + large.length;
    if (length >= large.length || step.seq < large.begin || payload_end > large_end) return false;
    if (std::abs(step.at() - large.at_ns) > offload_ns || (stamps && stamps->value != large.timestamp)) return false;
    if (ip_id == 0 || large.ip_id == 0) return stamps.has_value() && !asked_for_since(large.at_ns);
    // The last one may be smaller. What its sender sends again has a number behind those of all the pieces.
    if (payload_end < large_end) large.piece = std::max(large.piece, length);
    const std::int64_t piece = large.piece != 0 ? large.piece : takes_at_most(step.to);
    const auto number = static_cast<std::uint16_t>(ip_id - large.ip_id);
    return number <= (step.seq - large.begin + piece - 1) / piece;
  };
  if (!from.trouble().large.empty() && std::ranges::any_of(from.make_trouble().large, is_piece_of)) return true;
  const auto is_same = [&](const LargeSegment& large) { return large.begin == step.seq && large.length == length; };
  if (!is_large(step) || std::ranges::any_of(from.trouble().large, is_same)) return false;
  if (step.at() - from.last_sent_ns > offload_ns || asked_for_since(from.last_sent_ns)) return false;
  if (stamps && stamps->value != from.newest_timestamp) return false;
  if (ip_id == 0) return stamps.has_value();
  return ip_id_ahead(from, step.segment) < 0;
}

// How soon after a segment its sender may know what became of it: a round trip of the whole path, as its answer will show at the tap. The
// handshake tells it wherever the tap is, though it may have been slower than what follows.
std::int64_t Tracker::quickest_answer_ns(const End& sender) const {
  return std::max({millisecond / 4, std::int64_t{sender.min_rtt_us} * 1000, handshake_ns() / 2});
}

std::int64_t Tracker::handshake_ns() const {
  return handshake_ack_ns_ < 0 || syn_ns_ < 0 ? -1 : std::max<std::int64_t>(0, handshake_ack_ns_ - syn_ns_);
}

bool Tracker::handshake_was_sent_once() const {
  return ends_[EndIndex::first].syns == 1 && ends_[EndIndex::second].syns == 1;
}

// The whole path's, by the handshake where nothing of that was sent again. 0: not known.
std::int64_t Tracker::round_trip_ns(const End& sender) const {
  const std::int64_t by_handshake_ns = handshake_was_sent_once() ? handshake_ns() : -1;
  return by_handshake_ns >= 0 ? by_handshake_ns : std::int64_t{sender.min_rtt_us} * 1000;
}

// Whether what the tap saw go to the sender at `sign_ns` may have made it send this: from the tap to the sender and back again it takes a
// part of the round trip, by the handshake or what was measured since. Where that is not known, a round trip.
bool Tracker::answers_sign(const Step& step, std::int64_t sign_ns) const {
  constexpr std::int64_t leeway_ns = 20 * millisecond;
  const std::int64_t by_handshake_ns = opener_known_ && step.sender == opener_ ? opener_rtt_ns() : listener_rtt_ns();
  const std::int64_t known_ns =
      std::max(handshake_was_sent_once() ? by_handshake_ns : 0, std::int64_t{step.to.min_rtt_us} * 1000);
  const std::int64_t answer_ns = known_ns > 0 ? known_ns : std::int64_t{step.from.srtt_us} * 1000;
  return sign_ns != 0 && sign_ns >= step.from.last_progress_ns &&
         step.at() - sign_ns <= answer_ns + answer_ns / 4 + leeway_ns;
}

// Whether nothing can have made its sender send it again so soon: no timer and no answer is that quick.
bool Tracker::came_too_soon(const Step& step) const {
  constexpr std::int64_t one_tick_ns = 10 * millisecond;
  const End& from = step.from;
  const std::int64_t since_ns = step.at() - from.last_sent_ns;
  if (step.end == from.last_end && since_ns < quickest_answer_ns(from)) return true;
  // A FIN alone only a timer sends again.
  if (step.flags().fin() && step.segment.payload_length == 0) return since_ns < one_tick_ns;
  // First sent in the same tick of its sender's clock, which was told nothing since but that what came before arrived.
  const auto& stamps = step.segment.options.timestamps;
  if (stamps && since_ns < one_tick_ns) {  // a retransmission itself once more
    if (step.end == from.resent_end && stamps->value == from.trouble().resent_timestamp) return true;
    if (was_sent_again(from, step.seq, step.end, stamps->value)) return true;
  }
  return stamps && from.has_timestamps && stamps->value == from.newest_timestamp && step.seq >= from.stamped_from &&
         from.trouble().last_sign_ns - from.stamped_ns < quickest_answer_ns(from) && step.to.seen &&
         since_ns < one_tick_ns;
}

// It was sent again, or may have been. `first_seen`: so was the first one; else that may still come.
void Tracker::note_resent(Step& step, bool first_seen) {
  auto& resent = step.from.make_trouble().resent;
  const auto& stamps = step.segment.options.timestamps;
  if (resent.size() >= max_gaps) resent.erase(resent.begin());
  resent.push_back({.begin = step.seq,
                    .end = step.end,
                    .opened_ns = step.at(),
                    .first_seen = first_seen,
                    .timestamp = stamps ? stamps->value : 0});
}

// One of its packets once more. How long it lies behind the first is at least the time since its sender last sent something, and since a newer
// time stamp.
void Tracker::count_copy(Step& step) {
  End& from = step.from;
  Trouble& trouble = from.make_trouble();
  count_up(from.duplicates);
  if (step.verdict.has(mark::assumed)) return;  // it may have been sent again, which may be answered too
  if (trouble.first_copy == 0) trouble.first_copy = step.seen.frame;
  std::int64_t since_ns = from.last_sent_ns;
  const auto& stamps = step.segment.options.timestamps;
  if (stamps && from.has_timestamps && stamps->value != from.newest_timestamp)
    since_ns = std::min(since_ns, from.stamped_ns);
  if (step.at() - since_ns >= capture_delay_ns) count_up(trouble.late_copies);
}

// Sequence space below what was sent already: sent again, overtaken on the way, or copied on the way.
void Tracker::take_old_text(Step& step) {
  End& from = step.from;
  Gap gap{};
  const std::int64_t filled =
      from.trouble().gaps.empty() ? 0 : fill_gaps(from.make_trouble().gaps, step.seq, step.end, gap);
  const std::int64_t beyond = std::max<std::int64_t>(0, step.end - from.snd_nxt);
  from.bytes += static_cast<std::uint64_t>(std::min<std::int64_t>(filled + beyond, step.segment.payload_length));
  // RFC 9293 3.10.7.4, first: "If a segment's contents straddle the boundary between old and new, only the new parts
  // are processed."
  if (beyond > 0) {
    step.verdict.marks |= mark::carries_new;
    from.snd_nxt = step.end;
  }
  // The same bytes twice: of what the capture lacks none of it stands there yet.
  const bool repeats = filled == 0 && beyond == 0 && was_captured_from(from, step.seq);
  if (repeats && step.segment.payload_length > 0 && is_offload_copy(step)) {
    step.verdict.marks |= mark::offload_copy;
    step.verdict.kind = Kind::duplicate;
    count_up(from.offload_copies);
    return;
  }
  if (filled > 0) {
    bool overtaken = step.sent_before();
    if (step.order == SendOrder::unknown || gap.by_ack) {
      const std::int64_t patience =
          from.min_rtt_us > 0 ? std::int64_t{from.min_rtt_us} * 750 : reordering_ns;  // three quarters of a round trip
      overtaken = step.at() - gap.opened_ns < (gap.by_ack ? capture_delay_ns : std::max(patience, millisecond));
      step.verdict.marks |= mark::assumed;
    }
    if (overtaken) {
      step.verdict.kind = Kind::reordered;
      if (gap.by_ack) {  // nothing overtook it on the way
        step.verdict.marks |= mark::behind_ack;
        count_up(from.behind_ack);
        note_late(from.make_trouble(), step.at() - gap.opened_ns);
      } else {
        count_up(from.reordered);
      }
      return;
    }
    note_resent(step, false);
  } else {
    if (!from.seen && beyond == 0) {
      take_text_from_before(step);
      return;
    }
    // RFC 9293 3.8.4: "it MAY be configurable to send a keep-alive segment containing one garbage octet"
    // Behind a FIN some (Windows) go on with the last byte before that.
    const bool below_next = step.seq == from.snd_nxt - 1 && from.snd_una == from.snd_nxt;
    const bool below_fin = from.fin >= 0 && step.end == from.fin && from.snd_una >= from.fin;
    if (step.length == 1 && (below_next || below_fin) && !step.flags().fin() &&
        step.at() - from.last_seen_ns >= soonest_probe_ns) {
      step.verdict.kind = step.to.window == 0 ? Kind::window_probe : Kind::keep_alive;
      return;
    }
    // BSD repeats its FIN in the segment that acknowledges the peer's.
    if (step.flags().fin() && step.segment.payload_length == 0 && step.verdict.has(mark::answers_fin)) {
      step.verdict.kind = Kind::ack;
      step.verdict.marks |= mark::with_fin;
      return;
    }
    const auto is_in = [&](const Gap& known) { return known.begin <= step.seq && step.end <= known.end; };
    if (step.end <= from.seen_from && beyond == 0 && std::ranges::none_of(from.trouble().resent, is_in)) {
      take_text_from_before(step);
      return;
    }
    bool copied = step.sent_before();
    if (step.order == SendOrder::unknown && came_too_soon(step)) {
      copied = true;
      step.verdict.marks |= mark::assumed;
    }
    const auto& stamps = step.segment.options.timestamps;
    const bool is_copy_of_it = stamps && was_sent_again(from, step.seq, step.end, stamps->value);
    const auto may_come = [&](const Gap& resent) {
      return !resent.first_seen && resent.begin < step.end && step.seq < resent.end;
    };
    if (step.order == SendOrder::earlier && beyond == 0 && !is_copy_of_it &&
        std::ranges::any_of(from.trouble().resent, may_come) &&
        fill_gaps(from.make_trouble().resent, step.seq, step.end, gap) == step.length) {
      step.verdict.kind = Kind::reordered;  // the original, behind its own retransmission
      count_up(from.reordered);
      if (step.at() >= from.last_seen_ns) {  // else it is another file's, or another queue's
        step.verdict.marks |= mark::proves_needless;
        count_up(from.make_trouble().late_originals);
      }
      return;
    }
    if (copied && beyond == 0) {
      step.verdict.kind = Kind::duplicate;
      if (step.verdict.has(mark::foreign_ttl)) step.verdict.marks |= mark::captured_twice;
      count_copy(step);
      return;
    }
  }
  take_retransmission(step, filled == 0);
}

// From before what the capture has of its sender: sent again, overtaken, or captured late. Nothing tells that it was there twice.
void Tracker::take_text_from_before(Step& step) {
  End& from = step.from;
  from.bytes += step.segment.payload_length;
  step.verdict.marks |= mark::assumed;
  note_resent(step, false);
  if (from.seen && step.end == from.seen_from) from.seen_from = step.seq;
  if (step.order == SendOrder::earlier) {
    step.verdict.kind = Kind::reordered;
    count_up(from.reordered);
  } else if (step.end <= from.snd_una && (from.una_known || !from.seen)) {
    step.verdict.marks |= mark::behind_ack;
  } else if (from.seen && step.seq <= from.snd_una) {  // what is waited for: it recovers
    from.timer_began_ns = step.at();
    from.make_trouble().recovery_end = from.snd_nxt;
    from.timed_out = true;
  }
}

void Tracker::take_retransmission(Step& step, bool seen_before) {
  End& from = step.from;
  step.verdict.kind = Kind::retransmission;
  const bool may_be_late = step.verdict.has(mark::assumed);
  step.verdict.reason = why_again(step);
  if (step.end <= from.snd_una && !seen_before) {
    // Captured behind its acknowledgment: what its sender knew then is not what is known now.
    if (step.verdict.reason != RetransmissionReason::fin) step.verdict.reason = RetransmissionReason::unknown;
    from.make_trouble().recovery_end = from.snd_nxt;
    from.timed_out = true;
  }
  // Neither a reason to send it again nor a sign that it was: it may have come twice, or late.
  const bool may_be_none =
      step.order == SendOrder::unknown && (step.verdict.reason == RetransmissionReason::unknown || may_be_late);
  if (may_be_none) {
    step.verdict.marks |= mark::assumed;
    count_up(from.make_trouble().assumed_resends);
  }
  if (step.seq <= from.snd_una) {
    from.timer_began_ns = step.at();
    note_shrinking(step);
    from.stuck_length = step.segment.payload_length;
    // Of a first segment that is sent again for no reason that is seen, nothing follows for the others.
    const bool timeout = step.verdict.reason == RetransmissionReason::timeout;
    if (timeout || step.verdict.reason == RetransmissionReason::fast) {
      from.make_trouble().recovery_end = from.snd_nxt;
      from.timed_out = timeout;
    }
  }
  if (step.seq > from.snd_una && step.segment.payload_length > 0) {
    Trouble& trouble = from.make_trouble();
    if (trouble.small_tail_una != from.snd_una) trouble.small_tail = UINT32_MAX;
    trouble.small_tail_una = from.snd_una;
    trouble.small_tail = std::min(trouble.small_tail, step.segment.payload_length);
  }
  if (seen_before && step.segment.options.timestamps) note_resent(step, true);
  // Of one direction nothing tells what was acknowledged in between: only the same once more was sent in vain.
  if (!step.to.seen && step.end != from.last_end) from.unanswered_resends = 0;
  count_resend(from, step.seen);
  if (step.verdict.reason == RetransmissionReason::fin) count_up(from.make_trouble().fin_resends);
  from.make_trouble().resent_bytes += step.segment.payload_length;
  // One that crossed its acknowledgment on the way, or was captured behind it, tells nothing.
  const bool behind_for_long = step.at() - from.last_progress_ns >= capture_delay_ns;
  if (step.end <= from.snd_una && step.flags().fin() && !behind_for_long) {
    step.verdict.marks |= mark::assumed;
  } else if (step.end <= from.snd_una && step.flags().fin()) {
    // It was acknowledged, which its sender has not got: no more can be said of it.
    step.verdict.marks |= mark::acked_before;
    count_up(from.fins_again);
    forget_ack_of_fin(from, step.to);
  } else if (step.end <= from.snd_una && !seen_before) {
    // No other copy was captured: it may be this one that was acknowledged, and was captured behind that.
    step.verdict.marks |= mark::behind_ack | mark::assumed;
    count_up(from.behind_ack);
    note_late(from.make_trouble(), step.at() - from.last_progress_ns);
  } else if (step.end <= from.snd_una && from.una_known && !may_be_none) {
    step.verdict.marks |= mark::needless;
    count_up(from.needless);
  } else if (step.seq <= from.snd_una && step.segment.options.timestamps) {
    from.resent_end = step.end;
    from.make_trouble().resent_timestamp = step.segment.options.timestamps->value;
  }
  // RFC 9293 3.8.1: "including Karn's algorithm for taking RTT samples" (RFC 6298 3): none of what was sent twice.
  if (from.sample_end >= 0 && step.seq < from.sample_end) from.sample_end = -1;
  switch (step.verdict.reason) {
    case RetransmissionReason::timeout: count_up(from.timeouts); break;
    case RetransmissionReason::fast:
    case RetransmissionReason::sack_hole: count_up(from.fast_retransmissions); break;
    case RetransmissionReason::tail_loss_probe: count_up(from.tail_loss_probes); break;
    default: break;
  }
}

// tcp_mtu_probing, and other stacks' black hole detection (RFC 2923 2.1): after some tries in vain the same bytes go in smaller segments.
void Tracker::note_shrinking(Step& step) {
  constexpr std::uint8_t tries = 2;  // behind the first time
  End& from = step.from;
  const bool is_smaller = step.segment.payload_length > 0 && step.segment.payload_length < from.stuck_length;
  if (!is_smaller || from.unanswered_resends < tries || from.shrunk_from != 0 ||
      from.stuck_length > takes_at_most(step.to))
    return;
  from.shrunk_from = from.stuck_length;
  from.make_trouble().shrunk_after = from.unanswered_resends;
}

// Evidence is what the capture has: how long nothing happened that starts the timer anew (RFC 6298 5), and what the peer said.
RetransmissionReason Tracker::why_again(Step& step) const {
  const End& from = step.from;
  if (step.flags().fin() && step.segment.payload_length == 0) return RetransmissionReason::fin;
  // Nothing of what came back was captured: neither how long it waited since nor what it was told.
  if (!step.to.seen) return RetransmissionReason::unknown;
  const bool first = step.seq <= from.snd_una, last = step.end >= from.snd_nxt, once = from.unanswered_resends == 0;
  const bool recovers = step.seq < from.trouble().recovery_end && from.snd_una < from.trouble().recovery_end;
  const bool lost_by_acks =
      from.duplicate_acks >= duplicate_ack_threshold || from.trouble().sacked > std::max(step.end, from.snd_una);
  const std::int64_t waited_ns = from.timer_began_ns == 0 ? 0 : step.at() - from.timer_began_ns;
  const std::int64_t srtt_ns = std::int64_t{from.srtt_us} * 1000;
  // Where acknowledgments may have told it, only a wait that is beyond Linux's timer (tcp_set_rto(): srtt and at least
  // TCP_RTO_MIN) is one for the timer.
  const std::int64_t rto_ns = lost_by_acks ? srtt_ns + rto_min_ns : std::max(rto_min_ns, srtt_ns);
  // The tap may be far from the sender: what an acknowledgment calls for comes that much later.
  const bool answers_progress = recovers && answers_sign(step, from.last_progress_ns);
  const bool is_called_for = answers_progress || answers_sign(step, from.trouble().first_sign_ns);
  if (first && waited_ns >= rto_ns && !(lost_by_acks && is_called_for)) {
    // RFC 8985 7.2: one segment alone is probed when the timer would run out: which of the two it was does not show.
    // Whether its sender probes, the SYNs tell.
    const bool may_probe = from.sack_permitted ? step.to.sack_permitted || !step.to.syn_seen : !from.syn_seen;
    // Of what the capture cut nothing tells what was asked for, and of several places the acknowledgments were seen long before they reached
    // it. Nor does it show where something called for it at the same time: a sign, an acknowledgment that went on to the next hole, or one
    // that let new data go with it.
    const bool has_sign = lost_by_acks || from.duplicate_acks > 0;
    const bool may_be_called_for = (has_sign && (is_called_for || answers_sign(step, from.trouble().last_sign_ns))) ||
                                   answers_progress || (lost_by_acks && step.at() - from.last_data_ns < millisecond);
    if ((last && once && !lost_by_acks && may_probe) || may_be_called_for || waited_ns < round_trip_ns(from) ||
        has_several_places() || step.to.options_cut)
      step.verdict.marks |= mark::assumed;
    return RetransmissionReason::timeout;
  }
  if (lost_by_acks) {
    if (recovers && from.timed_out) return RetransmissionReason::recovery;
    if (first) return RetransmissionReason::fast;
    // Without SACK nothing tells of a second hole: it goes on behind the first.
    return from.trouble().sacked > step.end ? RetransmissionReason::sack_hole : RetransmissionReason::recovery;
  }
  // RFC 8985 7.2: after two round trips without anything sent the last segment, before the retransmission timer sends the first.
  const std::int64_t probe_ns = srtt_ns == 0 ? rto_min_ns : std::max({srtt_ns, round_trip_ns(from), millisecond});
  const bool has_paused = waited_ns >= probe_ns && step.at() - from.last_sent_ns >= probe_ns;
  if (last && once && !recovers && has_paused) return RetransmissionReason::tail_loss_probe;
  if (recovers) return RetransmissionReason::recovery;
  return first && from.duplicate_acks > 0 ? RetransmissionReason::fast : RetransmissionReason::unknown;
}

}  // namespace tcpwhy::tcp
