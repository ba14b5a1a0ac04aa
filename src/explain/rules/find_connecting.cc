// Opening that went wrong or took its time: connect(), bind(), accept(), and what the listener did with the SYN.
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <map>
#include <ranges>
#include <set>
#include <utility>

#include "explain/story.h"

namespace tcpwhy::explain {
namespace {

using timeline::listener;
using timeline::opener;
using timeline::other;

constexpr std::string_view listen_overflows = "TcpExt.ListenOverflows";

std::vector<const Segment*> syns_of(const Story& story) {
  std::vector<const Segment*> syns;
  for (const Segment* segment : story.segments(opener))
    if (segment->tcp.flags.syn() && !segment->tcp.flags.ack()) syns.push_back(segment);
  return syns;
}

const Segment* first_syn_ack(const Story& story) {
  for (const Segment* segment : story.segments(listener))
    if (segment->tcp.flags.syn() && segment->tcp.flags.ack()) return segment;
  return nullptr;
}

std::int64_t count(const std::vector<const Segment*>& segments) { return static_cast<std::int64_t>(segments.size()); }

struct FailedRow {
  int error;
  std::string_view rule;
};
constexpr FailedRow failed_rows[] = {
    {ETIMEDOUT, "open.timed_out"},   {EHOSTUNREACH, "open.unreachable"},    {ENETUNREACH, "open.unreachable"},
    {EHOSTDOWN, "open.unreachable"}, {EADDRNOTAVAIL, "open.no_local_port"}, {EINTR, "open.interrupted"},
    {EPROTO, "open.unreachable"},    {ENOPROTOOPT, "open.unreachable"},     {EACCES, "open.unreachable"},
};

// How many SYNs were sent, in words.
OwnedText counted(const Story& story, const std::vector<const Segment*>& syns) {
  if (story.connection.without_packets()) return {"an unknown number of SYNs", "数目不明的 SYN"};
  return {fmt::format("{} SYN{}", syns.size(), syns.size() == 1 ? "" : "s"), fmt::format(" {} 个 SYN", syns.size())};
}

// More would say nothing more, and each of many calls may have as many.
constexpr std::ptrdiff_t syns_as_evidence = 16;

void find_failed(const Story& story, Findings& findings) {
  const auto syns = syns_of(story);
  for (const Call* call : story.calls(opener, Effect::connects)) {
    const auto* returned = story.timeline.returned(*call);
    if (returned == nullptr || returned->result >= 0) continue;
    std::string_view rule;
    const auto* row = std::ranges::find(failed_rows, returned->error, &FailedRow::error);
    if (row != std::end(failed_rows)) rule = row->rule;
    // Refused without a RST: where packets were seen, only an ICMP message can have done it.
    if (returned->error == ECONNREFUSED && !syns.empty() && story.reset_of(listener) == nullptr)
      rule = "open.refused_by_icmp";
    if (rule.empty()) continue;
    std::vector<EventId> evidence = {call->entered, *call->returned};
    for (const Segment* syn : syns | std::views::take(syns_as_evidence)) evidence.push_back(syn->departed);
    const OwnedText sent = counted(story, syns);
    auto& finding =
        findings.add(rule, story, rule == "open.refused_by_icmp" ? Grade::derived : Grade::observed, evidence);
    finding.slots = {{"who", story.name(opener)},
                     {"call", story.line(*call)},
                     {"after", story.time(*call->returned) - story.time(call->entered)},
                     {"counted", sent.en},
                     {"counted_zh", sent.zh}};
  }
}

// The error that a non-blocking connect() left on its socket.
void find_failed_later(const Story& story, Findings& findings) {
  const auto syns = syns_of(story);
  const bool shaken = first_syn_ack(story) != nullptr;
  if (shaken || syns.empty()) return;
  for (const auto& kernel : story.connection.kernel) {
    const auto* error = std::get_if<recording::SocketError>(&story.timeline.event(kernel.event).what);
    if (error == nullptr || kernel.side != opener) continue;
    const auto* row = std::ranges::find(failed_rows, error->error, &FailedRow::error);
    if (row == std::end(failed_rows) || row->error == EINTR || row->error == EADDRNOTAVAIL) continue;
    const auto& connects = story.calls(opener, Effect::connects);
    if (!connects.empty() && story.failed_with(*connects.front(), error->error)) return;  // said
    const OwnedText sent = counted(story, syns);
    auto& finding = findings.add(row->rule, story, Grade::observed, {syns.front()->departed, kernel.event});
    finding.slots = {{"who", story.name(opener)},
                     {"call", connects.empty() ? "connect()" : story.line(*connects.front())},
                     {"after", story.time(kernel.event) - story.time(syns.front()->departed)},
                     {"counted", sent.en},
                     {"counted_zh", sent.zh}};
    return;
  }
}

// Who listens on the port that refused: another family, another address, behind a firewall.
void find_refused_though_listening(const Story& story, Findings& findings) {
  const Segment* reset = story.reset_of(listener);
  if (reset == nullptr || first_syn_ack(story) != nullptr || syns_of(story).empty()) return;
  const auto port = story.connection.sides[listener].address.port;
  const auto listening = story.timeline.lookups.listening_at(port, reset->departed, story.timeline.calls);
  if (!listening) return;
  const Call& call = story.timeline.calls[*listening];
  findings.add("open.refused_though_listening", story, Grade::assumed, {call.entered, reset->departed}).slots = {
      {"who", story.name(opener)},
      {"port", std::int64_t{port}},
      {"address", wire::to_string(*story.timeline.entered(call).local)}};
}

bool overflowed(const Story& story, const Segment& segment, std::vector<EventId>& evidence) {
  if (const auto drop = story.drop_of(segment);
      drop && story.timeline.get<recording::SegmentDropped>(*drop).reason == "TCP_LISTEN_OVERFLOW") {
    evidence.push_back(*drop);
    return true;
  }
  if (!segment.arrived) return false;
  const auto counter = story.counter_moved(listen_overflows, listener, story.time(*segment.arrived));
  if (counter) evidence.push_back(*counter);
  return counter.has_value();
}

// The data that came after the bare ACK of the SYN-ACK.
const Segment* opened_by_data(const Story& story, const Segment& syn_ack) {
  const Segment* bare = nullptr;
  for (const Segment* segment : story.segments(opener)) {
    if (segment->departed < syn_ack.departed || !segment->tcp.flags.ack()) continue;
    if (segment->tcp.payload_length > 0) return bare != nullptr ? segment : nullptr;
    if (bare == nullptr) bare = segment;
  }
  return nullptr;
}

// A SYN or SYN-ACK that had to be sent again: lost, or thrown away by a full queue.
void find_slow_handshake(const Story& story, Findings& findings) {
  const auto syns = syns_of(story);
  if (syns.empty()) return;
  const Segment* syn_ack = first_syn_ack(story);
  std::vector<EventId> evidence = {syns.front()->departed};
  const auto slots = [&](const Segment* last, std::int64_t times) -> std::map<std::string, Slot, std::less<>> {
    return {{"who", story.name(opener)},
            {"peer", story.name(listener)},
            {"times", times},
            {"after", story.time(last->departed) - story.time(syns.front()->departed)}};
  };
  // Of the segments before the SYN-ACK, and of the ACK of it: a full queue takes neither.
  for (const Segment* segment : story.segments(opener)) {
    const bool of_handshake =
        segment->tcp.flags.syn() || (segment->tcp.payload_length == 0 && !segment->tcp.flags.fin());
    if (!of_handshake || !overflowed(story, *segment, evidence)) continue;
    evidence.push_back(segment->departed);
    findings.add("open.queue_full", story, story.drop_of(*segment) ? Grade::observed : Grade::derived, evidence).slots =
        slots(segment, count(syns));
    return;
  }
  std::int64_t before = 0;
  for (const Segment* syn : syns)
    if (syn_ack != nullptr && syn->departed < syn_ack->departed) {
      ++before;
      evidence.push_back(syn->departed);
    }
  if (syn_ack == nullptr) return;
  evidence.push_back(syn_ack->departed);
  if (before > 1) {
    findings.add("open.syn_lost", story, Grade::derived, evidence).slots = slots(syn_ack, before - 1);
    return;
  }
  std::vector<const Segment*> answers;
  for (const Segment* segment : story.segments(listener))
    if (segment->tcp.flags.syn()) answers.push_back(segment);
  const auto defers = story.timeline.lookups.first_defer_accept;
  const bool deferred = defers && *defers < syn_ack->departed;
  if (answers.size() < 2) {
    const Segment* data = deferred ? opened_by_data(story, *syn_ack) : nullptr;
    if (data == nullptr) return;
    evidence.push_back(data->departed);
    findings.add("open.deferred", story, Grade::derived, evidence).slots = slots(data, 0);
    return;
  }
  for (const Segment* answer : answers) evidence.push_back(answer->departed);
  findings.add(deferred ? "open.deferred" : "open.syn_ack_lost", story, Grade::derived, evidence).slots =
      slots(answers.back(), count(answers) - 1);
}

void find_odd_openings(const Story& story, Findings& findings) {
  const auto& sides = story.connection.sides;
  const auto syns = syns_of(story);
  if (!syns.empty() && same_endpoint(sides[opener].address, sides[listener].address)) {
    findings.add("open.self", story, Grade::observed, {syns.front()->departed}).slots = {
        {"who", story.name(opener)}, {"address", wire::to_string(sides[opener].address)}};
    return;
  }
  for (const Segment* segment : story.segments(listener))
    if (!syns.empty() && segment->tcp.flags.syn() && !segment->tcp.flags.ack()) {
      findings.add("open.simultaneous", story, Grade::observed, {syns.front()->departed, segment->departed}).slots = {
          {"who", story.name(opener)}, {"peer", story.name(listener)}};
      break;
    }
  if (!syns.empty() && syns.front()->tcp.payload_length > 0)
    findings.add("open.fast_open", story, Grade::observed, {syns.front()->departed}).slots = {
        {"who", story.name(opener)}, {"bytes", std::int64_t{syns.front()->tcp.payload_length}}};
}

// accept() handed out what was dead already.
void find_dead_on_accept(const Story& story, Findings& findings) {
  const Segment* reset = story.reset_of(opener);
  for (const Call* accept : story.calls(listener, Effect::accepts))
    if (story.succeeded(*accept) && story.arrived_before(reset, story.time(accept->entered)))
      findings
          .add("accept.already_reset", story, Grade::observed, {*reset->arrived, accept->entered, *accept->returned})
          .slots = {{"who", story.name(listener)}, {"peer", story.name(opener)}, {"call", story.line(*accept)}};
}

// close() while the SYN is unanswered says nothing to anybody.
void find_closed_while_connecting(const Story& story, Findings& findings) {
  if (story.connection.of_one_socket()) return;  // it has answered itself
  const Call* close = story.closing_call(opener);
  const auto syns = syns_of(story);
  if (close == nullptr || syns.empty() || close->entered < syns.front()->departed) return;
  const Segment* syn_ack = first_syn_ack(story);
  if (syn_ack != nullptr && syn_ack->arrived.value_or(syn_ack->departed) < close->entered) return;
  if (story.reset_of(listener) != nullptr) return;  // refused
  std::vector<EventId> evidence = {syns.front()->departed, close->entered};
  if (story.reset_of(opener) != nullptr) evidence.push_back(story.reset_of(opener)->departed);
  findings.add("open.abandoned", story, Grade::observed, evidence).slots = {{"who", story.name(opener)},
                                                                            {"peer", story.name(listener)}};
}

struct CallErrorRow {
  std::string_view call;
  int error;
  std::string_view rule;
};
constexpr CallErrorRow call_errors[] = {
    {"bind", EADDRINUSE, "bind.in_use"},        {"listen", EADDRINUSE, "bind.in_use"},
    {"accept", EMFILE, "accept.no_descriptor"}, {"accept4", EMFILE, "accept.no_descriptor"},
    {"accept", ENFILE, "accept.no_descriptor"}, {"accept4", ENFILE, "accept.no_descriptor"},
    {"", ENOTCONN, "call.not_connected"},       {"accept", EINVAL, "call.wrong_state"},
    {"accept4", EINVAL, "call.wrong_state"},    {"listen", EINVAL, "call.wrong_state"},
    {"bind", EINVAL, "call.wrong_state"},       {"connect", EISCONN, "call.wrong_state"},
};

std::string actor_name(const Timeline& timeline, const Call& call) {
  const auto& actors = timeline.recording->actors;
  return call.actor.value < actors.size() ? actors[call.actor.value].name : "?";
}

// What holds the port: an entry in TIME-WAIT, or a listener.
std::optional<EventId> holder_of_port(const Timeline& timeline, const Call& call) {
  const auto& entered = timeline.entered(call);
  if (!entered.local) return std::nullopt;
  const auto states = timeline.lookups.holding_port.of(entered.local->port);
  const auto later = std::ranges::upper_bound(states, call.entered, {}, [](const auto& pair) { return pair.value; });
  return later == states.begin() ? std::nullopt : std::optional(std::prev(later)->value);
}

// EPIPE from a socket that never had a peer.
bool sent_unconnected(const Timeline& timeline, const Call& call) {
  const auto* returned = timeline.returned(call);
  const auto& entered = timeline.entered(call);
  return call.meaning.effect == Effect::sends && returned->error == EPIPE && !call.connection && entered.socket != 0 &&
         !entered.remote;
}

// It asks the kernel not to; an operation of io_uring that sends messages has that done for it.
bool raises_sigpipe(const Timeline& timeline, const Call& call) {
  return !call.meaning.has(MSG_NOSIGNAL) && timeline.entered(call).through.empty();
}

// listen() on a socket that was made here and that nobody bound: the kernel chose the port.
void find_unbound_listeners(const Timeline& timeline, Findings& findings) {
  std::map<std::uint64_t, bool> bound;  // sockets whose socket() was seen
  for (const Call& call : timeline.calls) {
    const auto* returned = timeline.returned(call);
    if (returned == nullptr || returned->result < 0) continue;
    const auto& entered = timeline.entered(call);
    if (call.meaning.effect == Effect::makes_socket && returned->socket != 0) bound[returned->socket] = false;
    if (call.meaning.effect == Effect::binds) bound[entered.socket] = true;
    if (call.meaning.effect != Effect::listens) continue;
    const auto socket = bound.find(entered.socket);
    if (socket == bound.end() || std::exchange(socket->second, true)) continue;
    findings.add("listen.without_bind", call.connection, Grade::observed, {call.entered, *call.returned}).slots = {
        {"who", actor_name(timeline, call)}, {"call", recording::call_line(entered, returned)}};
  }
}

// A queue for which a second client at the same moment, or a third, is too many. A negative backlog is the longest there is (__sys_listen()).
void find_small_backlogs(const Timeline& timeline, Findings& findings) {
  std::set<std::pair<std::uint64_t, std::int64_t>> told;  // once a socket, however often it listens again
  std::map<std::uint64_t, EventId> widened;  // by socket: listen() again changes the backlog (inet_listen())
  for (const auto& [_, index] : timeline.lookups.calls_of_effect.of(Effect::listens)) {
    const Call& call = timeline.calls[index];
    const auto* returned = timeline.returned(call);
    const auto* listening = call.meaning.as<calls::Listening>();
    const auto socket = timeline.entered(call).socket;
    if (socket == 0 || returned == nullptr || returned->result < 0 || listening == nullptr) continue;
    if (listening->backlog < 0 || listening->backlog > 1) widened[socket] = call.entered;
  }
  for (const auto& [_, index] : timeline.lookups.calls_of_effect.of(Effect::listens)) {
    const Call& call = timeline.calls[index];
    const auto* returned = timeline.returned(call);
    const auto* listening = call.meaning.as<calls::Listening>();
    if (returned == nullptr || returned->result < 0 || listening == nullptr) continue;
    const auto backlog = listening->backlog;
    const auto& entered = timeline.entered(call);
    if (backlog < 0 || backlog > 1) continue;
    if (const auto later = widened.find(entered.socket); later != widened.end() && later->second > call.entered)
      continue;
    if (entered.socket != 0 && !told.insert({entered.socket, backlog}).second) continue;
    findings.add("listen.small_backlog", call.connection, Grade::observed, {call.entered, *call.returned}).slots = {
        {"who", actor_name(timeline, call)}, {"call", recording::call_line(entered, returned)}, {"room", backlog + 1}};
  }
}

}  // namespace

void find_connecting(const Story& story, Findings& findings) {
  find_failed(story, findings);
  find_failed_later(story, findings);
  find_refused_though_listening(story, findings);
  find_slow_handshake(story, findings);
  find_odd_openings(story, findings);
  find_dead_on_accept(story, findings);
  find_closed_while_connecting(story, findings);
}

// Sockets of Multipath TCP (RFC 8684) are none of TCP's: nothing of what is done with them is recorded. Go's net package listens with them
// by default since 1.24.
void find_multipath(const Timeline& timeline, Findings& findings) {
  std::map<std::uint64_t, std::pair<const Call*, std::int64_t>> first_of_process;
  for (const auto& [_, index] : timeline.lookups.calls_of_effect.of(Effect::makes_socket)) {
    const Call& call = timeline.calls[index];
    const auto* returned = timeline.returned(call);
    const auto* socket = call.meaning.as<calls::NewSocket>();
    if (returned == nullptr || returned->result < 0 || socket->protocol != IPPROTO_MPTCP) continue;
    auto& [first, times] = first_of_process[timeline.lookups.process_of(call.actor)];
    if (first == nullptr) first = &call;
    ++times;
  }
  for (const auto& [_, found] : first_of_process)
    findings.add("socket.multipath", std::nullopt, Grade::observed, {found.first->entered, *found.first->returned})
        .slots = {{"who", actor_name(timeline, *found.first)}, {"times", found.second}};
}

void find_call_errors(const Timeline& timeline, Findings& findings) {
  for (const Call& call : timeline.calls) {
    const auto* returned = timeline.returned(call);
    if (returned == nullptr || returned->result >= 0) continue;
    const auto& entered = timeline.entered(call);
    if (sent_unconnected(timeline, call)) {
      const bool signal = raises_sigpipe(timeline, call);
      findings.add("call.send_unconnected", call.connection, Grade::observed, {call.entered, *call.returned}).slots = {
          {"who", actor_name(timeline, call)},
          {"call", recording::call_line(entered, returned)},
          {"signal", signal ? ", with SIGPIPE" : ""},
          {"signal_zh", signal ? " 并发 SIGPIPE" : ""}};
      continue;
    }
    const auto* row = std::ranges::find_if(call_errors, [&](const CallErrorRow& r) {
      return r.error == returned->error && (r.call.empty() || r.call == entered.name);
    });
    if (row == std::end(call_errors)) continue;
    std::vector<EventId> evidence = {call.entered, *call.returned};
    if (row->rule == "bind.in_use")
      if (const auto holder = holder_of_port(timeline, call)) evidence.push_back(*holder);
    findings.add(row->rule, call.connection, Grade::observed, evidence).slots = {
        {"who", actor_name(timeline, call)}, {"call", recording::call_line(entered, returned)}};
  }
  find_unbound_listeners(timeline, findings);
  find_small_backlogs(timeline, findings);
  find_multipath(timeline, findings);
}

}  // namespace tcpwhy::explain
