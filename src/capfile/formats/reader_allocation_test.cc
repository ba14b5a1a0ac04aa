// Reading a packet allocates nothing, a piece of the input next to nothing: counted by replacing operator new in this
// test program.
#include <gtest/gtest.h>

#include <cstdlib>
#include <new>
#include <string>

#include "capfile/capture_builder.h"
#include "capfile/formats/reader.h"

namespace {
thread_local std::size_t allocations = 0;

void* counted(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}
}  // namespace

void* operator new(std::size_t size) { return counted(size); }
void* operator new[](std::size_t size) { return counted(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

namespace tcpwhy::capfile {
namespace {

std::size_t allocations_while_reading(const testing::Bytes& bytes) {
  auto reader = CaptureReader::from_memory(bytes, "test");
  std::size_t packets = 0, before = 0;
  while (true) {
    const auto record = reader->next();
    if (!record || !*record) break;
    if (!std::holds_alternative<PacketRecord>(**record)) continue;
    if (++packets == 1) before = allocations;  // the first may make room for what the others reuse
  }
  EXPECT_EQ(packets, 20000U);
  return allocations - before;
}

TEST(Allocation, none_for_a_packet) {
  testing::CaptureBuilder pcap, pcapng;
  pcap.pcap_header();
  pcapng.section().interface();
  const std::string bytes(100, 'x');
  for (int i = 0; i < 20000; ++i) {
    pcap.pcap_packet(1, 2, bytes, 100);
    pcapng.begin_packet(0, 1, bytes, 100).option(1, "a comment").end();
  }
  constexpr std::size_t pieces = 20;  // of a quarter of a megabyte
  EXPECT_LE(allocations_while_reading(pcap.bytes()), 2 * pieces);
  EXPECT_LE(allocations_while_reading(pcapng.bytes()), 2 * pieces);
}

}  // namespace
}  // namespace tcpwhy::capfile
