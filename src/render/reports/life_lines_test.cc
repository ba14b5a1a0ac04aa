#include "render/reports/life_lines.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <string>

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
  life.opener = life.established = true;
  for (const char* state : {"SYN-SENT", "ESTABLISHED", first_state})
    life.states[life.state_count++] = tcp::state_named(state).value();
  life.opened = base::wall_from_ns(1'000'000'000);
  life.ended = life.opened + 12'340us;
  life.bytes_sent = 78, life.bytes_received = 123'456;
  return life;
}

std::string ended_line(LifeLines::Form form, const SocketLife& life, const SocketLife* peer) {
  LifeLines lines(form);
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
            "  curl[42] 10.0.0.1:40000 → 10.0.0.2:80  12.3 ms, ↑78 B ↓123 kB  curl closed first; in order\n");
  auto peer = closed_by("CLOSE-WAIT", "nginx", 43);
  life.retransmissions = 2, life.began_before_watching = true, life.opener = false;
  EXPECT_EQ(without_time(ended_line(LifeLines::Form::text, life, &peer)),
            "  curl[42] 10.0.0.1:40000 ← 10.0.0.2:80 nginx[43]  > 12.3 ms, ↑78 B ↓123 kB, 2 retransmitted  curl closed "
            "first; in order\n");
}

TEST(LifeLines, whom_nobody_knows_is_told_by_its_address) {
  EXPECT_EQ(without_time(ended_line(LifeLines::Form::text, closed_by("FIN-WAIT-1", "", 0), nullptr)),
            "  ? 10.0.0.1:40000 → 10.0.0.2:80  12.3 ms, ↑78 B ↓123 kB  10.0.0.1:40000 closed first; in order\n");
}

TEST(LifeLines, let_no_control_character_through) {
  const auto life = closed_by("FIN-WAIT-1", "\x1b[31m\nevil", 42);
  for (const auto form : {LifeLines::Form::text, LifeLines::Form::ndjson}) {
    LifeLines lines(form);
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
  LifeLines lines(LifeLines::Form::text);
  std::string out;
  lines.opened(closed_by("FIN-WAIT-1", "curl", 42), out);
  EXPECT_EQ(without_time(out), "  curl[42] 10.0.0.1:40000 → 10.0.0.2:80  opened\n");
}

TEST(EndingCounts, by_id) {
  EndingCounts counts;
  counts.add(explain::judge(closed_by("FIN-WAIT-1", "a", 1), nullptr));
  counts.add(explain::judge(closed_by("FIN-WAIT-1", "b", 2), nullptr));
  EXPECT_EQ(counts.text(3), "2 connections ended, 3 alive\n         2  life.in_order\n");
}

}  // namespace
}  // namespace tcpwhy::render
