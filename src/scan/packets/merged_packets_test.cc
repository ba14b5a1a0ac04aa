// Several captures as one, pipes, progress.
#include "scan/packets/merged_packets.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "capfile/capture_builder.h"
#include "capfile/input/compression.h"

namespace tcpwhy::scan {
namespace {

using capfile::testing::Bytes;
using capfile::testing::CaptureBuilder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A folder of its own, gone at the end.
class MergedPacketsTest : public ::testing::Test {
 protected:
  MergedPacketsTest() : folder_(::testing::TempDir() + "/merged-" + std::to_string(getpid())) {
    std::filesystem::create_directories(folder_);
  }
  ~MergedPacketsTest() override { std::filesystem::remove_all(folder_); }

  std::string write(const std::string& name, const Bytes& bytes) {
    std::ofstream(folder_ / name, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    return folder_ / name;
  }
  std::filesystem::path folder_;
};

struct Stamped {
  std::uint32_t second;
  std::string name;
};

CaptureBuilder pcap(const std::vector<Stamped>& packets) {
  CaptureBuilder file;
  file.pcap_header();
  for (const auto& [second, name] : packets) file.pcap_packet(second, 0, name, static_cast<std::uint32_t>(name.size()));
  return file;
}

struct Read {
  std::vector<std::string> names;
  std::vector<std::uint32_t> files;
  std::string error;
};

Read read(const std::vector<std::string>& paths) {
  Read all;
  auto merged = MergedPackets::open(paths);
  if (!merged) return {.error = merged.error().message.en};
  while (true) {
    const auto packet = merged->next();
    if (!packet) all.error = packet.error().message.en;
    if (!packet || packet->record == nullptr) break;
    const auto bytes = packet->record->bytes;
    all.names.emplace_back(bytes.begin(), bytes.end());
    all.files.push_back(packet->file);
  }
  return all;
}

TEST_F(MergedPacketsTest, rotated_files_in_any_order) {
  const auto first = write("z", pcap({{1, "a"}, {2, "b"}}).bytes());
  const auto second = write("y", capfile::gzip_compressed(pcap({{3, "c"}, {4, "d"}}).bytes()));
  const auto third = write("x", capfile::zstd_compressed(pcap({{5, "e"}}).bytes()));
  EXPECT_THAT(read({first, second, third}).names, ElementsAre("a", "b", "c", "d", "e"));
  const auto other = read({third, first, second});
  EXPECT_THAT(other.names, ElementsAre("a", "b", "c", "d", "e"));
  EXPECT_THAT(other.files, ElementsAre(1, 1, 2, 2, 0));
  EXPECT_EQ(other.error, "");
}

TEST_F(MergedPacketsTest, overlapping_files_by_time_and_then_by_place) {
  const auto one = write("1", pcap({{1, "a"}, {3, "c"}, {3, "d"}, {9, "z"}}).bytes());
  const auto two = write("2", pcap({{2, "b"}, {3, "e"}, {4, "f"}}).bytes());
  EXPECT_THAT(read({one, two}).names, ElementsAre("a", "b", "c", "d", "e", "f", "z"));
  EXPECT_THAT(read({two, one}).names, ElementsAre("a", "b", "e", "c", "d", "f", "z"));
}

TEST_F(MergedPacketsTest, a_files_own_order_stays) {
  const auto one = write("1", pcap({{5, "late"}, {1, "early"}, {6, "x"}}).bytes());
  const auto two = write("2", pcap({{7, "y"}}).bytes());
  EXPECT_THAT(read({one}).names, ElementsAre("late", "early", "x"));
  EXPECT_THAT(read({one, two}).names, ElementsAre("late", "early", "x", "y"));
}

TEST_F(MergedPacketsTest, empty_captures_count_for_nothing) {
  const auto none = write("0", pcap({}).bytes());
  const auto one = write("1", pcap({{1, "a"}}).bytes());
  EXPECT_THAT(read({none, one, none}).names, ElementsAre("a"));
  EXPECT_THAT(read({none, none}).names, ElementsAre());
  EXPECT_EQ(read({none, none}).error, "");
}

TEST_F(MergedPacketsTest, a_damaged_file_does_not_stop_the_others) {
  auto cut = pcap({{1, "a"}, {2, "b"}}).bytes();
  cut.pop_back();
  const auto damaged = write("damaged", cut);
  const auto whole = write("whole", pcap({{3, "c"}}).bytes());
  const auto all = read({damaged, whole});
  EXPECT_THAT(all.names, ElementsAre("a", "c"));
  EXPECT_THAT(all.error, HasSubstr("damaged: cut in the middle of a packet"));
}

TEST_F(MergedPacketsTest, a_file_that_is_none_is_an_error_at_once) {
  const auto one = write("1", pcap({{1, "a"}}).bytes());
  EXPECT_THAT(read({one, "/nonexistent/x"}).error, HasSubstr("/nonexistent/x: No such file"));
}

TEST_F(MergedPacketsTest, a_pipe_gives_what_is_there_without_waiting_for_more) {
  const auto path = folder_ / "fifo";
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  const int writer = open(path.c_str(), O_RDWR);  // does not wait for a reader
  ASSERT_GE(writer, 0);
  const auto put = [writer](const Bytes& bytes) {
    ASSERT_EQ(::write(writer, bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  };
  put(pcap({{1, "first"}}).bytes());
  auto merged = MergedPackets::open({path});
  ASSERT_TRUE(merged);
  EXPECT_FALSE(merged->progress().size);
  EXPECT_EQ(merged->next()->record->bytes.size(), 5U) << "and no wait for a second one";
  put(CaptureBuilder().pcap_packet(2, 0, "second", 6).bytes());
  EXPECT_EQ(merged->next()->record->bytes.size(), 6U);
  close(writer);
  EXPECT_EQ(merged->next()->record, nullptr);
}

TEST_F(MergedPacketsTest, progress_goes_from_nothing_to_all) {
  std::vector<std::string> paths;
  std::uint64_t size = 0;
  for (std::uint32_t i = 0; i < 3; ++i) {
    const auto bytes = pcap({{i + 1, "a"}, {i + 1, "b"}}).bytes();
    paths.push_back(write(std::to_string(i), i == 1 ? capfile::gzip_compressed(bytes) : bytes));
    size += std::filesystem::file_size(paths.back());
  }
  auto merged = MergedPackets::open(paths);
  ASSERT_TRUE(merged);
  EXPECT_EQ(merged->progress().size, size);
  EXPECT_EQ(merged->progress().read, 0U);
  std::uint64_t before = 0;
  while (merged->next()->record != nullptr) {
    EXPECT_GE(merged->progress().read, before);
    before = merged->progress().read;
  }
  EXPECT_EQ(merged->progress().read, size);
}

TEST_F(MergedPacketsTest, any_split_of_a_capture_is_the_capture_again) {
  EXPECT_TRUE(rc::check("split by time or dealt out by turns", [this] {
    const auto files = *rc::gen::inRange<std::size_t>(1, 6);
    std::vector<std::vector<Stamped>> dealt(files);
    std::vector<std::string> expected;
    for (std::uint32_t i = 0; i < 40; ++i) {
      expected.push_back(std::to_string(i));
      dealt[*rc::gen::inRange<std::size_t>(0, files)].push_back({i, expected.back()});
    }
    std::vector<std::string> paths;
    for (std::size_t i = 0; i < files; ++i) paths.push_back(write("part" + std::to_string(i), pcap(dealt[i]).bytes()));
    RC_ASSERT(read(paths).names == expected);
  }));
}

}  // namespace
}  // namespace tcpwhy::scan
