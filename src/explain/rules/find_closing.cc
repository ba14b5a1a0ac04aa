#include <algorithm>

#include "explain/story.h"

namespace tcpwhy::explain {
namespace {

using namespace std::chrono_literals;
using timeline::listener;
using timeline::opener;
using timeline::other;
using timeline::Timer;
using timeline::Trigger;

// The process ended while data waited to be sent: the FIN goes behind it, whenever that is.
void find_late_fin(const Story& story, const Segment& fin, Findings& findings) {
  const auto end = *story.end_of_process(fin.from);
  std::uint64_t later = 0;
  for (const Segment* segment : story.segments(fin.from))
    if (segment->segment_class == tcp::SegmentClass::data && story.time(segment->departed) >= story.time(end))
      later += segment->tcp.payload_length;
  const OwnedText how = how_ended(story.timeline, end);
  findings.add("close.delivered_after_exit", story, Grade::derived, {end, fin.departed}).slots = {
      {"who", story.name(fin.from)},
      {"peer", story.name(other(fin.from))},
      {"how", how.en},
      {"how_zh", how.zh},
      {"bytes", static_cast<std::int64_t>(later + fin.tcp.payload_length)},
      {"after", story.time(fin.departed) - story.time(end)}};
}

void find_fin(const Story& story, Side side, Findings& findings) {
  const Segment* fin = story.fin_of(side);
  if (fin == nullptr) return;
  const auto& cause = fin->cause;
  if (cause.trigger == Trigger::process_end) {
    const OwnedText how = how_ended(story.timeline, cause.by);
    findings.add("close.fin_at_exit", story, cause.grade, {fin->departed, cause.by.value_or(EventId{})}).slots = {
        {"who", story.name(side)}, {"how", how.en}, {"how_zh", how.zh}};
    return;
  }
  const Call* call = cause.trigger == Trigger::call && cause.by ? story.call_at(*cause.by) : nullptr;
  // What leaves inside a call did not wait for what stood before it.
  if (cause.trigger != Trigger::call && story.left_after_end_of_process(*fin))
    return find_late_fin(story, *fin, findings);
  // A receiving call that another thread's close() had left with the last reference closes as it returns.
  if (call == nullptr) return;
  const bool shut = Story::effect(*call) == Effect::shuts;
  auto& finding = findings.add(shut ? "shutdown.fin" : "close.fin", story, cause.grade,
                               {call->entered, fin->departed, fin->arrived.value_or(EventId{})});
  const auto state_after = [](const std::optional<timeline::SideChange>& change) {
    return std::string(change ? tcp::name(change->to) : "?");
  };
  finding.slots = {{"who", story.caller(*call)},
                   {"closing", story.timeline.entered(*call).name + "()"},
                   {"peer", story.name(other(side))},
                   {"state", state_after(fin->sender_change)},
                   {"peer_state", state_after(fin->receiver_change)},
                   {"after", story.time(fin->departed) - story.time(call->entered)}};
}

// The kernel counted: nobody else refers to the socket.
bool is_last(const Story& story, const Call& close) { return story.timeline.entered(close).references == 1U; }

// A FIN goes behind what was written before: it leaves when the peer has room for that.
bool waits_behind_data(const Story& story, Side side, const Call& close) {
  std::uint64_t written = 0, left = 0;
  for (const Call* call : story.calls(side, Effect::sends))
    if (call->entered < close.entered) written += story.bytes_moved(*call);
  for (const Segment* segment : story.segments(side))
    if (segment->segment_class == tcp::SegmentClass::data && segment->departed < *close.returned)
      left += segment->tcp.payload_length;
  return written > left;
}

// close() that came back, caused nothing, and was followed by this side's later segments or by a connection that lives on.
void find_silent_close(const Story& story, Side side, Findings& findings) {
  const Call* close = story.closing_call(side);
  if (close == nullptr || !story.succeeded(*close) || story.caused_any(*close)) return;
  // Another thread that is inside a call on the descriptor holds the socket too: close.under_recv speaks of that.
  const auto fd_of = [&](const Call& call) { return story.timeline.entered(call).fd; };
  for (const Call* reading : story.calls(side, Effect::receives))
    if (reading->entered < close->entered && fd_of(*reading) == fd_of(*close) &&
        (!reading->returned || *reading->returned > *close->returned))
      return;
  const auto state = story.state(side, story.time(*close->returned));
  // Where no packets were captured, nothing tells what it sent; states that are sampled now and then don't either.
  const bool lives =
      !story.connection.without_packets() && (state == tcp::State::established || state == tcp::State::close_wait);
  if (!lives && !was_shared(story, *close)) return;
  if (is_last(story, *close) || (!was_shared(story, *close) && waits_behind_data(story, side, *close))) return;
  const Sharing sharing = sharing_of(story, *close);
  std::vector<EventId> evidence = {close->entered, *close->returned};
  evidence.insert(evidence.end(), sharing.evidence.begin(), sharing.evidence.end());
  auto& finding =
      findings.add("close.nothing_sent", story, sharing.observed ? Grade::observed : Grade::derived, evidence);
  finding.slots = {{"who", story.caller(*close)},
                   {"closing", story.timeline.entered(*close).name + "()"},
                   {"result", story.result(*close)},
                   {"others", sharing.others.en},
                   {"others_zh", sharing.others.zh}};
  finding.about = close->entered;
}

// How long the timer was set for, if what it took agrees: the next tick (10 ms at most, CONFIG_HZ=100) or 40 ms (TCP_ATO_MIN). A side that
// was told to wait, or has measured a longer round trip, waits otherwise.
constexpr base::Duration longest_tick = 20ms, shortest_ato = 30ms;

std::string_view rule_for_delayed_ack(const Story& story, const Segment& fin, const Segment& started_by) {
  if (&started_by != &fin) return "fin_ack.covers_data";
  const auto took = story.time(story.acknowledgment_of(fin)->departed) - story.time(*fin.arrived);
  const bool had_data = story.bytes_arrived(other(fin.from), story.time(*fin.arrived)) > 0;
  if (had_data ? took < shortest_ato : took > longest_tick) return "fin_ack.by_timer";
  return had_data ? "fin_ack.delayed" : "fin_ack.next_tick";
}

void find_fin_ack(const Story& story, Side side, Findings& findings) {
  const Segment* fin = story.fin_of(side);
  if (fin == nullptr || !fin->arrived) return;
  const Segment* ack = story.acknowledgment_of(*fin);
  if (ack == nullptr) return;
  const auto after = story.time(ack->departed) - story.time(*fin->arrived);
  std::vector<EventId> evidence = {*fin->arrived, ack->departed};
  evidence.insert(evidence.end(), ack->cause.evidence.begin(), ack->cause.evidence.end());
  const auto add = [&](std::string_view rule, Grade grade) -> Finding& {
    auto& finding = findings.add(rule, story, grade, evidence);
    finding.slots = {{"acker", story.name(ack->from)}, {"after", after}};
    return finding;
  };
  if (ack->tcp.flags.rst()) return;
  if (ack->tcp.flags.fin() && ack == story.fin_of(ack->from)) {
    add("fin_ack.on_fin", Grade::observed);
  } else if (ack->tcp.payload_length > 0) {
    add("fin_ack.on_data", Grade::observed);
  } else if (ack->cause.timer == Timer::delayed_ack && ack->cause.by) {
    const auto arrived = story.timeline.lookups.arrived_in(*ack->cause.by);
    if (!arrived) return;
    const Segment* started = &story.timeline.segments[*arrived];
    auto& finding = add(rule_for_delayed_ack(story, *fin, *started), ack->cause.grade);
    finding.slots["after_data"] = story.time(ack->departed) - story.time(*started->arrived);
    finding.evidence.insert(finding.evidence.begin(), *started->arrived);
    std::ranges::sort(finding.evidence);
    finding.evidence.erase(std::ranges::unique(finding.evidence).begin(), finding.evidence.end());
  }
}

void find_probed_fin(const Story& story, Side side, Findings& findings) {
  const Segment* fin = story.fin_of(side);
  if (fin == nullptr) return;
  for (const auto s : story.connection.segments) {
    const Segment& again = story.timeline.segments[s];
    if (again.from != side || &again == fin || !again.tcp.flags.fin()) continue;
    if (again.segment_class != tcp::SegmentClass::retransmission || again.cause.timer != Timer::tail_loss_probe)
      continue;
    std::vector<EventId> evidence = {fin->departed, again.departed};
    evidence.insert(evidence.end(), again.cause.evidence.begin(), again.cause.evidence.end());
    findings.add("fin.probed", story, again.cause.grade, evidence).slots = {
        {"who", story.name(side)}, {"after", story.time(again.departed) - story.time(fin->departed)}};
    return;
  }
}

const timeline::SideChange* change_to(const Story& story, Side side, tcp::State state) {
  for (const auto& change : story.connection.changes)
    if (change.side == side && change.to == state) return &change;
  return nullptr;
}

void find_end_states(const Story& story, Side side, Findings& findings) {
  const auto* waits = change_to(story, side, tcp::State::fin_wait_2);
  const auto* peer_waits = change_to(story, other(side), tcp::State::close_wait);
  const Call* close = story.closing_call(side);
  // After shutdown() the program still holds the socket, whoever closes another descriptor of it.
  const Segment* fin = story.fin_of(side);
  const bool closed = close != nullptr && fin != nullptr && story.succeeded(*close) &&
                      story.time(close->entered) < story.time(fin->departed) &&
                      !story.shut_sending(side, story.time(fin->departed));
  if (waits != nullptr && peer_waits != nullptr && closed) {
    const bool sampled = waits->sampled && peer_waits->sampled;
    std::vector<EventId> evidence = {waits->event, peer_waits->event};
    if (waits->sampled) evidence.push_back(*waits->sampled);
    if (peer_waits->sampled) evidence.push_back(*peer_waits->sampled);
    findings.add("close.orphan_waits", story, sampled ? Grade::observed : Grade::derived, evidence).slots = {
        {"who", story.name(side)}, {"peer", story.name(other(side))}};
  }
  if (change_to(story, side, tcp::State::time_wait) != nullptr &&
      change_to(story, other(side), tcp::State::last_ack) != nullptr && story.reset_of(side) == nullptr)
    findings.add("close.both", story, Grade::derived, {change_to(story, side, tcp::State::time_wait)->event}).slots = {
        {"who", story.name(side)}, {"peer", story.name(other(side))}};
}

// Data of the other side that arrived and was read after this side's first shutdown(SHUT_WR).
void find_half_close(const Story& story, Side side, Findings& findings) {
  const auto& shutdowns = story.calls(side, Effect::shuts);
  const auto shutdown = std::ranges::find_if(shutdowns, [&](const Call* call) {
    return story.succeeded(*call) && call->meaning.as<calls::Shutdown>()->sending();
  });
  if (shutdown == shutdowns.end()) return;
  const auto& sent = story.segments(other(side));
  const auto data = std::ranges::find_if(sent, [&](const Segment* segment) {
    return segment->tcp.payload_length > 0 && segment->departed > *(*shutdown)->returned && segment->arrived;
  });
  if (data == sent.end()) return;
  for (const Call* recv : story.calls(side, Effect::receives)) {
    if (!recv->returned || *recv->returned < *(*data)->arrived || story.result(*recv) <= 0) continue;
    findings
        .add("shutdown.half_close", story, Grade::observed, {(*shutdown)->entered, *(*data)->arrived, *recv->returned})
        .slots = {{"who", story.name(side)}, {"peer", story.name(other(side))}, {"bytes", story.result(*recv)}};
    return;
  }
}

}  // namespace

void find_closing(const Story& story, Findings& findings) {
  for (const Side side : {opener, listener}) {
    find_fin(story, side, findings);
    find_silent_close(story, side, findings);
    find_fin_ack(story, side, findings);
    find_probed_fin(story, side, findings);
    find_end_states(story, side, findings);
    find_half_close(story, side, findings);
  }
}

}  // namespace tcpwhy::explain
