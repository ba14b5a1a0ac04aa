#include "timeline/lookups.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <csignal>
#include <map>
#include <ranges>
#include <string>
#include <tuple>
#include <utility>

#include "timeline/timeline.h"

namespace tcpwhy::timeline {
namespace {

using calls::Effect;

// Of a socket that one process after the other closes.
constexpr std::size_t closes_looked_at = 64;

}  // namespace

Lookups::Lookups(const recording::Recording& recording) {
  std::map<std::tuple<std::int32_t, std::string_view>, std::uint64_t> processes;
  for (std::uint64_t i = 0; i < recording.actors.size(); ++i) {
    const auto& actor = recording.actors[i];
    process_of_actor_.push_back(actor.pid > 0 ? processes.try_emplace({actor.pid, actor.host}, i).first->second : i);
  }
  threads_.resize(recording.actors.size());
  for (std::uint32_t i = 0; i < recording.events.size(); ++i) {
    const auto& event = recording.events[i];
    const EventId id{i};
    if (event.actor.value < recording.actors.size()) {
      Threads& threads = threads_[process_of(event.actor)];
      const std::int32_t tid = recording.actors[event.actor.value].tid;
      if (!threads.several_since && threads.first.value_or(tid) != tid) threads.several_since = id;
      threads.first = threads.first.value_or(tid);
    }
    if (const auto* ended = std::get_if<recording::ProcessEnded>(&event.what)) {
      ends_of_process.add(process_of(event.actor), id);
      if (event.actor.value < recording.actors.size()) ends_of_pid.add(recording.actors[event.actor.value].pid, id);
      if (ended->call) ends_in_call.add(*ended->call, id);
    } else if (const auto* started = std::get_if<recording::ProcessStarted>(&event.what)) {
      if (started->parent) {
        forks_of_pid.add(*started->parent, id);
        const auto host = event.actor.value < recording.actors.size()
                              ? std::string_view(recording.actors[event.actor.value].host)
                              : std::string_view();
        const auto parent = processes.find({*started->parent, host});
        births_of_process.add(process_of(event.actor),
                              {id, parent == processes.end() ? std::nullopt : std::optional(parent->second)});
      } else
        programs_of_process.add(process_of(event.actor), id);
    } else if (const auto* signal = std::get_if<recording::Signal>(&event.what)) {
      if (signal->call) signals_in_call.add(*signal->call, id);
      if (signal->name == "SIGPIPE") sigpipes_of_actor.add(event.actor, id);
      if (signal->name == "SIGPIPE" && signal->fate == recording::SignalFate::generated)
        sigpipes_raised.add(process_of(event.actor), id);
      if (signal->name == "SIGPIPE" && signal->fate == recording::SignalFate::delivered)
        sigpipes_deadly.add(process_of(event.actor), id);
    } else if (const auto* state = std::get_if<recording::SocketState>(&event.what)) {
      if (state->to == tcp::State::listen || state->from == tcp::State::listen)
        listening_on_port.add(state->local.port, id);
    } else if (const auto* moved = std::get_if<recording::CounterMoved>(&event.what)) {
      if (moved->delta > 0) counters.add({moved->name, moved->host}, id);
    }
  }
  ends_of_process.sort(), ends_of_pid.sort(), forks_of_pid.sort(), ends_in_call.sort(), signals_in_call.sort();
  sigpipes_of_actor.sort(), sigpipes_raised.sort(), sigpipes_deadly.sort();
  births_of_process.sort(), programs_of_process.sort(), listening_on_port.sort(), counters.sort();
}

void Lookups::add_calls(const recording::Recording& recording, std::span<const Call> calls) {
  for (CallIndex i = 0; i < calls.size(); ++i) add_call(recording, i, calls[i]);
  calls_of_effect.sort(), calls_of_actor.sort(), closes_of_socket.sort(), sharings_of_socket.sort();
  duplications_of.sort(), replacements_of.sort(), forks_called_by.sort(), unshares_of.sort();
  sigpipe_actions.sort(), sigpipe_masks.sort(), defers_accept.sort();
  add_listenings(recording, calls);
}

void Lookups::add_call(const recording::Recording& recording, CallIndex i, const Call& call) {
  const auto& entered = std::get<recording::CallEntered>(recording[call.entered].what);
  const auto* returned = call.returned ? &std::get<recording::CallReturned>(recording[*call.returned].what) : nullptr;
  const auto effect = call.meaning.effect;
  const bool succeeded = returned != nullptr && returned->result >= 0;
  const std::int32_t pid = call.actor.value < recording.actors.size() ? recording.actors[call.actor.value].pid : 0;
  note(call.entered, Of::call, i);
  if (call.returned) note(*call.returned, Of::call, i);
  calls_of_effect.add(effect, i);
  calls_of_actor.add(call.actor, i);
  if (effect == Effect::closes) closes_of_socket.add(entered.socket, i);
  if (effect == Effect::forks && succeeded) forks_called_by.add(pid, i);
  if (effect == Effect::unshares && succeeded) unshares_of.add(pid, i);
  if (const auto* action = call.meaning.as<calls::SignalAction>(); action != nullptr && succeeded &&
                                                                   action->signal == SIGPIPE &&
                                                                   action->fate != calls::SignalAction::Fate::unchanged)
    sigpipe_actions.add(call.actor, i);
  using Change = calls::SignalMask::Change;
  if (const auto* mask = call.meaning.as<calls::SignalMask>();
      mask != nullptr && succeeded &&
      (mask->change == Change::set || (mask->change != Change::none && mask->names(SIGPIPE))))
    sigpipe_masks.add(call.actor, i);
  const bool another_number = effect == Effect::duplicates;
  if (another_number || call.meaning.carries_descriptors()) {
    sharings_of_socket.add(entered.socket, i);
    if (returned != nullptr && returned->socket != entered.socket) sharings_of_socket.add(returned->socket, i);
  }
  if (another_number && entered.fd && call.actor.value < recording.actors.size())
    duplications_of.add({pid, *entered.fd, entered.socket}, i);
  if (another_number && succeeded && call.meaning.closes_another() && returned->new_fd)
    replacements_of.add({pid, *returned->new_fd}, i);
  if (effect == Effect::sets_option && call.meaning.is_option(IPPROTO_TCP, TCP_DEFER_ACCEPT) && returned != nullptr &&
      returned->result == 0)
    defers_accept.add(entered.socket, i);
}

void Lookups::add_listenings(const recording::Recording& recording, std::span<const Call> calls) {
  std::map<std::uint16_t, EventId> latest_closed;
  struct Open {
    std::uint64_t socket;
    CallIndex listen;
  };
  std::map<std::uint16_t, Open> last;  // by port
  std::map<std::uint16_t, CallIndex> first_closed;
  const auto see_closed = [&](std::uint16_t port, const Open& open, CallIndex before) {
    const auto closes = closes_of_socket.of(open.socket);
    const auto close = std::ranges::upper_bound(closes, open.listen, {}, [](const auto& pair) { return pair.value; });
    if (open.socket != 0 && close != closes.end() && close->value <= before)
      first_closed.try_emplace(port, close->value);
  };
  for (const auto& [_, index] : calls_of_effect.of(Effect::listens)) {
    const Call& call = calls[index];
    const auto& entered = std::get<recording::CallEntered>(recording[call.entered].what);
    if (!entered.local) continue;
    const std::uint16_t port = entered.local->port;
    const auto [before, is_first] = last.try_emplace(port, Open{entered.socket, index});
    if (!is_first) see_closed(port, std::exchange(before->second, Open{entered.socket, index}), index);
    const bool succeeded =
        call.returned && std::get<recording::CallReturned>(recording[*call.returned].what).result >= 0;
    if (!succeeded) continue;
    const EventId closed = end_of_listening(recording, calls, call);
    const auto [latest, _is_first] = latest_closed.try_emplace(port, closed);
    latest->second = std::max(latest->second, closed);
    listenings_on_port_.add(port, {.call = index, .latest_closed = latest->second});
  }
  for (const auto& [port, open] : last) see_closed(port, open, UINT32_MAX);
  for (const auto& [port, close] : first_closed) listener_closed_on_port.add(port, close);
  listenings_on_port_.sort(), listener_closed_on_port.sort();
}

// The close() that left no reference, as the kernel counts them; not counted, the first by the process that listens: a child closes what
// it has of its parent's. Or the end of that process, unless a child has the socket from it. Not valid: neither.
EventId Lookups::end_of_listening(const recording::Recording& recording, std::span<const Call> calls,
                                  const Call& listen) const {
  const auto& socket = std::get<recording::CallEntered>(recording[listen.entered].what).socket;
  const auto process = process_of(listen.actor);
  EventId end;
  if (socket != 0)
    for (const auto& [_, index] : closes_of_socket.of(socket) | std::views::take(closes_looked_at)) {
      const Call& close = calls[index];
      const auto& references = std::get<recording::CallEntered>(recording[close.entered].what).references;
      const bool is_last = references ? *references == 1 : process_of(close.actor) == process;
      if (!is_last || close.entered < listen.entered) continue;
      end = close.entered;
      break;
    }
  const auto event = [](const auto& pair) { return pair.value; };
  const auto ends = ends_of_process.of(process);
  const auto ended = std::ranges::upper_bound(ends, listen.entered, {}, event);
  if (ended == ends.end() || listen.actor.value >= recording.actors.size()) return end;
  const auto pid = recording.actors[listen.actor.value].pid;
  const auto started = forks_of_pid.of(pid);
  const auto called = forks_called_by.of(pid);
  const auto start = std::ranges::upper_bound(started, listen.entered, {}, event);
  const auto entered = [&](const auto& pair) { return calls[pair.value].entered; };
  const auto fork = std::ranges::upper_bound(called, listen.entered, {}, entered);
  const bool inherited = (start != started.end() && start->value < ended->value) ||
                         (fork != called.end() && entered(*fork) < ended->value);
  return inherited ? end : std::min(end, ended->value);
}

std::optional<Lookups::CallIndex> Lookups::listening_at(std::uint16_t port, EventId when,
                                                        std::span<const Call> calls) const {
  const auto all = listenings_on_port_.of(port);
  const auto found = std::ranges::lower_bound(all, when, {}, [](const auto& pair) { return pair.value.latest_closed; });
  if (found == all.end() || calls[found->value.call].entered > when) return std::nullopt;
  return found->value.call;
}

void Lookups::add_segments(std::span<const Segment> segments) {
  for (SegmentIndex i = 0; i < segments.size(); ++i) {
    note(segments[i].departed, Of::departed, i);
    if (segments[i].arrived) note(*segments[i].arrived, Of::arrived, i);
  }
}

// At most 2^30 things come of the 2^32 events that there can be: of a call and of a segment's two taps two.
void Lookups::note(EventId event, Of of, std::uint32_t index) {
  if (event.value >= by_event_.size()) by_event_.resize(event.value + 1);
  by_event_[event.value] = index << 2U | static_cast<std::uint32_t>(of);
}

Lookups::Of Lookups::of(EventId event) const {
  return event.value < by_event_.size() ? static_cast<Of>(by_event_[event.value] & 3U) : Of::nothing;
}

namespace {

std::pair<wire::SocketAddress, wire::SocketAddress> in_no_order(const wire::SocketAddress& one,
                                                                const wire::SocketAddress& other) {
  const auto a = one.unmapped(), b = other.unmapped();
  return a < b ? std::pair(a, b) : std::pair(b, a);
}

}  // namespace

void Lookups::add_connections(std::span<const Connection> connections) {
  std::vector<ConnectionIndex> order(connections.size());
  std::ranges::generate(order, [next = ConnectionIndex{0}]() mutable { return next++; });
  std::ranges::stable_sort(order, {}, [&](ConnectionIndex i) { return connections[i].began; });
  for (const ConnectionIndex i : order)
    connections_.add(in_no_order(connections[i].sides[opener].address, connections[i].sides[listener].address), i);
  connections_.sort();
}

auto Lookups::connections_between(const wire::SocketAddress& one, const wire::SocketAddress& other) const
    -> std::span<const SortedIndex<std::pair<wire::SocketAddress, wire::SocketAddress>, ConnectionIndex>::Pair> {
  return connections_.of(in_no_order(one, other));
}

std::uint64_t Lookups::process_of(ActorId actor) const {
  constexpr std::uint64_t of_nobody = std::uint64_t{1} << 32U;
  return actor.value < process_of_actor_.size() ? process_of_actor_[actor.value] : of_nobody + actor.value;
}

std::optional<recording::EventId> Lookups::several_threads_since(std::uint64_t process) const {
  return process < threads_.size() ? threads_[process].several_since : std::nullopt;
}

std::optional<Lookups::Birth> Lookups::birth_of(std::uint64_t process, base::WallTime at,
                                                const recording::Recording& recording) const {
  const auto births = births_of_process.of(process);
  const auto later =
      std::ranges::upper_bound(births, at, {}, [&](const auto& pair) { return recording[pair.value.event].at; });
  return later == births.begin() ? std::nullopt : std::optional(std::prev(later)->value);
}

std::optional<recording::EventId> Lookups::counter_covering(const Counter& counter, base::WallTime at,
                                                            const recording::Recording& recording) const {
  const auto moves = counters.of(counter);
  const auto told = [&](const auto& pair) { return recording[pair.value].at; };
  const auto found = std::ranges::lower_bound(moves, at, {}, told);
  if (found == moves.end() || std::get<recording::CounterMoved>(recording[found->value].what).not_before > at)
    return std::nullopt;
  return found->value;
}

bool Lookups::any_call_between(ActorId actor, EventId after, EventId before, std::span<const Call> calls) const {
  const auto of_thread = calls_of_actor.of(actor);
  const auto entered = [&](const auto& pair) { return calls[pair.value].entered; };
  const auto next = std::ranges::upper_bound(of_thread, after, {}, entered);
  if (next == of_thread.end()) return false;
  const auto& repeated = calls[next->value].repeated;
  return entered(*next) < before || (repeated && *repeated > after);
}

std::optional<SegmentIndex> Lookups::arrived_in(EventId event) const {
  return of(event) == Of::arrived ? std::optional(by_event_[event.value] >> 2U) : std::nullopt;
}

std::optional<SegmentIndex> Lookups::segment_in(EventId event) const {
  const Of what = of(event);
  return what == Of::arrived || what == Of::departed ? std::optional(by_event_[event.value] >> 2U) : std::nullopt;
}

std::optional<Lookups::CallIndex> Lookups::call_in(EventId event) const {
  return of(event) == Of::call ? std::optional(by_event_[event.value] >> 2U) : std::nullopt;
}

}  // namespace tcpwhy::timeline
