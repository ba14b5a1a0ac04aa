#include "timeline/timeline.h"

#include <algorithm>
#include <iterator>

#include "timeline/builder.h"

namespace tcpwhy::timeline {

const recording::CallEntered& Timeline::entered(const Call& call) const {
  return std::get<recording::CallEntered>(event(call.entered).what);
}

const recording::CallReturned* Timeline::returned(const Call& call) const {
  return call.returned ? &std::get<recording::CallReturned>(event(*call.returned).what) : nullptr;
}

std::uint64_t Timeline::times(const Call& call) const {
  return 1 + (call.repeated ? get<recording::CallsRepeated>(*call.repeated).count : 0);
}

const SocketEnd* Timeline::socket_end(std::uint64_t socket, base::WallTime at) const {
  if (socket == 0) return nullptr;
  const auto own = std::ranges::equal_range(socket_ends, socket, {}, &SocketEnd::socket);
  if (own.empty()) return nullptr;
  const auto later = std::ranges::upper_bound(own, at, {}, &SocketEnd::since);
  return later == own.begin() ? &own.front() : &*std::prev(later);
}

Timeline build(const recording::Recording& recording) {
  Timeline timeline;
  timeline.recording = &recording;
  for (std::uint32_t i = 0; i < recording.events.size(); ++i)
    timeline.by_kind[recording.events[i].what.index()].push_back(EventId{i});
  timeline.lookups = Lookups(recording);
  steps::assemble_connections(timeline);
  timeline.lookups.add_segments(timeline.segments);
  steps::pair_calls(timeline);
  timeline.lookups.add_calls(recording, timeline.calls);
  steps::identify_sockets(timeline);
  steps::attach_calls(timeline);
  timeline.lookups.add_connections(timeline.connections);
  steps::tie_kernel_events(timeline);
  steps::derive_causes(timeline);
  steps::observe_causes(timeline);
  steps::confirm_states(timeline);
  steps::order_entries(timeline);
  return timeline;
}

}  // namespace tcpwhy::timeline
