#include "scan/packets/frame_reader.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <string>
#include <utility>
#include <vector>

#include "base/unique_fd.h"

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

// --- Order of time ---------------------------------------------------------------------------------------------

// The numbers of the frames as they come, of a file or a pipe that has `count` of them, the one at `late` a little behind the one before.
std::vector<std::uint64_t> numbers_by_time(std::uint32_t count, std::uint32_t late, bool of_pipe) {
  CaptureBuilder file;
  file.pcap_header();
  for (std::uint32_t i = 1; i <= count; ++i) file.pcap_packet(i, 0, "x", 1);
  capfile::testing::Bytes bytes = file.bytes();
  constexpr std::size_t file_header = 24, record = 17, microseconds = 4;
  bytes[file_header + (late - 2) * record + microseconds] = 9;  // the one before
  bytes[file_header + (late - 1) * record] = static_cast<std::uint8_t>(late - 1);
  bytes[file_header + (late - 1) * record + 1] = static_cast<std::uint8_t>((late - 1) >> 8U);
  int ends[2] = {-1, -1};
  EXPECT_EQ(pipe(ends), 0);
  base::UniqueFd from(ends[0]), into(ends[1]);
  if (!of_pipe) from = base::UniqueFd(memfd_create("made", 0)), into = base::UniqueFd(dup(from.get()));
  EXPECT_EQ(write(into.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  into.reset();
  auto input = capfile::Input::open("/proc/self/fd/" + std::to_string(from.get()));
  from.reset();
  auto reader = FrameReader::open_all({*input}, {.filter = {}, .teredo = false, .by_time = true});
  std::vector<std::uint64_t> numbers;
  for (auto frame = reader->next(); frame && *frame; frame = reader->next()) numbers.push_back((*frame)->number);
  return numbers;
}

std::vector<std::uint64_t> in_order(std::uint32_t count) {
  std::vector<std::uint64_t> numbers(count);
  for (std::uint32_t i = 0; i < count; ++i) numbers[i] = i + 1;
  return numbers;
}

TEST(FrameReader, order_of_time_holds_from_the_beginning_where_a_file_shows_early_that_it_has_another) {
  for (const std::uint32_t late : {2U, 3000U, 4096U}) {
    auto numbers = in_order(4500);
    std::swap(numbers[late - 2], numbers[late - 1]);
    EXPECT_TRUE(numbers_by_time(4500, late, false) == numbers) << late;
  }
}

TEST(FrameReader, nothing_waits_for_order_where_files_keep_it_and_pipes_may_take_long) {
  EXPECT_TRUE(numbers_by_time(6000, 5000, false) == in_order(6000)) << "too late to be put in its place";
  EXPECT_TRUE(numbers_by_time(3000, 2, true) == in_order(3000));
}

// --- Fragments, filters ----------------------------------------------------------------------------------------

using namespace wire::testing;  // NOLINT: the words of the packets below

constexpr std::uint32_t raw_ip = 101;

struct Piece {
  std::size_t begin, end;
};

ByteString fragment_of(const ByteString& whole, Piece piece, Ipv4Fields fields = {}) {
  fields.fragment = static_cast<std::uint16_t>(piece.begin / 8 | (piece.end < whole.size() ? 0x2000U : 0U));
  return with_checksum(ipv4(fields, {whole.begin() + static_cast<std::ptrdiff_t>(piece.begin),
                                     whole.begin() + static_cast<std::ptrdiff_t>(piece.end)}));
}

capfile::testing::Bytes capture_of(const std::vector<ByteString>& packets) {
  CaptureBuilder file;
  file.pcap_header(0xa1b2c3d4, raw_ip);
  for (const auto& packet : packets) file.pcap_packet(1, 0, text_of(packet), static_cast<std::uint32_t>(packet.size()));
  return file.bytes();
}

struct Seen {
  std::uint64_t number;
  wire::Dissection kind;
  std::uint32_t payload_length;
  bool operator==(const Seen&) const = default;
};

std::vector<Seen> frames_of(const std::vector<ByteString>& packets, FrameOptions options = {}) {
  const auto bytes = capture_of(packets);
  auto reader = FrameReader::from_memory(bytes, "made", std::move(options));
  std::vector<Seen> seen;
  Frame frame;
  while (reader->next(frame).value())
    seen.push_back({frame.number, frame.packet.kind, frame.packet.segment.payload_length});
  return seen;
}

const ByteString segment = wire::testing::tcp({}, ByteString(100, 'x'));

TEST(FrameReader, a_segment_in_fragments_belongs_to_the_frame_that_completes_it) {
  using wire::Dissection;
  const ByteString first = fragment_of(segment, {0, 48}), last = fragment_of(segment, {48, 120});
  EXPECT_EQ(frames_of({first, ipv4({}, wire::testing::tcp({})), last}),
            (std::vector<Seen>{{1, Dissection::fragment, 48}, {2, Dissection::tcp, 0}, {3, Dissection::tcp, 100}}));
  EXPECT_EQ(frames_of({last, first}), (std::vector<Seen>{{1, Dissection::fragment, 72}, {2, Dissection::tcp, 100}}));
}

TEST(FrameReader, a_first_fragment_that_can_not_be_put_together_is_dissected_as_it_stands) {
  ByteString first = fragment_of(segment, {0, 48});
  first[10] ^= 1U;  // its check sum
  EXPECT_EQ(frames_of({first}), (std::vector<Seen>{{1, wire::Dissection::tcp, 28}}));
}

TEST(FrameReader, fragments_of_a_tunnel_and_in_a_tunnel) {
  using wire::Dissection;
  const auto outer_pieces = [](const ByteString& inner) {
    return std::vector{fragment_of(inner, {0, 64}, {.protocol = 4, .id = 7}),
                       fragment_of(inner, {64, inner.size()}, {.protocol = 4, .id = 7})};
  };
  EXPECT_EQ(frames_of(outer_pieces(ipv4({}, segment))),
            (std::vector<Seen>{{1, Dissection::other, 64}, {2, Dissection::tcp, 100}}));
  auto twice = outer_pieces(fragment_of(segment, {0, 104}));
  twice.push_back(ipv4({.protocol = 4}, fragment_of(segment, {104, 120})));
  EXPECT_EQ(frames_of(twice),
            (std::vector<Seen>{{1, Dissection::other, 64}, {2, Dissection::fragment, 104}, {3, Dissection::tcp, 100}}));
}

TEST(FrameReader, a_filter_leaves_the_numbers_alone) {
  FrameOptions options;
  options.filter = [](wire::LinkType link_type, std::span<const std::uint8_t>, std::uint32_t length) {
    EXPECT_EQ(link_type, wire::LinkType::raw);
    return base::Result<bool>(length > 50);
  };
  const ByteString small = ipv4({}, wire::testing::tcp({})), large = ipv4({}, segment);
  EXPECT_EQ(frames_of({small, large, small, large}, std::move(options)),
            (std::vector<Seen>{{2, wire::Dissection::tcp, 100}, {4, wire::Dissection::tcp, 100}}));
}

TEST(FrameReader, an_error_of_the_filter_ends_the_reading) {
  FrameOptions options;
  options.filter = [](wire::LinkType, std::span<const std::uint8_t>, std::uint32_t) -> base::Result<bool> {
    return base::fail(base::ErrorKind::usage, base::both("does not compile"));
  };
  const auto bytes = capture_of({ipv4({}, segment)});
  auto reader = FrameReader::from_memory(bytes, "made", std::move(options));
  Frame frame;
  const auto result = reader->next(frame);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, base::ErrorKind::usage);
}

}  // namespace
}  // namespace tcpwhy::scan
