// Resets that neither a tap nor the kernel's probe saw: calls, options, errors and samples tell of them.
#include <gtest/gtest.h>

#include <cerrno>
#include <optional>

#include "explain/explained_story_testing.h"
#include "explain/rules/ending.h"

namespace tcpwhy::explain {
namespace {

using testing::ExplainedStory;
using testing::StoryRecorder;
using timeline::listener;
using timeline::opener;

constexpr std::string_view linger_zero = "4, SOL_SOCKET, SO_LINGER, {l_onoff=1, l_linger=0}, 8";

// Both are traced: the client sends `bytes`, of which the server reads `read`.
StoryRecorder request(std::int64_t bytes = 21, std::int64_t read = 4) {
  StoryRecorder story;
  story.call("server", 0, 1, "listen", "3, 128");
  story.call("client", 10, 50, "connect", "3, {sa_family=AF_INET, sin_port=htons(9999)}, 16");
  story.call("server", 80, 90, "accept", "3, NULL, NULL", {4});
  story.call("client", 100, 110, "sendto", "3, \"hello\"..., " + std::to_string(bytes) + ", 0, NULL, 0", {bytes});
  if (read > 0) story.call("server", 200, 210, "recvfrom", "4, \"hell\", 100, 0, NULL, NULL", {read});
  return story;
}

// The server is, and its client is not.
StoryRecorder server_alone() {
  StoryRecorder story;
  story.call("server", 0, 1, "listen", "3, 128");
  story.call("server", 80, 90, "accept", "3, NULL, NULL", {4});
  story.call("server", 200, 210, "recvfrom", "4, \"hell\", 100, 0, NULL, NULL", {4});
  return story;
}

void server_closes(StoryRecorder& story, std::optional<std::uint32_t> unread) {
  story.call("server", 1000, 1010, "close", "4");
  story.last_call().unread = unread;
}

void client_meets_reset(StoryRecorder& story) {
  story.call("client", 300, 1050, "recvfrom", "3, 0x7ffd, 100, 0, NULL, NULL", {-1, ECONNRESET});
}

recording::ProcessEnded killed_by(const char* signal) { return {.exit_status = {}, .signal = signal, .call = {}}; }

TEST(UnseenReset, by_close_with_data_unread_that_was_counted_before_it) {
  for (const bool both : {true, false}) {
    StoryRecorder story = both ? request() : server_alone();
    server_closes(story, 17);
    if (both) client_meets_reset(story);
    const ExplainedStory told(story);
    ASSERT_TRUE(told.has("reset.unread_data_at_close")) << both;
    EXPECT_EQ(told.grade("reset.unread_data_at_close"), Grade::derived);
    EXPECT_TRUE(told.text("reset.unread_data_at_close").contains("17 bytes"));
    const Ending ending = ending_of(told.explained.timeline, 0);
    EXPECT_EQ(ending.kind, EndKind::reset);
    EXPECT_EQ(ending.first, listener);
    EXPECT_EQ(ending.call, "close");
    EXPECT_EQ(told.text("recv.connection_reset").contains("It was its close(4)"), both);
  }
}

TEST(UnseenReset, is_none_where_everything_had_been_read) {
  StoryRecorder story = request(4, 4);
  server_closes(story, 0);
  story.call("client", 300, 1050, "recvfrom", "3, \"\", 100, 0, NULL, NULL", {0});
  const ExplainedStory told(story);
  for (const Finding& finding : told.explained.findings) EXPECT_FALSE(finding.rule->id.starts_with("reset."));
}

// By the recorder inside the process nobody asks before close(): how much the two calls moved tells.
TEST(UnseenReset, by_what_was_sent_and_not_read_and_by_what_the_other_side_got) {
  StoryRecorder met = request();
  server_closes(met, {});
  client_meets_reset(met);
  const ExplainedStory told(met);
  ASSERT_TRUE(told.has("reset.unread_data_at_close"));
  EXPECT_EQ(told.grade("reset.unread_data_at_close"), Grade::derived);
  // It may have been on its way: how much had come is not known.
  EXPECT_TRUE(told.text("reset.unread_data_at_close").contains("how much is not known"));

  StoryRecorder silent = request();
  server_closes(silent, {});
  const ExplainedStory assumed(silent);
  ASSERT_TRUE(assumed.has("reset.unread_data_at_close"));
  EXPECT_EQ(assumed.grade("reset.unread_data_at_close"), Grade::assumed);
  EXPECT_NE(ending_of(assumed.explained.timeline, 0).kind, EndKind::reset);
}

TEST(UnseenReset, by_the_end_of_a_process_with_data_unread) {
  StoryRecorder story = request();
  story.event(1000, "server", killed_by("SIGKILL"));
  client_meets_reset(story);
  const ExplainedStory told(story);
  ASSERT_TRUE(told.has("reset.unread_data_at_exit"));
  EXPECT_TRUE(told.text("reset.unread_data_at_exit").contains("was killed by SIGKILL"));
  EXPECT_FALSE(told.has("close.killed"));
}

TEST(UnseenReset, by_linger_of_no_seconds) {
  for (const bool both : {true, false}) {
    StoryRecorder story = both ? request(4, 4) : server_alone();
    story.call("server", 900, 910, "setsockopt", std::string(linger_zero));
    server_closes(story, 0);
    if (both) client_meets_reset(story);
    const ExplainedStory told(story);
    ASSERT_TRUE(told.has("reset.linger_zero")) << both;
    EXPECT_EQ(told.grade("reset.linger_zero"), Grade::derived);
    EXPECT_FALSE(told.has("reset.unread_data_at_close"));
    EXPECT_EQ(ending_of(told.explained.timeline, 0).kind, EndKind::reset);
  }
}

// RFC 9293 3.6: what is in TIME-WAIT, or was reset before, sends no reset.
TEST(UnseenReset, is_none_where_both_had_closed_or_the_peer_had_reset) {
  StoryRecorder over = request(4, 4);
  over.call("server", 300, 310, "setsockopt", std::string(linger_zero));
  over.call("server", 320, 330, "shutdown", "4, SHUT_WR");
  over.call("client", 340, 350, "close", "3");
  over.last_call().unread = 0;
  over.call("server", 400, 410, "recvfrom", "4, \"\", 100, 0, NULL, NULL", {0});
  server_closes(over, 0);
  EXPECT_FALSE(ExplainedStory(over).has("reset.linger_zero"));

  StoryRecorder reset = server_alone();
  reset.call("server", 300, 310, "setsockopt", std::string(linger_zero));
  reset.call("server", 400, 410, "recvfrom", "4, 0x7ffd, 100, 0, NULL, NULL", {-1, ECONNRESET});
  server_closes(reset, 0);
  const ExplainedStory told(reset);
  EXPECT_FALSE(told.has("reset.linger_zero"));
  EXPECT_EQ(ending_of(told.explained.timeline, 0).first, opener);
}

TEST(UnseenReset, is_none_by_a_copy_that_is_closed) {
  StoryRecorder story = server_alone();
  story.call("server", 300, 310, "dup", "4", {7});
  story.last_return().new_fd = 7;
  server_closes(story, 17);
  EXPECT_FALSE(ExplainedStory(story).has("reset.unread_data_at_close"));
}

TEST(UnseenReset, by_connect_to_no_family) {
  StoryRecorder story = server_alone();
  story.call("server", 300, 310, "connect", "4, {sa_family=AF_UNSPEC, sa_data=\"\"}, 16");
  const ExplainedStory told(story);
  ASSERT_TRUE(told.has("reset.disconnected"));
  EXPECT_EQ(told.explained.timeline.connections.front().sides[listener].name, "server");
}

TEST(UnseenReset, in_answer_to_data_after_close_is_told_by_the_broken_pipe) {
  for (const bool dies : {false, true}) {
    StoryRecorder story = request(5, 5);
    server_closes(story, 0);
    story.call("client", 2000, 2010, "sendto", "3, \"again\", 5, 0, NULL, 0", {5});
    const auto last = story.call("client", 3000, dies ? -1 : 3010, "sendto", "3, \"more\", 4, 0, NULL, 0", {-1, EPIPE});
    if (dies) {
      story.event(3010, "client",
                  recording::Signal{.name = "SIGPIPE", .fate = recording::SignalFate::delivered, .call = last});
      story.event(3020, "client", recording::ProcessEnded{.exit_status = {}, .signal = "SIGPIPE", .call = last});
    }
    const ExplainedStory told(story);
    ASSERT_TRUE(told.has("reset.after_close"));
    EXPECT_TRUE(told.has("send.after_peer_closed"));
    EXPECT_TRUE(told.has("send.broken_pipe_unseen"));
    EXPECT_EQ(told.has("signal.killed"), dies);
    EXPECT_EQ(ending_of(told.explained.timeline, 0).first, listener);
  }
}

// Its own shutdown() gives EPIPE as well.
TEST(UnseenReset, is_none_where_a_side_shut_its_sending_half) {
  StoryRecorder story = request(5, 5);
  story.call("client", 1000, 1010, "shutdown", "3, SHUT_WR");
  story.call("client", 2000, 2010, "sendto", "3, \"again\", 5, 0, NULL, 0", {-1, EPIPE});
  const ExplainedStory told(story);
  EXPECT_TRUE(told.has("call.send_after_shutdown"));
  EXPECT_FALSE(told.has("reset.after_close"));
  EXPECT_FALSE(told.has("send.broken_pipe_unseen"));
}

// A parent closes its copy; its child reads on.
TEST(Finish, by_shutdown_is_no_close_where_a_child_has_the_socket) {
  for (const bool forked : {true, false}) {
    StoryRecorder story = request(5, 5);
    if (forked) story.call("server", 300, 310, "fork", "", {103});
    story.call("server", 400, 410, "shutdown", "4, SHUT_WR");
    story.call("server", 420, 430, "close", "4");
    story.call("client", 500, 510, "recvfrom", "3, \"\", 100, 0, NULL, NULL", {0});
    story.call("client", 600, 610, "sendto", "3, \"more\", 4, 0, NULL, 0", {4});
    EXPECT_EQ(ExplainedStory(story).has("send.after_peer_closed"), !forked);
  }
}

// socket(7), SO_RCVTIMEO: "if no data has been transferred and the timeout has been reached, then -1 is returned with errno set to EAGAIN".
TEST(OwnLimit, is_told_of_a_wait_that_it_ended) {
  struct {
    const char* flags;
    std::int64_t returned;
    bool set, told;
  } cases[] = {{"0", 200'000, true, true},
               {"MSG_DONTWAIT", 200'000, true, false},
               {"0", 2'010, true, false},  // the descriptor is non-blocking
               {"0", 200'000, false, false}};
  for (const auto& one : cases) {
    StoryRecorder story = request(5, 5);
    if (one.set) story.call("client", 1000, 1010, "setsockopt", "3, SOL_SOCKET, SO_RCVTIMEO_OLD, \"\\0\"..., 16");
    story.call("client", 2000, one.returned, "recvfrom", "3, 0x7ffd, 100, " + std::string(one.flags) + ", NULL, NULL",
               {-1, EAGAIN});
    const ExplainedStory told(story);
    EXPECT_EQ(told.has("recv.own_limit"), one.told) << one.flags << one.returned;
  }
  StoryRecorder story = request(5, 5);
  story.call("client", 1000, 1010, "setsockopt", "3, SOL_SOCKET, SO_SNDTIMEO_OLD, \"\\0\"..., 16");
  story.call("client", 2000, 300'000, "sendto", "3, \"x\"..., 1000, 0, NULL, 0", {-1, EAGAIN});
  const ExplainedStory told(story);
  EXPECT_TRUE(told.has("send.own_limit"));
  EXPECT_FALSE(told.has("recv.own_limit"));
}

TEST(Killed, by_a_signal_is_told_with_the_connection_that_it_closed) {
  for (const char* signal : {"SIGKILL", "SIGTERM", "SIGUSR1", "SIGSEGV"}) {
    StoryRecorder story = request(4, 4);
    story.call("client", 300, 950, "recvfrom", "3, \"\", 100, 0, NULL, NULL", {0});
    story.event(1000, "server", killed_by(signal));
    story.call("client", 1100, 1110, "close", "3");
    const ExplainedStory told(story);
    ASSERT_TRUE(told.has("close.killed"));
    EXPECT_TRUE(told.text("close.killed").contains(signal));
    const bool crashed = remedy(*told.finding("close.killed"), Language::en).contains("crashed");
    EXPECT_EQ(crashed, std::string_view(signal) == "SIGSEGV");
  }
}

TEST(Killed, is_nobody_who_had_closed_or_whom_the_user_interrupted) {
  StoryRecorder closed = request(4, 4);
  server_closes(closed, 0);
  closed.event(2000, "server", killed_by("SIGTERM"));
  EXPECT_FALSE(ExplainedStory(closed).has("close.killed"));

  StoryRecorder interrupted = request(4, 4);
  interrupted.event(1000, "server", killed_by("SIGINT"));
  EXPECT_FALSE(ExplainedStory(interrupted).has("close.killed"));
}

}  // namespace
}  // namespace tcpwhy::explain
