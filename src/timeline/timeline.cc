#include "timeline/timeline.h"

#include "base/check.h"
#include "timeline/builder.h"

namespace tcpwhy::timeline {

const recording::CallEntered& Timeline::entered(const Call& call) const {
  return std::get<recording::CallEntered>(event(call.entered).what);
}

const recording::CallReturned* Timeline::returned(const Call& call) const {
  return call.returned ? &std::get<recording::CallReturned>(event(*call.returned).what) : nullptr;
}

base::WallTime Timeline::end_of(const Call& call) const {
  if (call.returned) return time_of(*call.returned);
  for (std::uint32_t i = call.entered.value + 1; i < recording->events.size(); ++i) {
    const auto& later = recording->events[i];
    if (later.actor == call.actor && std::holds_alternative<recording::ProcessEnded>(later.what)) return later.at;
  }
  return recording->events.empty() ? base::WallTime{} : recording->events.back().at;
}

std::vector<SegmentIndex> Timeline::segments_caused_by(const Call& call) const {
  std::vector<SegmentIndex> caused;
  for (SegmentIndex i = 0; i < segments.size(); ++i)
    if (segments[i].cause.trigger == Trigger::call && segments[i].cause.by == call.entered) caused.push_back(i);
  return caused;
}

Timeline build(const recording::Recording& recording) {
  Timeline timeline;
  timeline.recording = &recording;
  steps::assemble_connections(timeline);
  steps::attach_calls(timeline);
  steps::find_causes(timeline);
  steps::confirm_states(timeline);
  steps::order_entries(timeline);
  return timeline;
}

}  // namespace tcpwhy::timeline
