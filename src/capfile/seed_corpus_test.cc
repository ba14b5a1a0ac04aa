// The seeds of the fuzzers (fuzz/corpus/capture, fuzz/corpus/recording) are made here, so that nobody has to wonder
// what they hold. TCPWHY_UPDATE_SEEDS=1 test_capfile --gtest_filter='SeedCorpus*' writes them.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>

#include "capfile/capture_builder.h"
#include "capfile/input/packed_testing.h"
#include "capfile/input/read_all.h"
#include "capfile/recording/recording_io.h"
#include "capfile/recording/sample_recording.h"

namespace tcpwhy::capfile {
namespace {

namespace fs = std::filesystem;
using testing::Bytes;
using testing::CaptureBuilder;
using testing::read_all;

std::string packet_text() {
  const auto bytes = testing::sample_packet(0x02);
  return {bytes.begin(), bytes.end()};
}

Bytes pcap(std::endian order, std::uint32_t magic) {
  return CaptureBuilder(order).pcap_header(magic).pcap_packet(1, 2, packet_text(), 54).pcap_packet(3, 4, "", 0).bytes();
}

Bytes modified_pcap() {
  return CaptureBuilder(std::endian::little)
      .pcap_header(0xa1b2cd34)
      .u32(1)
      .u32(2)
      .u32(4)
      .u32(60)
      .u32(1)
      .u16(0x800)
      .u16(0)
      .text("abcd")
      .bytes();
}

Bytes pcapng(std::endian order) {
  CaptureBuilder builder(order);
  builder.begin_section().option(1, "comment").option(3, "Linux").option(4, "seed").option(0, "").end();
  builder.begin_interface(1, 64).option(2, "lo").option(9, "\x09").u16(14).u16(8).u64(3).end().interface(113);
  builder.begin_packet(0, 1'000'000'000, packet_text(), 54).option(1, "why").u16(5).u16(8).u64(7).end();
  builder.begin(3).u32(60).text(std::string(60, 's')).end();
  builder.begin(2).u16(1).u16(0).u32(0).u32(9).u32(3).u32(3).text("old").end();
  builder.begin(4).text("names").end();
  builder.journal("__REALTIME_TIMESTAMP=1\nMESSAGE=hello\n");
  builder.section().interface(228).packet(0, 1, "x");
  return builder.bytes();
}

std::map<std::string, Bytes> seeds() {
  const std::vector recordings{testing::sample_recording(), testing::sample_recording()};
  recording::Recording empty;
  CaptureBuilder damaged(std::endian::little);
  damaged.section().interface();
  damaged.journal("TCPWHY_KIND=call_returned\nTCPWHY_TIME_NS=1\nTCPWHY_CALL=4294967295\n");
  damaged.journal("TCPWHY_KIND=call_entered\nTCPWHY_TIME_NS=-1\nTCPWHY_CALL=4000000000\n");
  damaged.journal("TCPWHY_KIND=segment_cause\nTCPWHY_TIME_NS=1\nTCPWHY_PACKET=9\nTCPWHY_BY=1\n");
  return {
      {"capture/pcap-little-us", pcap(std::endian::little, 0xa1b2c3d4)},
      {"capture/pcap-big-ns", pcap(std::endian::big, 0xa1b23c4d)},
      {"capture/pcap-modified", modified_pcap()},
      {"capture/pcapng-little", pcapng(std::endian::little)},
      {"capture/pcapng-big", pcapng(std::endian::big)},
      {"capture/pcap-gzip", gzip_compressed(pcap(std::endian::little, 0xa1b2c3d4))},
      {"capture/pcapng-zstd", zstd_compressed(pcapng(std::endian::big))},
      {"capture/pcap-xz", testing::xz_compressed(pcap(std::endian::little, 0xa1b2c3d4))},
      {"capture/pcapng-bzip2", testing::bzip2_compressed(pcapng(std::endian::big))},
      {"capture/pcap-lz4", testing::lz4_compressed(pcap(std::endian::little, 0xa1b2c3d4))},
      {"capture/snoop", CaptureBuilder(std::endian::big)
                            .snoop_header()
                            .snoop_packet(1, 2, "hello", 60)
                            .snoop_packet(2, 3, "", 9)
                            .bytes()},
      {"recording/two", *encode(recordings)},
      {"recording/one-gzip", gzip_compressed(*encode(std::span(recordings).first(1)))},
      {"recording/empty", *encode(std::span(&empty, 1))},
      {"recording/damaged", damaged.bytes()},
      {"recording/plain", pcap(std::endian::little, 0xa1b2c3d4)},
  };
}

Bytes read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// Compressed seeds are compared by what they hold: other versions of the libraries compress differently.
bool same_content(const Bytes& a, const Bytes& b) {
  if (a == b) return true;
  const auto first = decode(a, "a"), second = decode(b, "b");
  return first && second && first->recordings == second->recordings;
}

TEST(SeedCorpus, is_what_this_file_makes) {
  if (std::endian::native != std::endian::little) GTEST_SKIP() << "recordings are written in the machine's byte order";
  const fs::path corpus = fs::path(TCPWHY_SOURCE_DIR) / "fuzz" / "corpus";
  const bool update = std::getenv("TCPWHY_UPDATE_SEEDS") != nullptr;
  for (const auto& [name, bytes] : seeds()) {
    const fs::path path = corpus / name;
    if (update) {
      fs::create_directories(path.parent_path());
      std::ofstream(path, std::ios::binary)
          .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    }
    EXPECT_TRUE(same_content(read_file(path), bytes))
        << name << " differs; update: TCPWHY_UPDATE_SEEDS=1 test_capfile --gtest_filter='SeedCorpus*'";
  }
}

}  // namespace
}  // namespace tcpwhy::capfile
