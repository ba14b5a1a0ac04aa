// Closing that does not close, and not closing at all: shared descriptors, threads, CLOSE-WAIT, half-closed connections.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <span>

#include "explain/story.h"

namespace tcpwhy::explain {
namespace {

using namespace std::chrono_literals;
using timeline::listener;
using timeline::opener;
using timeline::other;
using timeline::Timer;

// A program that closes a moment later leaks nothing.
constexpr base::Duration left_open = 1s;
constexpr base::Duration lingered = 5ms;
constexpr base::Duration noticed = 500us;
// Threads of a process that may be inside a call on one socket: among its latest calls are theirs.
constexpr std::ptrdiff_t threads_looked_at = 64;

std::int32_t pid_of(const Story& story, const Call& call) {
  const auto& actors = story.timeline.recording->actors;
  return call.actor.value < actors.size() ? actors[call.actor.value].pid : 0;
}

// The latest fork of that process after `since` and before that: the child's start, or the call where that is all there is.
std::optional<EventId> fork_between(const Story& story, std::int32_t pid, EventId since, EventId before) {
  const auto started = story.timeline.lookups.forks_of_pid.of(pid);
  const auto event = [](const auto& pair) { return pair.value; };
  if (const auto later = std::ranges::lower_bound(started, before, {}, event); later != started.begin()) {
    const EventId latest = std::prev(later)->value;
    return latest < since ? std::nullopt : std::optional(latest);
  }
  const auto forks = story.timeline.lookups.forks_called_by.of(pid);
  const auto entered = [&](const auto& pair) { return story.timeline.calls[pair.value].entered; };
  const auto later = std::ranges::lower_bound(forks, before, {}, entered);
  if (later == forks.begin() || entered(*std::prev(later)) < since) return std::nullopt;
  return entered(*std::prev(later));
}

// unshare(2): "CLONE_FILES: Unshare the file descriptor table, so that the calling process no longer shares its file descriptors with any
// other process." Alone it shares them with nobody, and there is no second table (unshare_fd()).
std::optional<EventId> unshared_between(const Story& story, std::int32_t pid, EventId since, EventId before) {
  const auto& lookups = story.timeline.lookups;
  const auto unshares = lookups.unshares_of.of(pid);
  if (unshares.empty()) return std::nullopt;
  const auto call_of = [&](const auto& pair) -> const Call& { return story.timeline.calls[pair.value]; };
  const auto several = lookups.several_threads_since(lookups.process_of(call_of(unshares.front()).actor));
  if (!several) return std::nullopt;
  // The call may be the second thread's first event.
  const auto first = std::ranges::lower_bound(unshares, std::max(since, *several), {},
                                              [&](const auto& pair) { return call_of(pair).entered; });
  if (first == unshares.end() || call_of(*first).entered >= before) return std::nullopt;
  return call_of(*first).entered;
}

bool in_progress_at(const Story& story, const Call& call, const Call& when) {
  return call.entered < when.entered && story.timeline.end_of(call) > story.time(when.entered);
}

// Of calls in order of entry the latest that were entered before.
std::span<const Call* const> latest_before(const std::vector<const Call*>& calls, EventId before) {
  const auto later = std::ranges::lower_bound(calls, before, {}, &Call::entered);
  return {later - std::min<std::ptrdiff_t>(later - calls.begin(), threads_looked_at), later};
}

// One thread closes or shuts down what another is reading from.
void find_threads(const Story& story, Side side, Findings& findings) {
  const auto& all = story.calls(side, Effect::receives);
  for (const Call* ending : story.calls(side)) {
    const auto effect = Story::effect(*ending);
    if ((effect != Effect::closes && effect != Effect::shuts) || !ending->returned || !story.succeeded(*ending))
      continue;
    for (const Call* reading : latest_before(all, ending->entered)) {
      if (reading->actor == ending->actor || pid_of(story, *reading) != pid_of(story, *ending)) continue;
      if (!in_progress_at(story, *reading, *ending)) continue;
      const Segment* fin = story.fin_of(side);
      const Slots slots = {{"who", story.name(side)}, {"call", story.line(*ending)}, {"recv", story.line(*reading)}};
      // By another number it holds the socket through a descriptor that stays: close.nothing_sent speaks of that.
      if (effect == Effect::closes && story.timeline.entered(*reading).fd != story.timeline.entered(*ending).fd)
        continue;
      if (effect == Effect::closes && (fin == nullptr || fin->departed > *ending->returned)) {
        auto& finding = findings.add("close.under_recv", story, Grade::derived,
                                     {reading->entered, ending->entered, *ending->returned});
        finding.slots = slots;
        finding.act = ending->entered;
      }
      if (effect == Effect::shuts && reading->returned && story.result(*reading) == 0 &&
          !story.arrived_before(story.fin_of(other(side)), story.time(ending->entered)))
        findings
            .add("shutdown.woke_recv", story, Grade::derived, {reading->entered, ending->entered, *reading->returned})
            .slots = slots;
      break;
    }
  }
}

// The peer has closed long ago, this program has not, as far as was watched.
// RFC 9293 3.6: "Note that a TCP endpoint receiving a FIN will ACK but not send its own FIN until its user has CLOSED
// the connection also."
void find_close_wait(const Story& story, Side side, Findings& findings) {
  const auto& events = story.timeline.recording->events;
  if (story.calls(side).empty() || story.closing_call(side) != nullptr || story.fin_of(side) != nullptr) return;
  if (story.reset_of(opener) != nullptr || story.reset_of(listener) != nullptr) return;
  for (const auto& change : story.connection.changes) {
    if (change.side != side || change.to != tcp::State::close_wait) continue;
    const auto since = events.back().at - story.time(change.event);
    if (since < left_open || story.state(side, events.back().at) != tcp::State::close_wait) return;
    auto& slots = findings.add("close_wait.left_open", story, Grade::observed, {change.event}).slots;
    slots = {{"who", story.name(side)}, {"peer", story.name(other(side))}, {"after", since}};
    const EventId end{static_cast<std::uint32_t>(events.size() - 1)};
    put(slots, "finish", words_of(finish_of(story, other(side), end)));
    return;
  }
}

void find_peer_keeps_open(const Story& story, Side side, Findings& findings) {
  const auto& events = story.timeline.recording->events;
  const auto end = events.back().at;
  if (story.state(side, end) != tcp::State::fin_wait_2 || story.fin_of(other(side)) != nullptr) return;
  const Segment* fin = story.fin_of(side);
  if (fin == nullptr || story.closing_call(side) != nullptr || end - story.time(fin->departed) < left_open) return;
  for (const Call* call : story.calls(side, Effect::shuts))
    if (story.succeeded(*call)) {
      findings.add("shutdown.peer_keeps_open", story, Grade::observed, {call->entered, fin->departed}).slots = {
          {"who", story.name(side)}, {"peer", story.name(other(side))}, {"after", end - story.time(fin->departed)}};
      return;
    }
}

// socket(7), SO_LINGER {on, n > 0}: close() waits for the peer's acknowledgment, n seconds at most.
void find_lingering(const Story& story, Side side, Findings& findings) {
  const Call* close = story.closing_call(side);
  if (close == nullptr || !close->returned) return;
  const Call* option = story.option_set(side, so_linger, story.time(close->entered));
  if (option == nullptr) return;
  const auto& linger = *option->meaning.as<calls::Option>();
  const bool waits = linger.value.value_or(0) != 0 && linger.linger_seconds.value_or(0) != 0;
  const auto took = story.time(*close->returned) - story.time(close->entered);
  // It waited for the ACK of its FIN or until its time was over. An ACK that a timer sent was waited for however soon it came: the
  // next tick may be a few microseconds away. One that the FIN itself called for is back, on loopback, before close() could sleep.
  const Segment* fin = story.fin_of(side);
  const Segment* ack = fin == nullptr ? nullptr : story.acknowledgment_of(*fin);
  const bool acked = ack != nullptr && ack->arrived && *ack->arrived < *close->returned;
  const bool by_timer = acked && ack->cause.timer != Timer::none;
  if (!waits || (!by_timer && took < (acked ? noticed : lingered))) return;
  findings.add("close.lingered", story, Grade::derived, {option->entered, close->entered, *close->returned}).slots = {
      {"who", story.name(side)}, {"peer", story.name(other(side))}, {"after", took}};
}

void find_crossing(const Story& story, Findings& findings) {
  std::vector<EventId> evidence;
  for (const auto& change : story.connection.changes)
    if (change.to == tcp::State::closing) evidence.push_back(change.event);
  if (evidence.size() == 2)
    findings.add("close.simultaneous", story, Grade::derived, evidence).slots = {{"who", story.name(opener)},
                                                                                 {"peer", story.name(listener)}};
}

// A FIN again, by the retransmission timer: it or the ACK of it was lost. (fin.probed speaks of the tail-loss probe.)
void find_fin_again(const Story& story, Side side, Findings& findings) {
  const Segment* fin = story.fin_of(side);
  std::vector<EventId> evidence;
  for (const Segment* segment : story.segments(side))
    if (segment != fin && segment->tcp.flags.fin() && segment->segment_class == tcp::SegmentClass::retransmission &&
        segment->cause.timer == Timer::retransmission)
      evidence.push_back(segment->departed);
  if (fin == nullptr || evidence.empty()) return;
  const auto times = static_cast<std::int64_t>(evidence.size());
  evidence.push_back(fin->departed);
  findings.add("fin.again", story, Grade::observed, evidence).slots = {
      {"who", story.name(side)}, {"peer", story.name(other(side))}, {"times", times}};
}

// The last close() came back, and its kernel went on delivering what it held.
void find_delivered_later(const Story& story, Side side, Findings& findings) {
  const Call* close = last_close(story, side);
  const Segment* fin = story.fin_of(side);
  if (close == nullptr || fin == nullptr || fin->departed < *close->returned) return;
  // Without the kernel's count somebody unseen may have held it, and closed it later.
  const bool counted = story.timeline.entered(*close).references.has_value();
  std::vector<EventId> evidence = {*close->returned};
  std::int64_t bytes = 0;
  for (const Segment* segment : story.segments(side))
    if (segment->departed > *close->returned && segment->segment_class == tcp::SegmentClass::data &&
        (segment->cause.trigger == timeline::Trigger::segment || segment->cause.trigger == timeline::Trigger::timer)) {
      bytes += segment->tcp.payload_length;
      if (evidence.size() < 16) evidence.push_back(segment->departed);
    }
  // Of what left later somebody else may have sent some.
  bytes = std::min(bytes, static_cast<std::int64_t>(
                              story.bytes_unsent(side, *close->returned).value_or(static_cast<std::uint64_t>(bytes))));
  if (bytes > 0)
    findings.add("close.delivered_later", story, counted ? Grade::observed : Grade::derived, evidence).slots = {
        {"who", story.caller(*close)}, {"peer", story.name(other(side))}, {"bytes", bytes}};
}

// A side that reset the connection by its own call or end threw away what its send() had taken and the wire had not.
void find_discarded(const Story& story, Side side, Findings& findings) {
  const Segment* reset = story.reset_of(side);
  if (reset == nullptr ||
      (reset->cause.trigger != timeline::Trigger::call && reset->cause.trigger != timeline::Trigger::process_end))
    return;
  std::vector<EventId> evidence = {reset->departed};
  std::int64_t taken = 0;
  for (const Call* call : story.calls(side, Effect::sends)) {
    if (!call->returned || *call->returned > reset->departed || story.result(*call) <= 0) continue;
    taken += static_cast<std::int64_t>(story.bytes_moved(*call));
    if (evidence.size() < 16) evidence.push_back(call->entered);
  }
  const auto left = static_cast<std::int64_t>(story.connection.sides[side].bytes_sent);
  if (taken <= left || story.connection.began_before_capture) return;
  findings.add("reset.unsent_discarded", story, Grade::derived, evidence).slots = {
      {"who", story.name(side)}, {"peer", story.name(other(side))}, {"bytes", taken - left}, {"sent", left}};
}

// shutdown() acts on the connection, not on the descriptor: a child that holds it too has lost its sending half as well.
void find_shutdown_of_shared(const Story& story, Side side, Findings& findings) {
  const Segment* fin = story.fin_of(side);
  if (fin == nullptr || fin->cause.trigger != timeline::Trigger::call || !fin->cause.by) return;
  const Call* shutdown = story.call_at(*fin->cause.by);
  if (shutdown == nullptr || Story::effect(*shutdown) != Effect::shuts) return;
  // Forked while the connection stood.
  const auto forked =
      fork_between(story, pid_of(story, *shutdown), story.calls(side).front()->entered, shutdown->entered);
  if (!forked) return;
  findings.add("shutdown.despite_sharing", story, Grade::derived, {*forked, shutdown->entered, fin->departed}).slots = {
      {"who", story.caller(*shutdown)}, {"peer", story.name(other(side))}, {"call", story.line(*shutdown)}};
}

// getsockopt(SO_ERROR) takes the error that the next call would have returned.
void find_error_taken(const Story& story, Side side, Findings& findings) {
  for (const Call* call : story.calls(side)) {
    const auto* option = call->meaning.as<calls::Option>();
    if (call->meaning.effect != Effect::gets_option || !option->is(so_error.level, so_error.number) ||
        !story.succeeded(*call) || option->value.value_or(0) == 0)
      continue;
    findings.add("error.taken", story, Grade::observed, {call->entered, *call->returned}).slots = {
        {"who", story.name(side)}, {"error", error_words(static_cast<int>(*option->value))}};
    return;
  }
}

}  // namespace

const Call* last_close(const Story& story, Side side) {
  const auto& all = story.calls(side);
  const auto last =
      std::ranges::find_if(all.rbegin(), all.rend(), [](const Call* call) { return !call->descriptor_was_closed; });
  if (last == all.rend() || Story::effect(**last) != Effect::closes || !story.succeeded(**last)) return nullptr;
  if (const auto& references = story.timeline.entered(**last).references) return *references == 1 ? *last : nullptr;
  return sharing_of(story, **last).evidence.empty() ? *last : nullptr;
}

bool was_shared(const Story& story, const Call& close) {
  const auto& references = story.timeline.entered(close).references;
  return references && *references > 1;
}

// The calls before close() that made another reference to its socket, or to the number that it closes.
std::set<timeline::CallIndex> other_references(const Story& story, const Call& close) {
  const auto& entered = story.timeline.entered(close);
  std::set<timeline::CallIndex> found;
  const auto add = [&](const auto& calls) {
    for (const auto& pair : calls)
      if (story.timeline.calls[pair.value].entered < close.entered) found.insert(pair.value);
  };
  if (entered.socket != 0) add(story.timeline.lookups.sharings_of_socket.of(entered.socket));
  if (!entered.fd) return found;
  // What had that number before is another socket's.
  const auto& duplications = story.timeline.lookups.duplications_of;
  const auto pid = pid_of(story, close);
  if (entered.socket != 0) {
    add(duplications.of({pid, *entered.fd, 0}));
    add(duplications.of({pid, *entered.fd, entered.socket}));
  } else {
    add(duplications.between({pid, *entered.fd, 0}, {pid, *entered.fd, UINT64_MAX}));
  }
  return found;
}

std::optional<EventId> fork_while_held(const Story& story, Side side, std::int32_t pid, EventId before) {
  const auto since = story.first_call_of(side, pid);
  return since ? fork_between(story, pid, *since, before) : std::nullopt;
}

std::optional<EventId> unshared_while_held(const Story& story, Side side, std::int32_t pid, EventId before) {
  const auto since = story.first_call_of(side, pid);
  return since ? unshared_between(story, pid, *since, before) : std::nullopt;
}

namespace {

// A number of this process that has named the socket since then, and still did when `close` was called, which is about another one.
bool still_names_it(const Story& story, const Call& close, std::int32_t fd, EventId since) {
  const auto& entered = story.timeline.entered(close);
  const auto& lookups = story.timeline.lookups;
  const auto pid = pid_of(story, close);
  if (fd == entered.fd) return false;
  // A call meanwhile, of this process, that closed the number.
  const auto any = [&](const auto& calls, const auto& closes_it) {
    const auto call_of = [&](const auto& pair) -> const Call& { return story.timeline.calls[pair.value]; };
    const auto called = [&](const auto& pair) { return call_of(pair).entered; };
    const auto first = std::ranges::upper_bound(calls, since, {}, called);
    const auto end = std::ranges::lower_bound(first, calls.end(), close.entered, {}, called);
    return std::any_of(first, end, [&](const auto& pair) {
      const Call& call = call_of(pair);
      return pid_of(story, call) == pid && story.succeeded(call) && closes_it(call);
    });
  };
  return !any(lookups.closes_of_socket.of(entered.socket), [&](const Call& call) {
    return story.timeline.entered(call).fd == fd;
  }) && !any(lookups.replacements_of.of({pid, fd}), [](const Call&) { return true; });
}

// Calls of other threads that are inside the socket hold a reference each (fdget()).
std::uint32_t calls_inside(const Story& story, const Call& close) {
  const auto inside = [&](const Call* call) {
    return call->actor != close.actor && in_progress_at(story, *call, close);
  };
  return static_cast<std::uint32_t>(
      std::ranges::count_if(latest_before(story.calls(close.side), close.entered), inside));
}

// Of another process, which had the socket since then: it has neither ended nor closed it until `close` was called. (The number of a
// process that has ended is given again.)
bool still_has_it(const Story& story, const Call& close, std::int32_t pid, EventId since) {
  const auto& lookups = story.timeline.lookups;
  const auto meanwhile = [&](EventId event) { return event > since && event < close.entered; };
  const auto ended = [&](const auto& pair) { return meanwhile(pair.value); };
  if (std::ranges::any_of(lookups.ends_of_pid.of(pid), ended)) return false;
  const auto closes = lookups.closes_of_socket.of(story.timeline.entered(close).socket);
  return std::ranges::none_of(closes, [&](const auto& pair) {
    const Call& call = story.timeline.calls[pair.value];
    return pid_of(story, call) == pid && meanwhile(call.entered);
  });
}

// The process that this one was forked from, while it held the socket: it holds it still. The child's start.
std::optional<EventId> parent_that_holds(const Story& story, const Call& close) {
  const auto& lookups = story.timeline.lookups;
  const auto births = lookups.births_of_process.of(lookups.process_of(close.actor));
  if (births.empty()) return std::nullopt;
  const EventId start = births.front().value.event;
  const auto parent = story.timeline.get<recording::ProcessStarted>(start).parent;
  const auto since = parent ? story.first_call_of(close.side, *parent) : std::nullopt;
  const bool held = since && *since < start && start < close.entered;
  return held && still_has_it(story, close, *parent, *since) ? std::optional(start) : std::nullopt;
}

// The latest child that has the socket from its parent, unless it has ended or closed it since.
std::optional<EventId> child_that_holds(const Story& story, const Call& close) {
  const auto& lookups = story.timeline.lookups;
  const auto& actors = story.timeline.recording->actors;
  const auto pid = pid_of(story, close);
  const auto since = story.first_call_of(close.side, pid);
  if (!since) return std::nullopt;
  const auto started = lookups.forks_of_pid.of(pid);
  std::ptrdiff_t looked_at = 0;
  bool any = false;
  for (auto fork = started.end(); fork != started.begin() && looked_at < threads_looked_at; ++looked_at) {
    const EventId start = (--fork)->value;
    if (start > close.entered) continue;
    if (start < *since) break;
    any = true;
    const auto actor = story.timeline.event(start).actor.value;
    const auto child = actor < actors.size() ? actors[actor].pid : pid;
    if (child == pid || still_has_it(story, close, child, start)) return start;
  }
  return any ? std::nullopt : fork_between(story, pid, *since, close.entered);
}

}  // namespace

// What else refers to the socket that close() did not close.
Sharing sharing_of(const Story& story, const Call& close) {
  Sharing sharing;
  const auto& entered = story.timeline.entered(close);
  const auto pid = pid_of(story, close);
  std::optional<std::uint32_t> more;  // by the kernel's count
  if (was_shared(story, close)) {
    sharing.observed = true;
    const auto inside = std::min(calls_inside(story, close), *entered.references - 1);
    more = *entered.references - 1 - inside;
    if (*more > 0) sharing.others = {fmt::format("{} more", *more), fmt::format("另有 {} 个", *more)};
  }
  OwnedText named;
  const auto add = [&](EventId event, std::string_view en, std::string_view zh) {
    sharing.evidence.push_back(event);
    named.join({", ", "，"}, {en, zh});
  };
  for (const auto index : other_references(story, close)) {
    const Call& call = story.timeline.calls[index];
    const auto& other = story.timeline.entered(call);
    if (!story.succeeded(call) || call.meaning.effect == Effect::closes) continue;
    if (entered.socket != 0 && other.socket != 0 && other.socket != entered.socket &&
        !call.meaning.carries_descriptors())
      continue;  // what had that number before
    const bool carries = call.meaning.carries_descriptors();
    if (pid_of(story, call) != pid) {
      if (carries && call.meaning.effect == Effect::receives)
        add(call.entered,
            fmt::format("that of {}[{}], which was sent it (SCM_RIGHTS)", story.caller(call), pid_of(story, call)),
            fmt::format("{}[{}] 收到的一个（SCM_RIGHTS）", story.caller(call), pid_of(story, call)));
      if (!carries && call.meaning.effect == Effect::duplicates)
        add(call.entered,
            fmt::format("that of {}[{}], which took it by {}()", story.caller(call), pid_of(story, call), other.name),
            fmt::format("{}[{}] 用 {}() 取走的一个", story.caller(call), pid_of(story, call), other.name));
      continue;
    }
    if (!carries) {
      const auto made = story.timeline.returned(call)->new_fd;
      if (!made || still_names_it(story, close, *made, call.entered))
        add(call.entered, "a duplicate made by " + other.name + "()", other.name + "() 造出的副本");
      else if (made == entered.fd && other.fd && still_names_it(story, close, *other.fd, call.entered))
        add(call.entered, fmt::format("descriptor {}, of which it is a duplicate", *other.fd),
            fmt::format("它所复制的描述符 {}", *other.fd));
    }
    if (carries && call.meaning.effect == Effect::sends)
      add(call.entered, "one sent over a unix socket (SCM_RIGHTS)", "经 unix 套接字（SCM_RIGHTS）送出的一个");
  }
  if (const auto forked = parent_that_holds(story, close)) {
    const auto parent = *story.timeline.get<recording::ProcessStarted>(*forked).parent;
    add(*forked, fmt::format("that of its parent, process {}", parent), fmt::format("其父进程 {} 持有的一个", parent));
  }
  if (const auto forked = child_that_holds(story, close))
    add(*forked, "that of a forked child", "fork 出的子进程持有的一个");
  if (const auto unshared = unshared_while_held(story, close.side, pid, close.entered))
    add(*unshared, "that in the other table of descriptors that its unshare(CLONE_FILES) has made",
        "它的 unshare(CLONE_FILES) 造出的另一张描述符表里的一个");
  // Nothing but calls in progress holds it: what seems to is gone.
  if (more == 0U) sharing.evidence.clear(), named = {};
  if (!named.empty()) sharing.others.join({", ", "，"}, {named.en, named.zh});
  if (sharing.others.empty() && more)
    sharing.others = {"a call that another thread is inside", "另一个线程正在其中的调用"};
  if (sharing.others.empty()) sharing.others = {"which one was not recorded", "是哪一个没有记录"};
  return sharing;
}

void find_holding(const Story& story, Findings& findings) {
  for (const Side side : {opener, listener}) {
    find_threads(story, side, findings);
    find_close_wait(story, side, findings);
    find_peer_keeps_open(story, side, findings);
    find_lingering(story, side, findings);
    find_fin_again(story, side, findings);
    find_delivered_later(story, side, findings);
    find_error_taken(story, side, findings);
    find_discarded(story, side, findings);
    find_shutdown_of_shared(story, side, findings);
  }
  find_crossing(story, findings);
}

}  // namespace tcpwhy::explain
