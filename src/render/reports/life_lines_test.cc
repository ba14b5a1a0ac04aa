#include "render/reports/life_lines.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "base/text.h"

namespace tcpwhy::render {
namespace {

using namespace std::chrono_literals;
using recording::SocketLife;

SocketLife closed_by(const char* first_state, const char* command, std::int32_t pid) {
  SocketLife life;
  life.socket = 7;
  life.local = {*wire::IpAddress::parse("10.0.0.1"), 40000};
  life.remote = {*wire::IpAddress::parse("10.0.0.2"), 80};
  life.holder = {pid, command};
  life.opener = life.established = life.over = true;
  for (const char* state : {"SYN-SENT", "ESTABLISHED", first_state})
    life.states[life.state_count++] = tcp::state_named(state).value();
  life.opened = base::wall_from_ns(1'000'000'000);
  life.ended = life.opened + 12'340us;
  life.bytes_sent = 78, life.bytes_received = 123'456;
  return life;
}

std::string ended_line(LifeLines::Form form, const SocketLife& life, const SocketLife* peer,
                       std::optional<std::size_t> width = {}) {
  LifeLines lines({.form = form, .width = width});
  std::string out;
  const auto verdict = explain::judge(life, peer);
  lines.ended(life, peer, verdict, explain::words(verdict, life, peer, base::Language::en), out);
  return out;
}
// The time of day is the local one.
std::string without_time(const std::string& line) { return line.substr(std::string("00:00:01.012").size()); }

TEST(LifeLines, an_ended_connection_is_a_line_of_text) {
  auto life = closed_by("FIN-WAIT-1", "curl", 42);
  EXPECT_EQ(without_time(ended_line(LifeLines::Form::text, life, nullptr)),
            "  curl[42] 10.0.0.1:40000 → 10.0.0.2:80  12.3 ms ↑78 B ↓123 kB  client curl[42] closed first; in order\n");
  auto peer = closed_by("CLOSE-WAIT", "nginx", 43);
  life.retransmissions = 2, life.began_before_watching = true, life.opener = false;
  EXPECT_EQ(without_time(ended_line(LifeLines::Form::text, life, &peer)),
            "  curl[42] 10.0.0.1:40000 ← 10.0.0.2:80 nginx[43]  > 12.3 ms ↑78 B ↓123 kB, 2 retransmitted  server "
            "curl[42] closed first; in order\n");
}

TEST(LifeLines, whom_nobody_knows_is_told_by_its_address) {
  EXPECT_EQ(without_time(ended_line(LifeLines::Form::text, closed_by("FIN-WAIT-1", "", 0), nullptr)),
            "  ? 10.0.0.1:40000 → 10.0.0.2:80  12.3 ms ↑78 B ↓123 kB  client 10.0.0.1:40000 closed first; in order\n");
}

TEST(LifeLines, let_no_control_character_through) {
  const auto life = closed_by("FIN-WAIT-1", "\x1b[31m\nevil", 42);
  for (const auto form : {LifeLines::Form::text, LifeLines::Form::ndjson}) {
    LifeLines lines({.form = form});
    std::string out = ended_line(form, life, &life);
    lines.opened(life, out);
    EXPECT_EQ(out.find('\x1b'), std::string::npos) << out;
    EXPECT_EQ(std::ranges::count(out, '\n'), 2) << out;
  }
}

TEST(LifeLines, a_document_a_line) {
  const auto life = closed_by("FIN-WAIT-1", "curl", 42);
  const auto document = nlohmann::json::parse(ended_line(LifeLines::Form::ndjson, life, nullptr));
  EXPECT_EQ(document["event"], "ended");
  EXPECT_EQ(document["lasted_ns"], 12'340'000);
  EXPECT_EQ(document["why"], "life.in_order");
  EXPECT_EQ(document["closed_first"], "local");
  EXPECT_FALSE(document.contains("peer"));
}

TEST(LifeLines, an_opened_connection) {
  LifeLines lines({});
  std::string out;
  lines.opened(closed_by("FIN-WAIT-1", "curl", 42), out);
  EXPECT_EQ(without_time(out), "  curl[42] 10.0.0.1:40000 → 10.0.0.2:80  opened\n");
}

TEST(LifeLines, fit_the_width_part_by_part) {
  auto life = closed_by("FIN-WAIT-1", "a-name-of-15-ch", 4'194'304);
  const auto peer = closed_by("CLOSE-WAIT", "a-name-of-15-ch", 4'194'303);
  EXPECT_EQ(without_time(ended_line(LifeLines::Form::text, life, &peer, 80)),
            "  a-name-of-15-ch[4194304] 10.0.0.1:40000 → 10.0.0.2:80\n"
            "              a-name-of-15-ch[4194303]\n"
            "              12.3 ms ↑78 B ↓123 kB\n"
            "              client a-name-of-15-ch[4194304] closed first; in order\n");
  life.local.ip = life.remote.ip;
  for (const auto width : {80U, 100U, 120U, 160U}) {
    std::istringstream lines(ended_line(LifeLines::Form::text, life, &peer, width));
    for (std::string line; std::getline(lines, line);) EXPECT_LE(base::display_width(line), width) << line;
  }
  const auto whole = ended_line(LifeLines::Form::text, life, &peer);
  EXPECT_EQ(std::ranges::count(whole, '\n'), 1);
  EXPECT_TRUE(whole.contains(" :40000 → 10.0.0.2:80 "));  // one address, written once
}

TEST(WatchHeading, says_what_is_watched_in_both_languages) {
  EXPECT_TRUE(watch_heading({}).starts_with("Watching all TCP of this network namespace since "));
  EXPECT_TRUE(watch_heading({.netns = "blue\x1b", .filtered = true})
                  .starts_with("Watching the chosen TCP connections of network namespace blue\\x1b since"));
  EXPECT_TRUE(watch_heading({.every_netns = true, .language = base::Language::zh})
                  .contains("观察所有网络命名空间的全部 TCP 连接"));
}

TEST(EndingCounts, in_words_the_bad_ones_first) {
  EndingCounts counts(base::Language::en);
  const auto in_order = explain::judge(closed_by("FIN-WAIT-1", "a", 1), nullptr);
  auto refused = closed_by("CLOSED", "b", 2);
  refused.established = false, refused.error = ECONNREFUSED;
  counts.add(in_order, true);
  counts.add(in_order, true);
  counts.add(explain::judge(refused, nullptr), true);
  EXPECT_EQ(counts.text(3, 12s, 80),
            "In 12 s: 3 connections ended, 1 of them not well; 3 are open.\n"
            "         1  refused: the server answered the SYN with a RST (nobody listens\n"
            "            there, or a firewall rejects)\n"
            "         2  the client closed first; in order\n");
  EndingCounts chinese(base::Language::zh);
  chinese.add(in_order, false);
  EXPECT_EQ(chinese.text(0, 1s, 80),
            "1 s 内：1 个连接结束，其中 0 个异常；0 个仍打开。\n         1  服务器 先关闭；正常结束\n");
}

}  // namespace
}  // namespace tcpwhy::render
