// Opening that went wrong or took its time: what the listener did with the SYN, and what accept() handed out.
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <iterator>

#include "base/units.h"
#include "explain/rules/accept_queue.h"
#include "explain/rules/attempt.h"
#include "explain/texts/drop_reasons.h"

namespace tcpwhy::explain {
namespace {

using timeline::listener;
using timeline::opener;
using timeline::other;

constexpr std::string_view listen_overflows = "TcpExt.ListenOverflows";

std::int64_t count(const std::vector<const Segment*>& segments) { return static_cast<std::int64_t>(segments.size()); }

// A handshake that met a full accept queue, and how that is known.
struct QueueFull {
  Grade grade = Grade::derived;
  EventId met_by;  // what the queue did not take: a segment, or the call that waited for it
  std::vector<EventId> evidence;
  OwnedText queue;
};

OwnedText queue_words(const AcceptQueues::Full& full) {
  const auto words = [](const std::optional<base::Duration>& time) {
    return time ? base::in_words(*time) : std::string();
  };
  const std::string since = words(full.since_accept), until = words(full.until_accept);
  OwnedText accepts = since.empty()
                          ? OwnedText{"had accepted none", "此前从未 accept"}
                          : OwnedText{"had accepted the last one " + since + " before", since + " 前接受了上一个"};
  accepts.en += until.empty() ? ", and none after" : ", and the next one " + until + " later";
  accepts.zh += until.empty() ? "，此后再没有" : "，" + until + " 后接受下一个";
  return {
      fmt::format(" ({} waited, with a backlog of {}; {} {})", full.waiting, full.backlog, full.listener, accepts.en),
      fmt::format("（backlog 为 {1}，有 {0} 个在等待；{2} {3}）", full.waiting, full.backlog, full.listener,
                  accepts.zh)};
}

// The segments that a full queue does not take: SYNs, and the ACK of the SYN-ACK, up to the first data.
std::vector<const Segment*> of_handshake(const Story& story) {
  std::vector<const Segment*> found;
  for (const Segment* segment : story.segments(opener)) {
    if (segment->tcp.payload_length > 0 && !segment->tcp.flags.syn()) break;
    if (!segment->tcp.flags.fin() && !segment->tcp.flags.rst()) found.push_back(segment);
  }
  return found;
}

// It had to try again, or came to nothing.
bool was_slow(const Story& story) {
  std::int64_t answers = 0;
  for (const Segment* segment : story.segments(listener)) answers += segment->tcp.flags.syn() ? 1 : 0;
  return syns_of(story).size() > 1 || answers > 1 || (answers == 0 && story.reset_of(listener) == nullptr);
}

// With SYN cookies nothing is kept between the SYN-ACK and its ACK: where the queue has no room for what the ACK brings, nobody is there
// to take it, and no reset is sent (tcp_v4_cookie_check(), tcp_get_cookie_sock()).
std::optional<QueueFull> refused_cookie(const Story& story) {
  constexpr base::Duration at_once = std::chrono::milliseconds(10);
  const Segment* syn_ack = first_syn_ack(story);
  const Segment* reset = story.reset_of(listener);
  if (syn_ack == nullptr) return std::nullopt;
  const auto& answers = story.segments(listener);
  const auto stood =
      std::ranges::find_if(answers, [](const Segment* s) { return !s->tcp.flags.syn() && !s->tcp.flags.rst(); });
  for (const Segment* segment : story.segments(opener)) {
    if (stood != answers.end() && (*stood)->departed < segment->departed) break;
    if (segment->tcp.flags.rst()) continue;
    const auto drop = segment->departed < syn_ack->departed ? std::nullopt : story.drop_of(*segment);
    if (!drop || drop_reason(story.timeline.get<recording::SegmentDropped>(*drop).reason).kind != DropKind::no_socket)
      continue;
    if (reset != nullptr && story.time(reset->departed) - story.time(segment->departed) < at_once) return std::nullopt;
    return QueueFull{Grade::derived,
                     segment->departed,
                     {syn_ack->departed, segment->departed, *drop},
                     {" (it had answered with a SYN cookie, and no socket took the ACK of it)",
                      "（它以 SYN cookie 应答，而没有套接字接收对它的 ACK）"}};
  }
  return std::nullopt;
}

std::optional<QueueFull> queue_full(const Story& story, const AcceptQueues& queues) {
  const auto port = story.connection.sides[listener].address.port;
  const auto by_count = [&](EventId event, base::WallTime at) -> std::optional<QueueFull> {
    auto full = queues.full_at(port, at);
    if (!full) return std::nullopt;
    full->evidence.push_back(event);
    return QueueFull{Grade::derived, event, full->evidence, queue_words(*full)};
  };
  for (const Segment* segment : of_handshake(story))
    if (const auto drop = story.drop_of(*segment);
        drop &&
        drop_reason(story.timeline.get<recording::SegmentDropped>(*drop).reason).kind == DropKind::accept_queue) {
      const auto full = queues.full_at(port, story.time(*drop));
      return QueueFull{
          Grade::observed, segment->departed, {*drop, segment->departed}, full ? queue_words(*full) : OwnedText{}};
    }
  if (const auto refused = refused_cookie(story)) return refused;
  if (story.connection.without_packets()) {
    for (const Attempt& attempt : failed_attempts(story))
      if (attempt.connect != nullptr && (attempt.error == ETIMEDOUT || attempt.error == 0))
        if (auto full = by_count(attempt.connect->entered, story.time(attempt.connect->entered))) return full;
    return std::nullopt;
  }
  if (!was_slow(story)) return std::nullopt;
  for (const Segment* segment : of_handshake(story)) {
    const auto at = story.time(segment->arrived.value_or(segment->departed));
    if (auto full = by_count(segment->departed, at)) return full;
    if (!segment->arrived) continue;
    if (const auto counter = story.counter_moved(listen_overflows, listener, at))
      return QueueFull{Grade::derived, segment->departed, {*counter, segment->departed}, {}};
  }
  return std::nullopt;
}

void tell_queue_full(const Story& story, const QueueFull& full, Findings& findings) {
  const auto syns = syns_of(story);
  std::vector<EventId> evidence = full.evidence;
  if (!syns.empty()) evidence.push_back(syns.front()->departed);
  const auto since = syns.empty() ? full.met_by : syns.front()->departed;
  const auto until = syns.empty() ? story.connection.ended : story.time(full.met_by);
  auto& slots = findings.add("open.queue_full", story, full.grade, evidence).slots;
  slots = {{"who", story.name(opener)}, {"peer", story.name(listener)}, {"after", until - story.time(since)}};
  put(slots, "counted", syn_count(story)), put(slots, "queue", full.queue);
}

// The SYN was answered by what is left of an earlier connection between the same two addresses: an ACK where a SYN-ACK is due.
// RFC 9293 3.10.7.4, and for TIME-WAIT tcp_timewait_state_process().
bool find_earlier_incarnation(const Story& story, Findings& findings) {
  const auto syns = syns_of(story);
  const Segment* syn_ack = first_syn_ack(story);
  for (const Segment* answer : story.segments(listener)) {
    if (syns.empty() || answer->departed < syns.front()->departed || answer == syn_ack) break;
    if (!answer->tcp.flags.ack() || answer->tcp.flags.syn() || answer->tcp.flags.rst()) continue;
    std::vector<EventId> evidence = {syns.front()->departed, answer->departed};
    if (syn_ack != nullptr) evidence.push_back(syn_ack->departed);
    findings.add("open.earlier_incarnation", story, Grade::derived, evidence).slots = {
        {"who", story.name(opener)},
        {"peer", story.name(listener)},
        {"after", (syn_ack != nullptr ? story.time(syn_ack->departed) : story.connection.ended) -
                      story.time(syns.front()->departed)}};
    return true;
  }
  return false;
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

// What set TCP_DEFER_ACCEPT last, to anything but 0, on a socket that listens on that port.
const Call* defer_accept_of_listener(const Story& story, EventId before) {
  const auto& lookups = story.timeline.lookups;
  const auto& calls = story.timeline.calls;
  const auto listen = lookups.listening_at(story.connection.sides[listener].address.port, before, calls);
  if (!listen) return nullptr;
  const auto all = lookups.defers_accept.of(story.timeline.entered(calls[*listen]).socket);
  const auto later =
      std::ranges::upper_bound(all, before, {}, [&](const auto& pair) { return calls[pair.value].entered; });
  if (later == all.begin()) return nullptr;
  const Call& set = calls[std::prev(later)->value];
  return set.meaning.as<calls::Option>()->value.value_or(0) != 0 ? &set : nullptr;
}

// A SYN or SYN-ACK that had to be sent again: lost, or thrown away by a full queue.
void find_slow_handshake(const Story& story, Findings& findings) {
  const auto syns = syns_of(story);
  const Segment* syn_ack = first_syn_ack(story);
  if (syns.empty() || syn_ack == nullptr) return;
  std::vector<EventId> evidence = {syns.front()->departed};
  const auto slots = [&](const Segment* last, std::int64_t times) -> Slots {
    return {{"who", story.name(opener)},
            {"peer", story.name(listener)},
            {"times", times},
            {"after", story.time(last->departed) - story.time(syns.front()->departed)}};
  };
  std::int64_t before = 0;
  for (const Segment* syn : syns)
    if (syn->departed < syn_ack->departed) {
      ++before;
      evidence.push_back(syn->departed);
    }
  evidence.push_back(syn_ack->departed);
  if (before > 1) {
    findings.add("open.syn_lost", story, Grade::derived, evidence).slots = slots(syn_ack, before - 1);
    return;
  }
  std::vector<const Segment*> answers;
  for (const Segment* segment : story.segments(listener))
    if (segment->tcp.flags.syn()) answers.push_back(segment);
  const Call* defers = defer_accept_of_listener(story, syn_ack->departed);
  if (defers != nullptr) evidence.push_back(defers->entered);
  if (answers.size() < 2) {
    const Segment* data = defers != nullptr ? opened_by_data(story, *syn_ack) : nullptr;
    if (data == nullptr) return;
    evidence.push_back(data->departed);
    findings.add("open.deferred", story, Grade::derived, evidence).slots = slots(data, 0);
    return;
  }
  for (const Segment* answer : answers) evidence.push_back(answer->departed);
  findings.add(defers != nullptr ? "open.deferred" : "open.syn_ack_lost", story, Grade::derived, evidence).slots =
      slots(answers.back(), count(answers) - 1);
}

// Without packets its connect() shows it, or whatever other call was the first on that socket.
void find_self(const Story& story, const std::vector<const Segment*>& syns, Findings& findings) {
  const auto& calls =
      story.calls(opener, Effect::connects).empty() ? story.calls(opener) : story.calls(opener, Effect::connects);
  std::vector<EventId> evidence;
  if (!syns.empty())
    evidence = {syns.front()->departed};
  else if (!calls.empty())
    evidence = {calls.front()->entered, calls.front()->returned.value_or(EventId{})};
  if (evidence.empty()) return;
  findings.add("open.self", story, Grade::observed, evidence).slots = {
      {"who", story.name(opener)}, {"address", wire::to_string(story.connection.sides[opener].address)}};
}

void find_odd_openings(const Story& story, Findings& findings) {
  const auto syns = syns_of(story);
  if (story.connection.of_one_socket()) return find_self(story, syns, findings);
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

}  // namespace

void find_connecting(const Story& story, const AcceptQueues& queues, Findings& findings) {
  const auto full = queue_full(story, queues);
  find_attempts(story, full.has_value(), findings);
  if (full)
    tell_queue_full(story, *full, findings);
  else if (!find_earlier_incarnation(story, findings))
    find_slow_handshake(story, findings);
  find_odd_openings(story, findings);
  find_dead_on_accept(story, findings);
}

}  // namespace tcpwhy::explain
