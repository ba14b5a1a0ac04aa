#include <algorithm>

#include "base/units.h"
#include "explain/rules/ending.h"
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
  std::uint64_t later = fin.tcp.payload_length;
  for (const Segment* segment : story.segments(fin.from))
    if (segment->segment_class == tcp::SegmentClass::data && story.time(segment->departed) >= story.time(end))
      later += segment->tcp.payload_length;
  // Of what left later somebody else may have sent some.
  later = std::min(later, story.bytes_unsent(fin.from, end).value_or(later));
  auto& slots = findings.add("close.delivered_after_exit", story, Grade::derived, {end, fin.departed}).slots;
  slots = {{"who", story.name(fin.from)},
           {"peer", story.name(other(fin.from))},
           {"bytes", static_cast<std::int64_t>(later)},
           {"after", story.time(fin.departed) - story.time(end)}};
  put(slots, "how", how_ended(story.timeline, end));
}

// After shutdown(): of the descriptor that it was given.
OwnedText what_became_of_descriptor(const Story& story, const Call& shutdown) {
  const auto fd = story.timeline.entered(shutdown).fd;
  for (const Call* close : story.calls(shutdown.side, Effect::closes))
    if (close->entered > shutdown.entered && story.timeline.entered(*close).fd == fd) {
      const auto after = base::in_words(story.time(close->entered) - story.time(shutdown.entered));
      return {"the descriptor was closed " + after + " later", "描述符在 " + after + " 后关闭"};
    }
  return {"the descriptor stays open", "描述符仍然打开"};
}

void find_fin(const Story& story, Side side, Findings& findings) {
  const Segment* fin = story.fin_of(side);
  if (fin == nullptr) return;
  const auto& cause = fin->cause;
  if (cause.trigger == Trigger::process_end) {
    const Ender ender = ender_of(story.timeline, *fin);
    const bool other_holder = ender.who == Ender::Who::other;
    auto& slots = findings
                      .add(other_holder ? "close.fin_at_other_exit" : "close.fin_at_exit", story, cause.grade,
                           {fin->departed, ender.end.value_or(EventId{})})
                      .slots;
    slots = {{"who", story.name(side)}, {"peer", story.name(other(side))}};
    put(slots, "process", ender.subject), put(slots, "how", how_ended(story.timeline, ender.end));
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
  put(finding.slots, "then", what_became_of_descriptor(story, *call));
}

// The kernel counted: nobody else refers to the socket.
bool is_last(const Story& story, const Call& close) { return story.timeline.entered(close).references == 1U; }

// A FIN goes behind what was written before: it leaves when the peer has room for that, and acknowledges it.
bool waits_behind_data(const Story& story, Side side, const Call& close) {
  return story.bytes_unsent(side, *close.returned).value_or(1) > 0;
}

// The kernel's word that the socket was open still when that had returned; one that is closed for good leaves these states at once
// (tcp_close_state()), whatever its FIN waits for.
std::optional<EventId> open_after(const Story& story, const Call& close) {
  for (const auto& kernel : story.connection.kernel) {
    const auto* state = std::get_if<recording::SocketState>(&story.timeline.event(kernel.event).what);
    if (state == nullptr || kernel.side != close.side) continue;
    if (state->not_before.value_or(story.time(kernel.event)) <= story.time(*close.returned)) continue;
    const bool open = state->from == tcp::State::established || state->from == tcp::State::close_wait;
    return open ? std::optional(kernel.event) : std::nullopt;
  }
  return std::nullopt;
}

// The first call by which another process used the connection after that one had closed its copy.
const Call* use_by_another(const Story& story, const Call& close) {
  const auto process = [&](const Call& call) { return story.timeline.lookups.process_of(call.actor); };
  const auto& calls = story.calls(close.side);
  const auto found = std::ranges::find_if(calls, [&](const Call* call) {
    const auto effect = Story::effect(*call);
    const bool uses = effect == Effect::sends || effect == Effect::receives || effect == Effect::shuts;
    return uses && story.timeline.end_of(*call) > story.time(close.entered) && process(*call) != process(close) &&
           !call->descriptor_was_closed;
  });
  return found == calls.end() ? nullptr : *found;
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
  // That nothing was seen is no proof that somebody holds the socket: a FIN waits for what is unacknowledged, too.
  if (!sharing.observed && sharing.evidence.empty()) {
    const auto open = open_after(story, *close);
    if (!open) return;
    evidence.push_back(*open);
  }
  const Grade grade = sharing.observed ? Grade::observed : Grade::derived;
  // Who forks for each connection closes its own copy, as a child closes those of its parent.
  if (const Call* use = use_by_another(story, *close)) {
    evidence.push_back(use->entered);
    auto& finding = findings.add("close.left_to_another", story, grade, evidence);
    finding.slots = {{"who", story.caller(*close)},
                     {"closing", story.timeline.entered(*close).name + "()"},
                     {"result", story.result(*close)},
                     {"other", story.caller(*use)}};
    finding.about = close->entered;
    return;
  }
  evidence.insert(evidence.end(), sharing.evidence.begin(), sharing.evidence.end());
  auto& finding = findings.add("close.nothing_sent", story, grade, evidence);
  finding.slots = {{"who", story.caller(*close)},
                   {"closing", story.timeline.entered(*close).name + "()"},
                   {"result", story.result(*close)}};
  put(finding.slots, "others", sharing.others);
  finding.about = close->entered;
}

// The last close() came back, and until the end no FIN was seen: it stands in the queue, behind what the peer has not acknowledged.
void find_waiting_fin(const Story& story, Side side, Findings& findings) {
  const Call* close = last_close(story, side);
  if (close == nullptr || !is_last(story, *close) || story.caused_any(*close) || story.fin_of(side) != nullptr ||
      story.reset_of(side) != nullptr || story.reset_of(other(side)) != nullptr || story.connection.without_packets())
    return;
  const auto bytes = story.bytes_unacknowledged(side, *close->returned);
  if (bytes == 0) return;
  auto& finding = findings.add("close.fin_waits", story, Grade::observed, {close->entered, *close->returned});
  finding.slots = {{"who", story.caller(*close)},
                   {"closing", story.timeline.entered(*close).name + "()"},
                   {"result", story.result(*close)},
                   {"peer", story.name(other(side))},
                   {"bytes", static_cast<std::int64_t>(bytes)}};
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

// Whoever else held the socket, this FIN is of a close() that left nobody: it sent it, or the last one before it did.
bool is_of_last_close(const Story& story, const Segment& fin) {
  if (fin.cause.trigger == Trigger::call) {
    const Call* call = fin.cause.by ? story.call_at(*fin.cause.by) : nullptr;
    return call != nullptr && Story::effect(*call) == Effect::closes;
  }
  if (fin.cause.trigger == Trigger::process_end || story.shut_sending(fin.from, story.time(fin.departed))) return false;
  const Call* close = last_close(story, fin.from);
  return close != nullptr && close->entered < fin.departed;
}

void find_end_states(const Story& story, Side side, Findings& findings) {
  const auto* waits = change_to(story, side, tcp::State::fin_wait_2);
  const auto* peer_waits = change_to(story, other(side), tcp::State::close_wait);
  const Call* close = story.closing_call(side);
  // After shutdown() the program still holds the socket, whoever closes another descriptor of it.
  const Segment* fin = story.fin_of(side);
  const bool closed = close != nullptr && fin != nullptr && is_of_last_close(story, *fin);
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
    if (!recv->returned || *recv->returned < *(*data)->arrived || story.bytes_moved(*recv) == 0) continue;
    findings
        .add("shutdown.half_close", story, Grade::observed, {(*shutdown)->entered, *(*data)->arrived, *recv->returned})
        .slots = {{"who", story.name(side)},
                  {"peer", story.name(other(side))},
                  {"bytes", static_cast<std::int64_t>(story.bytes_moved(*recv))}};
    return;
  }
}

// What to do about a program that died of that signal.
OwnedText advice_on(const std::string& signal) {
  if (signal == "SIGKILL")
    return {
        "who sends SIGKILL: kill -9, a service manager after its stop timeout, a timeout(1), or want of memory (journalctl -k | grep -i oom)",
        "谁会发送 SIGKILL：kill -9、服务管理器的停止超时、timeout(1)，或内存不足（journalctl -k | grep -i oom）"};
  constexpr std::string_view of_faults[] = {"SIGSEGV", "SIGABRT", "SIGBUS", "SIGILL", "SIGFPE", "SIGTRAP", "SIGSYS"};
  if (std::ranges::find(of_faults, signal) != std::end(of_faults))
    return {"the program crashed: look at its core dump (coredumpctl) and its log",
            "程序崩溃了：查看它的 core dump（coredumpctl）和日志"};
  return {"handle " + signal + ": stop accepting, finish what is open, then exit",
          "处理 " + signal + "：停止 accept，完成已有的连接，再退出"};
}

// The death of its process closed the socket.
void find_killed(const Story& story, Side side, Findings& findings) {
  const auto end = story.end_of_process(side);
  if (!end || story.closing_call(side) != nullptr || story.calls(side).empty()) return;
  const auto& signal = story.timeline.get<recording::ProcessEnded>(*end).signal;
  if (signal.empty() || signal == "SIGPIPE" || signal == "SIGINT") return;
  std::vector<EventId> evidence = {*end};
  Grade grade = Grade::derived;
  if (const Segment* fin = story.fin_of(side)) {
    const Call* by = fin->cause.trigger == Trigger::call && fin->cause.by ? story.call_at(*fin->cause.by) : nullptr;
    if (fin->cause.trigger != Trigger::process_end || fin->cause.by != *end || by != nullptr) return;
    grade = fin->cause.grade, evidence.push_back(fin->departed);
  } else {
    const Ending ending = ending_of(story.timeline, story.index);
    const bool by_it = ending.process_ended && ending.first == side && ending.kind != EndKind::reset;
    if (!story.connection.without_packets() || !by_it) return;
  }
  auto& slots = findings.add("close.killed", story, grade, evidence).slots;
  slots = {{"who", story.name(side)}, {"peer", story.name(other(side))}, {"signal", signal}};
  put(slots, "advice", advice_on(signal));
}

}  // namespace

void find_closing(const Story& story, Findings& findings) {
  for (const Side side : {opener, listener}) {
    find_killed(story, side, findings);
    find_fin(story, side, findings);
    find_silent_close(story, side, findings);
    find_waiting_fin(story, side, findings);
    find_fin_ack(story, side, findings);
    find_probed_fin(story, side, findings);
    find_end_states(story, side, findings);
    find_half_close(story, side, findings);
  }
}

}  // namespace tcpwhy::explain
