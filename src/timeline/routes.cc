#include "timeline/routes.h"

#include <algorithm>
#include <utility>

namespace tcpwhy::timeline::steps {

Routes::Index Routes::of(const wire::TcpSegment& segment, wire::Encapsulation around) {
  const bool is_from_low = segment.source < segment.destination;
  const Ends ends = is_from_low ? Ends{segment.source, segment.destination} : Ends{segment.destination, segment.source};
  const Key key{ends, around.value()};
  std::optional<Index> route;
  if (const auto known = by_key_.find(key); known != by_key_.end())
    route = part_if_both_ways(known->second, key, is_from_low);
  const bool is_answer = segment.flags.syn() && segment.flags.ack();
  // One that has but other segments of this end may be left over from a connection before.
  const bool is_alone = route && routes_[*route].directions[is_from_low ? 0 : 1].segments == 0;
  if (!route || (is_answer && is_alone)) {
    if (const auto asked = other_half(segment, key, is_from_low)) {
      join(*asked, key, is_from_low);
      route = asked;
    }
  }
  if (!route) route = add(key);
  Direction& direction = routes_[*route].directions[is_from_low ? 1 : 0];
  direction.numbers.note(segment);
  ++direction.segments;
  return *route;
}

void Routes::begin_anew(Index route, const wire::TcpSegment& segment) {
  Route& used = routes_[route];
  used.directions = {};
  Direction& direction = used.directions[segment.source < segment.destination ? 1 : 0];
  direction.numbers.note(segment);
  direction.segments = 1;
}

std::optional<Routes::Index> Routes::other_half(const wire::TcpSegment& segment, const Key& key,
                                                bool is_from_low) const {
  if (segment.source == segment.destination) return std::nullopt;
  const auto between = by_ends_.find(key.ends);
  if (between == by_ends_.end()) return std::nullopt;
  std::pair best{tcp::Fit::none, Index{0}};
  for (const Index route : between->second) {
    const Route& asked = routes_[route];
    const Direction &there = asked.directions[is_from_low ? 0 : 1], &back = asked.directions[is_from_low ? 1 : 0];
    if (asked.key == key || there.segments == 0 || back.segments > 0) continue;
    best = std::max(best, std::pair(there.numbers.fit(segment), route));
  }
  return best.first == tcp::Fit::none ? std::nullopt : std::optional(best.second);
}

void Routes::join(Index route, const Key& key, bool is_from_low) {
  Route& joined = routes_[route];
  if (joined.other_key && *joined.other_key != key) by_key_.erase(*joined.other_key);
  joined.other_key = key;
  joined.other_is_from_low = is_from_low;
  joined.segments_before = joined.segments();
  by_key_[key] = route;
}

std::optional<Routes::Index> Routes::part_if_both_ways(Index route, const Key& key, bool is_from_low) {
  Route& joined = routes_[route];
  if (!joined.other_key) return route;
  const bool is_other = key == *joined.other_key;
  if (is_from_low == (is_other ? joined.other_is_from_low : !joined.other_is_from_low)) return route;
  if (joined.segments() - joined.segments_before > tcp::segments_in_doubt) return route;
  by_key_.erase(*joined.other_key);
  joined.other_key.reset();
  return is_other ? std::nullopt : std::optional(route);
}

Routes::Index Routes::add(const Key& key) {
  const auto route = static_cast<Index>(routes_.size());
  routes_.emplace_back().key = key;
  by_key_[key] = route;
  auto& between = by_ends_[key.ends];
  between.insert(between.begin(), route);
  if (between.size() > most_elsewhere) between.pop_back();
  return route;
}

}  // namespace tcpwhy::timeline::steps
