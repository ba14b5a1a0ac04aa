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
        for (const bool sent : {false, true}) wait(resets_[{segment.connection, segment.from, sent}], s);
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
  struct Likeness {
    ConnectionIndex connection;
    Side from;
    std::uint32_t seq, length, ack;
    wire::TcpFlags flags;
    auto operator<=>(const Likeness&) const = default;
  };

  [[nodiscard]] static Likeness likeness(const Segment& segment) {
    return {segment.connection,
            segment.from,
            segment.tcp.seq.value,
            segment.tcp.payload_length,
            segment.tcp.flags.ack() ? segment.tcp.ack.value : 0,
            segment.tcp.flags};
  }
  [[nodiscard]] bool drops_are_told() const { return !timeline_.all<SegmentDropped>().empty(); }

  void wait(Waiting& waiting, SegmentIndex index) const {
    const Segment& segment = timeline_.segments[index];
    waiting.emplace(timeline_.time_of(segment.departed), index);
    if (segment.arrived) waiting.emplace(timeline_.time_of(*segment.arrived), index);
  }

  template <class Other>
  void tie(const Other&, EventId) {}

  void tie(const SocketState& state, EventId id) { add(place(state.socket, id, state.local, state.remote), id); }
  void tie(const SocketError& error, EventId id) { add(place(error.socket, id, error.local, error.remote), id); }

  // Where a tap has seen the connection, its segments tell their causes; where none has, the causes are all that is known of them.
  void tie(const recording::SegmentCause& cause, EventId id) {
    if (cause.packet.valid()) return;
    // A SYN-ACK leaves before there is a socket that it could name: it belongs to what begins then.
    const auto at = place(cause.socket, id, cause.local, cause.remote, cause.flags.syn() ? near : base::Duration{});
    if (at && timeline_.connections[at->connection].without_packets()) add(at, id);
  }

  void tie(const Reset& reset, EventId id) {
    const auto at = place(reset.socket, id, reset.local, reset.remote);
    if (!add(at, id)) return;
    tell_nearest(resets_, ResetKey{at->connection, reset.sent ? at->side : other(at->side), reset.sent}, id);
  }

  void tie(const SegmentDropped& drop, EventId id) {
    if (!drop.from || !drop.to) return;
    // The socket may be the listener's, or none: the segment's own addresses say whose it is.
    const auto at = by_ends_.latest(*drop.to, *drop.from, timeline_.time_of(id) + near);
    if (!add(at, id)) return;
    tell_nearest(
        others_,
        Likeness{at->connection, other(at->side), drop.seq, drop.length, drop.flags.ack() ? drop.ack : 0, drop.flags},
        id);
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
  void tell_nearest(std::map<Key, Waiting>& all, const Key& key, EventId id) {
    const auto found = all.find(key);
    if (found == all.end()) return;
    Waiting& waiting = found->second;
    const auto at = timeline_.time_of(id);
    const auto later = waiting.lower_bound({at, 0});
    auto best = later;
    if (later != waiting.begin()) {
      const auto earlier = std::prev(later);
      if (later == waiting.end() || at - earlier->first < later->first - at) best = earlier;
    }
    if (best == waiting.end() || std::chrono::abs(best->first - at) > near) return;
    const SegmentIndex index = best->second;
    Segment& segment = timeline_.segments[index];
    waiting.erase({timeline_.time_of(segment.departed), index});
    if (segment.arrived) waiting.erase({timeline_.time_of(*segment.arrived), index});
    segment.kernel.push_back(id);
  }

  Timeline& timeline_;
  ConnectionIndexByEnds by_ends_;
  std::map<ResetKey, Waiting> resets_;
  std::map<Likeness, Waiting> others_;
};

}  // namespace

void tie_kernel_events(Timeline& timeline) { KernelEventMatcher(timeline).run(); }

}  // namespace tcpwhy::timeline::steps
