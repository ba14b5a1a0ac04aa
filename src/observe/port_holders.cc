#include "observe/port_holders.h"

#include <algorithm>
#include <cerrno>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "calls/call.h"
#include "trace/holders.h"
#include "trace/socket_sampler.h"

namespace tcpwhy::observe {
namespace {

// The port that the call asks for, or that its socket has; 0: none.
std::uint16_t port_of(const recording::CallEntered& entered) {
  using enum calls::Effect;
  const auto effect = calls::effect_of(entered.name);
  if (effect == binds) {
    const auto meaning = calls::meaning_of(entered.name, entered.arguments, {}, entered.fd);
    const auto* address = meaning.as<calls::Address>();
    return address != nullptr ? address->port.value_or(0) : std::uint16_t{0};
  }
  return (effect == listens || effect == connects) && entered.local ? entered.local->port : std::uint16_t{0};
}

// Of several the first that listens, then those that are alive.
int rank(tcp::State state) { return state == tcp::State::listen ? 0 : state == tcp::State::time_wait ? 2 : 1; }

}  // namespace

void add_holders_of_port(std::uint16_t port, std::span<const recording::SocketSnapshot> sockets,
                         const recording::SocketHolders& holders, base::WallTime at, recording::Recording& recording) {
  constexpr std::size_t most = 4;
  std::vector<const recording::SocketSnapshot*> found;
  for (const auto& socket : sockets)
    if (socket.local.port == port) found.push_back(&socket);
  std::ranges::stable_sort(found, {}, [](const auto* socket) { return rank(socket->state); });
  if (found.size() > most) found.resize(most);
  for (const auto* socket : found) {
    recording::Actor actor;
    if (const auto& of = holders.of(socket->inode); !of.empty())
      actor.name = actor.command = of.front().command, actor.pid = actor.tid = of.front().pid;
    const auto known = std::ranges::find(recording.actors, actor);
    const recording::ActorId id{static_cast<std::uint32_t>(known - recording.actors.begin())};
    if (known == recording.actors.end()) recording.actors.push_back(std::move(actor));
    recording::SocketState state;
    state.socket = socket->cookie, state.local = socket->local, state.remote = socket->remote;
    state.to = socket->state;
    state.not_before = at;
    recording.events.push_back({at, id, std::move(state)});
  }
}

void look_for_port_holders(recording::Recording& recording) {
  constexpr std::size_t most_ports = 8;
  std::map<std::uint32_t, std::uint16_t> asked;  // by number of the call
  std::set<std::uint16_t> wanted;
  for (const auto& event : recording.events) {
    if (const auto* entered = std::get_if<recording::CallEntered>(&event.what)) {
      if (const auto port = port_of(*entered); port != 0) asked[entered->call] = port;
    } else if (const auto* returned = std::get_if<recording::CallReturned>(&event.what)) {
      const auto found = asked.find(returned->call);
      if (found == asked.end()) continue;
      if (returned->error == EADDRINUSE && wanted.size() < most_ports) wanted.insert(found->second);
      asked.erase(found);
    }
  }
  if (wanted.empty()) return;
  auto sampler = trace::SocketSampler::open();
  if (!sampler) return;
  const auto sample = sampler->sample();
  if (!sample) return;
  const auto holders = trace::find_socket_holders();
  for (const auto port : wanted) add_holders_of_port(port, sample->sockets, holders, sample->end, recording);
}

}  // namespace tcpwhy::observe
