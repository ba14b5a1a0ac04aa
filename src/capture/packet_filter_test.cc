#include "capture/packet_filter.h"

#include <gtest/gtest.h>

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
  for (const wire::LinkType link_type : wire::link_types)
    EXPECT_TRUE(filter->fits(link_type, packet, 40)) << static_cast<int>(link_type);
  const auto usb = filter->fits(wire::LinkType{220}, packet, 40);
  ASSERT_FALSE(usb);
  EXPECT_EQ(usb.error().kind, base::ErrorKind::usage);
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
