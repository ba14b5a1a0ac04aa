#include "base/unique_fd.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <utility>

namespace tcpwhy::base {
namespace {

bool is_open(int fd) { return fcntl(fd, F_GETFD) != -1; }

TEST(UniqueFd, closes_exactly_once_whoever_holds_it_last) {
  UniqueFd first(open("/dev/null", O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(first.valid());
  const int fd = first.get();
  {
    UniqueFd second(std::move(first));
    EXPECT_FALSE(first.valid());  // NOLINT(bugprone-use-after-move): that it is empty is the claim
    EXPECT_EQ(second.get(), fd);
    EXPECT_TRUE(is_open(fd));
  }
  EXPECT_FALSE(is_open(fd));
}

TEST(UniqueFd, assignment_closes_what_was_held) {
  UniqueFd held(open("/dev/null", O_RDONLY | O_CLOEXEC));
  const int fd = held.get();
  held = UniqueFd();
  EXPECT_FALSE(is_open(fd));
}

TEST(UniqueFd, release_gives_the_descriptor_away_open) {
  UniqueFd held(open("/dev/null", O_RDONLY | O_CLOEXEC));
  const UniqueFd taken(held.release());
  EXPECT_FALSE(held.valid());
  EXPECT_TRUE(is_open(taken.get()));
}

}  // namespace
}  // namespace tcpwhy::base
