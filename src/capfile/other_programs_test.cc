// Our files as tshark, tcpdump and capinfos see them, and the files of others as we and they see them.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <array>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/testing/data.h"
#include "base/testing/temporary_folder.h"
#include "capfile/input/read_all.h"
#include "capfile/recording/recording_io.h"
#include "capfile/recording/sample_recording.h"

namespace tcpwhy::capfile {
namespace {

namespace fs = std::filesystem;
using base::testing::no_public_captures;
using base::testing::public_capture_files;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::read_all;
using ::testing::StartsWith;

struct Output {
  int status = -1;
  std::string text;
};

// Runs a shell command that this file spells; the files it names are ours or have harmless names.
Output run(const std::string& command) {
  Output output;
  FILE* pipe = ::popen((command + " 2>/dev/null").c_str(), "r");
  if (pipe == nullptr) return output;
  std::array<char, 4096> chunk{};
  while (const std::size_t count = ::fread(chunk.data(), 1, chunk.size(), pipe))
    output.text.append(chunk.data(), count);
  const int status = ::pclose(pipe);
  output.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return output;
}

bool is_installed(const std::string& program) { return run("command -v " + program).status == 0; }

std::vector<std::string> split(const std::string& text, char at) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == at)
      parts.emplace_back();
    else
      parts.back() += c;
  }
  if (parts.back().empty()) parts.pop_back();
  return parts;
}

class WrittenFile : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::vector recordings{testing::sample_recording(), testing::sample_recording()};
    const auto bytes = encode(recordings);
    ASSERT_TRUE(bytes);
    std::ofstream(file_, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes->data()), static_cast<std::streamsize>(bytes->size()));
  }
  base::testing::TemporaryFolder folder_;
  std::string file_ = folder_.path() / "two.pcapng";
};

TEST_F(WrittenFile, tshark_shows_packets_and_calls_in_order) {
  if (!is_installed("tshark")) GTEST_SKIP() << "tshark is not installed";
  const auto shown = run("tshark -n -r " + file_ + " -T fields -e systemd_journal.message -e tcp.flags");
  EXPECT_EQ(shown.status, 0);
  const auto lines = split(shown.text, '\n');
  const std::size_t half = 1 + testing::sample_recording().events.size();
  ASSERT_EQ(lines.size(), 2 * half);
  for (const std::size_t section : {std::size_t{0}, half}) {
    EXPECT_THAT(lines[section], StartsWith("tcpwhy recording; close/server-closes; host box; kernel Linux 6.18.44"));
    EXPECT_EQ(lines[section + 2], R"(client: send(5, "hello\n", 6, 0 <unfinished ...>)"
                                  "\t");
    EXPECT_THAT(lines[section + 3], HasSubstr("0x0011"));
    EXPECT_EQ(lines[section + 5], "client: --- SIGPIPE ---\t");
    EXPECT_EQ(lines[section + 6], R"(client: send(5, "hello\n", 6, 0) = -1 EPIPE (Broken pipe))"
                                  "\t");
    EXPECT_EQ(lines[section + 16], "client: +++ killed by SIGPIPE +++\t");
    EXPECT_THAT(lines[section + 17], HasSubstr("0x0004"));
  }
}

TEST_F(WrittenFile, tshark_filters_by_message) {
  if (!is_installed("tshark")) GTEST_SKIP() << "tshark is not installed";
  const auto shown =
      run("tshark -n -r " + file_ + " -Y 'systemd_journal.message contains \"EPIPE\"' -T fields -e frame.number");
  EXPECT_THAT(split(shown.text, '\n'), ElementsAre("7", "15", "25", "33"));
}

TEST_F(WrittenFile, tshark_reads_nanoseconds) {
  if (!is_installed("tshark")) GTEST_SKIP() << "tshark is not installed";
  const auto shown = run("tshark -n -r " + file_ + " -Y tcp -T fields -e frame.time_epoch");
  EXPECT_EQ(split(shown.text, '\n').front(), "1700000000.000003126");
}

TEST_F(WrittenFile, tcpdump_prints_the_packets_of_every_section) {
  if (!is_installed("tcpdump")) GTEST_SKIP() << "tcpdump is not installed";
  const auto shown = run("tcpdump -n -t -r " + file_);
  EXPECT_EQ(shown.status, 0);
  EXPECT_THAT(split(shown.text, '\n'), ElementsAre(StartsWith("IP 127.0.0.1.41000 > 127.0.0.1.9999: Flags [F.]"),
                                                   StartsWith("IP 127.0.0.1.41000 > 127.0.0.1.9999: Flags [R]"),
                                                   StartsWith("IP 127.0.0.1.41000 > 127.0.0.1.9999: Flags [F.]"),
                                                   StartsWith("IP 127.0.0.1.41000 > 127.0.0.1.9999: Flags [R]")));
}

TEST_F(WrittenFile, capinfos_accepts_it) {
  if (!is_installed("capinfos")) GTEST_SKIP() << "capinfos is not installed";
  const auto shown = run("capinfos " + file_);
  EXPECT_EQ(shown.status, 0);
  EXPECT_THAT(shown.text, HasSubstr("Capture application: tcpwhy 0.1.0"));
  EXPECT_THAT(shown.text, HasSubstr("Number of packets:   4"));
  EXPECT_THAT(shown.text, HasSubstr("nanoseconds (9)"));
}

// The captures of others

// Seconds with fraction to nanoseconds; capinfos prints as many digits as the file has.
std::int64_t ns_from(const std::string& seconds) {
  const std::size_t point = std::min(seconds.find('.'), seconds.size());
  std::string fraction = seconds.substr(std::min(point + 1, seconds.size()));
  fraction.resize(9, '0');
  return std::stoll(seconds.substr(0, point)) * 1'000'000'000 + std::stoll(fraction);
}

TEST(PublicCaptures, agree_with_capinfos_in_number_length_and_times) {
  if (public_capture_files().empty()) GTEST_SKIP() << no_public_captures();
  if (!is_installed("capinfos")) GTEST_SKIP() << "capinfos is not installed";
  int compared = 0;
  for (const fs::path& path : public_capture_files()) {
    const std::string file = path.string();
    // -T -m -Q would quote; these columns hold no comma: name, packets, data size, first and last time
    const auto columns = split(split(run("capinfos -T -M -S -r -m -c -d -a -e '" + file + "'").text, '\n').at(0), ',');
    ASSERT_EQ(columns.size(), 5U) << file;
    const auto capture = read_all(CaptureReader::open(file));
    EXPECT_FALSE(capture.stopped_by) << capture.stopped_by->message.en;
    EXPECT_EQ(std::to_string(capture.packets.size()), columns[1]) << file;
    std::uint64_t bytes = 0;
    std::int64_t first = INT64_MAX, last = INT64_MIN;
    for (const auto& packet : capture.packets) {
      bytes += packet.original_length;
      first = std::min(first, packet.ns);
      last = std::max(last, packet.ns);
    }
    EXPECT_EQ(std::to_string(bytes), columns[2]) << file;
    EXPECT_EQ(first, ns_from(columns[3])) << file;
    EXPECT_EQ(last, ns_from(columns[4])) << file;
    ++compared;
  }
  EXPECT_GT(compared, 50);
}

TEST(PublicCaptures, survive_being_written_as_recordings) {
  if (public_capture_files().empty()) GTEST_SKIP() << no_public_captures();
  for (const fs::path& path : public_capture_files()) {
    const std::string file = path.string();
    const auto outcome = read_recordings(file);
    if (!outcome) continue;
    const auto bytes = encode(outcome->recordings);
    ASSERT_TRUE(bytes) << file;
    const auto again = decode(*bytes, file);
    ASSERT_TRUE(again) << file;
    EXPECT_EQ(again->recordings, outcome->recordings) << file;
  }
}

TEST(PublicCaptures, every_prefix_of_the_small_ones_delivers_what_came_before) {
  if (public_capture_files().empty()) GTEST_SKIP() << no_public_captures();
  constexpr std::uintmax_t small = 2500;
  int tried = 0;
  for (const fs::path& path : public_capture_files()) {
    const std::string file = path.string();
    if (fs::file_size(file) > small) continue;
    std::vector<std::uint8_t> bytes(fs::file_size(file));
    FILE* in = std::fopen(file.c_str(), "rb");
    ASSERT_NE(in, nullptr);
    ASSERT_EQ(std::fread(bytes.data(), 1, bytes.size(), in), bytes.size());
    std::fclose(in);
    const auto whole = read_all(bytes);
    for (std::size_t length = 0; length < bytes.size(); ++length) {
      const auto part = read_all(std::span(bytes).first(length));
      ASSERT_LE(part.packets.size(), whole.packets.size());
      ASSERT_TRUE(std::equal(part.packets.begin(), part.packets.end(), whole.packets.begin()))
          << file << " at " << length;
    }
    ++tried;
  }
  EXPECT_GT(tried, 10);
}

}  // namespace
}  // namespace tcpwhy::capfile
