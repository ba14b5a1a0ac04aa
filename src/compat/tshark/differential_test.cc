// Our table of tshark's analysis against the installed tshark: public captures, where they are there, and those of
// tests/two-stacks, as they are, then made difficult.
//
// TCPWHY_TSHARK_ONE_BY_ONE=1 runs tshark on each capture by itself. TCPWHY_TSHARK_ROUNDS (how many times captures are
// made difficult; 1) and TCPWHY_TSHARK_SEED (1) widen the search.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <set>

#include "base/testing/data.h"
#include "capfile/capture_builder.h"
#include "compat/tshark/mutation_testing.h"
#include "compat/tshark/reference_testing.h"
#include "wire/packet_builder.h"

namespace tcpwhy::compat::tshark::testing {
namespace {

namespace fs = std::filesystem;

// "captures/NAME", "two-stacks/SCENARIO/A.pcap" -> the file.
std::map<std::string, fs::path> captures() {
  std::map<std::string, fs::path> files;
  for (const fs::path& file : base::testing::public_capture_files())
    files["captures/" + file.filename().string()] = file;
  for (const fs::path& file : base::testing::two_stacks_captures())
    files["two-stacks/" + fs::relative(file, base::testing::own_data("two-stacks")).string()] = file;
  return files;
}

bool with_public_captures() { return !base::testing::public_capture_files().empty(); }

using Place = std::pair<std::string, std::uint64_t>;  // file, frame

// tolerated.tsv: file, frame, reason; of the files that are there.
std::map<Place, std::string> tolerated() {
  std::map<Place, std::string> places;
  std::ifstream in(fs::path(TCPWHY_SOURCE_DIR) / "src/compat/tshark/tolerated.tsv");
  std::string line;
  std::getline(in, line);
  while (std::getline(in, line)) {
    const Cells cells = cells_of(line);
    EXPECT_EQ(cells.size(), 3U) << line;
    if (cells.size() == 3 && (with_public_captures() || !cells[0].starts_with("captures/")))
      places[{cells[0], std::stoull(cells[1])}] = cells[2];
  }
  return places;
}

std::uint64_t number_from_environment(const char* name, std::uint64_t otherwise) {
  const char* const text = std::getenv(name);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

struct Sample {
  wire::LinkType link_type{};
  Packets packets;
};

// The first packets of a capture.
Sample read_sample(const fs::path& file, std::size_t most = SIZE_MAX) {
  Sample sample;
  auto frames = scan::FrameReader::open(file.string());
  if (!frames) return sample;
  for (auto frame = frames->next(); frame && *frame && sample.packets.size() < most; frame = frames->next()) {
    sample.link_type = (*frame)->link_type;
    sample.packets.push_back({.bytes = {(*frame)->bytes.begin(), (*frame)->bytes.end()},
                              .original_length = (*frame)->original_length,
                              .at_ns = base::to_ns((*frame)->at)});
  }
  return sample;
}

std::vector<std::uint8_t> as_pcap(const Sample& sample) {
  capfile::testing::CaptureBuilder file;
  file.pcap_header(0xa1b23c4d, static_cast<std::uint32_t>(sample.link_type));
  for (const Packet& packet : sample.packets) {
    const auto at = static_cast<std::uint64_t>(std::max<std::int64_t>(packet.at_ns, 0));
    file.pcap_packet(static_cast<std::uint32_t>(at / 1'000'000'000), static_cast<std::uint32_t>(at % 1'000'000'000),
                     {reinterpret_cast<const char*>(packet.bytes.data()), packet.bytes.size()},
                     std::max(packet.original_length, static_cast<std::uint32_t>(packet.bytes.size())));
  }
  return file.bytes();
}

void write(const fs::path& file, const Sample& sample) {
  const auto bytes = as_pcap(sample);
  std::ofstream(file, std::ios::binary).write(reinterpret_cast<const char*>(bytes.data()), std::ssize(bytes));
}

// Where our table differs, and how much was compared.
struct Outcome {
  std::map<Place, std::string> different;
  std::size_t frames = 0;
};

Outcome compare_one_by_one() {
  Outcome outcome;
  for (const auto& [name, file] : captures()) {
    const Table theirs = tshark_table(file);
    outcome.frames += theirs.size();
    for (auto& [frame, what] : differences(theirs, our_table(file))) {
      outcome.different[{name, frame}] = std::move(what);
    }
  }
  return outcome;
}

// All captures of a link type as one: tshark starts a few times instead of a hundred, and connections of different
// captures meet on the same ports.
Outcome compare_joined() {
  struct Joined {
    Sample sample;
    std::vector<Place> places;
  };
  std::map<wire::LinkType, Joined> by_link_type;
  for (const auto& [name, path] : captures()) {
    Sample sample = read_sample(path);
    auto& [joined, places] = by_link_type[sample.link_type];
    joined.link_type = sample.link_type;
    for (std::size_t i = 0; i < sample.packets.size(); ++i) places.emplace_back(name, i + 1);
    std::ranges::move(sample.packets, std::back_inserter(joined.packets));
  }
  Outcome outcome;
  const TemporaryFolder folder;
  for (const auto& [link_type, joined] : by_link_type) {
    const auto file = folder.path() / fmt::format("{}.pcap", static_cast<unsigned>(link_type));
    write(file, joined.sample);
    const Table theirs = tshark_table(file);
    outcome.frames += theirs.size();
    for (auto& [frame, what] : differences(theirs, our_table(file))) {
      outcome.different[joined.places.at(frame - 1)] = std::move(what);
    }
  }
  return outcome;
}

TEST(TsharkAgreement, holds_on_every_frame_of_the_captures) {
  if (!tshark_4_0_is_installed()) GTEST_SKIP() << "tshark 4.0 is not installed";
  const bool one_by_one = number_from_environment("TCPWHY_TSHARK_ONE_BY_ONE", 0) != 0;
  const Outcome outcome = one_by_one ? compare_one_by_one() : compare_joined();
  auto expected = tolerated();
  for (const auto& [place, what] : outcome.different) {
    if (expected.erase(place) == 0) ADD_FAILURE() << place.first << " frame " << place.second << ": " << what;
  }
  for (const auto& [place, reason] : expected) {
    ADD_FAILURE() << place.first << " frame " << place.second << " agrees now; its row of tolerated.tsv goes";
  }
  std::printf("compared %zu frames of TCP with tshark, %zu differ\n", outcome.frames, outcome.different.size());
  EXPECT_GT(outcome.frames, with_public_captures() ? 20'000U : 5'000U);
  EXPECT_LE(outcome.different.size() * 100, outcome.frames);
}

// One capture of each link type, from pieces of several captures.
std::map<wire::LinkType, Sample> difficult_captures(std::uint64_t seed) {
  constexpr std::size_t most_packets = 250;
  constexpr unsigned one_file_in = 4;
  std::mt19937_64 random(seed);
  std::map<wire::LinkType, Sample> by_link_type;
  for (const auto& [name, path] : captures()) {
    if (random() % one_file_in != 0) continue;
    const Sample sample = read_sample(path, most_packets);
    const unsigned one_packet_in = std::array{40U, 10U, 3U}[random() % 3];
    Packets changed = Mutator(random(), sample.link_type).mutate(sample.packets, one_packet_in);
    Sample& group = by_link_type[sample.link_type];
    group.link_type = sample.link_type;
    std::ranges::move(changed, std::back_inserter(group.packets));
  }
  return by_link_type;
}

TEST(TsharkAgreement, holds_on_captures_made_difficult) {
  if (!tshark_4_0_is_installed()) GTEST_SKIP() << "tshark 4.0 is not installed";
  const TemporaryFolder folder;
  const std::uint64_t rounds = number_from_environment("TCPWHY_TSHARK_ROUNDS", 1);
  const std::uint64_t first = number_from_environment("TCPWHY_TSHARK_SEED", 1);
  std::size_t frames = 0;
  for (std::uint64_t seed = first; seed < first + rounds; ++seed) {
    for (const auto& [link_type, sample] : difficult_captures(seed)) {
      const auto file = folder.path() / fmt::format("{}-{}.pcap", seed, static_cast<unsigned>(link_type));
      write(file, sample);
      const Table theirs = tshark_table(file);
      frames += theirs.size();
      for (const auto& [frame, what] : differences(theirs, our_table(file))) {
        ADD_FAILURE() << "seed " << seed << ", link type " << static_cast<unsigned>(link_type) << ", frame " << frame
                      << ": " << what;
      }
    }
  }
  std::printf("compared %zu frames of TCP with tshark\n", frames);
  EXPECT_GT(frames, 1000U);
}

// What AYIYA and GRE over UDP carry, with what else their headers may hold.
TEST(TsharkAgreement, holds_inside_of_tunnels_over_udp) {
  if (!tshark_4_0_is_installed()) GTEST_SKIP() << "tshark 4.0 is not installed";
  namespace built = wire::testing;
  using built::operator+;
  std::mt19937_64 random(5);
  const auto below = [&random](unsigned bound) { return static_cast<unsigned>(random() % bound); };
  const auto ayiya = [&](const built::ByteString& packet) {
    const unsigned identity = below(6), signature = below(6);
    // One in four is not to be forwarded; one in eight carries nothing that is known.
    const unsigned operation = below(4) == 0 ? below(16) : 1, next = below(8) == 0 ? below(256) : 4;
    return built::be32(identity << 28U | signature << 20U | operation << 8U | next) +
           built::zeros(4 + (std::size_t{1} << identity) + signature * std::size_t{4}) + packet;
  };
  const auto gre = [&](const built::ByteString& packet) {
    const unsigned flags = below(16) << 12U;  // checksum, routing, key, sequence number
    std::size_t words = 0;
    for (const unsigned bit : {0x8000U, 0x2000U, 0x1000U}) words += (flags & bit) != 0 ? 1 : 0;
    return built::be16(flags) + built::be16(0x0800) + built::zeros(4 * words) + packet;
  };
  Sample all{.link_type = wire::LinkType::raw, .packets = {}};
  for (const fs::path& path : base::testing::two_stacks_captures()) {
    Sample sample = read_sample(path, 60);
    if (sample.link_type != wire::LinkType::raw) continue;
    for (Packet& packet : sample.packets) {
      const bool by_gre = below(2) == 0;
      const built::ByteString carried = by_gre ? gre(packet.bytes) : ayiya(packet.bytes);
      const unsigned port = by_gre ? 4754 : 5072, other = 30'000 + below(30'000);
      const bool back = below(4) == 0;
      packet.bytes = built::ipv4({.protocol = 17}, built::udp(back ? port : other, back ? other : port, carried));
      packet.original_length = static_cast<std::uint32_t>(packet.bytes.size());
      all.packets.push_back(std::move(packet));
    }
  }
  const TemporaryFolder folder;
  const auto file = folder.path() / "tunnels.pcap";
  write(file, all);
  const Table theirs = tshark_table(file);
  for (const auto& [frame, what] : differences(theirs, our_table(file))) ADD_FAILURE() << frame << ": " << what;
  EXPECT_GT(theirs.size(), 500U);
}

}  // namespace
}  // namespace tcpwhy::compat::tshark::testing
