// The kernel's samples of its sockets held against the states that the segments say.
#include <algorithm>

#include "timeline/builder.h"

namespace tcpwhy::timeline::steps {
namespace {

using recording::SocketState;

bool same(const wire::SocketAddress& a, const wire::SocketAddress& b) {
  return a.port == b.port && a.ip.unmapped() == b.ip.unmapped();
}

class Confirmer {
 public:
  explicit Confirmer(Timeline& timeline) : timeline_(timeline), recording_(*timeline.recording) {}

  void run() {
    for (std::uint32_t i = 0; i < recording_.events.size(); ++i) {
      const auto* sample = std::get_if<SocketState>(&recording_.events[i].what);
      if (sample == nullptr || sample->remote.port == 0) continue;
      for (auto& connection : timeline_.connections)
        for (const Side side : {opener, listener})
          if (same(connection.sides[side].address, sample->local) &&
              same(connection.sides[other(side)].address, sample->remote) && was_there(connection, *sample, EventId{i}))
            confirm(connection, side, *sample, EventId{i});
    }
    copy_to_segments();
  }

 private:
  // A reused pair of addresses is several connections: the sample is of the latest that had begun.
  [[nodiscard]] bool was_there(const Connection& connection, const SocketState&, EventId sample) const {
    if (connection.segments.empty()) return false;
    if (timeline_.segments[connection.segments.front()].departed > sample) return false;
    for (const auto& later : timeline_.connections)
      if (&later > &connection && later.sides[opener].address == connection.sides[opener].address &&
          later.sides[listener].address == connection.sides[listener].address &&
          timeline_.segments[later.segments.front()].departed < sample)
        return false;
    return true;
  }

  void confirm(Connection& connection, Side side, const SocketState& sample, EventId id) {
    const auto state = tcp::state_named(sample.to);
    if (!state) return;
    const auto from = sample.not_before.value_or(recording_[id].at), to = recording_[id].at;
    bool possible = state_at(connection, side, from) == *state;
    for (auto& change : connection.changes) {
      if (change.side != side || change.to != *state) continue;
      const auto at = timeline_.time_of(change.event);
      if (at < from || at > to) continue;
      if (!change.sampled) change.sampled = id;
      possible = true;
    }
    if (possible) return;
    if (*state == tcp::State::closed)
      forget(connection, side, id);
    else
      timeline_.contradictions.push_back({id, side, state_at(connection, side, to)});
  }

  // Gone from the kernel's tables without a segment: TIME-WAIT or FIN-WAIT-2 ran out, a request was given up.
  void forget(Connection& connection, Side side, EventId sample) {
    const auto from = state_at(connection, side, recording_[sample].at);
    const auto* transition = tcp::find_transition(from, tcp::Stimulus::forgets);
    if (transition == nullptr) return;
    const SideChange change{side, from, transition->to, transition->clause, sample, sample};
    const auto later = std::ranges::find_if(connection.changes, [&](const auto& c) { return c.event > sample; });
    if (later == connection.changes.end()) connection.final_states[side] = transition->to;
    connection.changes.insert(later, change);
  }

  [[nodiscard]] tcp::State state_at(const Connection& connection, Side side, base::WallTime time) const {
    tcp::State state = tcp::State::not_seen;
    for (const auto& change : connection.changes) {
      if (change.side != side) continue;
      if (timeline_.time_of(change.event) > time) break;
      state = change.to;
    }
    return state;
  }

  void copy_to_segments() {
    for (auto& segment : timeline_.segments)
      for (auto* noted : {&segment.sender_change, &segment.receiver_change})
        if (*noted)
          for (const auto& change : timeline_.connections[segment.connection].changes)
            if (change.event == (*noted)->event && change.side == (*noted)->side) (*noted)->sampled = change.sampled;
  }

  Timeline& timeline_;
  const recording::Recording& recording_;
};

}  // namespace

void confirm_states(Timeline& timeline) { Confirmer(timeline).run(); }

}  // namespace tcpwhy::timeline::steps
