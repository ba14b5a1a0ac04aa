// What calls returned, and why: sending, receiving, signals.
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <iterator>
#include <set>
#include <span>
#include <utility>

#include "explain/rules/unseen_reset.h"
#include "explain/story.h"

namespace tcpwhy::explain {
namespace {

using recording::SignalFate;
using timeline::listener;
using timeline::opener;
using timeline::other;

Slots of(const Story& story, Side side, const Call& call) {
  return {{"who", story.caller(call)}, {"peer", story.name(other(side))}, {"call", story.line(call)}};
}

EventId end_event(const Call& call) { return call.returned.value_or(EventId{}); }

void find_bad_descriptor(const Story& story, Side side, Findings& findings) {
  for (const Call* call : story.calls(side))
    if (call->descriptor_was_closed && story.failed_with(*call, EBADF) && !story.caused_any(*call))
      findings.add("call.bad_descriptor", story, Grade::observed, {call->entered, end_event(*call)}).slots =
          of(story, side, *call);
}

// The SIGPIPE that a call raised, and the latest that is known of it: `generated` where that is all.
struct Sigpipe {
  EventId event;
  SignalFate fate;
};

// The next SIGPIPE that is told of the call's thread, if the thread makes no call before it.
std::optional<EventId> next_sigpipe(const Story& story, const Call& call, EventId after) {
  const auto& lookups = story.timeline.lookups;
  const auto all = lookups.sigpipes_of_actor.of(call.actor);
  const auto next = std::ranges::upper_bound(all, after, {}, [](const auto& pair) { return pair.value; });
  if (next == all.end() || lookups.any_call_between(call.actor, after, next->value, story.timeline.calls))
    return std::nullopt;
  return next->value;
}

// What came of the SIGPIPE of a call that is told in `raised`. The kernel delivers it on the way back to the program, behind the call's return:
// with another call of the thread, or another SIGPIPE, between it is not known to be the same.
Sigpipe outcome_of(const Story& story, const Call& call, Sigpipe raised) {
  const auto next = next_sigpipe(story, call, raised.event);
  if (!next) return raised;
  const auto& signal = story.timeline.get<recording::Signal>(*next);
  // What an operation of a ring raises comes to the thread as the call returns in which the kernel carried it out.
  const bool in_ring = !story.timeline.entered(call).through.empty();
  const bool other_call = !in_ring && signal.call.value_or(call.number) != call.number;
  if (signal.fate == SignalFate::generated || other_call) return raised;
  return {*next, signal.fate};
}

// Whoever recorded the process's signals saw them when they were raised, too: a SIGPIPE that came to a thread was raised where that is told.
bool told_when_raised(const Story& story, const Call& call) {
  const auto& lookups = story.timeline.lookups;
  return !lookups.sigpipes_raised.of(lookups.process_of(call.actor)).empty();
}

// The SIGPIPE that this very call raised: the signal's own event names the call.
std::optional<Sigpipe> sigpipe_of(const Story& story, const Call& call) {
  if (call.meaning.has(MSG_NOSIGNAL)) return std::nullopt;
  std::optional<Sigpipe> raised, came;
  for (const auto& [_, id] : story.timeline.lookups.signals_in_call.of(call.number)) {
    const auto& signal = story.timeline.get<recording::Signal>(id);
    if (signal.name != "SIGPIPE") continue;
    auto& known = signal.fate == SignalFate::generated ? raised : came;
    if (!known) known = {id, signal.fate};
  }
  if (raised) return outcome_of(story, call, *raised);
  if (!came || (call.returned && !story.failed_with(call, EPIPE))) return std::nullopt;
  switch (came->fate) {
    case SignalFate::delivered:
    case SignalFate::handled:
      // When one thread of a process dies of a signal, it comes to the others in whatever call they are.
      return told_when_raised(story, call) ? std::nullopt : came;
    case SignalFate::ignored:
      // So is one for a process that is dying already.
      return outcome_of(story, call, *came).fate == SignalFate::delivered ? std::nullopt : came;
    default: return came;
  }
}

// Nothing is told of the thread between the two events that it could not do while it dies. A log of strace says of no signal whether a
// handler ran: the deadly one is the last.
bool dies_between(const Story& story, const Call& call, EventId signal, EventId end) {
  const auto& lookups = story.timeline.lookups;
  const auto another = next_sigpipe(story, call, signal);
  return !(another && *another < end) && !lookups.any_call_between(call.actor, signal, end, story.timeline.calls);
}

// The end of the process by the SIGPIPE of this call: inside it, or before the program got its return value.
std::optional<EventId> killed_by(const Story& story, const Call& call) {
  const auto by_sigpipe = [&](EventId id) {
    return story.timeline.get<recording::ProcessEnded>(id).signal == "SIGPIPE";
  };
  const auto& lookups = story.timeline.lookups;
  const auto process = lookups.process_of(call.actor);
  if (const auto sigpipe = sigpipe_of(story, call)) {
    if (sigpipe->fate != SignalFate::delivered) return std::nullopt;
    const auto ends = lookups.ends_of_process.of(process);
    const auto end = std::ranges::upper_bound(ends, sigpipe->event, {}, [](const auto& pair) { return pair.value; });
    const bool is_it =
        end != ends.end() && by_sigpipe(end->value) && dies_between(story, call, sigpipe->event, end->value);
    return is_it ? std::optional(end->value) : std::nullopt;
  }
  // Of a process of several threads one dies of the signal, while others are in calls that don't return either.
  if (call.returned || told_when_raised(story, call) || !lookups.sigpipes_deadly.of(process).empty())
    return std::nullopt;
  for (const auto& [_, id] : lookups.ends_in_call.of(call.number))
    if (by_sigpipe(id)) return id;
  return std::nullopt;
}

// A log of strace need not have the calls that let a blocked signal through: the one before the signal is only likely to have raised it.
Grade grade_of_death(const Story& story) {
  const auto& observed = story.timeline.recording->provenance.observed;
  return observed.contains(recording::Observation::calls_strace) ? Grade::derived : Grade::observed;
}

// ECONNRESET means that a reset came and no FIN before it, whether a tap saw it or not.
void report_connection_reset(const Story& story, Side side, const Call& call, const Segment* reset,
                             std::string_view rule, Findings& findings) {
  std::vector<EventId> evidence = {end_event(call)};
  Because because;
  if (reset != nullptr && reset->arrived) {
    because = because_of(story, *reset);
    evidence.push_back(*reset->arrived);
    evidence.insert(evidence.end(), because.evidence.begin(), because.evidence.end());
  } else if (!story.connection.without_packets()) {
    return;
  } else if (const auto unseen = unseen_reset(story); unseen && unseen->from == other(side)) {
    because = because_of(story, *unseen);
    evidence.insert(evidence.end(), because.evidence.begin(), because.evidence.end());
  }
  auto& finding = findings.add(rule, story, Grade::derived, evidence);
  finding.slots = of(story, side, call);
  put(finding.slots, "because", because.text);
}

// The first call on a side that got its socket's ECONNRESET: after it the socket has no error any more (sock_error()).
const Call* taker_of_reset(const Story& story, Side side) {
  for (const Call* call : story.calls(side)) {
    const auto* option = call->meaning.as<calls::Option>();
    const bool asked = option != nullptr && option->is(SOL_SOCKET, SO_ERROR) && option->value == ECONNRESET;
    if (!call->descriptor_was_closed && (asked || story.failed_with(*call, ECONNRESET))) return call;
  }
  return nullptr;
}

bool returned_before(const Call* taker, const Call& call) {
  return taker != nullptr && taker != &call && taker->returned && *taker->returned < call.entered;
}

std::optional<EventId> arrival_of_fin(const Story& story, Side from) {
  if (story.connection.without_packets()) return unseen_fin(story, from);
  const Segment* fin = story.fin_of(from);
  return fin == nullptr ? std::nullopt : fin->arrived;
}

// Calls that waited as long as their socket's own limit allows (socket(7) SO_RCVTIMEO), in vain.
void find_own_limit(const Story& story, Side side, Effect effect, Findings& findings) {
  using namespace std::chrono_literals;
  constexpr base::Duration waited = 1ms;  // one that may not wait is back sooner
  constexpr SocketOption limits[] = {{SOL_SOCKET, SO_RCVTIMEO}, {SOL_SOCKET, SO_SNDTIMEO}};
  const bool receives = effect == Effect::receives;
  const Call *first = nullptr, *limit = nullptr;
  std::int64_t times = 0;
  for (const Call* call : story.calls(side, effect)) {
    const auto since = story.time(call->entered);
    if (!story.failed_with(*call, EAGAIN) || call->meaning.has(MSG_DONTWAIT) ||
        story.time(*call->returned) - since < waited)
      continue;
    const Call* set = story.option_set(side, limits[receives ? 0 : 1], since);
    if (set == nullptr) continue;
    if (first == nullptr) first = call, limit = set;
    ++times;
  }
  if (first == nullptr) return;
  auto& finding = findings.add(receives ? "recv.own_limit" : "send.own_limit", story, Grade::derived,
                               {limit->entered, first->entered, *first->returned});
  finding.slots = of(story, side, *first);
  finding.slots["after"] = story.time(*first->returned) - story.time(first->entered);
  finding.slots["times"] = times;
}

// What one side's sending calls saw, walked in order.
class SendingWalk {
 public:
  SendingWalk(const Story& story, Side side, Findings& findings)
      : story_(story),
        side_(side),
        findings_(findings),
        peer_fin_(arrival_of_fin(story, other(side))),
        reset_(relevant_reset()) {}

  void run() {
    for (const Call* call : story_.calls(side_, Effect::sends)) {
      if (call->descriptor_was_closed) continue;
      if (broke(story_, *call))
        broken(*call);
      else if (story_.failed_with(*call, ECONNRESET))
        connection_reset(*call);
      else if (story_.result(*call) > 0)  // of nothing (no piece, the end of a file or of a pipe) TCP hears nothing
        succeeded(*call);
    }
  }

 private:
  // The reset that reached this side.
  [[nodiscard]] const Segment* relevant_reset() const { return story_.reset_of(other(side_)); }

  void broken(const Call& call) {
    const auto entered = story_.time(call.entered);
    std::vector<EventId> evidence = {call.entered, end_event(call)};
    if (const Call* shutdown = story_.shutdown_of_sending(side_, entered)) {
      evidence.push_back(shutdown->entered);
      auto& finding = findings_.add("call.send_after_shutdown", story_, Grade::observed, evidence);
      finding.slots = of(story_, side_, call);
      finding.slots["how"] = shutdown->meaning.as<calls::Shutdown>()->receiving() ? "SHUT_RDWR" : "SHUT_WR";
      put(finding.slots, "whose", whose(*shutdown, call));
      finding.about = finding.act = call.entered;
      return;
    }
    const bool unseen = story_.connection.without_packets() && !returned_before(taker_, call);
    if (unseen) return broken_unseen(call, evidence);
    if (!story_.connection.without_packets()) {
      if (!story_.arrived_before(reset_, entered)) return;
      evidence.push_back(*reset_->arrived);
    }
    if (returned_before(taker_, call)) {
      evidence.push_back(*taker_->returned);
      findings_.add("send.broken_pipe_later", story_, Grade::derived, evidence).slots = of(story_, side_, call);
      return;
    }
    if (!fin_came_by(story_.time(*reset_->arrived))) return;
    evidence.push_back(*peer_fin_);
    auto& finding = findings_.add("send.broken_pipe", story_, Grade::derived, evidence);
    finding.slots = of(story_, side_, call);
    finding.slots["after"] = entered - story_.time(*reset_->arrived);
  }

  // EPIPE is the error of a reset behind a FIN (tcp_reset()); of one that nobody saw, too. It is told of the first call that got it. Of a
  // socket without a peer it is the kernel's word for that (call.send_unconnected).
  void broken_unseen(const Call& call, std::vector<EventId> evidence) {
    const auto& entered = story_.timeline.entered(call);
    if (entered.local && entered.local->ip.is_unspecified()) return;
    if (std::exchange(told_unseen_, true)) return;
    if (peer_fin_ && *peer_fin_ < call.entered) evidence.push_back(*peer_fin_);
    findings_.add("send.broken_pipe_unseen", story_, Grade::derived, evidence).slots = of(story_, side_, call);
  }

  [[nodiscard]] bool fin_came_by(base::WallTime when) const { return peer_fin_ && story_.time(*peer_fin_) <= when; }

  // A child that has the socket from its parent may have called it.
  [[nodiscard]] OwnedText whose(const Call& shutdown, const Call& call) const {
    const auto process = [&](const Call& one) { return story_.timeline.lookups.process_of(one.actor); };
    if (process(shutdown) == process(call)) return {"its own", "它自己的"};
    return {story_.caller(shutdown) + "'s", " " + story_.caller(shutdown) + " 的"};
  }

  void connection_reset(const Call& call) {
    report_connection_reset(story_, side_, call, reset_, "send.connection_reset", findings_);
    if (!sigpipe_of(story_, call))
      findings_.add("signal.none_with_econnreset", story_, Grade::derived, {end_event(call)}).slots =
          of(story_, side_, call);
  }

  void succeeded(const Call& call) {
    const auto entered = story_.time(call.entered);
    if (!fin_came_by(entered)) return;
    const Finish finish = finish_of(story_, other(side_), call.entered);
    if (finish == Finish::shut) return;  // that is what half-close is for
    std::vector<EventId> evidence = {*peer_fin_, call.entered, end_event(call)};
    if (sent_after_fin_ && reset_ != nullptr && !story_.arrived_before(reset_, story_.time(end_event(call)))) {
      if (reset_->arrived) evidence.push_back(*reset_->arrived);
      findings_.add("send.before_reset", story_, Grade::observed, evidence).slots = of(story_, side_, call);
      if (never_left(call))
        findings_.add("send.not_sent", story_, Grade::derived, evidence).slots = of(story_, side_, call);
    } else if (!sent_after_fin_) {
      const std::string_view rule = finish == Finish::not_known ? "send.after_peer_fin" : "send.after_peer_closed";
      const Grade grade = story_.connection.without_packets() ? Grade::derived : Grade::observed;
      auto& finding = findings_.add(rule, story_, grade, evidence);
      finding.slots = of(story_, side_, call);
      put(finding.slots, "finish", words_of(finish));
      finding.slots["after"] = entered - story_.time(*peer_fin_);
      finding.about = call.entered;
    }
    sent_after_fin_ = true;
  }

  // No segment of this side left between the call and the reset's arrival.
  [[nodiscard]] bool never_left(const Call& call) const {
    return reset_->arrived && !story_.sent_data_between(side_, call.entered, *reset_->arrived);
  }

  const Story& story_;
  Side side_;
  Findings& findings_;
  std::optional<EventId> peer_fin_;  // when it reached this side
  const Segment* reset_;
  const Call* taker_ = taker_of_reset(story_, side_);
  bool sent_after_fin_ = false, told_unseen_ = false;
};

// What one side's receiving calls saw, walked in order.
class ReceivingWalk {
 public:
  ReceivingWalk(const Story& story, Side side, Findings& findings)
      : story_(story),
        side_(side),
        findings_(findings),
        peer_fin_(story.fin_of(other(side))),
        reset_(story.reset_of(other(side))) {}

  void run() {
    for (const Call* call : story_.calls(side_, Effect::receives)) {
      if (call->descriptor_was_closed || !call->returned) continue;
      if (story_.failed_with(*call, ECONNRESET))
        connection_reset(*call);
      else if (story_.met_end(*call))
        zero(*call);
      else if (story_.result(*call) > 0)
        data(*call);
    }
    report_ends();
  }

 private:
  void connection_reset(const Call& call) {
    report_connection_reset(story_, side_, call, reset_, "recv.connection_reset", findings_);
  }

  void zero(const Call& call) {
    const auto returned = story_.time(*call.returned);
    const auto times = static_cast<std::int64_t>(story_.timeline.times(call));
    if (!story_.shut_receiving(side_, returned)) {
      if (zeros_++ == 0) first_zero_ = &call;
      zeros_ += times - 1, last_zero_ = &call;
    }
    if (returned_before(taker_, call)) {
      findings_.add("recv.zero_after_error", story_, Grade::observed, {*taker_->returned, *call.returned}).slots =
          of(story_, side_, call);
    } else if (story_.arrived_before(peer_fin_, returned)) {
      Ends& ends = story_.arrived_before(reset_, story_.time(call.entered)) ? after_reset_ : after_fin_;
      ends.events.push_back(*call.returned);
      ends.times += times;
    } else if (story_.shut_receiving(side_, returned) && !peer_may_have_closed(returned)) {
      findings_.add("call.recv_after_shutdown", story_, Grade::observed, {call.entered, *call.returned}).slots =
          of(story_, side_, call);
    }
  }

  // Without packets the end of the stream may have come as well: only what the peer's program did, or the kernel says later, tells that not.
  [[nodiscard]] bool peer_may_have_closed(base::WallTime by) const {
    if (!story_.connection.without_packets()) return false;
    const Side peer = other(side_);
    const auto until_then = [&](EventId event) { return story_.time(event) <= by; };
    for (const auto& change : story_.connection.changes)
      if (change.side == side_ && !until_then(change.event) &&
          (change.to == tcp::State::established || change.to == tcp::State::fin_wait_1 ||
           change.to == tcp::State::fin_wait_2))
        return false;
    if (story_.calls(peer).empty() || story_.shut_sending(peer, by)) return true;
    const auto end = story_.end_of_process(peer);
    return (end && until_then(*end)) || std::ranges::any_of(story_.calls(peer, Effect::closes), [&](const Call* close) {
             return !close->descriptor_was_closed && until_then(close->entered);
           });
  }

  void data(const Call& call) {
    after_shutdown(call);
    // Who only looks (MSG_PEEK) leaves it there to be read.
    const auto bytes = story_.bytes_moved(call);
    if (bytes == 0 || !story_.arrived_before(reset_, story_.time(call.entered))) return;
    auto& finding =
        findings_.add("recv.data_before_reset", story_, Grade::observed, {*reset_->arrived, *call.returned});
    finding.slots = of(story_, side_, call);
    finding.slots["bytes"] = static_cast<std::int64_t>(bytes);
  }

  // On Linux SHUT_RD turns nothing away: what arrives later is acknowledged and can be read.
  void after_shutdown(const Call& call) {
    if (shut_rd_ == nullptr || told_shut_rd_ || *shut_rd_->returned > call.entered) return;
    told_shut_rd_ = true;
    findings_.add("recv.after_shut_rd", story_, Grade::observed, {shut_rd_->entered, *call.returned}).slots =
        of(story_, side_, call);
  }
  [[nodiscard]] const Call* shut_rd() const {
    for (const Call* call : story_.calls(side_, Effect::shuts)) {
      const auto* shutdown = call->meaning.as<calls::Shutdown>();
      if (story_.succeeded(*call) && shutdown->receiving() && !shutdown->sending()) return call;
    }
    return nullptr;
  }

  void report_ends() {
    const auto report = [&](std::string_view rule, Ends ends, const Segment* cause) {
      if (ends.events.empty()) return;
      ends.events.push_back(*cause->arrived);
      findings_.add(rule, story_, Grade::derived, ends.events).slots = {
          {"who", story_.name(side_)}, {"peer", story_.name(other(side_))}, {"times", ends.times}};
    };
    report("recv.end_of_file", after_fin_, peer_fin_);
    report("recv.end_of_file_after_reset", after_reset_, reset_);
    if (zeros_ < zeros_of_a_loop) return;
    const auto lasted = story_.time(*last_zero_->returned) - story_.time(first_zero_->entered);
    findings_.add("recv.end_of_file_ignored", story_, Grade::observed, {*first_zero_->returned, *last_zero_->returned})
        .slots = {{"who", story_.caller(*last_zero_)}, {"times", zeros_}, {"after", lasted}};
  }

  const Story& story_;
  Side side_;
  Findings& findings_;
  const Segment* peer_fin_;
  const Segment* reset_;
  const Call* shut_rd_ = shut_rd();
  const Call* taker_ = taker_of_reset(story_, side_);
  struct Ends {
    std::vector<EventId> events;
    std::int64_t times = 0;
  };
  Ends after_fin_, after_reset_;
  // Who stops asking has asked twice or three times.
  static constexpr std::int64_t zeros_of_a_loop = 1000;
  const Call* first_zero_ = nullptr;
  const Call* last_zero_ = nullptr;
  std::int64_t zeros_ = 0;
  bool told_shut_rd_ = false;
};

// One of the process's calls that was seen, of whatever socket, is known to have killed it. The latest of each thread are looked at.
bool is_by_a_call(const Story& story, std::uint64_t process, EventId end) {
  constexpr std::ptrdiff_t looked_at = 16;
  const auto& lookups = story.timeline.lookups;
  const auto& actors = story.timeline.recording->actors;
  for (std::uint32_t actor = 0; actor < actors.size(); ++actor) {
    if (lookups.process_of(timeline::ActorId{actor}) != process) continue;
    const auto calls = lookups.calls_of_actor.of(timeline::ActorId{actor});
    const auto later = std::ranges::upper_bound(
        calls, end, {}, [&](const auto& pair) { return story.timeline.calls[pair.value].entered; });
    for (auto call = later - std::min<std::ptrdiff_t>(later - calls.begin(), looked_at); call != later; ++call)
      if (const Call& one = story.timeline.calls[call->value];
          one.meaning.effect == Effect::sends && killed_by(story, one) == end)
        return true;
  }
  return false;
}

// Its process died of a SIGPIPE, and no call that was seen raised it, while this side could send no more: a call of the 32-bit ABI, an
// operation of a ring, a call on something else.
void find_unseen_sigpipe(const Story& story, Side side, Findings& findings) {
  const auto& lookups = story.timeline.lookups;
  const Segment* reset = story.reset_of(other(side));
  std::set<std::uint64_t> seen;
  for (const auto actor : story.connection.sides[side].actors) {
    const auto process = lookups.process_of(actor);
    if (!seen.insert(process).second) continue;
    const auto ends = lookups.ends_of_process.of(process);
    if (ends.empty()) continue;
    const EventId end = ends.back().value;
    if (story.timeline.get<recording::ProcessEnded>(end).signal != "SIGPIPE") continue;
    EventId since;
    if (story.arrived_before(reset, story.time(end)))
      since = *reset->arrived;
    else if (const Call* shutdown = story.shutdown_of_sending(side, story.time(end)))
      since = shutdown->entered;
    else
      continue;
    const auto closes = story.calls_between(side, Effect::closes, since, end);
    const bool closed = std::ranges::any_of(closes, [&](const Call* call) {
      return lookups.process_of(call->actor) == process && !call->descriptor_was_closed;
    });
    if (closed || is_by_a_call(story, process, end)) continue;
    auto& finding = findings.add("signal.killed_unseen", story, Grade::observed, {since, end});
    const bool one = seen.size() == 1 && story.connection.sides[side].actors.size() == 1;
    const auto& who = story.timeline.recording->actors[actor.value];
    finding.slots = {{"who", one || who.name.empty() ? story.name(side) : who.name},
                     {"peer", story.name(other(side))},
                     {"after", story.time(end) - story.time(since)},
                     {"status", std::int64_t{128 + 13}}};
  }
}

// The last of those settings that the actor of `call` had made before it; null: none.
const Call* last_before(const Story& story, const timeline::Lookups::Calls<timeline::ActorId>& settings,
                        const Call& call) {
  const auto calls = settings.of(call.actor);
  const auto later = std::ranges::upper_bound(
      calls, call.entered, {}, [&](const auto& pair) { return story.timeline.calls[pair.value].entered; });
  return later == calls.begin() ? nullptr : &story.timeline.calls[std::prev(later)->value];
}

// The actor has SIGPIPE blocked: the latest mask that it set before `call`.
std::optional<EventId> blocks_sigpipe(const Story& story, const Call& call) {
  const Call* setting = last_before(story, story.timeline.lookups.sigpipe_masks, call);
  if (setting == nullptr) return std::nullopt;
  const auto& mask = *setting->meaning.as<calls::SignalMask>();
  const bool blocks = mask.names(SIGPIPE) && mask.change != calls::SignalMask::Change::unblock;
  return blocks ? std::optional(setting->entered) : std::nullopt;
}

// The actor's last word on SIGPIPE before `call` is that it be ignored.
bool ignores_sigpipe(const Story& story, const Call& call) {
  const Call* setting = last_before(story, story.timeline.lookups.sigpipe_actions, call);
  return setting != nullptr && setting->meaning.as<calls::SignalAction>()->fate == calls::SignalAction::Fate::ignored;
}

}  // namespace

bool broke(const Story& story, const Call& call) {
  return story.failed_with(call, EPIPE) || killed_by(story, call).has_value();
}

void find_sending(const Story& story, Findings& findings) {
  for (const Side side : {opener, listener}) {
    find_bad_descriptor(story, side, findings);
    SendingWalk(story, side, findings).run();
    find_own_limit(story, side, Effect::sends, findings);
  }
}

void find_receiving(const Story& story, Findings& findings) {
  for (const Side side : {opener, listener}) {
    ReceivingWalk(story, side, findings).run();
    find_own_limit(story, side, Effect::receives, findings);
  }
}

void find_signals(const Story& story, Findings& findings) {
  for (const Side side : {opener, listener}) {
    for (const Call* call : story.calls(side, Effect::sends)) {
      if (const auto end = killed_by(story, *call)) {
        auto& finding = findings.add("signal.killed", story, grade_of_death(story), {call->entered, *end});
        finding.slots = of(story, side, *call);
        finding.slots["status"] = std::int64_t{128 + 13};
        continue;
      }
      if (!story.failed_with(*call, EPIPE)) continue;
      const auto sigpipe = sigpipe_of(story, *call);
      const auto came = [&](SignalFate fate) { return sigpipe && sigpipe->fate == fate; };
      const bool settings_tell = !sigpipe && !told_when_raised(story, *call);
      std::string_view rule;
      std::vector<EventId> evidence = {call->entered, *call->returned};
      if (sigpipe) evidence.push_back(sigpipe->event);
      if (call->meaning.has(MSG_NOSIGNAL)) {
        rule = "signal.not_asked_for";
      } else if (came(SignalFate::handled)) {
        rule = "signal.handled";
      } else if (came(SignalFate::ignored) || (settings_tell && ignores_sigpipe(story, *call))) {
        rule = "signal.ignored";
      } else if (came(SignalFate::blocked)) {
        rule = "signal.blocked";
      } else if (const auto blocked = blocks_sigpipe(story, *call); settings_tell && blocked) {
        rule = "signal.blocked";
        evidence.push_back(*blocked);
      } else {
        continue;
      }
      findings.add(rule, story, Grade::observed, evidence).slots = of(story, side, *call);
    }
    find_unseen_sigpipe(story, side, findings);
  }
}

}  // namespace tcpwhy::explain
