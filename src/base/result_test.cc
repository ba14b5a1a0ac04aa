#include "base/result.h"

#include <gtest/gtest.h>

namespace tcpwhy::base {
namespace {

TEST(Result, permission_errors_are_of_their_own_kind) {
  EXPECT_EQ(fail_errno("open /x", EPERM).error().kind, ErrorKind::privilege);
  EXPECT_EQ(fail_errno("open /x", EACCES).error().kind, ErrorKind::privilege);
  EXPECT_EQ(fail_errno("open /x", ENOENT).error().kind, ErrorKind::system);
  EXPECT_EQ(fail_errno("open /x", ENOENT).error().message.en, "open /x: No such file or directory");
}

TEST(Result, every_kind_has_the_exit_status_of_the_manual) {
  EXPECT_EQ(exit_status(ErrorKind::expectation), 1);
  EXPECT_EQ(exit_status(ErrorKind::usage), 2);
  EXPECT_EQ(exit_status(ErrorKind::unreadable), 3);
  EXPECT_EQ(exit_status(ErrorKind::privilege), 4);
  EXPECT_EQ(exit_status(ErrorKind::system), 4);
}

}  // namespace
}  // namespace tcpwhy::base
