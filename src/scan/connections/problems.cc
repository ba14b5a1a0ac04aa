#include "scan/connections/problems.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "explain/texts/reset_reasons.h"
#include "scan/connections/problem_signs.h"

namespace tcpwhy::scan {
namespace {

using explain::Grade;

// A window that is shut for less is the way of a busy receiver; what is shut for longer a person notices.
constexpr std::int64_t harmful_shut_ns = 100'000'000;

const ProblemRule* rule_named(std::string_view id) {
  const auto row = std::ranges::find(problem_rules(), id, &ProblemRule::id);
  TCPWHY_CHECK(row != problem_rules().end());
  return &*row;
}

class Finder {
 public:
  explicit Finder(const ConnectionRecord& record) : record_(record) {}

  std::vector<Problem> run() {
    opening();
    reset();
    another_opening();
    transfer();
    observer();
    std::ranges::stable_sort(found_, std::ranges::greater{}, [](const Problem& p) { return p.rule->severity; });
    return std::move(found_);
  }

 private:
  void say(std::string_view id, std::uint64_t frame, std::uint64_t count = 1, Grade grade = Grade::derived) {
    found_.push_back({rule_named(id), grade, frame, count});
  }

  void opening() {
    const bool unanswered = record_.opening == Opening::unanswered && record_.reset_cause == tcp::ResetCause::none;
    if (record_.icmp.frame != 0) say(unanswered ? "capture.rejected" : "capture.icmp_error", record_.icmp.frame);
    if (record_.evidence.icmp_disbelieved != 0) say("capture.icmp_disbelieved", record_.evidence.icmp_disbelieved);
    if (record_.to_itself) say("capture.to_itself", record_.first_frame);
    if (record_.opening == Opening::refused) say("capture.refused", record_.reset_frame, 1, Grade::assumed);
    if (unanswered && record_.icmp.frame == 0 && record_.ends[listener].segments == 0 &&
        record_.waited_since(record_.began_ns))
      say("capture.unanswered", record_.first_frame, std::uint64_t{1} + record_.ends[opener].retransmissions);
    if (record_.evidence.repeated_syn_ack != 0)
      say("capture.accept_queue", record_.evidence.repeated_syn_ack, record_.evidence.repeated_syn_acks,
          Grade::assumed);
    // Where the opener's SYN is missing, so may be its ACK.
    if (record_.opening == Opening::incomplete && record_.reset_cause == tcp::ResetCause::none &&
        record_.waited_since(record_.began_ns) && record_.ends[opener].segments > 0)
      // What a filter lets through would be the same of one that was finished. That something was sent again shows that it was not.
      say("capture.half_open_handshake", record_.last_frame, 1,
          record_.has_plain_segments || record_.sum(&EndRecord::syn_resends) > 0 ? Grade::derived : Grade::assumed);
    if (record_.evidence.old_connection != 0) {
      say("capture.old_connection", record_.evidence.old_connection, 1,
          old_was_reset(record_) ? Grade::derived : Grade::assumed);
    } else if (record_.opening == Opening::handshake && record_.evidence.resent_syn != 0) {
      say("capture.syn_lost", record_.evidence.resent_syn);
    }
  }

  void another_opening() {
    if (record_.evidence.another_syn_ack != 0) say("capture.old_syn", record_.evidence.another_syn_ack);
  }

  void reset() {
    const tcp::ResetCause cause = record_.reset_cause;
    if (cause == tcp::ResetCause::none || cause == tcp::ResetCause::refused) return;  // refused is told by the opening
    const std::string_view problem = explain::reset_reason_on_wire(cause).on_wire.problem;
    // It waited for a SYN-ACK, and sent its SYN again and again.
    if (cause == tcp::ResetCause::abandoned && record_.ends[opener].syn_resends >= 2) {
      say("capture.half_open_handshake", record_.reset_frame);
      return;
    }
    if (!problem.empty()) say(problem, record_.reset_frame, 1, record_.reset_assumed ? Grade::assumed : Grade::derived);
  }

  void transfer() {
    if (record_.opening == Opening::handshake || record_.opening == Opening::half_seen ||
        record_.opening == Opening::before_capture)
      sent_again();
    if (const auto shut = record_.sum(&EndRecord::zero_windows); shut > 0) {
      const bool long_shut = record_.greater(&EndRecord::longest_shut_ns) >= harmful_shut_ns;
      const std::uint32_t unanswered = record_.greater(&EndRecord::most_unanswered_probes);
      if (record_.both_seen() && unanswered > 0) {
        say("capture.probes_unanswered", record_.evidence.zero_window, unanswered);
      } else {
        say(long_shut ? "capture.zero_window" : "capture.zero_window_brief", record_.evidence.zero_window, shut);
      }
    }
    if (record_.both_seen() && record_.sum(&EndRecord::zero_windows) == 0) {
      for (const tcp::Side side : tcp::both_sides)
        if (is_limited_by_tiny_window(record_.ends[side], record_.ends[tcp::other(side)]))
          say("capture.tiny_window", record_.first_frame, record_.ends[side].window_full);
    }
    // What an older connection's end answered is told with that.
    if (const auto illegal = record_.sum(&EndRecord::illegal); illegal > 0 && record_.evidence.illegal != 0)
      say("capture.illegal", record_.evidence.illegal, illegal,
          record_.opening == Opening::before_capture || !record_.has_plain_segments ? Grade::assumed : Grade::derived);
    if (const auto overtaken = record_.sum(&EndRecord::reordered); overtaken >= 3)
      say("capture.reordered", record_.first_frame, overtaken);
  }

  // A verdict speaks of the same bytes once: unanswered, lost and needless exclude each other.
  void sent_again() {
    for (const EndRecord& end : record_.ends)
      if (end.damaged > 0) say("capture.damaged", end.first_damaged, end.damaged);
    const std::uint64_t needless = record_.sum(&EndRecord::needless), fins = record_.sum(&EndRecord::fins_again);
    if (fins > 0) say("capture.fin_again", record_.evidence.fin_again, fins);
    if (needless >= 2 && record_.evidence.timeout != 0 && record_.sum(&EndRecord::timeouts) >= 2 &&
        needless * 2 >= record_.retransmissions() && record_.sum(&EndRecord::fast_retransmissions) == 0) {
      say("capture.acks_lost", record_.evidence.needless, needless, Grade::assumed);
    } else if (needless >= 3) {
      say("capture.needless", record_.evidence.needless, needless);
    }
    // The listener has not taken the connection: nothing that was sent to it can have an answer.
    if (record_.evidence.repeated_syn_ack != 0 && record_.ends[listener].state == tcp::State::syn_received) return;
    const bool unanswered =
        (record_.both_seen() || record_.in_vain) && record_.reset_cause == tcp::ResetCause::none && give_up();
    for (const EndRecord& end : record_.ends)
      if (end.shrunk_through && !unanswered && record_.icmp.frame == 0)
        say("capture.mtu_black_hole", record_.evidence.retransmission, end.shrunk_after, Grade::assumed);
    // A SYN or FIN that was sent again is told with the opening or the end. Of one direction nothing tells whether a FIN was lost, or the
    // answers to it.
    std::uint64_t not_lost = needless + record_.sum(&EndRecord::assumed_resends) +
                             record_.sum(&EndRecord::syn_resends) + record_.sum(&EndRecord::damaged) +
                             (record_.both_seen() ? fins : record_.sum(&EndRecord::fin_resends));
    if (unanswered || record_.reset_cause == tcp::ResetCause::gave_up) not_lost += unanswered_resends();
    // Who had got all and closed answers each copy with a reset.
    if (record_.reset_cause == tcp::ResetCause::late_after_close) not_lost += record_.sum(&EndRecord::resets);
    const std::uint64_t all = record_.retransmissions(), again = all - std::min(all, not_lost);
    // Each once, however often the capture has it.
    const std::uint64_t seen = record_.sum(&EndRecord::data_segments);
    const std::uint64_t copies = record_.sum(&EndRecord::duplicates) + record_.sum(&EndRecord::offload_copies);
    const std::uint64_t data_segments = seen - std::min(seen, copies);
    // What an ICMP error about the MTU made it send again in other pieces was not lost in a queue.
    if (record_.icmp.error.mtu == 0) lost(again, data_segments);
    const std::uint64_t timeouts = record_.sum(&EndRecord::timeouts);
    if (const auto waits = timeouts - std::min<std::uint64_t>(timeouts, record_.evidence.needless_timeouts);
        waits > 0) {
      const std::uint64_t sure = record_.evidence.sure_waits;
      say("capture.timeout", record_.evidence.wait, sure != 0 ? sure : waits,
          sure != 0 ? Grade::derived : Grade::assumed);
    }
  }

  // What is known to have been lost; else with what may have been.
  void lost(std::uint64_t again, std::uint64_t data_segments) {
    const auto is_much = [&](std::uint64_t count) { return count >= 3 && count * 100 >= data_segments; };
    const std::uint64_t known = again - std::min(again, record_.sum(&EndRecord::blind_resends));
    const std::uint64_t with_doubtful = again + record_.sum(&EndRecord::late_or_lost);
    if (lost_data_shows(record_) && is_much(known)) {
      say("capture.loss", record_.evidence.retransmission, known);
    } else if (is_much(with_doubtful)) {
      say("capture.loss", record_.evidence.retransmission, with_doubtful, Grade::assumed);
    }
  }

  [[nodiscard]] std::uint32_t unanswered_resends() const { return record_.greater(&EndRecord::unanswered_resends); }

  // What was sent again and again to the end, and why it may have had no answer.
  bool give_up() {
    if (unanswered_resends() < 3) return false;
    const EndRecord& end = more_stuck(record_);
    const bool peer_closed = record_.ends[&end == &record_.ends[opener] ? listener : opener].sent_fin;
    const std::uint64_t times = end.unanswered_resends;
    // The answer may be on its way.
    if (!record_.waited_since(
            std::max(end.last_progress_ns, end.unanswered_since_ns + 2 * std::int64_t{end.srtt_us} * 1000)))
      return false;
    // Less than this any path takes (RFC 791: every host takes 576 bytes).
    constexpr std::uint32_t surely_through = 500;
    // Where nothing of it ever got through, its size tells nothing.
    const std::uint32_t through = std::max(end.largest_through, end.largest_sacked);
    const bool larger = through > 0 && end.stuck_length > std::max(through, surely_through) && !end.small_was_stuck;
    if (end.stamps_back > 0 && end.peer_answered) {
      say("capture.old_timestamps", end.unanswered_frame, times);
    } else if (end.only_fin_unacknowledged && peer_closed) {
      say("capture.fin_unanswered", record_.last_frame, times);
    } else if (end.only_fin_unacknowledged && !end.peer_answered) {
      say("capture.close_unanswered", record_.last_frame, times);
    } else if (larger && record_.icmp.frame == 0) {
      // In smaller pieces at last, of which nothing is known yet: what went before was in vain.
      say("capture.mtu_black_hole", end.unanswered_frame, end.shrunk_after > 0 ? end.shrunk_after : times,
          Grade::assumed);
    } else {
      say(end.peer_answered ? "capture.not_getting_through" : "capture.gave_up", end.unanswered_frame, times);
    }
    return true;
  }

  void observer() {
    if (record_.lacks_plain_segments()) {
      say("capture.flags_only", record_.evidence.gap);
    } else {
      lacking();
    }
    copies();
    if (record_.one_way) say("capture.one_way", record_.first_frame);
    if (const auto copies = record_.sum(&EndRecord::offload_copies); copies > 0)
      say("capture.offload", record_.evidence.offload, copies);
    if (const auto late = record_.sum(&EndRecord::behind_ack); late > 0)
      say("capture.out_of_order", record_.evidence.behind_ack, late);
    if (record_.left == Left::evicted) say("capture.evicted", record_.last_frame);
  }

  void lacking() {
    const auto* lacks = std::ranges::find_if(record_.ends, [&](const EndRecord& end) {
      return end.undelivered_bytes > 0 && record_.waited_since(end.last_progress_ns);
    });
    if (lacks != record_.ends.end()) say("capture.undelivered", lacks->missing_frame);
    if (record_.sum(&EndRecord::vanished_bytes) > 0 && record_.both_seen()) {
      const bool waited = std::ranges::all_of(record_.ends, [&](const EndRecord& end) {
        return end.vanished_bytes == 0 || record_.waited_since(end.vanished_ns);
      });
      const auto* lost = std::ranges::find_if(record_.ends, &EndRecord::vanished_bytes);
      say("capture.never_came", lost->missing_frame, 1, waited ? Grade::derived : Grade::assumed);
    }
    if (record_.sum(&EndRecord::unseen_bytes) > 0 && record_.both_seen()) say("capture.gaps", record_.evidence.gap);
  }

  // Where the capture makes them too, an answer may be to another one, which it lacks.
  static bool are_of_network(const EndRecord& end) {
    return end.copied_by_network() > 0 && std::uint64_t{end.copied_by_network()} * 2 >= end.duplicates;
  }

  // Made by the capture, or by the network.
  void copies() {
    std::uint64_t of_network = 0, answered = 0, first = 0;
    for (const EndRecord& end : record_.ends) {
      if (!are_of_network(end)) continue;
      of_network += end.copied_by_network();
      answered += end.answered_copies;
      first = first == 0 ? end.first_copy : std::min(first, end.first_copy);
    }
    if (of_network > 0)
      say("capture.copied_on_the_way", first, of_network, answered * 2 >= of_network ? Grade::derived : Grade::assumed);
    for (const EndRecord& end : record_.ends) {
      const std::uint64_t of_capture = end.duplicates;
      if (are_of_network(end) || end.data_segments < 2 || of_capture * 2 < end.data_segments) continue;
      say("capture.copies", record_.first_frame, of_capture, record_.both_seen() ? Grade::derived : Grade::assumed);
      break;
    }
  }

  const ConnectionRecord& record_;
  std::vector<Problem> found_;
};

}  // namespace

std::vector<Problem> problems_of(const ConnectionRecord& record) { return Finder(record).run(); }

}  // namespace tcpwhy::scan
