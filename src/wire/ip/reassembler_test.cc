// IP fragments: found, put together, given up.
#include "wire/ip/reassembler.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <random>

#include "wire/packet_builder.h"

namespace tcpwhy::wire {
namespace {

using namespace testing;  // NOLINT: the words of the packets below

base::WallTime at(std::int64_t seconds) { return base::wall_from_ns(seconds * 1'000'000'000); }

const ByteString segment = tcp({}, text("what is cut into pieces and put together again, here and there"));

ByteString slice(const ByteString& bytes, std::size_t begin, std::size_t end) {
  return {bytes.begin() + static_cast<std::ptrdiff_t>(begin), bytes.begin() + static_cast<std::ptrdiff_t>(end)};
}

// Bytes [begin, end) of `whole`, which an IPv4 packet carries as `protocol`.
ByteString piece4(const ByteString& whole, std::size_t begin, std::size_t end, Ipv4Fields fields = {}) {
  fields.fragment = static_cast<std::uint16_t>(begin / 8 | (end < whole.size() ? 0x2000U : 0U));
  return with_checksum(ipv4(fields, slice(whole, begin, end)));
}
ByteString piece6(const ByteString& whole, std::size_t begin, std::size_t end, const ByteString& before = {},
                  std::uint8_t first_header = 44) {
  return ipv6({.next_header = first_header}, before + ByteString{6, 0} +
                                                 be16(static_cast<unsigned>(begin | (end < whole.size() ? 1U : 0U))) +
                                                 be32(77) + slice(whole, begin, end));
}

std::optional<ByteString> add(Reassembler& reassembler, const ByteString& packet, std::int64_t seconds = 0) {
  const auto fragment = find_fragment(LinkType::raw, packet, packet.size());
  if (!fragment) return std::nullopt;
  const auto whole = reassembler.add(*fragment, at(seconds));
  return whole ? std::optional(ByteString(whole->begin(), whole->end())) : std::nullopt;
}

void expect_segment(const std::optional<ByteString>& whole) {
  ASSERT_TRUE(whole);
  const auto packet = dissect(LinkType::raw, *whole, whole->size());
  ASSERT_EQ(packet.kind, Dissection::tcp);
  EXPECT_FALSE(packet.fragmented);
  EXPECT_EQ(packet.segment.source.port, 40000);
  EXPECT_EQ(packet.segment.payload_length, segment.size() - 20);
  EXPECT_TRUE(std::ranges::equal(packet.segment.payload, slice(segment, 20, segment.size())));
}

// --- Finding ---------------------------------------------------------------------------------------------------

TEST(FindFragment, says_what_the_header_says) {
  const ByteString frame = ethernet(0x8100, be16(9) + be16(0x0800) + piece4(segment, 8, 24, {.options = {1, 1, 1, 0}}));
  const auto fragment = find_fragment(LinkType::ethernet, frame, frame.size());
  ASSERT_TRUE(fragment);
  EXPECT_EQ(to_string(fragment->source), "192.0.2.1");
  EXPECT_EQ(fragment->id, 0x1234U);
  EXPECT_EQ(fragment->protocol, 6);
  EXPECT_EQ(fragment->offset, 8U);
  EXPECT_FALSE(fragment->last);
  EXPECT_EQ(fragment->header.size(), 24U);
  EXPECT_EQ(fragment->encapsulation, (Encapsulation{.vlans = 9}));
  EXPECT_TRUE(std::ranges::equal(fragment->bytes, slice(segment, 8, 24)));
}

TEST(FindFragment, only_in_what_is_one) {
  EXPECT_FALSE(find_fragment(LinkType::raw, ipv4({}, segment), 200));
  EXPECT_FALSE(find_fragment(LinkType::raw, ipv6({}, segment), 200));
  const ByteString atomic = ipv6({.next_header = 44}, ByteString{6, 0} + be16(0) + be32(77) + segment);
  EXPECT_FALSE(find_fragment(LinkType::raw, atomic, atomic.size())) << "RFC 6946";
}

TEST(FindFragment, not_in_what_can_not_be_used) {
  const auto found = [](const ByteString& packet, std::size_t captured) {
    return find_fragment(LinkType::raw, slice(packet, 0, captured), packet.size()).has_value();
  };
  const ByteString good = piece4(segment, 0, 24);
  EXPECT_TRUE(found(good, good.size()));
  EXPECT_FALSE(found(good, good.size() - 1)) << "cut by the capture";
  ByteString wrong = good;
  wrong[10] ^= 1U;
  EXPECT_FALSE(found(wrong, wrong.size())) << "check sum";
  const ByteString odd = with_checksum(ipv4({.fragment = 0x2000}, slice(segment, 0, 23)));
  EXPECT_FALSE(found(odd, odd.size())) << "no multiple of 8";
  const ByteString beyond = with_checksum(ipv4({.fragment = 0x1fff}, slice(segment, 0, 24)));
  EXPECT_FALSE(found(beyond, beyond.size())) << "ping of death";
  const ByteString icmp = piece4(segment, 0, 24, {.protocol = 1});
  EXPECT_FALSE(found(icmp, icmp.size())) << "leads to no TCP";
}

TEST(FindFragment, inside_a_tunnel) {
  const ByteString outer = ipv4({.protocol = 4}, piece4(segment, 0, 24));
  const auto fragment = find_fragment(LinkType::raw, outer, outer.size());
  ASSERT_TRUE(fragment);
  EXPECT_NE(fragment->encapsulation.tunnels, 0U);
}

// --- Putting together ------------------------------------------------------------------------------------------

TEST(Reassembler, in_any_order) {
  std::vector<ByteString> pieces = {piece4(segment, 0, 24), piece4(segment, 24, 40),
                                    piece4(segment, 40, segment.size())};
  std::ranges::sort(pieces);
  do {
    Reassembler reassembler;
    EXPECT_FALSE(add(reassembler, pieces[0]));
    EXPECT_FALSE(add(reassembler, pieces[1]));
    expect_segment(add(reassembler, pieces[2]));
    EXPECT_EQ(reassembler.unfinished(), 0U);
    EXPECT_EQ(reassembler.memory(), 0U);
    EXPECT_EQ(reassembler.counts().completed, 1U);
  } while (std::ranges::next_permutation(pieces).found);
}

TEST(Reassembler, ipv6_with_extension_headers_before_the_fragment_header) {
  const ByteString options = {44, 0, 1, 4, 0, 0, 0, 0};
  Reassembler reassembler;
  EXPECT_FALSE(add(reassembler, piece6(segment, 24, segment.size(), options, 60)));
  expect_segment(add(reassembler, piece6(segment, 0, 24, options, 60)));
  EXPECT_FALSE(add(reassembler, piece6(segment, 0, 24)));
  expect_segment(add(reassembler, piece6(segment, 24, segment.size())));
}

TEST(Reassembler, keeps_packets_apart) {
  Reassembler reassembler;
  const Ipv4Fields other_id{.id = 99}, other_source{.source = {192, 0, 2, 9}}, other_protocol{.protocol = 17};
  EXPECT_FALSE(add(reassembler, piece4(segment, 0, 24)));
  EXPECT_FALSE(add(reassembler, piece4(segment, 24, segment.size(), other_id)));
  EXPECT_FALSE(add(reassembler, piece4(segment, 24, segment.size(), other_source)));
  EXPECT_FALSE(add(reassembler, piece4(segment, 24, segment.size(), other_protocol)));
  EXPECT_FALSE(add(reassembler, ipv4({.protocol = 4}, piece4(segment, 24, segment.size()))));
  EXPECT_EQ(reassembler.unfinished(), 5U);
  expect_segment(add(reassembler, piece4(segment, 24, segment.size())));
}

TEST(Reassembler, duplicates_change_nothing) {
  Reassembler reassembler;
  EXPECT_FALSE(add(reassembler, piece4(segment, 0, 40)));
  ByteString other = segment;
  other[30] ^= 0xffU;
  EXPECT_FALSE(add(reassembler, piece4(other, 24, 40))) << "within what is there: the first bytes stay";
  EXPECT_FALSE(add(reassembler, piece4(segment, 0, 40)));
  expect_segment(add(reassembler, piece4(segment, 40, segment.size())));
}

TEST(Reassembler, an_overlap_makes_the_packet_unusable) {
  Reassembler reassembler;
  EXPECT_FALSE(add(reassembler, piece4(segment, 0, 24)));
  EXPECT_FALSE(add(reassembler, piece4(segment, 16, 40)));
  EXPECT_FALSE(add(reassembler, piece4(segment, 24, segment.size())));
  EXPECT_FALSE(add(reassembler, piece4(segment, 0, 24)));
  EXPECT_EQ(reassembler.counts().overlapping, 1U);
  EXPECT_FALSE(add(reassembler, piece4(segment, 0, 24), 31)) << "begins anew once it is forgotten";
  expect_segment(add(reassembler, piece4(segment, 24, segment.size()), 31));
}

TEST(Reassembler, two_ends_contradict_each_other) {
  Reassembler reassembler;
  EXPECT_FALSE(add(reassembler, piece4(segment, 24, segment.size())));
  EXPECT_FALSE(add(reassembler, piece4(slice(segment, 0, 24), 16, 24)));
  EXPECT_FALSE(add(reassembler, piece4(segment, 0, 24)));
  EXPECT_EQ(reassembler.counts().overlapping, 1U);
}

TEST(Reassembler, gives_up_after_30_seconds_of_ipv4_and_60_of_ipv6) {
  Reassembler reassembler;
  EXPECT_FALSE(add(reassembler, piece4(segment, 0, 24), 0));
  EXPECT_FALSE(add(reassembler, piece4(segment, 24, segment.size()), 31));
  EXPECT_EQ(reassembler.counts().expired, 1U);
  EXPECT_FALSE(add(reassembler, piece6(segment, 0, 24), 100));
  expect_segment(add(reassembler, piece6(segment, 24, segment.size()), 160));
}

TEST(Reassembler, memory_is_bounded) {
  Reassembler reassembler({.memory = 100'000});
  for (unsigned i = 0; i < 60'000; ++i) {
    EXPECT_FALSE(add(reassembler, piece4(segment, 8, 16, {.id = static_cast<std::uint16_t>(i)})));
    ASSERT_LT(reassembler.memory(), 200'000U);
  }
  EXPECT_GT(reassembler.counts().evicted, 59'000U);
  EXPECT_LT(reassembler.unfinished(), 400U);
}

TEST(Reassembler, any_cut_in_any_order_with_duplicates_is_the_packet_again) {
  EXPECT_TRUE(rc::check("what was cut is what comes out", [] {
    const auto payload = *rc::gen::resize(600, rc::gen::container<ByteString>(rc::gen::arbitrary<std::uint8_t>()));
    const ByteString whole = tcp({}, payload);
    const bool six = *rc::gen::arbitrary<bool>();
    std::vector<ByteString> pieces;
    for (std::size_t begin = 0; begin < whole.size();) {
      const std::size_t end = std::min(begin + 8 * *rc::gen::inRange<std::size_t>(1, 20), whole.size());
      pieces.push_back(six ? piece6(whole, begin, end) : piece4(whole, begin, end));
      if (*rc::gen::inRange(0, 4) == 0) pieces.push_back(pieces.back());
      begin = end;
    }
    if (pieces.size() < 2 || pieces.front() == pieces.back()) return;  // not fragmented at all
    std::ranges::shuffle(pieces, std::mt19937(*rc::gen::arbitrary<unsigned>()));
    Reassembler reassembler;
    int completed = 0;
    for (const auto& piece : pieces) {
      const auto result = add(reassembler, piece);
      if (!result) continue;
      ++completed;
      const auto packet = dissect(LinkType::raw, *result, result->size());
      RC_ASSERT(packet.kind == Dissection::tcp);
      RC_ASSERT(std::ranges::equal(packet.segment.payload, payload));
    }
    // A duplicate behind the completion begins a packet that is never finished, unless all of it comes twice.
    RC_ASSERT(completed >= 1);
  }));
}

}  // namespace
}  // namespace tcpwhy::wire
