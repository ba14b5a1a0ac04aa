// What people really capture, made of what a laboratory has: one direction, out of order, with copies, on both sides of an offload, begun
// late and ended early, in tunnels. What is said of it may become less or less sure; it never becomes false.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/testing/data.h"
#include "capfile/capture_builder.h"
#include "scan/testing/never_false.h"

namespace tcpwhy::scan {
namespace {

using namespace testing;  // NOLINT
namespace fs = std::filesystem;

// Those of tests/wild that are whole: a laboratory's. The others have been made as is done here.
constexpr std::string_view whole_ones[] = {"go-back-n",
                                           "data-and-fin-after-close",
                                           "own-reset-without-ack",
                                           "kernel-C25b-A",
                                           "kernel-D08-A",
                                           "kernel-D16c-A",
                                           "kernel-D16c-B",
                                           "kernel-H25-A",
                                           "idle-then-reset",
                                           "server-seen-first",
                                           "lone-reset",
                                           "resets-answer-older-acks",
                                           "refused-twice-same-ttl",
                                           "begins-with-keep-alive"};

struct Capture {
  std::string name;
  fs::path path;
  Truth truth;
};

const std::vector<Capture>& captures() {
  static const std::vector<Capture> all = [] {
    std::vector<Capture> made;
    const auto add = [&made](const fs::path& path) {
      made.push_back({(path.parent_path().filename() / path.stem()).string(), path, Truth(packets_of(path.string()))});
    };
    for (const fs::path& path : base::testing::two_stacks_captures()) add(path);
    for (const std::string_view name : whole_ones) add(base::testing::own_data("wild") / (std::string(name) + ".pcap"));
    return made;
  }();
  return all;
}

// Those in which nothing is forged. What is, only the segments beside it tell: where one of them is missing, or stands elsewhere, it is as
// good as real.
std::vector<const Capture*> captures_of_what_is_real() {
  std::vector<const Capture*> all;
  for (const Capture& capture : captures())
    if (std::ranges::none_of(capture.truth.said().segments,
                             [](const SegmentSaid& said) { return said.verdict.kind == tcp::Kind::illegal; }))
      all.push_back(&capture);
  return all;
}

// Of each kind of falsehood one example.
void expect_none_false(const Compared& compared, std::uint64_t at_least) {
  EXPECT_GE(compared.captures, at_least);
  for (const auto& [falsehood, times] : compared.false_ones)
    ADD_FAILURE() << falsehood << ": " << times << " times, first in " << compared.first_examples.at(falsehood);
}

TEST(WildMetamorphic, the_whole_says_what_it_says) {
  Compared compared;
  for (const Capture& capture : captures())
    compare(capture.truth.packets(), capture.truth, {.name = "whole"}, compared, capture.name);
  expect_none_false(compared, 70);
}

TEST(WildMetamorphic, one_direction_only) {
  Compared compared;
  for (const Capture* const capture : captures_of_what_is_real())
    for (const wire::IpAddress& sender : senders_of(capture->truth.packets()))
      compare(only_from(capture->truth.packets(), sender), capture->truth,
              {.name = "one direction", .lacks = true, .one_way = true}, compared,
              fmt::format("{} from {}", capture->name, wire::to_string(sender)));
  expect_none_false(compared, 110);
}

TEST(WildMetamorphic, acknowledgments_before_their_data) {
  Compared compared;
  for (const Capture* const capture : captures_of_what_is_real())
    for (const wire::IpAddress& sender : senders_of(capture->truth.packets()))
      for (const std::int64_t by_ns : {20'000, 200'000, 1'000'000})
        for (const std::uint64_t seed : {0U, 1U, 2U})
          for (const bool restamp : {true, false})
            compare(too_soon(capture->truth.packets(), sender, by_ns, seed != 0, restamp, Random(seed)), capture->truth,
                    {.name = "out of order", .moves = true}, compared,
                    fmt::format("{} {} ns sooner from {}, jitter {}, {}", capture->name, by_ns, wire::to_string(sender),
                                seed, restamp ? "stamped so" : "with its stamps"));
  expect_none_false(compared, 2000);
}

TEST(WildMetamorphic, copies) {
  Compared compared;
  for (const Capture& capture : captures())
    for (const bool numbered : {true, false})
      for (const int hops : {0, 1})
        for (const std::int64_t after_ns : {0, 1'000, 100'000, 1'000'000})
          for (const unsigned one_in : {1U, 3U, 10U}) {
            const Packets& packets = capture.truth.packets();
            compare(with_copies(numbered ? packets : without_ip_ids(packets),
                                {.after_ns = after_ns, .hops = static_cast<std::uint8_t>(hops), .one_in = one_in},
                                Random(one_in)),
                    capture.truth, {.name = "copies", .copies = true, .less_identity = !numbered}, compared,
                    fmt::format("{} one of {} after {} ns, {} hops, IP IDs {}", capture.name, one_in, after_ns, hops,
                                numbered));
          }
  expect_none_false(compared, 3000);
}

TEST(WildMetamorphic, appended_to_themselves) {
  Compared compared;
  for (const Capture* const capture : captures_of_what_is_real()) {
    // Of a port that was used again the earlier connection is forgotten: its copy is another one.
    if (capture->name.starts_with("port_reuse")) continue;
    compare(appended_to_itself(capture->truth.packets()), capture->truth,
            {.name = "appended", .moves = true, .copies = true}, compared, capture->name);
  }
  expect_none_false(compared, 60);
}

// What was sent again or overtaken is left out of it: of that no large segment is made.
std::set<std::uint64_t> not_the_first_time(const Truth& truth) {
  std::set<std::uint64_t> frames;
  for (const Packet& packet : truth.packets())
    if (packet.is_tcp() && truth.of(packet.origin).verdict.kind != tcp::Kind::data) frames.insert(packet.origin);
  return frames;
}

TEST(WildMetamorphic, on_both_sides_of_an_offload) {
  Compared compared;
  for (const Capture& capture : captures())
    for (const bool numbered : {true, false})
      for (const Offload offload : {Offload::segmentation, Offload::receive}) {
        const Packets& packets = capture.truth.packets();
        compare(beside_their_pieces(numbered ? packets : without_ip_ids(packets), offload,
                                    not_the_first_time(capture.truth)),
                capture.truth, {.name = "offload", .offload = true, .less_identity = !numbered}, compared,
                fmt::format("{} {}, IP IDs {}", capture.name,
                            offload == Offload::segmentation ? "segmentation" : "receive", numbered));
      }
  expect_none_false(compared, 200);
}

TEST(WildMetamorphic, begun_late) {
  Compared compared;
  for (const Capture* const capture : captures_of_what_is_real())
    for (std::size_t i = 1; i < capture->truth.packets().size(); ++i) {
      const auto& packets = capture->truth.packets();
      compare(Packets(packets.begin() + static_cast<std::ptrdiff_t>(i), packets.end()), capture->truth,
              {.name = "begun late", .lacks = true}, compared, fmt::format("{} without {}", capture->name, i));
    }
  expect_none_false(compared, 2000);
}

TEST(WildMetamorphic, ended_early) {
  Compared compared;
  for (const Capture& capture : captures())
    for (std::size_t i = 1; i < capture.truth.packets().size(); ++i) {
      const auto& packets = capture.truth.packets();
      compare(Packets(packets.begin(), packets.begin() + static_cast<std::ptrdiff_t>(i)), capture.truth,
              {.name = "ended early", .lacks = true}, compared, fmt::format("{} until {}", capture.name, i));
    }
  expect_none_false(compared, 2000);
}

// Whether the first segment of a direction is a reset that answers nothing which is there.
bool begins_with_a_stray(const Packets& packets) {
  std::set<std::pair<wire::SocketAddress, wire::SocketAddress>> seen;
  for (const Packet& packet : packets) {
    const wire::TcpSegment& segment = packet.segment;
    const bool is_answer = seen.contains({segment.destination, segment.source});
    const bool is_first = seen.emplace(segment.source, segment.destination).second;
    if (is_first && segment.flags.rst() && !(is_answer && segment.flags.ack())) return true;
  }
  return false;
}

// Joined by their numbers (tcp/half_seen.h), begun late too. The tunnels' bytes: scan/connections/directions_test.cc.
TEST(WildMetamorphic, each_direction_in_another_tunnel) {
  const auto in_vlan = [](std::uint16_t vid) {
    wire::Encapsulation around;
    if (vid != 0) around.add_vlan(vid);
    return around;
  };
  const auto in_tunnel = [](wire::TunnelKind kind, std::uint64_t id) {
    wire::Encapsulation around;
    around.add_tunnel(kind, id);
    return around;
  };
  using enum wire::TunnelKind;
  const std::pair<wire::Encapsulation, wire::Encapsulation> ways[] = {
      {in_vlan(10), in_vlan(20)},
      {in_vlan(10), in_vlan(0)},
      {in_tunnel(gre, 1), in_tunnel(gre, 2)},
      {in_tunnel(vxlan, 100), in_tunnel(vxlan, 200)},
      {in_tunnel(geneve, 100), in_tunnel(geneve, 200)},
  };
  Compared compared;
  for (const Capture* const capture : captures_of_what_is_real())
    for (const auto& [there, back] : ways) {
      const Packets all = around_by_direction(capture->truth.packets(), there, back);
      compare(all, capture->truth, {.name = "tunnels"}, compared, capture->name);
      for (const std::size_t begin : {2U, 3U, 5U}) {
        if (all.size() < begin + 2) break;
        // A direction whose first segment is a reset that answers nothing there belongs to nobody.
        const Packets late(all.begin() + static_cast<std::ptrdiff_t>(begin), all.end());
        if (begins_with_a_stray(late)) continue;
        compare(late, capture->truth, {.name = "tunnels, begun late", .lacks = true}, compared,
                fmt::format("{} without {}", capture->name, begin));
      }
    }
  expect_none_false(compared, 700);
}

TEST(WildMetamorphic, without_what_identifies) {
  Compared compared;
  for (const Capture& capture : captures()) {
    const Packets& packets = capture.truth.packets();
    const Derivation how{.name = "less to identify", .less_identity = true};
    compare(without_ip_ids(packets), capture.truth, how, compared, capture.name + " without IP IDs");
    compare(without_time_stamps(packets), capture.truth, how, compared, capture.name + " without time stamps");
    compare(without_time_stamps(without_ip_ids(packets)), capture.truth, how, compared, capture.name + " without both");
  }
  expect_none_false(compared, 200);
}

struct StoredFrame {
  RawFrame frame;
  std::string bytes;
  wire::IpAddress sender;
};

std::vector<StoredFrame> stored_frames(const fs::path& path) {
  std::vector<StoredFrame> frames;
  auto reader = FrameReader::open(path.string());
  if (!reader) return frames;
  Frame frame;
  while (reader->next(frame).value_or(false))
    frames.push_back({frame, std::string(frame.bytes.begin(), frame.bytes.end()), frame.packet.segment.source.ip});
  return frames;
}

// What `read` makes of a file, which it reads in the order of its stamps.
std::vector<std::string> told_of(const fs::path& path) {
  std::vector<std::string> lines;
  auto input = capfile::Input::open(path.string());
  EXPECT_TRUE(input);
  std::vector<capfile::Input> inputs;
  inputs.push_back(std::move(*input));
  auto reader = FrameReader::open_all(std::move(inputs), {.filter = {}, .teredo = false, .by_time = true});
  EXPECT_TRUE(reader);
  ConnectionTable table({}, 1, [&](Connection& connection, Left left) {
    for (const Problem& problem : problems_of(record_of(connection, left))) lines.emplace_back(problem.rule->id);
  });
  Frame frame;
  while (reader->next(frame).value_or(false)) {
    if (frame.packet.kind != wire::Dissection::tcp) continue;
    const tcp::Verdict verdict =
        table.take(frame.number, base::to_ns(frame.at), frame.packet.segment, frame.packet.encapsulation).verdict;
    lines.push_back(
        fmt::format("{} {} {} {}", base::to_ns(frame.at), name(verdict.kind), name(verdict.reason), verdict.marks));
  }
  table.finish();
  return lines;
}

// The stamps are the true ones, and only the file has one direction too soon: the reader mends it.
TEST(WildMetamorphic, in_another_order_than_their_stamps) {
  constexpr std::uint32_t nanoseconds = 0xa1b23c4d;
  constexpr std::int64_t too_soon_ns = 1'000'000;
  int compared = 0;
  const fs::path made = fs::path(::testing::TempDir()) / fmt::format("wild-metamorphic-{}.pcap", getpid());
  for (const Capture& capture : captures())
    for (const wire::IpAddress& sender : senders_of(capture.truth.packets())) {
      std::vector<StoredFrame> frames = stored_frames(capture.path);
      // Of two in the same moment the file alone tells which was first.
      const auto same_moment = [](const StoredFrame& a, const StoredFrame& b) { return a.frame.at == b.frame.at; };
      if (std::ranges::adjacent_find(frames, same_moment) != frames.end()) continue;
      std::ranges::stable_sort(frames, {}, [&](const StoredFrame& one) {
        return base::to_ns(one.frame.at) - (one.sender == sender ? too_soon_ns : 0);
      });
      capfile::testing::CaptureBuilder file;
      file.pcap_header(nanoseconds, static_cast<std::uint32_t>(frames.front().frame.link_type));
      for (const StoredFrame& one : frames) {
        const auto ns = base::to_ns(one.frame.at);
        file.pcap_packet(static_cast<std::uint32_t>(ns / 1'000'000'000), static_cast<std::uint32_t>(ns % 1'000'000'000),
                         one.bytes, one.frame.original_length);
      }
      std::ofstream(made, std::ios::binary)
          .write(reinterpret_cast<const char*>(file.bytes().data()), static_cast<std::streamsize>(file.bytes().size()));
      EXPECT_EQ(told_of(made), told_of(capture.path)) << capture.name << " from " << wire::to_string(sender);
      ++compared;
    }
  fs::remove(made);
  EXPECT_GT(compared, 100);
}

}  // namespace
}  // namespace tcpwhy::scan
