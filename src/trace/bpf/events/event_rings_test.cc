// On rings in ordinary memory, written as the kernel writes them.
#include "trace/bpf/events/event_rings.h"

#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace tcpwhy::trace {
namespace {

constexpr std::size_t ring_bytes = 4096;

struct Record {
  std::uint64_t at_ns;
  std::uint64_t number;
};

class WrittenRing {
 public:
  WrittenRing() {
    const int memory = memfd_create("ring", MFD_CLOEXEC);
    if (memory < 0 || ftruncate(memory, ring_bytes) != 0) throw std::runtime_error("memfd");
    data_ = static_cast<std::byte*>(
        mmap(nullptr, 2 * ring_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    for (std::size_t half = 0; half < 2; ++half)
      if (mmap(data_ + half * ring_bytes, ring_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, memory, 0) ==
          MAP_FAILED)
        throw std::runtime_error("mmap");
    close(memory);
  }
  WrittenRing(const WrittenRing&) = delete;
  WrittenRing& operator=(const WrittenRing&) = delete;
  ~WrittenRing() { munmap(data_, 2 * ring_bytes); }

  EventRing reader() { return {&consumer_, &producer_, {data_, ring_bytes}}; }
  [[nodiscard]] bool has_room() const {
    return producer_ - std::atomic_ref(const_cast<std::uint64_t&>(consumer_)).load(std::memory_order_acquire) + step <=
           ring_bytes;
  }
  void write(Record record, std::uint32_t flags = 0) {
    const std::uint64_t at = producer_ % ring_bytes;
    std::memcpy(data_ + at + BPF_RINGBUF_HDR_SZ, &record, sizeof record);
    const std::uint32_t header[2] = {static_cast<std::uint32_t>(sizeof record) | flags, 0};
    std::memcpy(data_ + at, header, sizeof header);
    std::atomic_ref(producer_).store(producer_ + step, std::memory_order_release);
  }
  void finish(std::uint64_t nth) {
    auto& word = *reinterpret_cast<std::uint32_t*>(data_ + nth * step % ring_bytes);
    word &= ~BPF_RINGBUF_BUSY_BIT;
  }
  [[nodiscard]] std::uint64_t given_back() const { return consumer_; }

  static constexpr std::uint64_t step = BPF_RINGBUF_HDR_SZ + sizeof(Record);

 private:
  std::byte* data_ = nullptr;
  std::uint64_t consumer_ = 0, producer_ = 0;
};

std::string numbers(std::span<EventRing> rings, std::uint64_t until = EventRings::no_end) {
  std::string read;
  consume_in_order(rings, until, [&](std::span<const std::byte> bytes) {
    Record record{};
    ASSERT_EQ(bytes.size(), sizeof record);
    std::memcpy(&record, bytes.data(), sizeof record);
    read += std::to_string(record.number);
  });
  return read;
}

TEST(EventRings, are_read_in_the_order_of_their_records_times) {
  WrittenRing a, b, c;
  std::vector<EventRing> rings{a.reader(), b.reader(), c.reader()};
  for (const Record record : {Record{10, 1}, {40, 4}, {50, 5}}) a.write(record);
  for (const Record record : {Record{20, 2}, {30, 3}, {70, 7}}) b.write(record);
  c.write({60, 6});
  EXPECT_EQ(numbers(rings), "1234567");
  EXPECT_EQ(numbers(rings), "");
  c.write({80, 8});
  a.write({81, 9});
  EXPECT_EQ(numbers(rings), "89");
}

TEST(EventRings, what_is_later_than_asked_for_waits) {
  WrittenRing a, b;
  std::vector<EventRing> rings{a.reader(), b.reader()};
  a.write({10, 1});
  a.write({31, 3});
  b.write({30, 2});
  b.write({40, 4});
  EXPECT_EQ(numbers(rings, 30), "12");
  EXPECT_EQ(a.given_back(), WrittenRing::step);
  b.write({50, 5});
  EXPECT_EQ(numbers(rings, 40), "34");
  EXPECT_EQ(numbers(rings), "5");
}

TEST(EventRings, wait_for_a_record_that_is_not_written_yet_and_leave_out_what_was_discarded) {
  WrittenRing a, b;
  std::vector<EventRing> rings{a.reader(), b.reader()};
  a.write({10, 1});
  a.write({20, 2}, BPF_RINGBUF_BUSY_BIT);
  a.write({25, 9}, BPF_RINGBUF_DISCARD_BIT);
  b.write({15, 5});
  b.write({30, 3});
  // Behind the first the ring's next one is unfinished: from then on nobody knows what comes first.
  EXPECT_EQ(numbers(rings), "1");
  a.finish(1);
  EXPECT_EQ(numbers(rings), "523");
}

TEST(EventRings, tell_how_full_they_are_and_give_room_back) {
  WrittenRing a;
  std::vector<EventRing> rings{a.reader()};
  for (std::uint64_t i = 0; i < ring_bytes / WrittenRing::step / 2; ++i) a.write({i, i});
  EXPECT_NEAR(rings[0].fullness(), 0.5, 0.01);
  EXPECT_NE(numbers(rings), "");
  EXPECT_EQ(rings[0].fullness(), 0);
}

// Written by one thread to either ring while another reads: each record once, in order, many times around.
TEST(EventRings, lose_nothing_while_they_are_written_to) {
  constexpr std::uint64_t records = 200'000;
  WrittenRing written[2];
  std::vector<EventRing> rings{written[0].reader(), written[1].reader()};
  std::atomic<std::uint64_t> last_written = 0;
  std::jthread writer([&] {
    for (std::uint64_t i = 1; i <= records; ++i) {
      WrittenRing& ring = written[i * 0x9e3779b9U >> 7U & 1U];
      while (!ring.has_room()) std::this_thread::yield();
      ring.write({i, i});
      last_written.store(i, std::memory_order_release);
    }
  });
  std::uint64_t read = 0;
  while (read < records) {
    const std::uint64_t until = last_written.load(std::memory_order_acquire);
    consume_in_order(rings, until, [&](std::span<const std::byte> bytes) {
      Record record{};
      std::memcpy(&record, bytes.data(), sizeof record);
      ASSERT_EQ(record.number, read + 1);
      ++read;
    });
    ASSERT_GE(read, until);
  }
}

}  // namespace
}  // namespace tcpwhy::trace
