#include "explain/rules/attempt.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>

#include <fmt/format.h>

namespace tcpwhy::explain {
namespace {

using timeline::listener;
using timeline::opener;

// What connect() says of the call and not of an attempt, and what it says while one is under way or has succeeded.
constexpr std::array not_of_an_attempt = {EBADF, ENOTSOCK, EFAULT, EALREADY, EISCONN};
constexpr std::array goes_on = {EINPROGRESS, EINTR};
// With these a sending or receiving call hands out what became of a SYN.
constexpr std::array of_a_syn = {ECONNREFUSED, ETIMEDOUT, EHOSTUNREACH, ENETUNREACH, EHOSTDOWN,
                                 ENETDOWN,     EACCES,    EPERM,        EPROTO,      ENOPROTOOPT};

template <std::size_t n>
bool is_one_of(const std::array<int, n>& errors, int error) {
  return std::ranges::count(errors, error) > 0;
}

struct Told {
  EventId event;
  int error;
};

void take_earlier(std::optional<Told>& told, Told other) {
  if (!told || other.event < told->event) told = other;
}

// The error that the call hands out of an attempt that was under way; 0: none.
int error_handed_out(const Story& story, const Call& call) {
  const auto* returned = story.timeline.returned(call);
  if (returned == nullptr) return 0;
  if (call.meaning.is_option(so_error.level, so_error.number))
    return static_cast<int>(call.meaning.as<calls::Option>()->value.value_or(0));
  const auto effect = Story::effect(call);
  const bool moves = effect == Effect::sends || effect == Effect::receives;
  return moves && returned->result < 0 && is_one_of(of_a_syn, returned->error) ? returned->error : 0;
}

std::optional<Told> told_later(const Story& story, const Call* connect) {
  std::optional<Told> told;
  const auto since = connect != nullptr ? connect->entered : EventId{0};
  for (const auto& kernel : story.connection.kernel)
    if (const auto* error = std::get_if<recording::SocketError>(&story.timeline.event(kernel.event).what))
      if (kernel.side == opener && error->error != 0 && since <= kernel.event)
        take_earlier(told, {kernel.event, error->error});
  for (const Call* call : story.calls(opener))
    if (since < call->entered)
      if (const int error = error_handed_out(story, *call); error != 0) take_earlier(told, {*call->returned, error});
  if (const Segment* reset = story.reset_of(listener); reset != nullptr && reset->arrived && !syns_of(story).empty())
    take_earlier(told, {*reset->arrived, ECONNREFUSED});
  return told;
}

const recording::SocketState* sampled(const Story& story, const timeline::SideChange& change) {
  const auto* state = std::get_if<recording::SocketState>(&story.timeline.event(change.event).what);
  return state != nullptr && state->not_before ? state : nullptr;
}

// The close() that found the SYN unanswered. Whoever is refused is closed as well, between two samples; but one that was seen to wait for
// long was most likely waiting until its program closed it.
std::optional<Attempt> given_up(const Story& story, const Call& connect) {
  const Call* close = story.closing_call(opener);
  if (close == nullptr || close->entered < connect.entered) return std::nullopt;
  const timeline::SideChange *last = nullptr, *next = nullptr;
  for (const auto& change : story.connection.changes) {
    if (change.side != opener) continue;
    if (change.event < close->entered)
      last = &change;
    else if (next == nullptr)
      next = &change;
  }
  if (last == nullptr || last->to != tcp::State::syn_sent) return std::nullopt;
  Attempt attempt{.connect = &connect, .told = close->entered, .later = true, .given_up = close};
  if (sampled(story, *last) == nullptr) return attempt;
  const auto* gone = next == nullptr ? nullptr : sampled(story, *next);
  if (gone == nullptr || *gone->not_before - story.time(connect.entered) < patience) return std::nullopt;
  attempt.certain = false;
  return attempt;
}

}  // namespace

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

OwnedText syn_count(const Story& story) {
  if (story.connection.without_packets()) return {"an unknown number of SYNs", "数目不明的 SYN"};
  const auto times = syns_of(story).size();
  return {fmt::format("{} SYN{}", times, times == 1 ? "" : "s"), fmt::format(" {} 个 SYN", times)};
}

bool was_answered(const Story& story) {
  using tcp::State;
  const auto stood = [](const timeline::SideChange& change) {
    return change.to == State::established || change.from == State::established || change.to == State::close_wait ||
           change.to == State::fin_wait_1;
  };
  const auto moved = [&](const Call* call) { return story.result(*call) > 0; };
  const auto connected = [&](const Call* call) { return story.succeeded(*call); };
  return first_syn_ack(story) != nullptr || std::ranges::any_of(story.connection.changes, stood) ||
         std::ranges::any_of(story.calls(opener, Effect::connects), connected) ||
         std::ranges::any_of(story.calls(opener, Effect::sends), moved) ||
         std::ranges::any_of(story.calls(opener, Effect::receives), moved);
}

std::vector<Attempt> failed_attempts(const Story& story) {
  std::vector<Attempt> failed;
  const Call* waiting = nullptr;
  for (const Call* call : story.calls(opener, Effect::connects)) {
    const auto* returned = story.timeline.returned(*call);
    if (returned == nullptr || (returned->result < 0 && is_one_of(goes_on, returned->error))) {
      waiting = call;
    } else if (returned->result < 0 && !is_one_of(not_of_an_attempt, returned->error)) {
      failed.push_back({.connect = waiting != nullptr ? waiting : call,
                        .error = returned->error,
                        .told = *call->returned,
                        .later = waiting != nullptr});
      waiting = nullptr;
    } else if (returned->result >= 0 || returned->error == EISCONN) {
      waiting = nullptr;
    }
  }
  const bool unseen = story.calls(opener, Effect::connects).empty() && !syns_of(story).empty();
  if (waiting == nullptr && !unseen) return failed;
  const auto told = was_answered(story) ? std::nullopt : told_later(story, waiting);
  if (told)
    failed.push_back({.connect = waiting, .error = told->error, .told = told->event, .later = waiting != nullptr});
  else if (const auto attempt = waiting != nullptr ? given_up(story, *waiting) : std::nullopt)
    failed.push_back(*attempt);
  return failed;
}

}  // namespace tcpwhy::explain
