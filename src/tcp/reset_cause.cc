// Why a reset was sent, as far as a wire can tell: whether it has an ACK says whether it answers.
// Of a stack that has no connection for a segment: RFC 9293 3.10.7.1: "If the ACK bit is on, <SEQ=SEG.ACK><CTL=RST>"
// Of a program that aborts: RFC 9293 3.10.5: "Send a reset segment: <SEQ=SND.NXT><CTL=RST>"
// Linux acknowledges with it too: <SEQ=SND.NXT><ACK=RCV.NXT><CTL=RST,ACK>, tcp_send_active_reset().
#include <algorithm>

#include "tcp/tracker_step.h"

namespace tcpwhy::tcp {
namespace {

// So long after the last payload a program that closes has hardly left it unread; it lets go of an idle connection.
constexpr std::int64_t idle_ns = 1000 * millisecond;
// The same, where the last data had no answer: a program that is slow to read it may take that long.
constexpr std::int64_t long_idle_ns = 20'000 * millisecond;
// No acknowledgment of what was sent takes that long.
constexpr std::int64_t gave_up_ns = 1000 * millisecond;
// So often a FIN is sent again in vain before its sender gives up; less often it, or its acknowledgment, may have been lost.
constexpr int fins_in_vain = 4;
// A host, or what runs in its place, takes longer to start again.
constexpr std::int64_t soonest_restart_ns = 1000 * millisecond;
// A counter that began anew is small; and where it goes round, half of all numbers lie behind.
constexpr int ip_id_back_most = 32768;
// A reset that answers comes at once. So long it may be on its way where nothing tells the round trip.
constexpr std::int64_t answer_ns = 200 * millisecond;
constexpr std::int64_t answer_spread_ns = 5 * millisecond;  // beyond that

// Behind all payload of an end, as far as was captured or acknowledged.
std::int64_t end_of_text(const End& end) { return end.fin >= 0 ? end.fin : end.snd_nxt; }

// Payload that an end sent and the other never acknowledged. What the other has acknowledged its kernel had taken.
bool has_unacknowledged_text(const End& end) {
  return end.based && end_of_text(end) > std::max<std::int64_t>(end.snd_una, 1);
}

// So long after its last segment a reset still answers that.
std::int64_t answer_takes_ns(const End& answered) {
  return answered.srtt_us == 0 ? answer_ns : std::int64_t{answered.srtt_us} * 2000 + answer_spread_ns;
}

bool foreign_ip_id(const End& from, const wire::TcpSegment& segment) {
  const int ahead = ip_id_ahead(from, segment);
  return segment.ip_id != 0 && from.newest_ip_id != 0 && (ahead < -ip_id_stride || ahead > ip_id_stride);
}

// It is its sender's answer to the last segment of the other end, of which it knows no connection: its counter began anew since. What left
// before that segment arrived has no lower number than what left before it.
bool has_begun_anew(const End& from, const End& to, const wire::TcpSegment& segment) {
  const int ahead = ip_id_ahead(from, segment);
  const bool answers = to.last_seen_ns > from.last_seen_ns && segment.seq.value == to.last_ack_raw;
  return answers && ip_id_counts_packets(from) && segment.ip_id != 0 && ahead < -few_packets &&
         ahead > -ip_id_back_most;
}

}  // namespace

// Whether a close() of the sender's may still wait behind what it has to send, with its FIN: into a shut window, or behind what is on its
// way. Its host knew the connection then, and of what was on its way a moment ago: none restarts so soon.
bool Tracker::holds_back_fin(const Step& step) {
  const End& from = step.from;
  if (from.last_kind == Kind::window_probe) return true;
  return from.snd_una < from.snd_nxt && from.una_known && step.at() - from.last_sent_ns < soonest_restart_ns;
}

// Whether it answers nothing that was captured: what it could answer came too long before.
bool Tracker::is_long_after(const Step& step) {
  return step.at() - step.to.last_seen_ns > std::max(answer_takes_ns(step.to), answer_ns);
}

// An answer: which segment of the other end met no connection any more, and why it had gone.
ResetCause Tracker::why_answering_reset(const Step& step, bool& assumed) const {
  const End& from = step.from;
  const End& to = step.to;
  if (from.sent_reset || to.sent_reset) return ResetCause::after_reset;
  // It has closed and waited for an acknowledgment in vain, or sent again in vain. Where nothing of the other end was captured, its
  // acknowledgments were not either.
  const bool waited = from.fin >= 0 && step.at() - from.last_sent_ns >= gave_up_ns;
  if (to.seen && (from.unanswered_resends >= 2 || waited) && has_unacknowledged_text(from)) {
    assumed = true;
    return ResetCause::had_given_up;
  }
  if (from.fin >= 0) {
    // Long after both had closed: somebody, the end or who keeps its entry on the way, has had enough of it.
    // What is late on its way comes sooner.
    const bool is_late = is_long_after(step) && step.at() - to.last_seen_ns >= idle_ns;
    if (to.fin_acked && !to.fin_assumed && from.fin_acked && is_late) {
      assumed = true;
      return ResetCause::let_go;
    }
    // All that the other end had to send is acknowledged: what came is its FIN, an acknowledgment, or a copy of what was there.
    if (to.fin >= 0 && !to.fin_assumed && !has_unacknowledged_text(to)) return ResetCause::late_after_close;
    // Of one direction: what it had got by its FIN is all that it got, and it has answered such as came again since.
    if (!to.seen && from.trouble().answers_behind_fin > 0 && from.fin_ack >= to.snd_una) {
      assumed = true;
      return ResetCause::late_after_close;
    }
    // What is answered was not captured, or stands behind the answer: data, most likely. What was captured long before is not that.
    const bool is_there =
        to.seen && to.last_seen_ns >= from.last_seen_ns && step.at() - to.last_seen_ns <= answer_takes_ns(to);
    // The ACK of a FIN nobody answers: its sender waits for it.
    assumed = !is_there || (to.last_answered_fin && !to.last_had_data);
    // It may be a FIN, or an older one in flight: what was lost are the bytes before it.
    return assumed || to.last_had_data || has_unacknowledged_text(to) ? ResetCause::data_after_close
                                                                      : ResetCause::late_after_close;
  }
  assumed = true;
  // Else nothing was there to be answered: since the other end last spoke, this one has spoken itself. What was on its way then says so.
  const bool spoke_last = to.last_seen_ns >= from.last_seen_ns;
  const bool is_of_an_answer = has_number_of_an_answer(from, step.segment);
  const bool answers_last = step.segment.seq.value == to.last_ack_raw && (spoke_last || is_of_an_answer);
  if (from.seen && to.seen && spoke_last && answers_last && to.last_had_data && holds_back_fin(step))
    return ResetCause::data_after_unsent_fin;
  const bool is_in_time = is_of_an_answer || !is_long_after(step);
  if (!from.seen || !to.seen || (answers_last && is_in_time) || answers_older(step)) return ResetCause::no_connection;
  if (answers_last) {  // so long after, it was by itself, or by who keeps its entry on the way
    const ResetCause cause = why_active_reset(step, assumed);
    assumed = true;
    return cause == ResetCause::unread_data ? ResetCause::aborted : cause;
  }
  // RFC 9293 3.10.5 lets an end abort without an acknowledgment, with its next sequence number, and so do others than Linux.
  if (step.seq == from.snd_nxt && !foreign_ip_id(from, step.segment)) {
    const ResetCause cause = why_active_reset(step, assumed);
    assumed = true;
    return cause;
  }
  return ResetCause::third_party;
}

bool Tracker::is_from_elsewhere(const Step& step) const {
  const End& from = step.from;
  return step.verdict.has(mark::foreign_ttl) && (from.same_ttl > 0 || is_nearer(step)) && !from.ttl_varies &&
         !from.sent_reset && !is_numbered_behind(from, step.segment, few_packets);
}

// It answers sooner than its sender, who listens, can, as the handshake shows: who sent it is nearer.
bool Tracker::is_nearer(const Step& step) const {
  const std::int64_t rtt_ns = listener_rtt_ns();
  const bool answers = step.from.syn_ack_seen && step.to.last_seen_ns > step.from.last_seen_ns;
  return answers && handshake_was_sent_once() && step.at() - step.to.last_seen_ns < rtt_ns / 2;
}

// RFC 9293 3.5.1: who opens anew, of a connection that the other end still has, gets an acknowledgment of that and resets it.
bool Tracker::had_opened_another(const Step& step) const {
  return pending_ && pending_->from == step.sender && step.to.last_seen_ns >= pending_->at_ns &&
         step.segment.seq.value == step.to.last_ack_raw;
}

ResetSign Tracker::sign_of(ResetCause cause, const Step& step) const {
  const bool answers_last = step.segment.seq.value == step.to.last_ack_raw;
  switch (cause) {
    case ResetCause::third_party:
    case ResetCause::third_party_late:
      if (is_from_elsewhere(step)) return step.from.same_ttl > 0 ? ResetSign::ttl : ResetSign::too_soon;
      return step.seq == step.from.snd_nxt || answers_last ? ResetSign::ip_id : ResetSign::answers_nothing;
    case ResetCause::no_connection:
      if (had_opened_another(step)) return ResetSign::own_syn;
      if (has_begun_anew(step.from, step.to, step.segment)) return ResetSign::ip_id_back;
      return step.to.seen && (answers_last || answers_older(step)) ? ResetSign::usual : ResetSign::not_captured;
    default: return ResetSign::usual;
  }
}

// The SYN was answered from another place than this comes from, and nothing came since that somebody on the way might object to: who answered
// is no more than a proxy (Linux: SYNPROXY, which offers no window until the server has answered it).
bool Tracker::is_from_behind_proxy(const Step& step) {
  const End& from = step.from;
  return step.verdict.has(mark::foreign_ttl) && from.syn_ack_seen && from.segments == from.syns && !from.ttl_varies &&
         from.window == 0 && step.to.bytes == 0;
}

// Its retransmissions had had no answer, and it waited once more for as long as for all of them: a timer doubles (RFC 6298 5.5). Of a
// FIN alone nobody lacks anything, and kernels wait less.
bool Tracker::gave_up_sending(const Step& step) {
  const End& from = step.from;
  if (from.unanswered_resends < 2 || from.snd_una >= from.snd_nxt) return false;
  const std::int64_t waited_ns = step.at() - from.last_sent_ns;
  const bool only_fin = from.fin >= 0 && from.una_known && from.snd_una >= from.fin;
  if (only_fin) return from.unanswered_resends >= fins_in_vain && waited_ns >= gave_up_ns;
  return waited_ns >= gave_up_ns && waited_ns >= from.last_sent_ns - from.trouble().unanswered_since_ns;
}

// With ACK, by an end that had sent its FIN: this is no close() in place of one.
// RFC 9293 3.6.1: "If such a host issues a CLOSE call while received data is still pending in the TCP connection,
// or if new data is received after CLOSE is called, its TCP implementation SHOULD send a RST to show that data was
// lost"
ResetCause Tracker::why_reset_behind_fin(const Step& step) {
  const End& from = step.from;
  const End& to = step.to;
  // What it acknowledges was not all captured. Of an end that was not, a single number is its FIN.
  const bool acknowledges_more = to.based && step.ack > end_of_text(to) + 1;
  const std::int64_t got = acknowledges_more ? step.ack - (to.seen ? 0 : 1) : end_of_text(to);
  if (got > std::max(from.fin_ack, to.snd_una)) return ResetCause::data_after_close;
  // It had shut down one direction only, and took what came since.
  const bool took_more = to.fin < 0 && got > from.fin_ack;
  return took_more || has_unacknowledged_text(from) ? ResetCause::aborted : ResetCause::let_go;
}

// By a program, or by the kernel in its place.
ResetCause Tracker::why_active_reset(const Step& step, bool& assumed) const {
  const End& from = step.from;
  const End& to = step.to;
  if (from.unanswered_probes > 0) return ResetCause::keep_alive_gave_up;
  assumed = true;
  if (gave_up_sending(step)) return ResetCause::gave_up;
  if (from.fin >= 0) return why_reset_behind_fin(step);
  if (to.bytes == 0) return ResetCause::aborted;
  // It had no room: what filled it was not read, however long ago that was.
  if (from.shut_since_ns != 0) return ResetCause::unread_data;
  // Data came, and this end answered none of it with data of its own: it was hardly read.
  // What its last data acknowledged says what it had got by then, whatever the order at the tap.
  const bool answered = from.last_data_ns != 0 && from.last_data_ack >= end_of_text(to);
  const bool data_seen = to.last_data_ns != 0 || from.last_data_ns != 0;
  if (data_seen && step.at() - last_text_ns(step) >= (answered ? idle_ns : long_idle_ns)) return ResetCause::idle;
  if (answered) return ResetCause::aborted;
  // A client that has the answer and the end of file: what it did not read are the last words of who had closed.
  const bool was_served = opener_known_ && step.sender == opener_ && from.bytes > 0 && to.fin_acked && !to.fin_assumed;
  return was_served && !has_unacknowledged_text(from) ? ResetCause::let_go : ResetCause::unread_data;
}

std::int64_t Tracker::last_text_ns(const Step& step) { return std::max(step.from.last_sent_ns, step.to.last_sent_ns); }

std::int64_t Tracker::last_data_ns(const Step& step) {
  const std::int64_t data_ns = std::max(step.from.last_data_ns, step.to.last_data_ns);
  return data_ns != 0 ? data_ns : last_text_ns(step);
}

ResetCause Tracker::why_reset(const Step& step, bool& assumed) const {
  const End& from = step.from;
  const End& to = step.to;
  if (!from.seen && !to.seen && !from.sent_reset && !to.sent_reset && !from.sent_illegal_ack && !to.sent_illegal_ack) {
    assumed = true;
    return ResetCause::alone;
  }
  // RFC 9293 3.5.2: "A SYN segment that does not match an existing connection is rejected by this means."
  if (to.state == State::syn_sent && !from.syn_seen) {
    assumed = true;  // a firewall that rejects, and tcp_abort_on_overflow, look the same
    return ResetCause::refused;
  }
  if (from.state == State::syn_sent) {
    // RFC 9293 3.10.7.3, first: "<SEQ=SEG.ACK><CTL=RST>". What it answers may not have been captured, or not yet: then another number
    // than its own next one tells.
    const bool seen = to.sent_illegal_ack && step.segment.seq.value == to.trouble().last_illegal_ack;
    const bool answers_wrong_ack = !step.flags().ack() && (seen || step.seq != from.snd_nxt);
    assumed = answers_wrong_ack && !seen;
    return answers_wrong_ack ? ResetCause::bad_ack : ResetCause::abandoned;
  }
  if (!plain_seen_ && step.verdict.has(mark::gap_before | mark::acks_unseen)) {
    assumed = true;
    return ResetCause::not_captured;
  }
  if (is_from_behind_proxy(step)) {
    assumed = true;
    return ResetCause::behind_proxy;
  }
  if (is_from_elsewhere(step)) {
    assumed = from.same_ttl == 0 || !foreign_ip_id(from, step.segment);
    return from.fin_acked && to.fin_acked ? ResetCause::third_party_late : ResetCause::third_party;
  }
  if (had_opened_another(step) || has_begun_anew(from, to, step.segment)) {
    assumed = true;
    return ResetCause::no_connection;
  }
  return step.flags().ack() ? why_active_reset(step, assumed) : why_answering_reset(step, assumed);
}

}  // namespace tcpwhy::tcp
