// What the kernel said (states, resets, errors, drops), tied to connections, and to the segments that it speaks of.
#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "timeline/builder.h"

namespace tcpwhy::timeline::steps {
namespace {

using namespace std::chrono_literals;
using recording::Reset;
using recording::SegmentDropped;
using recording::SocketError;
using recording::SocketState;

// A tap and a tracepoint see one segment a few microseconds apart, an active reset's tracepoint comes after its delivery; a busy
// machine may put a softirq of others between.
constexpr base::Duration near = 20ms;

class KernelEventMatcher {
 public:
  explicit KernelEventMatcher(Timeline& timeline) : timeline_(timeline), by_ends_(timeline) {
    for (SegmentIndex s = 0; s < timeline.segments.size(); ++s) {
      const Segment& segment = timeline.segments[s];
      if (segment.tcp.flags.rst())
        for (const bool sent : {false, true}) {
          wait(resets_[{segment.connection, segment.from, sent}], s);
          wait(resets_between_[{direction(segment.tcp.source, segment.tcp.destination), sent}], s);
        }
      if (drops_are_told()) wait(others_[likeness(segment)], s);
    }
  }

  void run() {
    for (std::uint32_t i = 0; i < timeline_.recording->events.size(); ++i)
      std::visit([&](const auto& what) { tie(what, EventId{i}); }, timeline_.recording->events[i].what);
  }

 private:
  // Segments of which the kernel's word has not come yet, by when they left and when they arrived.
  using Waiting = std::set<std::pair<base::WallTime, SegmentIndex>>;
  // Of whose resets it is said, by whom: its sender or its receiver.
  struct ResetKey {
    ConnectionIndex connection;
    Side from;
    bool sent;
    auto operator<=>(const ResetKey&) const = default;
  };
  // Where no socket is named, the addresses tell whose it is; they may belong to several connections, one soon after the other.
  struct Direction {
    wire::SocketAddress from, to;
    auto operator<=>(const Direction&) const = default;
  };
  static Direction direction(const wire::SocketAddress& from, const wire::SocketAddress& to) {
    return {from.unmapped(), to.unmapped()};
  }
  struct ResetBetween {
    Direction direction;
    bool sent;
    auto operator<=>(const ResetBetween&) const = default;
  };
  struct Likeness {
    Direction direction;
    std::uint32_t seq, length, ack;
    wire::TcpFlags flags;
    auto operator<=>(const Likeness&) const = default;
  };

  [[nodiscard]] static Likeness likeness(const Segment& segment) {
    return {direction(segment.tcp.source, segment.tcp.destination), segment.tcp.seq.value, segment.tcp.payload_length,
            segment.tcp.flags.ack() ? segment.tcp.ack.value : 0, segment.tcp.flags};
  }
  [[nodiscard]] bool drops_are_told() const { return !timeline_.all<SegmentDropped>().empty(); }

  void wait(Waiting& waiting, SegmentIndex index) const {
    const Segment& segment = timeline_.segments[index];
    waiting.emplace(timeline_.time_of(segment.departed), index);
    if (segment.arrived) waiting.emplace(timeline_.time_of(*segment.arrived), index);
  }

  template <class Other>
  void tie(const Other&, EventId) {}

  void tie(const SocketState& state, EventId id) {
    if (timeline_.event(id).actor.valid()) return;  // of others: who has a port
    // Of a listener; what becomes SYN-RECEIVED from LISTEN is its child.
    const bool listens =
        state.to == tcp::State::listen || (state.from == tcp::State::listen && state.to != tcp::State::syn_received);
    if (listens) return;
    add(place(state.socket, id, state.local, state.remote), id);
  }
  void tie(const SocketError& error, EventId id) { add(place(error.socket, id, error.local, error.remote), id); }

  // Where a tap has seen the connection, its segments tell their causes; where none has, the causes are all that is known of them.
  void tie(const recording::SegmentCause& cause, EventId id) {
    if (cause.packet.valid()) return;
    // A SYN-ACK leaves before there is a socket that it could name: it belongs to what begins then.
    const auto at = place(cause.socket, id, cause.local, cause.remote, cause.flags.syn() ? near : base::Duration{});
    if (at && timeline_.connections[at->connection].without_packets()) add(at, id);
  }

  void tie(const Reset& reset, EventId id) {
    std::optional<SegmentIndex> told;
    if (const auto* end = timeline_.socket_end(reset.socket, timeline_.time_of(id))) {
      add(ConnectionIndexByEnds::Found{end->connection, end->side}, id);
      const Side from = reset.sent ? end->side : timeline_.connections[end->connection].receiver_from(end->side);
      told = nearest(resets_, ResetKey{end->connection, from, reset.sent}, id);
    } else if (reset.local && reset.remote) {
      const auto way = reset.sent ? direction(*reset.local, *reset.remote) : direction(*reset.remote, *reset.local);
      told = nearest(resets_between_, ResetBetween{way, reset.sent}, id);
      add(told ? end_at(*told, reset.sent) : place(0, id, reset.local, reset.remote), id);
    }
    if (!told) return;
    Segment& segment = timeline_.segments[*told];
    segment.kernel.push_back(id);
    forget(resets_, ResetKey{segment.connection, segment.from, reset.sent}, *told);
    forget(resets_between_, ResetBetween{direction(segment.tcp.source, segment.tcp.destination), reset.sent}, *told);
  }

  void tie(const SegmentDropped& drop, EventId id) {
    if (!drop.from || !drop.to) return;
    // Before any tap could see it.
    if (drop.sent) return void(add(place(drop.socket, id, drop.from, drop.to), id));
    // The socket may be the listener's, or none: the segment itself says whose it is.
    const Likeness alike{direction(*drop.from, *drop.to), drop.seq, drop.length, drop.flags.ack() ? drop.ack : 0,
                         drop.flags};
    const auto told = nearest(others_, alike, id);
    add(told ? end_at(*told, false) : by_ends_.latest(*drop.to, *drop.from, timeline_.time_of(id) + near), id);
    if (!told) return;
    timeline_.segments[*told].kernel.push_back(id);
    forget(others_, alike, *told);
  }

  // The end that sent the segment, or the one that it is for.
  [[nodiscard]] ConnectionIndexByEnds::Found end_at(SegmentIndex index, bool sender) const {
    const Segment& segment = timeline_.segments[index];
    const auto& connection = timeline_.connections[segment.connection];
    return {segment.connection, sender ? segment.from : connection.receiver_from(segment.from)};
  }

  [[nodiscard]] std::optional<ConnectionIndexByEnds::Found> place(std::uint64_t socket, EventId id,
                                                                  const std::optional<wire::SocketAddress>& local,
                                                                  const std::optional<wire::SocketAddress>& remote,
                                                                  base::Duration ahead = {}) const {
    if (const auto* end = timeline_.socket_end(socket, timeline_.time_of(id)))
      return ConnectionIndexByEnds::Found{end->connection, end->side};
    if (!local || !remote || remote->port == 0) return std::nullopt;
    return by_ends_.latest(*local, *remote, timeline_.time_of(id) + ahead);
  }

  bool add(const std::optional<ConnectionIndexByEnds::Found>& at, EventId id) {
    if (!at) return false;
    auto& connection = timeline_.connections[at->connection];
    connection.kernel.push_back({id, at->side});
    if (connection.without_packets()) connection.began = std::min(connection.began, timeline_.time_of(id));
    connection.ended = std::max(connection.ended, timeline_.time_of(id));
    return true;
  }

  // Of those that wait the one that left or arrived nearest to what was said of it; with two taps it may have left long before.
  template <class Key>
  [[nodiscard]] std::optional<SegmentIndex> nearest(const std::map<Key, Waiting>& all, const Key& key,
                                                    EventId id) const {
    const auto found = all.find(key);
    if (found == all.end()) return std::nullopt;
    const Waiting& waiting = found->second;
    const auto at = timeline_.time_of(id);
    const auto later = waiting.lower_bound({at, 0});
    auto best = later;
    if (later != waiting.begin()) {
      const auto earlier = std::prev(later);
      if (later == waiting.end() || at - earlier->first < later->first - at) best = earlier;
    }
    if (best == waiting.end() || std::chrono::abs(best->first - at) > near) return std::nullopt;
    return best->second;
  }

  template <class Key>
  void forget(std::map<Key, Waiting>& all, const Key& key, SegmentIndex index) const {
    const auto found = all.find(key);
    if (found == all.end()) return;
    const Segment& segment = timeline_.segments[index];
    found->second.erase({timeline_.time_of(segment.departed), index});
    if (segment.arrived) found->second.erase({timeline_.time_of(*segment.arrived), index});
  }

  Timeline& timeline_;
  ConnectionIndexByEnds by_ends_;
  std::map<ResetKey, Waiting> resets_;
  std::map<ResetBetween, Waiting> resets_between_;
  std::map<Likeness, Waiting> others_;
};

}  // namespace

void tie_kernel_events(Timeline& timeline) { KernelEventMatcher(timeline).run(); }

}  // namespace tcpwhy::timeline::steps
