#include "scan/connections/record.h"

#include <algorithm>
#include <utility>

#include "tcp/seen_connection.h"

namespace tcpwhy::scan {
namespace {

constexpr std::string_view opening_names[] = {"handshake", "before-capture", "unanswered",
                                              "refused",   "incomplete",     "half-seen"};
static_assert(std::size(opening_names) == opening_count);
constexpr std::string_view ending_names[] = {"open", "half-closed", "closed", "closing", "reset", "never-opened"};
static_assert(std::size(ending_names) == ending_count);

// What the peer lacks to the end, though what comes behind it arrived: where its first byte was not seen by the capture either.
const tcp::Gap* undelivered(const tcp::End& end, const tcp::End& peer) {
  const auto hole = std::ranges::find_if(
      end.trouble().gaps, [&](const tcp::Gap& gap) { return gap.begin <= end.snd_una && end.snd_una < gap.end; });
  if (hole == end.trouble().gaps.end()) return nullptr;
  // It says that it has what comes behind, or again that it waits for this.
  const bool lacks_it =
      end.trouble().sacked > end.snd_una || (end.duplicate_acks > 0 && peer.last_seen_ns >= hole->opened_ns);
  return lacks_it ? &*hole : nullptr;
}

// What its last segment, without text, lies beyond. It sent no more than its peer's window took; a number farther off is a stray's.
const tcp::Gap* vanished(const tcp::End& end, const tcp::End& peer) {
  const auto hole = std::ranges::find_if(end.trouble().gaps, [&](const tcp::Gap& gap) {
    return !gap.by_ack && gap.begin <= end.snd_una && end.snd_una < gap.end && gap.end == end.snd_nxt &&
           (gap.end <= end.edge || !peer.scale_known);
  });
  return hole == end.trouble().gaps.end() ? nullptr : &*hole;
}

// Of most ends the counters say that nothing happened to them: what belongs to that is not looked at.
void fill(EndRecord& record, const tcp::End& end, const tcp::End& peer, std::int64_t ended_ns) {
  static_cast<tcp::EndCounters&>(record) = end;
  record.state = end.state;
  record.bytes = end.bytes;
  record.window = end.window;
  record.srtt_us = end.srtt_us;
  record.min_rtt_us = end.min_rtt_us;
  record.last_progress_ns = end.last_progress_ns;
  record.sent_fin = end.fin >= 0;
  record.only_fin_unacknowledged = end.fin >= 0 && end.una_known && end.snd_una == end.fin;
  if (end.gaps_seen > 0) {
    record.unseen_bytes = end.unseen_bytes();
    if (const tcp::Gap* gap = undelivered(end, peer)) {
      record.undelivered_bytes = static_cast<std::uint64_t>(gap->end - end.snd_una);
      record.missing_frame = gap->opened_by;
    } else if (gap = vanished(end, peer); gap != nullptr) {
      record.vanished_bytes = static_cast<std::uint64_t>(gap->end - end.snd_una);
      record.vanished_ns = gap->opened_ns, record.missing_frame = gap->opened_by;
    }
  }
  if (end.retransmissions > 0) {
    record.resent_bytes = end.trouble().resent_bytes;
    record.unanswered_resends = end.unanswered_resends;
    record.unanswered_since_ns = end.trouble().unanswered_since_ns;
    record.unanswered_frame = end.trouble().unanswered_frame;
    record.peer_answered = end.unanswered_resends > 0 && peer.last_seen_ns > end.trouble().unanswered_since_ns;
    record.syn_resends = end.syns > 0 ? end.syns - 1U : 0U;
    // D-SACK tells of these once more.
    record.needless = std::max(end.needless, end.trouble().late_originals);
    record.fin_resends = end.trouble().fin_resends;
    record.assumed_resends = end.trouble().assumed_resends;
    record.largest_through = end.largest_through;
    record.largest_sacked = end.trouble().largest_sacked;
    record.shows_needless = end.trouble().sacked > 0 || (end.has_timestamps && peer.has_timestamps) ||
                            (end.sack_permitted && peer.sack_permitted && !peer.options_cut);
    record.small_was_stuck = end.trouble().small_tail_una == end.snd_una && end.trouble().small_tail > 0 &&
                             end.trouble().small_tail <= end.largest_through;
    record.nothing_through = end.snd_una <= 1;
    record.stuck_length = end.stuck_length;
    record.shrunk_from = end.shrunk_from;
    record.shrunk_after = end.shrunk_from == 0 ? 0 : end.trouble().shrunk_after;
    record.shrunk_through = end.shrunk_through;
  }
  if (end.zero_windows > 0) {
    const std::int64_t shut_ns = end.shut_since_ns == 0 ? 0 : ended_ns - end.shut_since_ns;
    record.longest_shut_ns = std::max(end.trouble().longest_shut_ns, shut_ns);
  }
  if (end.duplicates > 0) {
    record.late_copies = end.trouble().late_copies;
    record.answered_copies = end.trouble().answered_copies;
    record.first_copy = end.trouble().first_copy;
  }
  if (end.retransmissions > 0) record.stamps_back = end.trouble().stamps_back;
  if (end.window_probes > 0) record.most_unanswered_probes = end.most_unanswered_probes;
  if (end.behind_ack > 0) record.most_behind_ack_ns = end.trouble().most_behind_ack_ns;
}

// The last probes of a shut window, which nothing followed of the other end but a reset, if anything. That the very last one had no answer
// shows only if the capture went on.
void note_last_probes(const ConnectionRecord& record, EndRecord& of, const tcp::End& end, const tcp::End& peer) {
  if (end.unanswered_window_probes == 0) return;
  constexpr std::int64_t slowest_answer_ns = 1'000'000'000;
  const bool was_reset = peer.last_seen_ns > end.last_seen_ns;
  const bool waited =
      was_reset ? peer.last_seen_ns - end.last_seen_ns >= slowest_answer_ns : record.waited_since(end.last_seen_ns);
  const std::uint32_t unanswered = end.unanswered_window_probes - (waited ? 0U : 1U);
  if (unanswered > 1 || !was_reset) of.most_unanswered_probes = std::max(of.most_unanswered_probes, unanswered);
}

// Nothing of the peer was captured, and this end sent the same payload again and again: no answer reached it, wherever that was lost.
bool sent_in_vain(const tcp::End& end, const tcp::End& peer) {
  constexpr std::int64_t first_timer_ns = 1'000'000'000;
  if (peer.segments > 0 || end.unanswered_resends < 3 + end.trouble().fin_resends) return false;
  const std::int64_t since_ns = end.trouble().unanswered_since_ns;
  return end.last_data_ns < since_ns && peer.last_progress_ns < since_ns &&
         end.last_sent_ns - since_ns >= first_timer_ns;
}

Opening opening_of(const tcp::Tracker& tracker, const ConnectionRecord& record) {
  const tcp::End& asked = tracker.end(tracker.is_to_itself() ? tracker.opener() : tcp::opposite(tracker.opener()));
  if (!tracker.opener_known()) return Opening::before_capture;
  if (record.reset_cause == tcp::ResetCause::refused) return Opening::refused;
  if (tracker.handshake_complete()) return Opening::handshake;
  if (tracker.handshake_inferred()) return Opening::half_seen;
  if (!asked.seen || (tracker.is_to_itself() && !asked.syn_ack_seen)) return Opening::unanswered;
  return Opening::incomplete;
}

Ending ending_of(const ConnectionRecord& record, bool all_acknowledged) {
  if (record.opening == Opening::refused) return Ending::never_opened;
  if (record.opening == Opening::unanswered && record.reset_cause == tcp::ResetCause::none)
    return record.waited_since(record.began_ns) || record.icmp.frame != 0 ? Ending::never_opened : Ending::open;
  if (record.opening == Opening::unanswered) return Ending::never_opened;
  if (record.reset_cause != tcp::ResetCause::none) return Ending::reset;
  if (record.ends[opener].sent_fin && (record.ends[listener].sent_fin || record.to_itself))
    return all_acknowledged ? Ending::closed : Ending::closing;
  return record.ends[opener].sent_fin || record.ends[listener].sent_fin ? Ending::half_closed : Ending::open;
}

}  // namespace

std::string_view name(Opening opening) { return opening_names[static_cast<std::size_t>(opening)]; }
std::string_view name(Ending ending) { return ending_names[static_cast<std::size_t>(ending)]; }

bool ConnectionRecord::waited_since(std::int64_t ns) const {
  constexpr std::int64_t first_timer_ns = 1'000'000'000;
  return quiet_ns >= first_timer_ns || ended_ns - ns + quiet_ns >= first_timer_ns;
}

void fill(ConnectionRecord& record, const Connection& connection, Left left) {
  const tcp::Tracker& tracker = connection.tracker;
  const tcp::EndIndex first = tcp::opener_of(tracker, connection.ends);
  const tcp::EndIndex second = tcp::opposite(first);
  const auto side = [first](tcp::EndIndex end) { return end == first ? opener : listener; };
  record.addresses = {connection.ends[first], connection.ends[second]};
  const tcp::End &one = tracker.end(first), &other = tracker.end(second);
  fill(record.ends[opener], one, other, tracker.last_ns());
  fill(record.ends[listener], other, one, tracker.last_ns());
  record.opener_known = tracker.opener_known();
  record.one_way = tracker.is_one_way();
  record.has_plain_segments = tracker.has_plain_segments();
  const tcp::ResetSeen reset = tracker.reset();
  record.in_vain = record.one_way && (sent_in_vain(one, other) || sent_in_vain(other, one));
  // Then that the peer sent something which the capture lacks only this end's acknowledgments tell.
  if (record.in_vain || reset.cause == tcp::ResetCause::gave_up)
    record.one_way = record.one_way && (tracker.handshake_inferred() || one.last_advance > 0 || other.last_advance > 0);
  record.to_itself = tracker.is_to_itself();
  record.first_frame = tracker.first_frame();
  record.last_frame = connection.last_frame;
  record.began_ns = tracker.began_ns();
  record.ended_ns = tracker.last_ns();
  record.quiet_ns = connection.quiet_ns;
  record.listener_rtt_ns = tracker.listener_rtt_ns();
  record.opener_rtt_ns = tracker.opener_rtt_ns();
  note_last_probes(record, record.ends[opener], one, other);
  note_last_probes(record, record.ends[listener], other, one);
  record.reset_cause = reset.cause;
  if (reset.cause != tcp::ResetCause::none) {
    record.reset_assumed = reset.assumed;
    record.reset_by = side(reset.from);
    record.reset_frame = reset.frame;
  }
  record.icmp = connection.icmp;
  if (const auto closer = tracker.first_closer()) record.closed_by = side(*closer);
  record.opening = opening_of(tracker, record);
  // That the last FIN was acknowledged does not show in the other direction; that it was not sent again does.
  const auto done = [&](tcp::EndIndex end) {
    const tcp::End& of = tracker.end(end);
    return of.fin_acked || (record.one_way && of.fin >= 0 && of.unanswered_resends == 0);
  };
  record.ending = ending_of(record, tracker.is_to_itself() || (done(first) && done(second)));
  record.marks = tracker.marks_seen();
  record.reuse = connection.reuse;
  record.left = left;
  record.evidence = connection.evidence;
}

ConnectionRecord record_of(const Connection& connection, Left left) {
  ConnectionRecord record;
  fill(record, connection, left);
  return record;
}

}  // namespace tcpwhy::scan
