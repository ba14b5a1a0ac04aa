#include "trace/record_log.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <random>
#include <vector>

#include "trace/bpf/program/protocol.h"

namespace tcpwhy::trace {
namespace {

using namespace std::chrono_literals;

std::vector<std::byte> record_of(__u8 kind, __u8 flags, std::size_t bytes, std::uint64_t at_ns) {
  std::vector<std::byte> record(bytes);
  probe_head head{};
  head.at_ns = at_ns, head.kind = kind, head.flags = flags;
  std::memcpy(record.data(), &head, sizeof head);
  return record;
}

TEST(RecordLog, gives_back_what_was_put_in_with_its_clock) {
  std::mt19937 random(7);
  std::vector<std::vector<std::byte>> records;
  for (const std::size_t bytes : {sizeof(probe_head), sizeof(probe_head) + 1, sizeof(probe_head) + 6, std::size_t{128},
                                  std::size_t{776}, sizeof(probe_user_stack), std::size_t{200'003}})
    for (int kind = 1; kind <= PROBE_PATH_SAMPLE; ++kind)
      for (int change = 0; change < 4; ++change) {
        auto record = record_of(static_cast<__u8>(kind), static_cast<__u8>(random() % 4), bytes, random());
        for (unsigned i = 0; i < bytes / 16; ++i)
          if (const std::size_t place = random() % bytes; place >= sizeof(probe_head))
            record[place] = std::byte(random());
        records.push_back(std::move(record));
      }
  std::ranges::shuffle(records, random);

  RecordLog log;
  for (int round = 0; round < 2; ++round) {  // it can be used again
    for (std::size_t i = 0; i < records.size(); ++i) {
      if (i % 100 == 0) log.begin_batch(std::chrono::nanoseconds(i));
      log.append(static_cast<std::uint32_t>(i % 7), records[i]);
    }
    std::size_t i = 0;
    log.replay([&](base::Duration clock, std::span<const std::byte> record) {
      ASSERT_LT(i, records.size());
      EXPECT_EQ(clock, std::chrono::nanoseconds(i / 100 * 100));
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(record.data()) % alignof(std::uint64_t), 0U);
      EXPECT_TRUE(std::ranges::equal(record, records[i])) << i;
      ++i;
    });
    EXPECT_EQ(i, records.size());
    EXPECT_EQ(log.bytes(), 0U);
  }
}

TEST(RecordLog, takes_little_for_what_comes_again) {
  RecordLog log;
  log.begin_batch(0ns);
  constexpr int many = 100'000;
  for (int i = 0; i < many; ++i)
    log.append(PROBE_CALL_MADE, record_of(PROBE_CALL_MADE, 0, 200, 1'000'000'000'000 + 7'000ULL * i));
  EXPECT_LT(log.bytes(), many * 200U / 8);
  int back = 0;
  log.replay([&](base::Duration, std::span<const std::byte> record) {
    probe_head head{};
    std::memcpy(&head, record.data(), sizeof head);
    EXPECT_EQ(head.at_ns, 1'000'000'000'000 + 7'000ULL * back++);
  });
  EXPECT_EQ(back, many);
}

}  // namespace
}  // namespace tcpwhy::trace
