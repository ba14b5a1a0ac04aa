#include "capfile/formats/reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <random>
#include <string>

#include "capfile/capture_builder.h"
#include "capfile/input/packed_testing.h"
#include "capfile/input/read_all.h"

namespace tcpwhy::capfile {
namespace {

using testing::Bytes;
using testing::CaptureBuilder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::read_all;
using testing::ReadCapture;
using ::testing::StartsWith;

constexpr auto both_orders = {std::endian::little, std::endian::big};

std::string error_of(const ReadCapture& capture) { return capture.stopped_by ? capture.stopped_by->message.en : ""; }

std::string one_byte(std::uint8_t value) { return std::string(1, static_cast<char>(value)); }

// classic pcap

TEST(Pcap, microseconds_and_nanoseconds_in_either_byte_order) {
  for (const auto order : both_orders)
    for (const auto& [magic, ns, digits] :
         {std::tuple(0xa1b2c3d4U, 5'000'007'000LL, 6), std::tuple(0xa1b23c4dU, 5'000'000'007LL, 9)}) {
      const auto capture = read_all(CaptureBuilder(order).pcap_header(magic).pcap_packet(5, 7, "abc", 90).bytes());
      EXPECT_EQ(error_of(capture), "");
      ASSERT_EQ(capture.packets.size(), 1U);
      EXPECT_EQ(capture.packets[0].ns, ns);
      EXPECT_EQ(capture.packets[0].bytes, "abc");
      EXPECT_EQ(capture.packets[0].original_length, 90U);
      EXPECT_EQ(capture.interfaces[0].interface.timestamp_digits, digits);
      EXPECT_EQ(capture.interfaces[0].interface.snap_length, 65535U);
    }
}

TEST(Pcap, modified_format_has_longer_packet_headers) {
  for (const auto order : both_orders) {
    CaptureBuilder builder(order);
    builder.pcap_header(0xa1b2cd34).u32(1).u32(2).u32(3).u32(4).u32(7).u16(0x800).u8(0).u8(0).text("xyz");
    builder.u32(9).u32(0).u32(1).u32(1).u32(7).u16(0x800).u8(0).u8(0).text("q");
    const auto capture = read_all(builder.bytes());
    ASSERT_EQ(capture.packets.size(), 2U);
    EXPECT_EQ(capture.packets[0].bytes, "xyz");
    EXPECT_EQ(capture.packets[1].bytes, "q");
  }
}

TEST(Pcap, frame_check_sequence_bits_are_no_part_of_the_link_type) {
  const auto capture = read_all(CaptureBuilder().pcap_header(0xa1b2c3d4, 0x24000071).bytes());
  ASSERT_EQ(capture.interfaces.size(), 1U);
  EXPECT_EQ(capture.interfaces[0].interface.link_type, wire::LinkType::linux_sll);
  EXPECT_EQ(capture.interfaces[0].fcs_length, 4);
}

TEST(Pcap, old_versions_swap_the_lengths) {
  const auto before_2_3 =
      CaptureBuilder().pcap_header(0xa1b2c3d4, 1, 2).u32(0).u32(0).u32(60).u32(2).text("ab").bytes();
  const auto either = CaptureBuilder().pcap_header(0xa1b2c3d4, 1, 3).u32(0).u32(0).u32(60).u32(2).text("ab").bytes();
  for (const auto& bytes : {before_2_3, either}) {
    const auto capture = read_all(bytes);
    ASSERT_EQ(capture.packets.size(), 1U);
    EXPECT_EQ(capture.packets[0].bytes, "ab");
    EXPECT_EQ(capture.packets[0].original_length, 60U);
  }
}

TEST(Pcap, a_packet_that_claims_too_much_stops_the_reading_after_those_before_it) {
  const auto capture = read_all(CaptureBuilder()
                                    .pcap_header()
                                    .pcap_packet(1, 0, "abcd", 4)
                                    .u32(1)
                                    .u32(0)
                                    .u32(max_block_bytes + 1)
                                    .u32(9)
                                    .bytes());
  EXPECT_EQ(capture.packets.size(), 1U);
  EXPECT_EQ(error_of(capture), "test: a packet that claims 16777217 bytes at byte 44");
}

TEST(Pcap, cut_in_a_packet) {
  auto bytes = CaptureBuilder().pcap_header().pcap_packet(1, 0, "abcd", 4).pcap_packet(2, 0, "efgh", 4).bytes();
  bytes.resize(bytes.size() - 3);
  const auto capture = read_all(bytes);
  EXPECT_EQ(capture.packets.size(), 1U);
  EXPECT_EQ(error_of(capture), "test: cut in the middle of a packet (17 of 20 bytes) at byte 44");
  EXPECT_EQ(capture.stopped_by->kind, base::ErrorKind::unreadable);
}

TEST(Pcap, unknown_version) {
  auto bytes = CaptureBuilder().u32(0xa1b2c3d4).u16(9).u16(1).u64(0).u64(0).bytes();
  EXPECT_EQ(error_of(read_all(bytes)), "test: pcap version 9.1, which is not known, at byte 0");
}

// pcapng

TEST(Pcapng, either_byte_order) {
  for (const auto order : both_orders) {
    const auto capture = read_all(CaptureBuilder(order).section().interface(113).packet(0, 3'000'001, "hello").bytes());
    EXPECT_EQ(error_of(capture), "");
    ASSERT_EQ(capture.packets.size(), 1U);
    EXPECT_EQ(capture.packets[0].bytes, "hello");
    EXPECT_EQ(capture.packets[0].ns, 3'000'001'000);
    EXPECT_EQ(capture.interfaces[0].interface.link_type, wire::LinkType::linux_sll);
  }
}

TEST(Pcapng, sections_of_different_byte_orders_number_their_interfaces_anew) {
  CaptureBuilder big(std::endian::big);
  big.section().interface(228).packet(0, 1, "second");
  CaptureBuilder little(std::endian::little);
  little.section().interface(1).interface(101).packet(1, 1, "first");
  Bytes bytes = little.bytes();
  bytes.insert(bytes.end(), big.bytes().begin(), big.bytes().end());
  const auto capture = read_all(bytes);
  EXPECT_EQ(error_of(capture), "");
  EXPECT_EQ(capture.sections.size(), 2U);
  ASSERT_EQ(capture.packets.size(), 2U);
  ASSERT_EQ(capture.interfaces.size(), 1U);
  EXPECT_EQ(capture.interfaces[0].interface.link_type, wire::LinkType::ipv4);
}

struct Resolution {
  std::uint8_t code;
  std::int64_t offset;
  std::uint64_t ticks;
  std::int64_t ns;
  int digits;
};

TEST(Pcapng, time_stamp_resolutions_and_offsets) {
  const Resolution cases[] = {
      {6, 0, 1'500'000, 1'500'000'000, 6},
      {9, 0, 1'500'000'001, 1'500'000'001, 9},
      {0, 0, 3, 3'000'000'000, 0},
      {3, 100, 1, 100'001'000'000, 3},
      {12, 0, 1'999'999, 1999, 9},          // picoseconds are cut
      {127, 0, UINT64_MAX, 0, 9},           // finer than anything
      {0x80 | 10, 0, 512, 500'000'000, 4},  // 2^-10 s
      {0x80 | 20, 0, (3ULL << 20) | 1, 3'000'000'953, 7},
      {0x80 | 127, 0, UINT64_MAX, 0, 9},
      {0, 0, UINT64_MAX, base::to_ns(latest_time), 0},  // beyond the year 2116
      {6, INT64_MIN, 5, 0, 6},                          // before 1970
      {6, INT64_MAX, 5, base::to_ns(latest_time), 6},
  };
  for (const auto order : both_orders)
    for (const Resolution& c : cases) {
      CaptureBuilder builder(order);
      builder.section().begin_interface().option(9, one_byte(c.code));
      builder.u16(14).u16(8).u64(static_cast<std::uint64_t>(c.offset)).option(0, "").end().packet(0, c.ticks, "x");
      const auto capture = read_all(builder.bytes());
      ASSERT_EQ(capture.packets.size(), 1U) << error_of(capture);
      EXPECT_EQ(capture.packets[0].ns, c.ns) << int{c.code};
      EXPECT_EQ(capture.interfaces[0].interface.timestamp_digits, c.digits) << int{c.code};
    }
}

TEST(Pcapng, options_of_sections_interfaces_and_packets) {
  CaptureBuilder builder;
  builder.begin_section()
      .option(1, "first")
      .option(3, "Linux 6.18")
      .option(4, "dumpcap")
      .option(1, "second")
      .option(2, "x86")
      .end();
  builder.begin_interface(1, 96)
      .option(2, "eth0")
      .option(3, "the uplink")
      .option(1, "noisy")
      .option(13, one_byte(4))
      .end();
  builder.begin_packet(0, 0, "abcde", 5).option(1, "odd").option(2, "abcd").option(1, "very odd").option(0, "").end();
  const auto capture = read_all(builder.bytes());
  EXPECT_EQ(error_of(capture), "");
  ASSERT_EQ(capture.sections.size(), 1U);
  EXPECT_EQ(capture.sections[0].os, "Linux 6.18");
  EXPECT_EQ(capture.sections[0].application, "dumpcap");
  EXPECT_EQ(capture.sections[0].hardware, "x86");
  EXPECT_THAT(capture.sections[0].comments, ElementsAre("first", "second"));
  ASSERT_EQ(capture.interfaces.size(), 1U);
  EXPECT_EQ(capture.interfaces[0].interface.name, "eth0");
  EXPECT_EQ(capture.interfaces[0].interface.description, "the uplink");
  EXPECT_EQ(capture.interfaces[0].interface.snap_length, 96U);
  EXPECT_EQ(capture.interfaces[0].fcs_length, 4);
  EXPECT_THAT(capture.interfaces[0].comments, ElementsAre("noisy"));
  ASSERT_EQ(capture.packets.size(), 1U);
  EXPECT_THAT(capture.packets[0].comments, ElementsAre("odd", "very odd"));
}

TEST(Pcapng, options_that_run_over_the_block_are_left_out) {
  CaptureBuilder builder;
  builder.section().interface().begin_packet(0, 0, "ab", 2).option(1, "kept").u16(1).u16(999).text("lost").end();
  builder.packet(0, 0, "next");
  const auto capture = read_all(builder.bytes());
  EXPECT_EQ(error_of(capture), "");
  ASSERT_EQ(capture.packets.size(), 2U);
  EXPECT_THAT(capture.packets[0].comments, ElementsAre("kept"));
  EXPECT_EQ(capture.packets[1].bytes, "next");
}

TEST(Pcapng, simple_packets_are_cut_by_the_first_interface) {
  CaptureBuilder builder;
  builder.section().begin_interface(1, 4).end().packet(0, 9, "time");
  builder.begin(3).u32(60).text("abcd").end();
  const auto capture = read_all(builder.bytes());
  ASSERT_EQ(capture.packets.size(), 2U) << error_of(capture);
  EXPECT_EQ(capture.packets[1].bytes, "abcd");
  EXPECT_EQ(capture.packets[1].original_length, 60U);
  EXPECT_EQ(capture.packets[1].ns, 9000);
}

TEST(Pcapng, obsolete_packets) {
  CaptureBuilder builder;
  builder.section().interface().interface(101);
  builder.begin(2).u16(1).u16(77).u32(0).u32(8).u32(3).u32(5).text("old").pad().option(1, "was a packet").end();
  const auto capture = read_all(builder.bytes());
  ASSERT_EQ(capture.packets.size(), 1U) << error_of(capture);
  EXPECT_EQ(capture.packets[0].interface, 1U);
  EXPECT_EQ(capture.packets[0].ns, 8000);
  EXPECT_THAT(capture.packets[0].comments, ElementsAre("was a packet"));
}

TEST(Pcapng, other_blocks_are_skipped_whatever_their_length) {
  CaptureBuilder builder;
  builder.section().interface();
  builder.begin(4).text("names").end().begin(5).text("statistics").end().begin(10).text("secrets").end();
  builder.begin(0x80000001).text(std::string(max_block_bytes + 100, 'x')).end();
  builder.packet(0, 1, "after");
  const auto capture = read_all(builder.bytes());
  EXPECT_EQ(error_of(capture), "");
  ASSERT_EQ(capture.packets.size(), 1U);
  EXPECT_EQ(capture.packets[0].bytes, "after");
}

TEST(Pcapng, journal_entries_lose_their_padding_only) {
  CaptureBuilder builder;
  builder.section().journal("A=1\n").journal("A=12\n").journal("A\n\3\0\0\0\0\0\0\0x\0\n");
  EXPECT_THAT(read_all(builder.bytes()).journal, ElementsAre("A=1\n", "A=12\n", "A\n\3"));
}

TEST(Pcapng, damage_is_named_with_its_place) {
  const auto good = CaptureBuilder().section().interface().packet(0, 1, "good").bytes();
  const auto at = " at byte " + std::to_string(good.size());
  const auto after_good = [&good](const CaptureBuilder& damage) {
    Bytes bytes = good;
    bytes.insert(bytes.end(), damage.bytes().begin(), damage.bytes().end());
    const auto capture = read_all(bytes);
    EXPECT_EQ(capture.packets.size(), 1U);
    return error_of(capture);
  };
  EXPECT_EQ(after_good(CaptureBuilder().u32(6).u32(7).u64(0)),
            "test: a block of type 0x6 with the impossible length 7" + at);
  EXPECT_EQ(after_good(CaptureBuilder().u32(6).u32(33).u64(0)),
            "test: a block of type 0x6 with the impossible length 33" + at);
  EXPECT_EQ(after_good(CaptureBuilder().u32(6).u32(0xfffffff0)), "test: a packet that claims 4294967280 bytes" + at);
  EXPECT_EQ(after_good(CaptureBuilder().u32(77).u32(4000).u32(0)),
            "test: cut in the middle of a block of type 0x4d (12 of 4000 bytes)" + at);
  EXPECT_EQ(after_good(CaptureBuilder().u32(9).u32(4000).u32(0)),
            "test: cut in the middle of a journal entry (12 of 4000 bytes)" + at);
  EXPECT_EQ(after_good(CaptureBuilder().u32(9).u32(16).u32(0).u32(20)),
            "test: a journal entry whose two lengths contradict (16 and 20)" + at);
  EXPECT_EQ(after_good(CaptureBuilder().u32(77).u32(16).u32(0).u32(20)),
            "test: a block of type 0x4d whose two lengths contradict (16 and 20)" + at);
  EXPECT_EQ(after_good(CaptureBuilder().packet(1, 0, "x")),
            "test: a packet of interface 1, where the section describes 1," + at);
  EXPECT_EQ(after_good(CaptureBuilder().begin(6).u32(0).u64(0).u32(5).u32(5).text("abcd").end()),
            "test: a packet that claims 5 bytes in a block that has 4" + at);
  EXPECT_EQ(after_good(CaptureBuilder().begin(6).u32(0).end()), "test: a packet that is too short" + at);
  EXPECT_EQ(after_good(CaptureBuilder().begin(3).u32(5).text("abcd").end()),
            "test: a simple packet of 5 bytes in a block that has 4" + at);
  EXPECT_EQ(after_good(CaptureBuilder().begin(0x0A0D0D0A).u32(0x12345678).u64(0).u64(0).end()),
            "test: a section header with the byte-order magic 0x12345678" + at);
  EXPECT_EQ(after_good(CaptureBuilder().begin(0x0A0D0D0A).u32(0x1A2B3C4D).u16(7).u16(0).u64(0).end()),
            "test: a section of pcapng version 7, which is not known," + at);
}

TEST(Pcapng, an_error_repeats) {
  const auto bytes = CaptureBuilder().section().u32(6).bytes();
  auto reader = CaptureReader::from_memory(bytes, "test");
  ASSERT_TRUE(reader);
  EXPECT_TRUE(reader->next());
  EXPECT_FALSE(reader->next());
  EXPECT_FALSE(reader->next());
}

// Compression; what unpacks is tested in capfile/input/unpacked_source_test.cc

Bytes small_pcap() {
  return CaptureBuilder().pcap_header().pcap_packet(1, 2, "abc", 3).pcap_packet(3, 4, "defg", 4).bytes();
}
Bytes small_pcapng() { return CaptureBuilder().section().interface().packet(0, 1, "abc").packet(0, 2, "defg").bytes(); }

TEST(Compressed, every_kind_and_format_reads_like_the_plain_file) {
  for (const Bytes& file : {small_pcap(), small_pcapng()}) {
    const auto plain = read_all(file);
    EXPECT_EQ(plain.packets.size(), 2U);
    for (const auto& packer : testing::packers) {
      const auto capture = read_all(packer.pack(file));
      EXPECT_EQ(capture.packets, plain.packets) << packer;
      EXPECT_EQ(error_of(capture), "") << packer;
    }
  }
}

TEST(Compressed, concatenated_members_and_frames) {
  const auto whole = small_pcap();
  const std::span head = std::span(whole).first(30), tail = std::span(whole).subspan(30);
  for (const auto& packer : testing::packers) {
    Bytes bytes = packer.pack(head);
    const Bytes empty = packer.pack({}), rest = packer.pack(tail);
    bytes.insert(bytes.end(), empty.begin(), empty.end());
    bytes.insert(bytes.end(), rest.begin(), rest.end());
    const auto capture = read_all(bytes);
    EXPECT_EQ(error_of(capture), "");
    EXPECT_EQ(capture.packets.size(), 2U);
  }
}

TEST(Compressed, zstd_skippable_frame_first) {
  Bytes bytes = {0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 'x', 'y', 'z'};
  const Bytes rest = zstd_compressed(small_pcap());
  bytes.insert(bytes.end(), rest.begin(), rest.end());
  EXPECT_EQ(read_all(bytes).packets.size(), 2U);
}

TEST(Compressed, what_follows_the_last_gzip_member_is_ignored) {
  Bytes bytes = gzip_compressed(small_pcap());
  bytes.insert(bytes.end(), {0, 0, 0, 0});
  EXPECT_EQ(error_of(read_all(bytes)), "");
  bytes = gzip_compressed(small_pcap());
  bytes.insert(bytes.end(), {0x1f, 0, 0, 0});
  const auto capture = read_all(bytes);
  EXPECT_EQ(error_of(capture), "");
  EXPECT_EQ(capture.packets.size(), 2U);
}

TEST(Compressed, cut_or_corrupt_data_deliver_what_came_before) {
  CaptureBuilder builder;
  builder.pcap_header();
  std::mt19937 random(1);
  for (int i = 0; i < 3000; ++i) {
    std::string packet(100, ' ');
    for (char& c : packet) c = static_cast<char>(random());
    builder.pcap_packet(1, 0, packet, 100);
  }
  for (const auto& packer : testing::packers) {
    const Bytes bytes = packer.pack(builder.bytes());
    const auto cut = read_all(std::span(bytes).first(bytes.size() * 9 / 10));
    if (packer.name != "bzip2") {  // all of it is one block
      EXPECT_GT(cut.packets.size(), 1500U) << packer;
      EXPECT_THAT(error_of(cut), HasSubstr("data end early: stopped in ")) << packer;
    }
    EXPECT_LT(cut.packets.size(), 3000U) << packer;
    EXPECT_THAT(error_of(cut), HasSubstr("data end early")) << packer;
    Bytes corrupt = bytes;
    corrupt.resize(bytes.size() - 4);  // inside the last member's check sum or length
    corrupt.insert(corrupt.end(), {9, 9, 9, 9});
    const auto damaged = read_all(corrupt);
    EXPECT_THAT(error_of(damaged), HasSubstr("data are corrupt")) << packer;
    EXPECT_EQ(damaged.packets.size(), 3000U) << packer;
  }
}

// What is no capture

TEST(NotACapture, is_called_what_it_looks_like) {
  const auto looks = [](std::string_view text) {
    return error_of(read_all(std::span(reinterpret_cast<const std::uint8_t*>(text.data()), text.size())));
  };
  using namespace std::string_view_literals;
  EXPECT_EQ(looks(""), "test: the file is empty");
  EXPECT_THAT(looks("snoop\0\0"sv), HasSubstr("looks like the cut beginning of a Solaris snoop capture"));
  EXPECT_EQ(looks("12:00:01 IP 127.0.0.1\n"), "test: not a pcap, pcapng or snoop capture: looks like text");
  EXPECT_EQ(looks("BZh91AY"), "test: the bzip2 data end early");
  EXPECT_THAT(looks("\x02\x21\x4c\x18"), HasSubstr("looks like LZ4 data of the legacy kind"));
  EXPECT_THAT(looks("LZIP\1"), HasSubstr("looks like lzip data"));
  EXPECT_THAT(looks("\x7f"
                    "ELF\2"),
              HasSubstr("looks like an ELF program"));
  EXPECT_THAT(looks("\xff\xfe\xfd"), HasSubstr("looks like data of another kind"));
  const std::string hello = "hello, world\n";
  const std::span plain(reinterpret_cast<const std::uint8_t*>(hello.data()), hello.size());
  for (const auto& packer : testing::packers) {
    const std::string name(packer.name);
    EXPECT_EQ(error_of(read_all(packer.pack(plain))),
              "test: not a pcap, pcapng or snoop capture: " + name + " data whose content looks like text");
    EXPECT_EQ(error_of(read_all(packer.pack({}))), "test: " + name + " data of an empty file");
    EXPECT_EQ(error_of(read_all(gzip_compressed(packer.pack(small_pcap())))),
              "test: not a pcap, pcapng or snoop capture: gzip data whose content looks like " + name +
                  " data inside compressed data");
  }
}

TEST(NotACapture, missing_files_and_directories) {
  const auto missing = read_all(CaptureReader::open("/nonexistent/x.pcap"));
  EXPECT_EQ(error_of(missing), "/nonexistent/x.pcap: No such file or directory");
  EXPECT_EQ(missing.stopped_by->kind, base::ErrorKind::unreadable);
  EXPECT_THAT(error_of(read_all(CaptureReader::open("/tmp"))), StartsWith("/tmp: Is a directory"));
}

TEST(NotACapture, hostile_names_are_escaped) {
  EXPECT_EQ(error_of(read_all(CaptureReader::open("/nonexistent/\x1b[2J"))).find('\x1b'), std::string::npos);
}

// Robustness: every prefix, and random damage

// `clean_cuts`: prefixes that end where a record does, which are complete captures.
void expect_prefixes_deliver_what_came_before(const Bytes& bytes, int clean_cuts) {
  const auto whole = read_all(bytes);
  ASSERT_EQ(error_of(whole), "");
  int without_error = 0;
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    const auto part = read_all(std::span(bytes).first(length));
    if (!part.stopped_by) ++without_error;
    ASSERT_LE(part.packets.size(), whole.packets.size());
    for (std::size_t i = 0; i < part.packets.size(); ++i) ASSERT_EQ(part.packets[i], whole.packets[i]);
  }
  EXPECT_EQ(without_error, clean_cuts);
}

Bytes rich_pcapng(std::endian order) {
  CaptureBuilder builder(order);
  builder.begin_section().option(1, "a comment").option(4, "tests").end();
  builder.begin_interface(1, 4).option(2, "lo").option(9, one_byte(9)).end().interface(113);
  builder.begin_packet(0, 1, "abcdefg", 70).option(1, "why").option(5, "12345678").end();
  builder.journal("__REALTIME_TIMESTAMP=1\nMESSAGE=hi\nTCPWHY_KIND=note\nTCPWHY_TEXT=hi\n");
  builder.begin(2).u16(1).u16(0).u32(0).u32(2).u32(3).u32(3).text("old").end();
  builder.begin(3).u32(60).text("abcd").end().begin(0x77).text("??").end();
  builder.section().interface().packet(0, 5, "last");
  return builder.bytes();
}

TEST(Robustness, every_prefix_delivers_the_packets_before_the_cut) {
  expect_prefixes_deliver_what_came_before(small_pcap(), 2);
  for (const auto order : both_orders) expect_prefixes_deliver_what_came_before(rich_pcapng(order), 10);
}

TEST(Robustness, byte_flips_never_crash_and_errors_are_one_line) {
  std::mt19937 random(20240607);
  for (const Bytes& original : {small_pcap(), rich_pcapng(std::endian::little), rich_pcapng(std::endian::big),
                                gzip_compressed(rich_pcapng(std::endian::little)), zstd_compressed(small_pcap()),
                                testing::xz_compressed(small_pcap()), testing::bzip2_compressed(small_pcap()),
                                testing::lz4_compressed(small_pcap())})
    for (int round = 0; round < 3000; ++round) {
      Bytes bytes = original;
      for (unsigned flips = random() % 4 + 1; flips > 0; --flips)
        bytes[random() % bytes.size()] = static_cast<std::uint8_t>(random());
      const auto capture = read_all(bytes);
      if (!capture.stopped_by) continue;
      ASSERT_EQ(capture.stopped_by->kind, base::ErrorKind::unreadable);
      ASSERT_EQ(capture.stopped_by->message.en.find('\n'), std::string::npos);
      ASSERT_THAT(capture.stopped_by->message.en, StartsWith("test: "));
    }
}

TEST(Descriptor, a_pipe_is_read_to_its_end) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  base::UniqueFd out(ends[1]);
  const Bytes bytes = small_pcap();
  ASSERT_EQ(::write(out.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  out.reset();
  EXPECT_EQ(read_all(CaptureReader::open(Input(base::UniqueFd(ends[0]), "pipe"))).packets.size(), 2U);
}

}  // namespace
}  // namespace tcpwhy::capfile
