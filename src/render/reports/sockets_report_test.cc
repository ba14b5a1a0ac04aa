#include "render/reports/sockets_report.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <utility>

#include "base/text.h"
#include "recording/testing/snapshots.h"

namespace tcpwhy::render {
namespace {

using recording::SocketFacts;
using recording::testing::socket_in;

TEST(SocketsReport, fits_the_terminal_and_lets_nothing_through) {
  SocketFacts facts;
  for (const auto* state : {"CLOSE-WAIT", "LISTEN", "SYN-SENT", "ESTABLISHED", "TIME-WAIT"}) {
    facts.sockets.push_back(socket_in(state));
    facts.sockets.back().receive_queue = 3;
    facts.sockets.back().activity.retransmissions = 3;
    facts.sockets.back().activity.last_data_received_ms = 30'000;
  }
  facts.holders.by_inode[77] = {{42, 4, "\x1b[31mevil"}};
  facts.holders.processes = 9, facts.holders.not_permitted = 3;
  facts.listen_overflows = 12, facts.listen_drops = 14;
  facts.local_ports = 1;
  for (const auto language : {base::Language::en, base::Language::zh}) {
    const auto text = sockets_report(facts, explain::judge(facts), {.text = {.language = language}, .all = true});
    EXPECT_EQ(text.find('\x1b'), std::string::npos);
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) EXPECT_LE(base::display_width(line), 80U) << line;
  }
  std::string text;
  write_sockets_json(facts, explain::judge(facts), base::Language::en,
                     [&text](std::string_view piece) { text += piece; });
  const auto document = nlohmann::json::parse(text);
  EXPECT_EQ(document["sockets"].size(), 5U);
  EXPECT_EQ(document["sockets"][0]["findings"][0]["id"], "close_wait");
}

SocketFacts leaks(std::uint16_t count) {
  SocketFacts facts;
  facts.sockets = {socket_in("LISTEN")};
  facts.sockets[0].inode = 1;
  for (std::uint16_t i = 0; i < count; ++i) {
    auto leaked = socket_in("CLOSE-WAIT");
    leaked.remote.port = static_cast<std::uint16_t>(40000 + i), leaked.inode = 1000U + i;
    leaked.activity.last_ack_received_ms = 12'000;
    facts.holders.by_inode[leaked.inode] = {{42, i + 4, "leaks"}};
    facts.sockets.push_back(leaked);
  }
  return facts;
}

TEST(SocketsReport, tells_equal_things_once_with_their_count) {
  const auto facts = leaks(1500);
  const auto verdict = explain::judge(facts);
  EXPECT_EQ(sockets_report(facts, verdict, {.text = {.width = 80}}),
            "1,500 sockets at 127.0.0.1:9999  leaks (pid 42)\n"
            "  warning: each; the worst: CLOSE-WAIT for 12 s: the peer has closed, this\n"
            "    program has not\n"
            "  for example 127.0.0.1:40000 (fd 4), 127.0.0.1:40001 (fd 5), 127.0.0.1:40002\n"
            "    (fd 6); --all shows each\n"
            "  what to do: close() the descriptor when recv() returns 0; it stays in\n"
            "    CLOSE-WAIT until then, however long\n"
            "1501 sockets, 1500 with something to say.\n");
  const auto all = sockets_report(facts, verdict, {.text = {.width = 80}, .all = true});
  EXPECT_GT(std::ranges::count(all, '\n'), 3000);
}

TEST(SocketsReport, shows_the_worst_and_counts_the_rest) {
  auto facts = leaks(3);
  for (auto& [inode, holders] : facts.holders.by_inode) holders[0].pid = static_cast<pid_t>(inode);
  const auto text = sockets_report(facts, explain::judge(facts), {.text = {.width = 80}, .top = 1});
  EXPECT_TRUE(text.contains("2 more of the same or less weight, of 2 sockets: --top 0 shows all.")) << text;
  EXPECT_FALSE(text.contains("(pid 1001, ")) << text;
}

TEST(SocketsReport, tells_what_follows_below_its_cause) {
  SocketFacts facts;
  facts.sockets = {socket_in("LISTEN"), socket_in("SYN-SENT"), socket_in("SYN-SENT")};
  facts.sockets[0].receive_queue = 2, facts.sockets[0].send_queue = 1;
  for (std::size_t i = 1; i < 3; ++i) {
    std::swap(facts.sockets[i].local, facts.sockets[i].remote);
    facts.sockets[i].local.port = static_cast<std::uint16_t>(40000 + i), facts.sockets[i].inode = 78;
    facts.sockets[i].activity.retransmissions = 2;
  }
  facts.holders.by_inode[77] = {{42, 3, "lazy"}};
  facts.holders.by_inode[78] = {{43, 5, "\x1b[31mcurl"}};
  const auto text = sockets_report(facts, explain::judge(facts), {.text = {.width = 120}});
  EXPECT_TRUE(text.contains("  so 2 × \\x1b[31mcurl (pid 43): connect() hangs: 3 SYNs sent")) << text;
  EXPECT_FALSE(text.contains("firewall")) << text;
  EXPECT_FALSE(text.contains('\x1b'));
}

}  // namespace
}  // namespace tcpwhy::render
