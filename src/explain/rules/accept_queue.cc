#include "explain/rules/accept_queue.h"

#include <algorithm>
#include <iterator>
#include <ranges>

#include <fmt/format.h>

namespace tcpwhy::explain {
namespace {

using calls::Effect;
using timeline::Call;
using timeline::Connection;
using timeline::EventId;
using timeline::listener;
using timeline::opener;

// What is asked beyond net.core.somaxconn, or is negative, is cut to that (__sys_listen()). It is 4096 unless somebody has set it: so of
// what is asked beyond this it is not known how many may wait.
constexpr std::int64_t longest_known = 4096;

// What put the connection into the queue: the listener's end stood. Where that was not seen, its opener's connect() had succeeded.
// A kernel that tells its states tells this one: it takes no ACK of a handshake for which the queue has no room.
std::optional<EventId> completed(const timeline::Timeline& timeline, const Connection& connection) {
  if (timeline.recording->provenance.observed.contains(recording::Observation::states_kernel)) {
    for (const auto& kernel : connection.kernel)
      if (const auto* state = std::get_if<recording::SocketState>(&timeline.event(kernel.event).what))
        if (kernel.side == listener && state->to == tcp::State::established) return kernel.event;
    return std::nullopt;
  }
  for (const auto& change : connection.changes)
    if (change.side == listener && change.to == tcp::State::established) return change.event;
  if (!connection.without_packets()) return std::nullopt;
  for (const auto index : connection.calls) {
    const Call& call = timeline.calls[index];
    const auto* returned = timeline.returned(call);
    if (call.side == opener && call.meaning.effect == Effect::connects && returned != nullptr && returned->result == 0)
      return *call.returned;
  }
  return std::nullopt;
}

std::optional<EventId> accepted(const timeline::Timeline& timeline, const Connection& connection) {
  for (const auto index : connection.calls) {
    const Call& call = timeline.calls[index];
    const auto* returned = timeline.returned(call);
    if (call.side == listener && call.meaning.effect == Effect::accepts && returned != nullptr && returned->result >= 0)
      return *call.returned;
  }
  return std::nullopt;
}

}  // namespace

AcceptQueues::AcceptQueues(const timeline::Timeline& timeline) : timeline_(timeline) {
  for (const auto& [_, index] : timeline.lookups.calls_of_effect.of(Effect::listens)) {
    const Call& call = timeline.calls[index];
    const auto& entered = timeline.entered(call);
    if (!entered.local) continue;
    moves_[entered.local->port];
    const auto* returned = timeline.returned(call);
    if (returned == nullptr || returned->result < 0) continue;
    auto& listens = listens_[entered.local->port];
    const bool another =
        !listens.empty() && (listens.back().several || timeline.entered(*listens.back().call).socket != entered.socket);
    listens.push_back({timeline.time_of(call.entered), &call, another});
  }
  if (moves_.empty()) return;
  for (const Connection& connection : timeline.connections) see(connection);
  add_up();
}

void AcceptQueues::see(const Connection& connection) {
  const auto moves = moves_.find(connection.sides[listener].address.port);
  if (moves == moves_.end() || connection.of_one_socket()) return;
  const auto done = completed(timeline_, connection);
  const auto taken = accepted(timeline_, connection);
  if (!done) return;
  moves->second.push_back({timeline_.time_of(*done), 1, *done, false, {}, {}, {}});
  if (taken)
    moves->second.push_back(
        {std::max(timeline_.time_of(*taken), timeline_.time_of(*done)), -1, *taken, true, {}, {}, {}});
}

void AcceptQueues::add_up() {
  for (auto& [_, moves] : moves_) {
    std::ranges::stable_sort(moves, {}, &Move::at);
    Move before;
    for (Move& move : moves) {
      move.waiting += before.waiting;
      move.last_accept = move.accepted ? std::optional(move.at) : before.last_accept;
      move.last_completion = move.accepted ? before.last_completion : std::optional(move.event);
      before = move;
    }
    std::optional<base::WallTime> next;
    for (Move& move : moves | std::views::reverse) {
      move.next_accept = next;
      if (move.accepted) next = move.at;
    }
  }
}

std::optional<AcceptQueues::Full> AcceptQueues::full_at(std::uint16_t port, base::WallTime at) const {
  const auto moves = moves_.find(port);
  if (moves == moves_.end()) return std::nullopt;
  const auto listens = listens_.find(port);
  if (listens == listens_.end()) return std::nullopt;
  const auto after = std::ranges::upper_bound(listens->second, at, {}, &Listen::at);
  if (after == listens->second.begin() || std::prev(after)->several) return std::nullopt;
  const Call* const listen = std::prev(after)->call;
  const auto* asked = listen->meaning.as<calls::Listening>();
  if (asked == nullptr || asked->backlog < 0 || asked->backlog > longest_known) return std::nullopt;
  const auto later = std::ranges::upper_bound(moves->second, at, {}, &Move::at);
  if (later == moves->second.begin()) return std::nullopt;
  Full full;
  full.waiting = std::prev(later)->waiting, full.backlog = asked->backlog;
  if (full.waiting <= full.backlog) return std::nullopt;
  full.evidence = {listen->entered};
  const Move& last = *std::prev(later);
  if (last.last_completion) full.evidence.push_back(*last.last_completion);
  if (last.last_accept) full.since_accept = at - *last.last_accept;
  if (last.next_accept) full.until_accept = *last.next_accept - at;
  const auto& actors = timeline_.recording->actors;
  if (listen->actor.value < actors.size())
    full.listener = fmt::format("{}[{}]", actors[listen->actor.value].name, actors[listen->actor.value].pid);
  return full;
}

}  // namespace tcpwhy::explain
