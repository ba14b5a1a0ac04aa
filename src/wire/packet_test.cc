#include "wire/packet.h"

#include <gtest/gtest.h>

#include "wire/packet_builder.h"

namespace tcpwhy::wire {
namespace {

using namespace testing;  // NOLINT: the words of the packets below

constexpr unsigned ipv4_type = 0x0800, ipv6_type = 0x86dd;

DissectedPacket dissect_whole(LinkType link_type, const ByteString& frame) {
  return dissect(link_type, frame, frame.size());
}

// The segment of TcpFields{} with the payload "hello", whatever carried it. The frame must still live.
void expect_hello(const DissectedPacket& packet, const char* what = "") {
  SCOPED_TRACE(what);
  ASSERT_EQ(packet.kind, Dissection::tcp);
  EXPECT_EQ(packet.segment.source.port, 40000);
  EXPECT_EQ(packet.segment.destination.port, 9999);
  EXPECT_EQ(packet.segment.seq, SequenceNumber{0xfffffff0});
  EXPECT_EQ(packet.segment.ack, SequenceNumber{0x80000001});
  EXPECT_EQ(packet.segment.flags.bits, TcpFlags::psh_bit | TcpFlags::ack_bit);
  EXPECT_EQ(packet.segment.window, 512);
  EXPECT_EQ(packet.segment.payload_length, 5U);
  const auto payload = packet.segment.payload;
  EXPECT_EQ(ByteString(payload.begin(), payload.end()), text("hello"));
}

const ByteString hello = tcp({}, text("hello"));
const ByteString hello4 = ipv4({}, hello);
const ByteString hello6 = ipv6({}, hello);

// --- Flags -----------------------------------------------------------------------------------------------------

TEST(Flags, spelling_is_tcpdumps) {
  EXPECT_EQ(to_string(TcpFlags{}), "none");
  EXPECT_EQ(to_string(TcpFlags{TcpFlags::syn_bit}), "S");
  EXPECT_EQ(to_string(TcpFlags{TcpFlags::syn_bit | TcpFlags::ack_bit}), "S.");
  EXPECT_EQ(to_string(TcpFlags{TcpFlags::fin_bit | TcpFlags::psh_bit | TcpFlags::ack_bit}), "FP.");
  EXPECT_EQ(to_string(TcpFlags{TcpFlags::rst_bit}), "R");
  EXPECT_EQ(to_string(TcpFlags{0x0ff}), "FSRP.UEW");
  EXPECT_EQ(to_string(TcpFlags{0x1c2}), "SEWe");
  for (std::uint16_t bits = 0; bits < 0x200; ++bits)
    EXPECT_EQ(TcpFlags::parse(to_string(TcpFlags{bits})), TcpFlags{bits});
  EXPECT_EQ(TcpFlags::parse(".F"), TcpFlags{TcpFlags::fin_bit | TcpFlags::ack_bit});
  for (const auto* text : {"", "X", "F.X", "[F.]", "nonee"}) EXPECT_FALSE(TcpFlags::parse(text)) << text;
}

// --- IP --------------------------------------------------------------------------------------------------------

TEST(Dissect, ipv4_fields) {
  const ByteString frame = ipv4({.type_of_service = 3, .ttl = 17, .id = 77}, hello);
  const auto packet = dissect_whole(LinkType::raw, frame);
  expect_hello(packet);
  EXPECT_EQ(to_string(packet.segment.source), "192.0.2.1:40000");
  EXPECT_EQ(to_string(packet.segment.destination), "198.51.100.7:9999");
  EXPECT_EQ(packet.segment.ttl, 17);
  EXPECT_EQ(packet.segment.ip_id, 77);
  EXPECT_EQ(packet.segment.ecn, 3);
}

TEST(Dissect, ipv6_fields) {
  const ByteString frame = ipv6({.traffic_class = 0xfe, .hop_limit = 255}, hello);
  const auto packet = dissect_whole(LinkType::raw, frame);
  expect_hello(packet);
  EXPECT_EQ(to_string(packet.segment.source), "[2001:db8::1]:40000");
  EXPECT_EQ(to_string(packet.segment.destination), "[2001:db8::2]:9999");
  EXPECT_EQ(packet.segment.ttl, 255);
  EXPECT_EQ(packet.segment.ecn, 2);
}

TEST(Dissect, ipv4_options_are_stepped_over) {
  expect_hello(dissect_whole(LinkType::raw, ipv4({.options = {1, 1, 1, 0, 7, 4, 0, 0}}, hello)));
}

TEST(Dissect, bytes_after_the_ip_packet_are_padding) {
  expect_hello(dissect_whole(LinkType::ethernet, ethernet(ipv4_type, hello4 + zeros(20))));
  expect_hello(dissect_whole(LinkType::ethernet, ethernet(ipv6_type, hello6 + zeros(20))));
  const auto empty = dissect_whole(LinkType::ethernet, ethernet(ipv4_type, ipv4({}, tcp({})) + zeros(6)));
  EXPECT_EQ(empty.kind, Dissection::tcp);
  EXPECT_EQ(empty.segment.payload_length, 0U);
  EXPECT_TRUE(empty.segment.payload.empty());
}

TEST(Dissect, total_length_beyond_the_capture_is_believed) {
  const auto packet = dissect_whole(LinkType::raw, ipv4({.total_length = 1500}, hello));
  EXPECT_EQ(packet.kind, Dissection::tcp);
  EXPECT_EQ(packet.segment.payload_length, 1460U);
  EXPECT_EQ(packet.segment.payload.size(), 5U);
}

TEST(Dissect, total_length_of_zero_means_what_the_wire_had) {
  const ByteString frame = ethernet(ipv4_type, ipv4({.total_length = 0}, hello));
  expect_hello(dissect_whole(LinkType::ethernet, frame));
  const auto cut = dissect(LinkType::ethernet, frame, 70'014);
  EXPECT_EQ(cut.kind, Dissection::tcp);
  EXPECT_EQ(cut.segment.payload_length, 70'000U - 40);
  EXPECT_EQ(cut.segment.payload.size(), 5U);
}

TEST(Dissect, ipv6_payload_length_of_zero_means_what_the_wire_had) {
  const ByteString frame = ethernet(ipv6_type, ipv6({.payload_length = 0}, hello));
  expect_hello(dissect_whole(LinkType::ethernet, frame));
  EXPECT_EQ(dissect(LinkType::ethernet, frame, 100'000).segment.payload_length, 100'000U - 14 - 40 - 20);
}

TEST(Dissect, lengths_that_contradict_each_other_are_malformed) {
  const auto kind = [](const ByteString& packet) { return dissect_whole(LinkType::raw, packet).kind; };
  EXPECT_EQ(kind(ipv4({.total_length = 19}, hello)), Dissection::malformed);
  EXPECT_EQ(kind(ipv4({.total_length = 39}, hello)), Dissection::malformed);
  EXPECT_EQ(kind(ipv4({.total_length = 40}, hello)), Dissection::tcp);
  EXPECT_EQ(kind(ipv4({.header_words = 4}, hello)), Dissection::malformed);
  EXPECT_EQ(kind(ipv4({.header_words = 0}, hello)), Dissection::malformed);
  EXPECT_EQ(kind(ipv6({.payload_length = 19}, hello)), Dissection::malformed);
  EXPECT_EQ(kind(ipv4({}, tcp({.data_offset = 4}))), Dissection::malformed);
  EXPECT_EQ(kind(ipv4({}, tcp({.data_offset = 0}))), Dissection::malformed);
  EXPECT_EQ(kind(ipv4({}, tcp({.data_offset = 6}))), Dissection::malformed);
  EXPECT_EQ(kind(ipv4({}, tcp({.data_offset = 15}, zeros(39)))), Dissection::malformed);
  EXPECT_EQ(kind(ipv4({}, tcp({.data_offset = 15}, zeros(40)))), Dissection::tcp);
}

TEST(Dissect, malformed_keeps_what_could_be_read) {
  const auto packet = dissect_whole(LinkType::raw, ipv4({}, tcp({.data_offset = 4})));
  EXPECT_EQ(to_string(packet.segment.source), "192.0.2.1:40000");
  EXPECT_EQ(packet.segment.seq, SequenceNumber{0xfffffff0});
  EXPECT_EQ(packet.segment.window, 512);
}

TEST(Dissect, only_the_first_fragment_has_ports) {
  expect_hello(dissect_whole(LinkType::raw, ipv4({.fragment = 0x2000}, hello)));
  const auto later = dissect_whole(LinkType::raw, ipv4({.fragment = 0x0003}, text("more bytes")));
  EXPECT_EQ(later.kind, Dissection::fragment);
  EXPECT_EQ(to_string(later.segment.source), "192.0.2.1:0");
  EXPECT_EQ(later.segment.payload_length, 10U);
  EXPECT_EQ(dissect_whole(LinkType::raw, ipv4({.protocol = 17, .fragment = 3}, zeros(8))).kind, Dissection::other);
}

TEST(Dissect, what_is_not_tcp_is_other) {
  EXPECT_EQ(dissect_whole(LinkType::raw, ipv4({.protocol = 17}, hello)).kind, Dissection::other);
  EXPECT_EQ(dissect_whole(LinkType::raw, ipv6({.next_header = 59}, hello)).kind, Dissection::other);
  EXPECT_EQ(dissect_whole(LinkType::ethernet, ethernet(0x0806, hello4)).kind, Dissection::other);
  EXPECT_EQ(dissect_whole(LinkType::ethernet, ethernet(ipv6_type, hello4)).kind, Dissection::other);
  EXPECT_EQ(dissect_whole(static_cast<LinkType>(40'000), hello4).kind, Dissection::other);
  EXPECT_EQ(dissect(LinkType::ethernet, {}, 0).kind, Dissection::other);
}

// --- IPv6 extension headers ------------------------------------------------------------------------------------

ByteString extension(std::uint8_t next, std::uint8_t length_field, std::size_t bytes) {
  return ByteString{next, length_field} + zeros(bytes - 2);
}

TEST(Dissect, ipv6_extension_headers_are_followed) {
  const ByteString chain = extension(43, 0, 8) + extension(60, 1, 16) + extension(51, 0, 8) + extension(6, 4, 24);
  expect_hello(dissect_whole(LinkType::raw, ipv6({.next_header = 0}, chain + hello)));
}

TEST(Dissect, ipv4_authentication_header_is_followed) {
  expect_hello(dissect_whole(LinkType::raw, ipv4({.protocol = 51}, extension(6, 4, 24) + hello)));
}

TEST(Dissect, ipv6_fragments) {
  expect_hello(dissect_whole(LinkType::raw, ipv6({.next_header = 44}, ByteString{6, 0, 0, 1, 0, 0, 0, 9} + hello)));
  const auto later =
      dissect_whole(LinkType::raw, ipv6({.next_header = 44}, ByteString{6, 0, 0, 8, 0, 0, 0, 9} + hello));
  EXPECT_EQ(later.kind, Dissection::fragment);
  EXPECT_EQ(later.segment.payload_length, hello.size());
  EXPECT_EQ(dissect_whole(LinkType::raw, ipv6({.next_header = 44}, ByteString{17, 0, 0, 8, 0, 0, 0, 9} + hello)).kind,
            Dissection::other);
}

TEST(Dissect, an_extension_header_longer_than_the_packet_ends_the_search) {
  EXPECT_EQ(dissect_whole(LinkType::raw, ipv6({.next_header = 0}, extension(6, 255, 8) + hello)).kind,
            Dissection::other);
}

// --- Cut captures ----------------------------------------------------------------------------------------------

// At every length: nothing is read outside (the block has exactly this size), the kind follows from where the cut is.
void expect_every_cut(LinkType link_type, const ByteString& frame, std::size_t protocol_known, std::size_t tcp_at,
                      std::size_t tcp_header) {
  for (std::size_t size = 0; size <= frame.size(); ++size) {
    const std::vector<std::uint8_t> cut(frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(size));
    const auto packet = dissect(link_type, cut, frame.size());
    const auto expected = size < protocol_known ? Dissection::other
                          : size < tcp_at + 20  ? Dissection::truncated
                                                : Dissection::tcp;
    ASSERT_EQ(packet.kind, expected) << size;
    ASSERT_EQ(packet.segment.source.port, size >= tcp_at + 2 ? 40000 : 0) << size;
    ASSERT_EQ(packet.segment.seq.value, size >= tcp_at + 8 ? 0xfffffff0 : 0) << size;
    if (size < tcp_at + 13) continue;
    ASSERT_EQ(packet.segment.payload_length, 5U) << size;
    ASSERT_EQ(packet.segment.options.cut, size >= tcp_at + 20 && size < tcp_at + tcp_header) << size;
    ASSERT_FALSE(packet.segment.options.malformed) << size;
    const std::size_t payload_at = tcp_at + tcp_header;
    ASSERT_EQ(packet.segment.payload.size(), size > payload_at ? size - payload_at : 0) << size;
  }
}

TEST(Dissect, every_cut_of_an_ipv4_packet) {
  expect_every_cut(LinkType::ethernet, ethernet(ipv4_type, hello4), 14 + 10, 14 + 20, 20);
}

TEST(Dissect, every_cut_of_an_ipv6_packet) { expect_every_cut(LinkType::raw, hello6, 7, 40, 20); }

TEST(Dissect, every_cut_of_a_tagged_packet_with_options) {
  const ByteString segment = tcp({.options = {2, 4, 5, 0xb4, 1, 3, 3, 7}}, text("hello"));
  expect_every_cut(LinkType::ethernet,
                   ethernet(0x88a8, be32(0x00010000 | 0x8100) + be16(2) + be16(ipv4_type) + ipv4({}, segment)), 22 + 10,
                   22 + 20, 28);
}

// --- Link types ------------------------------------------------------------------------------------------------

TEST(Dissect, ethernet_and_its_tags) {
  const ByteString tag4 = be16(100) + be16(ipv4_type), tag_tag4 = be16(7) + be16(0x8100) + tag4;
  expect_hello(dissect_whole(LinkType::ethernet, ethernet(ipv4_type, hello4)), "plain");
  expect_hello(dissect_whole(LinkType::ethernet, ethernet(ipv6_type, hello6)), "plain IPv6");
  expect_hello(dissect_whole(LinkType::ethernet, ethernet(0x8100, tag4 + hello4)), "VLAN");
  expect_hello(dissect_whole(LinkType::ethernet, ethernet(0x88a8, tag_tag4 + hello4)), "QinQ, 802.1ad");
  expect_hello(dissect_whole(LinkType::ethernet, ethernet(0x9100, tag_tag4 + hello4)), "QinQ, old number");
  expect_hello(dissect_whole(LinkType::ethernet, ethernet(0x8100, be16(5) + be16(ipv6_type) + hello6)), "VLAN, IPv6");
  expect_hello(dissect_whole(LinkType::ethernet, ethernet(0x88e7, be32(42) + ethernet(ipv4_type, hello4))), "802.1ah");
  const ByteString snap = {0xaa, 0xaa, 3, 0, 0, 0};
  expect_hello(dissect_whole(LinkType::ethernet, ethernet(53, snap + be16(ipv4_type) + hello4)), "802.3 with SNAP");
}

TEST(Dissect, tags_without_end_are_given_up) {
  ByteString frame = ethernet(0x8100, {});
  for (int i = 0; i < 1000; ++i) frame = frame + be16(1) + be16(0x8100);
  EXPECT_EQ(dissect_whole(LinkType::ethernet, frame + be16(1) + be16(ipv4_type) + hello4).kind, Dissection::other);
}

TEST(Dissect, mpls) {
  const ByteString label = be32(0x0001'0040), bottom = be32(0x0002'0140);
  expect_hello(dissect_whole(LinkType::ethernet, ethernet(0x8847, bottom + hello4)), "one label");
  expect_hello(dissect_whole(LinkType::ethernet, ethernet(0x8848, label + label + bottom + hello6)), "three labels");
  expect_hello(dissect_whole(LinkType::ethernet, ethernet(0x8100, be16(9) + be16(0x8847) + label + bottom + hello4)),
               "inside a VLAN");
  EXPECT_EQ(dissect_whole(LinkType::ethernet, ethernet(0x8847, bottom + be32(0) + hello4)).kind, Dissection::other);
}

TEST(Dissect, pppoe_and_ppp) {
  const ByteString session = ByteString{0x11, 0} + be16(1) + be16(70);
  expect_hello(dissect_whole(LinkType::ethernet, ethernet(0x8864, session + be16(0x0021) + hello4)), "PPPoE");
  expect_hello(dissect_whole(LinkType::ethernet, ethernet(0x8864, session + be16(0x0057) + hello6)), "PPPoE, IPv6");
  expect_hello(dissect_whole(LinkType::ppp, be16(0xff03) + be16(0x0021) + hello4), "PPP");
  expect_hello(dissect_whole(LinkType::ppp, be16(0x0021) + hello4), "no address and control");
  expect_hello(dissect_whole(LinkType::ppp, ByteString{0x21} + hello4), "protocol of one byte");
  EXPECT_EQ(dissect_whole(LinkType::ppp, be16(0xc021) + hello4).kind, Dissection::other);
}

TEST(Dissect, fabrics) {
  expect_hello(dissect_whole(LinkType::ethernet, ethernet(0x8926, be32(0x800a0001) + be16(0x0800) + hello4)), "VN-Tag");
  expect_hello(dissect_whole(LinkType::ethernet, ethernet(0x8903, be16(0x0420) + ethernet(0x0800, hello4))),
               "FabricPath");
}

TEST(Dissect, netfilter_log) {
  constexpr LinkType nflog{239};
  const ByteString header{2, 0, 0, 5};
  const auto dissect_log = [&](const ByteString& attributes) { return dissect_whole(nflog, header + attributes).kind; };
  const ByteString little = header + ByteString{8, 0, 1, 0, 8, 0, 1, 0} + ByteString{5, 0, 10, 0, 0, 0, 0, 0} +
                            ByteString{49, 0, 9, 0} + hello4;
  expect_hello(dissect_whole(nflog, little), "little-endian, an attribute that is padded");
  const ByteString big = header + ByteString{0, 8, 0, 1, 8, 0, 1, 0} + ByteString{0, 49, 0, 9} + hello4;
  expect_hello(dissect_whole(nflog, big), "big-endian");
  EXPECT_EQ(dissect_log({}), Dissection::other);
  EXPECT_EQ(dissect_log({8, 0, 1, 0, 8, 0, 1, 0}), Dissection::other) << "no packet";
  EXPECT_EQ(dissect_log({3, 0, 1, 0, 8, 0, 1, 0}), Dissection::other) << "an attribute shorter than its header";
  EXPECT_EQ(dissect_log({0xff, 0xff, 1, 0, 8, 0, 1, 0}), Dissection::other) << "one beyond the end";
}

TEST(Dissect, linux_cooked) {
  const auto cooked = [](unsigned arphrd, unsigned protocol) {
    return be16(0) + be16(arphrd) + be16(6) + zeros(8) + be16(protocol);
  };
  const auto cooked2 = [](unsigned arphrd, unsigned protocol) {
    return be16(protocol) + be16(0) + be32(2) + be16(arphrd) + ByteString{0, 6} + zeros(8);
  };
  expect_hello(dissect_whole(LinkType::linux_sll, cooked(1, ipv4_type) + hello4), "SLL");
  expect_hello(dissect_whole(LinkType::linux_sll, cooked(772, ipv6_type) + hello6), "SLL, IPv6");
  expect_hello(dissect_whole(LinkType::linux_sll, cooked(1, 0x8100) + be16(3) + be16(ipv4_type) + hello4), "SLL, VLAN");
  expect_hello(dissect_whole(LinkType::linux_sll2, cooked2(1, ipv4_type) + hello4), "SLL2");
  EXPECT_EQ(dissect_whole(LinkType::linux_sll, cooked(824, ipv4_type) + hello4).kind, Dissection::other);
  EXPECT_EQ(dissect_whole(LinkType::linux_sll2, cooked2(824, ipv4_type) + hello4).kind, Dissection::other);
}

TEST(Dissect, null_and_loop_in_both_byte_orders) {
  for (const auto link_type : {LinkType::null, LinkType::loop}) {
    expect_hello(dissect_whole(link_type, ByteString{2, 0, 0, 0} + hello4), "little-endian");
    expect_hello(dissect_whole(link_type, ByteString{0, 0, 0, 2} + hello4), "big-endian");
    for (const std::uint8_t family : ByteString{10, 24, 28, 30}) {
      expect_hello(dissect_whole(link_type, ByteString{family, 0, 0, 0} + hello6), "IPv6, little-endian");
      expect_hello(dissect_whole(link_type, ByteString{0, 0, 0, family} + hello6), "IPv6, big-endian");
    }
    EXPECT_EQ(dissect_whole(link_type, ByteString{7, 0, 0, 0} + hello4).kind, Dissection::other);
  }
}

TEST(Dissect, raw_ip) {
  for (const auto link_type : {LinkType::raw, LinkType::raw_bsd, LinkType::raw_openbsd}) {
    expect_hello(dissect_whole(link_type, hello4));
    expect_hello(dissect_whole(link_type, hello6));
  }
  expect_hello(dissect_whole(LinkType::ipv4, hello4));
  expect_hello(dissect_whole(LinkType::ipv6, hello6));
  EXPECT_EQ(dissect_whole(LinkType::ipv4, hello6).kind, Dissection::other);
  EXPECT_EQ(dissect_whole(LinkType::ipv6, hello4).kind, Dissection::other);
}

TEST(Dissect, wireless_data_frames) {
  const ByteString llc = ByteString{0xaa, 0xaa, 3, 0, 0, 0} + be16(ipv4_type);
  const auto header = [](std::uint8_t control, std::uint8_t flags, std::size_t length) {
    return ByteString{control, flags} + zeros(length - 2);
  };
  expect_hello(dissect_whole(LinkType::ieee802_11, header(0x08, 0x01, 24) + llc + hello4), "data");
  expect_hello(dissect_whole(LinkType::ieee802_11, header(0x88, 0x02, 26) + llc + hello4), "QoS data");
  expect_hello(dissect_whole(LinkType::ieee802_11, header(0x08, 0x03, 30) + llc + hello4), "four addresses");
  EXPECT_EQ(dissect_whole(LinkType::ieee802_11, header(0x08, 0x41, 24) + llc + hello4).kind, Dissection::other);
  EXPECT_EQ(dissect_whole(LinkType::ieee802_11, header(0x80, 0, 24) + llc + hello4).kind, Dissection::other);
}

TEST(Dissect, radiotap) {
  const ByteString llc = ByteString{0xaa, 0xaa, 3, 0, 0, 0} + be16(ipv4_type);
  const auto data = [](std::size_t padding) { return ByteString{0x88, 0x01} + zeros(24 + padding); };
  const auto radiotap = LinkType::ieee802_11_radiotap;
  expect_hello(dissect_whole(radiotap, ByteString{0, 0, 8, 0, 0, 0, 0, 0} + data(0) + llc + hello4), "no fields");
  expect_hello(dissect_whole(radiotap, ByteString{0, 0, 9, 0, 2, 0, 0, 0, 0x00} + data(0) + llc + hello4), "flags");
  expect_hello(dissect_whole(radiotap, ByteString{0, 0, 9, 0, 2, 0, 0, 0, 0x20} + data(2) + llc + hello4), "padded");
  const ByteString time_and_flags =
      ByteString{0, 0, 25, 0, 3, 0, 0, 0x80, 0, 0, 0, 0} + zeros(4 + 8) + ByteString{0x20};
  expect_hello(dissect_whole(radiotap, time_and_flags + data(2) + llc + hello4), "two words of bits, time, padded");
  EXPECT_EQ(dissect_whole(radiotap, ByteString{0, 0, 200, 0, 0, 0, 0, 0} + data(0) + llc + hello4).kind,
            Dissection::other);
  EXPECT_EQ(dissect_whole(radiotap, ByteString{1, 0, 8, 0, 0, 0, 0, 0} + data(0) + llc + hello4).kind,
            Dissection::other);
}

// --- TCP options -----------------------------------------------------------------------------------------------

TcpOptions options_of(const ByteString& options) {
  const auto packet = dissect_whole(LinkType::raw, ipv4({}, tcp({.options = options})));
  EXPECT_EQ(packet.kind, Dissection::tcp);
  return packet.segment.options;
}

TEST(Options, those_of_a_syn) {
  const auto options = options_of({2, 4, 0xff, 0xd7, 4, 2, 8, 10, 0, 0, 0, 9, 0, 0, 0, 7, 1, 3, 3, 200});
  EXPECT_EQ(options.maximum_segment_size, 65495);
  EXPECT_TRUE(options.sack_permitted);
  EXPECT_EQ(options.timestamps, (TcpTimestamps{9, 7}));
  EXPECT_EQ(options.window_scale, 200);
  EXPECT_FALSE(options.malformed);
}

TEST(Options, sack_blocks) {
  const auto options = options_of(ByteString{1, 1, 5, 34} + be32(1) + be32(2) + be32(3) + be32(4) + be32(5) + be32(6) +
                                  be32(0xffffffff) + be32(8));
  ASSERT_EQ(options.sack().size(), 4U);
  EXPECT_EQ(options.sack()[0], (SackBlock{{1}, {2}}));
  EXPECT_EQ(options.sack()[3], (SackBlock{{0xffffffff}, {8}}));
}

TEST(Options, the_kinds_that_are_only_noticed) {
  const auto options = options_of(ByteString{19, 18} + zeros(16) + ByteString{30, 4, 0, 0, 34, 10} + zeros(8));
  EXPECT_TRUE(options.md5_signature);
  EXPECT_TRUE(options.multipath);
  EXPECT_EQ(options.fast_open_cookie_length, 8);
  EXPECT_EQ(options_of({34, 2}).fast_open_cookie_length, 0);
  EXPECT_EQ(options_of({254, 8, 0xf9, 0x89, 1, 2, 3, 4}).fast_open_cookie_length, 4);
  EXPECT_EQ(options_of({254, 4, 0xe2, 0xd4}), TcpOptions{});
}

TEST(Options, end_of_list_hides_what_follows) { EXPECT_EQ(options_of({1, 0, 1, 1, 2, 4, 5, 0xb4}), TcpOptions{}); }

TEST(Options, malformed_lists_keep_what_stood_before) {
  TcpOptions expected;
  expected.maximum_segment_size = 1460;
  expected.malformed = true;
  EXPECT_EQ(options_of({2, 4, 5, 0xb4, 8, 10, 0, 0}), expected);  // runs over the end
  EXPECT_EQ(options_of({2, 4, 5, 0xb4, 8, 0, 0, 0}), expected);   // length 0
  EXPECT_EQ(options_of({2, 4, 5, 0xb4, 8, 1, 0, 0}), expected);   // length 1
  EXPECT_EQ(options_of({2, 4, 5, 0xb4, 1, 1, 1, 8}), expected);   // kind without length
}

TEST(Options, a_capture_that_ends_in_the_list_keeps_what_stood_before) {
  const ByteString packet = ipv4({}, tcp({.options = {2, 4, 5, 0xb4, 1, 3, 3, 7, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2}}));
  const ByteString cut(packet.begin(), packet.begin() + 54);  // inside the timestamps: 68 bytes of an Ethernet frame
  const auto seen = dissect(LinkType::raw, cut, packet.size());
  ASSERT_EQ(seen.kind, Dissection::tcp);
  EXPECT_TRUE(seen.segment.options.cut);
  EXPECT_FALSE(seen.segment.options.malformed);
  EXPECT_EQ(seen.segment.options.maximum_segment_size, 1460);
  EXPECT_EQ(seen.segment.options.window_scale, 7);
  EXPECT_FALSE(seen.segment.options.timestamps);
  EXPECT_EQ(seen.segment.payload_length, 0U);
}

TEST(Options, a_known_kind_of_wrong_length_is_passed_over) {
  EXPECT_EQ(options_of({2, 3, 5, 3, 4, 1, 1, 4, 3, 0, 5, 4, 0, 0, 0}), TcpOptions{});
}

TEST(Segment, sequence_length_counts_syn_and_fin) {
  TcpSegment segment;
  segment.payload_length = 10;
  EXPECT_EQ(segment.sequence_length(), 10U);
  segment.flags.bits = TcpFlags::syn_bit | TcpFlags::fin_bit;
  EXPECT_EQ(segment.sequence_length(), 12U);
}

}  // namespace
}  // namespace tcpwhy::wire
