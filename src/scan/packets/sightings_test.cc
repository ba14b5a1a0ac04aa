// Nothing of a segment is lost where it is packed.
#include "scan/packets/sightings.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <span>
#include <vector>

namespace tcpwhy::scan {
namespace {

Frame frame_of(std::uint64_t number, const wire::TcpSegment& segment,
               wire::Encapsulation around = {.vlans = 7, .tunnels = 0x8000'0001}) {
  Frame frame;
  frame.number = number;
  frame.at = base::wall_from_ns(static_cast<std::int64_t>(1'700'000'000'000'000'000 + number));
  frame.packet.kind = wire::Dissection::tcp;
  frame.packet.encapsulation = around;
  frame.packet.segment = segment;
  return frame;
}

wire::TcpSegment segment_of(std::string_view source, std::string_view destination) {
  wire::TcpSegment segment;
  segment.source = {*wire::IpAddress::parse(source), 40'000};
  segment.destination = {*wire::IpAddress::parse(destination), 443};
  segment.seq = {0xfedc'ba98};
  segment.ack = {0x1234'5678};
  segment.flags = {0x1ff};
  segment.window = 65'001;
  segment.urgent_pointer = 65'002;
  segment.payload_length = 70'000;
  segment.ip_id = 65'003;
  segment.ttl = 251;
  segment.ecn = 3;
  return segment;
}

void expect_same(const wire::TcpSegment& a, const wire::TcpSegment& b) {
  EXPECT_EQ(a.source, b.source);
  EXPECT_EQ(a.destination, b.destination);
  EXPECT_EQ(a.seq, b.seq);
  EXPECT_EQ(a.ack, b.ack);
  EXPECT_EQ(a.flags, b.flags);
  EXPECT_EQ(a.window, b.window);
  EXPECT_EQ(a.urgent_pointer, b.urgent_pointer);
  EXPECT_EQ(a.payload_length, b.payload_length);
  EXPECT_EQ(a.ip_id, b.ip_id);
  EXPECT_EQ(a.ttl, b.ttl);
  EXPECT_EQ(a.ecn, b.ecn);
  EXPECT_EQ(a.options, b.options);
}

std::vector<wire::TcpSegment> segments() {
  const wire::TcpSegment v4 = segment_of("10.1.2.3", "192.0.2.9");
  std::vector<wire::TcpSegment> all{v4, segment_of("2001:db8::1", "fe80::ffff:1")};
  const auto with = [&](auto&& change) { change(all.emplace_back(v4).options); };
  with([](auto& o) { o.maximum_segment_size = 1460, o.window_scale = 14, o.sack_permitted = true; });
  with([](auto& o) { o.timestamps = {0xffff'ffff, 0x8000'0000}; });
  with([](auto& o) { o.maximum_segment_size = 0, o.window_scale = 0, o.timestamps = {0, 0}; });
  with([](auto& o) { o.sack_count = 2, o.sack_storage[0] = {{1}, {2}}, o.sack_storage[1] = {{3}, {4}}; });
  with([](auto& o) { o.fast_open_cookie_length = 0, o.maximum_segment_size = 1; });
  with([](auto& o) { o.md5_signature = true; });
  with([](auto& o) { o.multipath = true; });
  with([](auto& o) { o.malformed = true; });
  with([](auto& o) { o.cut = true, o.timestamps = {5, 6}; });
  all.push_back(v4);  // what the one before had must not stay
  return all;
}

void expect_to_come_out(std::span<const Frame> frames) {
  Sightings sightings;
  for (const Frame& frame : frames) sightings.add(frame);
  std::size_t i = 0;
  sightings.for_each([&](const Sighting& sighting) {
    SCOPED_TRACE(i);
    const Frame& frame = frames[i++];
    EXPECT_EQ(sighting.frame, frame.number);
    EXPECT_EQ(sighting.at_ns, base::to_ns(frame.at));
    EXPECT_EQ(sighting.around, frame.packet.encapsulation);
    EXPECT_EQ(sighting.error, nullptr);
    expect_same(sighting.segment, frame.packet.segment);
  });
  EXPECT_EQ(i, frames.size());
}

TEST(Sightings, are_the_segments_that_were_put_in) {
  // With and without what is around them, so that each has the other before and behind it.
  std::vector<Frame> frames;
  for (const wire::TcpSegment& segment : segments())
    for (const wire::Encapsulation around : {wire::Encapsulation{}, {.vlans = 7}, {}, {.tunnels = 0x8000'0001}})
      frames.push_back(frame_of(frames.size() + 1, segment, around));
  expect_to_come_out(frames);
  std::ranges::reverse(frames);
  expect_to_come_out(frames);
}

TEST(Sightings, tell_an_icmp_error_from_what_it_quotes) {
  Frame error = frame_of(1, segments()[0]);
  error.packet.kind = wire::Dissection::icmp_error;
  error.packet.icmp = {.reporter = *wire::IpAddress::parse("10.9.9.9"), .type = 3, .code = 4, .mtu = 1400};
  Sightings sightings;
  sightings.add(error);
  sightings.add(frame_of(2, segments()[0]));
  std::vector<bool> errors;
  sightings.for_each([&](const Sighting& sighting) {
    errors.push_back(sighting.error != nullptr);
    if (sighting.error != nullptr) {
      EXPECT_EQ(*sighting.error, error.packet.icmp);
    }
  });
  EXPECT_EQ(errors, (std::vector<bool>{true, false}));
}

TEST(Sightings, what_comes_late_takes_its_place_by_its_frame) {
  const auto all = segments();
  Sightings sightings;
  for (const std::uint64_t number : {1U, 3U, 5U}) sightings.add(frame_of(number, all[5]));
  for (const std::uint64_t number : {4U, 2U, 6U}) sightings.insert(frame_of(number, all[6]));
  std::vector<std::uint64_t> frames;
  sightings.for_each([&](const Sighting& sighting) {
    frames.push_back(sighting.frame);
    expect_same(sighting.segment, all[sighting.frame % 2 == 0 ? 6 : 5]);
  });
  EXPECT_EQ(frames, (std::vector<std::uint64_t>{1, 2, 3, 4, 5, 6}));
}

TEST(Sightings, what_comes_late_brings_along_what_is_its_own) {
  const auto all = segments();
  std::vector<Frame> frames;
  for (std::uint64_t i = 0; i < all.size(); ++i)
    frames.push_back(frame_of(i + 1, all[i], {.vlans = static_cast<std::uint32_t>(i % 3)}));
  for (const std::size_t i : {2U, 5U, 9U}) {
    frames[i].packet.kind = wire::Dissection::icmp_error;
    frames[i].packet.icmp.type = static_cast<std::uint8_t>(i);
  }
  Sightings sightings;
  for (std::size_t i = 0; i < frames.size(); i += 2) sightings.add(frames[i]);
  for (std::size_t i = 1; i < frames.size(); i += 2) sightings.insert(frames[i]);
  std::size_t i = 0;
  sightings.for_each([&](const Sighting& sighting) {
    SCOPED_TRACE(i);
    const Frame& frame = frames[i++];
    EXPECT_EQ(sighting.around, frame.packet.encapsulation);
    expect_same(sighting.segment, frame.packet.segment);
    const bool is_error = frame.packet.kind == wire::Dissection::icmp_error;
    ASSERT_EQ(sighting.error != nullptr, is_error);
    if (is_error) {
      EXPECT_EQ(*sighting.error, frame.packet.icmp);
    }
  });
  EXPECT_EQ(i, frames.size());
}

}  // namespace
}  // namespace tcpwhy::scan
