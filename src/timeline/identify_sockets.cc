// Which socket is which end of which connection: from every call and every word of the kernel that names a socket's cookie and
// both its addresses.
#include <sys/socket.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <ranges>
#include <set>
#include <tuple>

#include "timeline/builder.h"

namespace tcpwhy::timeline::steps {
namespace {

using calls::Effect;

using namespace std::chrono_literals;
using wire::SocketAddress;

// What the kernel says of a socket is stamped by another clock than the packets are: a few microseconds apart.
constexpr base::Duration clocks_differ = 200us;

// Of a socket that connects again and again.
constexpr std::size_t ends_looked_at = 64;

// One event that names a socket and its addresses.
struct Clue {
  std::uint64_t socket;
  base::WallTime at;
  SocketAddress local, remote;
  bool opens = false;  // the connection is about to begin, not before this
};

class Identifier {
 public:
  explicit Identifier(Timeline& timeline) : timeline_(timeline), recording_(*timeline.recording), by_ends_(timeline) {
    for (ConnectionIndex i = 0; i < timeline.connections.size(); ++i)
      connected_to_.add(timeline.connections[i].sides[listener].address.unmapped(), i);
    connected_to_.sort();
  }

  void run() {
    learn_roles();
    find_left_over_requests();
    place_by_first_segment();
    for (std::uint32_t i = 0; i < recording_.events.size(); ++i)
      std::visit([&](const auto& what) { see(what, i); }, recording_.events[i].what);
    for (const Call& call : timeline_.calls) see_lonely_connect(call);
    auto& ends = timeline_.socket_ends;
    for (auto& [socket, list] : ends_) {
      std::ranges::stable_sort(list, {}, &SocketEnd::since);
      ends.insert(ends.end(), list.begin(), list.end());
    }
  }

 private:
  // Who connects, who is connected to: decides the sides where no SYN was seen.
  void learn_roles() {
    for (const Call& call : timeline_.calls) {
      const auto& entered = timeline_.entered(call);
      const auto* returned = timeline_.returned(call);
      const bool listens = call.meaning.effect == Effect::listens;
      // connect() to AF_UNSPEC dissolves a connection, whoever opened it.
      const auto* address = call.meaning.as<calls::Address>();
      const bool dissolves = address != nullptr && address->family == AF_UNSPEC;
      const bool opens_by_sending = call.meaning.effect == Effect::sends && call.meaning.has(MSG_FASTOPEN);
      if ((call.meaning.effect == Effect::connects && !dissolves) || opens_by_sending) openers_.insert(entered.socket);
      if (call.meaning.effect == Effect::accepts && returned != nullptr) listeners_.insert(returned->socket);
      if (listens && entered.local) ports_.insert(entered.local->port);
      if (listens && returned != nullptr && returned->result == 0) listening_.insert(entered.socket);
    }
    for (const EventId id : timeline_.all<recording::SocketState>()) {
      const auto& state = timeline_.get<recording::SocketState>(id);
      if (timeline_.event(id).actor.valid()) continue;  // of others: who has a port
      if (state.to == tcp::State::syn_sent) openers_.insert(state.socket);
      if (state.to == tcp::State::syn_received && state.from != tcp::State::syn_sent) listeners_.insert(state.socket);
      if (state.to == tcp::State::listen) ports_.insert(state.local.port), listening_.insert(state.socket);
    }
    openers_.erase(0), listeners_.erase(0);
  }

  // A request has its connection's cookie, unless it was sampled in the moment between its connection's making and its own end, and got
  // one then (inet_csk_clone_lock() copies what is there): that cookie names nothing that a call will ever be made on.
  void find_left_over_requests() {
    std::map<std::pair<SocketAddress, SocketAddress>, std::vector<Clue>> made;  // by the kernel's own word
    for (const EventId id : timeline_.all<recording::SocketState>()) {
      const auto& state = timeline_.get<recording::SocketState>(id);
      if (state.to != tcp::State::syn_received) continue;
      const auto at = timeline_.event(id).at;
      auto& children = made[{state.local, state.remote}];
      if (!state.not_before)
        children.push_back({state.socket, at, state.local, state.remote});
      else if (is_followed_by_another(children, state.socket, *state.not_before))
        left_over_.insert(state.socket);
    }
  }

  // Whose SYN a tap saw is known by its initial sequence number, however soon the same two addresses meet again.
  void place_by_first_segment() {
    std::map<std::tuple<SocketAddress, SocketAddress, std::uint32_t>, ConnectionIndex> by_syn;
    const auto causes = timeline_.all<recording::SegmentCause>();
    if (causes.empty()) return;
    for (ConnectionIndex i = 0; i < timeline_.connections.size(); ++i) {
      const auto& sides = timeline_.connections[i].sides;
      if (sides[opener].isn)
        by_syn.try_emplace(
            {sides[opener].address.unmapped(), sides[listener].address.unmapped(), sides[opener].isn->value}, i);
    }
    for (const EventId id : causes) {
      const auto& cause = timeline_.get<recording::SegmentCause>(id);
      if (!cause.flags.syn() || cause.flags.ack() || cause.socket == 0 || !cause.local || !cause.remote) continue;
      const auto found = by_syn.find({cause.local->unmapped(), cause.remote->unmapped(), cause.seq});
      if (found == by_syn.end()) continue;
      auto& connection = timeline_.connections[found->second];
      if (connection.sides[opener].socket != 0) continue;  // the SYN again
      connection.sides[opener].socket = cause.socket;
      ends_[cause.socket].push_back({cause.socket, connection.began, found->second, opener});
      opened_[cause.socket].push_back(found->second);
    }
  }

  // Of the connections that this socket is known to have opened between these addresses: the latest that had begun by then, or its first.
  [[nodiscard]] std::optional<ConnectionIndex> opened_by(const Clue& clue) const {
    const auto own = opened_.find(clue.socket);
    if (own == opened_.end()) return std::nullopt;
    const auto is_between = [&](ConnectionIndex index) {
      const auto& sides = timeline_.connections[index].sides;
      return same_endpoint(sides[opener].address, clue.local) && same_endpoint(sides[listener].address, clue.remote);
    };
    const auto began = [&](ConnectionIndex index) { return timeline_.connections[index].began; };
    const auto later = std::ranges::upper_bound(own->second, clue.at + clocks_differ, {}, began);
    const auto earlier = std::ranges::subrange(own->second.begin(), later);
    for (const ConnectionIndex index : earlier | std::views::reverse | std::views::take(ends_looked_at))
      if (is_between(index)) return index;
    for (const ConnectionIndex index :
         std::ranges::subrange(later, own->second.end()) | std::views::take(ends_looked_at))
      if (is_between(index)) return index;
    return std::nullopt;
  }

  static bool is_followed_by_another(const std::vector<Clue>& children, std::uint64_t socket, base::WallTime since) {
    for (auto child = children.rbegin(); child != children.rend() && child->at >= since; ++child)
      if (child->socket != socket) return true;
    return false;
  }

  template <class Other>
  void see(const Other&, std::uint32_t) {}
  void see(const recording::CallEntered& call, std::uint32_t event) {
    if (calls::effect_of(call.name) != Effect::connects) see_addresses(call.socket, event, call.local, call.remote);
  }
  void see(const recording::CallReturned& call, std::uint32_t event) {
    see_addresses(call.socket, event, call.local, call.remote);
  }
  void see(const recording::SocketState& state, std::uint32_t event) {
    if (left_over_.contains(state.socket) || recording_.events[event].actor.valid()) return;  // who has a port
    see_addresses(state.socket, event, state.local, state.remote,
                  state.to == tcp::State::syn_sent && !state.not_before);
  }
  void see(const recording::SegmentCause& cause, std::uint32_t event) {
    const bool syn = cause.flags.syn() && !cause.flags.ack();
    see_addresses(cause.socket, event, cause.local, cause.remote, syn);
  }
  void see(const recording::Reset& reset, std::uint32_t event) {
    see_addresses(reset.socket, event, reset.local, reset.remote);
  }
  void see(const recording::SocketError& error, std::uint32_t event) {
    see_addresses(error.socket, event, error.local, error.remote);
  }

  // A listener is no end of a connection: what names an address beside its own speaks of a segment that it refuses.
  [[nodiscard]] bool only_listens(std::uint64_t socket) const {
    return listening_.contains(socket) && !openers_.contains(socket);
  }

  void see_addresses(std::uint64_t socket, std::uint32_t event, const std::optional<SocketAddress>& local,
                     const std::optional<SocketAddress>& remote, bool opens = false) {
    if (socket == 0 || !local || !remote || remote->port == 0 || local->port == 0 || only_listens(socket)) return;
    place({socket, recording_.events[event].at, *local, *remote, opens});
  }

  void place(const Clue& clue) {
    if (opened_by(clue)) return;  // known already
    auto& ends = ends_[clue.socket];
    std::optional<ConnectionIndexByEnds::Found> found;
    if (clue.opens) found = by_ends_.first_since(clue.local, clue.remote, clue.at - clocks_differ);
    if (!found) found = by_ends_.latest(clue.local, clue.remote, clue.at + clocks_differ);
    if (!found || is_another_socket(*found, clue.socket)) found = add_connection(clue);
    if (!ends.empty() && ends.back().connection == found->connection) return;
    auto& connection = timeline_.connections[found->connection];
    connection.sides[found->side].socket = clue.socket;
    ends.push_back(
        {clue.socket, connection.without_packets() ? clue.at : connection.began, found->connection, found->side});
  }

  // The cookie tells one use of a pair of addresses from the next, also where a filter kept the packets of one of them out.
  [[nodiscard]] bool is_another_socket(const ConnectionIndexByEnds::Found& found, std::uint64_t socket) const {
    const auto& connection = timeline_.connections[found.connection];
    const auto known = connection.sides[found.side].socket;
    return known != 0 && known != socket;
  }

  ConnectionIndexByEnds::Found add_connection(const Clue& clue) {
    const Side side = side_without_packets(clue);
    const auto index = static_cast<ConnectionIndex>(timeline_.connections.size());
    Connection connection;
    connection.sides[side].address = clue.local;
    connection.sides[other(side)].address = clue.remote;
    connection.sides[listener].listens = ports_.contains(connection.sides[listener].address.port);
    connection.began = connection.ended = clue.at;
    timeline_.connections.push_back(std::move(connection));
    by_ends_.add(index);
    return {index, side};
  }

  [[nodiscard]] Side side_without_packets(const Clue& clue) const {
    if (openers_.contains(clue.socket)) return opener;
    if (listeners_.contains(clue.socket)) return listener;
    if (ports_.contains(clue.local.port)) return listener;
    if (ports_.contains(clue.remote.port)) return opener;
    return clue.local.port >= clue.remote.port ? opener : listener;
  }

  // A connect() that failed may have no local address any more: the packets between its entry and its end tell; without them it
  // is a connection of which one address is known.
  void see_lonely_connect(const Call& call) {
    const auto& entered = timeline_.entered(call);
    if (call.meaning.effect != Effect::connects || entered.socket == 0 || !entered.remote || entered.remote->port == 0)
      return;
    const auto from = timeline_.time_of(call.entered), to = timeline_.end_of(call);
    auto& ends = ends_[entered.socket];
    if (has_end_within(ends, from, to)) return;
    // In order of their beginning.
    const auto candidates = connected_to_.of(entered.remote->unmapped());
    const auto began = [&](const auto& pair) { return timeline_.connections[pair.value].began; };
    for (auto it = std::ranges::lower_bound(candidates, from, {}, began); it != candidates.end() && began(*it) <= to;
         ++it) {
      const auto& connection = timeline_.connections[it->value];
      if (connection.sides[opener].socket != 0) continue;
      if (entered.local && entered.local->port != 0 && !same_endpoint(*entered.local, connection.sides[opener].address))
        continue;
      return end_is(entered.socket, connection.began, it->value);
    }
    if (!ends.empty()) return;
    const auto index = static_cast<ConnectionIndex>(timeline_.connections.size());
    Connection connection;
    connection.sides[listener].address = *entered.remote;
    if (entered.local && entered.local->port != 0) connection.sides[opener].address = *entered.local;
    connection.began = from, connection.ended = to;
    timeline_.connections.push_back(std::move(connection));
    end_is(entered.socket, from, index);
  }

  // The latest ends of the socket are looked at: a call is about one of those.
  [[nodiscard]] bool has_end_within(const std::vector<SocketEnd>& ends, base::WallTime from, base::WallTime to) const {
    std::size_t looked_at = 0;
    for (auto end = ends.rbegin(); end != ends.rend() && looked_at < ends_looked_at; ++end, ++looked_at) {
      const auto& connection = timeline_.connections[end->connection];
      if (connection.without_packets()) return true;
      if (connection.began >= from - clocks_differ && connection.began <= to + clocks_differ) return true;
    }
    return false;
  }

  void end_is(std::uint64_t socket, base::WallTime since, ConnectionIndex index) {
    timeline_.connections[index].sides[opener].socket = socket;
    auto& ends = ends_[socket];
    const auto key = [](const SocketEnd& end) { return std::pair(end.since, end.connection); };
    ends.insert(std::ranges::upper_bound(ends, std::pair(since, index), {}, key), {socket, since, index, opener});
  }

  Timeline& timeline_;
  const recording::Recording& recording_;
  ConnectionIndexByEnds by_ends_;
  SortedIndex<SocketAddress, ConnectionIndex> connected_to_;  // those with packets, by the listener's address
  std::set<std::uint64_t> openers_, listeners_, listening_, left_over_;
  std::set<std::uint16_t> ports_;
  std::map<std::uint64_t, std::vector<SocketEnd>> ends_;
  std::map<std::uint64_t, std::vector<ConnectionIndex>> opened_;  // by place_by_first_segment()
};

}  // namespace

ConnectionIndexByEnds::ConnectionIndexByEnds(const Timeline& timeline) : timeline_(timeline) {
  for (ConnectionIndex i = 0; i < timeline.connections.size(); ++i) add(i);
}

void ConnectionIndexByEnds::add(ConnectionIndex index) {
  const auto& connection = timeline_.connections[index];
  auto& list = connections_[key(connection.sides[opener].address, connection.sides[listener].address)];
  if (!connection.without_packets()) return list.with_packets.push_back(index);
  const auto began = [&](ConnectionIndex one) { return timeline_.connections[one].began; };
  list.without.insert(std::ranges::upper_bound(list.without, connection.began, {}, began), index);
}

ConnectionIndexByEnds::Ends ConnectionIndexByEnds::key(const SocketAddress& one, const SocketAddress& other) {
  const auto a = one.unmapped(), b = other.unmapped();
  return a < b ? Ends{a, b} : Ends{b, a};
}

const ConnectionIndexByEnds::Between& ConnectionIndexByEnds::between(const SocketAddress& one,
                                                                     const SocketAddress& other) const {
  static const Between none;
  const auto found = connections_.find(key(one, other));
  return found == connections_.end() ? none : found->second;
}

Side ConnectionIndexByEnds::side_of(ConnectionIndex index, const SocketAddress& local) const {
  return same_endpoint(timeline_.connections[index].sides[opener].address, local) ? opener : listener;
}

std::optional<ConnectionIndexByEnds::Found> ConnectionIndexByEnds::latest(const SocketAddress& local,
                                                                          const SocketAddress& remote,
                                                                          base::WallTime by) const {
  const auto& list = between(local, remote);
  const auto began = [&](ConnectionIndex index) { return timeline_.connections[index].began; };
  const auto found = [&](ConnectionIndex index) { return Found{index, side_of(index, local)}; };
  for (const auto* kind : {&list.without, &list.with_packets}) {
    const auto later = std::ranges::upper_bound(*kind, by, {}, began);
    if (later != kind->begin()) return found(*std::prev(later));
  }
  if (!list.without.empty()) return found(list.without.front());
  return std::nullopt;
}

std::optional<ConnectionIndexByEnds::Found> ConnectionIndexByEnds::first_since(const SocketAddress& local,
                                                                               const SocketAddress& remote,
                                                                               base::WallTime since) const {
  const auto& list = between(local, remote).with_packets;
  const auto began = [&](ConnectionIndex index) { return timeline_.connections[index].began; };
  const auto first = std::ranges::lower_bound(list, since, {}, began);
  if (first == list.end()) return std::nullopt;
  return Found{*first, side_of(*first, local)};
}

void identify_sockets(Timeline& timeline) { Identifier(timeline).run(); }

}  // namespace tcpwhy::timeline::steps
