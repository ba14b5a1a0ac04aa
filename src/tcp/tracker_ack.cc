// The tracker: what a segment acknowledges and offers (RFC 9293 3.10.7.4, fifth), and what a segment without text is called.
#include <algorithm>

#include "tcp/tracker_step.h"

namespace tcpwhy::tcp {
namespace {

// Beyond the round trip that is known: what comes later than that of itself answers nothing.
constexpr std::int64_t slowest_answer_ns = 100 * millisecond;

// The window that a segment offers. RFC 7323 2.2: never scaled on a SYN.
std::uint32_t window_of(const End& sender, const wire::TcpSegment& segment) {
  return segment.flags.syn() ? segment.window : std::uint32_t{segment.window} << sender.scale;
}

// The peer told that something of it is missing.
void note_sign(End& end, std::int64_t at_ns) {
  Trouble& trouble = end.make_trouble();
  if (trouble.first_sign_ns < end.timer_began_ns) trouble.first_sign_ns = at_ns;
  trouble.last_sign_ns = at_ns;
}

// RFC 6298 2.2, 2.3: SRTT, in microseconds.
void take_rtt_sample(End& end, std::int64_t sample_ns) {
  const auto us = static_cast<std::uint32_t>(std::clamp<std::int64_t>(sample_ns / 1000, 1, std::int64_t{1} << 30));
  if (end.srtt_us == 0) {
    end.srtt_us = end.min_rtt_us = us;
    return;
  }
  end.srtt_us = std::max(static_cast<std::uint32_t>((std::uint64_t{7} * end.srtt_us + us) / 8), 1U);
  end.min_rtt_us = std::min(end.min_rtt_us, us);
}

}  // namespace

void Tracker::take_ack(Step& step) {
  End& from = step.from;
  End& to = step.to;
  if (!to.based) base_on(to, step.segment.ack.value - 1, 1);
  step.verdict.ack = step.ack = widen(to, step.segment.ack.value);
  if (step.ack > to.snd_nxt) {
    // RFC 9293 3.8.4: a keep-alive stands one below the next sequence number: the first that is seen of an end may be one.
    const bool first_was_keep_alive =
        to.seen && to.last_end == 0 && !to.syn_seen && to.snd_nxt == 1 && step.ack == 2 && step.length == 0;
    if (first_was_keep_alive) {
      to.last_kind = Kind::keep_alive;
      to.snd_una = step.ack;
      step.verdict.marks |= mark::assumed;
    } else if (to.seen) {
      step.verdict.marks |= mark::acks_unseen;
      open_gap(to, {.begin = to.snd_nxt,
                    .end = step.ack,
                    .opened_ns = step.at(),
                    .opened_by = step.seen.frame,
                    .by_ack = true,
                    .may_be_before = may_be_from_before(to)});
    }
    to.snd_nxt = step.ack;
  }
  if (!to.una_known && !to.syn_seen) to.snd_una = std::min(to.snd_una, step.ack);
  to.una_known = true;
  if (step.ack < to.snd_una) step.verdict.marks |= mark::old_ack;
  if (step.ack >= to.last_end) to.unanswered_resends = 0;
  // RFC 9293 3.10.7.4, fifth: "If SND.UNA < SEG.ACK =< SND.NXT, then set SND.UNA <- SEG.ACK."
  if (from.state == State::syn_sent && !to.seen && !step.flags().syn()) {
    step.moves_ack = true;  // it acknowledges the SYN of a SYN-ACK that the capture lacks
  } else if (step.ack > to.snd_una) {
    step.moves_ack = true;
    const bool acks_syn = to.snd_una == 0 && to.syn_seen;
    to.last_advance = step.ack - to.snd_una;
    to.snd_una = step.ack;
    to.stuck_length = 0;
    if (to.shrunk_from != 0) to.shrunk_through = true;
    to.duplicate_acks = 0;
    to.last_progress_ns = to.timer_began_ns = step.at();
    if (to.sample_end >= 0 && step.ack >= to.sample_end) {
      step.verdict.rtt_ns = step.at() - to.sample_ns;
      take_rtt_sample(to, step.verdict.rtt_ns);
      to.largest_through = std::max(to.largest_through, to.sample_length);
      if (to.largest_through >= to.shrunk_from) to.shrunk_from = 0, to.shrunk_through = false;  // it did get through
      to.sample_end = -1;
    }
    if (to.resent_end >= 0 && step.ack >= to.resent_end) {
      // RFC 3522 3.2: the answer to the original, not to the copy, has the older time stamp.
      const auto& stamps = step.segment.options.timestamps;
      if (stamps && to.has_timestamps &&
          static_cast<std::int32_t>(stamps->echo_reply - to.trouble().resent_timestamp) < 0) {
        step.verdict.marks |= mark::proves_needless;
        count_up(to.needless);
      }
      to.resent_end = -1;
    }
    if (acks_syn) {
      if (from.state == State::syn_sent && !step.flags().syn()) apply(step.sender, Stimulus::gets_syn_ack, step);
      if (to.state == State::syn_received) apply(step.receiver, Stimulus::gets_ack_of_syn, step);
    }
  }
  if (!step.flags().syn() && handshake_ack_ns_ < 0 && !handshake_inferred_ && opener_known_ && step.sender == opener_ &&
      to.syn_seen)
    handshake_ack_ns_ = step.at();
  if (to.fin >= 0 && step.ack > to.fin && !to.fin_acked) {
    to.fin_acked = true;
    step.verdict.marks |= mark::answers_fin;
    if (to.fin_in_doubt) {  // in CLOSE-WAIT, or in TIME-WAIT
      move_to(step.sender, State::not_seen, step);
    } else {
      apply(step.sender, Stimulus::gets_fin, step);
      apply(step.receiver, Stimulus::gets_ack_of_fin, step);
    }
  }
  // One acknowledgment was lost on its way to who repeats its FIN; that this one arrived, what follows doesn't contradict. Where one after
  // the other did not, this one hardly did.
  if (to.fins_again == 1 && step.ack > to.fin) apply(step.receiver, Stimulus::gets_ack_of_fin, step);
  if (!to.seen) infer_peers_close(step);
  take_window(step);
  if (step.segment.options.sack_count > 0) take_sack(step);
  if (step.segment.options.cut) from.options_cut = true;
}

void Tracker::take_window(Step& step) {
  End& from = step.from;
  End& to = step.to;
  const std::uint32_t window = window_of(from, step.segment);
  step.same_window = from.seen && window == from.window;
  to.edge = std::max(to.edge, step.ack + window);
  // RFC 9293 3.10.7.4, fifth: "Note that SND.WND is an offset from SND.UNA, that SND.WL1 records the sequence number of
  // the last segment used to update SND.WND, and that SND.WL2 records the acknowledgment number of the last segment
  // used to update SND.WND. The check here prevents using old segments to update the window."
  const bool is_old = step.ack < to.snd_una || step.seq < from.window_seq || step.sent_before();
  if (from.seen && !step.moves_ack && is_old) return;
  from.window = window;
  from.window_seq = step.seq;
  // Behind the peer's FIN the window says nothing any more.
  if (step.flags().syn() || to.fin >= 0) return;
  if (window == 0) {
    step.verdict.marks |= mark::zero_window;
    if (from.shut_since_ns == 0) from.shut_since_ns = step.at();
  } else if (from.shut_since_ns != 0) {
    Trouble& trouble = from.make_trouble();
    trouble.longest_shut_ns = std::max(trouble.longest_shut_ns, step.at() - from.shut_since_ns);
    from.shut_since_ns = 0;
  }
}

// The peer is not in the capture: its FIN shows by what its end acknowledges once both have nothing more to say.
void Tracker::infer_peers_close(Step& step) {
  End& from = step.from;
  if (from.fin < 0 || !step.moves_ack || step.seq <= from.fin) return;
  // Something of the peer came after this end's FIN. A FIN alone is one.
  if (step.to.last_advance != 1) return;
  assume_fin_of(step.receiver, step);
  if (from.fin_in_doubt) settle_first_closer(step.sender, step);
  apply(step.sender, Stimulus::gets_ack_of_fin, step);
  apply(step.receiver, Stimulus::gets_fin, step);
  apply(step.receiver, Stimulus::sends_fin, step);
  apply(step.sender, Stimulus::gets_fin, step);
  from.fin_acked = true;
}

// RFC 2018, and RFC 2883 4: a first block that was received before reports a duplicate.
void Tracker::take_sack(Step& step) {
  End& to = step.to;
  Trouble& trouble = to.make_trouble();
  const auto blocks = step.segment.options.sack();
  const auto left = widen(to, blocks[0].left.value), right = widen(to, blocks[0].right.value);
  bool duplicate = right <= step.ack;
  if (!duplicate && blocks.size() > 1)
    duplicate = left >= widen(to, blocks[1].left.value) && right <= widen(to, blocks[1].right.value);
  if (duplicate) {
    step.only_again = true;
    const bool is_told_again = step.sent_before() || right == trouble.came_twice;  // RFC 2883 4: it is reported once
    trouble.came_twice = right;
    if (to.needless + trouble.assumed_resends < to.retransmissions && !is_told_again) {
      step.verdict.marks |= mark::proves_needless;
      count_up(to.needless);
    } else if (!is_told_again && trouble.first_copy != 0 && left > 0 && to.duplicates > trouble.answered_copies) {
      count_up(trouble.answered_copies);
    }
    to.resent_end = -1;
  }
  for (const wire::SackBlock& block : blocks) {
    const std::int64_t edge = widen(to, block.right.value);
    const std::uint32_t length = block.right.value - block.left.value;
    if (edge <= to.snd_nxt && length <= to.snd_nxt) trouble.largest_sacked = std::max(trouble.largest_sacked, length);
    if (edge > trouble.sacked && edge <= to.snd_nxt) {
      trouble.sacked = edge;
      if (edge <= step.ack) continue;
      note_sign(to, step.at());
      step.new_sack = true;
      step.only_again = false;
    }
  }
}

// Who answers a copy of what it had acknowledged before got it: the network made it, not the capture.
void Tracker::note_answer_to_copy(Step& step) {
  End& to = step.to;
  if (to.last_kind != Kind::duplicate || to.trouble().first_copy == 0 || to.last_end > to.snd_una) return;
  if (to.duplicates > to.trouble().answered_copies) count_up(to.make_trouble().answered_copies);
}

void Tracker::name_pure_ack(Step& step) {
  End& from = step.from;
  End& to = step.to;
  Verdict& verdict = step.verdict;
  verdict.kind = Kind::ack;
  // Linux probes at SND.UNA-1, without a byte: tcp_xmit_probe_skb().
  if (from.seen && from.snd_nxt > 0 && step.seq == from.snd_una - 1 && !step.moves_ack) {
    // As long as it has not got that the window opened, it probes on.
    const bool into_shut_window = (to.window == 0 && to.seen) || from.last_kind == Kind::window_probe;
    if (step.order == SendOrder::same_packet) {
      verdict.kind = Kind::duplicate;
    } else if (step.at() - from.last_seen_ns < soonest_probe_ns) {
      verdict.kind = step.order == SendOrder::earlier ? Kind::reordered : Kind::ack;
    } else if (!into_shut_window && step.sent_before()) {
      verdict.kind = Kind::reordered;
    } else {
      verdict.kind = into_shut_window ? Kind::window_probe : Kind::keep_alive;
    }
    return;
  }
  if (step.moves_ack || step.ack < to.snd_una) {
    if (step.ack < to.snd_una && step.sent_before()) {
      verdict.kind = step.order == SendOrder::same_packet ? Kind::duplicate : Kind::reordered;
    }
    return;
  }
  // RFC 2018 4: "If sent at all, SACK options SHOULD be included in all ACKs which do not ACK the highest sequence number in the data
  // receiver's queue." One that tells nothing new is no answer to a segment out of order: it is a copy, or captured late.
  const bool says_what_it_has = from.sack_permitted && to.sack_permitted && !step.segment.options.cut;
  // A probe is answered once; what comes later by itself is none.
  const std::int64_t answer_takes_ns = std::int64_t{to.srtt_us} * 2000 + slowest_answer_ns;
  const bool answered = from.last_seen_ns > to.last_seen_ns || step.at() - to.last_seen_ns > answer_takes_ns;
  // Where it may, it says by D-SACK what came twice. Without an IP ID this may be a copy itself.
  if (!answered && !says_what_it_has && step.same_window && step.segment.ip_id != 0 && !step.sent_before())
    note_answer_to_copy(step);
  if (from.owes_challenge) {
    verdict.kind = Kind::challenge_ack;
  } else if (to.last_kind == Kind::keep_alive && !answered) {
    verdict.kind = Kind::keep_alive_ack;
  } else if (to.last_kind == Kind::window_probe && !answered) {
    // RFC 9293 3.8.6.1: "it must still send an acknowledgment showing its next expected sequence number and current
    // window (zero)"
    verdict.kind = Kind::window_probe_ack;
  } else if (step.order == SendOrder::same_packet) {
    verdict.kind = Kind::duplicate;
  } else if (step.at() < from.last_seen_ns) {
    verdict.kind = Kind::reordered;
  } else if (!step.same_window && !step.new_sack && !step.only_again && from.seen) {
    // RFC 9293 3.10.7.4: "If SND.UNA =< SEG.ACK =< SND.NXT, the send window should be updated."
    verdict.kind = Kind::window_update;
    count_up(from.window_updates);
  } else if (to.snd_una < to.snd_nxt && (step.new_sack || step.only_again || (step.same_window && !says_what_it_has))) {
    verdict.kind = Kind::duplicate_ack;
    // RFC 6675 2: a duplicate ACK there is one with new SACK information: what came twice is no sign of a loss.
    if (to.duplicate_acks < 255 && !step.only_again) ++to.duplicate_acks;
    if (!step.only_again) note_sign(to, step.at());
    count_up(from.duplicate_acks_sent);
  }
}

}  // namespace tcpwhy::tcp
