// The tcpdump view without tcpdump: lines written down from tcpdump 4.99.3, and what needs no reference.
#include "render/tcpdump/tcpdump.h"

#include <gtest/gtest.h>

#include <utility>

#include "render/tcpdump/hostile_packets_testing.h"

namespace tcpwhy::render::testing {
namespace {

std::string line_of(const ByteString& packet, TcpdumpOptions options = options_of(false, false, TcpdumpTime::none)) {
  return TcpdumpPrinter(std::move(options)).print(as_printed(sample(wire::LinkType::raw, packet))).text;
}

TEST(TcpdumpLines, a_conversation_becomes_relative_after_its_first_ack) {
  TcpdumpPrinter printer(options_of(false, false, TcpdumpTime::none));
  const auto print = [&](const ByteString& segment) {
    return printer.print(as_printed(sample(wire::LinkType::raw, ipv4({}, segment)))).text;
  };
  EXPECT_EQ(print(tcp({.seq = 0xffffffff, .ack = 0, .flags = 0x002})),
            "IP 192.0.2.1.40000 > 198.51.100.7.9999: Flags [S], seq 4294967295, win 512, length 0");
  EXPECT_EQ(print(tcp({.seq = 0, .ack = 7, .flags = 0x010})),
            "IP 192.0.2.1.40000 > 198.51.100.7.9999: Flags [.], ack 7, win 512, length 0");
  EXPECT_EQ(print(tcp({.seq = 0, .ack = 7, .flags = 0x018}, wire::testing::text("hello"))),
            "IP 192.0.2.1.40000 > 198.51.100.7.9999: Flags [P.], seq 0:5, ack 1, win 512, length 5");
}

TEST(TcpdumpLines, cut_and_malformed_headers) {
  const ByteString whole = ipv4({}, tcp({}));
  EXPECT_EQ(line_of(ByteString(whole.begin(), whole.begin() + 22)),
            "IP truncated-ip - 18 bytes missing! 192.0.2.1 > 198.51.100.7: [|tcp]");
  EXPECT_EQ(line_of(ipv4({}, tcp({.data_offset = 4}))),
            "IP 192.0.2.1.40000 > 198.51.100.7.9999:  tcp 4 [bad hdr length 16 - too short, < 20]");
  EXPECT_EQ(line_of(ipv4({}, tcp({.data_offset = 7}))),
            "IP 192.0.2.1.40000 > 198.51.100.7.9999: Flags [P.] [bad hdr length 28 - too long, > 20]");
  EXPECT_EQ(line_of(ipv4({}, tcp({.flags = 0x002, .options = {1, 2, 9, 0}}))),
            "IP 192.0.2.1.40000 > 198.51.100.7.9999: Flags [S], seq 4294967280, win 512, options [nop,[bad opt]]");
}

TEST(TcpdumpLines, what_is_not_tcp_says_so) {
  const auto udp = be16(53) + be16(5353) + be16(12) + be16(0) + zeros(4);
  const auto line = TcpdumpPrinter(options_of(false, false, TcpdumpTime::none))
                        .print(as_printed(sample(wire::LinkType::raw, ipv4({.protocol = 17}, udp))));
  EXPECT_EQ(line.text, "IP 192.0.2.1.53 > 198.51.100.7.5353: UDP, length 4");
  EXPECT_FALSE(line.is_tcp);
}

TEST(TcpdumpLines, packets_in_packets_end_somewhere) {
  ByteString packet = tcp({});
  for (int i = 0; i < 2000; ++i) packet = ipv4({.protocol = static_cast<std::uint8_t>(i == 0 ? 6 : 4)}, packet);
  EXPECT_NE(line_of(packet).find("nested too deep"), std::string::npos);
}

TEST(TcpdumpLines, the_table_of_conversations_has_a_limit) {
  auto options = options_of(false, false, TcpdumpTime::none);
  options.most_conversations = 2;
  TcpdumpPrinter printer(options);
  const auto print = [&](std::uint16_t port) {
    const auto segment = tcp({.source_port = port, .seq = 100, .ack = 50, .flags = 0x010});
    return printer.print(as_printed(sample(wire::LinkType::raw, ipv4({}, segment)))).text;
  };
  for (const std::uint16_t port : std::vector<std::uint16_t>{1, 2, 3}) print(port);  // the third empties it
  EXPECT_NE(print(3).find("ack 1,"), std::string::npos);
  EXPECT_NE(print(1).find("ack 50,"), std::string::npos);
}

TEST(TcpdumpLines, every_link_type_that_is_read_is_printed) {
  TcpdumpPrinter printer(options_of(false, false, TcpdumpTime::none));
  for (const auto& frame : wire::testing::link_frames(ipv4({}, tcp({})), ipv6({}, tcp({})))) {
    const auto line = printer.print(as_printed(sample(frame.link_type, frame.bytes)));
    EXPECT_TRUE(line.is_tcp && line.text.find(".9999: Flags [P.], ") != std::string::npos)
        << frame.what << ": " << line.text;
  }
}

TEST(TcpdumpLines, a_link_type_that_is_not_read_is_named) {
  TcpdumpPrinter printer(options_of(false, false, TcpdumpTime::none));
  const auto print = [&](std::uint16_t number) {
    return printer.print(as_printed(sample(wire::LinkType{number}, zeros(9)))).text;
  };
  EXPECT_EQ(print(143), "link type DOCSIS (143), length 9");
  EXPECT_EQ(print(60000), "link type 60000, length 9");
}

// A frame in a frame in a frame, and a link type in a link type: the stack is not the packet's to use up.
TEST(TcpdumpLines, what_nests_without_end_is_given_up) {
  TcpdumpPrinter printer(options_of(false, true, TcpdumpTime::none));
  ByteString ppi, bridged;
  for (int i = 0; i < 20'000; ++i) {
    ppi = ppi + ByteString{0, 0, 8, 0, 192, 0, 0, 0};
    bridged = bridged + ByteString{0xaa, 0xaa, 3, 0, 0x80, 0xc2, 0, 7, 0, 0} + ethernet(1500, {});
  }
  EXPECT_FALSE(printer.print(as_printed(sample(wire::LinkType{192}, ppi))).is_tcp);
  EXPECT_FALSE(printer.print(as_printed(sample(wire::LinkType{100}, bridged))).is_tcp);
}

// Nothing of a packet reaches the terminal but as digits: whatever the bytes are.
TEST(TcpdumpLines, hold_no_control_character) {
  Random random(7);
  for (const auto& style : all_styles()) {
    TcpdumpPrinter printer(style.options);
    auto packets = mutated(random, encapsulations(), 3'000);
    for (auto& packet : mutated(random, in_each_link_type(), 3'000)) packets.push_back(std::move(packet));
    for (const auto& packet : packets) {
      const std::string text = printer.print(as_printed(packet)).text;
      for (const char c : text) ASSERT_TRUE((c >= ' ' && c <= '~') || c == '\n') << text;
    }
  }
}

}  // namespace
}  // namespace tcpwhy::render::testing
