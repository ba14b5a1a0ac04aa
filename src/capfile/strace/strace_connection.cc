// The calls of one connection out of a whole log.
#include <map>
#include <set>
#include <utility>

#include "capfile/strace/strace_log.h"

namespace tcpwhy::capfile {

using recording::ActorId;
using recording::CallEntered;
using recording::CallReturned;
using recording::Event;
using wire::SocketAddress;

recording::Recording calls_between(const recording::Recording& calls, const SocketAddress& one,
                                   const SocketAddress& other) {
  std::set<std::uint64_t> sockets;
  const auto note = [&](std::uint64_t socket, const std::optional<SocketAddress>& local,
                        const std::optional<SocketAddress>& remote) {
    if (socket == 0) return;
    for (const auto& [here, there] : {std::pair(one, other), std::pair(other, one)}) {
      const bool to = remote && same_endpoint(*remote, there);
      const bool from = local && (same_endpoint(*local, here) || (!remote && local->port == here.port));
      if (remote ? to && (!local || local->port == 0 || from) : from) sockets.insert(socket);
    }
  };
  for (const Event& event : calls.events) {
    if (const auto* entered = std::get_if<CallEntered>(&event.what))
      note(entered->socket, entered->local, entered->remote);
    if (const auto* returned = std::get_if<CallReturned>(&event.what))
      note(returned->socket, returned->local, returned->remote);
  }
  recording::Recording kept;
  kept.provenance = calls.provenance;
  kept.actors = calls.actors;
  // A listener's accept() of another connection is none of it: it needs the socket that came back.
  std::map<std::uint32_t, const CallReturned*> returns;
  for (const Event& event : calls.events)
    if (const auto* returned = std::get_if<CallReturned>(&event.what)) returns[returned->call] = returned;
  std::set<std::uint32_t> numbers;
  std::set<ActorId> actors;
  for (const Event& event : calls.events) {
    const auto* entered = std::get_if<CallEntered>(&event.what);
    if (entered == nullptr) continue;
    const auto back = returns.find(entered->call);
    const bool has_back = back != returns.end();
    const bool accepts = entered->name.starts_with("accept") && has_back && back->second->new_fd;
    const bool on_it = sockets.contains(entered->socket) || (has_back && sockets.contains(back->second->socket));
    if (accepts ? !sockets.contains(back->second->socket) : !on_it) continue;
    numbers.insert(entered->call);
    actors.insert(event.actor);
  }
  // What its processes did last, elsewhere (strace_log.cc).
  for (const Event& event : calls.events) {
    const auto* entered = std::get_if<CallEntered>(&event.what);
    if (entered != nullptr && !entered->fd && entered->socket == 0 && actors.contains(event.actor) &&
        (!returns.contains(entered->call) || returns[entered->call]->socket == 0))
      numbers.insert(entered->call);
  }
  const auto belongs = [&](const Event& event) {
    if (const auto* entered = std::get_if<CallEntered>(&event.what)) return numbers.contains(entered->call);
    if (const auto* returned = std::get_if<CallReturned>(&event.what)) return numbers.contains(returned->call);
    if (std::holds_alternative<recording::Loss>(event.what)) return true;
    return actors.contains(event.actor);
  };
  for (const Event& event : calls.events) {
    if (!belongs(event)) continue;
    kept.events.push_back(event);
    if (auto* signal = std::get_if<recording::Signal>(&kept.events.back().what))
      if (signal->call && !numbers.contains(*signal->call)) signal->call.reset();
    if (auto* ended = std::get_if<recording::ProcessEnded>(&kept.events.back().what))
      if (ended->call && !numbers.contains(*ended->call)) ended->call.reset();
  }
  return kept;
}

}  // namespace tcpwhy::capfile
