#include "tcp/endpoint.h"

#include <algorithm>

namespace tcpwhy::tcp {
namespace {

// A sender that leaves more holes than this open at once is not tracked hole by hole; the FIN behind them is found when
// the last hole closes by retransmission.
constexpr std::size_t max_out_of_order = 256;

SequenceNumber end_of(const wire::TcpSegment& segment) { return advance(segment.seq, segment.sequence_length()); }

}  // namespace

std::string_view name(SegmentClass segment_class) {
  switch (segment_class) {
    case SegmentClass::syn: return "SYN";
    case SegmentClass::syn_ack: return "SYN-ACK";
    case SegmentClass::data: return "data";
    case SegmentClass::fin: return "FIN";
    case SegmentClass::ack: return "ACK";
    case SegmentClass::retransmission: return "retransmission";
    case SegmentClass::keep_alive: return "keep-alive";
    case SegmentClass::reset: return "reset";
  }
  return "?";
}

std::optional<StateChange> Endpoint::apply(Stimulus stimulus) {
  const Transition* transition = find_transition(state_, stimulus);
  if (transition == nullptr) return std::nullopt;
  const StateChange change{state_, transition->to, transition};
  state_ = transition->to;
  return change;
}

SegmentClass Endpoint::classify_sent(const wire::TcpSegment& segment) const {
  if (segment.flags.rst()) return SegmentClass::reset;
  const bool again = snd_nxt_ && segment.sequence_length() > 0 && before(segment.seq, *snd_nxt_) &&
                     at_or_before(end_of(segment), *snd_nxt_);
  if (segment.flags.syn()) {
    if (again && iss_ == segment.seq) {
      // A SYN-ACK after our own SYN is the answer of a simultaneous open, not a retransmission.
      // RFC 9293 3.10.7.3, fourth: "Otherwise, enter SYN-RECEIVED, form a SYN,ACK segment
      // <SEQ=ISS><ACK=RCV.NXT><CTL=SYN,ACK>"
      const bool first_syn_ack = segment.flags.ack() && state_ == State::syn_received && !last_ack_sent_;
      if (!first_syn_ack) return SegmentClass::retransmission;
    }
    return segment.flags.ack() ? SegmentClass::syn_ack : SegmentClass::syn;
  }
  // RFC 9293 3.8.4: "Such a segment generally contains SEG.SEQ = SND.NXT-1 and may or may not contain one garbage octet
  // of data." Linux sends none: tcp_xmit_probe_skb().
  if (snd_nxt_ && !has_outstanding() && segment.payload_length <= 1 && !segment.flags.fin() &&
      distance(segment.seq, *snd_nxt_) == 1 && segment.flags.ack() && syn_acked_)
    return SegmentClass::keep_alive;
  if (again) return SegmentClass::retransmission;
  if (segment.payload_length > 0) return SegmentClass::data;
  if (segment.flags.fin()) return SegmentClass::fin;
  return SegmentClass::ack;
}

Sent Endpoint::on_send(const wire::TcpSegment& segment) {
  Sent sent;
  sent.segment_class = classify_sent(segment);
  if (segment.flags.rst()) {
    // A reset that answers a stray segment belongs to no connection of ours: in SYN-SENT it refuses a wrong ACK and the
    // attempt goes on.
    // RFC 9293 3.10.7.3, first: "If SEG.ACK =< ISS or SEG.ACK > SND.NXT, send a reset ... and discard the segment."
    if (state_ != State::syn_sent) sent.change = apply(Stimulus::sends_rst);
    return sent;
  }
  const SequenceNumber end = end_of(segment);
  if (segment.flags.syn() && (!iss_ || sent.segment_class != SegmentClass::retransmission)) {
    iss_ = segment.seq;
    snd_una_ = segment.seq;
    snd_nxt_ = end;
  } else if (!iss_) {
    iss_ = segment.seq;
    snd_una_ = segment.seq;
    snd_nxt_ = end;
    syn_acked_ = true;
  } else if (!snd_nxt_ || before(*snd_nxt_, end)) {
    snd_nxt_ = end;
  }
  if (segment.flags.ack()) last_ack_sent_ = segment.ack;
  if (segment.flags.syn()) sent.change = apply(segment.flags.ack() ? Stimulus::sends_syn_ack : Stimulus::sends_syn);
  if (segment.flags.fin() && !fin_sent_) {
    fin_sent_ = advance(end, static_cast<std::uint32_t>(-1));
    sent.change = apply(Stimulus::sends_fin);
  }
  return sent;
}

std::optional<StateChange> Endpoint::on_reset(const wire::TcpSegment& segment, Received& received) {
  if (state_ == State::syn_sent) {
    // RFC 9293 3.10.7.3, first: "If SND.UNA < SEG.ACK =< SND.NXT, then the ACK is acceptable." With data on the SYN it
    // may acknowledge less than all.
    received.acceptable = segment.flags.ack() && snd_una_ && snd_nxt_ && before(*snd_una_, segment.ack) &&
                          at_or_before(segment.ack, *snd_nxt_);
    return received.acceptable ? apply(Stimulus::gets_rst) : std::nullopt;
  }
  // RFC 9293 3.10.7.4, second: "If the RST bit is set and the sequence number exactly matches the next expected
  // sequence number (RCV.NXT), then TCP endpoints MUST reset the connection" Elsewhere in the window it earns a
  // challenge ACK.
  // Linux also takes one at the right edge of a SACK block, and one below RCV.NXT by our FIN (tcp_reset_check()).
  received.acceptable = !rcv_nxt_ || segment.seq == *rcv_nxt_;
  return received.acceptable ? apply(Stimulus::gets_rst) : std::nullopt;
}

void Endpoint::absorb_queued(bool& got_fin) {
  for (bool moved = true; moved;) {
    moved = false;
    for (auto range = out_of_order_.begin(); range != out_of_order_.end();) {
      if (!at_or_before(range->first, *rcv_nxt_)) {
        ++range;
        continue;
      }
      if (at_or_before(*rcv_nxt_, range->end)) {
        rcv_nxt_ = range->end;
        got_fin = got_fin || range->fin_at_end;
        moved = true;
      }
      range = out_of_order_.erase(range);
    }
  }
}

// RFC 9293 3.10.7.4, seventh and eighth. Returns whether the FIN, this one or one queued before, is now in order.
bool Endpoint::receive_text(const wire::TcpSegment& segment, Received& received) {
  if (segment.sequence_length() == 0) return false;
  const SequenceNumber end = end_of(segment);
  // RFC 9293 3.10.7.4, first: "Initial tests on arrival are used to discard old duplicates, but further processing is
  // done in SEG.SEQ order."
  if (at_or_before(end, *rcv_nxt_)) {
    received.duplicate = true;
    return false;
  }
  // RFC 9293 3.10.7.4, first: "Segments with higher beginning sequence numbers SHOULD be held for later processing"
  if (before(*rcv_nxt_, segment.seq)) {
    if (out_of_order_.size() < max_out_of_order) out_of_order_.push_back({segment.seq, end, segment.flags.fin()});
    return false;
  }
  rcv_nxt_ = end;
  received.advances = true;
  bool got_fin = segment.flags.fin();
  absorb_queued(got_fin);
  return got_fin;
}

Received Endpoint::on_receive(const wire::TcpSegment& segment) {
  Received received;
  if (segment.flags.rst()) {
    received.change = on_reset(segment, received);
    return received;
  }
  if (segment.flags.syn() && (!rcv_nxt_ || state_ == State::syn_sent || state_ == State::listen)) {
    irs_ = segment.seq;
    rcv_nxt_ = advance(segment.seq, segment.sequence_length());
    received.advances = true;
  } else if (!rcv_nxt_) {
    irs_ = segment.seq;
    rcv_nxt_ = segment.seq;
  }
  bool acks_syn = false;
  if (segment.flags.ack() && snd_una_ && before(*snd_una_, segment.ack) && snd_nxt_ &&
      at_or_before(segment.ack, *snd_nxt_)) {
    received.newly_acked = static_cast<std::uint32_t>(distance(*snd_una_, segment.ack));
    acks_syn = !syn_acked_;
    syn_acked_ = true;
    snd_una_ = segment.ack;
    if (fin_sent_ && !fin_acked_ && before(*fin_sent_, segment.ack)) received.acks_fin = fin_acked_ = true;
  }
  if (segment.flags.syn()) {
    const bool answers_ours = segment.flags.ack() && acks_syn;
    received.change = apply(answers_ours ? Stimulus::gets_syn_ack : Stimulus::gets_syn);
    return received;
  }
  if (acks_syn) received.change = apply(Stimulus::gets_ack_of_syn);
  if (state_ == State::not_seen && segment.flags.ack() && (segment.payload_length > 0 || snd_nxt_))
    state_ = State::established;  // a connection that was open before we looked
  const bool got_fin = !fin_received_ && receive_text(segment, received);
  if (got_fin) {
    fin_received_ = true;
    received.change = apply(received.acks_fin ? Stimulus::gets_fin_and_ack_of_fin : Stimulus::gets_fin);
  } else if (received.acks_fin) {
    received.change = apply(Stimulus::gets_ack_of_fin);
  }
  return received;
}

}  // namespace tcpwhy::tcp
