// All events as rows, no effect before its cause.
#include <algorithm>
#include <map>

#include "timeline/builder.h"

namespace tcpwhy::timeline::steps {
namespace {

class Orderer {
 public:
  explicit Orderer(Timeline& timeline) : timeline_(timeline), recording_(*timeline.recording) {}

  void run() {
    std::vector<Entry> entries = by_time();
    put_causes_first(entries);
    add_states(entries);
    timeline_.entries = std::move(entries);
  }

 private:
  std::vector<Entry> by_time() {
    std::vector<Entry> entries(recording_.events.size());
    for (std::uint32_t i = 0; i < entries.size(); ++i) entries[i].event = EventId{i};
    for (std::uint32_t s = 0; s < timeline_.segments.size(); ++s) {
      const Segment& segment = timeline_.segments[s];
      if (segment.two_taps())
        entries[segment.arrived->value] = {*segment.arrived, EntryKind::arrived, s, segment.connection, {}, {}};
      entries[segment.departed.value] = {segment.departed, EntryKind::departed, s, segment.connection, {}, {}};
    }
    for (std::uint32_t c = 0; c < timeline_.calls.size(); ++c) {
      const Call& call = timeline_.calls[c];
      entries[call.entered.value] = {call.entered, EntryKind::call_entered, c, call.connection, {}, {}};
      if (call.returned)
        entries[call.returned->value] = {*call.returned, EntryKind::call_returned, c, call.connection, {}, {}};
    }
    for (const Call& call : timeline_.calls)
      if (call.repeated) {
        Entry& entry = entries[call.repeated->value];
        entry.connection = call.connection;
        if (call.connection) entry.side = call.side;
      }
    put_kernel_events_at_their_segments(entries);
    return entries;
  }

  // A tracepoint may be stamped when all is over: that of an active reset comes after the peer has taken it in. What the kernel
  // says of a segment stands beside it: what made it leave right before, what became of it right after.
  void put_kernel_events_at_their_segments(std::vector<Entry>& entries) const {
    enum Rank : std::uint8_t { before, itself, after, consequence };
    std::vector<std::pair<std::uint32_t, Rank>> keys(entries.size());
    for (std::uint32_t i = 0; i < keys.size(); ++i) keys[i] = {i, itself};
    for (const Segment& segment : timeline_.segments)
      for (const EventId id : segment.kernel) {
        const auto& what = recording_[id].what;
        const auto* reset = std::get_if<recording::Reset>(&what);
        const bool leaves = (reset != nullptr && reset->sent) || std::holds_alternative<recording::SegmentCause>(what);
        keys[id.value] = leaves ? std::pair(segment.departed.value, before)
                                : std::pair(segment.arrived.value_or(segment.departed).value, after);
        entries[id.value].connection = segment.connection;
        const auto& connection = timeline_.connections[segment.connection];
        entries[id.value].side = leaves ? segment.from : connection.receiver_from(segment.from);
      }
    for (ConnectionIndex c = 0; c < timeline_.connections.size(); ++c)
      for (const KernelEvent& kernel : timeline_.connections[c].kernel) {
        entries[kernel.event.value].connection = c;
        entries[kernel.event.value].side = kernel.side;
      }
    std::vector<std::uint32_t> order(entries.size());
    for (std::uint32_t i = 0; i < order.size(); ++i) order[i] = i;
    std::ranges::sort(order, {}, [&](std::uint32_t i) { return std::pair(keys[i], i); });
    std::vector<Entry> sorted;
    sorted.reserve(entries.size());
    for (const std::uint32_t i : order) sorted.push_back(entries[i]);
    entries = std::move(sorted);
  }

  // What must stand before an event: its cause. (The end of a process is known later than what it did.)
  [[nodiscard]] std::optional<EventId> predecessor(const Entry& entry) const {
    if (entry.kind == EntryKind::arrived) return timeline_.segments[entry.index].departed;
    if (entry.kind != EntryKind::departed) return std::nullopt;
    const Cause& cause = timeline_.segments[entry.index].cause;
    return cause.trigger == Trigger::process_end ? std::nullopt : cause.by;
  }

  // Time order is not causal order: clocks and tracepoints may be a little late. An entry waits until its cause has been placed.
  void put_causes_first(std::vector<Entry>& entries) const {
    std::vector<bool> placed(entries.size(), false);
    std::multimap<EventId, Entry> waiting;
    std::vector<Entry> ordered;
    ordered.reserve(entries.size());
    // What waited for an entry follows it at once, and what waited for that before the next: a stack of our own, for a damaged
    // recording may claim a chain of any length.
    std::vector<Entry> next;
    const auto place = [&](const Entry& entry) {
      next.assign(1, entry);
      while (!next.empty()) {
        ordered.push_back(next.back());
        next.pop_back();
        const EventId event = ordered.back().event;
        placed[event.value] = true;
        const auto [first, last] = waiting.equal_range(event);
        for (auto it = last; it != first;) next.push_back((--it)->second);
        waiting.erase(first, last);
      }
    };
    for (const Entry& entry : entries) {
      const auto before = predecessor(entry);
      if (before && before->value < placed.size() && !placed[before->value] && *before != entry.event)
        waiting.emplace(*before, entry);
      else
        place(entry);
    }
    // A circle of causes cannot be; if a damaged recording claims one, its entries come last, in order of time.
    for (const auto& [_, entry] : waiting) ordered.push_back(entry);
    entries = std::move(ordered);
  }

  void add_states(std::vector<Entry>& entries) const {
    std::vector<PerSide<tcp::State>> states;
    for (const auto& connection : timeline_.connections) {
      PerSide<tcp::State> initial{};
      for (const Side side : {opener, listener}) {
        const auto first = std::ranges::find(connection.changes, side, &SideChange::side);
        initial[side] = first != connection.changes.end() ? first->from : connection.final_states[side];
      }
      states.push_back(initial);
    }
    std::multimap<EventId, std::pair<ConnectionIndex, const SideChange*>> changes;
    for (ConnectionIndex i = 0; i < timeline_.connections.size(); ++i)
      for (const auto& change : timeline_.connections[i].changes) changes.emplace(change.event, std::pair(i, &change));
    for (Entry& entry : entries) {
      const auto [first, last] = changes.equal_range(entry.event);
      for (auto it = first; it != last; ++it) {
        const auto [connection, change] = it->second;
        states[connection][change->side] = change->to;
        entry.connection = connection;
      }
      if (entry.connection) entry.states = states[*entry.connection];
    }
  }

  Timeline& timeline_;
  const recording::Recording& recording_;
};

}  // namespace

void order_entries(Timeline& timeline) { Orderer(timeline).run(); }

}  // namespace tcpwhy::timeline::steps
