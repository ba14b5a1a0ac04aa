#include "recording/recording.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <type_traits>
#include <utility>

#include "recording/fields.h"

namespace tcpwhy::recording {
namespace {

// Calls f(id) for each EventId inside `what`, whichever member it is.
template <class F>
void for_each_event_id(What& what, F&& f) {
  const auto visit_member = [&f](std::string_view, auto& member) {
    using Member = std::remove_cvref_t<decltype(member)>;
    if constexpr (std::is_same_v<Member, EventId>) f(member);
    if constexpr (std::is_same_v<Member, std::optional<EventId>>)
      if (member) f(*member);
  };
  std::visit(
      [&visit_member](auto& event) {
        if constexpr (!std::is_same_v<std::remove_cvref_t<decltype(event)>, Packet>) visit_fields(event, visit_member);
      },
      what);
}

}  // namespace

void sort_by_time(Recording& recording) {
  std::vector<Event>& events = recording.events;
  if (std::ranges::is_sorted(events, {}, &Event::at)) return;

  std::vector<std::uint32_t> order(events.size());  // order[new position] = old position
  std::iota(order.begin(), order.end(), 0U);
  std::ranges::sort(order, {}, [&events](std::uint32_t old) { return std::pair(events[old].at, old); });

  std::vector<std::uint32_t> new_position(events.size());
  for (std::uint32_t i = 0; i < order.size(); ++i) new_position[order[i]] = i;
  for (Event& event : events)
    for_each_event_id(event.what, [&new_position](EventId& id) {
      if (id.value < new_position.size()) id.value = new_position[id.value];
    });
  // Where they are, for there are many: each circle of those that take one another's place.
  for (std::uint32_t first = 0; first < order.size(); ++first) {
    if (order[first] == first) continue;
    Event moved = std::move(events[first]);
    std::uint32_t to = first;
    while (order[to] != first) {
      const std::uint32_t from = std::exchange(order[to], to);
      events[to] = std::move(events[from]);
      to = from;
    }
    order[to] = to;
    events[to] = std::move(moved);
  }
}

}  // namespace tcpwhy::recording
