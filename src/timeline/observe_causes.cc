// The kernel's own word on what made a segment leave (SegmentCause), tied to the segment that a tap saw.
//
// The probe stands where a segment is handed to the device (net:net_dev_queue), the tap right behind it. A device may cut one segment
// of the probe's (segmentation offload) into several of the tap's; the same segment may leave again later. So: first what is equal,
// nearest in time, each used once; then the pieces, which lie within.
#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <map>
#include <span>
#include <tuple>
#include <utility>

#include "timeline/builder.h"
#include "timeline/holders.h"

namespace tcpwhy::timeline::steps {
namespace {

using namespace std::chrono_literals;
using recording::SegmentCause;

// A queueing discipline may hold a segment between probe and tap; a retransmission comes 200 ms later (TCP_RTO_MIN), a tail loss
// probe is another sighting by itself.
constexpr base::Duration farthest = 150ms;
// Above this many equal segments (a storm of equal ACKs) they are paired in order of time instead of by distance.
constexpr std::size_t pairs_compared = 4096;
// Before or after what a process's end sent: that is told when it begins (the kernel's tracepoint), or when somebody has waited for it.
constexpr base::Duration end_told = 1s;
// Calls that may still be in progress stand among the latest that were entered.
constexpr std::size_t calls_looked_at = 64;
// What a segment answers came before it, and not many segments of its own side ago.
constexpr std::size_t segments_looked_at = 1024;
constexpr base::Duration clocks_differ = 200us;

struct Direction {
  wire::SocketAddress from, to;
  auto operator<=>(const Direction&) const = default;
};

// What the probe's and the tap's view of one segment have in common.
struct Likeness {
  Direction direction;
  std::uint32_t seq, ack, length;
  bool syn, fin, rst;
  auto operator<=>(const Likeness&) const = default;
};

Likeness likeness(const wire::TcpSegment& tcp) {
  return {{tcp.source.unmapped(), tcp.destination.unmapped()},
          tcp.seq.value,
          tcp.flags.ack() ? tcp.ack.value : 0,
          tcp.payload_length,
          tcp.flags.syn(),
          tcp.flags.fin(),
          tcp.flags.rst()};
}

Likeness likeness(const SegmentCause& cause) {
  return {{cause.local->unmapped(), cause.remote->unmapped()},
          cause.seq,
          cause.flags.ack() ? cause.ack : 0,
          cause.length,
          cause.flags.syn(),
          cause.flags.fin(),
          cause.flags.rst()};
}

class Observer {
 public:
  explicit Observer(Timeline& timeline) : timeline_(timeline), told_(timeline.segments.size(), false) {
    for (const Call& call : timeline.calls) call_entered_[call.number] = call.entered;
  }

  void run() {
    tie_those_that_name_their_packet();
    if (waiting_.empty()) return;
    tie_equal_ones();
    tie_pieces();
    for (const EventId id : waiting_) timeline_.unmatched_causes.push_back(id);
  }

 private:
  void tie_those_that_name_their_packet() {
    std::map<EventId, SegmentIndex> departures;
    for (const EventId id : timeline_.all<SegmentCause>()) {
      const auto& cause = timeline_.get<SegmentCause>(id);
      if (!cause.packet.valid()) {
        if (cause.local && cause.remote) waiting_.push_back(id);
        continue;
      }
      if (departures.empty())
        for (SegmentIndex s = 0; s < timeline_.segments.size(); ++s) departures[timeline_.segments[s].departed] = s;
      const auto found = departures.find(cause.packet);
      if (found != departures.end()) tell(found->second, id);
    }
  }

  void tie_equal_ones() {
    std::map<Likeness, std::vector<SegmentIndex>> seen;
    for (SegmentIndex s = 0; s < timeline_.segments.size(); ++s)
      if (!told_[s]) seen[likeness(timeline_.segments[s].tcp)].push_back(s);
    std::map<Likeness, std::vector<EventId>> said;
    for (const EventId id : waiting_) said[likeness(timeline_.get<SegmentCause>(id))].push_back(id);
    for (const auto& [alike, causes] : said) {
      const auto found = seen.find(alike);
      if (found != seen.end()) pair_up(found->second, causes);
    }
    forget_used();
  }

  void pair_up(const std::vector<SegmentIndex>& segments, const std::vector<EventId>& causes) {
    if (segments.size() * causes.size() > pairs_compared) return pair_in_order(segments, causes);
    std::vector<std::tuple<base::Duration, SegmentIndex, EventId>> pairs;
    for (const SegmentIndex s : segments)
      for (const EventId id : causes)
        if (const auto apart = apart_from(s, id); apart <= farthest) pairs.emplace_back(apart, s, id);
    std::ranges::sort(pairs);
    for (const auto& [_, segment, id] : pairs)
      if (!told_[segment] && !used_.contains(id)) tell(segment, id);
  }

  void pair_in_order(const std::vector<SegmentIndex>& segments, const std::vector<EventId>& causes) {
    auto cause = causes.begin();
    for (const SegmentIndex s : segments) {
      while (cause != causes.end() && timeline_.time_of(*cause) + farthest < departed(s)) ++cause;
      if (cause == causes.end()) return;
      if (apart_from(s, *cause) <= farthest) tell(s, *cause++);
    }
  }

  // The pieces of a segment that the device cut: the FIN and the PSH stand on the last one only.
  void tie_pieces() {
    std::map<Direction, SortedIndex<std::uint32_t, SegmentIndex>> seen;  // by sequence number
    for (SegmentIndex s = 0; s < timeline_.segments.size(); ++s)
      if (!told_[s] && timeline_.segments[s].tcp.payload_length > 0)
        seen[likeness(timeline_.segments[s].tcp).direction].add(timeline_.segments[s].tcp.seq.value, s);
    for (auto& [_, segments] : seen) segments.sort();
    for (const EventId id : waiting_) {
      const auto& cause = timeline_.get<SegmentCause>(id);
      const auto found = seen.find(likeness(cause).direction);
      if (cause.length == 0 || found == seen.end()) continue;
      const std::uint32_t last = cause.seq + cause.length - 1;
      if (cause.seq <= last) {
        tie_pieces_between(found->second.between(cause.seq, last), id);
      } else {
        tie_pieces_between(found->second.between(cause.seq, UINT32_MAX), id);
        tie_pieces_between(found->second.between(0, last), id);
      }
    }
    forget_used();
  }

  void tie_pieces_between(std::span<const SortedIndex<std::uint32_t, SegmentIndex>::Pair> segments, EventId id) {
    const auto& cause = timeline_.get<SegmentCause>(id);
    for (const auto& [seq, segment] : segments) {
      const auto& tcp = timeline_.segments[segment].tcp;
      const bool fits = tcp.payload_length <= cause.length - (tcp.seq.value - cause.seq);
      if (!told_[segment] && fits && apart_from(segment, id) <= farthest) tell(segment, id);
    }
  }

  void forget_used() {
    std::erase_if(waiting_, [&](EventId id) { return used_.contains(id); });
  }

  [[nodiscard]] base::WallTime departed(SegmentIndex s) const {
    return timeline_.time_of(timeline_.segments[s].departed);
  }
  [[nodiscard]] base::WallTime departed(const Segment& segment) const { return timeline_.time_of(segment.departed); }
  [[nodiscard]] base::Duration apart_from(SegmentIndex s, EventId id) const {
    return std::chrono::abs(departed(s) - timeline_.time_of(id));
  }

  // --- What the segment's cause becomes --------------------------------------------------------------------------

  void tell(SegmentIndex index, EventId id) {
    told_[index] = true;
    used_.insert(id);
    Segment& segment = timeline_.segments[index];
    segment.kernel.push_back(id);
    const auto& kernel = timeline_.get<SegmentCause>(id);
    const Cause observed = observe(segment, kernel, id);
    if (contradict(segment.cause, observed)) timeline_.cause_contradictions.push_back({index, id, segment.cause});
    segment.cause = observed;
  }

  [[nodiscard]] Cause observe(const Segment& segment, const SegmentCause& kernel, EventId id) const {
    Cause cause;
    cause.trigger = kernel.trigger;
    cause.timer = timer_of_kernel_cause(kernel.name);
    // A kernel that says "unknown" says nothing: what was derived stays.
    if (cause.trigger == Trigger::unknown) {
      cause = segment.cause;
      cause.kernel = id;
      cause.kernel_name = kernel.name;
      return cause;
    }
    cause.grade = Grade::observed;
    cause.rule = "kernel";
    cause.kernel = id;
    cause.kernel_name = kernel.name;
    cause.evidence = segment.cause.evidence;
    cause.by = by(segment, kernel, cause);
    return cause;
  }

  [[nodiscard]] std::optional<EventId> by(const Segment& segment, const SegmentCause& kernel,
                                          const Cause& cause) const {
    if (kernel.by && kernel.by->value < timeline_.recording->events.size()) return kernel.by;
    const auto& derived = segment.cause;
    const bool same_kind = derived.trigger == cause.trigger && derived.timer == cause.timer;
    switch (cause.trigger) {
      case Trigger::call: {
        if (kernel.call)
          if (const auto found = call_entered_.find(*kernel.call);
              found != call_entered_.end() && had_been_made(found->second, segment))
            return found->second;
        return same_kind ? derived.by : only_call_in_progress(segment);
      }
      case Trigger::segment: return same_kind ? derived.by : last_arrival_before(segment);
      case Trigger::process_end: return end_of_holder(segment, *cause.kernel);
      case Trigger::timer:
        if (same_kind) return derived.by;
        return cause.timer == Timer::delayed_ack ? first_unacknowledged_arrival(segment) : std::nullopt;
      case Trigger::unknown: break;
    }
    return std::nullopt;
  }

  // The clocks of tap and probe are a few microseconds apart.
  [[nodiscard]] bool had_been_made(EventId call, const Segment& segment) const {
    return timeline_.time_of(call) - departed(segment) <= clocks_differ;
  }

  // The probe does not know the calls (the laboratory's does not): the one call of the sender's that was in progress.
  [[nodiscard]] std::optional<EventId> only_call_in_progress(const Segment& segment) const {
    const auto& list = timeline_.connections[segment.connection].calls;
    const auto at = timeline_.time_of(segment.departed);
    const auto first_later = std::ranges::upper_bound(
        list, at, {}, [&](CallIndex c) { return timeline_.time_of(timeline_.calls[c].entered); });
    std::optional<EventId> found;
    std::size_t looked_at = 0;
    for (auto it = first_later; it != list.begin() && looked_at < calls_looked_at; ++looked_at) {
      const Call& call = timeline_.calls[*--it];
      if (call.side != segment.from || call.ended < at) continue;
      if (found) return std::nullopt;
      found = call.entered;
    }
    return found;
  }

  [[nodiscard]] bool arrives_at(Side side, const Segment& segment) const {
    return segment.arrived && timeline_.connections[segment.connection].receiver_from(segment.from) == side;
  }

  // The delayed-ACK timer runs since the first data or FIN that this side had not acknowledged.
  [[nodiscard]] std::optional<EventId> first_unacknowledged_arrival(const Segment& segment) const {
    const auto& list = timeline_.connections[segment.connection].segments;
    const auto self = static_cast<SegmentIndex>(&segment - timeline_.segments.data());
    std::optional<EventId> first;
    for (auto it = std::ranges::lower_bound(list, self); it != list.begin();) {
      const Segment& before = timeline_.segments[*--it];
      if (arrives_at(segment.from, before) && *before.arrived < segment.departed && before.tcp.sequence_length() > 0)
        first = before.arrived;
      if (before.from == segment.from && before.departed < segment.departed) break;
    }
    return first;
  }

  [[nodiscard]] std::optional<EventId> last_arrival_before(const Segment& segment) const {
    const auto& list = timeline_.connections[segment.connection].segments;
    const auto self = static_cast<SegmentIndex>(&segment - timeline_.segments.data());
    std::size_t looked_at = 0;
    for (auto it = std::ranges::lower_bound(list, self); it != list.begin() && looked_at < segments_looked_at;
         ++looked_at) {
      const Segment& before = timeline_.segments[*--it];
      if (arrives_at(segment.from, before) && *before.arrived < segment.departed) return before.arrived;
    }
    return std::nullopt;
  }

  // Whoever the probe saw ending; else, of the ends of those that may hold the socket, the nearest.
  [[nodiscard]] std::optional<EventId> end_of_holder(const Segment& segment, EventId word) const {
    if (const ActorId who = timeline_.event(word).actor; who.valid()) {
      // It tells that a process ends before that closes anything: what ends without that is a thread with descriptors of its own.
      const auto ends = timeline_.lookups.ends_of_process.of(timeline_.lookups.process_of(who));
      const auto later = std::ranges::upper_bound(ends, word, {}, [](const auto& pair) { return pair.value; });
      return later == ends.begin() ? std::nullopt : std::optional(std::prev(later)->value);
    }
    const auto at = departed(segment);
    const auto [known, is_new] = holders_.try_emplace({segment.connection, segment.from});
    if (is_new) known->second.emplace(timeline_, segment.connection, segment.from);
    return known->second->end_near(at, end_told, end_told);
  }

  // What was only assumed, or not known, cannot be contradicted. Both say which call: it must be the same.
  [[nodiscard]] static bool contradict(const Cause& derived, const Cause& observed) {
    if (derived.trigger == Trigger::unknown || derived.grade == Grade::assumed) return false;
    if (observed.grade != Grade::observed) return false;
    if (derived.trigger != observed.trigger) return true;
    if (derived.trigger == Trigger::timer) return derived.timer != observed.timer;
    return derived.trigger == Trigger::call && derived.by && observed.by && *derived.by != *observed.by;
  }

  Timeline& timeline_;
  std::vector<bool> told_;
  std::vector<EventId> waiting_;
  std::set<EventId> used_;
  std::map<std::uint32_t, EventId> call_entered_;
  mutable std::map<std::pair<ConnectionIndex, Side>, std::optional<Holders>> holders_;
};

}  // namespace

void observe_causes(Timeline& timeline) { Observer(timeline).run(); }

}  // namespace tcpwhy::timeline::steps
