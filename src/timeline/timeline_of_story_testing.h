// A story and what the timeline makes of it, for tests.
#pragma once

#include <string_view>
#include <variant>

#include "recording/testing/story_recorder.h"
#include "timeline/timeline.h"

namespace tcpwhy::timeline {

struct TimelineOfStory {
  recording::Recording recording;
  Timeline timeline;
  explicit TimelineOfStory(recording::testing::StoryRecorder& story)
      : recording(story.take()), timeline(build(recording)) {}
  [[nodiscard]] const Segment& last() const { return timeline.segments.back(); }
  [[nodiscard]] std::string_view call_behind(const Segment& segment) const {
    return std::get<recording::CallEntered>(timeline.event(*segment.cause.by).what).name;
  }
};

}  // namespace tcpwhy::timeline
