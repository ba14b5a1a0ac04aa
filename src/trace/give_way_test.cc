#include "trace/give_way.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <thread>

namespace tcpwhy::trace {
namespace {

using namespace std::chrono_literals;

int policy_of_this_thread() { return sched_getscheduler(0); }

class Reader {
 public:
  bool looks_at(std::chrono::milliseconds at, double fullness) { return asked_at(at, fullness, ++looks_); }
  bool is_kept_out_at(std::chrono::milliseconds at, double fullness) { return asked_at(at, fullness, looks_); }

 private:
  bool asked_at(std::chrono::milliseconds at, double fullness, std::uint64_t looks) {
    return policy_.gives_way(fullness, looks, begin_ + at);
  }
  GiveWayPolicy::Clock::time_point begin_ = GiveWayPolicy::Clock::now();
  GiveWayPolicy policy_{begin_};
  std::uint64_t looks_ = 0;
};

TEST(GiveWayPolicy, ends_where_the_buffer_is_half_full_and_begins_again_with_calm) {
  Reader reader;
  EXPECT_TRUE(reader.looks_at(0ms, 0.4));
  EXPECT_FALSE(reader.looks_at(20ms, 0.6));
  EXPECT_FALSE(reader.looks_at(40ms, 0.1));
  EXPECT_FALSE(reader.looks_at(400ms, 0.4));  // calm no more
  EXPECT_FALSE(reader.looks_at(500ms, 0.1));
  EXPECT_FALSE(reader.looks_at(600ms, 0.1));
  EXPECT_FALSE(reader.looks_at(999ms, 0.1));
  EXPECT_TRUE(reader.looks_at(1000ms, 0.1));
}

TEST(GiveWayPolicy, ends_where_the_reader_is_kept_from_looking) {
  Reader reader;
  EXPECT_TRUE(reader.looks_at(0ms, 0));
  EXPECT_TRUE(reader.is_kept_out_at(199ms, 0));
  EXPECT_FALSE(reader.is_kept_out_at(200ms, 0));
  EXPECT_FALSE(reader.looks_at(220ms, 0));
  EXPECT_FALSE(reader.looks_at(400ms, 0));
  EXPECT_FALSE(reader.looks_at(590ms, 0));
  EXPECT_TRUE(reader.looks_at(720ms, 0));
}

// Until the guard has acted; at most some seconds.
bool becomes(int policy, GiveWay& way) {
  for (int tries = 0; tries < 5000 && policy_of_this_thread() != policy; ++tries) {
    way.looked();
    std::this_thread::sleep_for(1ms);
  }
  return policy_of_this_thread() == policy;
}

TEST(GiveWay, follows_the_buffer_and_leaves_the_thread_as_it_was) {
  if (geteuid() != 0) GTEST_SKIP() << "not root: SCHED_IDLE could not be left";
  const int nice = getpriority(PRIO_PROCESS, static_cast<id_t>(gettid()));
  std::atomic<double> fullness = 0;
  {
    GiveWay way([&] { return fullness.load(); });
    EXPECT_TRUE(becomes(SCHED_IDLE, way));
    fullness = 0.9;
    EXPECT_TRUE(becomes(SCHED_OTHER, way));
    EXPECT_LT(getpriority(PRIO_PROCESS, static_cast<id_t>(gettid())), nice);
    fullness = 0;
    EXPECT_TRUE(becomes(SCHED_IDLE, way));
  }
  EXPECT_EQ(policy_of_this_thread(), SCHED_OTHER);
  EXPECT_EQ(getpriority(PRIO_PROCESS, static_cast<id_t>(gettid())), nice);
}

TEST(GiveWay, is_a_matter_of_one_thread) {
  if (geteuid() != 0) GTEST_SKIP() << "not root: SCHED_IDLE could not be left";
  const pid_t this_thread = gettid();
  std::jthread([this_thread] {
    GiveWay way([] { return 0.0; });
    EXPECT_TRUE(becomes(SCHED_IDLE, way));
    EXPECT_EQ(sched_getscheduler(this_thread), SCHED_OTHER);
  }).join();
}

TEST(GiveWay, leaves_alone_what_it_could_not_take_back) {
  if (geteuid() != 0) GTEST_SKIP() << "not root: the limit cannot be set up";
  const pid_t child = fork();
  if (child == 0) {
    const rlimit none{0, 0};
    if (setrlimit(RLIMIT_NICE, &none) != 0 || setuid(65534) != 0) _exit(2);
    const GiveWay way([] { return 0.0; });
    _exit(policy_of_this_thread() == SCHED_OTHER ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace tcpwhy::trace
