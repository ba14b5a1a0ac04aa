#include "scan/connections/pick_connection.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "capfile/capture_builder.h"
#include "scan/connections/problems.h"
#include "wire/packet_builder.h"

namespace tcpwhy::scan {
namespace {

using File = capfile::testing::Bytes;

constexpr std::uint16_t fin = 1, syn = 2, rst = 4, push = 8, ack = 16;

// A capture of TCP segments between 192.0.2.1 and 198.51.100.7, a millisecond apart; `back`: from the second to the first.
struct Made {
  std::uint16_t port;
  std::uint16_t flags;
  std::uint32_t seq, acked;
  std::size_t length = 0;
  bool back = false;
  bool damaged = false;
};
File capture_of(const std::vector<Made>& segments) {
  capfile::testing::CaptureBuilder file;
  file.pcap_header(0xa1b2c3d4, 101);
  std::uint32_t at_us = 0;
  for (const Made& made : segments) {
    auto packet =
        wire::testing::ipv4({}, wire::testing::tcp({.source_port = made.back ? std::uint16_t{80} : made.port,
                                                    .destination_port = made.back ? made.port : std::uint16_t{80},
                                                    .seq = made.seq,
                                                    .ack = made.acked,
                                                    .flags = made.flags},
                                                   wire::testing::zeros(made.length)));
    packet = wire::testing::with_tcp_checksum(packet);
    if (made.damaged) packet.back() ^= 1U;
    constexpr std::ptrdiff_t source = 12, destination = 16;
    if (made.back)
      std::swap_ranges(packet.begin() + source, packet.begin() + destination, packet.begin() + destination);
    at_us += 1000;
    file.pcap_packet(1, at_us, std::string(packet.begin(), packet.end()), static_cast<std::uint32_t>(packet.size()));
  }
  return file.bytes();
}

std::vector<Made> handshake(std::uint16_t port, std::uint32_t isn) {
  return {{port, syn, isn, 0}, {port, syn | ack, 5000, isn + 1, 0, true}, {port, ack, isn + 1, 5001}};
}

std::vector<Made> operator+(std::vector<Made> left, const std::vector<Made>& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

PickOutcome pick(const File& file, const Choice& choice, const PickOptions& options = {}) {
  auto outcome = pick_connection([&] { return FrameReader::from_memory(file, "made"); }, choice, options);
  EXPECT_TRUE(outcome);
  return outcome ? std::move(*outcome) : PickOutcome{};
}

std::vector<std::uint64_t> frames(const PickOutcome& outcome) {
  std::vector<std::uint64_t> frames;
  if (outcome.picked)
    for (const auto& seen : outcome.picked->seen.segments) frames.push_back(seen.frame);
  return frames;
}

TEST(PickConnection, by_number_takes_that_connection_alone) {
  const auto file = capture_of(handshake(4000, 0xfffffff0) + handshake(4001, 77) + handshake(4002, 99));
  const auto outcome = pick(file, ByNumber{1});
  EXPECT_EQ(outcome.connections, 3U);
  EXPECT_EQ(frames(outcome), (std::vector<std::uint64_t>{4, 5, 6}));
  EXPECT_EQ(outcome.picked->seen.number, 1U);
  EXPECT_EQ(outcome.picked->seen.tracker.end(tcp::EndIndex::first).state, tcp::State::established);
  EXPECT_EQ(outcome.picked->seen.segments[2].states[tcp::EndIndex::second], tcp::State::established);
  EXPECT_FALSE(pick(file, ByNumber{3}).picked);
}

TEST(PickConnection, by_end_lists_those_that_fit) {
  const auto file = capture_of(handshake(4000, 0xfffffff0) + handshake(4001, 77));
  const auto by_port = pick(file, *EndPattern::parse("4001"));
  EXPECT_EQ(by_port.matches, 1U);
  EXPECT_EQ(by_port.picked->seen.number, 1U);
  const auto several = pick(file, *EndPattern::parse("198.51.100.7:80"));
  EXPECT_EQ(several.matches, 2U);
  EXPECT_FALSE(several.picked);
  ASSERT_EQ(several.candidates.size(), 2U);
  EXPECT_EQ(several.candidates[1].number, 1U);
  EXPECT_EQ(several.candidates[1].first_frame, 4U);
  EXPECT_EQ(pick(file, *EndPattern::parse("192.0.2.9")).matches, 0U);
  EXPECT_EQ(pick(file, *EndPattern::parse("198.51.100.0/24")).matches, 2U);
}

TEST(PickConnection, a_port_that_is_used_again_is_another_connection) {
  const auto file = capture_of(handshake(4000, 0xfffffff0) + std::vector<Made>{{4000, rst | ack, 0xfffffff1, 5001}} +
                               handshake(4000, 0x1000));
  const auto outcome = pick(file, ByNumber{1});
  EXPECT_EQ(outcome.connections, 2U);
  EXPECT_EQ(frames(outcome), (std::vector<std::uint64_t>{5, 6, 7}));
}

// The SYN into an open connection is illegal there; its answer shows that it began the next one, which so began before
// a third.
TEST(PickConnection, a_syn_that_was_another_connections_counts_from_its_own_frame) {
  auto again = handshake(4000, 0x90000000);
  const auto file = capture_of(
      handshake(4000, 0x1000) + std::vector<Made>{again[0]} + handshake(4001, 77) +
      std::vector<Made>{{4000, syn | ack, 0x70000000, 0x90000001, 0, true}, {4000, ack, 0x90000001, 0x70000001}});
  PickOptions options;
  options.packets = KeepPackets::all;
  const auto second = pick(file, ByNumber{1}, options);
  EXPECT_EQ(second.connections, 3U);
  EXPECT_EQ(frames(second), (std::vector<std::uint64_t>{4, 8, 9}));
  EXPECT_EQ(second.picked->packets.events.size(), 3U);
  EXPECT_EQ(second.picked->seen.number, 1U);
  EXPECT_EQ(frames(pick(file, ByNumber{2}, options)), (std::vector<std::uint64_t>{5, 6, 7}));
}

// Its sender went on: the row must not say otherwise than the connection.
TEST(PickConnection, a_reset_is_judged_by_what_came_afterwards) {
  const auto file = capture_of(handshake(4000, 77) + std::vector<Made>{{4000, push | ack, 78, 5001, 10},
                                                                       {4000, rst | ack, 5001, 88, 0, true},
                                                                       {4000, push | ack, 5001, 88, 20, true}});
  const auto outcome = pick(file, ByNumber{0});
  ASSERT_TRUE(outcome.picked);
  const tcp::Verdict& row = outcome.picked->seen.segments.at(4).verdict;
  EXPECT_EQ(row.reset_cause, tcp::ResetCause::third_party);
  EXPECT_FALSE(row.has(tcp::mark::assumed));
  EXPECT_EQ(outcome.picked->record.reset_cause, row.reset_cause);
}

TEST(PickConnection, beyond_the_bound_the_first_and_the_last_segments_stay) {
  auto segments = handshake(4000, 0xfffffff0);
  for (std::uint32_t i = 0; i < 30; ++i) segments.push_back({4000, push | ack, 0xfffffff1 + i * 10, 5001, 10});
  segments.push_back({4000, fin | ack, 0xfffffff1 + 300, 5001});
  PickOptions options;
  options.most_segments = 8;
  options.packets = KeepPackets::headers;
  const auto outcome = pick(capture_of(segments), ByNumber{0}, options);
  EXPECT_EQ(frames(outcome), (std::vector<std::uint64_t>{1, 2, 3, 4, 5, 6, 33, 34}));
  EXPECT_EQ(outcome.picked->seen.left_out, 26U);
  EXPECT_EQ(outcome.picked->seen.left_out_before, 6U);
  ASSERT_EQ(outcome.picked->packets.events.size(), 8U);
  const auto& last = std::get<recording::Packet>(outcome.picked->packets.events[6].what);
  EXPECT_EQ(last.bytes.size(), 40U) << "without the payload";
  EXPECT_EQ(last.original_length, 50U);
}

TEST(PickConnection, damage_keeps_what_came_before) {
  auto file = capture_of(handshake(4000, 1));
  file.resize(file.size() - 3);
  const auto outcome = pick(file, ByNumber{0});
  EXPECT_EQ(frames(outcome), (std::vector<std::uint64_t>{1, 2}));
  EXPECT_TRUE(outcome.stopped_by);
}

TEST(PickConnection, a_segment_in_fragments_is_kept_as_the_packet_that_they_made) {
  using wire::testing::ByteString;
  const ByteString segment = wire::testing::tcp({.seq = 4711}, wire::testing::zeros(100));
  capfile::testing::CaptureBuilder file;
  file.pcap_header(0xa1b2c3d4, 1);
  for (const bool last : {false, true}) {
    const ByteString part(segment.begin() + (last ? 48 : 0), last ? segment.end() : segment.begin() + 48);
    const std::uint16_t where = last ? 48 / 8 : 0x2000;
    const auto packet = wire::testing::with_checksum(wire::testing::ipv4({.fragment = where}, part));
    const std::string frame =
        std::string(12, '\0') + std::string("\x08\0", 2) + std::string(packet.begin(), packet.end());
    file.pcap_packet(1, 0, frame, static_cast<std::uint32_t>(frame.size()));
  }
  const auto outcome = pick(file.bytes(), ByNumber{0}, {.packets = KeepPackets::headers});
  ASSERT_TRUE(outcome.picked);
  EXPECT_EQ(frames(outcome), (std::vector<std::uint64_t>{2}));
  const auto& kept = outcome.picked->packets;
  ASSERT_EQ(kept.events.size(), 1U);
  const auto& packet = std::get<recording::Packet>(kept.events[0].what);
  EXPECT_EQ(packet.bytes.size(), 40U) << "its headers";
  const auto seen =
      wire::dissect(kept.interfaces.at(packet.interface.value).link_type, packet.bytes, packet.original_length);
  ASSERT_EQ(seen.kind, wire::Dissection::tcp);
  EXPECT_EQ(seen.segment.seq.value, 4711U);
  EXPECT_EQ(seen.segment.payload_length, 100U);
}

// A receiver drops what does not fit its checksum; that is no loss in a queue.
TEST(PickConnection, what_arrived_damaged_and_was_sent_again_is_told) {
  constexpr std::uint32_t first = 101, size = 100;
  const auto sent = [](bool is_damaged) {
    std::vector<Made> segments = handshake(40000, 100);
    for (std::uint32_t at = first; at < first + 20 * size; at += size) {
      const bool again = (at - first) % (5 * size) == 0;
      segments.push_back({40000, push | ack, at, 5001, size, false, is_damaged && again});
      if (again) segments.push_back({40000, push | ack, at + size, 5001, size});
      if (again) segments.insert(segments.end(), 2, {40000, ack, 5001, at, 0, true});
      if (again) segments.push_back({40000, push | ack, at, 5001, size});
    }
    return segments;
  };
  const auto problems = [&](bool is_damaged) {
    const PickOutcome outcome = pick(capture_of(sent(is_damaged)), ByNumber{0});
    std::vector<std::string> ids;
    for (const Problem& problem : problems_of(outcome.picked->record)) ids.emplace_back(problem.rule->id);
    return ids;
  };
  const auto has = [](const std::vector<std::string>& ids, const char* id) { return std::ranges::count(ids, id) == 1; };
  EXPECT_TRUE(has(problems(true), "capture.damaged"));
  EXPECT_FALSE(has(problems(true), "capture.loss"));
  EXPECT_FALSE(has(problems(false), "capture.damaged"));
}

}  // namespace
}  // namespace tcpwhy::scan
