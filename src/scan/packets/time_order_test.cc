#include "scan/packets/time_order.h"

#include <gtest/gtest.h>

#include <vector>

namespace tcpwhy::scan {
namespace {

using namespace std::chrono_literals;

base::WallTime at(base::Duration since) { return base::WallTime(1'000'000s) + since; }

std::vector<std::uint64_t> ordered(const std::vector<base::Duration>& stamps) {
  TimeOrder order;
  Disorder disorder;
  std::uint64_t number = 0;
  for (const base::Duration stamp : stamps) {
    RawFrame frame;
    frame.number = ++number;
    frame.at = at(stamp);
    disorder.note(frame.at);
    order.put(frame, disorder.steps, {});
  }
  std::vector<std::uint64_t> numbers;
  RawFrame frame;
  const capfile::SharedBytes* memory = nullptr;
  while (order.take(frame, memory)) numbers.push_back(frame.number);
  return numbers;
}

TEST(TimeOrder, stamps_decide_and_of_the_same_time_the_file) {
  EXPECT_EQ(ordered({1ms, 3ms, 2ms, 2ms, 4ms}), (std::vector<std::uint64_t>{1, 3, 4, 2, 5}));
}

TEST(TimeOrder, what_goes_back_by_more_than_a_second_begins_anew) {
  EXPECT_EQ(ordered({5s, 7s, 1s, 6s, 5500ms}), (std::vector<std::uint64_t>{1, 2, 3, 5, 4}));
}

TEST(TimeOrder, holds_a_bounded_number_of_frames_and_bytes) {
  TimeOrder order;
  RawFrame frame;
  for (std::size_t i = 0; i < TimeOrder::most_waiting; ++i) {
    EXPECT_FALSE(order.is_full());
    order.put(frame, 0, {});
  }
  EXPECT_TRUE(order.is_full());
  TimeOrder large;
  const std::vector<std::uint8_t> bytes(TimeOrder::most_bytes);
  frame.bytes = bytes;
  large.put(frame, 0, {});
  EXPECT_TRUE(large.is_full());
  const capfile::SharedBytes* memory = nullptr;
  EXPECT_TRUE(large.take(frame, memory));
  EXPECT_FALSE(large.is_full());
}

TEST(Disorder, counts_what_stands_behind_and_steps_apart) {
  Disorder disorder;
  for (const base::Duration stamp :
       {base::Duration(10ms), base::Duration(20ms), base::Duration(13ms), base::Duration(19ms), base::Duration(25ms),
        base::Duration(-5s), base::Duration(-4s)})
    disorder.note(at(stamp));
  EXPECT_EQ(disorder.frames, 2U);
  EXPECT_EQ(disorder.most, 7ms);
  EXPECT_EQ(disorder.steps, 1U);
}

TEST(Disorder, a_first_stamp_before_1970_lies_behind_nothing) {
  Disorder disorder;
  disorder.note(base::WallTime(-5s)), disorder.note(base::WallTime(-4s));
  EXPECT_EQ(disorder.steps, 0U);
}

TEST(Disorder, stamps_may_be_anything) {
  Disorder disorder;
  disorder.note(base::WallTime::max()), disorder.note(base::WallTime::min()), disorder.note(base::WallTime::max());
  EXPECT_EQ(disorder.steps, 1U);
}

}  // namespace
}  // namespace tcpwhy::scan
