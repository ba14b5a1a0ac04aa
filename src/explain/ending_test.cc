#include "explain/ending.h"

#include <gtest/gtest.h>

#include <string_view>
#include <utility>

#include "recording/testing/story_recorder.h"
#include "timeline/timeline.h"

namespace tcpwhy::explain {
namespace {

using recording::testing::StoryRecorder;
using timeline::listener;
using timeline::opener;

// Of the only connection.
void expect_ending(StoryRecorder story, EndKind kind, timeline::Side first, std::string_view call) {
  const auto recording = story.take();
  const auto timeline = timeline::build(recording);
  ASSERT_EQ(timeline.connections.size(), 1U);
  EXPECT_TRUE(timeline.connections.front().without_packets());
  const Ending ending = ending_of(timeline, 0);
  EXPECT_EQ(ending.kind, kind);
  EXPECT_EQ(ending.first, first);
  EXPECT_EQ(ending.call, call);
}

// The server is traced, its client is not; both live on this machine.
StoryRecorder server_traced() {
  StoryRecorder story;
  story.state(20, "client", "CLOSED", "SYN-SENT");
  story.state(25, "server", "LISTEN", "SYN-RECEIVED");
  story.state(28, "client", "SYN-SENT", "ESTABLISHED");
  story.state(30, "server", "SYN-RECEIVED", "ESTABLISHED");
  story.call("server", 80, 90, "accept", "3, NULL, NULL", {4});
  story.call("server", 1000, 1100, "close", "4");
  story.state(1010, "server", "ESTABLISHED", "FIN-WAIT-1");
  story.state(1020, "client", "ESTABLISHED", "CLOSE-WAIT");
  story.state(1030, "server", "FIN-WAIT-1", "FIN-WAIT-2");
  return story;
}

TEST(EndingWithoutPackets, is_half_where_no_kernel_says_that_the_other_side_closed) {
  expect_ending(server_traced(), EndKind::half, listener, "close");
}

TEST(EndingWithoutPackets, is_in_order_where_the_kernel_saw_the_program_close_that_is_not_traced) {
  StoryRecorder story = server_traced();
  story.state(2000, "client", "CLOSE-WAIT", "LAST-ACK");
  story.state(2010, "client", "LAST-ACK", "CLOSED");
  expect_ending(std::move(story), EndKind::in_order, listener, "close");
}

TEST(EndingWithoutPackets, names_the_side_that_closed_first_by_the_state_of_the_side_that_is_seen) {
  StoryRecorder story;
  story.state(25, "server", "LISTEN", "SYN-RECEIVED");
  story.state(30, "server", "SYN-RECEIVED", "ESTABLISHED");
  story.call("server", 80, 90, "accept", "3, NULL, NULL", {4});
  story.state(1000, "server", "ESTABLISHED", "CLOSE-WAIT");
  story.call("server", 2000, 2100, "close", "4");
  story.state(2010, "server", "CLOSE-WAIT", "LAST-ACK");
  story.state(2020, "server", "LAST-ACK", "CLOSED");
  expect_ending(std::move(story), EndKind::in_order, opener, "");
}

}  // namespace
}  // namespace tcpwhy::explain
