#include "timeline/holders.h"

#include <algorithm>
#include <utility>

namespace tcpwhy::timeline {
namespace {

// Of many that end at about the same time.
constexpr std::size_t ends_looked_at = 64;
// Children of children that had the socket from them.
constexpr std::size_t generations = 64;

}  // namespace

Holders::Holders(const Timeline& timeline, ConnectionIndex connection, Side side) : timeline_(timeline) {
  // A listener's owner stands for those of its connections that nobody has accepted.
  for (const ActorId actor : timeline.connections[connection].sides[side].actors)
    owners_.try_emplace(timeline.lookups.process_of(actor), Owner{.since = base::WallTime::min()});
  std::map<std::uint64_t, bool> seen;
  for (const CallIndex c : timeline.connections[connection].calls) {
    const Call& call = timeline.calls[c];
    if (call.side != side || call.descriptor_was_closed) continue;
    const auto process = timeline.lookups.process_of(call.actor);
    Owner& owner = owners_[process];
    const bool accepts = call.meaning.effect == calls::Effect::accepts,
               closes = call.meaning.effect == calls::Effect::closes;
    if (!std::exchange(seen[process], true)) owner.since = accepts ? call.ended : timeline.time_of(call.entered);
    if (!closes) owner.inside_until = std::max(owner.inside_until, call.ended);
    const auto* returned = timeline.returned(call);
    if (returned == nullptr || returned->result < 0) continue;
    if (closes) owner.closed.push_back(timeline.time_of(*call.returned));
    if (call.meaning.effect == calls::Effect::duplicates || call.meaning.carries_descriptors()) ++owner.more;
  }
}

bool Holders::may_hold(std::uint64_t process, base::WallTime at) const {
  for (std::size_t generation = 0; generation < generations; ++generation) {
    if (const auto owner = owners_.find(process); owner != owners_.end()) {
      const auto closed = std::ranges::upper_bound(owner->second.closed, at) - owner->second.closed.begin();
      return owner->second.since <= at &&
             (static_cast<std::size_t>(closed) <= owner->second.more || owner->second.inside_until >= at);
    }
    // What it has it has from its parent, as that was when it was forked.
    const auto birth = timeline_.lookups.birth_of(process, at, *timeline_.recording);
    if (!birth || !birth->parent) return false;
    at = timeline_.time_of(birth->event);
    process = *birth->parent;
  }
  return false;
}

std::optional<EventId> Holders::end_near(base::WallTime at, base::Duration before, base::Duration after) const {
  const auto& ends = timeline_.all<recording::ProcessEnded>();
  const auto holds = [&](EventId end) {
    return may_hold(timeline_.lookups.process_of(timeline_.event(end).actor), at);
  };
  const auto told = [&](EventId id) { return timeline_.time_of(id); };
  const auto middle = std::ranges::upper_bound(ends, at, {}, told);
  std::optional<EventId> earlier, later;
  std::size_t looked_at = 0;
  for (auto it = middle; it != ends.begin() && !earlier && looked_at < ends_looked_at; ++looked_at) {
    --it;
    if (at - told(*it) > before) break;
    if (holds(*it)) earlier = *it;
  }
  looked_at = 0;
  for (auto it = middle; it != ends.end() && !later && looked_at < ends_looked_at; ++it, ++looked_at) {
    if (told(*it) - at > after) break;
    if (holds(*it)) later = *it;
  }
  if (!earlier || !later) return earlier ? earlier : later;
  return at - told(*earlier) <= told(*later) - at ? earlier : later;
}

}  // namespace tcpwhy::timeline
