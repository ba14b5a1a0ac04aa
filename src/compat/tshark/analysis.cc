#include "compat/tshark/analysis.h"

#include <algorithm>

namespace tcpwhy::compat::tshark {
namespace {

// Order on the circle of 2^32. Numbers that lie exactly 2^31 apart are before each other: so Wireshark compares.
constexpr bool before(std::uint32_t a, std::uint32_t b) { return static_cast<std::int32_t>(a - b) < 0; }
constexpr bool after(std::uint32_t a, std::uint32_t b) { return before(b, a); }
constexpr bool not_after(std::uint32_t a, std::uint32_t b) { return static_cast<std::int32_t>(a - b) <= 0; }

// The time from `earlier` to `later`; where the clock went backwards it is longer than any threshold.
constexpr std::uint64_t elapsed(std::int64_t earlier, std::int64_t later) {
  return static_cast<std::uint64_t>(later) - static_cast<std::uint64_t>(earlier);
}

constexpr std::uint64_t fast_retransmission_within_ns = 20'000'000;
constexpr std::uint64_t out_of_order_within_ns = 3'000'000;  // where the round trip is not known
constexpr std::uint32_t most_in_flight = 2'000'000'000;      // more is a miscount

class SegmentAnalyser {
 public:
  SegmentAnalyser(const Segment& segment, const Context& context, Flow& sender, Flow& receiver, Findings& findings)
      : s_(segment), context_(context), sender_(sender), receiver_(receiver), findings_(findings) {}

  void run() {
    learn_base_sequence_numbers();
    judge_position_and_window();
    note_new_acknowledgment();
    judge_acknowledgment_of_unseen();
    judge_resent();
    remember_sent();
    remember_acknowledgment();
    retire_acknowledged();
    measure_in_flight();
  }

 private:
  // --- rules over the position of the segment and its window --------------------------------------------------

  [[nodiscard]] bool at_next_seq() const { return s_.seq == sender_.next_seq; }
  [[nodiscard]] bool repeats_ack() const { return s_.ack == sender_.last_ack; }
  [[nodiscard]] bool is_bare_repetition() const {
    return s_.length == 0 && at_next_seq() && repeats_ack() && !s_.opens_or_ends();
  }
  [[nodiscard]] bool repeats_open_window() const { return s_.window != 0 && s_.window == sender_.window; }

  [[nodiscard]] bool is_zero_window_probe() const { return s_.length == 1 && at_next_seq() && receiver_.window == 0; }
  [[nodiscard]] bool is_zero_window() const { return s_.window == 0 && !s_.opens_or_ends(); }
  [[nodiscard]] bool leaves_hole() const {
    return sender_.next_seq != 0 && after(s_.seq, sender_.next_seq) && !s_.rst();
  }
  [[nodiscard]] bool is_keep_alive() const {
    return s_.length <= 1 && s_.seq == sender_.next_seq - 1 && !s_.opens_or_ends();
  }
  [[nodiscard]] bool is_window_update() const {
    return is_bare_repetition() && s_.window != 0 && s_.window != sender_.window;
  }
  // The window that the receiver offered last, in bytes. That of a SYN is not scaled.
  [[nodiscard]] std::uint32_t offered_window() const {
    const bool scaled = !receiver_.awaits_first_ack && receiver_.window_scale > 0;
    return receiver_.window << (scaled ? static_cast<unsigned>(receiver_.window_scale) : 0U);
  }
  [[nodiscard]] bool fills_window() const {
    return s_.length > 0 && receiver_.window_scale != Flow::scale_unknown && !s_.opens_or_ends() &&
           s_.seq + s_.length == receiver_.last_ack + offered_window();
  }
  [[nodiscard]] bool answers_keep_alive() const {
    return is_bare_repetition() && repeats_open_window() && receiver_.last_verdicts.has(Verdict::keep_alive);
  }
  [[nodiscard]] bool answers_zero_window_probe() const {
    return is_bare_repetition() && s_.window == 0 && sender_.window == 0 &&
           receiver_.last_verdicts.has(Verdict::zero_window_probe);
  }
  // RFC 8684 4: an acknowledgment that brings an MPTCP option of a new kind is no duplicate.
  [[nodiscard]] bool is_duplicate_ack() const {
    const bool new_multipath =
        context_.multipath_operations && *context_.multipath_operations != sender_.multipath_operations;
    return is_bare_repetition() && repeats_open_window() && !new_multipath;
  }

  void judge_position_and_window() {
    if (is_zero_window_probe()) return findings_.add(Verdict::zero_window_probe);
    if (is_zero_window()) findings_.add(Verdict::zero_window);
    if (leaves_hole()) {
      findings_.add(Verdict::lost_segment);
      sender_.counts_in_flight = false;
    }
    if (is_keep_alive()) findings_.add(Verdict::keep_alive);
    if (is_window_update()) findings_.add(Verdict::window_update);
    if (fills_window()) findings_.add(Verdict::window_full);
    if (answers_keep_alive()) return findings_.add(Verdict::keep_alive_ack);
    if (answers_zero_window_probe()) return findings_.add(Verdict::zero_window_probe_ack);
    if (is_duplicate_ack()) count_duplicate_ack();
  }

  void count_duplicate_ack() {
    sender_.duplicate_acks = sender_.duplicate_acks == Flow::told_unseen ? 1 : sender_.duplicate_acks + 1;
    findings_.add(Verdict::duplicate_ack);
    findings_.duplicate_ack_number = sender_.duplicate_acks;
    findings_.duplicate_ack_frame = sender_.first_of_ack_frame;
  }

  // --- rules over the acknowledgment --------------------------------------------------------------------------

  void note_new_acknowledgment() {
    if (repeats_ack()) return;
    sender_.first_of_ack_frame = static_cast<std::uint32_t>(s_.frame);
    sender_.duplicate_acks = 0;
  }

  // The receiver sent something that was not captured, or was captured behind a hole. Told once: either what was seen is
  // taken as whole from now on, or, where nothing of it was seen, the receiver's count of duplicates is made a mark.
  void judge_acknowledgment_of_unseen() {
    if (receiver_.contiguous_end == 0 || !after(s_.ack, receiver_.contiguous_end) || !s_.ack_set()) return;
    findings_.found = true;
    if (before(receiver_.contiguous_end, receiver_.next_seq)) {
      receiver_.contiguous_end = receiver_.next_seq;
      return findings_.add(Verdict::ack_lost_segment);
    }
    if (receiver_.duplicate_acks == 0) findings_.add(Verdict::ack_lost_segment);
    receiver_.duplicate_acks = Flow::told_unseen;
  }

  // --- rules over what was sent before ------------------------------------------------------------------------

  [[nodiscard]] bool occupies_sequence_space() const { return s_.length > 0 || s_.syn() || s_.fin(); }
  [[nodiscard]] std::uint32_t end_with_flags() const { return s_.seq + s_.length + (s_.syn() || s_.fin() ? 1U : 0U); }
  // More than one byte from the byte before the furthest: new data after what may have been a probe.
  [[nodiscard]] bool continues_after_probe() const { return s_.length > 1 && sender_.next_seq - 1 == s_.seq; }
  [[nodiscard]] bool does_not_advance() const {
    return sender_.next_seq != 0 && before(s_.seq, sender_.next_seq) && !continues_after_probe();
  }
  [[nodiscard]] bool was_acknowledged() const {
    return s_.length > 0 && receiver_.last_ack != 0 && not_after(s_.seq + s_.length, receiver_.last_ack);
  }
  [[nodiscard]] bool answers_duplicate_acks() const {
    return receiver_.duplicate_acks >= 2 && receiver_.last_ack == s_.seq &&
           elapsed(receiver_.last_ack_at_ns, s_.at_ns) < fast_retransmission_within_ns;
  }
  [[nodiscard]] bool arrives_late() const {
    const std::uint64_t within =
        context_.initial_rtt_ns != 0 ? static_cast<std::uint64_t>(context_.initial_rtt_ns) : out_of_order_within_ns;
    return elapsed(sender_.next_seq_at_ns, s_.at_ns) < within && sender_.next_seq != end_with_flags();
  }

  void judge_resent() {
    if (!occupies_sequence_space() || findings_.verdicts.has(Verdict::keep_alive)) return;
    if (was_acknowledged()) return findings_.add(Verdict::spurious_retransmission);
    if (!does_not_advance()) return;
    if (answers_duplicate_acks()) return findings_.add(Verdict::fast_retransmission);
    if (arrives_late()) return findings_.add(Verdict::out_of_order);
    findings_.add(Verdict::retransmission);
    // Counted from the oldest segment that is not acknowledged; without one, from that with the furthest number.
    const bool nothing_kept = sender_.unacknowledged.empty();
    findings_.rto_frame = nothing_kept ? sender_.next_seq_frame : sender_.unacknowledged.front().frame;
    findings_.rto_ns = s_.at_ns - (nothing_kept ? sender_.next_seq_at_ns : sender_.unacknowledged.front().at_ns);
  }

  // --- what is remembered ------------------------------------------------------------------------------------

  // Relative numbers begin with 0 at a SYN, with 1 where the SYN was not seen.
  void learn_base_sequence_numbers() {
    if (!sender_.base_seq) sender_.base_seq = s_.syn() ? s_.seq : s_.seq - 1;
    if (!receiver_.base_seq && s_.ack_set()) receiver_.base_seq = s_.ack - 1;
    if (s_.ack_set()) receiver_.counts_in_flight = true;
  }

  void remember_sent() {
    std::uint32_t end = s_.seq + s_.length;
    if (occupies_sequence_space() && sender_.unacknowledged.size() < Flow::most_unacknowledged) {
      end = end_with_flags();
      sender_.unacknowledged.push_back({.frame = s_.frame, .at_ns = s_.at_ns, .seq = s_.seq, .next_seq = end});
      if (sender_.extent) widen_extent(sender_.unacknowledged.back());
    }
    const bool probe = findings_.verdicts.has(Verdict::zero_window_probe);
    if (!probe && (after(end, sender_.next_seq) || sender_.next_seq == 0)) {
      sender_.next_seq = end;
      sender_.next_seq_frame = static_cast<std::uint32_t>(s_.frame);
      sender_.next_seq_at_ns = s_.at_ns;
    }
    if (!probe && (s_.seq == sender_.contiguous_end || sender_.contiguous_end == 0)) {
      sender_.contiguous_end = sender_.next_seq;
    }
  }

  void remember_acknowledgment() {
    sender_.window = s_.window;
    sender_.last_ack = s_.ack;
    sender_.last_ack_at_ns = s_.at_ns;
    sender_.last_verdicts = findings_.verdicts;
    if (context_.multipath_operations) sender_.multipath_operations = *context_.multipath_operations;
  }

  // What of a segment is acknowledged is cut off its front. Of several that end where the acknowledgment stands, the one
  // sent first is the one acknowledged.
  void retire_acknowledged() {
    auto& sent = receiver_.unacknowledged;
    for (const Unacknowledged& segment : sent) {
      if (segment.next_seq != s_.ack) continue;
      findings_.found = true;
      findings_.acks_frame = segment.frame;
      findings_.ack_rtt_ns = s_.at_ns - segment.at_ns;
      break;
    }
    std::size_t kept = 0;
    for (Unacknowledged& segment : sent) {
      if (segment.next_seq == s_.ack || !after(segment.next_seq, s_.ack)) continue;
      if (after(s_.ack, segment.seq)) {
        segment.seq = s_.ack;
        receiver_.extent.reset();
      }
      sent[kept++] = segment;
    }
    if (kept == sent.size()) return;
    sent.resize(kept);
    receiver_.extent.reset();
  }

  // --- how much is under way -----------------------------------------------------------------------------------

  void widen_extent(const Unacknowledged& segment) {
    const std::uint32_t base = *sender_.base_seq;
    Flow::Extent& extent = *sender_.extent;
    extent.first = std::min(extent.first, segment.seq - base);
    extent.last = std::max(extent.last, segment.next_seq - base);
  }

  void find_extent() {
    sender_.extent = {.first = 0xffff'ffff, .last = 0};
    for (const Unacknowledged& segment : sender_.unacknowledged) widen_extent(segment);
  }

  void measure_in_flight() {
    if (s_.length == 0 || sender_.unacknowledged.empty() || !sender_.counts_in_flight) return;
    if (!sender_.extent) find_extent();
    const std::uint32_t in_flight = sender_.extent->last - sender_.extent->first - receiver_.selectively_acked;
    findings_.found = true;
    if (in_flight > 0 && in_flight < most_in_flight) {
      findings_.bytes_in_flight = in_flight - (s_.syn() || s_.fin() ? 1U : 0U);
    }
    count_bytes_since_push();
    findings_.push_bytes_sent = sender_.bytes_since_push;
  }

  void count_bytes_since_push() {
    if (sender_.last_was_pushed) sender_.bytes_since_push = 0;
    sender_.bytes_since_push += s_.length;
    sender_.last_was_pushed = s_.psh();
  }

  const Segment& s_;
  const Context& context_;
  Flow& sender_;
  Flow& receiver_;
  Findings& findings_;
};

}  // namespace

void analyze(const Segment& segment, const Context& context, Flow& sender, Flow& receiver, Findings& findings) {
  SegmentAnalyser(segment, context, sender, receiver, findings).run();
}

}  // namespace tcpwhy::compat::tshark
