// Connections of which no tap saw a packet: calls and the kernel's words are all there is.
#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <variant>

#include "recording/testing/story_recorder.h"
#include "timeline/timeline.h"
#include "timeline/timeline_of_story_testing.h"

namespace tcpwhy::timeline {
namespace {

using recording::testing::StoryRecorder;

TEST(WithoutPackets, two_sockets_with_each_others_addresses_are_one_connection) {
  StoryRecorder story;
  story.call("server", 0, 1, "listen", "3, 1");
  story.call("client", 10, 50, "connect", "3, {sa_family=AF_INET, ...}, 16");
  story.call("server", 80, 90, "accept", "3, NULL, NULL", {4});
  story.call("client", 200, 210, "send", "3, \"hello\", 5, 0", {5});
  story.call("server", 300, 310, "recv", "4, \"hello\", 100, 0", {5});
  story.state(400, "server", "ESTABLISHED", "FIN-WAIT-1");
  const TimelineOfStory told(story);
  ASSERT_EQ(told.timeline.connections.size(), 1U);
  const auto& connection = told.timeline.connections.front();
  EXPECT_TRUE(connection.without_packets());
  EXPECT_EQ(connection.sides[opener].name, "client");
  EXPECT_EQ(connection.sides[listener].name, "server");
  EXPECT_EQ(connection.calls.size(), 4U);
  EXPECT_EQ(connection.final_states[listener], tcp::State::fin_wait_1);
}

TEST(WithoutPackets, whoever_opens_by_sending_is_the_opener_and_whoever_dissolves_is_not) {
  StoryRecorder fast;
  fast.call("client", 10, 50, "sendto", "3, \"x\", 1, MSG_FASTOPEN, {sa_family=AF_INET, sin_port=htons(9999)}, 16",
            {1});
  const TimelineOfStory opened(fast);
  ASSERT_EQ(opened.timeline.connections.size(), 1U);
  EXPECT_EQ(opened.timeline.connections.front().sides[opener].name, "client");

  StoryRecorder dissolved;
  dissolved.call("server", 10, 20, "accept", "3, NULL, NULL", {4});
  dissolved.call("server", 30, 40, "connect", "4, {sa_family=AF_UNSPEC, sa_data=\"\"}, 16");
  const TimelineOfStory told(dissolved);
  ASSERT_EQ(told.timeline.connections.size(), 1U);
  EXPECT_EQ(told.timeline.connections.front().sides[listener].name, "server");
}

TEST(WithoutPackets, a_remote_peer_is_an_address) {
  StoryRecorder story;
  story.call("client", 10, 50, "connect", "3, {sa_family=AF_INET, ...}, 16");
  story.call("client", 200, 210, "send", "3, \"hello\", 5, 0", {5});
  const TimelineOfStory told(story);
  ASSERT_EQ(told.timeline.connections.size(), 1U);
  EXPECT_EQ(told.timeline.connections.front().sides[listener].name, "127.0.0.1:9999");
}

TEST(WithoutPackets, a_refused_connect_is_a_connection_of_which_one_address_is_known) {
  StoryRecorder story;
  story.call("client", 10, 50, "connect", "3, {sa_family=AF_INET, ...}, 16", {-1, ECONNREFUSED});
  const TimelineOfStory told(story);
  ASSERT_EQ(told.timeline.connections.size(), 1U);
  EXPECT_EQ(told.timeline.connections.front().sides[listener].address, StoryRecorder::server());
  EXPECT_EQ(told.timeline.connections.front().calls.size(), 1U);
}

TEST(WithoutPackets, the_cookie_tells_one_use_of_a_pair_of_addresses_from_the_next) {
  StoryRecorder story;
  story.call("client", 10, 50, "connect", "3, {sa_family=AF_INET, ...}, 16");
  story.call("client", 100, 110, "close", "3");
  story.call("client", 200, 250, "connect", "3, {sa_family=AF_INET, ...}, 16");
  auto recording = story.take();
  for (auto& event : recording.events)
    if (event.at > recording.events[3].at) {
      if (auto* entered = std::get_if<recording::CallEntered>(&event.what)) entered->socket = 12;
      if (auto* returned = std::get_if<recording::CallReturned>(&event.what)) returned->socket = 12;
    }
  const auto timeline = build(recording);
  EXPECT_EQ(timeline.connections.size(), 2U);
}

// The kernel's word on a SYN-ACK and on what leaves in TIME-WAIT names no socket: the time says whose it is.
TEST(WithoutPackets, what_names_no_socket_belongs_to_the_use_of_the_addresses_that_was_then) {
  StoryRecorder story;
  for (const std::int64_t begin : {0, 1'000'000}) {
    story.cause(begin + 20, "server", "S.", 0, 1, 0, {"segment", "syn_received"});
    story.state(begin + 30, "server", "LISTEN", "SYN-RECEIVED");
    story.state(begin + 40, "server", "SYN-RECEIVED", "ESTABLISHED");
    story.state(begin + 500, "server", "ESTABLISHED", "FIN-WAIT-1");
    story.cause(begin + 700, "server", ".", 2, 2, 0, {"segment", "time_wait_answer"});
  }
  auto recording = story.take();
  const auto half = recording.events.front().at + std::chrono::milliseconds(500);
  for (auto& event : recording.events) {
    if (auto* cause = std::get_if<recording::SegmentCause>(&event.what)) cause->socket = 0;
    if (auto* state = std::get_if<recording::SocketState>(&event.what)) state->socket = event.at < half ? 22 : 23;
  }
  const auto timeline = build(recording);
  ASSERT_EQ(timeline.connections.size(), 2U);
  for (const Connection& connection : timeline.connections) {
    EXPECT_EQ(connection.kernel.size(), 5U);
    EXPECT_LT(connection.ended - connection.began, std::chrono::milliseconds(1));
  }
}

TEST(WithoutPackets, a_request_that_was_sampled_after_its_connection_was_made_is_none_of_its_own) {
  StoryRecorder story;
  story.call("client", 10, 90, "connect", "3, {sa_family=AF_INET, ...}, 16");
  story.state(40, "server", "LISTEN", "SYN-RECEIVED");
  story.state(60, "server", "", "SYN-RECEIVED");
  story.state(70, "server", "SYN-RECEIVED", "CLOSED");
  story.call("server", 100, 110, "accept", "3, NULL, NULL", {4});
  auto recording = story.take();
  const auto begin = recording.events.front().at;
  for (auto& event : recording.events) {
    auto* state = std::get_if<recording::SocketState>(&event.what);
    if (state == nullptr) continue;
    state->not_before.reset();
    if (state->from == tcp::State::listen) continue;
    state->socket = 77, state->not_before = state->from == tcp::State::not_seen ? begin : event.at;
  }
  const auto timeline = build(recording);
  ASSERT_EQ(timeline.connections.size(), 1U);
  EXPECT_NE(timeline.connections.front().sides[listener].socket, 77U);
  EXPECT_EQ(timeline.connections.front().calls.size(), 2U);
}

}  // namespace
}  // namespace tcpwhy::timeline
