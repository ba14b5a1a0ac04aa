// Nobody answered any more, or not for a while: retransmissions, probes, shut windows, and the kernel that gives up.
#include <algorithm>
#include <cerrno>
#include <utility>

#include "explain/rules/attempt.h"
#include "explain/texts/drop_reasons.h"

namespace tcpwhy::explain {
namespace {

using namespace std::chrono_literals;
using timeline::listener;
using timeline::opener;
using timeline::other;
using timeline::Timer;
using timeline::Trigger;

// A stall that a person would not notice is no stall: the floor of the delayed-ACK timer is 40 ms, of which a tick may be missing.
constexpr base::Duration stall = 30ms;
constexpr base::Duration long_shut = 100ms;

// The error with which the kernel gave the connection up, where it is known first: on the socket, or by a call.
struct GaveUp {
  EventId event;
  int error;
  const Call* call;
};
std::optional<GaveUp> gave_up(const Story& story, Side side) {
  const auto is_one = [](int error) { return error == ETIMEDOUT || error == EHOSTUNREACH || error == ENETUNREACH; };
  std::optional<GaveUp> found;
  for (const auto& kernel : story.connection.kernel)
    if (const auto* error = std::get_if<recording::SocketError>(&story.timeline.event(kernel.event).what))
      if (!found && kernel.side == side && is_one(error->error)) found = GaveUp{kernel.event, error->error, nullptr};
  for (const Call* call : story.calls(side)) {
    const auto* returned = story.timeline.returned(*call);
    if (returned == nullptr || returned->result >= 0 || !is_one(returned->error)) continue;
    if (Story::effect(*call) == Effect::connects) continue;
    if (!found) found = GaveUp{*call->returned, returned->error, call};
    if (found->call == nullptr) found->call = call;
    break;
  }
  return found;
}

// What this side sent since it last heard anything.
struct Unanswered {
  std::vector<EventId> events;
  std::int64_t data = 0, keep_alive = 0, window = 0;
  std::optional<base::WallTime> since;
};
Unanswered unanswered(const Story& story, Side side, base::WallTime until) {
  Unanswered sent;
  for (const auto s : story.connection.segments) {
    const Segment& segment = story.timeline.segments[s];
    if (story.time(segment.departed) > until) break;
    if (segment.from != side) {
      if (segment.arrived) sent = {};
      continue;
    }
    if (segment.tcp.flags.rst()) continue;
    const auto timer = segment.cause.timer;
    if (timer == Timer::zero_window_probe)
      ++sent.window;
    else if (timer == Timer::keep_alive || segment.segment_class == tcp::SegmentClass::keep_alive)
      ++sent.keep_alive;
    else if (segment.segment_class == tcp::SegmentClass::retransmission)
      ++sent.data;
    else if (segment.tcp.sequence_length() == 0)
      continue;
    if (!sent.since) sent.since = story.time(segment.departed);
    sent.events.push_back(segment.departed);
  }
  return sent;
}

// RFC 9293 3.8.3: "When the number of transmissions of the same segment reaches a threshold R2 greater than R1, close
// the connection." Linux: tcp_retries2, tcp_syn_retries.
void find_given_up(const Story& story, Side side, Findings& findings) {
  const auto given = gave_up(story, side);
  // A connection that never stood was not given up: find_attempts() tells what became of it.
  if (!given ||
      (side == opener && story.connection.without_packets() && !failed_attempts(story).empty() && !was_answered(story)))
    return;
  const auto at = story.time(given->event);
  const auto sent = unanswered(story, side, at);
  const bool stood = std::ranges::any_of(story.connection.changes, [&](const auto& change) {
    return change.side == side && change.to == tcp::State::established;
  });
  const Call* limit = story.option_set(side, tcp_user_timeout, at);
  const bool limited = limit != nullptr && limit->meaning.as<calls::Option>()->value.value_or(1) != 0;
  // open.timed_out speaks of a connection that never stood, but not of that limit.
  if (!stood && !limited && !story.connection.without_packets() && !story.connection.began_before_capture) return;
  std::string_view rule = "gave_up.retransmissions";
  if (given->error != ETIMEDOUT)
    rule = "gave_up.unreachable";
  else if (limited && sent.keep_alive == 0)
    rule = "gave_up.user_timeout";
  else if (sent.keep_alive > 0 && sent.data == 0)
    rule = "gave_up.keep_alive";
  else if (sent.window > 0 && sent.data == 0)
    rule = "gave_up.window_probes";
  std::vector<EventId> evidence = sent.events;
  evidence.push_back(given->event);
  const auto times = rule == "gave_up.keep_alive"      ? sent.keep_alive
                     : rule == "gave_up.window_probes" ? sent.window
                                                       : sent.data;
  // Without packets the error alone says that something was not answered, not what.
  const Grade grade = story.connection.without_packets() ? Grade::assumed : Grade::derived;
  auto& finding = findings.add(rule, story, grade, evidence);
  finding.slots = {{"who", story.name(side)},
                   {"peer", story.name(other(side))},
                   {"times", times},
                   {"after", sent.since ? at - *sent.since : base::Duration{}},
                   {"error", error_words(given->error)}};
}

// --- Nagle and the delayed ACK -----------------------------------------------------------------------------------

// The segment whose arrival this is; near `before`, for it was the last to arrive.
const Segment* arrived_as(const Story& story, EventId arrival, const Segment& before) {
  const auto& list = story.connection.segments;
  const auto self = static_cast<timeline::SegmentIndex>(&before - story.timeline.segments.data());
  auto it = std::ranges::lower_bound(list, self);
  for (int steps = 0; it != list.begin() && steps < 64; ++steps) {
    const Segment& segment = story.timeline.segments[*--it];
    if (segment.arrived == arrival) return &segment;
  }
  return nullptr;
}

// A small segment that left only with the ACK that the other side's delayed-ACK timer held back.
void find_nagle(const Story& story, Side side, Findings& findings) {
  std::vector<EventId> evidence;
  base::Duration longest{};
  std::int64_t times = 0;
  for (const Segment* segment : story.segments(side)) {
    if (segment->tcp.payload_length == 0 || segment->cause.trigger != Trigger::segment || !segment->cause.by) continue;
    if (!nagle_holds(story, *segment)) continue;
    const Segment* ack = arrived_as(story, *segment->cause.by, *segment);
    if (ack == nullptr || ack->from == side || ack->cause.timer != Timer::delayed_ack || !ack->cause.by) continue;
    const Segment* first = arrived_as(story, *ack->cause.by, *ack);
    if (first == nullptr) continue;
    // Who called send() before the ACK was there; where no calls were seen, the earlier segment's departure.
    std::optional<base::WallTime> wanted;
    const auto sends = story.calls_between(side, Effect::sends, first->departed, ack->departed);
    if (const auto call = std::ranges::find_if(sends, [&](const Call* one) { return story.succeeded(*one); });
        call != sends.end()) {
      wanted = story.time((*call)->entered);
      evidence.push_back((*call)->entered);
    }
    if (!wanted && story.calls(side).empty()) wanted = story.time(first->departed);
    if (!wanted || story.time(segment->departed) - *wanted < stall) continue;
    longest = std::max(longest, story.time(segment->departed) - *wanted);
    ++times;
    for (const EventId id : {first->departed, ack->departed, segment->departed}) evidence.push_back(id);
  }
  if (times == 0) return;
  findings.add("stall.nagle_delayed_ack", story, story.calls(side).empty() ? Grade::assumed : Grade::derived, evidence)
      .slots = {{"who", story.name(side)}, {"peer", story.name(other(side))}, {"times", times}, {"after", longest}};
}

// --- Windows -----------------------------------------------------------------------------------------------------

// RFC 9293 3.8.6.1: "A TCP implementation MAY keep its offered receive window closed indefinitely" So a shut window
// alone is no error.
void find_zero_window(const Story& story, Side reader, Findings& findings) {
  std::vector<EventId> evidence;
  std::optional<base::WallTime> shut;
  base::Duration longest{};
  std::int64_t probes = 0;
  bool opened = true;
  for (const auto s : story.connection.segments) {
    const Segment& segment = story.timeline.segments[s];
    if (segment.from != reader) {
      if (shut &&
          (segment.cause.timer == Timer::zero_window_probe || segment.segment_class == tcp::SegmentClass::keep_alive))
        ++probes;
      continue;
    }
    if (segment.tcp.flags.rst() || segment.tcp.flags.syn()) continue;
    if (segment.tcp.window == 0 && !shut) {
      shut = story.time(segment.departed);
      evidence.push_back(segment.departed);
      opened = false;
    } else if (segment.tcp.window > 0 && shut) {
      longest = std::max(longest, story.time(segment.departed) - *shut);
      evidence.push_back(segment.departed);
      shut.reset();
      opened = true;
    }
  }
  if (shut) longest = std::max(longest, story.connection.ended - *shut);
  if (evidence.empty() || (opened && longest < long_shut)) return;
  findings.add("stall.zero_window", story, story.calls(reader).empty() ? Grade::observed : Grade::derived, evidence)
      .slots = {
      {"who", story.name(reader)}, {"peer", story.name(other(reader))}, {"after", longest}, {"probes", probes}};
}

// --- Bytes that waited in this side's kernel -----------------------------------------------------------------------

// MSG_MORE, and nothing left during the call.
bool more_to_come(const Story& story, const Call& call) {
  return call.meaning.has(MSG_MORE) && !story.caused_any(call);
}

void find_held_back(const Story& story, Side side, Findings& findings) {
  const auto& calls = story.calls(side, Effect::sends);
  auto next = calls.begin();
  const Call* sending = nullptr;  // the latest that had succeeded before `releasing`
  for (const Segment* segment : story.segments(side)) {
    if (segment->tcp.payload_length == 0 || segment->cause.trigger != Trigger::call || !segment->cause.by) continue;
    const EventId releasing_id = *segment->cause.by;
    for (; next != calls.end() && (*next)->returned && *(*next)->returned < releasing_id; ++next)
      if (story.succeeded(**next)) sending = *next;
    const bool sends = next != calls.end() && (*next)->entered == releasing_id;
    // A call that sends takes along what MSG_MORE left behind.
    if (sending == nullptr || (sends && !more_to_come(story, *sending))) continue;
    const Call* releasing = sends ? *next : story.call_at(releasing_id);
    if (releasing == nullptr) continue;
    // A call that only touches what another call is sending at the same time holds nothing back.
    const auto effect = Story::effect(*releasing);
    const bool releases = sends || effect == Effect::sets_option || effect == Effect::closes;
    if (!releases && story.time(segment->departed) - story.time(*sending->returned) < 100us) continue;
    findings
        .add("send.held_back", story, segment->cause.grade, {sending->entered, releasing->entered, segment->departed})
        .slots = {{"who", story.name(side)},
                  {"call", story.line(*sending)},
                  {"by", story.line(*releasing)},
                  {"after", story.time(segment->departed) - story.time(sending->entered)}};
    return;
  }
}

// tcp(7): 200 ms, less a tick.
constexpr base::Duration cork_ceiling = 196ms;

bool corked(const Story& story, const Call& call) {
  if (call.meaning.has(MSG_MORE)) return true;
  const Call* option = story.option_set(call.side, tcp_cork, story.time(call.entered));
  return option != nullptr && option->meaning.as<calls::Option>()->value.value_or(0) != 0;
}

// What a cork held leaves after 200 ms by the timer that probes windows, although the window is open. (tcp_push() arms it.)
void find_cork_timer(const Story& story, Side side, Findings& findings) {
  const auto& calls = story.calls(side, Effect::sends);
  auto next = calls.begin();
  bool open = false;
  const Call* first = nullptr;  // of those whose bytes have not left
  for (const auto s : story.connection.segments) {
    const Segment& segment = story.timeline.segments[s];
    if (segment.from != side) {
      open = segment.tcp.window > 0;
      continue;
    }
    if (segment.segment_class != tcp::SegmentClass::data) continue;
    for (; next != calls.end() && (*next)->entered < segment.departed; ++next)
      if (first == nullptr && story.succeeded(**next)) first = *next;
    const Call* held = std::exchange(first, nullptr);
    // The same timer sends what does not fit into a window that is open a little.
    if (held == nullptr || !open || !corked(story, *held)) continue;
    const bool said = segment.cause.timer == Timer::zero_window_probe;
    // The probe misses some timers: what was corked and waited as long as only this one makes it wait.
    const bool waited = segment.cause.trigger != Trigger::call && segment.cause.grade != Grade::observed &&
                        story.time(segment.departed) - story.time(held->entered) >= cork_ceiling;
    if (said || waited) {
      findings
          .add("send.cork_timed_out", story, said ? segment.cause.grade : Grade::derived,
               {held->entered, segment.departed})
          .slots = {{"who", story.name(side)},
                    {"call", story.line(*held)},
                    {"bytes", std::int64_t{segment.tcp.payload_length}},
                    {"after", story.time(segment.departed) - story.time(held->entered)}};
      return;
    }
  }
}

// Whether all that is sent again had arrived before: where each segment is seen to arrive, and none of these was thrown away behind the tap.
bool had_arrived(const Story& story, const Segment& again, const std::vector<const Segment*>& dropped) {
  const auto& provenance = story.timeline.recording->provenance;
  const bool seen = again.two_taps() || provenance.wire == recording::WireKind::loopback;
  const bool drops_are_told =
      provenance.observed.contains(recording::Observation::drops) && story.timeline.all<recording::Loss>().empty();
  if (!seen || !drops_are_told || !again.received.duplicate) return false;
  const auto length = [](const Segment& segment) { return std::int64_t{segment.tcp.payload_length}; };
  return std::ranges::none_of(dropped, [&](const Segment* lost) {
    return lost->departed < again.departed && tcp::distance(lost->tcp.seq, again.tcp.seq) < length(*lost) &&
           tcp::distance(again.tcp.seq, lost->tcp.seq) < length(again);
  });
}

// Payload that the kernel says it threw away. Null: none.
struct ThrownAway {
  const recording::SegmentDropped* first = nullptr;
  std::vector<EventId> evidence;
  std::int64_t times = 0;
};

ThrownAway thrown_away(const Story& story, Side side) {
  ThrownAway thrown;
  const auto take = [&](EventId drop, EventId segment) {
    const auto& what = story.timeline.get<recording::SegmentDropped>(drop);
    const auto kind = drop_reason(what.reason).kind;
    if (what.length == 0 || kind == DropKind::no_news || kind == DropKind::signature) return;
    if (thrown.first == nullptr) thrown.first = &what;
    ++thrown.times;
    if (thrown.evidence.size() < 16) thrown.evidence.insert(thrown.evidence.end(), {drop, segment});
  };
  for (const Segment* segment : story.segments(side))
    if (const auto drop = story.drop_of(*segment)) take(*drop, segment->departed);
  for (const auto& kernel : story.connection.kernel)  // on its way out, where no tap saw it
    if (const auto* drop = std::get_if<recording::SegmentDropped>(&story.timeline.event(kernel.event).what))
      if (drop->sent && kernel.side == side) take(kernel.event, {});
  return thrown;
}

void tell_thrown_away(const Story& story, Side side, ThrownAway thrown, std::vector<EventId> again,
                      Findings& findings) {
  thrown.evidence.insert(thrown.evidence.end(), again.begin(), again.end());
  const bool sent = thrown.first->sent;
  auto& slots = findings.add("loss.thrown_away", story, Grade::observed, thrown.evidence).slots;
  slots = {{"who", story.name(side)}, {"times", thrown.times}};
  put_drop(slots, *thrown.first);
  const OwnedText of_peer{story.name(other(side)) + "'s kernel", story.name(other(side)) + "的内核"};
  put(slots, "host", sent ? Text{"its own kernel", "它自己的内核"} : of_peer);
}

void find_losses(const Story& story, Side side, Findings& findings) {
  struct Again {
    std::string_view rule;
    std::int64_t times = 0;
    std::vector<EventId> evidence;
  };
  std::vector<const Segment*> dropped;
  for (const Segment* segment : story.segments(side))
    if (const auto drop = story.drop_of(*segment); drop && segment->tcp.payload_length > 0)
      if (is_loss(story.timeline.get<recording::SegmentDropped>(*drop).reason)) dropped.push_back(segment);
  Again lost{.rule = "loss.retransmitted"}, needless{.rule = "resend.needless"};
  for (const Segment* segment : story.segments(side)) {
    if (segment->segment_class != tcp::SegmentClass::retransmission || segment->tcp.payload_length == 0) continue;
    Again& again = had_arrived(story, *segment, dropped) ? needless : lost;
    ++again.times;
    if (again.evidence.size() < 16) again.evidence.push_back(segment->departed);
  }
  if (auto thrown = thrown_away(story, side); thrown.first != nullptr && lost.times > 0) {
    tell_thrown_away(story, side, std::move(thrown), std::exchange(lost.evidence, {}), findings);
    lost.times = 0;
  }
  for (const Again* again : {&lost, &needless})
    if (again->times > 0)
      findings.add(again->rule, story, Grade::observed, again->evidence).slots = {
          {"who", story.name(side)}, {"peer", story.name(other(side))}, {"times", again->times}};
}

// A segment that could kill the connection, but is not exactly what is expected, is answered by an ACK.
// RFC 9293 3.10.7.4, second: "TCP endpoints MUST send an acknowledgment (challenge ACK)"
void find_challenge(const Story& story, Side side, Findings& findings) {
  for (const Segment* segment : story.segments(side)) {
    const bool said = segment->cause.kernel_name == "segment.challenge";
    const bool derived = segment->cause.rule == "ack.of_duplicate";
    if ((!said && !derived) || !segment->cause.by) continue;
    const Segment* provoking = arrived_as(story, *segment->cause.by, *segment);
    if (provoking == nullptr || (!provoking->tcp.flags.rst() && !provoking->tcp.flags.syn())) continue;
    if (provoking->segment_class == tcp::SegmentClass::retransmission) continue;  // an old SYN-ACK again
    findings.add("ack.challenge", story, segment->cause.grade, {*segment->cause.by, segment->departed}).slots = {
        {"who", story.name(side)},
        {"peer", story.name(other(side))},
        {"flags", "[" + wire::to_string(provoking->tcp.flags) + "]"}};
    return;
  }
}

}  // namespace

void find_giving_up(const Story& story, Findings& findings) {
  for (const Side side : {opener, listener}) {
    find_given_up(story, side, findings);
    find_nagle(story, side, findings);
    find_zero_window(story, side, findings);
    find_held_back(story, side, findings);
    find_cork_timer(story, side, findings);
    find_losses(story, side, findings);
    find_challenge(story, side, findings);
  }
}

}  // namespace tcpwhy::explain
