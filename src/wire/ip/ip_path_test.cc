#include "wire/ip/ip_path.h"

#include <gtest/gtest.h>

#include <utility>

#include "wire/packet_builder.h"

namespace tcpwhy::wire {
namespace {

using namespace testing;

TEST(IpPath, is_that_of_the_header_without_the_frames_padding) {
  const ByteString packet = ipv4({}, tcp({}, text("hello")));
  const ByteString frame = ethernet(0x0800, packet + zeros(10));
  const IpPath path = ip_path(LinkType::ethernet, frame, frame.size());
  EXPECT_EQ(path.length, 45U);
  EXPECT_EQ(path.on_wire, 55U);
  EXPECT_TRUE(path.has_fixed_tcp_header);
  const ByteString six = ipv6({}, tcp({}, text("hello")));
  EXPECT_EQ(ip_path(LinkType::raw, six, six.size()).length, 65U);
}

TEST(IpPath, tells_a_capture_that_ends_inside_the_tcp_header_and_a_header_that_claims_too_much) {
  const ByteString packet = ipv4({}, tcp({}, text("hello")));
  EXPECT_TRUE(ip_path(LinkType::raw, std::span(packet).first(40), packet.size()).has_fixed_tcp_header);
  EXPECT_FALSE(ip_path(LinkType::raw, std::span(packet).first(39), packet.size()).has_fixed_tcp_header);
  const ByteString claims = ipv4({.total_length = 1000}, tcp({}));
  const IpPath path = ip_path(LinkType::raw, claims, claims.size());
  EXPECT_EQ(path.length, 1000U);
  EXPECT_EQ(path.on_wire, 40U);
  const ByteString open = ipv4({.total_length = 0}, tcp({}));
  EXPECT_EQ(ip_path(LinkType::raw, open, open.size()).length, 0U);
}

ByteString udp(unsigned source, unsigned destination, const ByteString& payload) {
  return be16(source) + be16(destination) + be16(static_cast<unsigned>(8 + payload.size())) + be16(0) + payload;
}

TEST(IpPath, tells_tunnels_apart_by_their_outer_ends) {
  const ByteString inner = ipv4({}, tcp({}, text("hello")));
  const auto through = [&](unsigned source, unsigned destination) {
    const ByteString gtp = be32(0x30ff0000U | static_cast<std::uint32_t>(inner.size())) + be32(7) + inner;
    const ByteString packet = ipv4({.protocol = 17}, udp(source, destination, gtp));
    return ip_path(LinkType::raw, packet, packet.size());
  };
  EXPECT_EQ(through(5000, 2152).length, 45U);
  EXPECT_TRUE(through(5000, 2152).has_fixed_tcp_header);
  EXPECT_NE(through(5000, 2152).tunnels, 0U);
  EXPECT_EQ(through(5000, 2152).tunnels, through(5000, 2152).tunnels);
  EXPECT_NE(through(5000, 2152).tunnels, through(2152, 2152).tunnels);
  EXPECT_EQ(ip_path(LinkType::raw, inner, inner.size()).tunnels, 0U);
  const ByteString twice = ipv4({.protocol = 4}, inner);
  EXPECT_EQ(ip_path(LinkType::raw, twice, twice.size()).length, 45U);
  EXPECT_EQ(ip_path(LinkType::raw, twice, twice.size()).depth, 1);
  EXPECT_EQ(ip_path(LinkType::raw, twice, twice.size(), {.tunnels = false}).length, 65U);
}

// Zeek knows GRE by the pair of addresses, also over UDP (RFC 8086), where each direction has a source port of its own.
TEST(IpPath, gre_over_udp_is_one_tunnel_whatever_its_ports) {
  const ByteString inner = be16(0) + be16(0x0800) + ipv4({}, tcp({}, text("hello")));
  const auto tunnels = [&](unsigned source, unsigned destination, bool back = false) {
    Ipv4Fields outer{.protocol = 17};
    if (back) std::swap(outer.source, outer.destination);
    const ByteString packet = ipv4(outer, udp(source, destination, inner));
    return ip_path(LinkType::raw, packet, packet.size()).tunnels;
  };
  EXPECT_NE(tunnels(50'000, 4754), 0U);
  EXPECT_EQ(tunnels(50'000, 4754), tunnels(61'234, 4754));
  EXPECT_EQ(tunnels(50'000, 4754), tunnels(61'234, 4754, true));
  const ByteString over_ip = ipv4({.protocol = 47}, inner);
  EXPECT_EQ(tunnels(50'000, 4754), ip_path(LinkType::raw, over_ip, over_ip.size()).tunnels);
}

TEST(IpPath, is_nothing_where_there_is_no_ip) {
  const ByteString frame = ethernet(0x0806, zeros(40));
  EXPECT_EQ(ip_path(LinkType::ethernet, frame, frame.size()).on_wire, 0U);
  EXPECT_EQ(ip_path(LinkType::ethernet, {}, 0).on_wire, 0U);
  for (std::size_t size = 0; size < 60; ++size) {
    const ByteString packet = ipv4({}, tcp({}));
    ip_path(LinkType::raw, std::span(packet).first(std::min(size, packet.size())), 0);
  }
}

}  // namespace
}  // namespace tcpwhy::wire
