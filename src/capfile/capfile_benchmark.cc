// What it costs to walk the packets of a file in the page cache:  build/bench_capfile
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <random>
#include <string>

#include "base/check.h"
#include "capfile/capture_builder.h"
#include "capfile/formats/reader.h"
#include "capfile/input/packed_testing.h"

namespace tcpwhy::capfile {
namespace {

constexpr int packets = 400'000;

// A file of its own for each benchmark, gone when the program ends.
class TemporaryFile {
 public:
  explicit TemporaryFile(const testing::Bytes& bytes) : path_("/tmp/tcpwhy-benchmark-XXXXXX") {
    const int fd = mkstemp(path_.data());
    TCPWHY_CHECK(fd >= 0);
    std::size_t done = 0;
    while (done < bytes.size()) {
      const ssize_t count = write(fd, bytes.data() + done, bytes.size() - done);
      TCPWHY_CHECK(count > 0);
      done += static_cast<std::size_t>(count);
    }
    close(fd);
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() { unlink(path_.c_str()); }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

testing::Bytes pcap_of(std::size_t size) {
  testing::CaptureBuilder file;
  file.pcap_header();
  for (std::uint32_t i = 0; i < packets; ++i) file.pcap_packet(1, i, std::string(size, 'x'), 1514);
  return file.bytes();
}

testing::Bytes pcapng_of(std::size_t size) {
  testing::CaptureBuilder file;
  file.section().begin_interface().option(9, "\x09").end();
  for (std::uint32_t i = 0; i < packets; ++i) file.packet(0, 1'700'000'000'000'000'000 + i, std::string(size, 'x'));
  return file.bytes();
}

void walk(benchmark::State& state, testing::Bytes (*make)(std::size_t), std::size_t size, bool any_record) {
  const TemporaryFile file(make(size));
  std::uint64_t sum = 0, count = 0;
  for (auto _ : state) {
    auto reader = CaptureReader::open(file.path());
    TCPWHY_CHECK(reader);
    while (true) {
      const PacketRecord* packet = nullptr;
      std::optional<Record> record;
      if (any_record) {
        record = *reader->next();
        if (!record) break;
        packet = std::get_if<PacketRecord>(&*record);
        if (packet == nullptr) continue;
      } else {
        packet = *reader->next_packet();
        if (packet == nullptr) break;
      }
      sum += packet->bytes[0] + static_cast<std::uint64_t>(base::to_ns(packet->at));
      ++count;
    }
    benchmark::DoNotOptimize(sum);
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(count));
}

// The same file packed and plain, in turns: "of_plain" is the plain one's time by the packed one's.
void walk_packed(benchmark::State& state, const testing::Packer& packer) {
  std::mt19937 random(1);
  testing::CaptureBuilder file;
  file.pcap_header();
  for (std::uint32_t i = 0; i < packets; ++i) {
    std::string bytes(66, 'x');  // headers, in which a third changes
    for (std::size_t at = 0; at < bytes.size(); at += 3) bytes[at] = static_cast<char>(random());
    bytes += std::string(i % 3 * 200, static_cast<char>('a' + i % 26));
    file.pcap_packet(1, i, bytes, 1514);
  }
  const TemporaryFile plain(file.bytes()), packed(packer.pack(file.bytes()));
  const auto seconds_of = [](const TemporaryFile& read) {
    const auto begun = std::chrono::steady_clock::now();
    auto reader = CaptureReader::open(read.path());
    TCPWHY_CHECK(reader);
    int count = 0;
    while (*reader->next_packet() != nullptr) ++count;
    TCPWHY_CHECK(count == packets);
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  };
  double of_plain = 0, of_packed = 0;
  for (auto _ : state) {
    of_plain += seconds_of(plain);
    const double took = seconds_of(packed);
    of_packed += took;
    state.SetIterationTime(took);
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(file.bytes().size()) * state.iterations());
  state.counters["of_plain"] = of_plain / of_packed;
}
BENCHMARK_CAPTURE(walk_packed, gzip, testing::packers[0])->UseManualTime();
BENCHMARK_CAPTURE(walk_packed, zstd, testing::packers[1])->UseManualTime();
BENCHMARK_CAPTURE(walk_packed, xz, testing::packers[2])->UseManualTime();
BENCHMARK_CAPTURE(walk_packed, bzip2, testing::packers[3])->UseManualTime();
BENCHMARK_CAPTURE(walk_packed, lz4, testing::packers[4])->UseManualTime();

constexpr std::size_t headers = 66, whole = 700;
BENCHMARK_CAPTURE(walk, pcap_headers_next, pcap_of, headers, true);
BENCHMARK_CAPTURE(walk, pcap_headers_next_packet, pcap_of, headers, false);
BENCHMARK_CAPTURE(walk, pcapng_headers_next, pcapng_of, headers, true);
BENCHMARK_CAPTURE(walk, pcapng_headers_next_packet, pcapng_of, headers, false);
BENCHMARK_CAPTURE(walk, pcap_whole_next_packet, pcap_of, whole, false);
BENCHMARK_CAPTURE(walk, pcapng_whole_next_packet, pcapng_of, whole, false);

}  // namespace
}  // namespace tcpwhy::capfile
