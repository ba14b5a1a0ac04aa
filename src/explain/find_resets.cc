#include "explain/story.h"

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
  const auto found = std::ranges::find(story.timeline.segments, *reset.cause.by,
                                       [](const Segment& s) { return s.arrived.value_or(EventId{}); });
  return found == story.timeline.segments.end() ? nullptr : &*found;
}

// The kernel's sample that shows this side's socket gone, taken before `when`.
std::optional<EventId> gone_before(const Story& story, Side side, base::WallTime when) {
  std::optional<EventId> gone;
  for (const auto& kernel : story.connection.kernel) {
    if (story.time(kernel.event) > when) break;
    const auto* state = std::get_if<recording::SocketState>(&story.timeline.event(kernel.event).what);
    // To the tracepoint a socket is closed when a small entry takes its place: only the samples see those.
    if (state == nullptr || kernel.side != side || !state->not_before) continue;
    gone = state->to == "CLOSED" ? std::optional(kernel.event) : std::nullopt;
  }
  return gone;
}

bool still_listens(const Story& story, Side side, base::WallTime when) {
  bool listens = false;
  const auto port = story.connection.sides[side].address.port;
  for (const auto& event : story.timeline.recording->events) {
    if (event.at > when) break;
    const auto* sample = std::get_if<recording::SocketState>(&event.what);
    if (sample != nullptr && sample->local.port == port && (sample->to == "LISTEN" || sample->from == "LISTEN"))
      listens = sample->to == "LISTEN";
  }
  return listens;
}

void find_forgotten(const Story& story, const Segment& reset, const Segment& provoking, EventId gone,
                    Findings& findings) {
  const bool listens = still_listens(story, reset.from, story.time(reset.departed));
  auto& finding = findings.add("reset.forgotten", story, Grade::derived, {gone, *provoking.arrived, reset.departed});
  finding.slots = {
      {"who", story.name(reset.from)},
      {"reason", std::string(listens ? "only the listener is left, and it takes nothing but a SYN"
                                     : "nobody has that port any more, the same as a closed port")},
      {"reason_zh", std::string(listens ? "只剩监听套接字，它只接受 SYN" : "已没有人使用该端口，与关闭的端口无异")}};
}

void find_passive(const Story& story, const Segment& reset, const Segment& provoking, Findings& findings) {
  const Side side = reset.from;
  const auto when = story.time(*provoking.arrived);
  if (provoking.tcp.flags.syn()) return;  // open.refused speaks of it
  const std::map<std::string, Slot, std::less<>> slots = {{"who", story.name(side)}, {"peer", story.name(other(side))}};
  if (const auto gone = gone_before(story, side, when)) return find_forgotten(story, reset, provoking, *gone, findings);

  const Segment* fin = story.fin_of(side);
  if (fin == nullptr) {
    findings.add("reset.unexplained", story, Grade::assumed, {*provoking.arrived, reset.departed}).slots = slots;
    return;
  }
  std::vector<EventId> evidence = {fin->departed, *provoking.arrived, reset.departed};
  const auto counter = story.counter_moved(abort_on_data, side, story.time(reset.departed));
  if (counter) evidence.push_back(*counter);
  const Call* close = story.closing_call(side);
  const bool closed = !story.calls_known() || (close != nullptr && story.time(close->entered) <= when) ||
                      fin->cause.trigger == Trigger::process_end;
  const Segment* ack = story.acknowledgment_of(*fin);
  const bool acked_before = ack != nullptr && ack != &provoking && story.arrived_before(ack, when);
  std::string_view rule = "reset.unexplained";
  if (!closed)
    rule = "reset.after_shutdown";
  else if (acked_before && ack->departed < provoking.departed)
    rule = "reset.fin_wait_2_entry";
  else
    rule = "reset.orphan_fin_wait_1";
  // The counter and the order of segments have to agree; if they do not, the likelier is only assumed.
  const bool counted = counter.has_value() == (rule != "reset.fin_wait_2_entry");
  const Grade grade = story.calls_known() && counted ? Grade::derived : Grade::assumed;
  findings.add(rule, story, grade, evidence).slots = slots;
}

const Call* linger_zero_before(const Story& story, Side side, base::WallTime when) {
  const Call* found = nullptr;
  for (const Call* call : story.calls(side, CallFamily::option)) {
    const auto& arguments = story.timeline.entered(*call).arguments;
    if (story.time(call->entered) < when && story.succeeded(*call) && arguments.find("SO_LINGER") != std::string::npos)
      found = arguments.find("l_linger=0") != std::string::npos && arguments.find("l_onoff=1") != std::string::npos
                  ? call
                  : nullptr;
  }
  return found;
}

void find_active(const Story& story, const Segment& reset, Findings& findings) {
  const Side side = reset.from;
  const auto when = story.time(reset.departed);
  std::vector<EventId> evidence = {reset.departed};
  if (reset.cause.by) evidence.push_back(*reset.cause.by);
  const auto arrived = story.bytes_arrived(side, when), read = story.bytes_read(side, when);
  const bool unread = arrived > read;
  const auto counter = story.counter_moved(abort_on_close, side, when);
  const Call* linger = linger_zero_before(story, side, when);
  std::string_view rule = "reset.unexplained";
  if (unread && (counter || linger == nullptr)) {
    rule = reset.cause.trigger == Trigger::process_end ? "reset.unread_data_at_exit" : "reset.unread_data_at_close";
    if (counter) evidence.push_back(*counter);
  } else if (linger != nullptr) {
    rule = "reset.linger_zero";
    evidence.push_back(linger->entered);
  }
  const Grade grade = rule == "reset.unexplained" ? Grade::assumed : Grade::derived;
  findings.add(rule, story, grade, evidence).slots = {
      {"who", story.name(side)},
      {"peer", story.name(other(side))},
      {"bytes", static_cast<std::int64_t>(arrived - std::min(arrived, read))}};
}

}  // namespace

void find_resets(const Story& story, Findings& findings) {
  for (const Side side : {opener, listener}) {
    const Segment* reset = story.reset_of(side);
    if (reset == nullptr) continue;
    if (const Segment* provoking = provoking_segment(story, *reset))
      find_passive(story, *reset, *provoking, findings);
    else
      find_active(story, *reset, findings);
  }
}

}  // namespace tcpwhy::explain
