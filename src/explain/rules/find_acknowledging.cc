// How one side acknowledged what it received, and what the other waited for: ACKs that ride on answers, that reading sends, that
// TCP_QUICKACK sends, and small writes that Nagle holds back for a round trip.
#include <algorithm>
#include <utility>

#include "explain/story.h"

namespace tcpwhy::explain {
namespace {

using namespace std::chrono_literals;
using timeline::listener;
using timeline::opener;
using timeline::other;
using timeline::Timer;
using timeline::Trigger;

// A habit, not an accident.
constexpr std::int64_t habit = 3;
// TCP_ATO_MIN, RFC 1122 4.2.3.2: an answer that comes later than this can't take the ACK along.
constexpr base::Duration delayed_ack = 40ms;
constexpr base::Duration noticed = 10ms;
constexpr std::size_t evidence_limit = 16;

struct Times {
  std::int64_t count = 0;
  base::Duration longest{};
  Grade grade = Grade::observed;
  std::vector<EventId> evidence;

  void add(const Segment& segment, std::initializer_list<EventId> more = {}, base::Duration took = {}) {
    ++count;
    longest = std::max(longest, took);
    grade = std::max(grade, segment.cause.grade);
    if (evidence.size() >= evidence_limit) return;
    evidence.push_back(segment.departed);
    evidence.insert(evidence.end(), more.begin(), more.end());
  }
};

// setsockopt(TCP_QUICKACK) to anything but 0.
bool sets_quickack(const Call& call) {
  const auto* option = call.meaning.as<calls::Option>();
  return option != nullptr && option->is(tcp_quickack.level, tcp_quickack.number) && option->value.value_or(0) != 0;
}

// The segments of one connection in their order, from the point of view of the side that acknowledges.
class AcknowledgingWalk {
 public:
  AcknowledgingWalk(const Story& story, Side acker, Findings& findings)
      : story_(story), acker_(acker), findings_(findings) {}

  void run() {
    for (const auto s : story_.connection.segments) {
      const Segment& segment = story_.timeline.segments[s];
      if (segment.from != acker_)
        received(segment);
      else if (segment.tcp.flags.ack() && !segment.tcp.flags.rst())
        sent(segment);
    }
    report("ack.on_answer", on_answer_, habit);
    report("ack.by_reading", by_reading_, habit);
    report("ack.before_slow_answer", before_slow_answer_, habit);
    report("ack.by_quickack", by_quickack_, 1);
  }

 private:
  void received(const Segment& segment) {
    if (segment.segment_class != tcp::SegmentClass::data || !segment.arrived) return;
    waiting_ = &segment;
    acked_at_once_ = nullptr;
  }

  void sent(const Segment& segment) {
    const bool answers = segment.segment_class == tcp::SegmentClass::data;
    if (answers && acked_at_once_ != nullptr) answered(segment);
    if (waiting_ == nullptr || segment.departed < *waiting_->arrived ||
        tcp::before(segment.tcp.ack, tcp::advance(waiting_->tcp.seq, waiting_->tcp.sequence_length())))
      return;
    if (answers)
      on_answer_.add(segment, {*waiting_->arrived});
    else if (segment.cause.trigger == Trigger::call && segment.cause.by)
      by_call(segment);
    else if (segment.cause.trigger == Trigger::segment)
      acked_at_once_ = &segment, request_ = waiting_;
    waiting_ = nullptr;
  }

  void by_call(const Segment& segment) {
    const Call* call = story_.call_at(*segment.cause.by);
    if (call == nullptr) return;
    const bool reads = Story::effect(*call) == Effect::receives;
    const bool asked = quickack_ != nullptr && quickack_->entered <= call->entered;
    if (reads && !asked) by_reading_.add(segment, {*waiting_->arrived, call->entered});
    // setsockopt() itself sends what is owed, or the recv() that follows it does.
    if (asked && (reads || Story::effect(*call) == Effect::sets_option))
      by_quickack_.add(segment, {*waiting_->arrived, quickack_->entered, call->entered});
  }

  // The answer to a request that had been acknowledged at once: was it too late for the ACK to wait for it?
  void answered(const Segment& answer) {
    const auto took = story_.time(answer.departed) - story_.time(*request_->arrived);
    const bool asked = quickack_ != nullptr && quickack_->entered < acked_at_once_->departed;
    if (took >= delayed_ack)
      before_slow_answer_.add(*acked_at_once_, {*request_->arrived, answer.departed}, took);
    else if (asked)
      by_quickack_.add(*acked_at_once_, {*request_->arrived, quickack_->entered}, took);
    acked_at_once_ = nullptr;
  }

  // The first TCP_QUICKACK that this side set.
  [[nodiscard]] const Call* first_quickack() const {
    for (const Call* call : story_.calls(acker_, Effect::sets_option))
      if (story_.succeeded(*call) && sets_quickack(*call)) return call;
    return nullptr;
  }

  void report(std::string_view rule, const Times& times, std::int64_t least) {
    if (times.count < least) return;
    findings_.add(rule, story_, times.grade, times.evidence).slots = {{"who", story_.name(acker_)},
                                                                      {"peer", story_.name(other(acker_))},
                                                                      {"times", times.count},
                                                                      {"after", times.longest}};
  }

  const Story& story_;
  Side acker_;
  Findings& findings_;
  const Call* quickack_ = first_quickack();
  const Segment* waiting_ = nullptr;        // data that is not acknowledged yet
  const Segment* acked_at_once_ = nullptr;  // the ACK of request_, nothing having come since
  const Segment* request_ = nullptr;
  Times on_answer_, by_reading_, before_slow_answer_, by_quickack_;
};

// tcp_fin() puts the receiver back into pingpong mode: what TCP_QUICKACK had set before is gone.
void find_quickack_before_fin(const Story& story, Side closer, Findings& findings) {
  const Segment* fin = story.fin_of(closer);
  if (fin == nullptr || !fin->arrived) return;
  const Call* option = story.option_set(other(closer), tcp_quickack, story.time(*fin->arrived));
  if (option == nullptr || !sets_quickack(*option)) return;
  const Segment* ack = story.acknowledgment_of(*fin);
  if (ack == nullptr || ack->cause.timer != Timer::delayed_ack) return;
  findings.add("fin_ack.despite_quickack", story, ack->cause.grade, {option->entered, *fin->arrived, ack->departed})
      .slots = {{"who", story.name(other(closer))},
                {"peer", story.name(closer)},
                {"after", story.time(ack->departed) - story.time(*fin->arrived)}};
}

// Bytes behind `ack` that its sender has room for.
std::uint64_t room_behind(const Story& story, const Segment& ack) {
  const auto shift = [&](Side side) {
    const auto& options = story.connection.sides[side].syn_options;
    return options ? options->window_scale : std::nullopt;
  };
  const auto scale = shift(ack.from);
  const bool agreed = scale && shift(other(ack.from)) && !ack.tcp.flags.syn();
  return std::uint64_t{ack.tcp.window} << (agreed ? std::min<unsigned>(*scale, 14U) : 0U);
}

// What had been said of the peer's room before left none for all of that segment: the window held it, whatever Nagle would have done.
bool had_no_room(const Story& story, const Segment* said, const Segment& segment) {
  if (said == nullptr) return false;
  const auto end = tcp::advance(segment.tcp.seq, segment.tcp.payload_length);
  return static_cast<std::uint64_t>(std::max<std::int64_t>(tcp::distance(said->tcp.ack, end), 0)) >
         room_behind(story, *said);
}

// A small segment that left as the ACK of another small one came: Nagle, a round trip. (stall.nagle_delayed_ack has those for
// which that ACK was held back by a timer.)
void find_nagle_round_trip(const Story& story, Side side, Findings& findings) {
  const auto& sending = story.calls(side, Effect::sends);
  if (sending.empty()) return;
  Times times;
  const Segment* before = nullptr;
  const Segment* ack = nullptr;   // the latest that arrived
  const Segment* said = nullptr;  // the one before it
  std::int64_t calls = 0;
  auto next_call = sending.begin();
  for (const auto s : story.connection.segments) {
    const Segment& segment = story.timeline.segments[s];
    if (segment.from != side) {
      if (segment.arrived && segment.tcp.flags.ack()) said = std::exchange(ack, &segment);
      continue;
    }
    if (segment.segment_class != tcp::SegmentClass::data) continue;
    const Segment* earlier = std::exchange(before, &segment);
    if (earlier == nullptr || !nagle_holds(story, segment) || fills_segment(story, *earlier)) continue;
    if (segment.cause.trigger != Trigger::segment || !segment.cause.by || ack == nullptr ||
        ack->arrived != segment.cause.by || ack->cause.timer == Timer::delayed_ack || ack->tcp.window == 0 ||
        had_no_room(story, said, segment))
      continue;
    // Who had called send() meanwhile.
    while (next_call != sending.end() && (*next_call)->entered < earlier->departed) ++next_call;
    std::int64_t joined = 0;
    std::optional<EventId> first;
    for (; next_call != sending.end() && (*next_call)->entered < segment.departed; ++next_call) {
      if (!story.succeeded(**next_call)) continue;
      if (!first) first = (*next_call)->entered;
      ++joined;
    }
    if (!first || story.time(segment.departed) - story.time(*first) < noticed) continue;
    calls = std::max(calls, joined);
    times.add(segment, {*first, earlier->departed}, story.time(segment.departed) - story.time(*first));
  }
  if (times.count == 0) return;
  findings.add("send.waited_for_ack", story, std::max(times.grade, Grade::derived), times.evidence).slots = {
      {"who", story.name(side)},
      {"peer", story.name(other(side))},
      {"times", times.count},
      {"calls", calls},
      {"after", times.longest}};
}

// One call, many segments.
void find_segmented(const Story& story, Side side, Findings& findings) {
  const Call* biggest = nullptr;
  for (const Call* call : story.calls(side, Effect::sends))
    if (story.succeeded(*call) && (biggest == nullptr || story.result(*call) > story.result(*biggest))) biggest = call;
  if (biggest == nullptr) return;
  const auto bytes = story.result(*biggest);
  std::uint32_t largest = 0;
  std::int64_t segments = 0, left = bytes;
  std::vector<EventId> evidence = {biggest->entered};
  for (const Segment* segment : story.segments(side)) {
    if (segment->segment_class != tcp::SegmentClass::data || segment->departed < biggest->entered) continue;
    if (left <= 0) break;
    left -= segment->tcp.payload_length;
    largest = std::max(largest, segment->tcp.payload_length);
    ++segments;
    if (evidence.size() < evidence_limit) evidence.push_back(segment->departed);
  }
  if (segments < 2 || left > 0 || bytes <= static_cast<std::int64_t>(largest)) return;
  findings.add("send.segmented", story, Grade::derived, evidence).slots = {{"who", story.name(side)},
                                                                           {"call", story.line(*biggest)},
                                                                           {"bytes", bytes},
                                                                           {"segments", segments},
                                                                           {"largest", std::int64_t{largest}}};
}

// --- Urgent data --------------------------------------------------------------------------------------------------

// Linux keeps one urgent byte, the last of what MSG_OOB sent. RFC 6093 2, 3.1.
void find_urgent(const Story& story, Side side, Findings& findings) {
  const Side reader = other(side);
  const Segment* first = nullptr;
  for (const Segment* segment : story.segments(side)) {
    if (!segment->tcp.flags.urg() || !segment->arrived || segment->segment_class == tcp::SegmentClass::retransmission)
      continue;
    const auto arrived = story.time(*segment->arrived);
    const Call* option = story.option_set(reader, so_oobinline, arrived);
    if (option != nullptr && option->meaning.as<calls::Option>()->value.value_or(1) != 0) {
      findings.add("urgent.inline", story, Grade::observed, {option->entered, *segment->arrived}).slots = {
          {"who", story.name(side)}, {"peer", story.name(reader)}};
      return;
    }
    if (first == nullptr) {
      first = segment;
      findings.add("urgent.apart", story, Grade::observed, {*segment->arrived}).slots = {{"who", story.name(side)},
                                                                                         {"peer", story.name(reader)}};
      continue;
    }
    const auto receives = story.calls_between(reader, Effect::receives, *first->arrived, *segment->arrived);
    const bool taken = std::ranges::any_of(
        receives, [&](const Call* call) { return story.succeeded(*call) && call->meaning.has(MSG_OOB); });
    if (taken) {
      first = segment;
      continue;
    }
    findings.add("urgent.replaced", story, Grade::derived, {*first->arrived, *segment->arrived}).slots = {
        {"who", story.name(side)}, {"peer", story.name(reader)}};
    return;
  }
}

}  // namespace

// Options count as data.
bool fills_segment(const Story& story, const Segment& segment) {
  const auto& options = story.connection.sides[other(segment.from)].syn_options;
  constexpr std::uint32_t timestamps = 12;
  const std::uint32_t most = options ? options->maximum_segment_size.value_or(536) : 536;
  return segment.tcp.payload_length >= (most > timestamps ? most - timestamps : most);
}

bool nagle_holds(const Story& story, const Segment& segment) {
  const Call* option = story.option_set(segment.from, tcp_nodelay, story.time(segment.departed));
  const bool off = option != nullptr && option->meaning.as<calls::Option>()->value.value_or(1) != 0;
  return !off && !fills_segment(story, segment);
}

void find_acknowledging(const Story& story, Findings& findings) {
  for (const Side side : {opener, listener}) {
    AcknowledgingWalk(story, side, findings).run();
    find_quickack_before_fin(story, side, findings);
    find_nagle_round_trip(story, side, findings);
    find_segmented(story, side, findings);
    find_urgent(story, side, findings);
  }
}

}  // namespace tcpwhy::explain
