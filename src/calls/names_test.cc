// Names of the kernel's numbers, read as people write them.
#include "calls/names.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <csignal>
#include <set>

#include "calls/socket_options.h"

namespace tcpwhy::calls {
namespace {

TEST(Names, are_found_in_any_case_and_without_their_prefix) {
  EXPECT_EQ(value_named(shutdown_ways(), "SHUT_WR", "SHUT_"), std::uint64_t{SHUT_WR});
  EXPECT_EQ(value_named(shutdown_ways(), "rdwr", "SHUT_"), std::uint64_t{SHUT_RDWR});
  EXPECT_EQ(value_named(message_flags(), "msg_NoSignal", "MSG_"), std::uint64_t{MSG_NOSIGNAL});
  EXPECT_EQ(value_named(poll_events(), "HUP", "POLL"), std::uint64_t{POLLHUP});
  EXPECT_FALSE(value_named(shutdown_ways(), "", "SHUT_"));
  EXPECT_FALSE(value_named(shutdown_ways(), "SHUT", "SHUT_"));
}

TEST(Names, of_signals_and_errors_read_back_what_they_spell) {
  for (int signal = 1; signal <= 64; ++signal) EXPECT_EQ(signal_named(signal_name(signal)), signal);
  EXPECT_EQ(signal_named("pipe"), SIGPIPE);
  EXPECT_EQ(signal_named("sigpipe"), SIGPIPE);
  for (const char* none : {"", "SIG", "13", "SIG13", "SIGNOTHING"}) EXPECT_EQ(signal_named(none), 0) << none;
  for (const int error : {EPERM, EPIPE, ECONNRESET, EHWPOISON}) EXPECT_EQ(error_named(error_name(error)), error);
  EXPECT_EQ(error_named("EWOULDBLOCK"), EAGAIN);
  EXPECT_EQ(error_named("epipe"), 0);
  EXPECT_EQ(error_name(4711), "errno 4711");
}

TEST(Names, of_options_stand_once_and_level_by_level) {
  std::set<std::string_view> names;
  std::set<std::uint64_t> levels;
  std::set<std::pair<std::uint64_t, std::uint64_t>> numbers;
  std::uint64_t before = 0;
  for (const SocketOption& option : socket_options()) {
    EXPECT_TRUE(names.insert(option.name).second) << option.name;
    EXPECT_TRUE(numbers.emplace(option.level, option.number).second) << option.name;
    EXPECT_TRUE(levels.insert(option.level).second || option.level == before) << option.name;
    EXPECT_EQ(find_option(option.name), &option);
    EXPECT_EQ(find_option(option.level, option.number), &option);
    before = option.level;
  }
  EXPECT_EQ(find_option("so_linger"), find_option(SOL_SOCKET, SO_LINGER));
  EXPECT_EQ(find_option("SO_NOTHING"), nullptr);
}

}  // namespace
}  // namespace tcpwhy::calls
