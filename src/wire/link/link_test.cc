// Each link type: a TCP segment is found behind its headers, at every cut nothing else is; what is no data is left alone.
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "wire/link/frames_testing.h"
#include "wire/link_types.h"
#include "wire/packet.h"

namespace tcpwhy::wire {
namespace {

using namespace testing;  // NOLINT: the words of the packets below

const ByteString hello = tcp({}, text("hello"));
const ByteString hello4 = ipv4({}, hello), hello6 = ipv6({}, hello);

DissectedPacket dissect_number(unsigned link_type, const ByteString& frame) {
  return dissect(LinkType{static_cast<std::uint16_t>(link_type)}, frame, frame.size());
}

TEST(LinkTypes, each_leads_to_the_segment) {
  for (const LinkFrame& frame : link_frames(hello4, hello6)) {
    SCOPED_TRACE(frame.what);
    const auto packet = dissect(frame.link_type, frame.bytes, frame.bytes.size());
    ASSERT_EQ(packet.kind, Dissection::tcp);
    EXPECT_EQ(packet.segment.source.port, 40000);
    EXPECT_EQ(packet.segment.seq, SequenceNumber{0xfffffff0});
    const auto payload = packet.segment.payload;
    EXPECT_EQ(ByteString(payload.begin(), payload.end()), text("hello"));
    EXPECT_EQ(packet.segment.payload_length, 5U);
  }
}

// Nothing is read outside (each block has exactly its size), and no segment is seen before its header is there.
TEST(LinkTypes, each_cut_everywhere) {
  for (const LinkFrame& frame : link_frames(hello4, hello6)) {
    SCOPED_TRACE(frame.what);
    const std::size_t ip_header = frame.bytes[frame.headers] >> 4U == 4 ? 20 : 40;
    const std::size_t tcp_at = frame.headers + ip_header;
    for (std::size_t size = 0; size <= frame.bytes.size(); ++size) {
      const ByteString cut(frame.bytes.begin(), frame.bytes.begin() + static_cast<std::ptrdiff_t>(size));
      const auto packet = dissect(frame.link_type, cut, frame.bytes.size());
      ASSERT_EQ(packet.kind == Dissection::tcp, size >= tcp_at + 20) << size;
      const bool before_ip = size <= frame.headers;
      ASSERT_TRUE(!before_ip || packet.kind == Dissection::other) << size;
    }
  }
}

TEST(LinkTypes, every_one_that_is_read_has_a_frame_above_or_in_the_tests_of_packets) {
  std::set<unsigned> tested{0, 1, 12, 14, 15, 101, 105, 108, 113, 228, 229, 276};
  for (const LinkFrame& frame : link_frames(hello4, hello6)) tested.insert(static_cast<unsigned>(frame.link_type));
  for (const LinkTypeRow& row : link_types())
    EXPECT_EQ(row.content != Content::none, tested.contains(row.number)) << row.number << ' ' << row.name;
}

TEST(LinkTypes, names) {
  EXPECT_EQ(name_of(LinkType{104}), "C_HDLC");
  EXPECT_EQ(name_of(LinkType{147}), "USER0");
  EXPECT_EQ(name_of(LinkType{60000}), "");
  EXPECT_TRUE(is_read(LinkType{104}));
  EXPECT_FALSE(is_read(LinkType{147})) << "whose they are is not said";
  EXPECT_FALSE(is_read(LinkType{60000}));
}

// --- Padding ---------------------------------------------------------------------------------------------------

// A packet whose length is not filled in (offload) is as long as the frame leaves it.
const ByteString unfilled4 = ipv4({.total_length = 0}, hello), unfilled6 = ipv6({.payload_length = 0}, hello);

TEST(Padding, behind_what_pppoe_carries_is_no_payload) {
  const auto session = [](unsigned protocol, const ByteString& packet) {
    return ethernet(
        0x8864, ByteString{0x11, 0, 0, 1} + be16(static_cast<unsigned>(packet.size()) + 2) + be16(protocol) + packet);
  };
  for (const ByteString& frame : {session(0x21, unfilled4), session(0x57, unfilled6), session(0x21, hello4)}) {
    const ByteString padded = frame + zeros(30);
    const auto packet = dissect_number(1, padded);
    ASSERT_EQ(packet.kind, Dissection::tcp);
    EXPECT_EQ(packet.segment.payload_length, 5U);
    EXPECT_EQ(packet.segment.payload.size(), 5U);
  }
}

TEST(Padding, a_length_beyond_the_frame_takes_nothing_away) {
  const ByteString frame = ethernet(0x8864, ByteString{0x11, 0, 0, 1} + be16(1400) + be16(0x21) + hello4);
  const auto packet = dissect_number(1, frame);
  ASSERT_EQ(packet.kind, Dissection::tcp);
  EXPECT_EQ(packet.segment.payload_length, 5U);
}

TEST(Padding, behind_the_length_of_802_3_and_of_netfilters_attribute) {
  const ByteString llc = ByteString{0xaa, 0xaa, 3, 0, 0, 0} + be16(0x0800) + unfilled4;
  const auto length = static_cast<unsigned>(llc.size());
  const ByteString plain = ethernet(length, llc) + zeros(30);
  const ByteString tagged = ethernet(0x8100, be16(5) + be16(length) + llc) + zeros(30);
  for (const ByteString& frame : {plain, tagged}) EXPECT_EQ(dissect_number(1, frame).segment.payload_length, 5U);
  const ByteString log =
      ByteString{2, 0, 0, 5} + le16(static_cast<unsigned>(unfilled4.size()) + 4) + le16(9) + unfilled4;
  EXPECT_EQ(dissect_number(239, log + zeros(3) + le16(8) + le16(12) + zeros(4)).segment.payload_length, 5U);
}

TEST(Padding, the_check_sequence_of_a_radio_frame_is_no_payload) {
  const ByteString data =
      ByteString{0x08, 0x01} + zeros(22) + ByteString{0xaa, 0xaa, 3, 0, 0, 0} + be16(0x0800) + unfilled4;
  const auto radiotap = [&](std::uint8_t flags) { return ByteString{0, 0, 9, 0, 2, 0, 0, 0, flags} + data; };
  const ByteString checked = radiotap(0x10) + be32(0x01020304), bare = radiotap(0);
  EXPECT_EQ(dissect_number(127, checked).segment.payload_length, 5U);
  EXPECT_EQ(dissect_number(127, bare).segment.payload_length, 5U);
}

// --- What is no data -------------------------------------------------------------------------------------------

struct NoData {
  const char* what;
  unsigned link_type;
  ByteString headers;
};

TEST(LinkTypes, what_carries_no_ip_is_left_alone) {
  const ByteString macs = zeros(12), llc = ByteString{0xaa, 0xaa, 3, 0, 0, 0} + be16(0x0800);
  const NoData rows[] = {
      {"Cisco's HDLC: SLARP", 104, be16(0x8f00) + be16(0x8035)},
      {"Cisco's HDLC: a length", 104, be16(0x0f00) + be16(40)},
      {"Frame Relay: a signalling channel", 107, ByteString{0x00, 0x01} + be16(0x0800)},
      {"Frame Relay: an address of five bytes", 107, ByteString{0, 0, 0, 0, 1, 3, 0xcc}},
      {"Frame Relay: an address of one byte", 107, ByteString{1, 3, 0xcc}},
      {"Multilink Frame Relay: a later fragment", 182, ByteString{0x41, 7, 0x18, 0x41, 3, 0xcc}},
      {"Multilink Frame Relay: control", 182, ByteString{0xe1, 0, 0x18, 0x41, 3, 0xcc}},
      {"FDDI: station management", 10, ByteString{0x41} + macs + llc},
      {"Token Ring: MAC", 6, ByteString{0x10, 0x00} + macs + llc},
      {"ARCnet: the second fragment", 7, ByteString{1, 2, 0xd4, 2, 0, 7}},
      {"ARCnet: ARP", 7, ByteString{1, 2, 0xd5, 0, 0, 7}},
      {"IP over InfiniBand: ARP", 242, zeros(40) + be16(0x0806) + zeros(2)},
      {"SNAP: Cisco's own protocols", 100, ByteString{0xaa, 0xaa, 3, 0, 0, 0x0c} + be16(0x0800)},
      {"LLC: two services", 122, zeros(16) + ByteString{0xaa, 0x06, 3, 0, 0, 0} + be16(0x0800)},
      {"LLC: a command with a poll", 122, zeros(16) + ByteString{0xaa, 0xaa, 0x13, 0, 0, 0} + be16(0x0800)},
      {"SunATM: signalling", 123, ByteString{2, 0, 0, 5} + llc},
      {"SunATM: control of LAN emulation", 123, ByteString{1, 0, 0, 100, 0xff, 0} + ethernet(0x0800, {})},
      {"Juniper: without its magic number", 178, ByteString{0x4d, 0x47, 0x44, 1} + ethernet(0x0800, {})},
      {"Juniper: a cell of ATM's own", 137, ByteString{0x4d, 0x47, 0x43, 1, 0x80, 0, 0, 0}},
      {"Juniper: OSI over multilink PPP", 130, ByteString{0x4d, 0x47, 0x43, 1, 0x47, 0, 0, 0, 0, 0x30, 0, 0}},
      {"pf's log: a header that is too short", 117, ByteString{12, 2, 0, 0} + zeros(8)},
      {"enc: a family", 109, be32(9) + zeros(8)},
      {"ipnet: a family", 226, ByteString{1, 3} + zeros(22)},
      {"PPI: a link type that is not read", 192, ByteString{0, 0, 8, 0} + le32(189)},
      {"PPI: a link type beyond all", 192, ByteString{0, 0, 8, 0} + le32(0x10001)},
      {"PPI: a header shorter than itself", 192, ByteString{0, 0, 4, 0} + le32(101)},
      {"PPI: a header beyond the packet", 192, ByteString{0, 0, 0xff, 0xff} + le32(101)},
      {"pktap: no packet", 258, le32(108) + le32(0) + le32(101) + zeros(96)},
      {"pktap: a header beyond the packet", 258, le32(0xffffffff) + le32(1) + le32(101) + zeros(96)},
      {"AVS: a header beyond the packet", 163, be32(0x80211001) + be32(0xffffffff)},
      {"DOCSIS", 143, ByteString{}},
      {"somebody's own", 147, ByteString{}},
  };
  for (const NoData& row : rows) {
    const ByteString frame = row.headers + hello4;
    EXPECT_EQ(dissect_number(row.link_type, frame).kind, Dissection::other) << row.what;
  }
}

TEST(LinkTypes, a_pseudo_header_in_itself_ends) {
  ByteString frame;
  for (int i = 0; i < 1000; ++i) frame = frame + ByteString{0, 0, 8, 0} + le32(192);
  EXPECT_EQ(dissect_number(192, frame + hello4).kind, Dissection::other);
}

// --- What is around --------------------------------------------------------------------------------------------

TEST(LinkTypes, the_vid_in_a_switchs_tag_is_a_vlan_where_the_frame_was_tagged) {
  const auto encapsulation = [](std::uint8_t mode) {
    return dissect_number(284, zeros(12) + ByteString{mode, 0x18, 0x60, 0x07} + be16(0x0800) + hello4).encapsulation;
  };
  EXPECT_EQ(encapsulation(0xe1).vlans, 7U);
  EXPECT_EQ(encapsulation(0xc1).vlans, 0U);
}

TEST(LinkTypes, a_cooked_protocol_below_the_ethertypes_is_linuxs_own_number) {
  const auto kind = [](unsigned protocol) {
    const ByteString llc = ByteString{0xaa, 0xaa, 3, 0, 0, 0} + be16(0x0800);
    return dissect_number(113, zeros(2) + be16(1) + zeros(10) + be16(protocol) + llc + hello4).kind;
  };
  EXPECT_EQ(kind(4), Dissection::tcp) << "802.2, as long as it is";
  EXPECT_EQ(kind(1), Dissection::other) << "Novell's 802.3";
}

}  // namespace
}  // namespace tcpwhy::wire
