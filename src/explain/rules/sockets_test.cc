#include "explain/rules/sockets.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <utility>

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

// ---- what is known of one host is tied together

// A listener on port 9999 of which more wait than its backlog, and a connect() to it that hangs.
SocketFacts full_queue_and_victim(std::uint32_t waiting = 2) {
  SocketFacts facts;
  facts.sockets = {socket_in("LISTEN"), socket_in("SYN-SENT")};
  facts.sockets[0].receive_queue = waiting, facts.sockets[0].send_queue = 1;
  std::swap(facts.sockets[1].local, facts.sockets[1].remote);
  facts.sockets[1].activity.retransmissions = 2, facts.sockets[1].activity.timer_expires_ms = 1000;
  facts.sockets[1].inode = 78;
  facts.holders.by_inode[77] = {{42, 3, "lazy"}};
  facts.holders.by_inode[78] = {{43, 5, "curl"}};
  return facts;
}
const SocketFinding* finding_of(const SocketsVerdict& verdict, std::size_t socket) {
  const auto found = std::ranges::find(verdict.findings, socket, &SocketFinding::socket);
  return found == verdict.findings.end() ? nullptr : &*found;
}

TEST(SocketTies, a_hanging_connect_is_its_own_hosts_full_queues_victim) {
  const auto facts = full_queue_and_victim();
  const auto verdict = judge(facts);
  const auto* victim = finding_of(verdict, 1);
  ASSERT_NE(victim, nullptr);
  EXPECT_EQ(victim->because_of, 0U);
  EXPECT_EQ(
      say(*victim, facts, Language::en),
      "connect() hangs: 3 SYNs sent and none answered: the accept queue of lazy (pid 42) is full (2 wait, the backlog is 1)");
  ASSERT_EQ(verdict.groups.size(), 2U);
  EXPECT_EQ(verdict.groups[0].rule->id, "accept_queue_full");
  EXPECT_EQ(verdict.groups[0].effects, std::vector<std::size_t>{1});
  EXPECT_TRUE(verdict.groups[1].is_effect);
}

TEST(SocketTies, no_queue_is_blamed_that_is_not_full_or_elsewhere) {
  EXPECT_EQ(finding_of(judge(full_queue_and_victim(1)), 1)->rule->id, "connecting");
  auto elsewhere = full_queue_and_victim();
  elsewhere.sockets[0].local.ip = *wire::IpAddress::parse("0.0.0.0");
  elsewhere.sockets[1].remote.ip = *wire::IpAddress::parse("192.0.2.1");
  EXPECT_EQ(finding_of(judge(elsewhere), 1)->rule->id, "connecting");  // the same port on another host
  elsewhere.addresses.insert(elsewhere.sockets[1].remote.ip);
  EXPECT_EQ(finding_of(judge(elsewhere), 1)->rule->id, "connecting_to_full_queue");
}

TEST(SocketTies, a_victim_alone_is_asked_for_and_the_queue_still_named) {
  auto facts = full_queue_and_victim();
  std::swap(facts.sockets[0], facts.sockets[1]);
  facts.asked_for = 1;
  const auto verdict = judge(facts);
  ASSERT_EQ(verdict.findings.size(), 1U);
  EXPECT_EQ(verdict.findings[0].rule->id, "connecting_to_full_queue");
  EXPECT_FALSE(verdict.groups[0].is_effect);  // nothing stands above it
}

TEST(SocketTies, data_for_a_handshake_that_a_full_queue_holds_up) {
  auto facts = full_queue_and_victim();
  facts.sockets[1].state = tcp::State::established;
  facts.sockets[1].activity.timer = Timer::retransmission;
  EXPECT_EQ(finding_of(judge(facts), 1)->rule->id, "retransmitting");
  facts.sockets.push_back(socket_in("SYN-RECEIVED"));
  facts.sockets[2].holder = HeldBy::request;
  EXPECT_EQ(finding_of(judge(facts), 1)->rule->id, "retransmitting_to_full_queue");
}

TEST(SocketTies, a_shut_window_follows_from_the_program_that_does_not_read) {
  SocketFacts facts;
  facts.sockets = {socket_in("ESTABLISHED"), socket_in("ESTABLISHED")};
  std::swap(facts.sockets[1].local, facts.sockets[1].remote);
  facts.sockets[0].receive_queue = 5000, facts.sockets[0].activity.last_data_received_ms = 3000;
  facts.sockets[1].activity.timer = Timer::zero_window_probe, facts.sockets[1].activity.send_window = 0;
  facts.sockets[1].send_queue = 700, facts.sockets[1].inode = 78, facts.sockets[1].activity.last_data_sent_ms = 3000;
  facts.holders.by_inode[77] = {{42, 3, "lazy"}};
  const auto verdict = judge(facts);
  EXPECT_EQ(
      say(*finding_of(verdict, 1), facts, Language::en),
      "the peer's window is shut: 700 bytes wait, the peer answers window probes; nothing sent for 3 s; the other end is lazy (pid 42), which has not read 5000 bytes");
  EXPECT_EQ(finding_of(verdict, 1)->because_of, 0U);
  facts.sockets[1].activity.retransmissions = 2;
  EXPECT_TRUE(say(*finding_of(judge(facts), 1), facts, Language::en).contains("2 window probes without an answer"));
}

TEST(SocketTies, a_half_closed_end_follows_from_close_wait_here) {
  SocketFacts facts;
  facts.sockets = {socket_in("CLOSE-WAIT"), socket_in("FIN-WAIT-2")};
  std::swap(facts.sockets[1].local, facts.sockets[1].remote);
  facts.holders.by_inode[77] = {{42, 3, "leaks"}};
  const auto verdict = judge(facts);
  EXPECT_EQ(finding_of(verdict, 1)->because_of, 0U);
  EXPECT_TRUE(say(*finding_of(verdict, 1), facts, Language::en).ends_with("; the other end is leaks (pid 42)"));
}

TEST(SocketGroups, equal_things_of_one_process_and_service_are_one) {
  SocketFacts facts;
  facts.sockets = {socket_in("LISTEN")};
  for (std::uint16_t i = 0; i < 1500; ++i) {
    auto leaked = socket_in("CLOSE-WAIT");
    leaked.remote.port = static_cast<std::uint16_t>(40000 + i), leaked.inode = 1000U + i;
    leaked.activity.last_ack_received_ms = i == 700 ? 20'000 : 1'000;
    facts.holders.by_inode[leaked.inode] = {{i < 1499 ? 42 : 43, i, "leaks"}};
    facts.sockets.push_back(leaked);
  }
  const auto verdict = judge(facts);
  ASSERT_EQ(verdict.groups.size(), 2U);  // by process
  EXPECT_EQ(verdict.groups[0].findings.size(), 1499U);
  EXPECT_TRUE(verdict.groups[0].server_side);
  EXPECT_EQ(verdict.groups[0].severity, Severity::warning);  // the worst one's
  EXPECT_EQ(verdict.findings[verdict.groups[0].findings[0]].socket, 701U);
}

TEST(SocketFindings, close_wait_of_a_multipath_connection_is_its_sockets) {
  SocketFacts facts;
  facts.sockets = {socket_in("ESTABLISHED"), socket_in("CLOSE-WAIT")};
  facts.sockets[0].mptcp = recording::MptcpPart::known_subflow;
  facts.sockets[1].mptcp = recording::MptcpPart::socket, facts.sockets[1].tcp.reset();
  const auto verdict = judge(facts);
  ASSERT_EQ(verdict.findings.size(), 1U);
  EXPECT_EQ(verdict.findings[0].socket, 1U);
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
    for (const Text& text : {rule.sentence, rule.not_accepted, rule.answered, rule.with_unread, rule.remedy})
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
      const std::string text =
          of_one ? say(SocketFinding{.rule = &rule, .peer = 0, .because_of = {}, .since = {}}, facts, language)
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
