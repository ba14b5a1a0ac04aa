// Calls, paired and tied to the connection whose socket they act on.
#include <algorithm>
#include <map>
#include <set>

#include "timeline/builder.h"

namespace tcpwhy::timeline::steps {
namespace {

using recording::CallEntered;
using recording::CallReturned;
using wire::SocketAddress;

// Where a socket is an end of.
struct Place {
  ConnectionIndex connection;
  Side side;
};

// A descriptor number means something in one process only.
struct Descriptor {
  std::int32_t pid;
  std::int32_t fd;
  auto operator<=>(const Descriptor&) const = default;
};

class Attacher {
 public:
  explicit Attacher(Timeline& timeline) : timeline_(timeline), recording_(*timeline.recording) {}

  void run() {
    pair_calls();
    for (const Call& call : timeline_.calls) learn_socket(call);
    for (CallIndex i = 0; i < timeline_.calls.size(); ++i) attach(i);
    name_sides();
  }

 private:
  void pair_calls() {
    std::map<std::uint32_t, CallIndex> open;
    for (std::uint32_t i = 0; i < recording_.events.size(); ++i) {
      const auto& event = recording_.events[i];
      if (const auto* entered = std::get_if<CallEntered>(&event.what)) {
        open[entered->call] = static_cast<CallIndex>(timeline_.calls.size());
        Call call;
        call.number = entered->call;
        call.entered = EventId{i};
        call.actor = event.actor;
        timeline_.calls.push_back(call);
      } else if (const auto* returned = std::get_if<CallReturned>(&event.what)) {
        const auto found = open.find(returned->call);
        if (found == open.end()) continue;
        timeline_.calls[found->second].returned = EventId{i};
        open.erase(found);
      }
    }
  }

  // Each call that knows both addresses of a socket says which connection the socket is an end of.
  void learn_socket(const Call& call) {
    const auto& entered = timeline_.entered(call);
    const auto* returned = timeline_.returned(call);
    if (entered.socket != 0) learn(entered.socket, entered.local, entered.remote, call);
    if (returned != nullptr && returned->socket != 0) learn(returned->socket, returned->local, returned->remote, call);
    // connect() that failed has no local address any more: its segments tell.
    if (entered.name == "connect" && entered.socket != 0 && !places_.contains(entered.socket) && entered.remote)
      learn_by_time(entered.socket, *entered.remote, call);
  }

  void learn(std::uint64_t socket, const std::optional<SocketAddress>& local,
             const std::optional<SocketAddress>& remote, const Call& call) {
    if (!local || !remote || remote->port == 0) return;
    if (const auto place = find_place(*local, *remote, timeline_.end_of(call))) places_[socket] = *place;
  }

  // The latest connection between these addresses that began before `by`.
  [[nodiscard]] std::optional<Place> find_place(const SocketAddress& local, const SocketAddress& remote,
                                                base::WallTime by) const {
    std::optional<Place> best;
    for (ConnectionIndex i = 0; i < timeline_.connections.size(); ++i) {
      const auto& connection = timeline_.connections[i];
      if (connection.segments.empty()) continue;
      if (timeline_.time_of(timeline_.segments[connection.segments.front()].departed) > by) continue;
      for (const Side side : {opener, listener})
        if (same(connection.sides[side].address, local) && same(connection.sides[other(side)].address, remote))
          best = Place{i, side};
    }
    return best;
  }

  static bool same(const SocketAddress& a, const SocketAddress& b) {
    return a.port == b.port && a.ip.unmapped() == b.ip.unmapped();
  }

  void learn_by_time(std::uint64_t socket, const SocketAddress& remote, const Call& call) {
    const auto from = timeline_.time_of(call.entered), to = timeline_.end_of(call);
    for (ConnectionIndex i = 0; i < timeline_.connections.size(); ++i) {
      const auto& connection = timeline_.connections[i];
      if (!same(connection.sides[listener].address, remote) || connection.segments.empty()) continue;
      const auto began = timeline_.time_of(timeline_.segments[connection.segments.front()].departed);
      if (began >= from && began <= to) places_[socket] = Place{i, opener};
    }
  }

  void attach(CallIndex index) {
    Call& call = timeline_.calls[index];
    const auto& entered = timeline_.entered(call);
    const auto* returned = timeline_.returned(call);
    const std::int32_t pid = pid_of(call.actor);
    const std::uint64_t socket = entered.socket != 0 ? entered.socket : returned != nullptr ? returned->socket : 0;
    if (entered.name == "accept" || entered.name == "accept4") {
      if (returned != nullptr) tie(index, returned->socket);
    } else if (socket != 0) {
      tie(index, socket);
    } else if (entered.fd) {
      // A number that is nobody's now: what it was until close() is what the program means.
      const auto was = last_socket_.find({pid, *entered.fd});
      if (was != last_socket_.end()) {
        call.descriptor_was_closed = true;
        tie(index, was->second);
      }
    }
    if (entered.fd && entered.socket != 0) last_socket_[{pid, *entered.fd}] = entered.socket;
    if (returned != nullptr && returned->new_fd && returned->socket != 0)
      last_socket_[{pid, *returned->new_fd}] = returned->socket;
  }

  void tie(CallIndex index, std::uint64_t socket) {
    const auto place = places_.find(socket);
    if (place == places_.end()) return;
    Call& call = timeline_.calls[index];
    call.connection = place->second.connection;
    call.side = place->second.side;
    auto& connection = timeline_.connections[place->second.connection];
    connection.calls.push_back(index);
    auto& actors = connection.sides[call.side].actors;
    if (call.actor.valid() && std::ranges::find(actors, call.actor) == actors.end()) actors.push_back(call.actor);
  }

  [[nodiscard]] std::int32_t pid_of(ActorId actor) const {
    return actor.value < recording_.actors.size() ? recording_.actors[actor.value].pid : 0;
  }

  void name_sides() {
    for (auto& connection : timeline_.connections) {
      for (auto& side : connection.sides) {
        if (side.actors.empty()) adopt_listener(side);
        side.name =
            side.actors.empty() ? wire::to_string(side.address) : recording_.actors[side.actors.front().value].name;
      }
    }
  }

  // An end that made no call on the connection itself (not accepted yet, or refused) is its listener's.
  void adopt_listener(ConnectionSide& side) const {
    for (const Call& call : timeline_.calls) {
      const auto& entered = timeline_.entered(call);
      if (entered.name == "listen" && entered.local && entered.local->port == side.address.port && call.actor.valid())
        side.actors.push_back(call.actor);
    }
    if (side.actors.size() > 1) side.actors.resize(1);
  }

  Timeline& timeline_;
  const recording::Recording& recording_;
  std::map<std::uint64_t, Place> places_;
  std::map<Descriptor, std::uint64_t> last_socket_;
};

}  // namespace

void attach_calls(Timeline& timeline) { Attacher(timeline).run(); }

}  // namespace tcpwhy::timeline::steps
