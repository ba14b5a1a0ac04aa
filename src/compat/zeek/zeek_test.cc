// Stories of segments, and what Zeek makes of them: conn_state and history.
#include <gtest/gtest.h>

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "capfile/capture_builder.h"
#include "compat/zeek/ftp.h"
#include "compat/zeek/story_testing.h"
#include "compat/zeek/zeek.h"
#include "wire/packet_builder.h"

namespace tcpwhy::compat::zeek {
namespace {

using testing::Segment;
using testing::Story;

// "SF ShADadFf", one a line of the log.
std::vector<std::string> told(Story& story) {
  std::vector<std::string> lines;
  for (const auto& row : story.rows()) lines.push_back(std::string(conn_state(row)) + " " + row.history);
  return lines;
}
using Lines = std::vector<std::string>;

// --- opening -----------------------------------------------------------------------------------------------------

TEST(ZeekOpening, syn_without_an_answer_is_S0) { EXPECT_EQ(told(Story().client("S", {})), Lines{"S0 S"}); }

TEST(ZeekOpening, syn_answered_by_rst_is_REJ) {
  EXPECT_EQ(told(Story().client("S", {}).server("R.", {.ack = 1})), Lines{"REJ Sr"});
}

TEST(ZeekOpening, syn_again_after_its_rejection_begins_a_line_of_its_own) {
  EXPECT_EQ(told(Story().client("S", {}).server("R.", {.ack = 1}).client("S", {}).server("R.", {.ack = 1})),
            (Lines{"REJ Sr", "REJ Sr"}));
}

TEST(ZeekOpening, syn_then_its_own_rst_is_RSTOS0) {
  EXPECT_EQ(told(Story().client("S", {}).client("R", {.seq = 1})), Lines{"RSTOS0 SR"});
}

TEST(ZeekOpening, syn_then_an_ack_and_an_rst_of_its_own_is_OTH) {
  EXPECT_EQ(told(Story().client("S", {}).client(".", {.seq = 1, .ack = 1}).client("R", {.seq = 1})), Lines{"OTH SAR"});
}

TEST(ZeekOpening, an_rst_alone_is_OTH) { EXPECT_EQ(told(Story().client("R", {.seq = 1})), Lines{"OTH R"}); }

TEST(ZeekOpening, syn_repeated_with_its_number_is_one_letter_with_another_number_another_line) {
  EXPECT_EQ(told(Story().client("S", {}).wait(1).client("S", {})), Lines{"S0 S"});
  EXPECT_EQ(told(Story().client("S", {}).wait(1).client("S", {.seq = 77})), (Lines{"S0 S", "S0 S"}));
}

TEST(ZeekOpening, syn_repeated_after_the_attempt_is_over_begins_a_line_of_its_own) {
  EXPECT_EQ(told(Story().client("S", {}).wait(3).client("S", {}).wait(6).client("S", {})), (Lines{"S0 S", "S0 S"}));
}

TEST(ZeekOpening, syn_ack_of_a_known_port_is_the_responders) {
  const auto rows = Story(80, 6705).server("S.", {.ack = 1}).rows();
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].history, "^h");
  EXPECT_EQ(conn_state(rows[0]), "OTH");
  EXPECT_EQ(rows[0].responder.address.port, 80);
  EXPECT_EQ(rows[0].responder.packets, 1U);
}

TEST(ZeekOpening, syn_ack_between_unknown_ports_may_be_a_scan_and_is_turned_round_by_an_ack) {
  EXPECT_EQ(told(Story(4711).server("S.", {.ack = 1})), Lines{"OTH H"});
  EXPECT_EQ(told(Story(4711).server("S.", {.ack = 1}).client("R", {.seq = 1})), Lines{"REJ Hr"});
  const auto rows = Story(4711).server("S.", {.ack = 1}).client(".", {.seq = 1, .ack = 1}).talks().rows();
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].history, "^hADd");
  EXPECT_EQ(conn_state(rows[0]), "S1");
  EXPECT_EQ(rows[0].originator.address.port, 40000);
  EXPECT_EQ(rows[0].originator.packets, 3U);
  EXPECT_EQ(rows[0].responder.packets, 2U);
}

TEST(ZeekOpening, one_direction_alone_turned_round_by_its_own_ack) {
  EXPECT_EQ(told(Story(1433, 2745).server("S.", {.ack = 1}).server(".", {.seq = 1, .ack = 9}).server("F.", {.seq = 1})),
            Lines{"SHR ^haf"});
}

TEST(ZeekOpening, syn_captured_after_its_syn_ack) {
  EXPECT_EQ(told(Story(4711).server("S.", {.ack = 1}).client("S", {}).client(".", {.seq = 1, .ack = 1})),
            Lines{"S1 Hs^A"});
  EXPECT_EQ(told(Story(80).server("S.", {.ack = 1}).client("S", {}).client(".", {.seq = 1, .ack = 1})),
            Lines{"OTH ^hSA"});
}

TEST(ZeekOpening, without_a_syn_the_port_says_who_serves) {
  auto rows = Story(80).server("P.", {.seq = 1, .ack = 1, .length = 10}).client(".", {.seq = 1, .ack = 11}).rows();
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].history, "^dA");
  EXPECT_EQ(conn_state(rows[0]), "OTH");
  EXPECT_EQ(rows[0].responder.address.port, 80);
  // both serve: the lower port, unless it is a SYN-ACK
  rows = Story(80, 6667).server("P.", {.seq = 1, .ack = 1, .length = 10}).rows();
  EXPECT_EQ(rows.at(0).history, "^d");
  rows = Story(6667, 80).server("P.", {.seq = 1, .ack = 1, .length = 10}).rows();
  EXPECT_EQ(rows.at(0).history, "D");
  rows = Story(80, 6667).server("S.", {.ack = 1}).rows();
  EXPECT_EQ(rows.at(0).history, "H");
}

TEST(ZeekOpening, an_ack_before_the_syn_ack_makes_no_partial_connection) {
  EXPECT_EQ(told(Story()
                     .client("S", {})
                     .server(".", {.seq = 1, .ack = 1})
                     .server("S.", {.ack = 1})
                     .client(".", {.seq = 1, .ack = 1})),
            Lines{"S1 SahA"});
}

// To Zeek the second SYN begins a connection of its own.
TEST(ZeekOpening, simultaneous_open_is_two_lines) {
  EXPECT_EQ(told(Story().client("S", {}).server("S", {}).client("S.", {.ack = 1}).server("S.", {.ack = 1})),
            (Lines{"S0 S", "S1 Sh"}));
}

// --- data --------------------------------------------------------------------------------------------------------

TEST(ZeekData, an_exchange_that_ends_properly) {
  const auto rows = Story()
                        .opens()
                        .talks()
                        .client("F.", {.seq = 101, .ack = 101})
                        .server("F.", {.seq = 101, .ack = 102})
                        .client(".", {.seq = 102, .ack = 102})
                        .rows();
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].history, "ShADdFf");
  EXPECT_EQ(conn_state(rows[0]), "SF");
  EXPECT_EQ(rows[0].originator.bytes, 100U);
  EXPECT_EQ(rows[0].responder.bytes, 100U);
  EXPECT_EQ(rows[0].originator.packets, 6U);
  EXPECT_EQ(rows[0].originator.ip_bytes, 6U * 40 + 100);
  EXPECT_EQ(rows[0].missed_bytes, 0U);
}

TEST(ZeekData, an_acknowledgement_of_what_never_came_is_a_gap) {
  const auto rows = Story()
                        .opens()
                        .client("P.", {.seq = 1, .ack = 1, .length = 100})
                        .server("P.", {.seq = 1001, .ack = 101, .length = 100})
                        .client(".", {.seq = 101, .ack = 1101})
                        .rows();
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].history, "ShADdg");
  EXPECT_EQ(rows[0].missed_bytes, 1000U);
  EXPECT_EQ(rows[0].responder.bytes, 1100U);
}

TEST(ZeekData, what_the_capture_cut_off_is_missing_when_it_is_acknowledged) {
  const auto rows = Story()
                        .opens()
                        .client("P.", {.seq = 1, .ack = 1, .length = 100, .captured = 0})
                        .server(".", {.seq = 1, .ack = 101})
                        .rows();
  EXPECT_EQ(rows.at(0).history, "ShADaG");
  EXPECT_EQ(rows.at(0).missed_bytes, 100U);
}

TEST(ZeekData, a_hole_filled_before_it_is_acknowledged_is_none) {
  EXPECT_EQ(told(Story()
                     .opens()
                     .client("P.", {.seq = 101, .ack = 1, .length = 100})
                     .client("P.", {.seq = 1, .ack = 1, .length = 100})
                     .server(".", {.seq = 1, .ack = 201})),
            Lines{"S1 ShADTa"});
}

TEST(ZeekData, retransmissions_are_noted_the_first_the_tenth_and_the_hundredth_time) {
  Story story;
  story.opens().client("P.", {.seq = 1, .ack = 1, .length = 100});
  for (int i = 0; i < 99; ++i) story.client("P.", {.seq = 1, .ack = 1, .length = 100});
  EXPECT_EQ(told(story), Lines{"S1 ShADTT"});
  Story longer;
  longer.opens().client("P.", {.seq = 1, .ack = 1, .length = 100});
  for (int i = 0; i < 100; ++i) longer.client("P.", {.seq = 1, .ack = 1, .length = 100});
  EXPECT_EQ(told(longer), Lines{"S1 ShADTTT"});
}

TEST(ZeekData, a_shut_window_means_something_until_the_other_end_has_closed) {
  EXPECT_EQ(told(Story().opens().talks().server(".", {.seq = 101, .ack = 101, .window = 0})), Lines{"S1 ShADdaw"});
  EXPECT_EQ(told(Story()
                     .opens()
                     .talks()
                     .client("F.", {.seq = 101, .ack = 101})
                     .server(".", {.seq = 101, .ack = 102, .window = 0})),
            Lines{"S2 ShADdFa"});
}

TEST(ZeekData, a_connection_without_a_beginning_reports_no_gap) {
  const auto rows = Story()
                        .client("P.", {.seq = 1, .ack = 1, .length = 100})
                        .client("P.", {.seq = 501, .ack = 1, .length = 100})
                        .server(".", {.seq = 1, .ack = 601})
                        .rows();
  EXPECT_EQ(rows.at(0).history, "Da");
  EXPECT_EQ(rows.at(0).missed_bytes, 0U);
  EXPECT_EQ(rows.at(0).originator.bytes, 600U);
}

TEST(ZeekData, odd_flags) {
  EXPECT_EQ(told(Story().opens().client("FR.", {.seq = 1, .ack = 1})).at(0), "RSTO ShAI");
  EXPECT_EQ(told(Story().client("SF", {})).at(0), "SH Q");
}

TEST(ZeekData, bytes_are_told_only_of_a_connection_that_lasted) {
  const auto rows = Story().client("R", {.seq = 1}).rows();
  const std::string line = to_text(rows.at(0));
  EXPECT_NE(line.find("\ttcp\t-\t-\t-\tOTH\t"), std::string::npos) << line;
}

// --- ends --------------------------------------------------------------------------------------------------------

TEST(ZeekEnding, who_aborts) {
  EXPECT_EQ(told(Story().opens().talks().client("R", {.seq = 101})), Lines{"RSTO ShADdR"});
  EXPECT_EQ(told(Story().opens().talks().server("R", {.seq = 101})), Lines{"RSTR ShADdr"});
}

TEST(ZeekEnding, one_side_closes) {
  EXPECT_EQ(told(Story().opens().talks().client("F.", {.seq = 101, .ack = 101})), Lines{"S2 ShADdF"});
  EXPECT_EQ(told(Story().opens().talks().server("F.", {.seq = 101, .ack = 101})), Lines{"S3 ShADdf"});
  EXPECT_EQ(told(Story().client("S", {}).client("F.", {.seq = 1, .ack = 1})), Lines{"SH SF"});
}

TEST(ZeekEnding, an_rst_after_both_fins_changes_nothing) {
  EXPECT_EQ(told(Story()
                     .opens()
                     .talks()
                     .client("F.", {.seq = 101, .ack = 101})
                     .server("F.", {.seq = 101, .ack = 102})
                     .client("R", {.seq = 102})),
            Lines{"SF ShADdFfR"});
}

TEST(ZeekEnding, packets_soon_after_the_end_belong_to_it_and_later_ones_do_not) {
  Story soon;
  soon.opens().talks().client("F.", {.seq = 101, .ack = 101}).server("F.", {.seq = 101, .ack = 102});
  soon.wait(4).client(".", {.seq = 102, .ack = 102});
  EXPECT_EQ(told(soon), Lines{"SF ShADdFf"});
  Story late;
  late.opens().talks().client("F.", {.seq = 101, .ack = 101}).server("F.", {.seq = 101, .ack = 102});
  late.wait(6).client(".", {.seq = 102, .ack = 102});
  EXPECT_EQ(told(late), (Lines{"SF ShADdFf", "OTH A"}));
}

TEST(ZeekEnding, a_new_syn_of_the_same_ports_is_a_new_line) {
  EXPECT_EQ(told(Story().opens().talks().client("S", {.seq = 70000})), (Lines{"S1 ShADd", "S0 S"}));
}

TEST(ZeekEnding, five_minutes_of_silence_end_a_line) {
  EXPECT_EQ(told(Story().opens().talks().wait(290).client(".", {.seq = 101, .ack = 101})), Lines{"S1 ShADd"});
  EXPECT_EQ(told(Story().opens().talks().wait(310).client(".", {.seq = 101, .ack = 101})),
            (Lines{"S1 ShADd", "OTH A"}));
}

TEST(ZeekEnding, an_hour_of_silence_for_those_who_type) {
  EXPECT_EQ(told(Story(22).opens().talks().wait(3000).client(".", {.seq = 101, .ack = 101})), Lines{"S1 ShADd"});
  EXPECT_EQ(told(Story(22).opens().talks().wait(3700).client(".", {.seq = 101, .ack = 101})),
            (Lines{"S1 ShADd", "OTH A"}));
}

TEST(ZeekEnding, lines_come_in_the_order_of_their_ends) {
  Story story;
  story.opens().talks();
  story.from_port(40001).client("S", {}).server("R.", {.ack = 1});
  story.wait(20).from_port(40000).client(".", {.seq = 101, .ack = 101});
  EXPECT_EQ(told(story), (Lines{"REJ Sr", "S1 ShADd"}));
}

TEST(ZeekEnding, time_that_steps_back_gives_no_duration) {
  const auto rows = Story().client("S", {}).wait(-10).server("S.", {.ack = 1}).rows();
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_LT(rows[0].duration_us, 0);
  EXPECT_EQ(rows[0].history, "Sh");
  EXPECT_NE(to_text(rows[0]).find("\ttcp\t-\t-\t-\tS1"), std::string::npos) << to_text(rows[0]);
}

// --- limits ------------------------------------------------------------------------------------------------------

TEST(ZeekLimits, more_than_five_changes_of_the_tunnel_are_noted) {
  const auto back_and_forth = [](int packets) {
    Story story;
    for (int i = 0; i < packets; ++i) {
      story.client("P.", {.seq = 1, .ack = 1, .length = 1, .tunnel = static_cast<std::uint64_t>(1 + i % 2)});
    }
    return told(story).at(0);
  };
  EXPECT_EQ(back_and_forth(6), "OTH DT");
  EXPECT_EQ(back_and_forth(7), "OTH DTX");
}

// RFC 8086 3.1: the source port is a hash of what is carried, so each direction has its own. To Zeek it is the GRE between two
// addresses. A VXLAN is the connection of its UDP ports.
TEST(ZeekLimits, gre_over_udp_does_not_change_with_its_ports) {
  namespace built = wire::testing;
  using built::operator+;
  const auto history = [](unsigned port, const built::ByteString& header) {
    capfile::testing::CaptureBuilder file;
    file.pcap_header(0xa1b2c3d4, static_cast<std::uint32_t>(wire::LinkType::raw));
    std::uint32_t client = 1000, server = 5000;
    const auto add = [&](bool from_client, std::uint16_t flags, std::size_t length) {
      built::TcpFields tcp{.source_port = 40'000, .destination_port = 80, .flags = flags};
      tcp.seq = from_client ? client : server, tcp.ack = from_client ? server : client;
      built::Ipv4Fields inner, outer{.protocol = 17};
      if (!from_client) {
        std::swap(tcp.source_port, tcp.destination_port);
        std::swap(inner.source, inner.destination), std::swap(outer.source, outer.destination);
      }
      const auto carried = header + built::ipv4(inner, built::tcp(tcp, built::zeros(length)));
      const auto packet = built::ipv4(outer, built::udp(from_client ? 50'001 : 50'002, port, carried));
      file.pcap_packet(1, client + server, std::string(packet.begin(), packet.end()),
                       static_cast<std::uint32_t>(packet.size()));
      (from_client ? client : server) += static_cast<std::uint32_t>(length) + ((flags & 3U) != 0 ? 1 : 0);
    };
    add(true, 0x02, 0), add(false, 0x12, 0), add(true, 0x10, 0);
    for (int i = 0; i < 4; ++i) add(true, 0x18, 10), add(false, 0x18, 10);
    add(true, 0x11, 0), add(false, 0x11, 0), add(true, 0x10, 0);
    auto reader = scan::FrameReader::from_memory(file.bytes(), "made", frame_options());
    EXPECT_TRUE(reader);
    std::string log;
    EXPECT_TRUE(write_conn_log(*reader, [&log](std::string_view part) { return log += part, true; }));
    return log;
  };
  const std::string gre = history(4754, built::be16(0) + built::be16(0x0800));
  EXPECT_NE(gre.find("\tShADdFf\t"), std::string::npos) << gre;
  const std::string vxlan =
      history(4789, built::be32(0x08000000) + built::be32(7U << 8U) + built::ethernet(0x0800, {}));
  EXPECT_NE(vxlan.find("X"), std::string::npos) << vxlan;
}

std::span<const std::uint8_t> bytes_of(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

TEST(ZeekLimits, an_ftp_command_is_too_long_beyond_100_letters) {
  const std::string user = "USER anonymous\r\n", fits = std::string(100, 'T') + "\r\n",
                    too_long = std::string(101, 'T') + " x\r\n";
  FtpCommands commands;
  EXPECT_FALSE(commands.take(1, bytes_of(too_long)));  // nothing yet says that this is FTP
  std::uint64_t seq = 1 + too_long.size();
  for (const auto& line : {user, fits}) {
    EXPECT_FALSE(commands.take(seq, bytes_of(line)));
    seq += line.size();
  }
  EXPECT_TRUE(commands.take(seq, bytes_of(too_long)));
}

TEST(ZeekLimits, ftp_lines_across_segments_and_holes) {
  FtpCommands commands;
  EXPECT_FALSE(commands.take(1, bytes_of("USER x\r\n")));
  const std::string half(60, 'T');
  EXPECT_FALSE(commands.take(9, bytes_of(half)));
  EXPECT_FALSE(commands.take(9, bytes_of(half)));  // again
  EXPECT_TRUE(commands.take(69, bytes_of(half + "\n")));
  EXPECT_FALSE(commands.take(1000, bytes_of(half + half + "\n")));  // the beginning of this line is missing
  EXPECT_FALSE(commands.take(1121, bytes_of("AUTH TLS\r\n")));
  EXPECT_FALSE(commands.take(1131, bytes_of(half + half + "\n")));
}

TEST(ZeekLimits, a_flood_of_syns_stays_within_its_bound) {
  Story story;
  story.limits({.connections = 100, .stretches = 100});
  for (std::uint16_t port = 1000; port < 2000; ++port) story.from_port(port).client("S", {});
  EXPECT_EQ(story.tracker().evicted(), 900U);
  EXPECT_EQ(story.rows().size(), 1000U);
}

TEST(ZeekLimits, holes_without_end_are_given_up) {
  Story story;
  story.limits({.connections = 10, .stretches = 50}).opens();
  for (std::uint32_t i = 0; i < 1000; ++i) story.client("P.", {.seq = 1 + 2 * i, .ack = 1, .length = 1});
  EXPECT_EQ(told(story), Lines{"S1 ShAD"});
}

// --- the same under other numbers and addresses -------------------------------------------------------------------

std::string everything(Story& story) {
  story.opens()
      .talks()
      .client("P.", {.seq = 101, .ack = 101, .length = 3000})
      .client("P.", {.seq = 101, .ack = 101, .length = 100})
      .server("P.", {.seq = 5101, .ack = 3101, .length = 4000})
      .client(".", {.seq = 3101, .ack = 9101, .window = 0})
      .client("F.", {.seq = 3101, .ack = 9101})
      .server("F.", {.seq = 9101, .ack = 3102})
      .client(".", {.seq = 3102, .ack = 9102});
  std::string text;
  for (const auto& row : story.rows()) {
    text += std::string(conn_state(row)) + " " + row.history + " " + std::to_string(row.missed_bytes) + " " +
            std::to_string(row.originator.bytes) + " " + std::to_string(row.responder.bytes) + "\n";
  }
  return text;
}

TEST(ZeekMetamorphic, sequence_numbers_shifted_across_both_halves_give_the_same) {
  const std::string plain = everything(Story().first_numbers(1000, 2000));
  EXPECT_EQ(plain, "SF ShADdTWgFf 5000 3100 9100\n");
  for (const std::uint32_t client : {0U, 0x7fff'ffffU, 0x7fff'f800U, 0x8000'0000U, 0xffff'ff00U, 0xffff'f800U}) {
    for (const std::uint32_t server : {0U, 0x7fff'ff00U, 0xffff'f000U, 0xffff'ff00U, 0xffff'e000U}) {
      EXPECT_EQ(everything(Story().first_numbers(client, server)), plain) << client << " " << server;
    }
  }
}

TEST(ZeekMetamorphic, ipv6_gives_the_same) { EXPECT_EQ(everything(Story().ipv6()), everything(Story().wait(0))); }

}  // namespace
}  // namespace tcpwhy::compat::zeek
