// The kernel's word on the states of its sockets, sampled or from its tracepoint, held against the states that the segments say.
#include <algorithm>
#include <cstdlib>

#include "timeline/builder.h"

namespace tcpwhy::timeline::steps {
namespace {

using namespace std::chrono_literals;
using recording::SocketState;

// A tracepoint's stamp is exact; the segment that goes with the change passes its tap a little before or after.
constexpr base::Duration beside = 20ms;

class Confirmer {
 public:
  explicit Confirmer(Timeline& timeline) : timeline_(timeline), recording_(*timeline.recording) {}

  void run() {
    for (auto& connection : timeline_.connections)
      for (const KernelEvent& kernel : connection.kernel) {
        const auto* state = std::get_if<SocketState>(&recording_[kernel.event].what);
        if (state == nullptr) continue;
        if (connection.without_packets())
          adopt(connection, kernel.side, *state, kernel.event);
        else
          confirm(connection, kernel.side, *state, kernel.event);
      }
    copy_to_segments();
  }

 private:
  // Without packets the kernel's word is all there is.
  static void adopt(Connection& connection, Side side, const SocketState& told, EventId id) {
    const auto to = tcp::state_named(told.to);
    if (!to || told.from == told.to) return;
    const auto from = tcp::state_named(told.from).value_or(connection.final_states[side]);
    connection.changes.push_back({side, from, *to, "", id, id});
    connection.final_states[side] = *to;
  }

  void confirm(Connection& connection, Side side, const SocketState& told, EventId id) {
    const auto state = tcp::state_named(told.to);
    if (!state) return;
    const bool exact = !told.not_before;
    const auto at = recording_[id].at;
    const auto from = exact ? at - beside : *told.not_before, to = exact ? at + beside : at;
    if (tie(connection, side, *state, id, from, to)) return;
    if (state_at(connection, side, from) == *state || (exact && state_at(connection, side, to) == *state)) return;
    const auto derived = state_at(connection, side, to);
    if (derived == tcp::State::not_seen) return;  // it began before the capture: nothing was derived
    if (*state == tcp::State::closed)
      gone(connection, side, id, derived);
    else
      timeline_.contradictions.push_back({id, side, derived});
  }

  // The derived change that this shows: of several, the nearest in time.
  bool tie(Connection& connection, Side side, tcp::State state, EventId id, base::WallTime from,
           base::WallTime to) const {
    SideChange* best = nullptr;
    bool possible = false;
    const auto apart = [&](const SideChange& change) {
      return std::chrono::abs(timeline_.time_of(change.event) - recording_[id].at);
    };
    for (auto& change : connection.changes) {
      if (change.side != side || change.to != state) continue;
      const auto at = timeline_.time_of(change.event);
      if (at < from || at > to) continue;
      possible = true;
      if (!change.sampled && (best == nullptr || apart(change) < apart(*best))) best = &change;
    }
    if (best != nullptr) best->sampled = id;
    return possible;
  }

  // Gone from the kernel's tables without a segment: an entry's time ran out, or the kernel gave the connection up.
  void gone(Connection& connection, Side side, EventId id, tcp::State from) {
    const bool exact = !timeline_.get<SocketState>(id).not_before;
    // To the tracepoint a socket is closed when a small entry for FIN-WAIT-2 or TIME-WAIT takes its place.
    if (exact && (from == tcp::State::fin_wait_2 || from == tcp::State::time_wait)) return;
    const auto* transition = tcp::find_transition(from, tcp::Stimulus::forgets);
    if (transition == nullptr && !exact) return;
    const SideChange change{
        side, from, tcp::State::closed, transition != nullptr ? transition->clause : "3.8.3, 3.10.8: given up", id, id};
    const auto later = std::ranges::find_if(connection.changes, [&](const auto& c) { return c.event > id; });
    const bool last = std::none_of(later, connection.changes.end(), [&](const auto& c) { return c.side == side; });
    if (last) connection.final_states[side] = tcp::State::closed;
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
