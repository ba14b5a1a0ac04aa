// What is inside tunnels, and what a tunnel does to a connection's key.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <functional>

#include "wire/packet.h"
#include "wire/packet_builder.h"

namespace tcpwhy::wire {
namespace {

using namespace testing;  // NOLINT: the words of the packets below

const ByteString hello = tcp({}, text("hello"));
const ByteString hello4 = ipv4({}, hello), hello6 = ipv6({}, hello);

// A tunnel between two routers, in one direction or the other.
enum class Way { there, back };

ByteString outer4(std::uint8_t protocol, const ByteString& payload, Way way = Way::there) {
  Ipv4Fields fields{.protocol = protocol, .source = {10, 0, 0, 1}, .destination = {10, 0, 0, 2}};
  if (way == Way::back) std::swap(fields.source, fields.destination);
  return ipv4(fields, payload);
}

ByteString vxlan(std::uint32_t vni, const ByteString& frame, Way way = Way::there) {
  return outer4(17, udp(50001, 4789, be32(0x08000000) + be32(vni << 8U) + frame), way);
}
ByteString geneve(std::uint32_t vni, unsigned protocol, const ByteString& inner) {
  return outer4(17, udp(50001, 6081, be16(0x0100) + be16(protocol) + be32(vni << 8U) + be32(0) + inner));
}
ByteString gre(unsigned protocol, const ByteString& inner, Way way = Way::there) {
  return outer4(47, be16(0) + be16(protocol) + inner, way);
}
ByteString keyed_gre(std::uint32_t key, unsigned protocol, const ByteString& inner) {
  return outer4(47, be16(0x2000) + be16(protocol) + be32(key) + inner);
}
ByteString gtp(std::uint32_t teid, const ByteString& inner, Way way = Way::there) {
  return outer4(
      17, udp(2152, 2152, ByteString{0x30, 0xff} + be16(static_cast<unsigned>(inner.size())) + be32(teid) + inner),
      way);
}

DissectedPacket dissect_raw(const ByteString& packet, const DissectOptions& options = {}) {
  return dissect(LinkType::raw, packet, packet.size(), options);
}

void expect_hello(const ByteString& packet, const char* what) {
  SCOPED_TRACE(what);
  const auto seen = dissect_raw(packet);
  ASSERT_EQ(seen.kind, Dissection::tcp);
  EXPECT_EQ(seen.segment.source.port, 40000);
  EXPECT_EQ(seen.segment.payload_length, 5U);
  EXPECT_EQ(ByteString(seen.segment.payload.begin(), seen.segment.payload.end()), text("hello"));
  EXPECT_EQ(to_string(seen.segment.source.ip),
            seen.segment.source.ip.family == IpFamily::v4 ? "192.0.2.1" : "2001:db8::1");
}

Encapsulation around(const ByteString& packet) { return dissect_raw(packet).encapsulation; }
Encapsulation around_frame(const ByteString& frame) {
  return dissect(LinkType::ethernet, frame, frame.size()).encapsulation;
}

const ByteString frame4 = ethernet(0x0800, hello4);

// --- What is looked into ---------------------------------------------------------------------------------------

TEST(Tunnel, ip_in_ip) {
  expect_hello(outer4(4, hello4), "IPv4 in IPv4");
  expect_hello(outer4(41, hello6), "IPv6 in IPv4");
  expect_hello(ipv6({.next_header = 4}, hello4), "IPv4 in IPv6");
  expect_hello(ipv6({.next_header = 41}, hello6), "IPv6 in IPv6");
  expect_hello(ipv6({.next_header = 60}, ByteString{41, 0, 4, 1, 4, 1, 1, 0} + hello6), "behind destination options");
  expect_hello(outer4(137, be32(0x0001'0140) + hello4), "MPLS in IP");
}

TEST(Tunnel, gre) {
  expect_hello(gre(0x0800, hello4), "IPv4");
  expect_hello(gre(0x86dd, hello6), "IPv6");
  expect_hello(gre(0x6558, frame4), "a frame");
  expect_hello(gre(0x8847, be32(0x0001'0140) + hello4), "MPLS");
  expect_hello(keyed_gre(7, 0x0800, hello4), "with a key");
  expect_hello(outer4(47, be16(0xb000) + be16(0x0800) + zeros(12) + hello4), "checksum, key and sequence number");
  expect_hello(outer4(47, be16(0x3081) + be16(0x880b) + be32(9) + be32(1) + be32(1) + be32(0xff030021) + hello4),
               "PPTP");
  expect_hello(ipv6({.next_header = 47}, be16(0) + be16(0x0800) + hello4), "over IPv6");
  EXPECT_EQ(dissect_raw(outer4(47, be16(0x4000) + be16(0x0800) + be32(0) + hello4)).kind, Dissection::other);
  EXPECT_EQ(dissect_raw(outer4(47, be16(2) + be16(0x0800) + hello4)).kind, Dissection::other);
}

TEST(Tunnel, erspan) {
  expect_hello(gre(0x88be, frame4), "type I");
  expect_hello(outer4(47, be16(0x1000) + be16(0x88be) + be32(1) + zeros(8) + frame4), "type II");
  expect_hello(outer4(47, be16(0x1000) + be16(0x22eb) + be32(1) + zeros(12) + frame4), "type III");
  expect_hello(outer4(47, be16(0x1000) + be16(0x22eb) + be32(1) + zeros(11) + ByteString{1} + zeros(8) + frame4),
               "type III with a platform header");
}

TEST(Tunnel, over_udp) {
  expect_hello(vxlan(5, frame4), "VXLAN");
  expect_hello(geneve(5, 0x6558, frame4), "Geneve with a frame");
  expect_hello(geneve(5, 0x0800, hello4), "Geneve with IPv4");
  expect_hello(gtp(1, hello4), "GTP-U");
  expect_hello(
      outer4(17, udp(5906, 2152, ByteString{0x34, 0xff, 0, 0, 0, 0, 0, 9, 0, 1, 0, 0x85, 1, 0, 9, 0} + hello4)),
      "GTP-U with a sequence number and an extension header");
  EXPECT_EQ(dissect_raw(outer4(17, udp(50001, 4789, be32(0) + be32(0x500) + frame4))).kind, Dissection::other);
  EXPECT_EQ(dissect_raw(outer4(17, udp(2152, 2152, ByteString{0x30, 1, 0, 0, 0, 0, 0, 9} + hello4))).kind,
            Dissection::other);
  EXPECT_EQ(
      dissect_raw(outer4(17, udp(2152, 2152, ByteString{0x34, 0xff, 0, 0, 0, 0, 0, 9, 0, 1, 0, 0x85, 0} + hello4)))
          .kind,
      Dissection::other);
  EXPECT_EQ(dissect_raw(outer4(17, udp(50001, 53, be32(0x08000000) + be32(0x500) + frame4))).kind, Dissection::other);
}

TEST(Tunnel, rare_ones_over_udp) {
  expect_hello(outer4(17, udp(50001, 4754, be16(0) + be16(0x0800) + hello4)), "GRE in UDP");
  const auto ayiya = [](unsigned operation, unsigned next, const ByteString& rest) {
    return outer4(17, udp(5072, 50001, be16(0x4052) + be16(operation << 8U | next) + be32(1) + zeros(16 + 20) + rest));
  };
  expect_hello(ayiya(0x11, 41, hello6), "AYIYA with IPv6");
  expect_hello(ayiya(0x11, 4, hello4), "AYIYA with IPv4");
  EXPECT_EQ(dissect_raw(ayiya(0x10, 41, hello6)).kind, Dissection::other) << "no forwarding";
  EXPECT_EQ(dissect_raw(ayiya(0x11, 59, hello6)).kind, Dissection::other) << "nothing next";
}

TEST(Tunnel, teredo_is_looked_into_on_request_only) {
  const auto teredo = [](const ByteString& indications) { return outer4(17, udp(3797, 3544, indications + hello6)); };
  const DissectOptions on{.teredo = true};
  EXPECT_EQ(dissect_raw(teredo({})).kind, Dissection::other);
  EXPECT_EQ(dissect_raw(teredo({}), on).kind, Dissection::tcp);
  EXPECT_EQ(dissect_raw(teredo({0, 0, 1, 2, 3, 4, 5, 6}), on).kind, Dissection::tcp);
  const ByteString authentication = ByteString{0, 1, 2, 1} + zeros(3 + 9);
  EXPECT_EQ(dissect_raw(teredo(authentication), on).kind, Dissection::tcp);
  EXPECT_EQ(dissect_raw(teredo(authentication + ByteString{0, 0} + zeros(6)), on).kind, Dissection::tcp);
}

TEST(Tunnel, can_be_left_alone) {
  EXPECT_EQ(dissect_raw(outer4(4, hello4), {.tunnels = false}).kind, Dissection::other);
  EXPECT_EQ(dissect_raw(vxlan(5, frame4), {.tunnels = false}).kind, Dissection::other);
}

TEST(Tunnel, nesting_is_bounded) {
  ByteString packet = hello4;
  for (int i = 0; i < 8; ++i) packet = outer4(4, packet);
  EXPECT_EQ(dissect_raw(packet).kind, Dissection::tcp);
  EXPECT_EQ(dissect_raw(outer4(4, packet)).kind, Dissection::other);
}

TEST(Tunnel, every_cut_reads_nothing_outside) {
  for (const ByteString& packet :
       {vxlan(5, ethernet(0x8100, be16(3) + be16(0x0800) + hello4)), gre(0x22eb, zeros(12) + frame4), gtp(9, hello6),
        geneve(7, 0x6558, frame4), outer4(47, be16(0xb000) + be16(0x6558) + zeros(12) + frame4)}) {
    for (std::size_t size = 0; size < packet.size(); ++size) {
      const ByteString cut(packet.begin(), packet.begin() + static_cast<std::ptrdiff_t>(size));
      const auto seen = dissect(LinkType::raw, cut, packet.size());
      ASSERT_TRUE(seen.kind == Dissection::other || seen.kind == Dissection::truncated || size >= packet.size() - 5)
          << size;
      ASSERT_LE(seen.segment.payload.size(), size);
    }
  }
}

// --- What it does to the key -----------------------------------------------------------------------------------

TEST(Encapsulation, none_is_zero) {
  EXPECT_EQ(around(hello4).value(), 0U);
  EXPECT_EQ(around_frame(frame4).value(), 0U);
  EXPECT_EQ(around_frame(ethernet(0x8100, be16(0xe000) + be16(0x0800) + hello4)).value(), 0U)
      << "VID 0 is a priority only";
  EXPECT_EQ(around_frame(ethernet(0x8847, be32(0x0001'0140) + hello4)).value(), 0U) << "a label is of one direction";
  EXPECT_EQ(around(gre(0x88be, frame4)).value(), 0U) << "a mirror is where the observer is";
}

TEST(Encapsulation, vlans_say_their_vids) {
  EXPECT_EQ(around_frame(ethernet(0x8100, be16(0x2064) + be16(0x0800) + hello4)), (Encapsulation{.vlans = 100}));
  EXPECT_EQ(around_frame(ethernet(0x88a8, be16(7) + be16(0x8100) + be16(100) + be16(0x0800) + hello4)),
            (Encapsulation{.vlans = 7U << 12U | 100}));
}

TEST(Encapsulation, tells_networks_apart) {
  const auto tagged = [](unsigned vid, const ByteString& packet) {
    return ethernet(0x8100, be16(vid) + be16(0x0800) + packet);
  };
  const auto session = [](unsigned id) {
    return ethernet(0x8864, ByteString{0x11, 0} + be16(id) + be16(70) + be16(0x0021) + hello4);
  };
  const auto service = [](std::uint32_t id) { return ethernet(0x88e7, be32(id) + frame4); };
  const ByteString three_tags = be16(1) + be16(0x8100) + be16(2) + be16(0x8100);
  const std::vector<Encapsulation> all = {
      around(hello4),
      around_frame(tagged(1, hello4)),
      around_frame(tagged(2, hello4)),
      around_frame(ethernet(0x8100, three_tags + be16(3) + be16(0x0800) + hello4)),
      around_frame(ethernet(0x8100, three_tags + be16(4) + be16(0x0800) + hello4)),
      around_frame(session(1)),
      around_frame(session(2)),
      around_frame(service(1)),
      around_frame(service(2)),
      around(vxlan(1, frame4)),
      around(vxlan(2, frame4)),
      around(geneve(1, 0x6558, frame4)),
      around(gre(0x0800, hello4)),
      around(keyed_gre(0, 0x0800, hello4)),
      around(keyed_gre(1, 0x0800, hello4)),
      around(keyed_gre(0x300, 0x6558, frame4)),
      around(keyed_gre(0x400, 0x6558, frame4)),
      around(outer4(4, hello4)),
      around(outer4(4, outer4(4, hello4))),
      around(ipv4({.protocol = 4}, hello4)),
      around(gtp(1, hello4)),
      around(vxlan(1, tagged(1, hello4))),
      around_frame(tagged(1, vxlan(1, frame4))),
  };
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) EXPECT_NE(all[i].value(), all[j].value()) << i << ' ' << j;
  }
}

TEST(Encapsulation, is_the_same_in_both_directions) {
  EXPECT_EQ(around(outer4(4, hello4)), around(outer4(4, hello4, Way::back)));
  EXPECT_EQ(around(gre(0x0800, hello4)), around(gre(0x0800, hello4, Way::back)));
  EXPECT_EQ(around(gtp(1, hello4)), around(gtp(2, hello4, Way::back))) << "each direction has its own TEID";
  EXPECT_EQ(around(vxlan(1, frame4)), around(vxlan(1, frame4, Way::back)));
  EXPECT_EQ(around(keyed_gre(0x101, 0x6558, frame4)), around(keyed_gre(0x1fe, 0x6558, frame4))) << "NVGRE's FlowID";
}

TEST(Encapsulation, relays_do_not_split_6to4) {
  ByteString six_to_four = hello6;
  six_to_four[8] = 0x20, six_to_four[9] = 0x02;
  EXPECT_EQ(around(outer4(41, six_to_four)), around(ipv4({.protocol = 41}, six_to_four)));
  EXPECT_NE(around(outer4(41, hello6)), around(ipv4({.protocol = 41}, hello6)));
}

TEST(Encapsulation, an_asymmetric_vlan_around_a_tunnel_leaves_the_tunnel_alone) {
  const auto tagged = around_frame(ethernet(0x8100, be16(9) + be16(0x0800) + vxlan(1, frame4)));
  const auto plain = around_frame(ethernet(0x0800, vxlan(1, frame4)));
  EXPECT_NE(tagged.vlans, plain.vlans);
  EXPECT_EQ(tagged.tunnels, plain.tunnels);
}

// --- Any nesting -----------------------------------------------------------------------------------------------

using Wrap = std::function<ByteString(const ByteString&, std::uint32_t)>;  // an IPv4 packet into another one

const Wrap wraps[] = {
    [](const ByteString& p, std::uint32_t) { return outer4(4, p); },
    [](const ByteString& p, std::uint32_t) { return gre(0x0800, p); },
    [](const ByteString& p, std::uint32_t id) { return keyed_gre(id, 0x0800, p); },
    [](const ByteString& p, std::uint32_t id) { return keyed_gre(id << 8U, 0x6558, ethernet(0x0800, p)); },
    [](const ByteString& p, std::uint32_t id) { return vxlan(id, ethernet(0x0800, p)); },
    [](const ByteString& p, std::uint32_t id) {
      return vxlan(id, ethernet(0x8100, be16(id & 0xfffU) + be16(0x0800) + p));
    },
    [](const ByteString& p, std::uint32_t id) { return geneve(id, 0x0800, p); },
    [](const ByteString& p, std::uint32_t id) { return gtp(id, p); },
};

TEST(Tunnel, any_nesting_of_any_kind_leads_to_the_segment) {
  EXPECT_TRUE(rc::check("the segment inside is what was put in", [] {
    ByteString packet = hello4;
    for (const int kind :
         *rc::gen::resize(8, rc::gen::container<std::vector<int>>(rc::gen::inRange<int>(0, std::size(wraps))))) {
      if (packet.size() > 1000) break;
      packet = wraps[kind](packet, *rc::gen::inRange<std::uint32_t>(1, 4096));
    }
    const auto seen = dissect_raw(packet);
    RC_ASSERT(seen.kind == Dissection::tcp);
    RC_ASSERT(seen.segment.seq == SequenceNumber{0xfffffff0});
    RC_ASSERT(to_string(seen.segment.destination) == "198.51.100.7:9999");
    RC_ASSERT(ByteString(seen.segment.payload.begin(), seen.segment.payload.end()) == text("hello"));
  }));
}

// --- ICMP errors -----------------------------------------------------------------------------------------------

ByteString icmp(std::uint8_t type, std::uint8_t code, std::uint32_t rest, const ByteString& quoted) {
  return ipv4({.protocol = 1, .source = {203, 0, 113, 9}, .destination = {192, 0, 2, 1}},
              ByteString{type, code, 0, 0} + be32(rest) + quoted);
}
ByteString first(const ByteString& packet, std::size_t size) {
  return {packet.begin(), packet.begin() + static_cast<std::ptrdiff_t>(size)};
}

TEST(IcmpErrors, the_quoted_header_tells_the_connection) {
  const auto seen = dissect_raw(icmp(3, 4, 1400, first(hello4, 28)));
  ASSERT_EQ(seen.kind, Dissection::icmp_error);
  EXPECT_EQ(to_string(seen.icmp.reporter), "203.0.113.9");
  EXPECT_EQ(seen.icmp.type, 3);
  EXPECT_EQ(seen.icmp.code, 4);
  EXPECT_EQ(seen.icmp.mtu, 1400U);
  EXPECT_EQ(seen.icmp.quoted_header, 8);
  EXPECT_EQ(words_for(seen.icmp), "fragmentation needed");
  EXPECT_EQ(to_string(seen.segment.source), "192.0.2.1:40000");
  EXPECT_EQ(to_string(seen.segment.destination), "198.51.100.7:9999");
  EXPECT_EQ(seen.segment.seq, SequenceNumber{0xfffffff0});
  EXPECT_EQ(seen.segment.ack, SequenceNumber{0});
}

TEST(IcmpErrors, a_quote_of_the_whole_segment_is_read_whole) {
  const auto seen = dissect_raw(icmp(11, 0, 0, hello4));
  ASSERT_EQ(seen.kind, Dissection::icmp_error);
  EXPECT_EQ(seen.icmp.quoted_header, 20);
  EXPECT_EQ(seen.icmp.mtu, 0U);
  EXPECT_EQ(seen.segment.ack, SequenceNumber{0x80000001});
  EXPECT_EQ(seen.segment.payload_length, 5U);
  EXPECT_EQ(words_for(seen.icmp), "time to live exceeded in transit");
}

TEST(IcmpErrors, icmpv6) {
  const auto seen = dissect_raw(ipv6({.next_header = 58}, ByteString{2, 0, 0, 0} + be32(1280) + hello6));
  ASSERT_EQ(seen.kind, Dissection::icmp_error);
  EXPECT_EQ(seen.icmp.mtu, 1280U);
  EXPECT_EQ(words_for(seen.icmp), "packet too big");
  EXPECT_EQ(to_string(seen.segment.source), "[2001:db8::1]:40000");
}

TEST(IcmpErrors, what_quotes_no_tcp_is_other) {
  EXPECT_EQ(dissect_raw(icmp(8, 0, 0, hello4)).kind, Dissection::other) << "an echo request";
  EXPECT_EQ(dissect_raw(icmp(3, 3, 0, ipv4({.protocol = 17}, zeros(8)))).kind, Dissection::other);
  EXPECT_EQ(dissect_raw(icmp(3, 3, 0, ipv4({.fragment = 5}, zeros(8)))).kind, Dissection::other) << "no ports";
  EXPECT_EQ(dissect_raw(icmp(3, 3, 0, first(hello4, 23))).kind, Dissection::other);
  EXPECT_EQ(dissect_raw(icmp(3, 3, 0, hello6)).kind, Dissection::other) << "ICMP quotes IPv4";
}

TEST(IcmpErrors, keep_the_vlan_that_they_come_through) {
  const auto frame = ethernet(0x8100, be16(12) + be16(0x0800) + icmp(3, 3, 0, hello4));
  EXPECT_EQ(dissect(LinkType::ethernet, frame, frame.size()).encapsulation, (Encapsulation{.vlans = 12}));
}

TEST(IcmpErrors, types_without_words_have_a_name_all_the_same) {
  EXPECT_EQ(words_for({.reporter = {IpFamily::v4, {}}, .type = 3, .code = 99}), "destination unreachable");
  EXPECT_EQ(words_for({.reporter = {IpFamily::v6, {}}, .type = 99}), "ICMP error");
}

}  // namespace
}  // namespace tcpwhy::wire
