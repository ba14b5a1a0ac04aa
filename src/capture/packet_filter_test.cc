#include "capture/packet_filter.h"

#include <gtest/gtest.h>

#include <utility>

#include "wire/link_types.h"
#include "wire/packet_builder.h"

namespace tcpwhy::capture {
namespace {

using namespace wire::testing;  // NOLINT: the words of the packets below

const ByteString packet = ipv4({}, tcp({.source_port = 40000, .destination_port = 443}));

bool fits(PacketFilter& filter, wire::LinkType link_type, const ByteString& frame) {
  const auto result = filter.fits(link_type, frame, static_cast<std::uint32_t>(frame.size()));
  EXPECT_TRUE(result);
  return result && *result;
}

TEST(PacketFilter, is_compiled_for_each_link_type) {
  auto filter = PacketFilter::compile("port 443 and net 192.0.2.0/24");
  ASSERT_TRUE(filter);
  for (const auto& [link_type, header] :
       {std::pair{wire::LinkType::ethernet, ethernet(0x0800, {})}, std::pair{wire::LinkType::raw, ByteString{}},
        std::pair{wire::LinkType::linux_sll, zeros(14) + be16(0x0800)},
        std::pair{wire::LinkType::null, ByteString{2, 0, 0, 0}}}) {
    EXPECT_TRUE(fits(*filter, link_type, header + packet)) << static_cast<int>(link_type);
    EXPECT_FALSE(fits(*filter, link_type, header + ipv4({}, tcp({})))) << static_cast<int>(link_type);
    EXPECT_TRUE(fits(*filter, link_type, header + packet)) << "and again";
  }
}

TEST(PacketFilter, is_compiled_at_once_for_all_that_can_be_dissected_and_for_no_other) {
  auto filter = PacketFilter::compile("greater 10");
  ASSERT_TRUE(filter);
  for (const wire::LinkTypeRow& row : wire::link_types()) {
    const auto fits = filter->fits(wire::LinkType{row.number}, packet, 40);
    EXPECT_EQ(fits.has_value(), wire::is_read(wire::LinkType{row.number})) << row.number << ' ' << row.name;
    EXPECT_TRUE(fits.has_value() || fits.error().kind == base::ErrorKind::usage);
  }
  EXPECT_FALSE(filter->fits(wire::LinkType{60000}, packet, 40));
}

TEST(PacketFilter, finds_a_port_behind_the_headers_of_other_links) {
  auto here = PacketFilter::compile("tcp port 9999"), elsewhere = PacketFilter::compile("tcp port 9998");
  ASSERT_TRUE(here && elsewhere);
  const ByteString snap = ByteString{0xaa, 0xaa, 3, 0, 0, 0} + be16(0x0800), ip = ipv4({}, tcp({}));
  const std::pair<unsigned, ByteString> rows[] = {
      {104, be16(0x0f00) + be16(0x0800)},
      {10, ByteString{0x51} + zeros(12) + snap},
      {122, zeros(16) + snap},
      {100, snap},
      {163, be32(0x80211001) + be32(64) + zeros(56) + ByteString{8, 1} + zeros(22) + snap}};
  for (const auto& [number, headers] : rows) {
    const wire::LinkType link_type{static_cast<std::uint16_t>(number)};
    EXPECT_TRUE(fits(*here, link_type, headers + ip)) << number;
    EXPECT_FALSE(fits(*elsewhere, link_type, headers + ip)) << number;
  }
}

TEST(PacketFilter, sees_the_original_length) {
  auto filter = PacketFilter::compile("greater 1000");
  ASSERT_TRUE(filter);
  EXPECT_TRUE(filter->fits(wire::LinkType::raw, packet, 1400).value());
  EXPECT_FALSE(filter->fits(wire::LinkType::raw, packet, 40).value());
}

TEST(PacketFilter, an_empty_expression_takes_all) {
  auto filter = PacketFilter::compile("");
  ASSERT_TRUE(filter);
  EXPECT_TRUE(fits(*filter, wire::LinkType::ethernet, ethernet(0x0806, zeros(28))));
}

TEST(PacketFilter, says_what_does_not_compile) {
  const auto nonsense = PacketFilter::compile("port and");
  ASSERT_FALSE(nonsense);
  EXPECT_EQ(nonsense.error().kind, base::ErrorKind::usage);
  auto by_ethernet = PacketFilter::compile("ether host 2:0:0:0:0:1");
  ASSERT_TRUE(by_ethernet);
  EXPECT_TRUE(fits(*by_ethernet, wire::LinkType::ethernet, ethernet(0x0800, packet)));
  const auto elsewhere = by_ethernet->fits(wire::LinkType::raw, packet, 40);
  ASSERT_FALSE(elsewhere);
  EXPECT_EQ(elsewhere.error().kind, base::ErrorKind::usage);
  EXPECT_TRUE(fits(*by_ethernet, wire::LinkType::ethernet, ethernet(0x0800, packet))) << "the others go on";
}

}  // namespace
}  // namespace tcpwhy::capture
