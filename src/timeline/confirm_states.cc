// The kernel's word on the states of its sockets, sampled or from its tracepoint, held against the states that the segments say.
#include <algorithm>
#include <array>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "timeline/builder.h"

namespace tcpwhy::timeline::steps {
namespace {

using namespace std::chrono_literals;
using recording::SocketState;

// A tracepoint's stamp is exact; the segment that goes with the change passes its tap a little before or after.
constexpr base::Duration beside = 20ms;

// The changes of a connection, as they are looked for: a recording may hold any number of them, and of what is said of them.
class Changes {
 public:
  explicit Changes(const Timeline& timeline, std::vector<SideChange>&& changes) : timeline_(timeline) {
    for (SideChange& change : changes) add(change);
  }

  // One that is known of later stands behind those of its event and before those of the next.
  void add(const SideChange& change) {
    SideChange* const kept = &in_order_.emplace(change.event, change)->second;
    const auto at = timeline_.time_of(change.event);
    OfSide& of_side = sides_[change.side];
    of_side.latest = std::max(of_side.latest, std::optional(change.event));
    of_side.by_time.emplace(std::pair(at, change.event), kept);
    auto& to_state = of_side.to_state[change.to];
    to_state.all.insert(at);
    if (!change.sampled) to_state.unsampled.emplace(at, kept);
  }

  [[nodiscard]] tcp::State state_at(Side side, base::WallTime time) const {
    const auto& by_time = sides_[side].by_time;
    const auto later = by_time.upper_bound({time, EventId{}});  // no event has so large a number
    return later == by_time.begin() ? tcp::State::not_seen : std::prev(later)->second->to;
  }

  [[nodiscard]] bool any_since(Side side, EventId id) const {
    const auto& latest = sides_[side].latest;
    return latest && *latest > id;
  }

  // Whether there is a change to that state from `from` to `to`. Of those that no sample has shown yet, `sample` shows the nearest to
  // its own time.
  bool tie(Side side, tcp::State state, EventId sample, base::WallTime from, base::WallTime to) {
    const auto found = sides_[side].to_state.find(state);
    if (found == sides_[side].to_state.end()) return false;
    ToState& changes = found->second;
    const auto first = changes.all.lower_bound(from);
    if (first == changes.all.end() || *first > to) return false;
    auto& unsampled = changes.unsampled;
    const auto at = timeline_.time_of(sample);
    auto best = unsampled.lower_bound(at);
    if (best != unsampled.begin()) {
      const auto earlier = unsampled.lower_bound(std::prev(best)->first);
      if (best == unsampled.end() || at - earlier->first <= best->first - at) best = earlier;
    }
    if (best == unsampled.end() || best->first < from || best->first > to) return true;
    best->second->sampled = sample;
    unsampled.erase(best);
    return true;
  }

  [[nodiscard]] std::vector<SideChange> take() && {
    std::vector<SideChange> changes;
    for (const auto& [_, change] : in_order_) changes.push_back(change);
    return changes;
  }

 private:
  struct ToState {
    std::multiset<base::WallTime> all;
    std::multimap<base::WallTime, SideChange*> unsampled;
  };
  struct OfSide {
    std::multimap<std::pair<base::WallTime, EventId>, SideChange*> by_time;
    std::map<tcp::State, ToState> to_state;
    std::optional<EventId> latest;
  };

  const Timeline& timeline_;
  std::multimap<EventId, SideChange> in_order_;
  PerSide<OfSide> sides_;
};

class Confirmer {
 public:
  explicit Confirmer(Timeline& timeline) : timeline_(timeline), recording_(*timeline.recording) {}

  void run() {
    for (auto& connection : timeline_.connections)
      if (connection.without_packets())
        adopt_all(connection);
      else
        confirm_all(connection);
    copy_to_segments();
  }

 private:
  [[nodiscard]] const SocketState* state_in(const KernelEvent& kernel) const {
    return std::get_if<SocketState>(&recording_[kernel.event].what);
  }

  // Without packets the kernel's word is all there is.
  void adopt_all(Connection& connection) const {
    for (const KernelEvent& kernel : connection.kernel) {
      const auto* told = state_in(kernel);
      if (told == nullptr) continue;
      if (told->to == tcp::State::not_seen || told->from == told->to) continue;
      const auto from = told->from == tcp::State::not_seen ? connection.final_states[kernel.side] : told->from;
      connection.changes.push_back({kernel.side, from, told->to, "", kernel.event, kernel.event});
      connection.final_states[kernel.side] = told->to;
    }
  }

  void confirm_all(Connection& connection) {
    if (std::ranges::none_of(connection.kernel, [this](const auto& kernel) { return state_in(kernel) != nullptr; }))
      return;
    Changes changes(timeline_, std::move(connection.changes));
    for (const KernelEvent& kernel : connection.kernel)
      if (const auto* told = state_in(kernel)) confirm(connection, changes, kernel.side, *told, kernel.event);
    connection.changes = std::move(changes).take();
  }

  void confirm(Connection& connection, Changes& changes, Side side, const SocketState& told, EventId id) {
    const tcp::State state = told.to;
    if (state == tcp::State::not_seen) return;
    const bool exact = !told.not_before;
    const auto at = recording_[id].at;
    const auto from = exact ? at - beside : *told.not_before, to = exact ? at + beside : at;
    if (changes.tie(side, state, id, from, to)) return;
    if (changes.state_at(side, from) == state || (exact && changes.state_at(side, to) == state)) return;
    const auto derived = changes.state_at(side, to);
    if (derived == tcp::State::not_seen) return;  // it began before the capture: nothing was derived
    if (state == tcp::State::closed)
      gone(connection, changes, side, id, derived);
    else
      timeline_.contradictions.push_back({id, side, derived});
  }

  // Gone from the kernel's tables without a segment: an entry's time ran out, or the kernel gave the connection up.
  void gone(Connection& connection, Changes& changes, Side side, EventId id, tcp::State from) const {
    const bool exact = !timeline_.get<SocketState>(id).not_before;
    // To the tracepoint a socket is closed when a small entry for FIN-WAIT-2 or TIME-WAIT takes its place.
    if (exact && (from == tcp::State::fin_wait_2 || from == tcp::State::time_wait)) return;
    const auto* transition = tcp::find_transition(from, tcp::Stimulus::forgets);
    if (transition == nullptr && !exact) return;
    if (!changes.any_since(side, id)) connection.final_states[side] = tcp::State::closed;
    changes.add({side, from, tcp::State::closed, transition != nullptr ? transition->clause : "3.8.3, 3.10.8: given up",
                 id, id});
  }

  void copy_to_segments() {
    for (auto& segment : timeline_.segments)
      for (auto* noted : {&segment.sender_change, &segment.receiver_change})
        if (*noted)
          for (const auto& change : std::ranges::equal_range(timeline_.connections[segment.connection].changes,
                                                             (*noted)->event, {}, &SideChange::event))
            if (change.side == (*noted)->side) (*noted)->sampled = change.sampled;
  }

  Timeline& timeline_;
  const recording::Recording& recording_;
};

}  // namespace

void confirm_states(Timeline& timeline) { Confirmer(timeline).run(); }

}  // namespace tcpwhy::timeline::steps
