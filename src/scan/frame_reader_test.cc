#include "scan/frame_reader.h"

#include <gtest/gtest.h>

#include <string>

#include "capfile/capture_builder.h"
#include "wire/packet_builder.h"

namespace tcpwhy::scan {
namespace {

using capfile::testing::CaptureBuilder;

std::string text_of(const wire::testing::ByteString& bytes) { return {bytes.begin(), bytes.end()}; }

TEST(FrameReader, counts_frames_that_hold_no_tcp) {
  constexpr std::uint32_t raw_ip = 101;
  const std::string segment = text_of(wire::testing::ipv4({}, wire::testing::tcp({}, wire::testing::text("hello"))));
  CaptureBuilder file;
  file.pcap_header(0xa1b2c3d4, raw_ip).pcap_packet(7, 0, "no packet at all", 16);
  file.pcap_packet(8, 5, segment, static_cast<std::uint32_t>(segment.size()));
  auto reader = FrameReader::from_memory(file.bytes(), "made");
  ASSERT_TRUE(reader);
  const auto first = reader->next();
  ASSERT_TRUE(first && *first);
  EXPECT_EQ((*first)->number, 1U);
  EXPECT_EQ((*first)->packet.kind, wire::Dissection::other);
  const auto second = reader->next();
  ASSERT_TRUE(second && *second);
  EXPECT_EQ((*second)->number, 2U);
  EXPECT_EQ((*second)->at, base::wall_from_ns(8'000'005'000));
  EXPECT_EQ((*second)->packet.kind, wire::Dissection::tcp);
  EXPECT_EQ((*second)->packet.segment.payload_length, 5U);
  const auto end = reader->next();
  ASSERT_TRUE(end);
  EXPECT_FALSE(*end);
}

TEST(FrameReader, gives_the_frames_before_a_cut_and_then_the_error) {
  CaptureBuilder file;
  file.pcap_header().pcap_packet(1, 0, "whole", 5).u32(2).u32(0).u32(100).u32(100).text("cut");
  auto reader = FrameReader::from_memory(file.bytes(), "cut.pcap");
  ASSERT_TRUE(reader);
  const auto first = reader->next();
  ASSERT_TRUE(first && *first);
  const auto damaged = reader->next();
  ASSERT_FALSE(damaged);
  EXPECT_EQ(damaged.error().kind, base::ErrorKind::unreadable);
}

}  // namespace
}  // namespace tcpwhy::scan
