#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>

#include "explain/explained_story_testing.h"

namespace tcpwhy::explain {
namespace {

using recording::testing::StoryRecorder;
using testing::client_sends_and_is_reset;
using testing::ExplainedStory;
using testing::server_closes;

constexpr std::uint16_t F = 0x01, R = 0x04, P = 0x08, A = 0x10;

TEST(Findings, each_has_evidence) {
  StoryRecorder story;
  story.open();
  server_closes(story);
  story.segment(4000, "client", A, 1, 2);
  const ExplainedStory told(story);
  EXPECT_GE(told.explained.findings.size(), 6U);
  for (const auto& finding : told.explained.findings) {
    EXPECT_FALSE(finding.evidence.empty()) << finding.rule->id;
    EXPECT_EQ(say(finding, Language::en).find('{'), std::string::npos) << say(finding, Language::en);
    EXPECT_EQ(say(finding, Language::zh).find('{'), std::string::npos) << say(finding, Language::zh);
  }
}

TEST(Findings, of_opening) {
  StoryRecorder story;
  story.open();
  const ExplainedStory told(story);
  EXPECT_TRUE(told.has("open.handshake"));
  EXPECT_TRUE(told.has("open.inside_connect"));
  EXPECT_TRUE(told.has("open.before_accept"));
  EXPECT_FALSE(told.has("open.refused"));
}

TEST(Findings, fin_ack_at_the_next_tick_when_no_data_came_before) {
  StoryRecorder story;
  story.open();
  server_closes(story);
  story.segment(4000, "client", A, 1, 2);
  const ExplainedStory told(story);
  EXPECT_TRUE(told.has("fin_ack.next_tick"));
  EXPECT_FALSE(told.has("fin_ack.delayed"));
  EXPECT_TRUE(told.has("close.orphan_waits"));
}

TEST(Findings, fin_ack_after_forty_ms_when_data_came_before) {
  StoryRecorder story;
  story.open();
  story.call("server", 500, 600, "send", "4, \"hello\", 5, 0", {5});
  story.segment(550, "server", P | A, 1, 1, 5);
  story.segment(560, "client", A, 1, 6);
  server_closes(story, 6);
  story.segment(42050, "client", A, 1, 7);
  const ExplainedStory told(story);
  ASSERT_TRUE(told.has("fin_ack.delayed"));
  EXPECT_EQ(std::get<base::Duration>(told.finding("fin_ack.delayed")->slots.at("after")),
            std::chrono::milliseconds(41));
}

// A side that was told to wait longer (TCP_QUICKACK 0), or that took data with the SYN, is not that case.
TEST(Findings, fin_ack_by_a_timer_that_was_set_for_neither_time_is_not_explained_by_it) {
  StoryRecorder story;
  story.open();
  server_closes(story);
  story.segment(45'000, "client", A, 1, 2);
  const ExplainedStory told(story);
  EXPECT_TRUE(told.has("fin_ack.by_timer"));
  EXPECT_FALSE(told.has("fin_ack.next_tick"));
}

TEST(Findings, one_ack_for_data_and_fin) {
  StoryRecorder story;
  story.open();
  story.call("server", 500, 600, "send", "4, \"hello\", 5, 0", {5});
  story.segment(550, "server", P | A, 1, 1, 5);
  server_closes(story, 6);
  story.segment(40550, "client", A, 1, 7);
  const ExplainedStory told(story);
  ASSERT_TRUE(told.has("fin_ack.covers_data"));
  EXPECT_EQ(std::get<base::Duration>(told.finding("fin_ack.covers_data")->slots.at("after_data")),
            std::chrono::milliseconds(40));
}

TEST(Findings, ebadf_after_close_without_a_packet) {
  StoryRecorder story;
  story.open();
  server_closes(story);
  story.call("server", 2000, 2001, "send", "4, \"hi\", 2, 0", {-1, EBADF});
  const ExplainedStory told(story);
  ASSERT_TRUE(told.has("call.bad_descriptor"));
  EXPECT_EQ(told.finding("call.bad_descriptor")->grade, Grade::observed);
}

TEST(Findings, reset_by_the_entry_when_the_fin_had_been_acknowledged) {
  StoryRecorder story;
  story.open();
  server_closes(story);
  client_sends_and_is_reset(story, 9000, true);
  const ExplainedStory told(story);
  EXPECT_TRUE(told.has("send.after_peer_closed"));
  ASSERT_TRUE(told.has("reset.fin_wait_2_entry"));
  EXPECT_EQ(told.finding("reset.fin_wait_2_entry")->grade, Grade::derived);
  EXPECT_FALSE(told.has("reset.orphan_fin_wait_1"));
}

TEST(Findings, reset_by_the_orphan_when_the_data_itself_acknowledged_the_fin) {
  StoryRecorder story;
  story.open();
  server_closes(story);
  client_sends_and_is_reset(story, 2000, false);
  story.counter(1990, 2200, "TcpExt.TCPAbortOnData");
  const ExplainedStory told(story);
  ASSERT_TRUE(told.has("reset.orphan_fin_wait_1"));
  EXPECT_EQ(told.finding("reset.orphan_fin_wait_1")->grade, Grade::derived);
}

// Nobody saw the server's calls: no shutdown(SHUT_RDWR) is made up for it.
TEST(Findings, reset_for_data_by_a_program_that_nobody_watched_is_assumed_to_be_its_close) {
  StoryRecorder story;
  story.open();
  story.segment(1050, "server", F | A, 1, 1);
  client_sends_and_is_reset(story, 9000, true);
  const ExplainedStory told(story);
  EXPECT_FALSE(told.has("reset.after_shutdown"));
  ASSERT_TRUE(told.has("reset.fin_wait_2_entry"));
  EXPECT_EQ(told.finding("reset.fin_wait_2_entry")->grade, Grade::assumed);
}

TEST(Findings, a_counter_that_contradicts_lowers_the_grade) {
  StoryRecorder story;
  story.open();
  server_closes(story);
  client_sends_and_is_reset(story, 9000, true);
  story.counter(8990, 9200, "TcpExt.TCPAbortOnData");
  const ExplainedStory told(story);
  ASSERT_TRUE(told.has("reset.fin_wait_2_entry"));
  EXPECT_EQ(told.finding("reset.fin_wait_2_entry")->grade, Grade::assumed);
}

TEST(Findings, reset_for_want_of_a_socket_once_the_entry_is_gone) {
  StoryRecorder story;
  story.open();
  server_closes(story);
  story.segment(4000, "client", A, 1, 2);
  story.sample(900000, 1000000, "server", "FIN-WAIT-2", "CLOSED");
  story.call("client", 1100000, 1100100, "send", "3, \"hello\", 5, 0", {5});
  story.segment(1100040, "client", P | A, 1, 2, 5);
  story.segment(1100050, "server", R, 2);
  const ExplainedStory told(story);
  EXPECT_TRUE(told.has("reset.forgotten"));
  EXPECT_FALSE(told.has("reset.fin_wait_2_entry"));
}

TEST(Findings, close_with_unread_data_resets) {
  StoryRecorder story;
  story.open();
  story.call("client", 500, 600, "send", "3, \"hello\", 5, 0", {5});
  story.segment(550, "client", P | A, 1, 1, 5);
  story.segment(560, "server", A, 1, 6);
  story.call("server", 1000, 1100, "close", "4");
  story.segment(1050, "server", R | A, 1, 6);
  story.counter(990, 1200, "TcpExt.TCPAbortOnClose");
  story.call("client", 2000, 2001, "recv", "3, \"\", 4096, 0", {-1, ECONNRESET});
  story.call("client", 2100, 2101, "recv", "3, \"\", 4096, 0", {0});
  story.call("client", 2200, 2201, "send", "3, \"x\", 1, 0", {-1, EPIPE});
  const ExplainedStory told(story);
  ASSERT_TRUE(told.has("reset.unread_data_at_close"));
  EXPECT_EQ(std::get<std::int64_t>(told.finding("reset.unread_data_at_close")->slots.at("bytes")), 5);
  EXPECT_TRUE(told.has("recv.connection_reset"));
  EXPECT_TRUE(told.has("recv.zero_after_error"));
  EXPECT_TRUE(told.has("send.broken_pipe_later")) << "recv() had taken the error";
}

// Whoever took the error, the socket has none any more.
TEST(Findings, an_error_that_was_asked_for_is_taken) {
  for (const bool asked : {true, false}) {
    StoryRecorder story;
    story.open();
    testing::five_bytes(story);
    story.call("server", 1000, 1100, "close", "4");
    story.segment(1050, "server", R | A, 1, 6);
    if (asked) {
      story.call("client", 2000, 2001, "getsockopt", "3, SOL_SOCKET, SO_ERROR, ...");
      story.last_return().detail = "[ECONNRESET], [4]";
    }
    story.call("client", 2100, 2101, "recv", "3, \"\", 4096, 0", {0});
    story.call("client", 2200, 2201, "send", "3, \"x\", 1, 0", {-1, EPIPE});
    const ExplainedStory told(story);
    EXPECT_EQ(told.has("send.broken_pipe_later"), asked);
    EXPECT_EQ(told.has("recv.zero_after_error"), asked);
  }
}

TEST(Findings, linger_zero_resets) {
  StoryRecorder story;
  story.open();
  story.call("server", 500, 510, "setsockopt", "4, SOL_SOCKET, SO_LINGER, {l_onoff=1, l_linger=0}, 8");
  story.call("server", 1000, 1100, "close", "4");
  story.segment(1050, "server", R | A, 1, 1);
  story.call("client", 2000, 2001, "send", "3, \"x\", 1, 0", {-1, ECONNRESET});
  const ExplainedStory told(story);
  EXPECT_TRUE(told.has("reset.linger_zero"));
  EXPECT_FALSE(told.has("reset.unread_data_at_close"));
  EXPECT_TRUE(told.has("send.connection_reset"));
  EXPECT_TRUE(told.has("signal.none_with_econnreset"));
}

TEST(Findings, broken_pipe_and_death_by_sigpipe) {
  StoryRecorder story;
  story.open();
  server_closes(story);
  client_sends_and_is_reset(story, 9000, true);
  const auto send = story.call("client", 10000, -1, "send", "3, \"again\", 5, 0");
  story.event(10500, "client", recording::ProcessEnded{{}, "SIGPIPE", send});
  const ExplainedStory told(story);
  EXPECT_TRUE(told.has("send.broken_pipe"));
  ASSERT_TRUE(told.has("signal.killed"));
  EXPECT_EQ(std::get<std::int64_t>(told.finding("signal.killed")->slots.at("status")), 141);
}

// Nothing was asked for, or a message came: that is no end. An empty last message is.
TEST(Findings, the_end_of_the_stream_is_what_a_call_got_that_asked_for_bytes) {
  const auto ends = [](const char* name, const char* arguments, const char* detail, std::int64_t result,
                       std::uint64_t room) {
    StoryRecorder story;
    story.open();
    server_closes(story);
    story.call("client", 2000, 2001, name, arguments, {result});
    story.last_call().byte_count = room;
    story.last_return().detail = detail;
    return ExplainedStory(story).has("recv.end_of_file");
  };
  EXPECT_TRUE(ends("read", "3, ..., 4096", "\"\"", 0, 4096));
  EXPECT_FALSE(ends("read", "3, ..., 0", "", 0, 0));
  EXPECT_FALSE(ends("readv", "3, ..., 0", "[]", 0, 0));
  EXPECT_TRUE(ends("recvmmsg", "3, ..., 1, 0, NULL", "[{msg_hdr={}, msg_len=0}]", 1, 100));
  EXPECT_TRUE(ends("recvmmsg", "3, ..., 2, 0, NULL", "[{msg_hdr={}, msg_len=5}, {msg_hdr={}, msg_len=0}]", 2, 100));
  EXPECT_FALSE(ends("recvmmsg", "3, ..., 2, 0, NULL", "[{msg_hdr={}, msg_len=5}]", 1, 100));
  EXPECT_FALSE(ends("recvmmsg", "3, ..., 0, 0, NULL", "[]", 0, 0));
  EXPECT_TRUE(ends("splice", "3, NULL, 5, NULL, 100, 0", "", 0, 100)) << "from the socket";
  EXPECT_FALSE(ends("splice", "5, NULL, 3, NULL, 100, 0", "", 0, 100)) << "the pipe's end";
}

TEST(Findings, a_splice_from_a_socket_sends_nothing) {
  for (const bool from_socket : {true, false}) {
    StoryRecorder story;
    story.open();
    server_closes(story);
    story.call("client", 2000, 2001, "splice", from_socket ? "3, NULL, 5, NULL, 100, 0" : "5, NULL, 3, NULL, 100, 0",
               {6});
    EXPECT_EQ(ExplainedStory(story).has("send.after_peer_closed"), !from_socket);
  }
}

// A child that has the socket from its parent calls shutdown(); the parent sends.
TEST(Findings, whose_shutdown_it_was_is_said) {
  for (const bool by_child : {false, true}) {
    StoryRecorder story;
    story.open();
    story.call("client", 900, 950, "shutdown", "3, SHUT_WR");
    story.segment(920, "client", F | A, 1, 1);
    story.call("client", 2000, 2010, "send", "3, \"x\", 1, MSG_NOSIGNAL", {-1, EPIPE});
    auto recording = story.take();
    recording.actors.push_back({"child", 555, 555, "child", ""});
    std::optional<std::uint32_t> shutdown;
    for (auto& event : recording.events) {
      const auto* entered = std::get_if<recording::CallEntered>(&event.what);
      const auto* returned = std::get_if<recording::CallReturned>(&event.what);
      if (entered != nullptr && entered->name == "shutdown") shutdown = entered->call;
      if (by_child && shutdown &&
          ((entered != nullptr && entered->call == *shutdown) || (returned != nullptr && returned->call == *shutdown)))
        event.actor = recording::ActorId{2};
    }
    const ExplainedStory told(std::move(recording));
    const std::string text = told.text("call.send_after_shutdown");
    EXPECT_TRUE(text.contains(by_child ? "after child's shutdown(SHUT_WR)" : "after its own shutdown(SHUT_WR)"))
        << text;
    EXPECT_EQ(told.finding("call.send_after_shutdown")->evidence.size(), 3U);
  }
}

TEST(Findings, bytes_that_were_only_looked_at_after_a_reset_were_not_read) {
  StoryRecorder story;
  story.open();
  story.segment(500, "server", P | A, 1, 1, 5);
  story.segment(600, "server", R | A, 6, 1);
  story.call("client", 1000, 1001, "recv", "3, \"hello\", 64, MSG_PEEK", {5});
  story.call("client", 1100, 1101, "recv", "3, \"hello\", 64, 0", {5});
  const ExplainedStory told(story);
  EXPECT_EQ(std::ranges::count(told.explained.findings, "recv.data_before_reset",
                               [](const Finding& f) { return f.rule->id; }),
            1);
}

// The call that sent the server's FIN was not seen (int $0x80, io_uring, a log without it).
TEST(Findings, a_fin_without_its_call_may_be_of_a_shutdown) {
  const auto story_with = [](auto&& afterwards) {
    StoryRecorder story;
    story.open();
    story.segment(1050, "server", F | A, 1, 1);
    story.segment(1060, "client", A, 1, 2);
    story.call("client", 2000, 2040, "send", "3, \"hello\", 5, 0", {5});
    story.segment(2010, "client", P | A, 1, 2, 5);
    afterwards(story);
    return ExplainedStory(story);
  };
  {
    const auto told = story_with([](StoryRecorder& story) { story.segment(2020, "server", A, 2, 6); });
    EXPECT_FALSE(told.has("send.after_peer_closed"));
    ASSERT_TRUE(told.has("send.after_peer_fin"));
    EXPECT_EQ(told.finding("send.after_peer_fin")->rule->severity, Severity::note);
    EXPECT_NE(told.text("send.after_peer_fin").find("had closed, or shut down sending"), std::string::npos);
  }
  {
    const auto told = story_with([](StoryRecorder& story) {
      story.segment(2020, "server", A, 2, 6);
      story.call("server", 3000, 3010, "recv", "4, \"hello\", 64, 0", {5});
    });
    EXPECT_FALSE(told.has("send.after_peer_closed")) << "who reads has closed nothing";
    EXPECT_FALSE(told.has("send.after_peer_fin")) << "it is a half-close";
  }
  {
    const auto told = story_with([](StoryRecorder& story) {
      story.reset(2020, "server", true, false, "TCP_ABORT_ON_DATA");
      story.segment(2020, "server", R, 2);
    });
    EXPECT_NE(told.text("send.after_peer_closed").find("had closed, or shut down both directions"), std::string::npos);
    ASSERT_TRUE(told.has("reset.orphan_fin_wait_1"));
    EXPECT_NE(told.text("reset.orphan_fin_wait_1").find("had closed, or shut down both directions"), std::string::npos)
        << told.text("reset.orphan_fin_wait_1");
  }
}

// The kernel's own word says which it was.
TEST(Findings, a_fin_whose_call_the_kernel_names_is_of_that_call) {
  for (const bool shut : {true, false}) {
    StoryRecorder story;
    story.open();
    story.segment(1050, "server", F | A, 1, 1);
    story.cause(1050, "server", "F.", 1, 1, 0, {"call", shut ? "shutdown" : "close"});
    story.segment(1060, "client", A, 1, 2);
    story.call("client", 2000, 2040, "send", "3, \"hello\", 5, 0", {5});
    story.segment(2010, "client", P | A, 1, 2, 5);
    const ExplainedStory told(story);
    EXPECT_EQ(told.has("send.after_peer_closed"), !shut);
    EXPECT_FALSE(told.has("send.after_peer_fin"));
  }
}

TEST(Findings, who_is_left_in_close_wait_is_not_told_that_the_peer_closed_unless_it_did) {
  for (const bool seen : {true, false}) {
    StoryRecorder story;
    story.open();
    if (seen) story.call("server", 1000, 1100, "close", "4");
    story.segment(1050, "server", F | A, 1, 1);
    story.call("client", 2000, 2001, "recv", "3, \"\", 64, 0", {0});
    story.counter(3'000'000, 3'000'001, "TcpExt.Nothing");
    const ExplainedStory told(story);
    ASSERT_TRUE(told.has("close_wait.left_open"));
    EXPECT_EQ(told.text("close_wait.left_open").find("or shut down sending") == std::string::npos, seen)
        << told.text("close_wait.left_open");
  }
}

TEST(Findings, a_call_that_sends_nothing_says_nothing_of_the_peer) {
  const auto told = [](const char* name, const char* arguments, std::int64_t result) {
    StoryRecorder story;
    story.open();
    server_closes(story);
    story.call("client", 2000, 2001, name, arguments, {result});
    return ExplainedStory(story).has("send.after_peer_closed");
  };
  EXPECT_FALSE(told("writev", "3, [], 0", 0));
  EXPECT_FALSE(told("sendfile", "3, 7, NULL, 10", 0)) << "an empty file";
  EXPECT_FALSE(told("splice", "7, NULL, 3, NULL, 10, 0", 0)) << "the end of a pipe";
  EXPECT_TRUE(told("sendfile", "3, 7, NULL, 10", 10));
  EXPECT_TRUE(told("splice", "7, NULL, 3, NULL, 10, 0", 10));
}

TEST(Findings, a_splice_into_a_broken_connection_fails_as_a_send_does) {
  for (const bool into : {true, false}) {
    StoryRecorder story;
    story.open();
    server_closes(story);
    client_sends_and_is_reset(story, 9000, true);
    story.call("client", 10000, 10010, "splice", into ? "7, NULL, 3, NULL, 10, 0" : "3, NULL, 7, NULL, 10, 0",
               {-1, EPIPE});
    EXPECT_EQ(ExplainedStory(story).has("send.broken_pipe"), into) << "else it is the pipe that is broken";
  }
}

TEST(Findings, how_much_was_unread_is_said_where_every_message_was_counted) {
  for (const bool known : {true, false}) {
    StoryRecorder story;
    story.open();
    story.segment(500, "client", P | A, 1, 1, 10);
    story.call("server", 600, 610, "recvmmsg", "4, ..., 3, 0, NULL", {2});
    story.last_return().detail =
        known ? "[{msg_hdr={}, msg_len=4}, {msg_hdr={}, msg_len=4}]" : "[{msg_hdr={}, msg_len=4}, {msg_hdr=0x1234}]";
    const auto close = story.call("server", 1000, 1100, "close", "4");
    story.segment(1050, "server", R | A, 1, 11);
    story.cause(1049, "server", "R.", 1, 11, 0, {"call", "close.unread_data", close});
    const ExplainedStory told(story);
    ASSERT_TRUE(told.has("reset.unread_data_at_close"));
    EXPECT_EQ(told.text("reset.unread_data_at_close").find("2 bytes") != std::string::npos, known)
        << told.text("reset.unread_data_at_close");
  }
}

// SHUT_RD makes recv() return 0; so does the peer's FIN, which calls alone do not show.
TEST(Findings, recv_after_shut_rd_without_packets_needs_a_peer_that_is_known_to_be_there) {
  const auto told = [](std::int64_t peer_closes, bool peer_seen = true) {
    StoryRecorder story;
    story.open();
    if (peer_closes > 0) story.call("server", peer_closes, peer_closes + 10, "close", "4");
    story.call("client", 1000, 1010, "shutdown", "3, SHUT_RD");
    story.call("client", 1100, 1110, "recv", "3, \"\", 9, 0");
    auto recording = story.take();
    std::erase_if(recording.events, [&](const auto& event) {
      return std::holds_alternative<recording::Packet>(event.what) || (!peer_seen && event.actor.value == 0);
    });
    return ExplainedStory(recording).has("call.recv_after_shutdown");
  };
  EXPECT_TRUE(told(0));
  EXPECT_TRUE(told(2000)) << "later";
  EXPECT_FALSE(told(500));
  EXPECT_FALSE(told(0, false)) << "nobody watched it";
}

TEST(Findings, recv_zero_again_and_again_is_one_finding) {
  StoryRecorder story;
  story.open();
  server_closes(story);
  for (int i = 0; i < 3; ++i) story.call("client", 2000 + i * 10, 2001 + i * 10, "recv", "3, \"\", 4096, 0", {0});
  const ExplainedStory told(story);
  ASSERT_TRUE(told.has("recv.end_of_file"));
  EXPECT_EQ(std::get<std::int64_t>(told.finding("recv.end_of_file")->slots.at("times")), 3);
}

// Calls that are not told each are counted, and what is there a thousand times is a loop.
TEST(Findings, who_goes_on_reading_at_the_end_of_the_stream_is_told_of_it) {
  const auto times = [](std::uint64_t between, bool shut) {
    StoryRecorder story;
    story.open();
    if (shut) story.call("client", 900, 910, "shutdown", "3, SHUT_RD");
    server_closes(story);
    for (int i = 0; i < 3; ++i) story.call("client", 2000 + i * 10, 2001 + i * 10, "recv", "3, \"\", 4096, 0", {0});
    const auto last = story.call("client", 9000, 9001, "recv", "3, \"\", 4096, 0", {0});
    story.event(8900, "client", recording::CallsRepeated{last, between, base::wall_from_ns(1'700'000'000'002'100'000)});
    const ExplainedStory told(story);
    if (!shut) {
      EXPECT_EQ(std::get<std::int64_t>(told.finding("recv.end_of_file")->slots.at("times")),
                static_cast<std::int64_t>(4 + between));
    }
    const auto* ignored = told.finding("recv.end_of_file_ignored");
    return ignored == nullptr ? 0 : std::get<std::int64_t>(ignored->slots.at("times"));
  };
  EXPECT_EQ(times(5000, false), 5004);
  EXPECT_EQ(times(500, false), 0);
  EXPECT_EQ(times(5000, true), 0) << "that is what shutdown(SHUT_RD) does";
}

TEST(Findings, a_plain_capture_says_nothing_of_calls) {
  StoryRecorder story;
  story.open();
  server_closes(story);
  client_sends_and_is_reset(story, 9000, true);
  auto recording = story.take();
  recording.provenance.observed = {recording::Observation::packets};
  recording.actors.clear();
  std::erase_if(recording.events, [](const auto& e) { return !std::holds_alternative<recording::Packet>(e.what); });
  const auto explained = explain(recording);
  for (const auto& finding : explained.findings) {
    const auto id = finding.rule->id;
    EXPECT_TRUE(id.starts_with("open.handshake") || id.starts_with("open.option") || id.starts_with("reset.") ||
                id.starts_with("fin_ack"))
        << id;
    EXPECT_FALSE(id.starts_with("reset.") && finding.grade == Grade::observed) << id;
  }
}

TEST(Answers, are_said_only_with_their_evidence) {
  StoryRecorder story;
  story.provenance().labels = {{"asks", "2, 3"}};
  story.provenance().title = "close/server-closes";
  story.open();
  server_closes(story);
  story.segment(4000, "client", A, 1, 2);
  const ExplainedStory told(story);
  const auto answers = answer(std::span(&told.explained, 1), Language::en);
  ASSERT_EQ(answers.size(), 2U);
  EXPECT_EQ(answers[0].number, 2);
  EXPECT_FALSE(answers[0].clauses.empty());
  EXPECT_FALSE(answers[0].missing.empty());
  EXPECT_TRUE(answers[1].clauses.empty());
  for (const auto& clause : answers[0].clauses)
    EXPECT_EQ(clause.experiments, std::vector<std::string>{"close/server-closes"});
}

}  // namespace
}  // namespace tcpwhy::explain
