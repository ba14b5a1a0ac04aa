// The tcpdump view against the installed tcpdump: public captures, then captures made to be difficult.
//
// TCPWHY_TCPDUMP_ROUNDS (how many times the random ones are made; 1) and TCPWHY_TCPDUMP_SEED (1) widen the search.
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <random>
#include <variant>

#include "base/testing/data.h"
#include "capfile/formats/reader.h"
#include "render/tcpdump/hostile_packets_testing.h"
#include "render/tcpdump/reference_testing.h"

namespace tcpwhy::render::testing {
namespace {

// Everything up to the first damage.
std::vector<SamplePacket> read_packets(const std::filesystem::path& file) {
  std::vector<SamplePacket> packets;
  auto reader = capfile::CaptureReader::open(file.string());
  if (!reader) return packets;
  for (auto record = reader->next(); record && *record; record = reader->next()) {
    const auto* const packet = std::get_if<capfile::PacketRecord>(&**record);
    if (packet == nullptr) continue;
    packets.push_back({reader->interfaces()[packet->interface].interface.link_type,
                       {packet->bytes.begin(), packet->bytes.end()},
                       packet->original_length,
                       packet->at});
  }
  return packets;
}

std::uint64_t number_from_environment(const char* name, std::uint64_t otherwise) {
  const char* const text = std::getenv(name);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

void expect_equal(const Comparison& comparison) {
  std::printf("compared %zu lines of TCP with tcpdump, %zu differ\n", comparison.compared, comparison.different);
  EXPECT_GT(comparison.compared, 0U);
  EXPECT_EQ(comparison.different, 0U) << comparison.report;
}

// One capture of each link type that occurs.
void compare_made(Comparison& comparison, const std::string& where, const std::vector<SamplePacket>& packets,
                  const std::vector<Style>& styles) {
  std::map<wire::LinkType, std::vector<SamplePacket>> by_link_type;
  for (const auto& packet : packets) by_link_type[packet.link_type].push_back(packet);
  const TemporaryFolder folder;
  for (const auto& [link_type, group] : by_link_type) {
    const auto file = folder.path() / fmt::format("{}.pcap", static_cast<unsigned>(link_type));
    write_pcap(file, group);
    for (const auto& style : styles) {
      compare(comparison, fmt::format("{}, link type {}", where, static_cast<unsigned>(link_type)), group,
              tcpdump_lines(file, style.arguments), style);
    }
  }
}

std::vector<Style> two_styles() {
  return {{"-t", options_of(false, false, TcpdumpTime::none)},
          {"-e -S", options_of(true, true, TcpdumpTime::time_of_day)}};
}

class TcpdumpDifferential : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!tcpdump_is_installed()) GTEST_SKIP() << "tcpdump is not installed";
  }
};

TEST_F(TcpdumpDifferential, every_tcp_packet_of_the_public_captures) {
  const auto files = base::testing::public_capture_files();
  if (files.empty()) GTEST_SKIP() << base::testing::no_public_captures();
  Comparison comparison;
  for (const auto& file : files) {
    const auto packets = read_packets(file);
    if (file.filename().string().find(".snoop") !=
        std::string::npos) {  // tcpdump can't read it: the same packets as pcap
      compare_made(comparison, file.filename().string(), packets, all_styles());
      continue;
    }
    for (const auto& style : all_styles()) {
      compare(comparison, file.filename().string(), packets, tcpdump_lines(file, style.arguments), style);
    }
  }
  expect_equal(comparison);
}

TEST_F(TcpdumpDifferential, every_packet_of_our_two_stacks) {
  Comparison comparison;
  for (const auto& file : base::testing::two_stacks_captures()) {
    const auto packets = read_packets(file);
    for (const auto& style : two_styles())
      compare(comparison, file.parent_path().filename().string(), packets, tcpdump_lines(file, style.arguments), style);
  }
  expect_equal(comparison);
}

TEST_F(TcpdumpDifferential, every_encapsulation_cut_at_every_length) {
  Comparison comparison;
  compare_made(comparison, "cut", cut_everywhere(encapsulations()), two_styles());
  expect_equal(comparison);
}

TEST_F(TcpdumpDifferential, every_link_type) {
  Comparison comparison;
  compare_made(comparison, "links", in_each_link_type(), all_styles());
  EXPECT_EQ(comparison.compared, in_each_link_type().size() * all_styles().size());
  expect_equal(comparison);
}

TEST_F(TcpdumpDifferential, every_link_type_cut_at_every_length) {
  Comparison comparison;
  compare_made(comparison, "links, cut", cut_everywhere(in_each_link_type()), two_styles());
  expect_equal(comparison);
}

TEST_F(TcpdumpDifferential, every_combination_of_flags) {
  Comparison comparison;
  compare_made(comparison, "flags", all_flags(), two_styles());
  expect_equal(comparison);
}

TEST_F(TcpdumpDifferential, every_option_at_every_length) {
  Comparison comparison;
  compare_made(comparison, "options", all_options(), two_styles());
  expect_equal(comparison);
}

TEST_F(TcpdumpDifferential, random_option_lists) {
  Comparison comparison;
  const auto rounds = number_from_environment("TCPWHY_TCPDUMP_ROUNDS", 1);
  for (std::uint64_t round = 0; round < rounds; ++round) {
    Random random(number_from_environment("TCPWHY_TCPDUMP_SEED", 1) + round);
    compare_made(comparison, fmt::format("options {}", round), random_options(random, 10'000), two_styles());
  }
  expect_equal(comparison);
}

TEST_F(TcpdumpDifferential, random_chains_of_extension_headers) {
  Comparison comparison;
  const auto rounds = number_from_environment("TCPWHY_TCPDUMP_ROUNDS", 1);
  for (std::uint64_t round = 0; round < rounds; ++round) {
    Random random(number_from_environment("TCPWHY_TCPDUMP_SEED", 1) + round);
    compare_made(comparison, fmt::format("chains {}", round), random_extension_chains(random, 10'000), two_styles());
  }
  expect_equal(comparison);
}

TEST_F(TcpdumpDifferential, mutated_packets) {
  std::vector<SamplePacket> seeds = encapsulations();
  for (const auto& file : base::testing::public_capture_files()) {
    const auto packets = read_packets(file);
    for (std::size_t i = 0; i < packets.size() && i < 40; ++i) seeds.push_back(packets[i]);
  }
  Comparison comparison;
  const auto rounds = number_from_environment("TCPWHY_TCPDUMP_ROUNDS", 1);
  for (std::uint64_t round = 0; round < rounds; ++round) {
    Random random(number_from_environment("TCPWHY_TCPDUMP_SEED", 1) + round);
    compare_made(comparison, fmt::format("mutated {}", round), mutated(random, seeds, 20'000), two_styles());
  }
  expect_equal(comparison);
}

TEST_F(TcpdumpDifferential, mutated_packets_of_every_link_type) {
  Comparison comparison;
  const auto rounds = number_from_environment("TCPWHY_TCPDUMP_ROUNDS", 1);
  for (std::uint64_t round = 0; round < rounds; ++round) {
    Random random(number_from_environment("TCPWHY_TCPDUMP_SEED", 1) + round);
    auto packets = mutated(random, in_each_link_type(), 20'000);
    std::erase_if(packets, is_tolerated);
    compare_made(comparison, fmt::format("links, mutated {}", round), packets, two_styles());
    compare_made(comparison, fmt::format("radiotap {}", round), random_radiotap(random, 10'000), two_styles());
  }
  expect_equal(comparison);
}

TEST_F(TcpdumpDifferential, conversations_that_share_ports_and_addresses) {
  Comparison comparison;
  Random random(number_from_environment("TCPWHY_TCPDUMP_SEED", 1));
  compare_made(comparison, "conversations", colliding_conversations(random, 5'000), all_styles());
  expect_equal(comparison);
}

}  // namespace
}  // namespace tcpwhy::render::testing
