#include "scan/connections/record.h"

#include <utility>

namespace tcpwhy::scan {
namespace {

constexpr std::string_view opening_names[] = {"handshake", "before-capture", "unanswered", "refused", "incomplete"};
static_assert(std::size(opening_names) == opening_count);
constexpr std::string_view ending_names[] = {"open", "half-closed", "closed", "closing", "reset", "never-opened"};
static_assert(std::size(ending_names) == ending_count);

EndRecord record_of(const tcp::End& end) {
  return {end,         end.state,      end.bytes,   end.resent_bytes, end.unseen_bytes(), end.unanswered_resends,
          end.srtt_us, end.min_rtt_us, end.fin >= 0};
}

Opening opening_of(const tcp::Tracker& tracker, const ConnectionRecord& record) {
  const tcp::End& asked = tracker.end(tcp::opposite(tracker.opener()));
  if (!tracker.opener_known()) return Opening::before_capture;
  if (record.reset_cause == tcp::ResetCause::refused) return Opening::refused;
  if (!asked.seen) return Opening::unanswered;
  return tracker.handshake_complete() ? Opening::handshake : Opening::incomplete;
}

Ending ending_of(const ConnectionRecord& record, bool all_acknowledged) {
  if (record.opening == Opening::refused || record.opening == Opening::unanswered) return Ending::never_opened;
  if (record.reset_cause != tcp::ResetCause::none) return Ending::reset;
  if (record.ends[opener].sent_fin && record.ends[listener].sent_fin)
    return all_acknowledged ? Ending::closed : Ending::closing;
  return record.ends[opener].sent_fin || record.ends[listener].sent_fin ? Ending::half_closed : Ending::open;
}

}  // namespace

std::string_view name(Opening opening) { return opening_names[static_cast<std::size_t>(opening)]; }
std::string_view name(Ending ending) { return ending_names[static_cast<std::size_t>(ending)]; }

ConnectionRecord record_of(const Connection& connection, Left left) {
  const tcp::Tracker& tracker = connection.tracker;
  ConnectionRecord record;
  const tcp::EndIndex first = tracker.opener_known() ? tracker.opener() : tcp::EndIndex::first;
  const tcp::EndIndex second = tcp::opposite(first);
  const auto side = [first](tcp::EndIndex end) { return end == first ? opener : listener; };
  record.addresses = {connection.ends[first], connection.ends[second]};
  record.ends = {record_of(tracker.end(first)), record_of(tracker.end(second))};
  record.opener_known = tracker.opener_known();
  record.first_frame = tracker.first_frame();
  record.last_frame = connection.last_frame;
  record.began_ns = tracker.began_ns();
  record.ended_ns = tracker.last_ns();
  record.listener_rtt_ns = tracker.listener_rtt_ns();
  record.opener_rtt_ns = tracker.opener_rtt_ns();
  const tcp::ResetSeen reset = tracker.reset();
  record.reset_cause = reset.cause;
  if (reset.cause != tcp::ResetCause::none) {
    record.reset_assumed = reset.assumed;
    record.reset_by = side(reset.from);
    record.reset_frame = reset.frame;
  }
  if (const auto closer = tracker.first_closer()) record.closed_by = side(*closer);
  record.opening = opening_of(tracker, record);
  record.ending =
      ending_of(record, tracker.end(tcp::EndIndex::first).fin_acked && tracker.end(tcp::EndIndex::second).fin_acked);
  record.marks = tracker.marks_seen();
  record.reuse = connection.reuse;
  record.left = left;
  record.evidence = connection.evidence;
  record.icmp = connection.icmp;
  return record;
}

}  // namespace tcpwhy::scan
