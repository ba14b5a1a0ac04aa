// What two SYNs agree on, how data is acknowledged, urgent bytes, calls in the wrong state: a story in which it is found, and the
// neighbouring one in which it must not be.
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>

#include "explain/explained_story_testing.h"

namespace tcpwhy::explain {
namespace {

using recording::testing::StoryRecorder;
using testing::ExplainedStory;

constexpr std::uint16_t F = 0x01, S = 0x02, R = 0x04, P = 0x08, A = 0x10, U = 0x20, E = 0x40, C = 0x80;
constexpr auto to_server = "3, {sa_family=AF_INET, sin_port=htons(9999), sin_addr=inet_addr(\"127.0.0.1\")}, 16";

using Bytes = std::vector<std::uint8_t>;
const Bytes all_options = {2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 3, 3, 7, 1};
const Bytes mss_only = {2, 4, 5, 180};
const Bytes cookie_request = {2, 4, 5, 180, 34, 2, 1, 1};
const Bytes cookie = {2, 4, 5, 180, 34, 10, 1, 2, 3, 4, 5, 6, 7, 8, 1, 1};
const Bytes signature = {19, 18, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1};

// A handshake with these options; 5 to 15 µs.
void shake(StoryRecorder& story, const Bytes& asked, const Bytes& answered, std::uint16_t syn_bits = S,
           std::uint16_t answer_bits = S | A) {
  story.call("server", 0, 1, "listen", "3, 1");
  story.call("client", 4, 20, "connect", to_server);
  story.options(asked);
  story.segment(5, "client", syn_bits, 0);
  story.options(answered);
  story.segment(10, "server", answer_bits, 0, 1);
  story.segment(15, "client", A, 1, 1);
}

// --- Agreeing ----------------------------------------------------------------------------------------------------

TEST(Agreeing, an_option_needs_both_syns) {
  StoryRecorder both, without, refused;
  shake(both, all_options, all_options);
  shake(without, mss_only, mss_only);
  shake(refused, all_options, mss_only);
  EXPECT_FALSE(ExplainedStory(both).has("open.option_missing"));
  EXPECT_NE(ExplainedStory(without)
                .text("open.option_missing")
                .find("The client did not offer SACK, timestamps, window scale"),
            std::string::npos);
  EXPECT_NE(ExplainedStory(refused).text("open.option_missing").find("The server did not offer"), std::string::npos);
}

TEST(Agreeing, ecn_needs_both_syns) {
  StoryRecorder both, one;
  shake(both, mss_only, mss_only, S | E | C, S | A | E);
  shake(one, mss_only, mss_only, S | E | C, S | A);
  EXPECT_TRUE(ExplainedStory(both).has("open.ecn"));
  EXPECT_FALSE(ExplainedStory(one).has("open.ecn"));
}

TEST(Agreeing, fast_open_is_granted_or_refused) {
  StoryRecorder granted, refused, plain;
  shake(granted, cookie_request, cookie);
  shake(refused, cookie_request, mss_only);
  shake(plain, mss_only, mss_only);
  const ExplainedStory yes(granted), no(refused), none(plain);
  EXPECT_TRUE(yes.has("open.fast_open_cookie"));
  EXPECT_FALSE(yes.has("open.fast_open_refused"));
  EXPECT_TRUE(no.has("open.fast_open_refused"));
  EXPECT_FALSE(no.has("open.fast_open_cookie"));
  EXPECT_FALSE(none.has("open.fast_open_refused"));
}

TEST(Agreeing, signatures) {
  StoryRecorder both, dropped, counted, silent;
  shake(both, signature, signature);
  EXPECT_TRUE(ExplainedStory(both).has("open.signed"));
  for (auto* s : {&dropped, &counted, &silent}) {
    s->options(signature);
    s->segment(5, "client", S, 0);
    s->call("client", 1, 3'000'000, "connect", to_server, {-1, ETIMEDOUT});
  }
  dropped.dropped(6, "server", "S", 0, 0, 0, "TCP_MD5UNEXPECTED");
  counted.counter(1, 20'000, "TcpExt.TCPMD5Unexpected");
  const ExplainedStory seen(dropped), derived(counted), lost(silent);
  ASSERT_TRUE(seen.has("open.signature_refused"));
  EXPECT_EQ(seen.finding("open.signature_refused")->grade, Grade::observed);
  ASSERT_TRUE(derived.has("open.signature_refused"));
  EXPECT_EQ(derived.finding("open.signature_refused")->grade, Grade::derived);
  EXPECT_FALSE(lost.has("open.signature_refused"));
}

TEST(Agreeing, deferred_until_data_comes) {
  struct Case {
    std::string value;
    std::uint64_t socket;  // 20: the listener's
    int error = 0;
  };
  const auto told = [](std::optional<Case> set) {
    StoryRecorder story;
    story.call("server", 0, 1, "listen", "3, 5");
    if (set) {
      story.call("server", 2, 3, "setsockopt", "3, SOL_TCP, TCP_DEFER_ACCEPT, [" + set->value + "], 4",
                 {set->error == 0 ? 0 : -1, set->error});
      story.last_call().socket = set->socket;
      story.last_call().local.reset(), story.last_call().remote.reset();
      story.last_return().socket = set->socket;
    }
    shake(story, all_options, all_options);
    story.segment(300'000, "client", P | A, 1, 1, 3);
    return ExplainedStory(story).has("open.deferred");
  };
  EXPECT_TRUE(told(Case{"5", 20}));
  EXPECT_FALSE(told(std::nullopt));
  EXPECT_FALSE(told(Case{"5", 77})) << "another listener's";
  EXPECT_FALSE(told(Case{"0", 20})) << "it was switched off";
  EXPECT_FALSE(told(Case{"5", 20, EPERM})) << "it failed";
}

// --- Acknowledging -----------------------------------------------------------------------------------------------

// `times` requests of five bytes, each acknowledged `ack` µs and answered `answer` µs later; 0: neither.
void requests(StoryRecorder& story, int times, std::int64_t ack, std::int64_t answer) {
  story.open();
  for (int i = 0; i < times; ++i) {
    const auto at = 1000 + i * 200'000;
    const auto n = static_cast<std::uint32_t>(1 + 5 * i);
    story.segment(at, "client", P | A, n, n, 5);
    if (ack > 0) story.segment(at + ack, "server", A, n, n + 5);
    if (answer > 0) story.segment(at + answer, "server", P | A, n, n + 5, 5);
  }
}

TEST(Acknowledging, on_the_answer) {
  StoryRecorder often, once;
  requests(often, 5, 0, 5000);
  requests(once, 1, 0, 5000);
  EXPECT_TRUE(ExplainedStory(often).has("ack.on_answer"));
  EXPECT_FALSE(ExplainedStory(once).has("ack.on_answer"));
}

TEST(Acknowledging, at_once_because_answers_are_slow) {
  StoryRecorder slow, fast;
  requests(slow, 5, 5, 100'000);
  requests(fast, 5, 5, 10'000);
  EXPECT_TRUE(ExplainedStory(slow).has("ack.before_slow_answer"));
  EXPECT_FALSE(ExplainedStory(fast).has("ack.before_slow_answer"));
}

TEST(Acknowledging, by_quickack) {
  StoryRecorder asked, not_asked;
  requests(asked, 2, 5, 10'000);
  asked.call("server", 500, 510, "setsockopt", "4, SOL_TCP, TCP_QUICKACK, [1], 4");
  requests(not_asked, 2, 5, 10'000);
  EXPECT_TRUE(ExplainedStory(asked).has("ack.by_quickack"));
  EXPECT_FALSE(ExplainedStory(not_asked).has("ack.by_quickack"));
}

TEST(Acknowledging, by_reading) {
  StoryRecorder reading, arriving;
  for (auto* s : {&reading, &arriving}) {
    requests(*s, 4, 50, 0);
    for (int i = 0; i < 4; ++i) {
      const auto at = 1000 + i * 200'000;
      const auto call = s->call("server", at + 40, at + 60, "recv", "4, \"hello\", 5, 0", {5});
      if (s == &reading)
        s->cause(at + 50, "server", ".", static_cast<std::uint32_t>(1 + 5 * i), static_cast<std::uint32_t>(6 + 5 * i),
                 0, {"call", "recv", call});
      else
        s->cause(at + 50, "server", ".", static_cast<std::uint32_t>(1 + 5 * i), static_cast<std::uint32_t>(6 + 5 * i),
                 0, {"segment", "segment.data"});
    }
  }
  EXPECT_TRUE(ExplainedStory(reading).has("ack.by_reading"));
  EXPECT_FALSE(ExplainedStory(arriving).has("ack.by_reading"));
}

TEST(Sending, small_writes_wait_for_a_round_trip) {
  StoryRecorder waits, at_once;
  for (auto* s : {&waits, &at_once}) {
    s->open();
    s->call("client", 1000, 1010, "send", "3, \"a\", 1, 0", {1});
    s->segment(1005, "client", P | A, 1, 1, 1);
    s->call("client", 1020, 1030, "send", "3, \"b\", 1, 0", {1});
  }
  at_once.segment(1025, "client", P | A, 2, 1, 1);
  waits.segment(31'000, "server", A, 1, 2);
  waits.cause(31'000, "server", ".", 1, 2, 0, {"segment", "segment.data"});
  waits.segment(31'005, "client", P | A, 2, 1, 1);
  waits.cause(31'005, "client", "P.", 2, 1, 1, {"segment", "segment.made_room"});
  EXPECT_TRUE(ExplainedStory(waits).has("send.waited_for_ack"));
  EXPECT_FALSE(ExplainedStory(at_once).has("send.waited_for_ack"));
}

// What the peer has no room for waits for its ACK too, however big: that is no matter of Nagle's.
TEST(Sending, what_the_window_holds_is_not_laid_to_nagle) {
  for (const std::uint16_t window : {std::uint16_t{1000}, std::uint16_t{2000}}) {
    StoryRecorder story;
    story.options({2, 4, 0xff, 0xd7});  // MSS 65495
    story.segment(20, "client", 0x002, 0);
    story.options({2, 4, 0xff, 0xd7});
    story.segment(25, "server", 0x012, 0, 1, 0, window);
    story.segment(30, "client", A, 1, 1);
    story.call("server", 80, 90, "accept", "3, NULL, NULL", {4});
    story.call("client", 1000, 1010, "send", "3, \"\"..., 900, 0", {900});
    story.segment(1005, "client", P | A, 1, 1, 900);
    story.call("client", 1020, 1030, "send", "3, \"\"..., 900, 0", {900});
    story.segment(31'000, "server", A, 1, 901, 0, window);
    story.cause(31'000, "server", ".", 1, 901, 0, {"segment", "segment.data"});
    story.segment(31'005, "client", P | A, 901, 1, 900);
    story.cause(31'005, "client", "P.", 901, 1, 900, {"segment", "segment.made_room"});
    EXPECT_EQ(ExplainedStory(story).has("send.waited_for_ack"), window == 2000);
  }
}

TEST(Sending, a_cork_holds_for_200_ms) {
  StoryRecorder corked, shut, small;
  for (auto* s : {&corked, &shut, &small}) {
    s->open();
    if (s != &small) s->call("client", 400, 401, "setsockopt", "3, SOL_TCP, TCP_CORK, [1], 4");
    s->segment(500, "server", A, 1, 1, 0, s == &shut ? 0 : 512);
    s->call("client", 1000, 1010, "send", "3, \"a\", 1, 0", {1});
    s->segment(201'000, "client", P | A, 1, 1, 1);
    s->cause(201'000, "client", "P.", 1, 1, 1, {"timer", "zero_window_probe_timer"});
  }
  // The probe missed the timer.
  StoryRecorder missed, plain;
  for (auto* s : {&missed, &plain}) {
    s->open();
    if (s == &missed) s->call("client", 500, 501, "setsockopt", "3, SOL_TCP, TCP_CORK, [1], 4");
    s->call("client", 1000, 1010, "send", "3, \"a\", 1, 0", {1});
    s->segment(203'000, "client", P | A, 1, 1, 1);
  }
  EXPECT_TRUE(ExplainedStory(missed).has("send.cork_timed_out"));
  EXPECT_FALSE(ExplainedStory(plain).has("send.cork_timed_out"));
  EXPECT_TRUE(ExplainedStory(corked).has("send.cork_timed_out"));
  EXPECT_FALSE(ExplainedStory(shut).has("send.cork_timed_out"));
  EXPECT_FALSE(ExplainedStory(small).has("send.cork_timed_out")) << "too small a window";
}

TEST(Sending, msg_more_leaves_with_the_next_call) {
  StoryRecorder more, none;
  for (auto* s : {&more, &none}) {
    s->open();
    s->call("client", 1000, 1010, "send", s == &more ? "3, \"a\", 1, MSG_MORE" : "3, \"a\", 1, 0", {1});
    s->call("client", 60'000, 60'010, "send", "3, \"b\", 1, 0", {1});
    s->segment(60'005, "client", P | A, 1, 1, 2);
  }
  EXPECT_TRUE(ExplainedStory(more).has("send.held_back"));
  EXPECT_FALSE(ExplainedStory(none).has("send.held_back"));
}

TEST(Sending, one_call_many_segments) {
  StoryRecorder many, one;
  for (auto* s : {&many, &one}) {
    s->open();
    s->call("client", 1000, 1100, "send", "3, \"x\"..., 2000, 0", {2000});
  }
  many.segment(1010, "client", A, 1, 1, 1460);
  many.segment(1020, "client", P | A, 1461, 1, 540);
  one.segment(1010, "client", P | A, 1, 1, 2000);
  EXPECT_TRUE(ExplainedStory(many).has("send.segmented"));
  EXPECT_FALSE(ExplainedStory(one).has("send.segmented"));
}

TEST(Urgent, the_first_byte_is_lost_if_nobody_took_it) {
  StoryRecorder lost, taken, in_line;
  for (auto* s : {&lost, &taken, &in_line}) {
    s->open();
    s->segment(1000, "client", P | A | U, 1, 1, 1);
    s->segment(9000, "client", P | A | U, 2, 1, 1);
  }
  taken.call("server", 2000, 2010, "recv", "4, \"1\", 1, MSG_OOB", {1});
  in_line.call("server", 500, 510, "setsockopt", "4, SOL_SOCKET, SO_OOBINLINE, [1], 4");
  EXPECT_TRUE(ExplainedStory(lost).has("urgent.replaced"));
  const ExplainedStory read(taken), stays(in_line);
  EXPECT_TRUE(read.has("urgent.apart"));
  EXPECT_FALSE(read.has("urgent.replaced"));
  EXPECT_TRUE(stays.has("urgent.inline"));
  EXPECT_FALSE(stays.has("urgent.apart"));
}

TEST(Urgent, the_byte_is_apart_where_the_option_was_cleared) {
  for (const bool set_again : {false, true}) {
    StoryRecorder story;
    story.open();
    if (set_again) story.call("server", 400, 410, "setsockopt", "4, SOL_SOCKET, SO_OOBINLINE, [0], 4");
    story.call("server", 500, 510, "setsockopt",
               std::string("4, SOL_SOCKET, SO_OOBINLINE, [") + (set_again ? "1" : "0") + "], 4");
    story.segment(1000, "client", P | A | U, 1, 1, 1);
    const ExplainedStory told(story);
    EXPECT_EQ(told.has("urgent.inline"), set_again);
    EXPECT_EQ(told.has("urgent.apart"), !set_again);
  }
}

// --- Closing and calls -------------------------------------------------------------------------------------------

TEST(Discarding, what_a_reset_throws_away) {
  StoryRecorder unsent, sent;
  for (auto* s : {&unsent, &sent}) {
    s->open();
    s->call("server", 900, 901, "setsockopt", "4, SOL_SOCKET, SO_LINGER, {l_onoff=1, l_linger=0}, 8");
    s->call("server", 1000, 1010, "send", "4, \"x\"..., 500, 0", {500});
  }
  unsent.segment(1005, "server", P | A, 1, 1, 100);
  sent.segment(1005, "server", P | A, 1, 1, 500);
  for (auto* s : {&unsent, &sent}) {
    s->call("server", 2000, 2010, "close", "4");
    s->segment(2005, "server", R | A, 501, 1);
  }
  EXPECT_NE(ExplainedStory(unsent).text("reset.unsent_discarded").find("400 bytes"), std::string::npos);
  EXPECT_FALSE(ExplainedStory(sent).has("reset.unsent_discarded"));
}

TEST(Sharing, shutdown_acts_on_what_a_child_holds_too) {
  StoryRecorder forked, alone;
  for (auto* s : {&forked, &alone}) {
    s->open();
    s->call("server", 2000, 2010, "shutdown", "4, SHUT_WR");
    s->segment(2005, "server", F | A, 1, 1);
  }
  forked.event(1000, "server", recording::ProcessStarted{"child", 101});
  EXPECT_TRUE(ExplainedStory(forked).has("shutdown.despite_sharing"));
  EXPECT_FALSE(ExplainedStory(alone).has("shutdown.despite_sharing"));
}

TEST(Reading, after_shut_rd_data_still_comes) {
  StoryRecorder shut, open;
  for (auto* s : {&shut, &open}) {
    s->open();
    s->segment(1000, "client", P | A, 1, 1, 5);
    s->call("server", 2000, 2010, "recv", "4, \"hello\", 5, 0", {5});
  }
  shut.call("server", 500, 510, "shutdown", "4, SHUT_RD");
  EXPECT_TRUE(ExplainedStory(shut).has("recv.after_shut_rd"));
  EXPECT_FALSE(ExplainedStory(open).has("recv.after_shut_rd"));
}

TEST(Signals, blocked_is_not_ignored) {
  StoryRecorder blocked, unblocked;
  for (auto* s : {&blocked, &unblocked}) {
    s->open();
    s->call("client", 200, 210, "rt_sigprocmask", "SIG_BLOCK, [PIPE], NULL, 8");
    s->call("client", 1000, 1010, "send", "3, \"hello\", 5, 0", {-1, EPIPE});
  }
  unblocked.call("client", 300, 310, "rt_sigprocmask", "SIG_UNBLOCK, [PIPE], NULL, 8");
  EXPECT_TRUE(ExplainedStory(blocked).has("signal.blocked"));
  EXPECT_FALSE(ExplainedStory(unblocked).has("signal.blocked"));
}

TEST(Calls, in_the_wrong_state) {
  StoryRecorder wrong, right;
  wrong.call("client", 10, 20, "accept", "3, NULL, NULL", {-1, EINVAL});
  right.call("client", 10, 20, "accept", "3, NULL, NULL", {-1, EAGAIN});
  EXPECT_TRUE(ExplainedStory(wrong).has("call.wrong_state"));
  EXPECT_FALSE(ExplainedStory(right).has("call.wrong_state"));
}

TEST(Calls, sending_where_nobody_ever_was) {
  StoryRecorder never, once;
  never.call("client", 10, 20, "send", "3, \"x\", 1, 0", {-1, EPIPE});
  never.last_call().remote.reset();
  never.last_call().local.reset();
  once.open();
  once.call("client", 1000, 1010, "send", "3, \"x\", 1, 0", {-1, EPIPE});
  EXPECT_TRUE(ExplainedStory(never).has("call.send_unconnected"));
  EXPECT_FALSE(ExplainedStory(once).has("call.send_unconnected"));
}

// No SIGPIPE comes of a call that asks for none, and of an operation of io_uring that sends a message.
TEST(Calls, sending_where_nobody_ever_was_with_and_without_a_signal) {
  const auto text = [](const char* flags, const char* through) {
    StoryRecorder story;
    story.call("client", 10, 20, "send", std::string("3, \"x\", 1, ") + flags, {-1, EPIPE});
    auto& call = story.last_call();
    call.remote.reset(), call.local.reset(), call.through = through;
    const ExplainedStory told(story);
    const auto* finding = told.finding("call.send_unconnected");
    return std::pair(finding ? say(*finding, Language::en) : "", finding ? say(*finding, Language::zh) : "");
  };
  const auto [loud, loud_zh] = text("0", "");
  EXPECT_TRUE(loud.contains("SIGPIPE") && loud_zh.contains("SIGPIPE")) << loud << loud_zh;
  for (const auto& [flags, through] : {std::pair("MSG_NOSIGNAL", ""), {"0", "io_uring"}}) {
    const auto [quiet, quiet_zh] = text(flags, through);
    EXPECT_TRUE(quiet.contains("EPIPE") && quiet_zh.contains("EPIPE"));
    EXPECT_FALSE(quiet.contains("SIGPIPE") || quiet_zh.contains("SIGPIPE")) << quiet << quiet_zh;
  }
}

TEST(Calls, listening_without_a_port_of_ones_own) {
  StoryRecorder unbound, bound, made_before;
  for (auto* s : {&unbound, &bound}) s->call("client", 1, 2, "socket", "AF_INET, SOCK_STREAM, IPPROTO_IP", {3});
  bound.call("client", 3, 4, "bind", to_server);
  for (auto* s : {&unbound, &bound, &made_before}) s->call("client", 5, 6, "listen", "3, 1");
  EXPECT_TRUE(ExplainedStory(unbound).has("listen.without_bind"));
  EXPECT_FALSE(ExplainedStory(bound).has("listen.without_bind"));
  EXPECT_FALSE(ExplainedStory(made_before).has("listen.without_bind"));  // somebody may have bound it
}

// One more than the backlog may wait (sk_acceptq_is_full()).
TEST(Calls, listening_with_room_for_one_or_two) {
  const auto told = [](std::string_view arguments, std::int64_t result = 0) {
    StoryRecorder story;
    story.call("server", 1, 2, "listen", std::string(arguments), {result, result < 0 ? EADDRINUSE : 0});
    return ExplainedStory(story).has("listen.small_backlog");
  };
  EXPECT_TRUE(told("3, 0"));
  EXPECT_TRUE(told("3, 1"));
  EXPECT_FALSE(told("3, 2"));
  EXPECT_FALSE(told("3, 128"));
  EXPECT_FALSE(told("3, -1")) << "the longest there is";
  EXPECT_FALSE(told("3, 1", -1)) << "nobody listens";

  for (const std::string later : {"3, 50", "3, -1", "3, 1"}) {
    StoryRecorder story;
    story.call("server", 1, 2, "listen", "3, 0");
    story.call("server", 3, 4, "listen", later);
    EXPECT_EQ(ExplainedStory(story).has("listen.small_backlog"), later == "3, 1") << later;
  }
  StoryRecorder narrowed;
  narrowed.call("server", 1, 2, "listen", "3, 50");
  narrowed.call("server", 3, 4, "listen", "3, 0");
  EXPECT_TRUE(ExplainedStory(narrowed).has("listen.small_backlog"));

  StoryRecorder none, one;
  none.call("server", 1, 2, "listen", "3, 0");
  for (const int at : {1, 3}) one.call("server", at, at + 1, "listen", "3, 1");
  const ExplainedStory of_none(none), of_one(one);
  EXPECT_EQ(of_none.grade("listen.small_backlog"), Grade::observed);
  EXPECT_NE(of_none.text("listen.small_backlog").find("at most 1 of the connections"), std::string::npos);
  EXPECT_NE(of_one.text("listen.small_backlog").find("at most 2 of the connections"), std::string::npos);
  EXPECT_EQ(std::ranges::count(of_one.explained.findings, std::string_view("listen.small_backlog"),
                               [](const auto& finding) { return finding.rule->id; }),
            1);
}

// The client's connection, closed first by `first`; then the same ports again.
void twice(StoryRecorder& story, std::string_view first, std::string_view second) {
  story.open();
  story.segment(1000, first, F | A, 1, 1);
  story.segment(1010, second, F | A, 1, 2);
  story.segment(1020, first, A, 2, 2);
  story.segment(2'000'000, "client", S, 100'000);
  story.segment(2'000'010, "server", S | A, 100'000, 100'001);
  story.segment(2'000'020, "client", A, 100'001, 100'001);
}

TEST(Agreeing, a_port_in_time_wait_is_used_again) {
  StoryRecorder own, others;
  twice(own, "client", "server");
  twice(others, "server", "client");
  EXPECT_TRUE(ExplainedStory(own).has("open.time_wait_reused"));
  EXPECT_FALSE(ExplainedStory(others).has("open.time_wait_reused"));
}

TEST(Agreeing, an_ipv4_peer_of_an_ipv6_socket) {
  StoryRecorder mapped, plain;
  for (auto* s : {&mapped, &plain}) s->open();
  recording::Recording with = mapped.take();
  for (auto& event : with.events)
    if (auto* returned = std::get_if<recording::CallReturned>(&event.what); returned != nullptr && returned->new_fd)
      returned->remote->ip = *wire::IpAddress::parse("::ffff:127.0.0.1");
  EXPECT_TRUE(ExplainedStory(std::move(with)).has("open.v4_mapped"));
  EXPECT_FALSE(ExplainedStory(plain).has("open.v4_mapped"));
}

}  // namespace
}  // namespace tcpwhy::explain
