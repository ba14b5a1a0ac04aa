#include "explain/rules/unseen_reset.h"

#include <algorithm>
#include <cerrno>

#include "explain/rules/attempt.h"

namespace tcpwhy::explain {
namespace {

using timeline::listener;
using timeline::opener;
using timeline::other;

bool told_by_kernel(const Story& story) {
  return std::ranges::any_of(story.connection.kernel, [&](const auto& kernel) {
    return std::holds_alternative<recording::Reset>(story.timeline.event(kernel.event).what);
  });
}

// What closed a side's socket for good: the last close(), or the end of all who held it.
struct Closed {
  EventId at;
  const Call* close = nullptr;  // null: the end of a process
};

std::optional<Closed> closed_for_good(const Story& story, Side side) {
  if (const Call* close = last_close(story, side)) return Closed{close->entered, close};
  const auto end = story.end_of_process(side);
  if (!end || story.closing_call(side) != nullptr || execve_after_last_call(story, side)) return std::nullopt;
  const auto& actors = story.timeline.recording->actors;
  for (const auto actor : story.connection.sides[side].actors)
    if (fork_while_held(story, side, actors[actor.value].pid, *end) ||
        unshared_while_held(story, side, actors[actor.value].pid, *end))
      return std::nullopt;
  const bool shared = std::ranges::any_of(story.calls(side), [&](const Call* call) {
    const auto socket = story.timeline.entered(*call).socket;
    return socket != 0 && !story.timeline.lookups.sharings_of_socket.of(socket).empty();
  });
  return shared ? std::nullopt : std::optional(Closed{*end, nullptr});
}

// The call by which a side learns that it was reset without a FIN; null: none.
const Call* met_reset(const Story& story, Side side) {
  for (const Call* call : story.calls(side)) {
    const auto* option = call->meaning.as<calls::Option>();
    const bool asked = option != nullptr && option->is(so_error.level, so_error.number) && option->value == ECONNRESET;
    if (!call->descriptor_was_closed && (asked || story.failed_with(*call, ECONNRESET))) return call;
  }
  return nullptr;
}

// The sending call that met a reset behind a FIN (tcp_reset(): EPIPE in CLOSE-WAIT); null: none.
const Call* met_broken_pipe(const Story& story, Side side) {
  for (const Call* call : story.calls(side, Effect::sends))
    if (!call->descriptor_was_closed && broke(story, *call) && !story.shut_sending(side, story.time(call->entered))) {
      const Call* reset = met_reset(story, side);
      return reset == nullptr || call->entered < reset->entered ? call : nullptr;
    }
  return nullptr;
}

std::optional<EventId> end_of_stream(const Story& story, Side side) {
  for (const Call* call : story.calls(side, Effect::receives))
    if (story.met_end(*call) && !story.shut_receiving(side, story.time(*call->returned))) return *call->returned;
  return std::nullopt;
}

struct Unread {
  std::optional<std::uint64_t> bytes;
  Grade grade = Grade::derived;
  std::vector<EventId> evidence;
};

// Received and not read when the socket was closed.
std::optional<Unread> unread_at(const Story& story, Side side, const Closed& closed) {
  if (closed.close != nullptr)
    if (const auto bytes = story.timeline.entered(*closed.close).unread) {
      if (*bytes > 0) return Unread{.bytes = *bytes, .evidence = {}};
      // Nothing was there when it was asked, and yet the other side got a reset: more came before the call did its work.
      const Call* met = met_reset(story, other(side));
      if (met == nullptr || met->returned.value_or(EventId{0}) < closed.at) return std::nullopt;
      return Unread{.bytes = {}, .grade = Grade::assumed, .evidence = {*met->returned}};
    }
  const auto when = story.time(closed.at);
  // A sample of the queue after which nothing was read.
  std::optional<base::WallTime> last_read;
  for (const Call* call : story.calls(side, Effect::receives))
    last_read = std::max(last_read, std::optional(story.timeline.end_of(*call)));
  for (const auto& kernel : story.connection.kernel) {
    const auto* state = std::get_if<recording::SocketState>(&story.timeline.event(kernel.event).what);
    if (state == nullptr || kernel.side != side || !state->not_before || kernel.event > closed.at) continue;
    const bool read_since = last_read >= state->not_before;
    // A FIN counts there too.
    const std::uint32_t fin = state->to == tcp::State::established ? 0 : 1;
    if (!read_since && state->to != tcp::State::closed && state->receive_queue > fin)
      return Unread{.bytes = {}, .evidence = {kernel.event}};
  }
  const auto read = story.bytes_read(side, when);
  if (!read || !story.reads_are_known(side)) return std::nullopt;
  Unread unread;
  std::uint64_t sent = 0;
  for (const Call* call : story.calls(other(side), Effect::sends))
    if (call->returned && *call->returned < closed.at && story.bytes_moved(*call) > 0) {
      sent += story.bytes_moved(*call);
      unread.evidence = {call->entered};
    }
  if (sent <= *read) return std::nullopt;
  // They may have been on their way still; a reset without a FIN shows that they were not.
  const Call* met = met_reset(story, other(side));
  unread.grade = met == nullptr ? Grade::assumed : Grade::derived;
  if (met != nullptr && met->returned) unread.evidence.push_back(*met->returned);
  return unread;
}

// The socket had come to stand, and its peer's kernel or its own had not ended it yet.
bool stood_until(const Story& story, Side side, EventId closed) {
  const bool stood = side == listener || story.connection.of_one_socket() || was_answered(story);
  const auto before = [&](const Call* call) { return call != nullptr && call->entered < closed; };
  if (!stood || before(met_reset(story, side)) || before(met_broken_pipe(story, side))) return false;
  // RFC 9293 3.6: both FINs have come, the rest is TIME-WAIT's or nobody's.
  const auto end = end_of_stream(story, side);
  return !(story.shut_sending(side, story.time(closed)) && end && *end < closed);
}

std::optional<UnseenReset> by_closing(const Story& story, Side side) {
  const auto closed = closed_for_good(story, side);
  if (!closed || !stood_until(story, side, closed->at)) return std::nullopt;
  UnseenReset reset{.from = side, .by = closed->at, .evidence = {closed->at}, .about = closed->at};
  // An end is told when somebody has waited for the process: what it did came before.
  if (closed->close == nullptr && !story.calls(side).empty()) reset.about = story.calls(side).back()->entered;
  const Call* linger = linger_zero_before(story, side, story.time(closed->at));
  const auto unread = unread_at(story, side, *closed);
  if (unread && (linger == nullptr || unread->grade != Grade::assumed)) {
    reset.rule = closed->close != nullptr ? "reset.unread_data_at_close" : "reset.unread_data_at_exit";
    reset.grade = unread->grade, reset.unread = unread->bytes;
    reset.evidence.insert(reset.evidence.end(), unread->evidence.begin(), unread->evidence.end());
    return reset;
  }
  if (linger == nullptr) return std::nullopt;
  reset.rule = "reset.linger_zero";
  reset.evidence.push_back(linger->entered);
  return reset;
}

// connect() to AF_UNSPEC dissolves what stands (tcp_disconnect()).
std::optional<UnseenReset> by_disconnecting(const Story& story, Side side) {
  for (const Call* call : story.calls(side, Effect::connects)) {
    const auto* address = call->meaning.as<calls::Address>();
    if (address == nullptr || address->family != AF_UNSPEC || !story.succeeded(*call)) continue;
    if (!stood_until(story, side, call->entered)) return std::nullopt;
    return UnseenReset{.from = side,
                       .rule = "reset.disconnected",
                       .by = call->entered,
                       .evidence = {call->entered},
                       .about = call->entered};
  }
  return std::nullopt;
}

// That side's data came after the other one's FIN, and nobody was left to read it.
std::optional<UnseenReset> by_answering(const Story& story, Side sender) {
  const Call* met = met_broken_pipe(story, sender);
  if (met == nullptr) return std::nullopt;
  const Side from = other(sender);
  UnseenReset reset{.from = from, .rule = "reset.after_close"};
  const auto fin = unseen_fin(story, from);
  for (const Call* call : story.calls(sender, Effect::sends))
    if (call->entered < met->entered && story.result(*call) > 0 && (!fin || *fin < call->entered)) {
      reset.answered = call;
      break;
    }
  if (reset.answered == nullptr) return std::nullopt;
  reset.about = reset.answered->entered;
  reset.evidence = {reset.answered->entered, met->entered, met->returned.value_or(EventId{})};
  if (fin && *fin < reset.answered->entered) reset.evidence.push_back(*fin);
  const auto when = story.time(reset.answered->entered);
  const Call* close = story.closing_call(from);
  if (story.shut_receiving(from, when) && (close == nullptr || close->entered > reset.answered->entered))
    reset.rule = "reset.after_shutdown";
  return reset;
}

}  // namespace

bool UnseenReset::at_exit(const Story& story) const {
  return by.valid() && std::holds_alternative<recording::ProcessEnded>(story.timeline.event(by).what);
}

std::optional<UnseenReset> unseen_reset(const Story& story) {
  if (!story.connection.without_packets() || story.connection.of_one_socket() || told_by_kernel(story))
    return std::nullopt;
  std::optional<UnseenReset> first;
  const auto take = [&](std::optional<UnseenReset> found) {
    if (found && (!first || found->about < first->about)) first = std::move(found);
  };
  for (const Side side : {opener, listener}) take(by_disconnecting(story, side)), take(by_closing(story, side));
  for (const Side side : {opener, listener}) take(by_answering(story, side));
  return first;
}

std::optional<EventId> unseen_fin(const Story& story, Side from) {
  using enum tcp::State;
  std::optional<EventId> first = end_of_stream(story, other(from));
  const auto take = [&](EventId event) {
    if (!first || event < *first) first = event;
  };
  for (const auto& change : story.connection.changes) {
    const bool sent = change.side == from && (change.to == fin_wait_1 || change.to == fin_wait_2 ||
                                              change.to == last_ack || change.to == time_wait);
    const bool came =
        change.side == other(from) && (change.to == close_wait || change.to == closing || change.to == time_wait);
    if (sent || came) take(change.event);
  }
  for (const Call* call : story.calls(from, Effect::shuts))
    if (story.succeeded(*call) && call->meaning.as<calls::Shutdown>()->sending()) take(*call->returned);
  if (!by_closing(story, from))
    if (const auto closed = closed_for_good(story, from); closed && stood_until(story, from, closed->at))
      take(closed->close != nullptr ? *closed->close->returned : closed->at);
  return first;
}

const Call* linger_zero_before(const Story& story, Side side, base::WallTime when) {
  const Call* call = story.option_set(side, so_linger, when);
  if (call == nullptr) return nullptr;
  const auto& linger = *call->meaning.as<calls::Option>();
  return linger.value.value_or(0) != 0 && linger.linger_seconds == 0 ? call : nullptr;
}

std::optional<EventId> execve_after_last_call(const Story& story, Side side) {
  const auto& calls = story.calls(side);
  if (calls.empty()) return std::nullopt;
  const auto& lookups = story.timeline.lookups;
  const auto later = lookups.programs_of_process.of(lookups.process_of(calls.back()->actor));
  const auto found =
      std::ranges::upper_bound(later, calls.back()->entered, {}, [](const auto& pair) { return pair.value; });
  return found == later.end() ? std::nullopt : std::optional(found->value);
}

}  // namespace tcpwhy::explain
