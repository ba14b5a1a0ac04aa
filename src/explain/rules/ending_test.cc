#include "explain/rules/ending.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <optional>
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
void expect_ending(StoryRecorder story, EndKind kind, std::optional<timeline::Side> first, std::string_view call) {
  const auto recording = story.take();
  const auto timeline = timeline::build(recording);
  ASSERT_EQ(timeline.connections.size(), 1U);
  EXPECT_TRUE(timeline.connections.front().without_packets());
  const Ending ending = ending_of(timeline, 0);
  EXPECT_EQ(ending.kind, kind);
  EXPECT_EQ(ending.first, first);
  EXPECT_EQ(ending.call, call);
  EXPECT_FALSE(ending.process_ended);
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

TEST(Ending, of_an_attempt_that_was_closed_before_an_answer_came_is_that) {
  for (const bool with_packets : {true, false}) {
    StoryRecorder story;
    story.call("client", 10, 12, "connect", "3, {sa_family=AF_INET}, 16", {-1, EINPROGRESS});
    story.state(11, "client", "CLOSED", "SYN-SENT");
    if (with_packets) story.segment(12, "client", 0x02, 0);
    story.call("client", 1000, 1100, "close", "3");
    story.state(1010, "client", "SYN-SENT", "CLOSED");
    const auto recording = story.take();
    const auto timeline = timeline::build(recording);
    ASSERT_EQ(timeline.connections.size(), 1U);
    const Ending ending = ending_of(timeline, 0);
    EXPECT_EQ(ending.kind, EndKind::withdrawn) << with_packets;
    EXPECT_EQ(ending.first, opener);
    EXPECT_EQ(ending.call, "close");
  }
}

// Refused, the socket is closed as well; its program closes the descriptor afterwards, between the same two samples.
TEST(Ending, of_an_attempt_that_a_sample_shows_closed_is_not_laid_to_its_close) {
  StoryRecorder story;
  story.call("client", 10, 12, "connect", "3, {sa_family=AF_INET}, 16", {-1, EINPROGRESS});
  story.call("client", 1000, 1100, "close", "3");
  story.sample(5, 15, "client", "", "SYN-SENT");
  story.sample(15, 2000, "client", "SYN-SENT", "CLOSED");
  const auto recording = story.take();
  const auto timeline = timeline::build(recording);
  ASSERT_EQ(timeline.connections.size(), 1U);
  EXPECT_EQ(ending_of(timeline, 0).kind, EndKind::not_known);
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

// Both ends are traced, by calls alone.
StoryRecorder calls_of_both() {
  StoryRecorder story;
  story.call("client", 10, 50, "connect", "3, {sa_family=AF_INET, sin_port=htons(9999)}, 16");
  story.call("server", 80, 90, "accept", "3, NULL, NULL", {4});
  story.call("client", 200, 220, "send", "3, \"hello\", 5, 0", {5});
  return story;
}

void server_reads_to_the_end(StoryRecorder& story, std::int64_t at) {
  story.call("server", at, at + 10, "recv", "4, \"hello\", 100, 0", {5});
  story.call("server", at + 20, at + 30, "recv", "4, \"\", 100, 0");
}

// Seen by sampling at 1400 µs; at 1000 it still stood.
void client_has_closed(StoryRecorder& story) {
  story.sample(1000, 1400, "client", "ESTABLISHED", "FIN-WAIT-2");
  story.sample(1000, 1400, "server", "ESTABLISHED", "CLOSE-WAIT");
}

TEST(EndingByCallsAlone, is_not_known_where_nobody_has_read_to_the_end) {
  StoryRecorder story = calls_of_both();
  story.call("server", 1000, 1100, "close", "4");
  story.call("client", 2000, 2100, "close", "3");
  expect_ending(std::move(story), EndKind::not_known, {}, "");
}

TEST(EndingByCallsAlone, is_in_order_where_each_side_has_read_to_the_end_or_been_read) {
  StoryRecorder story = calls_of_both();
  story.call("client", 1000, 1100, "shutdown", "3, SHUT_WR");
  server_reads_to_the_end(story, 1200);
  story.call("server", 1400, 1410, "close", "4");
  expect_ending(std::move(story), EndKind::in_order, opener, "shutdown");
}

TEST(EndingByCallsAlone, recv_of_nothing_is_not_the_end) {
  StoryRecorder story = calls_of_both();
  story.call("server", 1300, 1310, "recv", "4, \"\", 0, 0");
  story.last_call().byte_count = 0;
  story.call("server", 1400, 1410, "close", "4");
  expect_ending(std::move(story), EndKind::not_known, {}, "");
}

TEST(EndingByCallsAlone, no_message_is_not_the_end) {
  StoryRecorder story = calls_of_both();
  story.call("server", 1300, 1310, "recvmmsg", "4, [], 0, 0, NULL");
  story.call("server", 1400, 1410, "close", "4");
  expect_ending(std::move(story), EndKind::not_known, {}, "");
}

TEST(EndingByCallsAlone, is_not_known_where_a_child_may_hold_the_socket) {
  StoryRecorder story = calls_of_both();
  story.call("client", 1000, 1100, "shutdown", "3, SHUT_WR");
  story.event(1150, "server", recording::ProcessStarted{"server", 101});
  story.call("server", 1300, 1310, "recv", "4, \"\", 100, 0");
  story.call("server", 1400, 1410, "close", "4");
  expect_ending(std::move(story), EndKind::not_known, opener, "shutdown");
}

TEST(EndingByCallsAlone, is_known_where_a_child_was_forked_before_the_connection) {
  StoryRecorder story;
  story.event(1, "server", recording::ProcessStarted{"server", 101});
  story.call("client", 10, 50, "connect", "3, {sa_family=AF_INET, sin_port=htons(9999)}, 16");
  story.call("server", 80, 90, "accept", "3, NULL, NULL", {4});
  story.call("client", 1000, 1100, "shutdown", "3, SHUT_WR");
  server_reads_to_the_end(story, 1200);
  story.call("server", 1400, 1410, "close", "4");
  expect_ending(std::move(story), EndKind::in_order, opener, "shutdown");
}

TEST(EndingByCallsAlone, is_a_reset_where_a_call_broke_that_had_not_been_shut) {
  StoryRecorder story = calls_of_both();
  story.call("server", 1000, 1100, "close", "4");
  story.call("client", 2000, 2010, "send", "3, \"more\", 4, MSG_NOSIGNAL", {-1, EPIPE});
  expect_ending(std::move(story), EndKind::reset, listener, "");
}

TEST(EndingByCallsAlone, is_not_known_where_another_program_took_the_place_of_one_that_never_closed) {
  StoryRecorder story = calls_of_both();
  story.event(1000, "server", recording::ProcessStarted{"/bin/true", {}});
  expect_ending(std::move(story), EndKind::not_known, {}, "");
}

// A socket in FIN-WAIT that is gone without a TIME-WAIT entry on either side was reset, by whomever.
TEST(EndingByCallsAlone, is_not_known_where_the_states_are_those_of_no_orderly_end) {
  StoryRecorder story = calls_of_both();
  story.call("client", 1100, 1110, "shutdown", "3, SHUT_WR");
  server_reads_to_the_end(story, 1200);
  client_has_closed(story);
  story.call("client", 1500, 1510, "close", "3");
  story.sample(1400, 1600, "client", "FIN-WAIT-2", "CLOSED");
  story.sample(1400, 1600, "server", "CLOSE-WAIT", "CLOSED");
  story.call("server", 1700, 1710, "close", "4");
  expect_ending(std::move(story), EndKind::not_known, opener, "shutdown");
}

// To the kernel's tracepoint a socket is CLOSED when its small entry takes its place.
TEST(EndingByCallsAlone, is_in_order_where_the_tracepoint_saw_the_states_of_an_orderly_end) {
  StoryRecorder story = calls_of_both();
  story.call("client", 1000, 1100, "close", "3");
  story.state(1010, "client", "ESTABLISHED", "FIN-WAIT-1");
  story.state(1020, "server", "ESTABLISHED", "CLOSE-WAIT");
  story.state(1030, "client", "FIN-WAIT-1", "FIN-WAIT-2");
  story.call("server", 2000, 2100, "close", "4");
  story.state(2010, "server", "CLOSE-WAIT", "LAST-ACK");
  story.state(2020, "client", "FIN-WAIT-2", "CLOSED");
  story.state(2030, "server", "LAST-ACK", "CLOSED");
  expect_ending(std::move(story), EndKind::in_order, opener, "close");
}

TEST(EndingByCallsAlone, goes_by_the_states_and_not_by_the_only_close_that_was_seen) {
  StoryRecorder story = calls_of_both();
  client_has_closed(story);
  server_reads_to_the_end(story, 1450);
  story.call("server", 1500, 1510, "close", "4");
  story.sample(1400, 1600, "client", "FIN-WAIT-2", "TIME-WAIT");
  story.sample(1400, 1600, "server", "CLOSE-WAIT", "CLOSED");
  expect_ending(std::move(story), EndKind::in_order, opener, "");
}

TEST(EndingByCallsAlone, does_not_name_what_came_after_the_end_of_the_stream_was_read) {
  StoryRecorder story = calls_of_both();
  server_reads_to_the_end(story, 300);
  story.call("server", 500, 510, "close", "4");
  story.event(50'900, "client", recording::ProcessEnded{.exit_status = 0, .signal = {}, .call = {}});
  expect_ending(std::move(story), EndKind::in_order, opener, "");
}

// waitpid(2) tells of an end when everything that the process held has been closed, and its peer may have read that by then.
TEST(EndingByCallsAlone, an_end_is_told_a_moment_after_what_it_closed) {
  StoryRecorder story = calls_of_both();
  server_reads_to_the_end(story, 300);
  story.call("server", 500, 510, "close", "4");
  story.event(900, "client", recording::ProcessEnded{.exit_status = {}, .signal = "SIGKILL", .call = {}});
  const auto recording = story.take();
  const auto timeline = timeline::build(recording);
  const Ending ending = ending_of(timeline, 0);
  EXPECT_EQ(ending.kind, EndKind::in_order);
  EXPECT_EQ(ending.first, opener);
  EXPECT_TRUE(ending.process_ended);
}

// That a peer which nobody sees has not closed is not known.
TEST(EndingByCallsAlone, of_a_peer_that_is_not_seen_is_not_said_to_be_half) {
  StoryRecorder story;
  story.call("client", 10, 50, "connect", "3, {sa_family=AF_INET, sin_port=htons(9999)}, 16");
  story.call("client", 1000, 1100, "shutdown", "3, SHUT_WR");
  expect_ending(std::move(story), EndKind::not_known, opener, "shutdown");
}

TEST(EndingByCallsAlone, does_not_name_a_close_after_which_the_connection_stood) {
  StoryRecorder story = calls_of_both();
  story.call("server", 500, 510, "close", "4");
  story.sample(900, 1400, "client", "ESTABLISHED", "CLOSE-WAIT");
  story.sample(900, 1400, "server", "ESTABLISHED", "FIN-WAIT-2");
  expect_ending(std::move(story), EndKind::half, listener, "");
}

TEST(EndingByCallsAlone, does_not_say_who_reset_a_side_that_refuses_what_comes) {
  StoryRecorder story = calls_of_both();
  story.call("client", 1000, 1100, "shutdown", "3, SHUT_RDWR");
  story.call("server", 1200, 1210, "send", "4, \"abc\", 3, 0", {3});
  story.call("client", 1300, 1310, "recv", "3, ..., 100, 0", {-1, ECONNRESET});
  expect_ending(std::move(story), EndKind::reset, {}, "");
}

}  // namespace
}  // namespace tcpwhy::explain
