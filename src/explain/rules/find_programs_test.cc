// The findings about real programs: each with a story in which it is found, and the neighbouring one in which it must not be.
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>

#include "explain/explained_story_testing.h"

namespace tcpwhy::explain {
namespace {

using recording::testing::StoryRecorder;
using testing::ExplainedStory;
using testing::five_bytes;

constexpr std::uint16_t F = 0x01, S = 0x02, R = 0x04, P = 0x08, A = 0x10;
constexpr auto to_server = "3, {sa_family=AF_INET, sin_port=htons(9999), sin_addr=inet_addr(\"127.0.0.1\")}, 16";

// --- Opening -----------------------------------------------------------------------------------------------------

TEST(Opening, timed_out_names_the_syns) {
  StoryRecorder story;
  story.call("client", 10, 7'000'000, "connect", to_server, {-1, ETIMEDOUT});
  for (int i = 0; i < 3; ++i) story.segment(20 + i * 1'000'000, "client", S, 0);
  const ExplainedStory told(story);
  ASSERT_TRUE(told.has("open.timed_out"));
  EXPECT_NE(told.text("open.timed_out").find("3 SYNs"), std::string::npos);
  EXPECT_FALSE(told.has("open.unreachable"));
}

TEST(Opening, that_timed_out_without_packets_counts_no_syns) {
  StoryRecorder story;
  story.call("client", 10, 7'000'000, "connect", to_server, {-1, ETIMEDOUT});
  const ExplainedStory told(story);
  ASSERT_TRUE(told.has("open.timed_out"));
  EXPECT_NE(told.text("open.timed_out").find("an unknown number of SYNs"), std::string::npos);
}

TEST(Opening, unreachable_is_not_timed_out) {
  StoryRecorder story;
  story.call("client", 10, 3'000'000, "connect", to_server, {-1, EHOSTUNREACH});
  story.segment(20, "client", S, 0);
  const ExplainedStory told(story);
  EXPECT_TRUE(told.has("open.unreachable"));
  EXPECT_FALSE(told.has("open.timed_out"));
}

TEST(Opening, the_error_of_a_connect_that_did_not_wait_comes_from_the_socket) {
  StoryRecorder story;
  story.call("client", 10, 20, "connect", to_server, {-1, EINPROGRESS});
  story.segment(15, "client", S, 0);
  story.segment(1'000'000, "client", S, 0);
  story.socket_error(3'000'000, "client", ETIMEDOUT);
  EXPECT_TRUE(ExplainedStory(story).has("open.timed_out"));
}

TEST(Opening, refused_without_a_reset_is_icmp) {
  StoryRecorder story, with_reset;
  for (auto* s : {&story, &with_reset}) {
    s->call("client", 10, 100, "connect", to_server, {-1, ECONNREFUSED});
    s->segment(20, "client", S, 0);
  }
  with_reset.segment(30, "server", R | A, 0, 1);
  EXPECT_TRUE(ExplainedStory(story).has("open.refused_by_icmp"));
  const ExplainedStory told(with_reset);
  EXPECT_FALSE(told.has("open.refused_by_icmp"));
  EXPECT_TRUE(told.has("open.refused"));
  EXPECT_FALSE(told.has("open.refused_though_listening"));
}

TEST(Opening, refused_though_somebody_listens_on_the_port) {
  StoryRecorder story;
  story.call("server", 0, 1, "listen", "3, 1");
  story.call("client", 10, 100, "connect", to_server, {-1, ECONNREFUSED});
  story.segment(20, "client", S, 0);
  story.segment(30, "server", R | A, 0, 1);
  const ExplainedStory told(story);
  ASSERT_TRUE(told.has("open.refused_though_listening"));
  EXPECT_EQ(told.grade("open.refused_though_listening"), Grade::assumed);
}

TEST(Opening, a_lost_syn_is_not_a_lost_syn_ack) {
  StoryRecorder syn, syn_ack;
  for (auto* s : {&syn, &syn_ack}) s->call("client", 10, 1'100'000, "connect", to_server);
  syn.segment(20, "client", S, 0);
  syn.segment(1'000'000, "client", S, 0);
  syn.segment(1'000'010, "server", S | A, 0, 1);
  syn_ack.segment(20, "client", S, 0);
  syn_ack.segment(30, "server", S | A, 0, 1);
  syn_ack.segment(1'000'000, "server", S | A, 0, 1);
  const ExplainedStory first(syn), second(syn_ack);
  EXPECT_TRUE(first.has("open.syn_lost"));
  EXPECT_FALSE(first.has("open.syn_ack_lost"));
  EXPECT_FALSE(second.has("open.syn_lost"));
  EXPECT_TRUE(second.has("open.syn_ack_lost"));
}

TEST(Opening, a_syn_that_a_full_queue_threw_away_was_not_lost) {
  StoryRecorder story, counted;
  for (auto* s : {&story, &counted}) {
    s->call("client", 10, 1'100'000, "connect", to_server);
    s->segment(20, "client", S, 0);
    s->segment(1'000'000, "client", S, 0);
    s->segment(1'000'010, "server", S | A, 0, 1);
  }
  story.dropped(22, "server", "S", 0, 0, 0, "TCP_LISTEN_OVERFLOW");
  counted.counter(0, 100, "TcpExt.ListenOverflows");
  const ExplainedStory said(story), derived(counted);
  ASSERT_TRUE(said.has("open.queue_full"));
  EXPECT_EQ(said.grade("open.queue_full"), Grade::observed);
  EXPECT_FALSE(said.has("open.syn_lost"));
  ASSERT_TRUE(derived.has("open.queue_full"));
  EXPECT_EQ(derived.grade("open.queue_full"), Grade::derived);
}

TEST(Opening, accept_may_hand_out_what_was_reset) {
  StoryRecorder story;
  story.call("server", 0, 1, "listen", "3, 1");
  story.connect();
  story.call("client", 60, 65, "close", "3");
  story.segment(62, "client", R | A, 1, 1);
  story.call("server", 80, 90, "accept", "3, NULL, NULL", {4});
  EXPECT_TRUE(ExplainedStory(story).has("accept.already_reset"));
  StoryRecorder alive;
  alive.open();
  EXPECT_FALSE(ExplainedStory(alive).has("accept.already_reset"));
}

TEST(Opening, errors_of_calls_without_a_connection) {
  StoryRecorder story;
  story.call("server", 0, 1, "bind", "3, ...", {-1, EADDRINUSE});
  story.call("server", 2, 3, "accept", "3, NULL, NULL", {-1, EMFILE});
  story.call("client", 4, 5, "recv", "3, 100, 0", {-1, ENOTCONN});
  const ExplainedStory told(story);
  EXPECT_TRUE(told.has("bind.in_use"));
  EXPECT_TRUE(told.has("accept.no_descriptor"));
  EXPECT_TRUE(told.has("call.not_connected"));
}

TEST(Calls, of_multipath_tcp_are_said_not_to_be_followed) {
  StoryRecorder story;
  story.open();
  story.call("server", 1000, 1010, "socket", "AF_INET, SOCK_STREAM, IPPROTO_MPTCP", {7});
  story.call("server", 1020, 1030, "socket", "AF_INET, SOCK_STREAM, IPPROTO_MPTCP", {8});
  const ExplainedStory told(story);
  ASSERT_TRUE(told.has("socket.multipath"));
  EXPECT_NE(told.text("socket.multipath").find("2×"), std::string::npos) << told.text("socket.multipath");
}

// --- Resets, in the kernel's own words -----------------------------------------------------------------------------

struct KernelReset {
  const char* trigger;
  const char* cause;
  const char* reason;
  const char* rule;
};

TEST(Resets, are_what_the_kernels_stack_says) {
  for (const KernelReset& row :
       {KernelReset{"call", "close.unread_data", "TCP_ABORT_ON_CLOSE", "reset.unread_data_at_close"},
        KernelReset{"call", "close.linger_zero", "TCP_STATE", "reset.linger_zero"},
        KernelReset{"process_end", "close.unread_data", "TCP_ABORT_ON_CLOSE", "reset.unread_data_at_exit"},
        KernelReset{"call", "close.listener_queue", "TCP_STATE", "reset.listener_closed"},
        KernelReset{"call", "abort.sock_diag", "TCP_STATE", "reset.aborted_from_outside"},
        KernelReset{"call", "disconnect", "TCP_STATE", "reset.disconnected"},
        KernelReset{"timer", "keep_alive_gave_up", "TCP_KEEPALIVE_TIMEOUT", "reset.keep_alive"},
        KernelReset{"call", "close.linger2", "", "reset.linger_2"},
        KernelReset{"timer", "out_of_memory", "", "reset.out_of_memory"},
        KernelReset{"call", "out_of_memory", "TCP_ABORT_ON_MEMORY", "reset.out_of_memory"}}) {
    StoryRecorder story;
    story.open();
    story.cause(1049, "server", "R.", 1, 1, 0, {row.trigger, row.cause});
    story.segment(1050, "server", R | A, 1, 1);
    story.reset(1060, "server", true, true, row.reason);
    const ExplainedStory told(story);
    ASSERT_TRUE(told.has(row.rule)) << row.cause;
    EXPECT_EQ(told.grade(row.rule), Grade::observed);
    EXPECT_EQ(
        std::ranges::count_if(told.explained.findings, [](const auto& f) { return f.rule->id.starts_with("reset."); }),
        1)
        << row.cause;
  }
}

TEST(Resets, without_packets_are_what_the_kernels_reason_says) {
  StoryRecorder story;
  story.call("server", 0, 1, "listen", "3, 1");
  story.call("client", 10, 50, "connect", to_server);
  story.call("server", 80, 90, "accept", "3, NULL, NULL", {4});
  story.call("server", 1000, 1100, "close", "4");
  story.reset(1060, "server", true, true, "TCP_ABORT_ON_CLOSE");
  story.call("client", 2000, 2001, "recv", "3, \"\", 4096, 0", {-1, ECONNRESET});
  const ExplainedStory told(story);
  EXPECT_TRUE(told.has("reset.unread_data_at_close"));
  EXPECT_TRUE(told.has("recv.connection_reset"));
}

TEST(Resets, of_a_listener_that_is_closed_with_connections_queued) {
  StoryRecorder story;
  story.call("server", 0, 1, "listen", "3, 1");
  story.connect();
  story.call("server", 100, 120, "close", "3", {}, 3);
  auto& close = story.last_call();
  close.socket = 20;
  close.local = StoryRecorder::server(), close.remote.reset();
  story.segment(110, "server", R | A, 1, 1);
  const ExplainedStory told(story);
  EXPECT_TRUE(told.has("reset.listener_closed"));
  EXPECT_FALSE(told.has("reset.unexplained"));
}

TEST(Resets, of_a_peer_that_never_closed_and_knows_nothing_are_assumed_to_be_a_restart) {
  StoryRecorder story;
  story.connect();
  story.call("client", 500, 600, "send", "3, \"hello\", 5, 0", {5});
  story.segment(550, "client", P | A, 1, 1, 5);
  story.segment(560, "server", R, 1);
  const ExplainedStory told(story);
  ASSERT_TRUE(told.has("reset.peer_forgot"));
  EXPECT_EQ(told.grade("reset.peer_forgot"), Grade::assumed);
}

TEST(Resets, a_second_one_is_said_to_meet_nothing_of_the_connection) {
  StoryRecorder story;
  story.open();
  story.call("server", 1000, 1100, "close", "4");
  story.segment(1050, "server", F | A, 1, 1);
  story.segment(4000, "client", A, 1, 2);
  story.segment(9040, "client", P | A, 1, 2, 5);
  story.segment(9050, "server", R, 2);
  EXPECT_FALSE(ExplainedStory(story).has("reset.again"));
  StoryRecorder twice;
  twice.open();
  twice.call("server", 1000, 1100, "close", "4");
  twice.segment(1050, "server", F | A, 1, 1);
  twice.segment(4000, "client", A, 1, 2);
  twice.segment(9040, "client", P | A, 1, 2, 5);
  twice.segment(9050, "server", R, 2);
  twice.segment(9100, "client", P | A, 6, 2, 5);
  twice.segment(9110, "server", R, 2);
  EXPECT_TRUE(ExplainedStory(twice).has("reset.again"));
}

TEST(Resets, the_error_names_the_peers_call_and_its_line) {
  StoryRecorder story;
  story.open();
  five_bytes(story);
  story.call("server", 1000, 1100, "close", "4");
  story.last_call().stack = "handle server.c:42 < main server.c:77";
  story.segment(1050, "server", R | A, 1, 6);
  story.call("client", 2000, 2001, "recv", "3, \"\", 4096, 0", {-1, ECONNRESET});
  const ExplainedStory told(story);
  EXPECT_NE(told.text("recv.connection_reset").find("close(4), at handle server.c:42."), std::string::npos)
      << told.text("recv.connection_reset");
}

// --- Giving up, stalls ---------------------------------------------------------------------------------------------

TEST(GivingUp, after_retransmissions) {
  StoryRecorder story;
  story.open();
  five_bytes(story);
  story.call("client", 1000, 1001, "send", "3, \"x\", 1, 0", {1});
  for (int i = 0; i < 4; ++i) story.segment(1000 + i * 300'000, "client", P | A, 6, 1, 1);
  story.call("client", 1500, 3'000'000, "recv", "3, 100, 0", {-1, ETIMEDOUT});
  const ExplainedStory told(story);
  ASSERT_TRUE(told.has("gave_up.retransmissions"));
  EXPECT_NE(told.text("gave_up.retransmissions").find("retransmitted 3 times"), std::string::npos);
  EXPECT_FALSE(told.has("gave_up.user_timeout"));
  EXPECT_TRUE(told.has("loss.retransmitted"));
}

TEST(GivingUp, by_the_user_timeout_if_it_was_set) {
  StoryRecorder story;
  story.open();
  story.call("client", 300, 301, "setsockopt", "3, SOL_TCP, TCP_USER_TIMEOUT, [1500], 4");
  for (int i = 0; i < 4; ++i) story.segment(1000 + i * 300'000, "client", P | A, 1, 1, 1);
  story.socket_error(1'950'000, "client", ETIMEDOUT);
  const ExplainedStory told(story);
  EXPECT_TRUE(told.has("gave_up.user_timeout"));
  EXPECT_FALSE(told.has("gave_up.retransmissions"));
}

TEST(GivingUp, of_keep_alive) {
  StoryRecorder story;
  story.open();
  five_bytes(story);
  for (int i = 1; i < 4; ++i) story.segment(i * 1'000'000, "client", A, 5, 1);
  story.segment(4'000'000, "client", R | A, 6, 1);
  story.call("client", 5'000'000, 5'000'001, "recv", "3, 100, 0", {-1, ETIMEDOUT});
  const ExplainedStory told(story);
  EXPECT_TRUE(told.has("gave_up.keep_alive"));
  EXPECT_TRUE(told.has("reset.keep_alive"));
}

TEST(GivingUp, unreachable_has_its_own_name) {
  StoryRecorder story;
  story.open();
  story.segment(1000, "client", P | A, 1, 1, 1);
  story.segment(300'000, "client", P | A, 1, 1, 1);
  story.socket_error(3'000'000, "client", EHOSTUNREACH);
  const ExplainedStory told(story);
  EXPECT_TRUE(told.has("gave_up.unreachable"));
  EXPECT_FALSE(told.has("gave_up.retransmissions"));
}

// Two small writes; the ACK of the first comes after `delay` µs and releases the second.
StoryRecorder two_writes(std::int64_t delay) {
  StoryRecorder story;
  story.open();
  story.call("client", 1000, 1010, "send", "3, \"a\", 1, 0", {1});
  story.segment(1005, "client", P | A, 1, 1, 1);
  story.call("client", 1020, 1030, "send", "3, \"b\", 1, 0", {1});
  story.segment(1005 + delay, "server", A, 1, 2);
  story.segment(1006 + delay, "client", P | A, 2, 1, 1);
  return story;
}

TEST(Stall, of_nagle_and_the_delayed_ack) {
  auto slow = two_writes(40'000), quick = two_writes(200);
  const ExplainedStory told(slow);
  ASSERT_TRUE(told.has("stall.nagle_delayed_ack"));
  EXPECT_NE(told.text("stall.nagle_delayed_ack").find("40.0 ms"), std::string::npos)
      << told.text("stall.nagle_delayed_ack");
  EXPECT_FALSE(ExplainedStory(quick).has("stall.nagle_delayed_ack"));
}

TEST(Stall, of_a_window_that_stays_shut) {
  StoryRecorder story, brief;
  for (auto* s : {&story, &brief}) {
    s->open();
    s->segment(1000, "client", P | A, 1, 1, 1000);
    s->segment(1010, "server", A, 1, 1001, 0, 0);
  }
  story.segment(900'000, "server", A, 1, 1001, 0, 500);
  brief.segment(5'000, "server", A, 1, 1001, 0, 500);
  const ExplainedStory told(story);
  ASSERT_TRUE(told.has("stall.zero_window"));
  EXPECT_NE(told.text("stall.zero_window").find("The server did not read"), std::string::npos);
  EXPECT_FALSE(ExplainedStory(brief).has("stall.zero_window"));
}

TEST(Stall, of_bytes_that_cork_held_back) {
  StoryRecorder story;
  story.open();
  story.call("client", 1000, 1010, "send", "3, \"a\", 1, MSG_MORE", {1});
  story.call("client", 9000, 9010, "setsockopt", "3, SOL_TCP, TCP_CORK, [0], 4");
  story.segment(9005, "client", P | A, 1, 1, 1);
  EXPECT_TRUE(ExplainedStory(story).has("send.held_back"));
  StoryRecorder at_once;
  at_once.open();
  five_bytes(at_once);
  EXPECT_FALSE(ExplainedStory(at_once).has("send.held_back"));
}

}  // namespace
}  // namespace tcpwhy::explain
