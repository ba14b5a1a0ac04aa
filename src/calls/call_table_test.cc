// The table of calls holds together: each row once, found by its number, its pieces and descriptors inside its arguments.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <set>
#include <string_view>

#include "calls/call.h"

namespace tcpwhy::calls {
namespace {

TEST(CallTable, each_row_is_found_by_its_name_and_by_its_number_and_stands_once) {
  std::set<long> numbers;
  for (const CallRow& row : call_table()) {
    EXPECT_EQ(find_call(row.name), &row) << row.name;
    if (!row.is_traced()) continue;
    EXPECT_EQ(find_call(row.number), &row) << row.name;
    EXPECT_TRUE(numbers.insert(row.number).second) << row.name;
  }
  EXPECT_GE(numbers.size(), 45U);
  EXPECT_EQ(find_call("no_such_call"), nullptr);
  EXPECT_EQ(effect_of("no_such_call"), Effect::none);
}

TEST(CallTable, descriptors_and_pieces_are_arguments_of_the_call) {
  for (const CallRow& row : traced_calls()) {
    SCOPED_TRACE(row.name);
    EXPECT_LE(row.arguments, 6);
    EXPECT_LT(row.fd_argument, row.arguments);
    EXPECT_LT(row.second_fd_argument, row.arguments);
    // Which of the two it was is told with the entry (PROBE_ON_SECOND).
    EXPECT_FALSE(row.second_fd_argument >= 0 && row.told_at_return);
    EXPECT_LE(row.piece_count, row.pieces.size());
    for (std::size_t i = 0; i < row.piece_count; ++i) {
      const Piece& piece = row.pieces[i];
      EXPECT_LT(piece.pointer_argument, row.arguments);
      EXPECT_LT(piece.length_argument, row.arguments);
      EXPECT_GE(piece.length_argument, -2);
      EXPECT_GT(piece.constant, 0) << "a piece without a limit";
      EXPECT_GE(piece.element, 1);
      EXPECT_TRUE(piece.length_argument != -2 || piece.when == Piece::When::exit) << "no result at entry";
      if (piece.shape == Piece::Shape::value_length) {
        EXPECT_EQ(piece.when, Piece::When::exit);
        EXPECT_GE(piece.length_argument, 0);
      }
    }
  }
}

TEST(CallTable, a_call_that_is_recorded_only_on_tcp_says_how_that_is_known) {
  for (const CallRow& row : traced_calls())
    EXPECT_TRUE(!row.only_on_tcp || row.fd_argument >= 0 || row.number == SYS_socket) << row.name;
}

TEST(CallTable, numbers_that_are_not_in_it_have_no_row) {
  for (const long number : {-1L, -4096L, 511L, 512L, 0x40000000L + SYS_close, 1L << 40, static_cast<long>(SYS_getpid)})
    EXPECT_EQ(find_call(number), nullptr) << number;
}

TEST(CallTable, opening_shutting_and_closing_take_the_stack) {
  for (const long number : {SYS_socket, SYS_connect, SYS_accept4, SYS_shutdown, SYS_close})
    EXPECT_TRUE(find_call(number)->wants_stack);
  for (const long number : {SYS_write, SYS_read, SYS_sendto, SYS_recvfrom, SYS_epoll_pwait})
    EXPECT_FALSE(find_call(number)->wants_stack);
}

TEST(CallTable, which_sockets_are_tcp) {
  EXPECT_TRUE(makes_tcp_socket(AF_INET, SOCK_STREAM, 0));
  EXPECT_TRUE(makes_tcp_socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP));
  EXPECT_TRUE(makes_tcp_socket(0xdead'0000'0000ULL << 16 | AF_INET, SOCK_STREAM, 0)) << "the kernel takes an int";
  EXPECT_TRUE(makes_tcp_socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP))
      << "so that it can be said that it is not followed";
  EXPECT_FALSE(makes_tcp_socket(AF_UNIX, SOCK_STREAM, 0));
  EXPECT_FALSE(makes_tcp_socket(AF_INET, SOCK_DGRAM, 0));
  EXPECT_FALSE(makes_tcp_socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP));
}

}  // namespace
}  // namespace tcpwhy::calls
