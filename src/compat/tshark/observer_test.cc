// tshark's verdicts, rule by rule, on segments written down here: what must hold where no tshark is installed. That
// they are tshark's says tshark_differential_test.cc.
#include "compat/tshark/observer.h"

#include <gtest/gtest.h>

#include <random>

#include "compat/tshark/table.h"
#include "wire/packet_builder.h"

namespace tcpwhy::compat::tshark {
namespace {

using wire::testing::ByteString;
using wire::testing::operator+;

constexpr std::uint16_t syn = 0x02, syn_ack = 0x12, ack = 0x10, psh = 0x18, fin = 0x11, rst = 0x14;

// A connection between a client (port 40000, numbers from 1000) and a server (port 9999, numbers from 5000), a
// millisecond between two segments.
class Observed : public testing::Test {
 protected:
  struct Sent {
    std::uint32_t seq = 0, ack = 0;
    std::uint16_t flags = 0x10;
    std::string_view payload = "";
    std::uint16_t window = 1000;
    ByteString options = {};
  };

  const Row& see(const ByteString& packet, wire::LinkType link_type = wire::LinkType::raw) {
    now_ns_ += 1'000'000;
    scan::Frame frame;
    frame.number = ++frames_;
    frame.at = base::wall_from_ns(now_ns_);
    frame.link_type = link_type;
    frame.original_length = static_cast<std::uint32_t>(packet.size());
    frame.bytes = packet;
    rows_ = observer_.observe(frame);
    static const Row none;
    return rows_.empty() ? none : rows_.front();
  }

  static ByteString client_packet(const Sent& sent) { return packet(sent, true); }
  static ByteString server_packet(const Sent& sent) { return packet(sent, false); }
  const Row& client(const Sent& sent) { return see(client_packet(sent)); }
  const Row& server(const Sent& sent) { return see(server_packet(sent)); }

  void shake_hands() {
    client({.seq = 1000, .flags = syn});
    server({.seq = 5000, .ack = 1001, .flags = syn_ack});
    client({.seq = 1001, .ack = 5001});
  }
  void wait_ms(std::int64_t ms) { now_ns_ += ms * 1'000'000; }

  std::vector<Row> rows_;

 private:
  static ByteString packet(const Sent& sent, bool from_client) {
    const ByteString client_ip{192, 0, 2, 1}, server_ip{198, 51, 100, 7};
    wire::testing::TcpFields fields{.seq = sent.seq, .ack = sent.ack, .flags = sent.flags, .window = sent.window};
    fields.options = sent.options;
    if (!from_client) std::swap(fields.source_port, fields.destination_port);
    wire::testing::Ipv4Fields ip;
    ip.source = from_client ? client_ip : server_ip;
    ip.destination = from_client ? server_ip : client_ip;
    return wire::testing::ipv4(ip, wire::testing::tcp(fields, wire::testing::text(sent.payload)));
  }

  Observer observer_;
  std::uint64_t frames_ = 0;
  std::int64_t now_ns_ = 1'700'000'000'000'000'000;
};

bool is_only(const Row& row, Verdict verdict) {
  Verdicts expected;
  expected.add(verdict);
  return row.findings.verdicts == expected;
}

TEST(Limits, of_connections_with_much_unacknowledged_those_used_longest_ago_are_forgotten) {
  constexpr std::size_t connections = 40, segments = 60, room = 1000;
  Observer observer({.waiting = room});
  std::uint64_t number = 0;
  std::vector<std::optional<std::uint32_t>> streams;
  for (int round = 0; round < 2; ++round)
    for (std::uint16_t port = 1; port <= connections; ++port)
      for (std::uint32_t i = 0; i < segments; ++i) {
        const auto packet = wire::testing::ipv4(
            {}, wire::testing::tcp({.source_port = port, .seq = i, .flags = psh}, wire::testing::text("x")));
        scan::Frame frame;
        frame.number = ++number;
        frame.at = base::wall_from_ns(static_cast<std::int64_t>(number));
        frame.link_type = wire::LinkType::raw;
        frame.original_length = static_cast<std::uint32_t>(packet.size());
        frame.bytes = packet;
        const auto& rows = observer.observe(frame);
        ASSERT_EQ(rows.size(), 1U);
        if (i == 0) streams.push_back(rows.front().stream);
        ASSERT_EQ(rows.front().stream, streams.back()) << "forgotten while in use";
      }
  EXPECT_GT(observer.forgotten(), connections);
  EXPECT_EQ(streams.size(), 2 * connections);
  EXPECT_EQ(streams.back(), 2 * connections - 1) << "each came back as a new stream";
}

TEST_F(Observed, a_handshake_gives_the_round_trip_and_the_completeness_before_each_segment) {
  EXPECT_EQ(client({.seq = 1000, .flags = syn}).completeness, 0);
  const Row second = server({.seq = 5000, .ack = 1001, .flags = syn_ack});
  EXPECT_EQ(second.completeness, 1);
  EXPECT_EQ(second.findings.acks_frame, 1U);
  const Row third = client({.seq = 1001, .ack = 5001});
  EXPECT_EQ(third.completeness, 3);
  EXPECT_EQ(third.initial_rtt_ns, 2'000'000);
  EXPECT_EQ(third.findings.ack_rtt_ns, 1'000'000);
  EXPECT_EQ(client({.seq = 1001, .ack = 5001, .flags = psh, .payload = "hello"}).findings.bytes_in_flight, 5U);
  EXPECT_EQ(server({.seq = 5001, .ack = 1006, .flags = fin}).completeness, 15);
  EXPECT_EQ(client({.seq = 1006, .ack = 5002, .flags = rst}).completeness, 31);
  EXPECT_EQ(client({.seq = 1006, .ack = 5002, .flags = rst}).completeness, 63);
}

TEST_F(Observed, resent_data_is_late_fast_spurious_or_a_plain_retransmission) {
  shake_hands();
  client({.seq = 1001, .ack = 5001, .flags = psh, .payload = "one"});
  client({.seq = 1004, .ack = 5001, .flags = psh, .payload = "two"});
  EXPECT_TRUE(is_only(client({.seq = 1001, .ack = 5001, .flags = psh, .payload = "one"}), Verdict::out_of_order));
  wait_ms(300);
  const Row resent = client({.seq = 1001, .ack = 5001, .flags = psh, .payload = "one"});
  EXPECT_TRUE(is_only(resent, Verdict::retransmission));
  EXPECT_EQ(resent.findings.rto_frame, 4U);
  EXPECT_EQ(resent.findings.rto_ns, 303'000'000);
  for (std::int32_t i = 0; i < 3; ++i) server({.seq = 5001, .ack = 1004});
  EXPECT_EQ(rows_.front().findings.duplicate_ack_number, 2U);
  EXPECT_EQ(rows_.front().findings.duplicate_ack_frame, 8U);
  EXPECT_TRUE(
      is_only(client({.seq = 1004, .ack = 5001, .flags = psh, .payload = "two"}), Verdict::fast_retransmission));
  EXPECT_TRUE(
      is_only(client({.seq = 1001, .ack = 5001, .flags = psh, .payload = "one"}), Verdict::spurious_retransmission));
}

TEST_F(Observed, holes_are_told_once_on_either_side) {
  shake_hands();
  EXPECT_TRUE(is_only(client({.seq = 1101, .ack = 5001, .flags = psh, .payload = "late"}), Verdict::lost_segment));
  EXPECT_EQ(rows_.front().findings.bytes_in_flight, 0U);
  EXPECT_TRUE(is_only(server({.seq = 5001, .ack = 1105}), Verdict::ack_lost_segment));
  EXPECT_FALSE(server({.seq = 5001, .ack = 1105, .window = 999}).findings.verdicts.has(Verdict::ack_lost_segment));
}

TEST_F(Observed, windows_shut_are_probed_and_filled) {
  shake_hands();
  EXPECT_TRUE(is_only(server({.seq = 5001, .ack = 1001, .window = 4}), Verdict::window_update));
  client({.seq = 1001, .ack = 5001, .flags = psh, .payload = "full"});
  EXPECT_TRUE(is_only(rows_.front(), Verdict::window_full));
  EXPECT_TRUE(is_only(server({.seq = 5001, .ack = 1005, .window = 0}), Verdict::zero_window));
  EXPECT_TRUE(is_only(client({.seq = 1005, .ack = 5001, .payload = "p"}), Verdict::zero_window_probe));
  const Row answer = server({.seq = 5001, .ack = 1005, .window = 0});
  EXPECT_TRUE(answer.findings.verdicts.has(Verdict::zero_window_probe_ack));
  EXPECT_TRUE(answer.findings.verdicts.has(Verdict::zero_window));
}

TEST_F(Observed, keep_alives_are_told_from_duplicates) {
  shake_hands();
  server({.seq = 5001, .ack = 1001});
  EXPECT_TRUE(is_only(client({.seq = 1000, .ack = 5001}), Verdict::keep_alive));
  EXPECT_TRUE(is_only(server({.seq = 5001, .ack = 1001}), Verdict::keep_alive_ack));
}

TEST_F(Observed, another_initial_number_is_another_stream) {
  shake_hands();
  EXPECT_TRUE(is_only(client({.seq = 1000, .flags = syn}), Verdict::retransmission));
  EXPECT_EQ(rows_.front().stream, 0U);
  EXPECT_TRUE(is_only(client({.seq = 7000, .flags = syn}), Verdict::reused_ports));
  EXPECT_EQ(rows_.front().stream, 1U);
}

TEST_F(Observed, data_on_a_syn_is_taken_or_ignored) {
  const ByteString cookie{34, 6, 1, 2, 3, 4};
  EXPECT_TRUE(client({.seq = 1000, .flags = syn, .payload = "early", .options = cookie}).fast_open_syn);
  EXPECT_TRUE(server({.seq = 5000, .ack = 1001, .flags = syn_ack}).fast_open_ignored);
  EXPECT_TRUE(server({.seq = 5000, .ack = 1006, .flags = syn_ack}).fast_open_ack);
}

TEST_F(Observed, what_an_icmp_error_quotes_is_counted_but_not_judged) {
  shake_hands();
  const ByteString quoted = client_packet({.seq = 1001, .ack = 5001, .flags = psh, .payload = "hello"});
  const auto error = [&quoted](std::uint8_t type) {
    return wire::testing::ipv4({.protocol = 1}, ByteString{type, 0} + wire::testing::zeros(6) + quoted);
  };
  EXPECT_EQ(see(error(3)).stream, 0U);
  EXPECT_FALSE(rows_.front().findings.found);
  ASSERT_FALSE(see(error(5)).stream);  // a redirect
  EXPECT_EQ(rows_.size(), 1U);
  EXPECT_FALSE(client({.seq = 1001, .ack = 5001, .flags = psh, .payload = "hello"}).findings.verdicts.any());
}

TEST_F(Observed, fragments_count_where_the_last_one_arrives) {
  shake_hands();
  const ByteString whole = client_packet({.seq = 1001, .ack = 5001, .flags = psh, .payload = "0123456789abcdef"});
  const auto piece = [&whole](std::size_t from, std::size_t to, std::uint16_t fragment) {
    wire::testing::Ipv4Fields ip;
    ip.fragment = fragment;
    const auto begin = whole.begin() + 20;
    return wire::testing::ipv4(
        ip, ByteString(begin + static_cast<std::ptrdiff_t>(from), begin + static_cast<std::ptrdiff_t>(to)));
  };
  see(piece(24, 36, 3));
  EXPECT_TRUE(rows_.empty());
  EXPECT_EQ(see(piece(0, 24, 0x2000)).findings.bytes_in_flight, 16U);
}

TEST_F(Observed, a_tunnel_beside_its_content_gives_a_row_each) {
  const ByteString inner = client_packet({.seq = 1000, .flags = syn});
  see(wire::testing::ipv4({.protocol = 4}, inner));
  ASSERT_EQ(rows_.size(), 1U);
  const ByteString quoted_tunnel =
      wire::testing::ipv4({.protocol = 1}, ByteString{3, 0} + wire::testing::zeros(6) + inner);
  see(quoted_tunnel);
  ASSERT_EQ(rows_.size(), 1U);
  EXPECT_EQ(rows_.front().stream, 0U);
}

// draft-massar-v6ops-ayiya 3, with an identity of 16 bytes and a signature of 20; RFC 8086, with and without a key.
TEST_F(Observed, ayiya_and_gre_over_udp_are_looked_into) {
  const auto over_udp = [](unsigned source, unsigned destination, const ByteString& payload) {
    return wire::testing::ipv4({.protocol = 17}, wire::testing::udp(source, destination, payload));
  };
  const auto ayiya = [](std::uint8_t operation, std::uint8_t next_header, const ByteString& carried) {
    return ByteString{0x42, 0x52, operation, next_header} + wire::testing::zeros(4 + 16 + 20) + carried;
  };
  const ByteString six = wire::testing::ipv6({}, wire::testing::tcp({.seq = 1000, .flags = syn}));
  const ByteString four = client_packet({.seq = 1000, .flags = syn});
  see(over_udp(5072, 40'000, ayiya(0x11, 41, six)));
  ASSERT_EQ(rows_.size(), 1U);
  see(over_udp(40'000, 5072, ayiya(0x11, 4, four)));
  ASSERT_EQ(rows_.size(), 1U);
  EXPECT_EQ(rows_.front().stream, 1U);
  see(over_udp(50'000, 4754, ByteString{0, 0, 8, 0} + four));
  ASSERT_EQ(rows_.size(), 1U);
  EXPECT_EQ(rows_.front().stream, 1U);
  see(over_udp(50'000, 4754, ByteString{0x20, 0, 0x86, 0xdd, 0, 0, 0, 7} + six));
  ASSERT_EQ(rows_.size(), 1U);
  EXPECT_EQ(rows_.front().stream, 0U);
  // A heartbeat carries nothing; another port is no tunnel.
  see(over_udp(5072, 40'000, ayiya(0x10, 41, six)));
  EXPECT_TRUE(rows_.empty());
  see(over_udp(40'000, 5073, ayiya(0x11, 41, six)));
  EXPECT_TRUE(rows_.empty());
}

TEST_F(Observed, ayiya_inside_ayiya_is_followed_to_a_bound) {
  ByteString nested = client_packet({.seq = 1000, .flags = syn});
  std::uint8_t carries = 4;
  for (int i = 0; i < 3000; ++i) {
    const ByteString header{0x00, 0x00, 0x11, carries, 0, 0, 0, 0, 0};
    nested = wire::testing::udp(5072, 5072, header + nested);
    carries = 17;
  }
  see(wire::testing::ipv4({.protocol = 17}, nested));
  EXPECT_TRUE(rows_.empty());
}

TEST_F(Observed, the_data_connection_that_ftp_announces_is_not_new) {
  const auto control = [](std::string_view line, bool from_server) {
    wire::testing::TcpFields fields{.source_port = 50000, .destination_port = 21, .seq = 1, .ack = 1};
    wire::testing::Ipv4Fields ip;
    if (from_server) std::swap(fields.source_port, fields.destination_port), std::swap(ip.source, ip.destination);
    return wire::testing::ipv4(ip, wire::testing::tcp(fields, wire::testing::text(line)));
  };
  see(control("227 Entering Passive Mode (198,51,100,7,39,15)\r\n", true));  // 39 * 256 + 15 = 9999
  client({.seq = 1000, .flags = syn});
  EXPECT_EQ(server({.seq = 5000, .ack = 1001, .flags = syn_ack}).completeness, 0);
}

TEST_F(Observed, a_header_that_is_cut_has_a_stream_but_no_findings) {
  shake_hands();
  ByteString cut = client_packet({.seq = 1101, .ack = 5001, .flags = psh, .payload = "late", .options = {8, 10}});
  cut.resize(20 + 22);
  const Row& row = see(cut);
  EXPECT_EQ(row.stream, 0U);
  EXPECT_FALSE(row.findings.found);
}

TEST_F(Observed, any_bytes_are_taken) {
  std::mt19937_64 random(7);
  const ByteString seeds[] = {
      client_packet({.seq = 1, .ack = 2, .flags = psh, .payload = "x", .options = {5, 10, 0, 0, 0, 1, 0, 0, 0, 9}}),
      wire::testing::ipv4({.protocol = 17}, wire::testing::udp(2152, 2152, client_packet({.seq = 1}))),
      wire::testing::ipv4({.protocol = 47}, ByteString{0x30, 1, 0x88, 0x0b} + client_packet({.seq = 1})),
      wire::testing::ipv6({}, wire::testing::tcp({})),
      wire::testing::ipv4({.protocol = 1}, ByteString{3, 0, 0, 0, 0, 0, 0, 0} + client_packet({.seq = 1}))};
  for (int round = 0; round < 20'000; ++round) {
    ByteString bytes = seeds[random() % std::size(seeds)];
    for (auto flips = random() % 6; flips-- > 0;) {
      bytes[random() % bytes.size()] = static_cast<std::uint8_t>(random());
    }
    bytes.resize(random() % (bytes.size() + 1));
    see(bytes);
    EXPECT_FALSE(table_line(1, rows_, "").empty());
  }
}

}  // namespace
}  // namespace tcpwhy::compat::tshark
