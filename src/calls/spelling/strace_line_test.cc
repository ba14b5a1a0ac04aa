#include "calls/spelling/strace_line.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace tcpwhy::calls {
namespace {

TEST(StraceLine, brackets_quotes_and_decorations_do_not_end_arguments) {
  const StraceCall call = split_strace_call(
      R"(5</tmp/a (b), c<char 1:3>>, "a\"b), \\", [{iov_base="x, y", iov_len=4}], 0x10 /* MSG_??? */) = 3</d> (left) <0.000123>)");
  ASSERT_EQ(call.arguments.size(), 4U);
  EXPECT_EQ(call.arguments[0].text, "5");
  EXPECT_EQ(call.arguments[0].descriptor, "/tmp/a (b), c<char 1:3>");
  EXPECT_EQ(call.arguments[1].text, R"("a\"b), \\")");
  EXPECT_EQ(call.arguments[2].text, R"([{iov_base="x, y", iov_len=4}])");
  EXPECT_EQ(call.arguments[3].text, "0x10 /* MSG_??? */");
  const StraceResult result = parse_strace_result(call.result);
  EXPECT_EQ(result.value, 3);
  EXPECT_EQ(result.descriptor, "/d");
  EXPECT_EQ(result.detail, "left");
  EXPECT_EQ(result.took, base::Duration(123000));
}

TEST(StraceLine, results) {
  EXPECT_EQ(parse_strace_result(" = -1 ECONNRESET (Connection reset by peer)").error, ECONNRESET);
  EXPECT_EQ(parse_strace_result(" = ? ERESTARTSYS (To be restarted if SA_RESTART is set)").error, 512);
  EXPECT_FALSE(parse_strace_result(" = ?").value);
  EXPECT_FALSE(parse_strace_result("").value);
  EXPECT_EQ(parse_strace_result("= 0x801 (flags FD_CLOEXEC)").value, 0x801);
  EXPECT_EQ(parse_strace_result(" = 1 ([{fd=3, revents=POLLIN}])").detail, "[{fd=3, revents=POLLIN}]");
}

TEST(StraceLine, sockets) {
  const auto connected = parse_strace_socket("TCPv6:[[::1]:53794->[::ffff:127.0.0.1]:34599]");
  ASSERT_TRUE(connected);
  EXPECT_EQ(wire::to_string(*connected->local), "[::1]:53794");
  EXPECT_EQ(connected->remote->port, 34599);
  EXPECT_EQ(parse_strace_socket("socket:[12]")->inode, 12U);
  EXPECT_FALSE(parse_strace_socket("socket:[12]")->tcp);
  for (const auto* other :
       {"UDP:[1.1.1.1:1->1.1.1.2:2]", "pipe:[3]", "TCP:[1.1.1.1]", "TCP:[1.1.1.1:1->", "TCP:[]", ""})
    EXPECT_FALSE(parse_strace_socket(other)) << other;
}

}  // namespace
}  // namespace tcpwhy::calls
