// What must not change what is found: how many threads read, where sequence numbers begin, IPv6 instead of IPv4, a
// capture cut into two files, another link type. On the captures of tests/two-stacks, and on the public ones where
// they are there.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "base/testing/data.h"
#include "capfile/capture_builder.h"
#include "scan/connections/analysis.h"
#include "scan/testing/records.h"

namespace tcpwhy::scan {
namespace {

namespace fs = std::filesystem;

bool with_public_captures() { return !base::testing::public_capture_files().empty(); }

base::Result<FrameReader> open_files(const std::vector<std::string>& paths) { return FrameReader::open_all(paths); }

TEST(Metamorphic, any_number_of_threads_finds_the_same) {
  for (const fs::path& path : testing::captures()) {
    const std::vector<std::string> one = testing::ndjson_of(open_files({path.string()}), 1);
    for (const unsigned threads : {2U, 3U})
      EXPECT_EQ(testing::ndjson_of(open_files({path.string()}), threads), one) << path;
  }
}

// The segments of a capture, changed, through a table: what each of them is said to be.
std::vector<std::string> verdicts(const fs::path& path, const std::function<void(wire::TcpSegment&)>& change) {
  std::vector<std::string> lines;
  auto reader = FrameReader::open(path.string());
  EXPECT_TRUE(reader) << path;
  if (!reader) return lines;
  ConnectionTable table({}, 1, [&](Connection& connection, Left left) {
    std::string line = "record";
    const ConnectionRecord record = record_of(connection, left);
    for (const Problem& problem : problems_of(record)) line += " " + std::string(problem.rule->id);
    line += " " + std::string(name(record.opening)) + " " + std::string(name(record.ending));
    lines.push_back(std::move(line));
  });
  Frame frame;
  while (true) {
    const auto more = reader->next(frame);
    if (!more || !*more) break;
    if (frame.packet.kind != wire::Dissection::tcp) continue;
    wire::TcpSegment segment = frame.packet.segment;
    change(segment);
    const tcp::Verdict verdict =
        table.take(frame.number, base::to_ns(frame.at), segment, frame.packet.encapsulation).verdict;
    lines.push_back(std::to_string(frame.number) + " " + std::string(name(verdict.kind)) + " " +
                    std::string(name(verdict.reason)) + " " + std::string(name(verdict.illegality)) + " " +
                    std::string(name(verdict.reset_cause)) + " " + std::to_string(verdict.marks) + " " +
                    std::to_string(verdict.seq) + " " + std::to_string(verdict.in_flight));
  }
  table.finish();
  return lines;
}

TEST(Metamorphic, shifted_sequence_numbers_change_nothing) {
  for (const fs::path& path : testing::captures()) {
    const auto plain = verdicts(path, [](wire::TcpSegment&) {});
    for (const std::uint32_t shift : {0x8000'0000U, 0xffff'fff0U, 0x1234'5678U}) {
      // An end's numbers move by the same wherever they stand: in its own segments, and in what the other acknowledges.
      const auto by = [shift](const wire::SocketAddress& end) { return shift + end.port * 77777U; };
      const auto shifted = verdicts(path, [&](wire::TcpSegment& segment) {
        segment.seq.value += by(segment.source);
        if (segment.flags.ack()) segment.ack.value += by(segment.destination);
        for (wire::SackBlock& block : segment.options.sack_storage) {
          block.left.value += by(segment.destination);
          block.right.value += by(segment.destination);
        }
        // A reset that answers nothing has the number 0, whoever's it would be.
      });
      EXPECT_EQ(shifted, plain) << path << " shift " << shift;
    }
  }
}

TEST(Metamorphic, ipv6_tells_what_ipv4_without_its_ip_id_tells) {
  const auto without_ip_id = [](wire::TcpSegment& segment) { segment.ip_id = 0; };
  const auto as_v6 = [](wire::TcpSegment& segment) {
    segment.ip_id = 0;
    for (wire::SocketAddress* end : {&segment.source, &segment.destination}) {
      if (end->ip.family != wire::IpFamily::v4) continue;
      std::array<std::uint8_t, 16> bytes{0x20, 0x01, 0x0d, 0xb8};
      std::copy_n(end->ip.bytes.begin(), 4, bytes.begin() + 12);
      end->ip = wire::IpAddress::v6(bytes);
    }
  };
  for (const fs::path& path : testing::captures())
    EXPECT_EQ(verdicts(path, as_v6), verdicts(path, without_ip_id)) << path;
}

struct Packet {
  Frame frame;
  std::string bytes;
};

std::vector<Packet> packets_of(const fs::path& path) {
  std::vector<Packet> packets;
  auto reader = FrameReader::open(path.string());
  if (!reader) return packets;
  Frame frame;
  while (true) {
    const auto more = reader->next(frame);
    if (!more || !*more) break;
    packets.push_back({frame, std::string(frame.bytes.begin(), frame.bytes.end())});
  }
  return packets;
}

std::string write_pcap(const std::string& name, std::span<const Packet> packets, std::uint16_t link_type) {
  constexpr std::uint32_t nanoseconds = 0xa1b23c4d;
  capfile::testing::CaptureBuilder file;
  file.pcap_header(nanoseconds, link_type);
  for (const Packet& packet : packets) {
    const auto ns = base::to_ns(packet.frame.at);
    file.pcap_packet(static_cast<std::uint32_t>(ns / 1'000'000'000), static_cast<std::uint32_t>(ns % 1'000'000'000),
                     packet.bytes, packet.frame.original_length);
  }
  const std::string path = ::testing::TempDir() + "metamorphic-" + std::to_string(getpid()) + "-" + name;
  std::ofstream out(path, std::ios::binary);
  out.write(reinterpret_cast<const char*>(file.bytes().data()), static_cast<std::streamsize>(file.bytes().size()));
  return path;
}

bool one_link_type(std::span<const Packet> packets) {
  return std::ranges::all_of(packets,
                             [&](const Packet& p) { return p.frame.link_type == packets.front().frame.link_type; });
}

bool in_order(std::span<const Packet> packets) {
  return std::ranges::is_sorted(packets, {}, [](const Packet& p) { return p.frame.at; });
}

TEST(Metamorphic, a_capture_cut_into_two_files_is_the_same_capture) {
  int cut = 0;
  for (const fs::path& path : testing::captures()) {
    const auto packets = packets_of(path);
    // Several files are read in order of time: a capture that steps back in time would be put in order.
    if (packets.size() < 2 || !one_link_type(packets) || !in_order(packets)) continue;
    const auto link_type = static_cast<std::uint16_t>(packets.front().frame.link_type);
    const std::span<const Packet> span(packets);
    const std::size_t middle = packets.size() / 2;
    const std::string whole = write_pcap("whole", span, link_type),
                      first = write_pcap("first", span.first(middle), link_type),
                      second = write_pcap("second", span.subspan(middle), link_type);
    EXPECT_EQ(testing::ndjson_of(open_files({second, first}), 2), testing::ndjson_of(open_files({whole}), 1)) << path;
    for (const std::string& file : {whole, first, second}) fs::remove(file);
    ++cut;
  }
  EXPECT_GT(cut, with_public_captures() ? 80 : 50);
}

TEST(Metamorphic, without_its_ethernet_header_a_packet_is_the_same) {
  if (!with_public_captures()) GTEST_SKIP() << base::testing::no_public_captures();  // ours have none
  constexpr std::uint16_t raw = 101, ethernet = 1;
  constexpr std::uint32_t header_length = 14;
  int compared = 0;
  for (const fs::path& path : testing::captures()) {
    const auto packets = packets_of(path);
    const auto plain = [](const Packet& packet) {  // VLANs and tunnels are part of a connection
      return packet.frame.link_type == wire::LinkType::ethernet && packet.bytes.size() > header_length &&
             packet.frame.packet.encapsulation == wire::Encapsulation{};
    };
    if (packets.empty() || !std::ranges::all_of(packets, plain)) continue;
    std::vector<Packet> stripped = packets;
    for (Packet& packet : stripped) {
      packet.bytes.erase(0, header_length);
      packet.frame.original_length -= header_length;
    }
    const std::string with = write_pcap("with", packets, ethernet), without = write_pcap("without", stripped, raw);
    EXPECT_EQ(testing::ndjson_of(open_files({without}), 1), testing::ndjson_of(open_files({with}), 1)) << path;
    for (const std::string& file : {with, without}) fs::remove(file);
    ++compared;
  }
  EXPECT_GT(compared, 20);
}

// Cut anywhere, with any byte changed: what is read ends with an error or not, but it ends.
TEST(Hostile, captures_cut_and_changed_are_read_to_their_end) {
  std::uint64_t random = 0x9e3779b97f4a7c15;
  const auto next = [&random] { return random = random * 6364136223846793005 + 1442695040888963407, random >> 33U; };
  for (const fs::path& path : testing::captures()) {
    std::ifstream in(path, std::ios::binary);
    const std::vector<std::uint8_t> bytes{std::istreambuf_iterator<char>(in), {}};
    const auto analyse_all = [](std::span<const std::uint8_t> some) {
      for (const unsigned threads : {1U, 2U}) {
        auto reader = FrameReader::from_memory(some, "changed");
        if (!reader) continue;
        std::uint64_t segments = 0;
        const AnalysisOptions options{
            .threads = threads, .limits = {.open = 1000, .over = 100}, .seed = 0, .on_progress = {}};
        const auto outcome = analyse(std::move(*reader), options, [&](std::span<const ConnectionRecord> records) {
          for (const ConnectionRecord& record : records) {
            segments += record.segments();
            (void)problems_of(record);
          }
        });
        EXPECT_GE(segments, outcome.totals.segments);
      }
    };
    const bool small = bytes.size() <= 1500;
    for (int i = 0; i < (small ? static_cast<int>(bytes.size()) : 4); ++i)
      analyse_all(std::span(bytes).first(small ? static_cast<std::size_t>(i) : next() % bytes.size()));
    for (int i = 0; i < (small ? 200 : 4); ++i) {
      auto changed = bytes;
      for (std::uint64_t flips = 1 + next() % 8; flips > 0; --flips)
        changed[next() % changed.size()] ^= static_cast<std::uint8_t>(1 + next() % 255);
      analyse_all(changed);
    }
  }
}

}  // namespace
}  // namespace tcpwhy::scan
