// What the kernel said (states, resets, errors, drops), tied to connections, and to the segments that it speaks of.
#include <algorithm>
#include <cstdlib>

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

class Tier {
 public:
  explicit Tier(Timeline& timeline) : timeline_(timeline), by_ends_(timeline), told_(timeline.segments.size()) {}

  void run() {
    for (std::uint32_t i = 0; i < timeline_.recording->events.size(); ++i)
      std::visit([&](const auto& what) { tie(what, EventId{i}); }, timeline_.recording->events[i].what);
  }

 private:
  struct Told {
    bool reset_sent = false, reset_received = false, dropped = false;
  };

  template <class Other>
  void tie(const Other&, EventId) {}

  void tie(const SocketState& state, EventId id) { add(place(state.socket, id, state.local, state.remote), id); }
  void tie(const SocketError& error, EventId id) { add(place(error.socket, id, error.local, error.remote), id); }

  // Where a tap has seen the connection, its segments tell their causes; where none has, the causes are all that is known of them.
  void tie(const recording::SegmentCause& cause, EventId id) {
    if (cause.packet.valid()) return;
    // A SYN-ACK leaves before there is a socket that it could name: it belongs to what begins then.
    const bool opens = cause.flags.find('S') != std::string::npos;
    const auto at = place(cause.socket, id, cause.local, cause.remote, opens ? near : base::Duration{});
    if (at && timeline_.connections[at->connection].without_packets()) add(at, id);
  }

  void tie(const Reset& reset, EventId id) {
    const auto at = place(reset.socket, id, reset.local, reset.remote);
    if (!add(at, id)) return;
    const Side sender = reset.sent ? at->side : other(at->side);
    const auto flag = reset.sent ? &Told::reset_sent : &Told::reset_received;
    tell(nearest(at->connection, id, flag,
                 [&](const Segment& segment) { return segment.from == sender && segment.tcp.flags.rst(); }),
         id, flag);
  }

  void tie(const SegmentDropped& drop, EventId id) {
    if (!drop.from || !drop.to) return;
    // The socket may be the listener's, or none: the segment's own addresses say whose it is.
    const auto at = by_ends_.latest(*drop.to, *drop.from, timeline_.time_of(id) + near);
    if (!add(at, id)) return;
    tell(nearest(at->connection, id, &Told::dropped,
                 [&](const Segment& segment) {
                   return segment.from != at->side && segment.tcp.seq.value == drop.seq &&
                          segment.tcp.payload_length == drop.length &&
                          wire::to_string(segment.tcp.flags) == drop.flags &&
                          (!segment.tcp.flags.ack() || segment.tcp.ack.value == drop.ack);
                 }),
         id, &Told::dropped);
  }

  [[nodiscard]] std::optional<ConnectionIndexByEnds::Found> place(
      std::uint64_t socket, EventId id, const std::optional<wire::SocketAddress>& local,
      const std::optional<wire::SocketAddress>& remote, base::Duration ahead = {}) const {
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

  // The segment of that connection, nearest in time, of which this has not been told yet.
  template <class Fits>
  [[nodiscard]] std::optional<SegmentIndex> nearest(ConnectionIndex index, EventId id, bool Told::* told,
                                                    Fits fits) const {
    const auto at = timeline_.time_of(id);
    const auto& list = timeline_.connections[index].segments;
    const auto departed = [&](SegmentIndex s) { return timeline_.time_of(timeline_.segments[s].departed); };
    std::optional<SegmentIndex> best;
    // With two taps a segment may have left long before it arrives, where this is said.
    for (auto it = std::ranges::upper_bound(list, at + near, {}, departed); it != list.begin();) {
      const SegmentIndex s = *--it;
      const Segment& segment = timeline_.segments[s];
      const auto apart = apart_from(segment, at);
      if (!segment.two_taps() && apart > near) break;
      if (told_[s].*told || apart > near || !fits(segment)) continue;
      if (!best || apart < apart_from(timeline_.segments[*best], at)) best = s;
    }
    return best;
  }

  [[nodiscard]] base::Duration apart_from(const Segment& segment, base::WallTime at) const {
    const auto from = [&](EventId id) { return std::chrono::abs(timeline_.time_of(id) - at); };
    return segment.arrived ? std::min(from(segment.departed), from(*segment.arrived)) : from(segment.departed);
  }

  void tell(std::optional<SegmentIndex> segment, EventId id, bool Told::* told) {
    if (!segment) return;
    told_[*segment].*told = true;
    timeline_.segments[*segment].kernel.push_back(id);
  }

  Timeline& timeline_;
  ConnectionIndexByEnds by_ends_;
  std::vector<Told> told_;
};

}  // namespace

void tie_kernel_events(Timeline& timeline) { Tier(timeline).run(); }

}  // namespace tcpwhy::timeline::steps
