#include "explain/rules/attempt.h"
#include "explain/rules/ending.h"
#include "explain/rules/unseen_reset.h"
#include "explain/story.h"
#include "explain/texts/reset_reasons.h"

#include <fmt/format.h>

#include <algorithm>

namespace tcpwhy::explain {
namespace {

using timeline::listener;
using timeline::opener;
using timeline::other;
using timeline::Trigger;

constexpr std::string_view abort_on_data = "TcpExt.TCPAbortOnData";
constexpr std::string_view abort_on_close = "TcpExt.TCPAbortOnClose";

const Segment* provoking_segment(const Story& story, const Segment& reset) {
  if (reset.cause.trigger != Trigger::segment || !reset.cause.by) return nullptr;
  const auto found = story.timeline.lookups.arrived_in(*reset.cause.by);
  return found ? &story.timeline.segments[*found] : nullptr;
}

std::string_view reason_of(const Story& story, const Segment& reset) {
  const auto event = story.reset_event_of(reset);
  return event ? std::string_view(story.timeline.get<recording::Reset>(*event).reason) : std::string_view();
}

std::string_view id_of(const ResetReason* reason) { return reason == nullptr ? std::string_view() : reason->id; }

// The row that the kernel's reason alone names; empty: none.
std::string_view said_by_reason(const Story& story, const Segment& reset) {
  return id_of(reset_reason_of_kernel("", reason_of(story, reset)));
}

// The kernel's sample that shows this side's socket gone, taken before `when`.
std::optional<EventId> gone_before(const Story& story, Side side, base::WallTime when) {
  std::optional<EventId> gone;
  for (const auto& kernel : story.connection.kernel) {
    if (story.time(kernel.event) > when) break;
    const auto* state = std::get_if<recording::SocketState>(&story.timeline.event(kernel.event).what);
    // To the tracepoint a socket is closed when a small entry takes its place: only the samples see those.
    if (state == nullptr || kernel.side != side || !state->not_before) continue;
    gone = state->to == tcp::State::closed ? std::optional(kernel.event) : std::nullopt;
  }
  return gone;
}

bool still_listens(const Story& story, Side side, base::WallTime when) {
  const auto states = story.timeline.lookups.listening_on_port.of(story.connection.sides[side].address.port);
  const auto later =
      std::ranges::upper_bound(states, when, {}, [&](const auto& pair) { return story.time(pair.value); });
  if (later == states.begin()) return false;
  return story.timeline.get<recording::SocketState>(std::prev(later)->value).to == tcp::State::listen;
}

void find_forgotten(const Story& story, const Segment& reset, const Segment& provoking, EventId gone,
                    Findings& findings) {
  const bool listens =
      still_listens(story, reset.from, story.time(reset.departed)) || reason_of(story, reset) == "TCP_FLAGS";
  const Grade grade = reset.cause.grade == Grade::observed ? Grade::observed : Grade::derived;
  auto& finding = findings.add("reset.forgotten", story, grade, {gone, *provoking.arrived, reset.departed});
  finding.slots = {{"who", story.name(reset.from)}};
  put(finding.slots, "reason",
      listens
          ? Text{"only the listener is left, and it takes nothing but a SYN", "只剩监听套接字，它只接受 SYN"}
          : Text{"nobody has that port any more, the same as a closed port", "已没有人使用该端口，与关闭的端口无异"});
}

void find_unexplained(const Story& story, const Segment& reset, std::vector<EventId> evidence, Findings& findings);

void find_passive(const Story& story, const Segment& reset, const Segment& provoking, Findings& findings) {
  const Side side = reset.from;
  const auto when = story.time(*provoking.arrived);
  if (provoking.tcp.flags.syn()) return;  // open.refused speaks of it
  Slots slots = {{"who", story.name(side)}, {"peer", story.name(other(side))}};
  if (const auto gone = gone_before(story, side, when)) return find_forgotten(story, reset, provoking, *gone, findings);

  const Segment* fin = story.fin_of(side);
  if (fin == nullptr) {
    return find_unexplained(story, reset, {*provoking.arrived, reset.departed}, findings);
  }
  std::vector<EventId> evidence = {fin->departed, *provoking.arrived, reset.departed};
  const auto counter = story.counter_moved(abort_on_data, side, story.time(reset.departed));
  if (counter) evidence.push_back(*counter);
  const Call* close = story.closing_call(side);
  const Finish finish = finish_of(story, side, *provoking.arrived);
  const bool seen_closing = (close != nullptr && story.time(close->entered) <= when) || finish == Finish::closed;
  // A program whose calls nobody saw has closed, most likely: of shutdown(SHUT_RDWR) is spoken where it was seen.
  const bool closed = seen_closing || !story.shut_receiving(side, when);
  put(slots, "finish", words_of(seen_closing ? Finish::closed : Finish::takes_no_more));
  put(slots, "nobody",
      seen_closing ? Text{"an orphan in FIN-WAIT-1 whose FIN these very bytes acknowledged, has nobody to hand them to",
                          "成为处于 FIN-WAIT-1 的孤儿（正是这些字节确认了它的 FIN），没有人可以接收它们"}
                   : Text{"an orphan or not, has nobody to hand them to", "无论是否成为孤儿，都没有人可以接收它们"});
  const Segment* ack = story.acknowledgment_of(*fin);
  const bool acked_before = ack != nullptr && ack != &provoking && story.arrived_before(ack, when);
  std::string_view rule = "reset.unexplained";
  if (!closed)
    rule = "reset.after_shutdown";
  else if (acked_before && ack->departed < provoking.departed)
    rule = "reset.fin_wait_2_entry";
  else
    rule = "reset.orphan_fin_wait_1";
  // The kernel may have said which it was: an entry, or a socket that has been closed.
  const auto said = said_by_reason(story, reset);
  if (const auto event = story.reset_event_of(reset)) evidence.push_back(*event);
  if (said == "reset.fin_wait_2_entry" ||
      id_of(reset_reason_of_kernel(reset.cause.kernel_name, "")) == "reset.fin_wait_2_entry")
    rule = "reset.fin_wait_2_entry";
  if (said == "reset.orphan_fin_wait_1" && closed) rule = "reset.orphan_fin_wait_1";
  // The stack alone does not say it: an entry's answer and that to a segment for nobody pass the same functions.
  if (said == "reset.forgotten")
    return find_forgotten(story, reset, provoking, story.reset_event_of(reset).value_or(reset.departed), findings);
  if (said == "reset.fin_wait_2_entry" || said == "reset.orphan_fin_wait_1") {
    findings.add(rule, story, Grade::observed, evidence).slots = slots;
    return;
  }
  // The counter and the order of segments have to agree; if they do not, the likelier is only assumed.
  const bool counted = counter.has_value() == (rule != "reset.fin_wait_2_entry");
  const Grade grade = (seen_closing || !closed) && counted ? Grade::derived : Grade::assumed;
  findings.add(rule, story, grade, evidence).slots = slots;
}

// How much had arrived and was never read: by the kernel's own count of this reset, or by the calls that read, if all of them were seen.
std::optional<std::uint64_t> unread_at(const Story& story, Side side, base::WallTime when,
                                       std::optional<EventId> word) {
  if (word)
    if (const auto* reset = std::get_if<recording::Reset>(&story.timeline.event(*word).what);
        reset != nullptr && reset->unread)
      return *reset->unread;
  const auto read = story.bytes_read(side, when);
  if (!read || !story.reads_are_known(side)) return std::nullopt;
  const auto arrived = story.bytes_arrived(side, when);
  return arrived > *read ? arrived - *read : 0;
}

// "unread" in words; "bytes" too, where that is known: not without packets, or where some were not seen.
void say_unread(std::optional<std::uint64_t> unread, Slots& slots) {
  if (unread.value_or(0) > 0) {
    const auto bytes = static_cast<std::int64_t>(*unread);
    slots["bytes"] = bytes;
    put(slots, "unread", OwnedText{fmt::format("{} bytes", bytes), fmt::format(" {} 字节", bytes)});
  } else {
    put(slots, "unread", {"data (how much is not known)", "数据（数量未知）"});
  }
}

// What closed the socket, in a sentence, the Chinese with the blanks that a name has around it: dup2() over a descriptor, close_range() and execve() do it too.
OwnedText closing_by(const Story& story, std::optional<EventId> by) {
  if (by && by->valid())
    if (const auto* entered = std::get_if<recording::CallEntered>(&story.timeline.event(*by).what))
      return {entered->name + "()", " " + entered->name + "() "};
  return {"closing of its descriptor", "关闭操作"};
}

std::optional<EventId> entry_of(const Story& story, Side side, std::optional<std::uint32_t> number) {
  for (const Call* call : story.calls(side))
    if (number && call->number == *number) return call->entered;
  return std::nullopt;
}

// Who ended, where that sent the reset.
void say_ender(const Story& story, const Segment& reset, Slots& slots) {
  if (reset.cause.trigger != Trigger::process_end) return;
  const Ender ender = ender_of(story.timeline, reset);
  put(slots, "process", ender.subject), put(slots, "how", how_ended(story.timeline, ender.end));
}

// No rule says why; the kernel may have named a reason, and the call, if there was one, stands in the rows.
void find_unexplained(const Story& story, const Segment& reset, std::vector<EventId> evidence, Findings& findings) {
  Slots slots = {{"who", story.name(reset.from)}, {"peer", story.name(other(reset.from))}};
  const auto word = story.reset_event_of(reset);
  const std::string reason(reason_of(story, reset));
  if (word && !reason.empty()) {
    evidence.push_back(*word);
    slots["reason"] = reason;
    findings.add("reset.for_kernels_reason", story, Grade::observed, evidence).slots = slots;
    return;
  }
  const bool seen = !story.calls(reset.from).empty();
  findings.add(seen ? "reset.unexplained_though_traced" : "reset.unexplained", story, Grade::assumed, evidence).slots =
      slots;
}

void find_active(const Story& story, const Segment& reset, Findings& findings) {
  const Side side = reset.from;
  const auto when = story.time(reset.departed);
  std::vector<EventId> evidence = {reset.departed};
  if (reset.cause.by) evidence.push_back(*reset.cause.by);
  const auto word = story.reset_event_of(reset);
  const auto left = unread_at(story, side, when, word);
  const auto counter = story.counter_moved(abort_on_close, side, when);
  // Of a program whose calls were not seen, what came may have been read.
  const bool may_be = !left && story.bytes_arrived(side, when) > story.bytes_read(side, when).value_or(0);
  const bool unread = left ? *left > 0 : counter || may_be;
  const Call* linger = linger_zero_before(story, side, when);
  std::string_view rule = "reset.unexplained";
  if (unread && (counter || linger == nullptr)) {
    rule = reset.cause.trigger == Trigger::process_end ? "reset.unread_data_at_exit" : "reset.unread_data_at_close";
    if (counter) evidence.push_back(*counter);
  } else if (linger != nullptr) {
    rule = "reset.linger_zero";
    evidence.push_back(linger->entered);
  }
  const bool assumed = rule == "reset.unexplained" || (unread && !left && !counter && linger == nullptr);
  if (rule == "reset.unexplained") return find_unexplained(story, reset, evidence, findings);
  auto& slots = findings.add(rule, story, assumed ? Grade::assumed : Grade::derived, evidence).slots;
  slots = {{"who", story.name(side)}, {"peer", story.name(other(side))}};
  put(slots, "closing", closing_by(story, reset.cause.by));
  say_ender(story, reset, slots);
  say_unread(left, slots);
}

// --- The kernel's own word -----------------------------------------------------------------------------------------

// The row that the kernel's word settles. Null: it does not speak, or the walk of states has to tell (a refused segment, nobody's segment).
const ResetReason* settled_by_kernel(std::string_view cause, std::string_view reason) {
  const ResetReason* row = reset_reason_of_kernel(cause, reason);
  return row == nullptr || row->finding.empty() || !row->kernel.settles_it ? nullptr : row;
}

Slots slots_of(const Story& story, Side side, base::WallTime when, std::optional<EventId> word) {
  Slots slots = {{"who", story.name(side)},
                 {"peer", story.name(other(side))},
                 {"port", std::int64_t{story.connection.sides[side].address.port}}};
  say_unread(unread_at(story, side, when, word), slots);
  return slots;
}

bool find_said(const Story& story, const Segment& reset, Findings& findings) {
  const ResetReason* reason = settled_by_kernel(reset.cause.kernel_name, reason_of(story, reset));
  if (reason == nullptr) return false;
  // The same function closes what a process leaves open when it ends.
  const bool at_exit = reset.cause.trigger == Trigger::process_end && !reason->at_exit.empty();
  std::vector<EventId> evidence = {reset.departed};
  evidence.insert(evidence.end(), reset.kernel.begin(), reset.kernel.end());
  if (reset.cause.by) evidence.push_back(*reset.cause.by);
  auto& finding = findings.add(at_exit ? reason->at_exit : reason->id, story, Grade::observed, evidence);
  finding.slots = slots_of(story, reset.from, story.time(reset.departed), story.reset_event_of(reset));
  say_ender(story, reset, finding.slots);
  put(finding.slots, "closing", closing_by(story, reset.cause.by));
  finding.about = reset.departed;
  return true;
}

// Nobody saw it, neither a tap nor the kernel.
void find_unseen(const Story& story, Findings& findings) {
  const auto reset = unseen_reset(story);
  if (!reset) return;
  auto& finding = findings.add(reset->rule, story, reset->grade, reset->evidence);
  finding.about = reset->about;
  finding.slots = {{"who", story.name(reset->from)}, {"peer", story.name(other(reset->from))}};
  put(finding.slots, "closing", closing_by(story, reset->by));
  say_unread(reset->unread, finding.slots);
  if (!reset->at_exit(story)) return;
  put(finding.slots, "process", process_of_end(story.name(reset->from)));
  put(finding.slots, "how", how_ended(story.timeline, reset->by));
}

// No packet of it was seen: the kernel's Reset is all there is.
void find_without_packets(const Story& story, Side side, Findings& findings) {
  if (side == listener && !was_answered(story) && !failed_attempts(story).empty()) return;  // find_attempts() tells
  for (const auto& kernel : story.connection.kernel) {
    const auto* reset = std::get_if<recording::Reset>(&story.timeline.event(kernel.event).what);
    if (reset == nullptr || !reset->sent || kernel.side != side) continue;
    auto rule = id_of(settled_by_kernel("", reset->reason));
    auto slots = slots_of(story, side, story.time(kernel.event), kernel.event);
    // A call that came later is another's: its number was remembered of another socket.
    const auto by = entry_of(story, side, reset->call);
    put(slots, "closing", closing_by(story, by && *by < kernel.event ? by : std::nullopt));
    const Call* linger = linger_zero_before(story, side, story.time(kernel.event));
    const bool aborted = id_of(reset_reason_of_kernel("", reset->reason)) == "reset.aborted";
    if (aborted && linger != nullptr) rule = "reset.linger_zero";
    if (rule.empty() && !reset->reason.empty()) rule = "reset.for_kernels_reason", slots["reason"] = reset->reason;
    findings
        .add(rule.empty() ? "reset.unexplained" : rule, story, rule.empty() ? Grade::assumed : Grade::observed,
             {kernel.event})
        .slots = slots;
    return;
  }
}

// --- Derived where the kernel did not speak --------------------------------------------------------------------------

// A close() of the listening socket while the reset left.
const Call* listener_closing(const Story& story, Side side, base::WallTime when) {
  const auto closed = story.timeline.lookups.listener_closed_on_port.of(story.connection.sides[side].address.port);
  if (closed.empty()) return nullptr;
  const Call& close = story.timeline.calls[closed.front().value];
  return story.time(close.entered) > when ? nullptr : &close;
}

// Keep-alive probes that nobody answered stand right before the reset.
std::vector<EventId> probes_before(const Story& story, const Segment& reset) {
  std::vector<EventId> probes;
  for (const auto s : story.connection.segments) {
    const Segment& segment = story.timeline.segments[s];
    if (&segment == &reset) break;
    if (segment.from != reset.from)
      probes.clear();
    else if (segment.segment_class == tcp::SegmentClass::keep_alive ||
             segment.cause.timer == timeline::Timer::keep_alive)
      probes.push_back(segment.departed);
  }
  return probes;
}

// It was in TIME-WAIT before the segment came that it refused, as far as the segments say. The kernel may know better: an entry
// answers with TCP_TIMEWAIT_SOCKET.
bool in_time_wait(const Story& story, const Segment& reset) {
  if (said_by_reason(story, reset) == "reset.forgotten" || !reset.cause.by) return false;
  const auto before = story.time(*reset.cause.by) - std::chrono::microseconds(1);
  return story.state(reset.from, before) == tcp::State::time_wait;
}

// Resets that the walk of states does not explain, but the calls or the segments around do. True: said.
bool find_otherwise(const Story& story, const Segment& reset, Findings& findings) {
  const Side side = reset.from;
  const auto when = story.time(reset.departed);
  const auto slots = slots_of(story, side, when, story.reset_event_of(reset));
  const auto say = [&](std::string_view rule, Grade grade, std::vector<EventId> evidence) {
    evidence.push_back(reset.departed);
    findings.add(rule, story, grade, evidence).slots = slots;
    return true;
  };
  if (reset.cause.trigger != Trigger::segment && story.calls(side).empty())
    if (const Call* close = listener_closing(story, side, when))
      return say("reset.listener_closed", Grade::derived, {close->entered});
  if (reset.cause.rule == "rst.active_call" && reset.cause.by) {
    const Call* call = story.call_at(*reset.cause.by);
    const auto* address = call == nullptr ? nullptr : call->meaning.as<calls::Address>();
    if (address != nullptr && address->family == AF_UNSPEC)
      return say("reset.disconnected", Grade::derived, {*reset.cause.by});
  }
  if (reset.cause.trigger == Trigger::unknown)
    if (auto probes = probes_before(story, reset); !probes.empty())
      return say("reset.keep_alive", Grade::derived, probes);
  if (reset.cause.trigger == Trigger::segment && reset.cause.by) {
    if (const Call* close = listener_closing(story, side, when); close != nullptr && story.calls(side).empty())
      return say("reset.listener_closed", Grade::derived, {close->entered, *reset.cause.by});
    if (const Call* option = story.option_set(side, tcp_linger2, when);
        option != nullptr && story.fin_of(side) != nullptr &&
        option->meaning.as<calls::Option>()->value.value_or(0) < 0)
      return say("reset.linger_2", Grade::derived, {option->entered, *reset.cause.by});
    if (in_time_wait(story, reset)) return say("reset.time_wait_entry", Grade::derived, {*reset.cause.by});
    // It never closed, as far as anybody saw, and yet it does not know the connection.
    const bool stranger = story.calls(side).empty() && story.fin_of(side) == nullptr;
    const auto counter = story.counter_moved("TcpExt.ListenOverflows", side, when);
    if (stranger && counter) return say("reset.queue_full", Grade::derived, {*counter, *reset.cause.by});
    if (stranger) return say("reset.peer_forgot", Grade::assumed, {*reset.cause.by});
  }
  return false;
}

// After the first reset nothing is left of the connection: what still comes meets the listener, or nobody.
void find_again(const Story& story, Side side, Findings& findings) {
  const Segment* first = story.reset_of(side);
  for (const Segment* segment : story.segments(side)) {
    if (segment == first || !segment->tcp.flags.rst() || !segment->cause.by ||
        segment->cause.trigger != Trigger::segment)
      continue;
    const bool listens =
        still_listens(story, side, story.time(segment->departed)) || reason_of(story, *segment) == "TCP_FLAGS";
    std::vector<EventId> evidence = {first->departed, *segment->cause.by, segment->departed};
    auto& finding = findings.add("reset.again", story, segment->cause.grade, evidence);
    finding.slots = {{"who", story.name(side)}, {"peer", story.name(other(side))}};
    put(finding.slots, "met",
        listens ? Text{"the listener, which takes nothing but a SYN", "监听套接字，它只接受 SYN"}
                : Text{"no socket at all", "没有任何套接字"});
    return;
  }
}

OwnedText its_call(const recording::CallEntered& entered) {
  const std::string call = entered.name + "(" + entered.arguments + ")";
  const std::string stack = entered.stack.substr(0, entered.stack.find(" < "));
  return {" It was its " + call + (stack.empty() ? "." : ", at " + stack + "."),
          "那是它的 " + call + (stack.empty() ? "。" : "，位于 " + stack + "。")};
}

}  // namespace

Because because_of(const Story& story, const Segment& reset) {
  const auto& cause = reset.cause;
  Because because;
  if (cause.trigger == Trigger::call && cause.by) {
    const auto* entered = std::get_if<recording::CallEntered>(&story.timeline.event(*cause.by).what);
    if (entered == nullptr) return because;
    because.text = its_call(*entered);
    because.evidence = {*cause.by};
  } else if (cause.trigger == Trigger::process_end) {
    const Ender ender = ender_of(story.timeline, reset);
    because.text = ender.who == Ender::Who::owner
                       ? OwnedText{" Its process had ended.", "它的进程已结束。"}
                       : OwnedText{" The last holder of its socket had ended.", "其套接字的最后一个持有者已结束。"};
    if (ender.end) because.evidence = {*ender.end};
  } else if (cause.trigger == Trigger::segment) {
    because.text = {" Its kernel answered a segment with it.", "那是它的内核对一个报文段的回应。"};
  } else if (cause.timer == timeline::Timer::keep_alive) {
    because.text = {" Its keep-alive had given up.", "它的保活探测已放弃。"};
  }
  return because;
}

Because because_of(const Story& story, const UnseenReset& reset) {
  Because because;
  const auto* entered =
      reset.by.valid() ? std::get_if<recording::CallEntered>(&story.timeline.event(reset.by).what) : nullptr;
  if (entered != nullptr) {
    because.text = its_call(*entered);
    because.evidence = {reset.by};
  } else if (reset.at_exit(story)) {
    because.text = {" Its process had ended.", "它的进程已结束。"};
    because.evidence = {reset.by};
  }
  return because;
}

void find_resets(const Story& story, Findings& findings) {
  find_unseen(story, findings);
  for (const Side side : {opener, listener}) {
    const Segment* reset = story.reset_of(side);
    if (reset == nullptr) {
      if (story.connection.without_packets()) find_without_packets(story, side, findings);
      continue;
    }
    find_again(story, side, findings);
    if (find_said(story, *reset, findings)) continue;
    const Segment* provoking = provoking_segment(story, *reset);
    if (provoking != nullptr && provoking->tcp.flags.syn() && provoking->from == opener)
      continue;  // open.refused speaks of it
    const bool linger_2 = story.option_set(side, tcp_linger2, story.time(reset->departed)) != nullptr;
    const auto when = story.time(reset->departed);
    const auto read = story.bytes_read(side, when);
    const bool unread = !read || story.bytes_arrived(side, when) > *read;
    if ((story.fin_of(side) == nullptr || linger_2 || in_time_wait(story, *reset)) &&
        !(reset->cause.trigger == Trigger::call && unread) && find_otherwise(story, *reset, findings))
      continue;
    if (provoking != nullptr)
      find_passive(story, *reset, *provoking, findings);
    else
      find_active(story, *reset, findings);
  }
}

}  // namespace tcpwhy::explain
