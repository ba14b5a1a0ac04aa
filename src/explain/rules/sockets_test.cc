#include "explain/rules/sockets.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "explain/texts/catalogue.h"
#include "recording/testing/snapshots.h"

namespace tcpwhy::explain {
namespace {

using recording::HeldBy;
using recording::SocketFacts;
using recording::testing::socket_in;
using Timer = recording::SocketActivity::Timer;

std::vector<SocketFinding> of(recording::SocketSnapshot socket) {
  SocketFacts facts;
  facts.sockets = {std::move(socket)};
  return judge(facts).findings;
}
std::string text_of(recording::SocketSnapshot socket, Language language = Language::en) {
  SocketFacts facts;
  facts.sockets = {std::move(socket)};
  return say(judge(facts).findings.at(0), facts, language);
}

TEST(SocketFindings, close_wait_is_a_warning_once_it_lasts) {
  auto socket = socket_in("CLOSE-WAIT");
  socket.activity.last_ack_received_ms = 500;
  ASSERT_EQ(of(socket).size(), 1U);
  EXPECT_EQ(of(socket)[0].severity, Severity::note);
  socket.activity.last_ack_received_ms = 3 * 3600 * 1000;
  socket.receive_queue = 6;  // five bytes and the FIN
  EXPECT_EQ(of(socket)[0].severity, Severity::warning);
  EXPECT_EQ(text_of(socket), "CLOSE-WAIT for 3 h: the peer has closed, this program has not, 5 bytes unread");
}

TEST(SocketFindings, an_accept_queue_is_full_when_more_wait_than_the_backlog) {
  auto socket = socket_in("LISTEN");
  socket.send_queue = 1;
  EXPECT_TRUE(of(socket).empty());
  socket.receive_queue = 1;
  EXPECT_EQ(of(socket)[0].rule->id, "accept_queue_waits");
  socket.receive_queue = 2;
  EXPECT_EQ(of(socket)[0].rule->id, "accept_queue_full");
  EXPECT_EQ(of(socket)[0].severity, Severity::error);
}

TEST(SocketFindings, an_orphan_with_unacknowledged_data_is_not_a_held_socket) {
  auto socket = socket_in("FIN-WAIT-1");
  socket.holder = HeldBy::kernel;
  socket.send_queue = 100;
  socket.activity.timer = Timer::retransmission;
  socket.activity.retransmissions = 4;
  ASSERT_EQ(of(socket).size(), 1U);
  EXPECT_EQ(of(socket)[0].rule->id, "orphan_unacked");
  socket.holder = HeldBy::process;
  EXPECT_EQ(of(socket)[0].rule->id, "retransmitting");
  socket.activity.retransmissions = 0;
  EXPECT_TRUE(of(socket).empty());
}

TEST(SocketFindings, a_shut_window_is_the_peers_fault_and_no_retransmission) {
  auto socket = socket_in("ESTABLISHED");
  socket.activity.timer = Timer::zero_window_probe;
  socket.activity.retransmissions = 5;
  socket.activity.send_window = 0;
  socket.activity.last_data_sent_ms = 20'000;
  ASSERT_EQ(of(socket).size(), 1U);
  EXPECT_EQ(of(socket)[0].rule->id, "window_shut");
  EXPECT_EQ(of(socket)[0].severity, Severity::warning);
  socket.activity.send_window = 1000;  // the same timer also waits for a send buffer's sake
  EXPECT_TRUE(of(socket).empty());
}

TEST(SocketFindings, a_connect_that_nobody_answers) {
  auto socket = socket_in("SYN-SENT");
  EXPECT_TRUE(of(socket).empty());
  socket.activity.retransmissions = 2;
  EXPECT_EQ(of(socket)[0].rule->id, "connecting");
  EXPECT_NE(text_of(socket).find("3 SYNs"), std::string::npos);
}

TEST(SocketFindings, half_closed_only_while_a_program_holds_it) {
  auto socket = socket_in("FIN-WAIT-2");
  socket.activity.last_ack_received_ms = 90'000;
  EXPECT_EQ(of(socket)[0].rule->id, "half_closed");
  EXPECT_EQ(of(socket)[0].severity, Severity::warning);
  socket.holder = HeldBy::kernel;
  EXPECT_TRUE(of(socket).empty());
}

TEST(SocketFindings, worst_first) {
  SocketFacts facts;
  facts.sockets = {socket_in("CLOSE-WAIT"), socket_in("CLOSE-WAIT"), socket_in("LISTEN")};
  facts.sockets[1].activity.last_ack_received_ms = 60'000;
  facts.sockets[2].receive_queue = 1;
  const auto found = judge(facts).findings;
  ASSERT_EQ(found.size(), 3U);
  EXPECT_EQ(found[0].rule->id, "accept_queue_full");
  EXPECT_EQ(found[1].socket, 1U);
}

TEST(TimeWaits, are_counted_by_destination_against_the_port_range) {
  SocketFacts facts;
  facts.local_ports = 10;
  for (std::uint16_t i = 0; i < 5; ++i) {
    facts.sockets.push_back(socket_in("TIME-WAIT"));
    facts.sockets.back().local.port = static_cast<std::uint16_t>(50000 + i);
  }
  facts.sockets.push_back(socket_in("TIME-WAIT"));
  facts.sockets.back().remote.port = 80;
  const auto waits = judge(facts).time_waits;
  ASSERT_EQ(waits.size(), 2U);
  EXPECT_EQ(waits[0].count, 5U);
  EXPECT_EQ(waits[0].severity, Severity::warning);
  EXPECT_EQ(waits[1].severity, Severity::note);
}

TEST(SocketFindings, close_wait_that_nobody_accepted_is_not_the_programs) {
  auto socket = socket_in("CLOSE-WAIT");
  socket.holder = HeldBy::accept_queue;
  socket.activity.last_ack_received_ms = 12'000;
  EXPECT_EQ(text_of(socket), "CLOSE-WAIT for 12 s: the peer has closed, and nobody has accepted the connection yet");
  EXPECT_EQ(text_of(socket, Language::zh), "CLOSE-WAIT 已 12 s：对端已关闭，而连接还没有被 accept");
}

TEST(TimeWaits, are_told_in_both_languages) {
  SocketFacts facts;
  facts.sockets = {socket_in("TIME-WAIT")};
  const auto waits = judge(facts).time_waits;
  ASSERT_EQ(waits.size(), 1U);
  EXPECT_EQ(say(waits[0], facts, Language::en),
            "1 TIME-WAIT entries from 127.0.0.1 to 127.0.0.1:40000, of 28232 local ports (ip_local_port_range)");
  EXPECT_EQ(say(waits[0], facts, Language::zh),
            "从 127.0.0.1 到 127.0.0.1:40000 有 1 个 TIME-WAIT 条目，本地端口共 28232 个（ip_local_port_range）");
}

TEST(SocketRules, have_each_text_in_both_languages_and_no_id_twice) {
  std::set<std::string_view> ids;
  for (const SocketRule& rule : socket_rules()) {
    EXPECT_TRUE(ids.insert(rule.id).second) << rule.id;
    for (const Text& text : {rule.sentence, rule.not_accepted, rule.with_unread, rule.remedy})
      EXPECT_EQ(text.en.empty(), text.zh.empty()) << rule.id;
    EXPECT_FALSE(rule.sentence.empty() || rule.when.empty() || rule.rests_on.empty()) << rule.id;
  }
}

// Each place of each sentence is filled: of a socket that has all that a rule may speak of.
TEST(SocketRules, have_no_place_that_is_not_filled) {
  SocketFacts facts;
  facts.sockets = {socket_in("CLOSE-WAIT")};
  facts.sockets[0].receive_queue = 2;
  for (const SocketRule& rule : socket_rules())
    for (const auto language : {Language::en, Language::zh}) {
      const bool of_one = rule.measure != SocketRule::Measure::percent_of_ports;
      const std::string text = of_one ? say(SocketFinding{.rule = &rule, .since = {}}, facts, language)
                                      : say(TimeWaits{.rule = &rule, .local = {}, .remote = {}}, facts, language);
      EXPECT_EQ(text.find('{'), std::string::npos) << text;
    }
}

TEST(SocketRules, say_what_makes_them_worse) {
  std::string words;
  for (const SocketRule& rule : socket_rules())
    if (rule.id == "close_wait" || rule.id == "connecting" || rule.id == "time_wait")
      words += severity_words(rule) + "\n";
  EXPECT_EQ(
      words,
      "note; warning from 10 s on\n"
      "warning; error from retransmission 3 on\n"
      "chat; note from 10 % of the local ports on, warning from 50 % of the local ports on, error from 95 % of the "
      "local ports on\n");
}

}  // namespace
}  // namespace tcpwhy::explain
