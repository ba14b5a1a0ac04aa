#include "render/reports/connection_report.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "render/reports/connection_rows.h"

namespace tcpwhy::render {
namespace {

using tcp::SeenConnection;
using wire::TcpFlags;

constexpr std::uint16_t fin = TcpFlags::fin_bit, syn = TcpFlags::syn_bit, rst = TcpFlags::rst_bit,
                        push = TcpFlags::psh_bit, ack = TcpFlags::ack_bit;
constexpr std::int64_t ms = 1'000'000;

// A connection from 10.0.0.1:4000 to 10.0.0.2:80 as its segments pass: sequence numbers from above 2^31, both relative.
constexpr tcp::EndIndex client = tcp::EndIndex::first, server = tcp::EndIndex::second;

class Conversation {
 public:
  Conversation() {
    made.ends = {address(1, 4000), address(2, 80)};
    for (auto& next : next_) next = 1;
  }

  Conversation& says(tcp::EndIndex from, std::uint16_t flags, std::uint32_t seq, std::uint32_t acked,
                     std::uint32_t length = 0, std::int64_t after = ms) {
    tcp::SeenSegment seen;
    seen.frame = ++frame_;
    seen.at_ns = at_ += after;
    seen.from = from;
    seen.segment.source = made.ends[from];
    seen.segment.destination = made.ends[tcp::opposite(from)];
    seen.segment.flags = {flags};
    seen.segment.seq = {isn[from] + seq};
    seen.segment.ack = {(flags & ack) != 0 ? isn[tcp::opposite(from)] + acked : 0};
    seen.segment.window = 60000;
    seen.segment.payload_length = length;
    seen.segment.ttl = 64;
    seen.verdict = made.tracker.observe({seen.at_ns, seen.frame, from, seen.segment});
    seen.ack = acked;
    seen.states = {made.tracker.end(tcp::EndIndex::first).state, made.tracker.end(tcp::EndIndex::second).state};
    made.segments.push_back(seen);
    return *this;
  }
  Conversation& opens() { return says(client, syn, 0, 0).says(server, syn | ack, 0, 1).says(client, ack, 1, 1); }
  Conversation& sends(std::uint32_t segments) {
    for (std::uint32_t i = 0; i < segments; ++i) {
      says(client, ack, next_[client], 1, 1000);
      next_[client] += 1000;
      says(server, ack, 1, next_[client]);
    }
    return *this;
  }

  SeenConnection made;

 private:
  static wire::SocketAddress address(std::uint8_t last, std::uint16_t port) {
    const std::uint8_t octets[] = {10, 0, 0, last};
    return {wire::IpAddress::v4(octets), port};
  }

  static constexpr tcp::PerEnd<std::uint32_t> isn = {0xfffffff0, 0x80000000};
  tcp::PerEnd<std::uint32_t> next_;
  std::uint64_t frame_ = 0;
  std::int64_t at_ = 1'700'000'000'000'000'000;
};

std::string report(const SeenConnection& seen, bool all = false, base::Language language = base::Language::en) {
  return connection_report({.seen = seen}, {.language = language, .width = 80}, all);
}

TEST(ConnectionReport, shows_each_segment_with_frame_pause_class_and_both_states) {
  Conversation talk;
  talk.opens()
      .says(client, push | ack, 1, 1, 14)
      .says(client, push | ack, 1, 1, 14, 250 * ms)
      .says(server, rst, 1, 0, 0, 30 * ms);
  EXPECT_EQ(report(talk.made),
            "── 0 ── 10.0.0.1:4000 → 10.0.0.2:80 ────────────────────────────────────────────\n"
            "   283.0 ms, 14 B→ ←0 B; reset by 10.0.0.2:80: connection not known (assumed)\n"
            "   10.0.0.1:4000: segments 4, bytes 14, retransmission 1, timeout 1, least round\n"
            "     trip 1.00 ms\n"
            "   10.0.0.2:80: segments 2, bytes 0, reset 1, least round trip 1.00 ms\n"
            "  #        ms  10.0.0.1:4000                                         10.0.0.2:80\n"
            "  1     0.000   SYN-SENT      ────────────── [S] 0 ──────────────▶\n"
            "  2     1.000   SYN-SENT     ◀────────── [S.] 0 ack 1 ───────────  SYN-RECEIVED\n"
            "                             └ +1.00 ms\n"
            "  3     2.000   ESTABLISHED   ─────────── [.] 1 ack 1 ───────────▶  ESTABLISHED\n"
            "                             └ +1.00 ms\n"
            "  4     3.000   ESTABLISHED   ────── [P.] 1:15 ack 1 (14) ───────▶  ESTABLISHED\n"
            "                             └ +1.00 ms\n"
            "  5   253.000   ESTABLISHED   ────── [P.] 1:15 ack 1 (14) ───────▶  ESTABLISHED\n"
            "                             └ +250.0 ms · retransmission: timeout\n"
            "  6   283.000   CLOSED       ◀────────────── [R] 1 ──────────────        CLOSED\n"
            "                             └ +30.0 ms · reset: connection not known (assumed)\n"
            "   • 10.0.0.2:80's host did not know the connection: it answered 10.0.0.1:4000's\n"
            "     segment as a stranger's. [assumed; frame 6]\n"
            "     The reset has no ACK and the sequence number that the answered segment\n"
            "     acknowledged, and no close of 10.0.0.2:80 was seen.\n"
            "     Or: The host restarted or aborted unseen; a reset that somebody else sent\n"
            "     it in 10.0.0.1:4000's name ended the connection there; it never took\n"
            "     the connection (a full accept queue); or a firewall, load balancer or\n"
            "     NAT on the way forgot the connection and answers in its name.\n"
            "     what to do: compare the idle time before it with the timeouts on the way\n"
            "     (keep-alives more often than that hold the entry open), and look\n"
            "     whether the host of 10.0.0.2:80 restarted\n");
}

TEST(ConnectionReport, of_two_fins_that_crossed_none_is_the_first) {
  Conversation talk;
  talk.opens().says(client, fin | ack, 1, 1).says(server, fin | ack, 1, 1);
  talk.says(client, ack, 2, 2).says(server, ack, 2, 2);
  EXPECT_NE(report(talk.made).find("; both closed at once; in order\n"), std::string::npos) << report(talk.made);
  EXPECT_NE(report(talk.made, false, base::Language::zh).find("双方同时关闭；正常结束"), std::string::npos);
}

// Of the signs of a third party the one that was seen.
TEST(ConnectionReport, says_what_shows_that_somebody_else_reset_it) {
  Conversation talk;
  talk.opens().says(client, push | ack, 1, 1, 14).says(server, rst | ack, 1, 15).says(server, push | ack, 1, 15, 20);
  const std::string text = report(talk.made);
  EXPECT_NE(text.find("     10.0.0.2:80 went on after it.\n"), std::string::npos) << text;
  EXPECT_EQ(text.find("another TTL"), std::string::npos) << text;
}

TEST(ConnectionReport, folds_long_runs_of_the_ordinary_and_nothing_else) {
  Conversation talk;
  talk.opens().sends(20);
  talk.says(client, fin | ack, 20001, 1).says(server, fin | ack, 1, 20002).says(client, ack, 20002, 2);
  const auto rows = make_rows_of(talk.made, {.language = base::Language::en});
  std::vector<std::uint64_t> frames;
  std::string folded;
  for (const Row& row : rows.rows) {
    frames.push_back(row.frame);
    if (row.kind == RowKind::folded) folded = row.text;
  }
  EXPECT_EQ(frames, (std::vector<std::uint64_t>{1, 2, 3, 4, 5, 0, 43, 44, 45, 46}));
  EXPECT_EQ(folded, "… 37 segments, 19.0 kB from 10.0.0.1:4000 to 10.0.0.2:80, 36.0 ms");
  EXPECT_EQ(make_rows_of(talk.made, {.language = base::Language::en, .all = true}).rows.size(), 46U);
  EXPECT_NE(report(talk.made).find("10.0.0.1:4000 closed first; in order"), std::string::npos);
  EXPECT_NE(report(talk.made, false, base::Language::zh).find("… 37 个报文段，19.0 kB 从"), std::string::npos);
}

TEST(ConnectionReport, a_pause_ends_a_run) {
  Conversation talk;
  talk.opens().sends(4);
  talk.says(client, ack, 4001, 1, 1000, 300 * ms).says(server, ack, 1, 5001);
  const auto rows = make_rows_of(talk.made, {.language = base::Language::en});
  const auto waited = std::ranges::find_if(rows.rows, [](const Row& row) { return row.frame == 12; });
  ASSERT_NE(waited, rows.rows.end()) << "the segment after the pause has its own row";
  EXPECT_EQ(*waited->since, base::Duration(300 * ms));
}

TEST(ConnectionReport, says_what_was_left_out) {
  Conversation talk;
  talk.opens().sends(2);
  talk.made.left_out = 1240;
  talk.made.left_out_before = 5;
  EXPECT_NE(report(talk.made).find("… 1,240 segments left out: too many to keep\n"), std::string::npos);
}

TEST(ConnectionReport, claims_no_handshake_that_was_not_seen) {
  Conversation talk;
  talk.says(server, push | ack, 1, 1, 10).says(client, ack, 1, 11);
  const std::string text = report(talk.made);
  EXPECT_NE(text.find("began before the capture; still open"), std::string::npos) << text;
  Conversation lonely;
  lonely.says(client, syn, 0, 0).says(client, syn, 0, 0, 0, 1000 * ms);
  EXPECT_NE(report(lonely.made).find("10.0.0.2:80 answered nothing"), std::string::npos);
  EXPECT_NE(report(lonely.made).find("10.0.0.2:80: no segment captured"), std::string::npos);
}

TEST(ConnectionJson, has_every_segment_with_its_class) {
  Conversation talk;
  talk.opens()
      .says(client, push | ack, 1, 1, 14)
      .says(client, push | ack, 1, 1, 14, 250 * ms)
      .says(server, rst, 1, 0, 0, 30 * ms);
  const auto document = nlohmann::json::parse(connection_json({.seen = talk.made}, base::Language::en));
  EXPECT_EQ(document["schema"], "tcpwhy-connection/1");
  EXPECT_FALSE(document.contains("recording"));
  const auto& connection = document["connection"];
  EXPECT_EQ(connection["opener"]["address"], "10.0.0.1:4000");
  EXPECT_EQ(connection["opener"]["timeouts"], 1);
  EXPECT_EQ(connection["reset"]["cause"], "no-connection");
  EXPECT_EQ(connection["reset"]["grade"], "assumed");
  EXPECT_EQ(connection["reset"]["frame"], 6);
  ASSERT_EQ(connection["segments"].size(), 6U);
  const auto& again = connection["segments"][4];
  EXPECT_EQ(again["kind"], "retransmission");
  EXPECT_EQ(again["reason"], "timeout");
  EXPECT_EQ(again["since_ns"], 250 * ms);
  EXPECT_EQ(again["seq"], 1);
  EXPECT_EQ(again["states"]["listener"], "ESTABLISHED");
}

}  // namespace
}  // namespace tcpwhy::render
