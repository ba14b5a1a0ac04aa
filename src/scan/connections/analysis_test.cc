// Whole captures: the same whatever the number of threads, and memory that is bounded whatever comes.
#include "scan/connections/analysis.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "capfile/capture_builder.h"
#include "scan/connections/problems.h"
#include "scan/tables/fields.h"
#include "scan/tables/summary/summary.h"
#include "wire/packet_builder.h"

namespace tcpwhy::scan {
namespace {

using capfile::testing::CaptureBuilder;
using wire::testing::ByteString;

class Capture {
 public:
  Capture() { file_.pcap_header(0xa1b2c3d4, 1); }

  // Of the segments from now on; 0: untagged.
  void tag(std::uint16_t vid) { vid_ = vid; }

  void add(bool from_client, std::uint16_t port, std::uint16_t flags, std::uint32_t seq, std::uint32_t ack,
           std::size_t length = 0) {
    wire::testing::TcpFields tcp;
    tcp.source_port = from_client ? port : 80;
    tcp.destination_port = from_client ? 80 : port;
    tcp.seq = seq;
    tcp.ack = ack;
    tcp.flags = flags;
    tcp.window = 60'000;
    const ByteString segment = wire::testing::tcp(tcp, wire::testing::zeros(length));
    wire::testing::Ipv4Fields ip;
    if (!from_client) std::swap(ip.source, ip.destination);
    constexpr std::ptrdiff_t cut = 48;
    if (!in_fragments_ || segment.size() <= cut) return add_packet(wire::testing::ipv4(ip, segment));
    ip.id = static_cast<std::uint16_t>(count_);
    ip.fragment = cut / 8;
    const ByteString last = wire::testing::ipv4(ip, {segment.begin() + cut, segment.end()});
    ip.fragment = 0x2000;  // more follow
    const ByteString first = wire::testing::ipv4(ip, {segment.begin(), segment.begin() + cut});
    add_packet(wire::testing::with_checksum(first)), add_packet(wire::testing::with_checksum(last));
  }
  // Of the segments from now on that have data.
  void send_in_fragments(bool yes) { in_fragments_ = yes; }
  void add_packet(const ByteString& packet) {
    std::string bytes(12, '\0');  // MAC addresses
    if (vid_ != 0) bytes += {'\x81', '\0', static_cast<char>(vid_ >> 8U), static_cast<char>(vid_ & 0xffU)};
    bytes += {'\x08', '\0'};
    bytes.append(packet.begin(), packet.end());
    ++count_;
    file_.pcap_packet(1'000'000 + count_ / 1000, count_ % 1000 * 1000, bytes, static_cast<std::uint32_t>(bytes.size()));
  }
  // Opened, `length` bytes sent, closed by the client, or reset by the server.
  void connection(std::uint16_t port, std::size_t length, bool reset) {
    constexpr std::uint16_t S = 2, A = 16, F = 1, R = 4;
    add(true, port, S, 1000, 0), add(false, port, S | A, 5000, 1001), add(true, port, A, 1001, 5001);
    add(true, port, A, 1001, 5001, length);
    const auto end = static_cast<std::uint32_t>(1001 + length);
    if (reset) return add(false, port, R | A, 5001, end);
    add(false, port, A, 5001, end), add(true, port, F | A, end, 5001), add(false, port, F | A, 5001, end + 1);
    add(true, port, A, end + 1, 5002);
  }
  [[nodiscard]] const capfile::testing::Bytes& bytes() const { return file_.bytes(); }

 private:
  CaptureBuilder file_;
  std::uint32_t count_ = 0;
  std::uint16_t vid_ = 0;
  bool in_fragments_ = false;
};

struct Analysed {
  std::vector<ConnectionRecord> records;
  Outcome outcome;
};

Analysed analyse(base::Result<FrameReader> reader, const AnalysisOptions& options) {
  Analysed result;
  EXPECT_TRUE(reader);
  if (!reader) return result;
  result.outcome = scan::analyse(std::move(*reader), options, [&](std::span<const ConnectionRecord> records) {
    result.records.insert(result.records.end(), records.begin(), records.end());
  });
  std::ranges::sort(result.records, {}, &ConnectionRecord::first_frame);
  return result;
}

Analysed analyse(const Capture& capture, const AnalysisOptions& options) {
  return analyse(FrameReader::from_memory(capture.bytes(), "made"), options);
}

std::vector<const Field*> columns() {
  std::vector<const Field*> all;
  for (const Field& field : fields()) all.push_back(&field);
  return all;
}

TEST(Analysis, threads_and_the_seed_make_no_difference) {
  Capture capture;
  for (std::uint16_t i = 0; i < 300; ++i) capture.connection(static_cast<std::uint16_t>(20'000 + i), i, i % 7 == 0);
  const Analysed one = analyse(capture, {.threads = 1});
  ASSERT_EQ(one.records.size(), 300U);
  EXPECT_FALSE(one.outcome.stopped_by);
  for (const unsigned threads : {2U, 5U}) {
    const Analysed more = analyse(capture, {.threads = threads, .seed = 77 * threads});
    ASSERT_EQ(more.records.size(), one.records.size());
    EXPECT_EQ(more.outcome.totals.segments, one.outcome.totals.segments);
    for (std::size_t i = 0; i < one.records.size(); ++i) {
      const auto problems = problems_of(one.records[i]), others = problems_of(more.records[i]);
      EXPECT_EQ(ndjson_line({more.records[i], others, {}}, columns()),
                ndjson_line({one.records[i], problems, {}}, columns()));
    }
  }
}

// A file of many pieces (capfile/input/file_pieces.h), memory and several files at a time: each goes another way to the threads.
TEST(Analysis, large_captures_with_fragments_are_the_same_by_any_way) {
  Capture capture;
  for (std::uint16_t i = 0; i < 4800; ++i) {
    capture.send_in_fragments(i % 10 == 0 || (i > 300 && i < 320));
    capture.connection(static_cast<std::uint16_t>(20'000 + i), i % 3 * 500U, i % 7 == 0);
  }
  const auto lines_of = [](const Analysed& analysed) {
    std::vector<std::string> lines;
    for (const ConnectionRecord& record : analysed.records) {
      const auto problems = problems_of(record);
      lines.push_back(ndjson_line({record, problems, {}}, columns()));
    }
    return lines;
  };
  const std::string path = testing::TempDir() + "/analysis_test.large.pcap";
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(capture.bytes().data()),
             static_cast<std::streamsize>(capture.bytes().size()));
  ASSERT_GT(capture.bytes().size(), 4U << 20U);
  const Analysed one = analyse(capture, {.threads = 1});
  ASSERT_EQ(one.records.size(), 4800U);
  ASSERT_GT(one.outcome.totals.fragments, 100U);
  const auto expected = lines_of(one);
  for (const unsigned threads : {1U, 2U, 3U, 8U}) {
    SCOPED_TRACE(threads);
    const AnalysisOptions options{.threads = threads, .limits = {}, .seed = threads, .on_progress = {}};
    const Analysed of_file = analyse(FrameReader::open(path), options), of_memory = analyse(capture, options);
    EXPECT_TRUE(lines_of(of_file) == expected);
    EXPECT_TRUE(lines_of(of_memory) == expected);
    EXPECT_EQ(of_file.outcome.totals.frames, one.outcome.totals.frames);
    EXPECT_EQ(of_file.outcome.totals.fragments, one.outcome.totals.fragments);
    EXPECT_EQ(of_file.outcome.totals.wire_bytes, one.outcome.totals.wire_bytes);
    EXPECT_EQ(of_file.outcome.totals.last_ns, one.outcome.totals.last_ns);
  }
  const Analysed twice = analyse(FrameReader::open_all({path, path}), {.threads = 1});
  const Analysed twice_by_two = analyse(FrameReader::open_all({path, path}), {.threads = 2});
  EXPECT_TRUE(lines_of(twice_by_two) == lines_of(twice));
  std::remove(path.c_str());
}

TEST(Analysis, directions_that_are_tagged_differently_are_one_connection) {
  constexpr std::uint16_t S = 2, A = 16, F = 1;
  const std::uint16_t pairs[][2] = {{0, 20}, {10, 0}, {10, 20}};
  for (const auto& [there, back] : pairs) {
    Capture capture;
    const auto from = [&](bool client) { capture.tag(client ? there : back); };
    for (std::uint16_t port = 20'000; port < 20'003; ++port) {
      from(true), capture.add(true, port, S, 1000, 0);
      from(false), capture.add(false, port, S | A, 5000, 1001);
      from(true), capture.add(true, port, A, 1001, 5001), capture.add(true, port, F | A, 1001, 5001);
      from(false), capture.add(false, port, F | A, 5001, 1002);
      from(true), capture.add(true, port, A, 1002, 5002);
    }
    for (const unsigned threads : {1U, 2U}) {
      const Analysed seen = analyse(capture, {.threads = threads});
      ASSERT_EQ(seen.records.size(), 3U) << there << " and " << back;
      for (const ConnectionRecord& record : seen.records) {
        EXPECT_EQ(record.segments(), 6U);
        EXPECT_EQ(record.ending, Ending::closed);
        EXPECT_TRUE(problems_of(record).empty());
      }
    }
  }
}

TEST(Analysis, before_and_behind_a_router_there_are_two_connections) {
  Capture capture;
  constexpr std::uint16_t S = 2, A = 16;
  const auto both = [&](bool client, std::uint16_t flags, std::uint32_t seq, std::uint32_t ack) {
    capture.tag(client ? 10 : 20), capture.add(client, 20'000, flags, seq, ack);
    capture.tag(client ? 20 : 10), capture.add(client, 20'000, flags, seq, ack);
  };
  both(true, S, 1000, 0), both(false, S | A, 5000, 1001), both(true, A, 1001, 5001);
  const Analysed seen = analyse(capture, {.threads = 1});
  ASSERT_EQ(seen.records.size(), 2U);
  for (const ConnectionRecord& record : seen.records) EXPECT_EQ(record.segments(), 3U);
}

TEST(Analysis, a_syn_ack_that_answers_something_else_joins_no_other_vlan) {
  Capture capture;
  constexpr std::uint16_t S = 2, A = 16;
  capture.tag(10), capture.add(true, 20'000, S, 1000, 0);
  capture.tag(20), capture.add(false, 20'000, S | A, 5000, 77);
  EXPECT_EQ(analyse(capture, {.threads = 1}).records.size(), 2U);
}

TEST(Analysis, a_flood_of_syns_stays_within_the_bound_and_says_what_it_let_go) {
  Capture capture;
  for (std::uint32_t i = 0; i < 5000; ++i) capture.add(true, static_cast<std::uint16_t>(1024 + i), 2, 1000, 0);
  const Analysed flood = analyse(capture, {.threads = 1, .limits = {.open = 100}});
  EXPECT_EQ(flood.records.size(), 5000U);
  EXPECT_EQ(flood.outcome.totals.evicted, 4900U);
  const auto evicted = std::ranges::count(flood.records, Left::evicted, &ConnectionRecord::left);
  EXPECT_EQ(evicted, 4900);
}

TEST(Analysis, what_came_before_the_damage_is_analysed) {
  Capture capture;
  capture.connection(20'000, 10, false);
  auto bytes = capture.bytes();
  bytes.resize(bytes.size() - 5);
  for (const unsigned threads : {1U, 2U}) {
    auto reader = FrameReader::from_memory(bytes, "cut");
    ASSERT_TRUE(reader);
    std::size_t records = 0;
    const auto analysed = scan::analyse(std::move(*reader), {.threads = threads},
                                        [&](std::span<const ConnectionRecord> some) { records += some.size(); });
    EXPECT_TRUE(analysed.stopped_by);
    EXPECT_EQ(analysed.totals.segments, 7U);
    EXPECT_EQ(records, 1U);
  }
}

TEST(Problems, every_rule_has_both_languages_and_ids_are_told_apart) {
  std::vector<std::string_view> ids;
  for (const ProblemRule& rule : problem_rules()) {
    EXPECT_TRUE(rule.id.starts_with("capture.")) << rule.id;
    EXPECT_FALSE(rule.when.empty() || rule.rests_on.empty() || rule.text.en.empty() || rule.text.zh.empty()) << rule.id;
    EXPECT_EQ(rule.remedy.en.empty(), rule.remedy.zh.empty()) << rule.id;
    ids.push_back(rule.id);
  }
  std::ranges::sort(ids);
  EXPECT_EQ(std::ranges::adjacent_find(ids), ids.end());
}

TEST(Problems, a_sound_connection_has_none_and_a_reset_one_names_its_frame) {
  Capture capture;
  capture.connection(20'000, 10, false);
  capture.connection(20'001, 10, true);
  const Analysed both = analyse(capture, {.threads = 1});
  ASSERT_EQ(both.records.size(), 2U);
  EXPECT_TRUE(problems_of(both.records[0]).empty());
  const auto problems = problems_of(both.records[1]);
  ASSERT_EQ(problems.size(), 1U);
  EXPECT_EQ(problems[0].rule->id, "capture.reset.unread_data");
  EXPECT_EQ(problems[0].frame, 13U);
  EXPECT_EQ(problems[0].grade, explain::Grade::assumed);
}

TEST(Durations, quantiles_are_right_to_a_sixteenth) {
  Durations durations;
  for (std::int64_t i = 1; i <= 1000; ++i) durations.put(i * 1'000'000);
  EXPECT_NEAR(static_cast<double>(durations.quantile(0.5)), 5e8, 5e8 / 16);
  EXPECT_NEAR(static_cast<double>(durations.quantile(0.99)), 9.9e8, 9.9e8 / 16);
}

TEST(Greatest, keeps_the_worst_whatever_the_order) {
  Greatest greatest(3, [](const Kept& a, const Kept& b) { return a.record.ended_ns > b.record.ended_ns; });
  for (const std::int64_t value : {5, 1, 9, 7, 3, 8}) {
    ConnectionRecord record;
    record.ended_ns = value;
    greatest.put(record, {});
  }
  std::vector<std::int64_t> kept;
  for (const Kept& one : greatest.in_order()) kept.push_back(one.record.ended_ns);
  EXPECT_EQ(kept, (std::vector<std::int64_t>{9, 8, 7}));
  EXPECT_EQ(greatest.offered(), 6U);
}

// The specification's own example (community-id-spec, README): the two directions of one flow.
TEST(CommunityId, is_the_same_from_either_end) {
  ConnectionRecord record;
  record.addresses[opener] = {*wire::IpAddress::parse("128.232.110.120"), 34855};
  record.addresses[listener] = {*wire::IpAddress::parse("66.35.250.204"), 80};
  EXPECT_EQ(community_id(record), "1:LQU9qZlK+B5F3KDmev6m5PMibrg=");
  std::swap(record.addresses[opener], record.addresses[listener]);
  EXPECT_EQ(community_id(record), "1:LQU9qZlK+B5F3KDmev6m5PMibrg=");
}

}  // namespace
}  // namespace tcpwhy::scan
