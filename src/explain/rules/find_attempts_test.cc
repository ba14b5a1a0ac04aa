#include <gtest/gtest.h>

#include <cerrno>

#include "explain/explained_story_testing.h"
#include "explain/rules/ending.h"

namespace tcpwhy::explain {
namespace {

using recording::Observation;
using recording::testing::StoryRecorder;
using testing::ExplainedStory;

constexpr std::uint16_t S = 0x02, R = 0x04, P = 0x08, A = 0x10;
constexpr auto to_server = "3, {sa_family=AF_INET, sin_port=htons(9999), sin_addr=inet_addr(\"127.0.0.1\")}, 16";

EndKind kind(const ExplainedStory& told) { return ending_of(told.explained.timeline, 0).kind; }

// A connect() that waits, and one that does not and whose error SO_ERROR hands out.
void connect_fails(StoryRecorder& story, bool waits, int error, std::int64_t after) {
  story.call("client", 10, waits ? after : 12, "connect", to_server, {-1, waits ? error : EINPROGRESS});
  story.segment(11, "client", S, 0);
  if (waits) return;
  story.call("client", after, after + 1, "getsockopt", "3, SOL_SOCKET, SO_ERROR, ..., [4]", {0});
  story.last_return().detail = error == ECONNREFUSED ? "[ECONNREFUSED], [4]" : "[ETIMEDOUT], [4]";
}

TEST(Firewall, that_rejects_with_a_reset_is_no_closed_port) {
  for (const bool waits : {true, false}) {
    StoryRecorder story;
    connect_fails(story, waits, ECONNREFUSED, 100);
    story.dropped(12, "server", "S", 0, 0, 0, "NETFILTER_DROP");
    story.segment(14, "server", R | A, 0, 1);
    const ExplainedStory told(story);
    EXPECT_TRUE(told.has("open.firewall_reset")) << waits;
    for (const auto rule : {"open.refused", "open.refused_later", "open.abandoned", "open.refused_by_icmp"})
      EXPECT_FALSE(told.has(rule)) << rule << waits;
    EXPECT_EQ(kind(told), EndKind::refused);
  }
}

TEST(Firewall, that_rejects_by_icmp_is_not_called_one_on_the_way) {
  for (const bool waits : {true, false}) {
    StoryRecorder story;
    connect_fails(story, waits, ECONNREFUSED, 100);
    story.dropped(12, "server", "S", 0, 0, 0, "NETFILTER_DROP");
    story.call("client", 200, 201, "close", "3");
    const ExplainedStory told(story);
    EXPECT_TRUE(told.has("open.firewall_icmp")) << waits;
    EXPECT_FALSE(told.has("open.refused_by_icmp")) << waits;
    EXPECT_FALSE(told.has("open.abandoned")) << waits;
    EXPECT_EQ(kind(told), EndKind::refused) << waits;
  }
}

TEST(Firewall, that_drops_what_arrives) {
  for (const bool waits : {true, false}) {
    StoryRecorder story;
    connect_fails(story, waits, ETIMEDOUT, 3'000'000);
    story.segment(1'000'000, "client", S, 0);
    for (const std::int64_t at : {12, 1'000'001}) story.dropped(at, "server", "S", 0, 0, 0, "NETFILTER_DROP");
    const ExplainedStory told(story);
    ASSERT_TRUE(told.has("open.firewall_drop_in")) << waits;
    EXPECT_EQ(told.grade("open.firewall_drop_in"), Grade::observed);
    EXPECT_FALSE(told.has("open.timed_out")) << waits;
    EXPECT_EQ(kind(told), EndKind::failed);
  }
}

TEST(Firewall, that_drops_what_leaves_lets_no_tap_see_it) {
  StoryRecorder story;
  story.call("client", 10, 3'000'000, "connect", to_server, {-1, ETIMEDOUT});
  story.state(11, "client", "CLOSED", "SYN-SENT");
  story.dropped(12, "server", "S", 0, 0, 0, "NETFILTER_DROP");
  story.last<recording::SegmentDropped>().socket = 11, story.last<recording::SegmentDropped>().sent = true;
  story.socket_error(2'999'999, "client", ETIMEDOUT);
  const ExplainedStory told(story);
  ASSERT_TRUE(told.has("open.firewall_drop_out"));
  EXPECT_FALSE(told.has("open.timed_out"));
  EXPECT_FALSE(told.has("gave_up.retransmissions"));
}

TEST(Firewall, of_another_host_is_not_seen_and_not_claimed) {
  StoryRecorder story;
  connect_fails(story, true, ETIMEDOUT, 3'000'000);
  const ExplainedStory told(story);
  EXPECT_TRUE(told.has("open.timed_out"));
  for (const auto rule : {"open.firewall_drop_in", "open.firewall_drop_out", "open.thrown_away"})
    EXPECT_FALSE(told.has(rule)) << rule;
}

TEST(Refused, is_observed_where_the_kernel_says_that_there_was_no_socket) {
  StoryRecorder story;
  connect_fails(story, true, ECONNREFUSED, 100);
  story.dropped(12, "server", "S", 0, 0, 0, "NO_SOCKET");
  story.segment(14, "server", R | A, 0, 1);
  const ExplainedStory told(story);
  ASSERT_TRUE(told.has("open.refused"));
  EXPECT_EQ(told.grade("open.refused"), Grade::observed);
  EXPECT_FALSE(told.has("open.firewall_reset"));
}

TEST(Refused, without_packets_is_refused_whoever_hands_the_error_out) {
  for (const bool second_connect : {true, false}) {
    StoryRecorder story;
    story.call("client", 10, 12, "connect", to_server, {-1, EINPROGRESS});
    if (second_connect) {
      story.call("client", 50, 51, "connect", to_server, {-1, ECONNREFUSED});
    } else {
      story.call("client", 50, 51, "getsockopt", "3, SOL_SOCKET, SO_ERROR, ..., [4]", {0});
      story.last_return().detail = "[ECONNREFUSED], [4]";
    }
    story.call("client", 60, 61, "close", "3");
    const ExplainedStory told(story);
    ASSERT_TRUE(told.has("open.refused_unseen")) << second_connect;
    EXPECT_EQ(told.grade("open.refused_unseen"), Grade::assumed);
    EXPECT_EQ(kind(told), EndKind::refused) << second_connect;
  }
}

TEST(Refused, beside_a_listener_is_not_nobody_listens) {
  StoryRecorder story;
  story.call("server", 0, 1, "listen", "3, 1");
  connect_fails(story, true, ECONNREFUSED, 100);
  story.segment(14, "server", R | A, 0, 1);
  const ExplainedStory told(story);
  EXPECT_TRUE(told.has("open.refused_though_listening"));
  EXPECT_FALSE(told.has("open.refused"));
}

TEST(Refused, before_anybody_listened_is_not_refused_by_who_came_later) {
  StoryRecorder story;
  connect_fails(story, true, ECONNREFUSED, 100);
  story.segment(14, "server", R | A, 0, 1);
  story.call("server", 5000, 5001, "listen", "3, 1");
  const ExplainedStory told(story);
  EXPECT_TRUE(told.has("open.refused"));
  EXPECT_NE(told.explained.timeline.connections[0].sides[timeline::listener].name, "server");
}

TEST(Refused, after_the_listeners_process_had_ended_is_refused_by_nobody) {
  for (const bool forked : {false, true}) {
    StoryRecorder story;
    story.call("server", 0, 1, "listen", "3, 1");
    if (forked) story.call("server", 2, 3, "fork", "", {103});
    story.event(5, "server", recording::ProcessEnded{9, "SIGKILL", {}});
    connect_fails(story, true, ECONNREFUSED, 100);
    story.segment(14, "server", R | A, 0, 1);
    const ExplainedStory told(story);
    EXPECT_EQ(told.has("open.refused"), !forked);
    EXPECT_EQ(told.has("open.refused_though_listening"), forked);  // its child has the listener still
  }
}

TEST(Interrupted, is_told_with_what_had_been_sent) {
  StoryRecorder story;
  story.call("client", 10, 500'000, "connect", to_server, {-1, EINTR});
  story.segment(11, "client", S, 0);
  const ExplainedStory told(story);
  ASSERT_TRUE(told.has("open.interrupted"));
  EXPECT_TRUE(told.text("open.interrupted").contains("(1 SYN)")) << told.text("open.interrupted");
}

TEST(GivenUp, by_the_programs_own_limit_is_told_with_what_was_sent) {
  StoryRecorder story, soon;
  for (auto* s : {&story, &soon}) {
    s->call("client", 10, 12, "connect", to_server, {-1, EINPROGRESS});
    s->segment(11, "client", S, 0);
  }
  story.segment(1'000'000, "client", S, 0);
  story.call("client", 1'500'000, 1'500'001, "close", "3");
  soon.call("client", 20, 21, "close", "3");
  const ExplainedStory told(story), at_once(soon);
  ASSERT_TRUE(told.has("open.given_up"));
  EXPECT_NE(told.text("open.given_up").find("2 SYNs"), std::string::npos) << told.text("open.given_up");
  EXPECT_EQ(kind(told), EndKind::withdrawn);
  EXPECT_TRUE(at_once.has("open.abandoned"));
  EXPECT_FALSE(at_once.has("open.given_up"));
}

TEST(GivenUp, by_samples_alone_is_assumed_and_only_of_who_was_seen_to_wait) {
  for (const bool waited : {true, false}) {
    StoryRecorder story;
    story.call("client", 10, 12, "connect", to_server, {-1, EINPROGRESS});
    story.call("client", 500'000, 500'010, "close", "3");
    story.sample(5, 15, "client", "", "SYN-SENT");
    story.sample(waited ? 490'000 : 15, 510'000, "client", "SYN-SENT", "CLOSED");
    const ExplainedStory told(story);
    EXPECT_EQ(told.has("open.given_up"), waited);
    EXPECT_TRUE(!waited || told.grade("open.given_up") == Grade::assumed);
    EXPECT_EQ(kind(told), waited ? EndKind::withdrawn : EndKind::not_known);
  }
}

TEST(GivenUp, too_soon_for_the_answer_that_came_all_the_same) {
  StoryRecorder story;
  story.call("client", 10, 12, "connect", to_server, {-1, EINPROGRESS});
  story.segment(11, "client", S, 0);
  story.call("client", 20, 21, "close", "3");
  story.segment(50'000, "server", S | A, 0, 1);
  story.segment(50'010, "client", R, 1);
  EXPECT_TRUE(ExplainedStory(story).has("open.abandoned"));
}

TEST(GivenUp, is_not_said_of_what_had_timed_out) {
  StoryRecorder story;
  connect_fails(story, true, ETIMEDOUT, 3'000'000);
  story.call("client", 3'000'100, 3'000'200, "close", "3");
  const ExplainedStory told(story);
  EXPECT_TRUE(told.has("open.timed_out"));
  EXPECT_FALSE(told.has("open.abandoned"));
  EXPECT_FALSE(told.has("open.given_up"));
}

TEST(NoRoute, is_certain_where_the_kernel_would_have_told_of_a_syn) {
  StoryRecorder seen, unseen;
  seen.provenance().observed.add(Observation::states_kernel);
  for (auto* s : {&seen, &unseen}) s->call("client", 10, 20, "connect", to_server, {-1, ENETUNREACH});
  const ExplainedStory sure(seen), unsure(unseen);
  ASSERT_TRUE(sure.has("open.no_route"));
  EXPECT_EQ(sure.grade("open.no_route"), Grade::observed);
  ASSERT_TRUE(unsure.has("open.no_way"));
  EXPECT_EQ(unsure.grade("open.no_way"), Grade::assumed);
}

// As root: the kernel gave the socket no cookie.
TEST(NoRoute, is_told_of_a_socket_without_a_cookie_with_its_calls) {
  StoryRecorder story;
  story.call("client", 1, 2, "socket", "AF_INET, SOCK_STREAM, IPPROTO_IP", {3});
  story.last_call().socket = 0, story.last_call().fd.reset(), story.last_call().local.reset(),
  story.last_call().remote.reset();
  story.last_return().socket = 0, story.last_return().new_fd = 3;
  story.call("client", 10, 20, "connect", to_server, {-1, ENETUNREACH});
  story.last_call().socket = story.last_return().socket = 0;
  story.call("client", 30, 31, "close", "3");
  story.last_call().socket = story.last_return().socket = 0;
  story.last_call().local.reset(), story.last_call().remote.reset();
  const ExplainedStory told(story);
  ASSERT_EQ(told.explained.timeline.connections.size(), 1U);
  EXPECT_EQ(told.explained.timeline.connections[0].calls.size(), 3U);
  EXPECT_TRUE(told.has("open.no_way"));
  EXPECT_EQ(kind(told), EndKind::failed);
}

TEST(NoAddress, has_several_causes) {
  StoryRecorder story, bound;
  for (auto* s : {&story, &bound}) s->call("client", 10, 20, "connect", to_server, {-1, EADDRNOTAVAIL});
  bound.last_call().local = StoryRecorder::client();
  const ExplainedStory free(story), told(bound);
  ASSERT_TRUE(free.has("open.no_local_address"));
  EXPECT_EQ(free.grade("open.no_local_address"), Grade::assumed);
  ASSERT_TRUE(told.has("open.pair_or_time_wait"));
  EXPECT_EQ(told.grade("open.pair_or_time_wait"), Grade::assumed);
}

TEST(NoAddress, a_pair_in_use_is_named_by_the_connection_that_has_it) {
  StoryRecorder story;
  story.open();
  story.call("client", 500, 510, "connect", to_server, {-1, EADDRNOTAVAIL}, 7);
  story.last_call().socket = story.last_return().socket = 33;
  story.last_call().local = StoryRecorder::client();
  const ExplainedStory told(story);
  ASSERT_TRUE(told.has("open.pair_in_use"));
  EXPECT_FALSE(told.has("open.no_local_address"));
  EXPECT_FALSE(told.has("open.pair_or_time_wait"));
}

// --- bind(), listen() -------------------------------------------------------------------------------------------------

constexpr auto at_9999 = "3, {sa_family=AF_INET, sin_port=htons(9999), sin_addr=inet_addr(\"127.0.0.1\")}, 16";

TEST(Bind, that_failed_has_a_finding_for_each_cause) {
  struct Case {
    int error;
    std::string_view arguments, rule;
  };
  for (const Case& one :
       {Case{EADDRNOTAVAIL, at_9999, "bind.no_such_address"}, Case{EACCES, at_9999, "bind.not_permitted"},
        Case{EADDRINUSE, at_9999, "bind.in_use"}, Case{ENODEV, at_9999, "bind.failed"},
        Case{EADDRINUSE, "3, {sa_family=AF_INET, sin_port=htons(0), ...}, 16", "bind.no_port_left"}}) {
    StoryRecorder story;
    story.call("server", 0, 1, "bind", std::string(one.arguments), {-1, one.error});
    const ExplainedStory told(story);
    EXPECT_TRUE(told.has(one.rule)) << one.rule;
    EXPECT_EQ(told.explained.findings.size(), 1U) << one.rule;
  }
}

TEST(Bind, to_a_port_in_use_names_who_listens) {
  StoryRecorder story;
  story.call("server", 0, 1, "listen", "3, 1");
  story.call("client", 10, 11, "bind", at_9999, {-1, EADDRINUSE});
  const ExplainedStory told(story);
  ASSERT_TRUE(told.has("bind.held_by_listener"));
  EXPECT_NE(told.text("bind.held_by_listener").find("server[101]"), std::string::npos);
  EXPECT_FALSE(told.has("bind.in_use"));
}

TEST(Bind, to_a_port_in_use_names_whom_the_kernel_had_at_it) {
  StoryRecorder story;
  story.call("server", 0, 1, "bind", at_9999, {-1, EADDRINUSE});
  recording::SocketState holder;
  holder.socket = 77, holder.local = holder.remote = StoryRecorder::server(), holder.to = tcp::State::established;
  story.event(20, "client", holder);
  const ExplainedStory told(story);
  ASSERT_TRUE(told.has("bind.held_by_connection"));
  EXPECT_NE(told.text("bind.held_by_connection").find("client[102]"), std::string::npos);
  EXPECT_TRUE(told.explained.timeline.connections.empty());  // it is no connection of the program's
}

// A child closes what it has of its parent's.
TEST(Bind, to_a_port_in_use_names_who_listens_still) {
  for (const bool by_child : {true, false}) {
    StoryRecorder story;
    story.call("server", 0, 1, "listen", "3, 1");
    story.call(by_child ? "client" : "server", 5, 6, "close", "3", {}, 3);
    story.last_call().socket = story.last_return().socket = 20;
    story.call("client", 10, 11, "bind", at_9999, {-1, EADDRINUSE});
    EXPECT_EQ(ExplainedStory(story).has("bind.held_by_listener"), by_child);
  }
}

TEST(Bind, to_a_low_port_asks_where_the_low_ports_end) {
  constexpr auto at_80 = "3, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr(\"127.0.0.1\")}, 16";
  for (const std::string_view set : {"", "1024", "0"}) {
    StoryRecorder story;
    if (!set.empty()) story.provenance().settings["net.ipv4.ip_unprivileged_port_start"] = set;
    story.call("server", 0, 1, "bind", at_80, {-1, EACCES});
    const ExplainedStory told(story);
    ASSERT_TRUE(told.has("bind.not_permitted"));
    EXPECT_EQ(told.grade("bind.not_permitted"), set == "0" ? Grade::assumed : Grade::derived) << set;
    EXPECT_EQ(told.text("bind.not_permitted").contains("below 1024"), set != "0") << told.text("bind.not_permitted");
  }
}

TEST(Bind, advises_no_option_that_was_set) {
  StoryRecorder with, without;
  with.call("server", 0, 1, "setsockopt", "3, SOL_SOCKET, SO_REUSEADDR, [1], 4", {}, 3);
  for (auto* s : {&with, &without}) s->call("server", 2, 3, "bind", at_9999, {-1, EADDRINUSE});
  const ExplainedStory set(with), unset(without);
  EXPECT_EQ(remedy(*set.finding("bind.in_use"), Language::en).find("set SO_REUSEADDR"), std::string::npos);
  EXPECT_NE(set.text("bind.in_use").find("SO_REUSEADDR was set"), std::string::npos);
  EXPECT_NE(remedy(*unset.finding("bind.in_use"), Language::en).find("set SO_REUSEADDR"), std::string::npos);
}

// --- Losses that the kernel explains ----------------------------------------------------------------------------------

TEST(Loss, that_the_kernel_explains_is_not_lost_on_the_way) {
  StoryRecorder story, unknown;
  for (auto* s : {&story, &unknown}) {
    s->open();
    s->call("client", 500, 600, "send", "3, \"hello\", 5, 0", {5});
    s->segment(550, "client", P | A, 1, 1, 5);
    s->segment(250'000, "client", P | A, 1, 1, 5);
    s->segment(250'010, "server", A, 1, 6);
  }
  story.dropped(551, "server", "P.", 1, 1, 5, "NO_SOCKET");
  const ExplainedStory told(story), lost(unknown);
  ASSERT_TRUE(told.has("loss.thrown_away"));
  EXPECT_FALSE(told.has("loss.retransmitted"));
  EXPECT_TRUE(lost.has("loss.retransmitted"));
}

// --- The accept queue -------------------------------------------------------------------------------------------------

// Another socket, from another port.
void another_times_out(StoryRecorder& story) {
  story.from_port(40001);
  story.call("client", 1000, 3'000'000, "connect", to_server, {-1, ETIMEDOUT}, 5);
  story.last_call().socket = story.last_return().socket = 12;
  for (const std::int64_t at : {1010, 1'000'000}) story.segment(at, "client", S, 5000);
}

TEST(AcceptQueue, that_was_full_by_what_waited_is_named_with_its_listener) {
  StoryRecorder story;
  story.call("server", 0, 1, "listen", "3, 0");
  story.connect();
  another_times_out(story);
  const ExplainedStory told(story);
  ASSERT_TRUE(told.has("open.queue_full"));
  EXPECT_EQ(told.grade("open.queue_full"), Grade::derived);
  EXPECT_NE(told.text("open.queue_full").find("server[101]"), std::string::npos) << told.text("open.queue_full");
  EXPECT_EQ(remedy(*told.finding("open.timed_out"), Language::en).find("firewall"), std::string::npos);
}

TEST(AcceptQueue, is_not_full_where_what_waited_was_accepted) {
  StoryRecorder story;
  story.call("server", 0, 1, "listen", "3, 0");
  story.connect();
  story.call("server", 80, 90, "accept", "3, NULL, NULL", {4});
  another_times_out(story);
  const ExplainedStory told(story);
  EXPECT_FALSE(told.has("open.queue_full"));
  EXPECT_NE(remedy(*told.finding("open.timed_out"), Language::en).find("firewall"), std::string::npos);
}

// net.core.somaxconn may have been raised: as many wait as one likes.
TEST(AcceptQueue, is_not_said_to_be_full_where_more_was_asked_for_than_the_kernel_grants_by_itself) {
  constexpr std::uint16_t first_port = 20'000;
  for (const std::string_view listen : {"3, 4096", "3, 65535", "3, -1"}) {
    StoryRecorder story;
    story.call("server", 0, 1, "listen", std::string(listen));
    for (int i = 0; i < 4097; ++i) {
      story.from_port(static_cast<std::uint16_t>(first_port + i));
      story.segment(20, "client", S, 0);
      story.segment(25, "server", S | A, 0, 1);
      story.segment(30, "client", A, 1, 1);
    }
    another_times_out(story);
    EXPECT_EQ(ExplainedStory(story).has("open.queue_full"), listen == "3, 4096") << listen;
  }
}

TEST(AcceptQueue, that_was_full_takes_no_ack_of_a_syn_cookie) {
  for (const bool reset : {false, true}) {
    StoryRecorder story;
    story.connect();
    story.dropped(31, "server", ".", 1, 1, 0, "NO_SOCKET");
    if (reset) story.segment(32, "server", R, 1);  // there was no listener any more
    const ExplainedStory told(story);
    EXPECT_EQ(told.has("open.queue_full"), !reset);
  }
}

// A counter of the whole namespace says nothing of a handshake that went well.
TEST(AcceptQueue, is_not_said_to_be_full_of_a_handshake_that_was_quick) {
  StoryRecorder story;
  story.open();
  story.counter(0, 20'000, "TcpExt.ListenOverflows");
  EXPECT_FALSE(ExplainedStory(story).has("open.queue_full"));
}

TEST(EarlierIncarnation, that_answers_a_syn_is_no_loss_and_no_full_queue) {
  StoryRecorder story;
  story.call("client", 10, 1'100'000, "connect", to_server);
  story.segment(20, "client", S, 0);
  story.segment(22, "server", A, 4000, 777);
  story.segment(24, "client", R, 777);
  story.segment(1'000'000, "client", S, 0);
  story.segment(1'000'010, "server", S | A, 0, 1);
  story.segment(1'000'020, "client", A, 1, 1);
  const ExplainedStory told(story);
  EXPECT_TRUE(told.has("open.earlier_incarnation"));
  EXPECT_FALSE(told.has("open.syn_lost"));
  EXPECT_FALSE(told.has("open.queue_full"));
}

}  // namespace
}  // namespace tcpwhy::explain
