// A bell is heard by whoever waits for children, and no ring is lost.
#include "trace/ptrace/bell.h"

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <chrono>

namespace tcpwhy::trace {
namespace {

using namespace std::chrono_literals;

bool hear(Bell& bell) {
  const bool heard = ::waitpid(bell.pid(), nullptr, __WALL | __WNOTHREAD) == bell.pid();
  bell.heard();
  return heard;
}

TEST(Bell, is_heard_when_it_is_rung) {
  Bell bell;
  ASSERT_TRUE(bell.hang());
  bell.ring();
  EXPECT_TRUE(hear(bell));
}

TEST(Bell, that_is_rung_before_it_hangs_rings_at_once) {
  Bell bell;
  bell.ring();
  ASSERT_TRUE(bell.hang());
  EXPECT_TRUE(hear(bell));
}

// Else the thread slept for ever.
TEST(Bell, that_rang_by_itself_and_is_then_rung_rings_once_more) {
  Bell bell;
  ASSERT_TRUE(bell.hang(1ms));
  EXPECT_TRUE(hear(bell));
  bell.ring();
  ASSERT_TRUE(bell.hang());
  EXPECT_TRUE(hear(bell));
}

}  // namespace
}  // namespace tcpwhy::trace
