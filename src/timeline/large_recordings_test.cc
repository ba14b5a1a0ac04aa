// What a damaged or hostile recording may claim, in numbers that a small one does not reach.
#include <gtest/gtest.h>

#include <algorithm>
#include <ctime>
#include <functional>
#include <vector>

#include "recording/testing/growing_shapes.h"
#include "timeline/timeline.h"

namespace tcpwhy::timeline {
namespace {

using recording::testing::growing_client;
using recording::testing::growing_server;
using recording::testing::GrowingRecorder;

// Each segment was caused by the one that comes next: all wait for the last.
TEST(LargeRecordings, a_chain_of_causes_of_any_length_is_put_in_order) {
  constexpr std::uint32_t length = 300'000;
  GrowingRecorder recorder;
  for (std::uint32_t i = 0; i < length; ++i) recorder.segment(growing_client(0), growing_server, {.seq = 1, .ack = 1});
  for (std::uint32_t i = 0; i + 1 < length; ++i) {
    recording::SegmentCause cause;
    cause.packet = EventId{i}, cause.by = EventId{i + 1};
    cause.trigger = Trigger::segment, cause.name = "segment";
    recorder.event(cause);
  }
  const auto recording = recorder.take();
  const Timeline timeline = build(recording);
  ASSERT_EQ(timeline.entries.size(), recording.events.size());
  std::vector<std::uint32_t> order;
  for (const Entry& entry : timeline.entries)
    if (entry.kind == EntryKind::departed) order.push_back(entry.event.value);
  ASSERT_EQ(order.size(), length);
  EXPECT_EQ(order.front(), length - 1);
  EXPECT_EQ(order.back(), 0U);
  EXPECT_TRUE(std::ranges::is_sorted(order, std::greater{}));
}

// The kernel says again and again that a socket was gone, each time earlier: as many changes, among which each of its words is looked for.
TEST(LargeRecordings, any_number_of_words_of_the_kernel_is_held_against_any_number_of_changes) {
  constexpr std::uint32_t words = 20'000, times = 4;
  const auto processor_seconds = [](std::uint32_t n) {
    GrowingRecorder recorder;
    recording::testing::shapes::gone_ever_earlier(recorder, n);
    const auto recording = recorder.take();
    const std::clock_t before = std::clock();
    const Timeline timeline = build(recording);
    const std::clock_t spent = std::clock() - before;
    EXPECT_GE(timeline.connections.front().changes.size(), n);
    return static_cast<double>(spent) / CLOCKS_PER_SEC;
  };
  // In proportion, sorting included: 5; with the square: 16.
  const double one = processor_seconds(words);
  EXPECT_LT(processor_seconds(times * words), 8 * one + 0.2);
}

}  // namespace
}  // namespace tcpwhy::timeline
