#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "base/text.h"
#include "cli/ps/illness.h"
#include "lab/link/netns.h"
#include "lab/sandbox/sandbox_sockets_testing.h"
#include "lab/sandbox/sandbox_testing.h"

namespace tcpwhy::cli::ps {
namespace {

using lab::testing::accept_from;
using lab::testing::connect_to;
using lab::testing::listen_on;
using trace::Holder;
using Timer = trace::SocketActivity::Timer;

const wire::IpAddress localhost = *wire::IpAddress::parse("127.0.0.1");

trace::SocketSnapshot socket_in(std::string_view state) {
  trace::SocketSnapshot socket;
  socket.local = {localhost, 9999};
  socket.remote = {localhost, 40000};
  socket.state = tcp::state_named(state).value();
  socket.inode = 77;
  socket.tcp.emplace();
  return socket;
}

std::vector<Illness> of(trace::SocketSnapshot socket) {
  Facts facts;
  facts.sockets = {std::move(socket)};
  return diagnose(facts).illnesses;
}

TEST(Illness, close_wait_is_a_warning_once_it_lasts) {
  auto socket = socket_in("CLOSE-WAIT");
  socket.activity.last_ack_received_ms = 500;
  ASSERT_EQ(of(socket).size(), 1U);
  EXPECT_EQ(of(socket)[0].severity, Severity::note);
  socket.activity.last_ack_received_ms = 3 * 3600 * 1000;
  socket.receive_queue = 6;  // five bytes and the FIN
  EXPECT_EQ(of(socket)[0].severity, Severity::warning);
  EXPECT_EQ(of(socket)[0].text.en, "CLOSE-WAIT for 3 h: the peer has closed, this program has not, 5 bytes unread");
}

TEST(Illness, an_accept_queue_is_full_when_more_wait_than_the_backlog) {
  auto socket = socket_in("LISTEN");
  socket.send_queue = 1;
  EXPECT_TRUE(of(socket).empty());
  socket.receive_queue = 1;
  EXPECT_EQ(of(socket)[0].kind, Kind::accept_queue_waits);
  socket.receive_queue = 2;
  EXPECT_EQ(of(socket)[0].kind, Kind::accept_queue_full);
  EXPECT_EQ(of(socket)[0].severity, Severity::error);
}

TEST(Illness, an_orphan_with_unacknowledged_data_is_not_a_held_socket) {
  auto socket = socket_in("FIN-WAIT-1");
  socket.holder = Holder::kernel;
  socket.send_queue = 100;
  socket.activity.timer = Timer::retransmission;
  socket.activity.retransmissions = 4;
  ASSERT_EQ(of(socket).size(), 1U);
  EXPECT_EQ(of(socket)[0].kind, Kind::orphan_unacked);
  socket.holder = Holder::process;
  EXPECT_EQ(of(socket)[0].kind, Kind::retransmitting);
  socket.activity.retransmissions = 0;
  EXPECT_TRUE(of(socket).empty());
}

TEST(Illness, a_shut_window_is_the_peers_fault_and_no_retransmission) {
  auto socket = socket_in("ESTABLISHED");
  socket.activity.timer = Timer::zero_window_probe;
  socket.activity.retransmissions = 5;
  socket.activity.send_window = 0;
  socket.activity.last_data_sent_ms = 20'000;
  ASSERT_EQ(of(socket).size(), 1U);
  EXPECT_EQ(of(socket)[0].kind, Kind::window_shut);
  EXPECT_EQ(of(socket)[0].severity, Severity::warning);
  socket.activity.send_window = 1000;  // the same timer also waits for a send buffer's sake
  EXPECT_TRUE(of(socket).empty());
}

TEST(Illness, a_connect_that_nobody_answers) {
  auto socket = socket_in("SYN-SENT");
  EXPECT_TRUE(of(socket).empty());
  socket.activity.retransmissions = 2;
  EXPECT_EQ(of(socket)[0].kind, Kind::connecting);
  EXPECT_NE(of(socket)[0].text.en.find("3 SYNs"), std::string::npos);
}

TEST(Illness, half_closed_only_while_a_program_holds_it) {
  auto socket = socket_in("FIN-WAIT-2");
  socket.activity.last_ack_received_ms = 90'000;
  EXPECT_EQ(of(socket)[0].kind, Kind::half_closed);
  EXPECT_EQ(of(socket)[0].severity, Severity::warning);
  socket.holder = Holder::kernel;
  EXPECT_TRUE(of(socket).empty());
}

TEST(Illness, worst_first) {
  Facts facts;
  facts.sockets = {socket_in("CLOSE-WAIT"), socket_in("CLOSE-WAIT"), socket_in("LISTEN")};
  facts.sockets[1].activity.last_ack_received_ms = 60'000;
  facts.sockets[2].receive_queue = 1;
  const auto found = diagnose(facts).illnesses;
  ASSERT_EQ(found.size(), 3U);
  EXPECT_EQ(found[0].kind, Kind::accept_queue_full);
  EXPECT_EQ(found[1].socket, 1U);
}

TEST(TimeWaits, are_counted_by_destination_against_the_port_range) {
  Facts facts;
  facts.local_ports = 10;
  for (std::uint16_t i = 0; i < 5; ++i) {
    facts.sockets.push_back(socket_in("TIME-WAIT"));
    facts.sockets.back().local.port = static_cast<std::uint16_t>(50000 + i);
  }
  facts.sockets.push_back(socket_in("TIME-WAIT"));
  facts.sockets.back().remote.port = 80;
  const auto waits = diagnose(facts).time_waits;
  ASSERT_EQ(waits.size(), 2U);
  EXPECT_EQ(waits[0].count, 5U);
  EXPECT_EQ(waits[0].severity, Severity::warning);
  EXPECT_EQ(waits[1].severity, Severity::note);
}

TEST(Filter, takes_either_end) {
  const auto socket = socket_in("ESTABLISHED");
  trace::SocketHolders holders;
  holders.by_inode[77] = {{42, 4, "x"}};
  EXPECT_TRUE((Filter{.ports = {9999}, .hosts = {}, .pids = {}}).fits(socket, holders));
  EXPECT_TRUE((Filter{.ports = {1, 40000}, .hosts = {}, .pids = {42}}).fits(socket, holders));
  EXPECT_FALSE((Filter{.ports = {80}, .hosts = {}, .pids = {}}).fits(socket, holders));
  EXPECT_FALSE((Filter{.ports = {}, .hosts = {}, .pids = {43}}).fits(socket, holders));
}

TEST(PsText, fits_the_terminal_and_lets_nothing_through) {
  Facts facts;
  for (const auto* state : {"CLOSE-WAIT", "LISTEN", "SYN-SENT", "ESTABLISHED"}) {
    facts.sockets.push_back(socket_in(state));
    facts.sockets.back().receive_queue = 3;
    facts.sockets.back().activity.retransmissions = 3;
    facts.sockets.back().activity.last_data_received_ms = 30'000;
  }
  facts.holders.by_inode[77] = {{42, 4, "\x1b[31mevil"}};
  facts.holders.processes = 9, facts.holders.not_permitted = 3;
  facts.listen_overflows = 12, facts.listen_drops = 14;
  for (const auto language : {explain::Language::en, explain::Language::zh}) {
    const auto text = as_text(facts, diagnose(facts), {.language = language, .width = 80, .color = false, .all = true});
    EXPECT_EQ(text.find('\x1b'), std::string::npos);
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) EXPECT_LE(base::display_width(line), 80U) << line;
  }
  std::string text;
  write_json(facts, diagnose(facts), explain::Language::en, [&text](std::string_view piece) { text += piece; });
  const auto document = nlohmann::json::parse(text);
  EXPECT_EQ(document["sockets"].size(), 4U);
  EXPECT_EQ(document["sockets"][0]["findings"][0]["id"], "close_wait");
}

TEST(Durations, in_words) {
  EXPECT_EQ(in_words(Milliseconds(450)), "450 ms");
  EXPECT_EQ(in_words(Milliseconds(12'345)), "12 s");
  EXPECT_EQ(in_words(Milliseconds(62'000)), "1 min 2 s");
  EXPECT_EQ(in_words(Milliseconds((3 * 60 + 2) * 60'000)), "3 h 2 min");
}

// --- On the kernel -------------------------------------------------------------------------------------------------

base::Status bring_up() {
  if (auto applied = lab::apply_sysctls(lab::standard_sysctls()); !applied) return std::unexpected(applied.error());
  return lab::set_interface_up("lo");
}

const Illness* find(const Diagnosis& diagnosis, Kind kind) {
  const auto found = std::ranges::find(diagnosis.illnesses, kind, &Illness::kind);
  return found == diagnosis.illnesses.end() ? nullptr : &*found;
}

// A close that the other side does not answer in kind, a queue that nobody empties, a window that nobody opens, a half-closed
// connection: all at once, and the process and descriptor of each.
TEST(PsLive, sees_what_is_wrong_and_who_holds_it) {
  TCPWHY_SKIP_WITHOUT_SANDBOX();
  lab::testing::expect_inside([](lab::Workplace&) -> base::Result<lab::Bytes> {
    TCPWHY_INSIDE_OK(bring_up());
    const auto listener = listen_on(localhost, 9999);
    auto closed = connect_to(localhost, 9999);
    const auto left = accept_from(listener);
    const auto waiting = connect_to(localhost, 9999);
    const auto lazy = listen_on(localhost, 9998);
    const auto writer = connect_to(localhost, 9998);
    const auto reader = accept_from(lazy);
    const auto third = listen_on(localhost, 9997);
    const auto half = connect_to(localhost, 9997);
    const auto other = accept_from(third);
    TCPWHY_INSIDE(left.valid() && waiting.valid() && reader.valid() && other.valid());
    closed.reset();
    ::shutdown(half.get(), SHUT_WR);
    std::vector<char> block(1 << 20, 'x');
    while (::send(writer.get(), block.data(), block.size(), MSG_DONTWAIT) > 0) {
    }
    // The window shuts when the last acknowledgment has come, the probe timer starts with it.
    Diagnosis diagnosis;
    Facts facts;
    for (int tries = 0; tries < 2000; ++tries) {
      auto collected = collect();
      TCPWHY_INSIDE_OK(collected);
      facts = std::move(*collected);
      diagnosis = diagnose(facts);
      if (find(diagnosis, Kind::window_shut) != nullptr && find(diagnosis, Kind::half_closed) != nullptr) break;
      usleep(5000);
    }
    const Illness* leak = find(diagnosis, Kind::close_wait);
    TCPWHY_INSIDE(leak != nullptr);
    TCPWHY_INSIDE(find(diagnosis, Kind::accept_queue_waits) != nullptr);
    TCPWHY_INSIDE(find(diagnosis, Kind::window_shut) != nullptr);
    TCPWHY_INSIDE(find(diagnosis, Kind::half_closed) != nullptr);
    const auto& holders = facts.holders.of(facts.sockets[leak->socket].inode);
    TCPWHY_INSIDE(std::ranges::any_of(
        holders, [&](const auto& holder) { return holder.fd == left.get() || holder.fd == other.get(); }));
    return lab::Bytes{};
  });
}

TEST(PsLive, a_full_accept_queue_is_an_error) {
  TCPWHY_SKIP_WITHOUT_SANDBOX();
  lab::testing::expect_inside([](lab::Workplace&) -> base::Result<lab::Bytes> {
    TCPWHY_INSIDE_OK(bring_up());
    const auto listener = listen_on(localhost, 9999);
    TCPWHY_INSIDE(::listen(listener.get(), 0) == 0);
    const auto waiting = connect_to(localhost, 9999);
    auto facts = collect();
    TCPWHY_INSIDE_OK(facts);
    TCPWHY_INSIDE(find(diagnose(*facts), Kind::accept_queue_full) != nullptr);
    return lab::Bytes{};
  });
}

}  // namespace
}  // namespace tcpwhy::cli::ps
