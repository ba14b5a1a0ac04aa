#include "trace/repeated_calls.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <vector>

namespace tcpwhy::trace {
namespace {

constexpr std::uint64_t ms = 1'000'000;

// "who: call = result", and a number that differs from call to call.
struct Record {
  std::array<char, 32> text{};
  std::uint64_t number = 0;
};
bool are_alike(std::span<const std::byte> one, std::span<const std::byte> other) {
  return std::memcmp(one.data(), other.data(), sizeof(Record::text)) == 0;
}

struct Made {
  std::uint64_t number;
  RepeatedCalls::Run before;
};

class Repeated : public ::testing::Test {
 protected:
  // A call on socket `key` every microsecond.
  void call(std::string_view text, std::uint64_t key = 1) {
    Record record;
    text.copy(record.text.data(), record.text.size() - 1);
    record.number = ++count_, now_ += 1000;
    const auto bytes = std::as_bytes(std::span(&record, 1));
    if (!calls_.hold({key, now_, now_ + 500, bytes})) made_.push_back({record.number, {}});
  }
  void call_times(int times, std::string_view text, std::uint64_t key = 1) {
    for (int i = 0; i < times; ++i) call(text, key);
  }
  [[nodiscard]] std::uint64_t told_and_counted() const {
    std::uint64_t all = made_.size();
    for (const Made& one : made_) all += one.before.count;
    return all;
  }

  std::uint64_t count_ = 0, now_ = 0;
  std::vector<Made> made_;
  RepeatedCalls calls_{are_alike, [this](std::span<const std::byte> last, const RepeatedCalls::Run& before) {
                         Record record;
                         std::memcpy(&record, last.data(), sizeof record);
                         made_.push_back({record.number, before});
                       }};
};

TEST_F(Repeated, the_first_ones_the_last_and_the_count_are_all_that_is_put_aside) {
  call_times(4'000'000, "server: recv = 0");
  EXPECT_EQ(made_.size(), RepeatedCalls::told_first);
  calls_.end_all();
  ASSERT_EQ(made_.size(), RepeatedCalls::told_first + 1);
  EXPECT_EQ(made_.back().number, 4'000'000U);
  EXPECT_EQ(made_.back().before.count, 4'000'000 - RepeatedCalls::told_first - 1);
  EXPECT_EQ(made_.back().before.since_ns, (RepeatedCalls::told_first + 1) * 1000);
  EXPECT_EQ(made_.back().before.until_ns, 3'999'999 * 1000ULL + 500);
}

TEST_F(Repeated, none_is_lost_where_they_go_round_in_a_loop_or_others_come_between) {
  for (int i = 0; i < 1000; ++i) {
    call("server: recv = EAGAIN");
    call("server: getsockopt = 0");
    call("server: recv = EAGAIN", 2);
    call("client: recv = EAGAIN");
    if (i % 100 == 99) calls_.end(1);
  }
  calls_.end_all();
  EXPECT_EQ(told_and_counted(), 4000U);
  EXPECT_LE(made_.size(), 10 * 3 * (RepeatedCalls::told_first + 1) + RepeatedCalls::told_first + 1);
}

TEST_F(Repeated, another_result_is_told_where_it_comes) {
  call_times(100, "server: recv = EAGAIN");
  call("server: recv = 0");
  EXPECT_EQ(made_.back().number, 101U);
  call_times(100, "server: recv = 0");
  calls_.end_all();
  EXPECT_EQ(told_and_counted(), 201U);
}

TEST_F(Repeated, what_happens_to_the_socket_ends_it_and_the_call_after_that_is_told) {
  call_times(50, "server: recv = EAGAIN");
  calls_.end(2);  // another one
  EXPECT_EQ(made_.size(), RepeatedCalls::told_first);
  calls_.end(1);
  EXPECT_EQ(made_.back().number, 50U);
  call("server: recv = EAGAIN");
  EXPECT_EQ(made_.back().number, 51U);
}

TEST_F(Repeated, calls_with_a_pause_between_are_told_each) {
  for (int i = 0; i < 100; ++i) {
    call("server: poll = 0");
    now_ += RepeatedCalls::most_apart_ns + ms;
  }
  EXPECT_EQ(made_.size(), 100U);
}

TEST_F(Repeated, more_sockets_and_calls_than_are_remembered_cost_memory_only) {
  for (int round = 0; round < 20; ++round)
    for (std::uint64_t socket = 1; socket < 1000; ++socket) call("server: recv = EAGAIN", socket);
  for (int round = 0; round < 20; ++round)
    for (const auto* text : {"a", "b", "c", "d", "e", "f"}) call(text);
  calls_.end_all();
  EXPECT_EQ(told_and_counted(), count_);
}

bool repeats(std::string_view name, std::int64_t result, std::uint64_t flags = 0) {
  const calls::CallRow* row = calls::find_call(name);
  calls::SyscallArguments arguments{};
  if (row->message_flags >= 0) arguments[static_cast<std::size_t>(row->message_flags)] = flags;
  return changes_nothing(*row, arguments, result);
}

TEST(ChangesNothing, is_so_of_questions_waits_and_what_moved_no_byte) {
  EXPECT_TRUE(repeats("recvfrom", 0));
  EXPECT_TRUE(repeats("recvfrom", -EAGAIN));
  EXPECT_TRUE(repeats("recvfrom", 5, MSG_PEEK));
  EXPECT_TRUE(repeats("sendto", -EAGAIN));
  EXPECT_TRUE(repeats("accept4", -EMFILE));
  EXPECT_TRUE(repeats("epoll_wait", 1));
  EXPECT_TRUE(repeats("getsockopt", 0));
}

TEST(ChangesNothing, is_not_so_of_what_moves_bytes_or_makes_or_ends_something) {
  EXPECT_FALSE(repeats("recvfrom", 5));
  EXPECT_FALSE(repeats("recvmsg", 1, MSG_PEEK));  // it may bring descriptors
  EXPECT_FALSE(repeats("sendto", 5));
  EXPECT_FALSE(repeats("sendto", 0));
  EXPECT_FALSE(repeats("accept4", 5));
  for (const auto* name : {"connect", "close", "shutdown", "setsockopt", "epoll_ctl", "epoll_create1", "socket", "dup"})
    EXPECT_FALSE(repeats(name, -EAGAIN)) << name;
}

}  // namespace
}  // namespace tcpwhy::trace
