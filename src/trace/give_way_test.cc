#include "trace/give_way.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

namespace tcpwhy::trace {
namespace {

int nice_of_this_thread() { return getpriority(PRIO_PROCESS, static_cast<id_t>(gettid())); }

TEST(GiveWay, gives_way_until_it_falls_behind_and_again_when_it_keeps_up) {
  const int own = nice_of_this_thread();
  if (geteuid() != 0) GTEST_SKIP() << "not root: a nice value may not be lowered";
  {
    GiveWay way;
    const int polite = nice_of_this_thread();
    const auto begin = GiveWay::Clock::now();
    const auto found_at = [&](int ms, double fullness) { way.found(fullness, begin + std::chrono::milliseconds(ms)); };
    EXPECT_GT(polite, own);
    found_at(0, 0.2);
    EXPECT_EQ(nice_of_this_thread(), polite);
    found_at(10, 0.3);
    EXPECT_EQ(nice_of_this_thread(), own);
    found_at(20, 0.1);
    found_at(400, 0.2);  // calm no more
    found_at(500, 0.1);
    found_at(999, 0.1);
    EXPECT_EQ(nice_of_this_thread(), own);
    found_at(1000, 0.1);
    EXPECT_EQ(nice_of_this_thread(), polite);
  }
  EXPECT_EQ(nice_of_this_thread(), own);
}

TEST(GiveWay, is_a_matter_of_one_thread) {
  const int own = nice_of_this_thread();
  std::jthread([own] {
    const GiveWay way;
    EXPECT_GE(nice_of_this_thread(), own);
  }).join();
  EXPECT_EQ(nice_of_this_thread(), own);
}

TEST(GiveWay, leaves_alone_what_it_could_not_take_back) {
  if (geteuid() != 0) GTEST_SKIP() << "not root: the limit cannot be set up";
  const int own = nice_of_this_thread();
  const pid_t child = fork();
  if (child == 0) {
    const rlimit none{0, 0};
    if (setrlimit(RLIMIT_NICE, &none) != 0 || setuid(65534) != 0) _exit(2);
    GiveWay way;
    way.found(0.9);
    _exit(nice_of_this_thread() == own ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace tcpwhy::trace
