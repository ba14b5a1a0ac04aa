// snoop files (RFC 1761), and the quick way to packets.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "capfile/capture_builder.h"
#include "capfile/input/compression.h"
#include "capfile/input/read_all.h"

namespace tcpwhy::capfile {
namespace {

using testing::CaptureBuilder;
using ::testing::HasSubstr;
using testing::read_all;

CaptureBuilder snoop() { return CaptureBuilder(std::endian::big); }

TEST(Snoop, packets_with_padding_and_times) {
  const auto capture = read_all(snoop()
                                    .snoop_header()
                                    .snoop_packet(1, 2, "hello", 60)
                                    .snoop_packet(0xffffffff, 999'999, "four", 4)
                                    .snoop_packet(3, 0, "", 9)
                                    .bytes());
  EXPECT_FALSE(capture.stopped_by);
  ASSERT_EQ(capture.sections.size(), 1U);
  EXPECT_EQ(capture.sections[0].format, Format::snoop);
  ASSERT_EQ(capture.interfaces.size(), 1U);
  EXPECT_EQ(capture.interfaces[0].interface.link_type, wire::LinkType::ethernet);
  EXPECT_EQ(capture.interfaces[0].interface.timestamp_digits, 6);
  ASSERT_EQ(capture.packets.size(), 3U);
  EXPECT_EQ(capture.packets[0].ns, 1'000'002'000);
  EXPECT_EQ(capture.packets[0].bytes, "hello");
  EXPECT_EQ(capture.packets[0].original_length, 60U);
  EXPECT_EQ(capture.packets[1].ns, 4'294'967'295'999'999'000);
  EXPECT_EQ(capture.packets[2].bytes, "");
}

TEST(Snoop, link_types) {
  const auto link = [](std::uint32_t data_link) {
    return static_cast<int>(read_all(snoop().snoop_header(data_link).bytes()).interfaces.at(0).interface.link_type);
  };
  EXPECT_EQ(link(0), 1);
  EXPECT_EQ(link(2), 6);
  EXPECT_EQ(link(4), 1);
  EXPECT_EQ(link(8), 10);
  EXPECT_THAT(read_all(snoop().snoop_header(5).bytes()).stopped_by->message.en, HasSubstr("snoop data link type 5"));
  EXPECT_THAT(read_all(snoop().snoop_header(4, 3).bytes()).stopped_by->message.en, HasSubstr("snoop version 3"));
}

TEST(Snoop, compressed) {
  const auto bytes = snoop().snoop_header().snoop_packet(1, 2, "hello", 60).bytes();
  EXPECT_EQ(read_all(gzip_compressed(bytes)).packets.size(), 1U);
}

TEST(Snoop, every_cut_gives_the_packets_before_it) {
  const auto bytes = snoop().snoop_header().snoop_packet(1, 2, "hello", 60).snoop_packet(2, 0, "world", 5).bytes();
  for (std::size_t size = 8; size < bytes.size(); ++size) {
    const auto capture = read_all(std::span(bytes).first(size));
    EXPECT_EQ(capture.packets.size(), size >= 48 ? 1U : 0U) << size;
    EXPECT_EQ(capture.stopped_by.has_value(), size != 16 && size != 48) << size;
  }
}

TEST(Snoop, lengths_that_lie) {
  const auto packet = [](std::uint32_t captured, std::uint32_t record) {
    const auto capture =
        read_all(snoop().snoop_header().u32(60).u32(captured).u32(record).u32(0).u32(1).u32(0).text("hello").bytes());
    return capture.stopped_by ? capture.stopped_by->message.en : "";
  };
  EXPECT_THAT(packet(5, 23), HasSubstr("a packet of 5 bytes in a record of 23 at byte 16"));
  EXPECT_THAT(packet(6, 29), HasSubstr("a packet of 6 bytes in a record of 29"));
  EXPECT_THAT(packet(5, 0xffffffff), HasSubstr("claims 4294967295 bytes"));
  EXPECT_THAT(packet(5, 100), HasSubstr("cut in the middle of a packet (29 of 100 bytes)"));
  EXPECT_EQ(packet(5, 29), "");
}

// --- next_packet() ---------------------------------------------------------------------------------------------

TEST(NextPacket, passes_over_what_is_no_packet_and_gives_the_same_packets) {
  CaptureBuilder file;
  file.section().interface().packet(0, 1, "one").journal("MESSAGE=x\n");
  file.begin_packet(0, 2, "two", 3).option(1, "a comment").end().section().interface(101).packet(0, 3, "three");
  auto reader = CaptureReader::from_memory(file.bytes(), "test");
  ASSERT_TRUE(reader);
  std::vector<testing::ReadPacket> packets;
  while (true) {
    const auto packet = reader->next_packet();
    ASSERT_TRUE(packet);
    if (*packet == nullptr) break;
    packets.push_back({(*packet)->interface,
                       base::to_ns((*packet)->at),
                       (*packet)->original_length,
                       std::string((*packet)->bytes.begin(), (*packet)->bytes.end()),
                       {(*packet)->comments.begin(), (*packet)->comments.end()}});
  }
  EXPECT_EQ(packets, read_all(file.bytes()).packets);
  EXPECT_EQ(reader->interfaces()[0].interface.link_type, wire::LinkType::raw);
}

TEST(NextPacket, repeats_the_error) {
  CaptureBuilder file;
  file.pcap_header().pcap_packet(1, 0, "whole", 5).u32(2).u32(0).u32(100).u32(100).text("cut");
  auto reader = CaptureReader::from_memory(file.bytes(), "test");
  ASSERT_TRUE(reader && *reader->next_packet() != nullptr);
  EXPECT_FALSE(reader->next_packet());
  EXPECT_FALSE(reader->next_packet());
}

// --- Progress --------------------------------------------------------------------------------------------------

TEST(Progress, is_counted_in_bytes_of_the_input_compressed_or_not) {
  CaptureBuilder file;
  file.pcap_header();
  for (int i = 0; i < 1000; ++i) file.pcap_packet(1, 0, "the same again", 14);
  for (const auto& bytes : {file.bytes(), gzip_compressed(file.bytes())}) {
    const std::string path = ::testing::TempDir() + "/progress-" + std::to_string(getpid());
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<long>(bytes.size()));
    auto reader = CaptureReader::open(path);
    ASSERT_TRUE(reader);
    EXPECT_EQ(reader->input_size(), bytes.size());
    while (reader->next_packet().value() != nullptr) EXPECT_LE(reader->input_position(), bytes.size());
    EXPECT_EQ(reader->input_position(), bytes.size());
    EXPECT_EQ(unlink(path.c_str()), 0);
  }
}

}  // namespace
}  // namespace tcpwhy::capfile
