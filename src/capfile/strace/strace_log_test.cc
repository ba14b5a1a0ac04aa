// Lines of strace 6.1, as -f -ttt -yy -e trace=network,desc,process,close_range writes them.
#include "capfile/strace/strace_log.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace tcpwhy::capfile {
namespace {

using recording::CallEntered;
using recording::CallReturned;

constexpr std::string_view log_of_a_connection =
    R"(6120  1795646923.086010 socket(AF_INET, SOCK_STREAM|SOCK_CLOEXEC, IPPROTO_IP) = 3<TCP:[2895063]>
6120  1795646923.087172 bind(3<TCP:[2895063]>, {sa_family=AF_INET, sin_port=htons(0), sin_addr=inet_addr("127.0.0.1")}, 16) = 0
6120  1795646923.087539 listen(3<TCP:[127.0.0.1:40497]>, 128) = 0
6120  1795646923.088466 accept4(3<TCP:[127.0.0.1:40497]>,  <unfinished ...>
6121  1795646923.100521 close(3<TCP:[127.0.0.1:40497]>) = 0
6121  1795646923.100619 socket(AF_INET, SOCK_STREAM|SOCK_CLOEXEC, IPPROTO_IP) = 3<TCP:[2895902]>
6121  1795646923.101260 connect(3<TCP:[2895902]>, {sa_family=AF_INET, sin_port=htons(40497), sin_addr=inet_addr("127.0.0.1")}, 16 <unfinished ...>
6120  1795646923.101735 <... accept4 resumed>{sa_family=AF_INET, sin_port=htons(37942), sin_addr=inet_addr("127.0.0.1")}, [16], SOCK_CLOEXEC) = 4<TCP:[127.0.0.1:40497->127.0.0.1:37942]>
6121  1795646923.102018 <... connect resumed>) = 0
6121  1795646923.102210 sendto(3<TCP:[127.0.0.1:37942->127.0.0.1:40497]>, "hello\n\1\377", 8, 0, NULL, 0) = 8
6122  1795646923.103330 recvfrom(4<TCP:[127.0.0.1:40497->127.0.0.1:37942]>, "hello\n\1\377", 100, 0, NULL, NULL) = 8
6120  1795646923.103587 close(4<TCP:[127.0.0.1:40497->127.0.0.1:37942]>) = 0
6122  1795646923.103770 +++ exited with 0 +++
6121  1795646923.203526 sendto(3<TCP:[127.0.0.1:37942->127.0.0.1:40497]>, "x", 1, 0, NULL, 0) = -1 EPIPE (Broken pipe)
6121  1795646923.203689 --- SIGPIPE {si_signo=SIGPIPE, si_code=SI_USER, si_pid=6121, si_uid=0} ---
6121  1795646923.204110 +++ killed by SIGPIPE +++
6120  1795646923.204121 --- SIGCHLD {si_signo=SIGCHLD, si_code=CLD_KILLED, si_pid=6121, si_uid=0, si_status=SIGPIPE} ---
)";

StraceLog parsed(std::string_view text) {
  auto log = parse_strace(text, "test");
  EXPECT_TRUE(log) << log.error().message.en;
  return log ? std::move(*log) : StraceLog{};
}

// The events as strace's lines, calls by their returns.
std::vector<std::string> lines_of(const recording::Recording& calls) {
  std::vector<std::string> lines;
  for (const auto& event : calls.events)
    if (!std::holds_alternative<CallEntered>(event.what)) lines.push_back(recording::message(calls, event));
  return lines;
}

const CallEntered* call_named(const recording::Recording& calls, std::string_view name, int which = 0) {
  for (const auto& event : calls.events)
    if (const auto* entered = std::get_if<CallEntered>(&event.what))
      if (entered->name == name && which-- == 0) return entered;
  return nullptr;
}
const recording::Event* return_of(const recording::Recording& calls, const CallEntered* entered) {
  for (const auto& event : calls.events)
    if (const auto* returned = std::get_if<CallReturned>(&event.what))
      if (returned->call == entered->call) return &event;
  return nullptr;
}

std::string text_of(const std::optional<wire::SocketAddress>& address) {
  return address ? wire::to_string(*address) : "none";
}

TEST(StraceLog, every_line_becomes_its_call_again) {
  const StraceLog log = parsed(log_of_a_connection);
  EXPECT_EQ(log.lines, 17U);
  EXPECT_EQ(log.not_understood, 0U);
  EXPECT_EQ(
      lines_of(log.calls),
      (std::vector<std::string>{
          "socket(AF_INET, SOCK_STREAM|SOCK_CLOEXEC, IPPROTO_IP) = 3",
          R"(bind(3, {sa_family=AF_INET, sin_port=htons(0), sin_addr=inet_addr("127.0.0.1")}, 16) = 0)",
          "listen(3, 128) = 0", "close(3) = 0", "socket(AF_INET, SOCK_STREAM|SOCK_CLOEXEC, IPPROTO_IP) = 3",
          R"(accept4(3, {sa_family=AF_INET, sin_port=htons(37942), sin_addr=inet_addr("127.0.0.1")}, [16], SOCK_CLOEXEC) = 4)",
          R"(connect(3, {sa_family=AF_INET, sin_port=htons(40497), sin_addr=inet_addr("127.0.0.1")}, 16) = 0)",
          R"(sendto(3, "hello\n\1\377", 8, 0, NULL, 0) = 8)", R"(recvfrom(4, "hello\n\1\377", 100, 0, NULL, NULL) = 8)",
          "close(4) = 0", "+++ exited with 0 +++", R"(sendto(3, "x", 1, 0, NULL, 0) = -1 EPIPE (Broken pipe))",
          "--- SIGPIPE ---", "+++ killed by SIGPIPE +++"}));
}

TEST(StraceLog, sockets_are_followed_through_descriptors_threads_and_children) {
  const StraceLog log = parsed(log_of_a_connection);
  const auto* accept = call_named(log.calls, "accept4");
  const auto& accepted = std::get<CallReturned>(return_of(log.calls, accept)->what);
  EXPECT_EQ(text_of(accepted.local), "127.0.0.1:40497");
  EXPECT_EQ(text_of(accepted.remote), "127.0.0.1:37942");
  EXPECT_EQ(accept->socket, call_named(log.calls, "listen")->socket);
  EXPECT_EQ(call_named(log.calls, "close")->socket, accept->socket) << "the child's copy of the listener";
  EXPECT_EQ(call_named(log.calls, "recvfrom")->socket, accepted.socket) << "in another thread";
  const auto* connect = call_named(log.calls, "connect");
  EXPECT_NE(connect->socket, 0U);
  EXPECT_NE(connect->socket, accepted.socket);
  EXPECT_EQ(connect->socket, call_named(log.calls, "sendto")->socket);
  const auto& connected = std::get<CallReturned>(return_of(log.calls, connect)->what);
  EXPECT_EQ(text_of(connected.local), "127.0.0.1:37942") << "known from the next call only";
}

TEST(StraceLog, times_are_those_of_the_lines) {
  const StraceLog log = parsed(log_of_a_connection);
  const auto us = [](const recording::Event* event) { return base::to_ns(event->at) / 1000 % 1'000'000; };
  EXPECT_EQ(us(return_of(log.calls, call_named(log.calls, "connect"))), 102018) << "resumed";
  EXPECT_EQ(us(return_of(log.calls, call_named(log.calls, "recvfrom"))), 103587) << "may wait: up to the next line";
  EXPECT_EQ(us(return_of(log.calls, call_named(log.calls, "sendto", 1))), 203689) << "no later than the next line";
  EXPECT_EQ(us(return_of(log.calls, call_named(log.calls, "close", 1))), 103770);
  const StraceLog with_durations = parsed(
      "7 1795646923.000100 socket(AF_INET, SOCK_STREAM, 0) = 3<TCP:[9]> <0.000021>\n"
      "7 1795646923.500000 close(3<TCP:[9]>) = 0 <0.000012>\n");
  EXPECT_EQ(us(return_of(with_durations.calls, call_named(with_durations.calls, "socket"))), 30121)
      << "-T counts from when the arguments have been decoded";
  const StraceLog alone = parsed(
      "7 1795646923.000100 socket(AF_INET, SOCK_STREAM, 0) = 3<TCP:[9]>\n"
      "7 1795646923.500000 close(3<TCP:[9]>) = 0\n");
  EXPECT_EQ(us(return_of(alone.calls, call_named(alone.calls, "socket"))), 30100) << "need not wait";
}

// Of a broken pipe, of raise().
TEST(StraceLog, a_sigpipe_of_another_cause_belongs_to_no_call) {
  const auto call_of_sigpipe = [](const std::string& lines) {
    const StraceLog log = parsed(
        "7 1795646923.1 socket(AF_INET, SOCK_STREAM, 0) = 3<TCP:[9]>\n"
        "7 1795646923.2 sendto(3<TCP:[1.1.1.1:1->1.1.1.2:2]>, \"x\", 1, 0, NULL, 0) = -1 EPIPE (Broken pipe)\n" +
        lines);
    const auto signal = std::ranges::find_if(
        log.calls.events, [](const auto& event) { return std::holds_alternative<recording::Signal>(event.what); });
    return std::get<recording::Signal>(signal->what).call;
  };
  const std::string by_kernel =
      "7 1795646923.4 --- SIGPIPE {si_signo=SIGPIPE, si_code=SI_USER, si_pid=7, si_uid=0} ---\n";
  EXPECT_TRUE(call_of_sigpipe(by_kernel));
  for (const std::string_view code : {"0", "0 /* SI_USER */"}) {  // strace -X raw, -X verbose
    const std::string line = "7 1795646923.4 --- SIGPIPE {si_signo=13, si_code=";
    EXPECT_TRUE(call_of_sigpipe(line + std::string(code) + ", si_pid=7, si_uid=0} ---\n")) << code;
  }
  EXPECT_FALSE(call_of_sigpipe("7 1795646923.3 write(5<pipe:[8]>, \"x\", 1) = -1 EPIPE (Broken pipe)\n" + by_kernel));
  EXPECT_FALSE(call_of_sigpipe("7 1795646923.3 rt_sigprocmask(SIG_UNBLOCK, [PIPE], NULL, 8) = 0\n" + by_kernel));
  EXPECT_FALSE(
      call_of_sigpipe("7 1795646923.4 --- SIGPIPE {si_signo=SIGPIPE, si_code=SI_TKILL, si_pid=7, si_uid=0} ---\n"));
}

TEST(StraceLog, a_signal_belongs_to_the_call_that_raised_it_and_an_end_to_the_call_it_cut_short) {
  const StraceLog log = parsed(
      "7 1795646923.1 socket(AF_INET, SOCK_STREAM, 0) = 3<TCP:[9]>\n"
      "7 1795646923.2 sendto(3<TCP:[1.1.1.1:1->1.1.1.2:2]>, \"x\", 1, 0, NULL, 0) = -1 EPIPE (Broken pipe)\n"
      "7 1795646923.3 --- SIGPIPE {si_signo=SIGPIPE} ---\n"
      "7 1795646923.4 recvfrom(3<TCP:[1.1.1.1:1->1.1.1.2:2]>,  <unfinished ...>) = ?\n"
      "7 1795646923.5 recvfrom(3<TCP:[1.1.1.1:1->1.1.1.2:2]>,  <unfinished ...>\n"
      "7 1795646923.6 +++ killed by SIGKILL (core dumped) +++\n");
  const auto& signal = std::get<recording::Signal>(std::ranges::find_if(log.calls.events, [](const auto& event) {
                                                     return std::holds_alternative<recording::Signal>(event.what);
                                                   })->what);
  EXPECT_EQ(signal.call, call_named(log.calls, "sendto")->call);
  const auto& ended = std::get<recording::ProcessEnded>(log.calls.events.back().what);
  EXPECT_EQ(ended.signal, "SIGKILL");
  EXPECT_EQ(ended.call, call_named(log.calls, "recvfrom", 1)->call);
}

TEST(StraceLog, without_yy_descriptors_are_followed_from_the_calls_that_made_them) {
  const StraceLog log = parsed(
      "[pid  7] 1795646923.1 socket(AF_INET6, SOCK_STREAM|SOCK_NONBLOCK, IPPROTO_TCP) = 5\n"
      "[pid  7] 1795646923.2 connect(5, {sa_family=AF_INET6, sin6_port=htons(80), sin6_flowinfo=htonl(0), "
      "inet_pton(AF_INET6, \"::1\", &sin6_addr), sin6_scope_id=0}, 28) = -1 EINPROGRESS (Operation now in progress)\n"
      "[pid  7] 1795646923.3 getsockname(5, {sa_family=AF_INET6, sin6_port=htons(4000), sin6_flowinfo=htonl(0), "
      "inet_pton(AF_INET6, \"::1\", &sin6_addr), sin6_scope_id=0}, [28]) = 0\n"
      "[pid  7] 1795646923.4 dup(5) = 6\n"
      "[pid  7] 1795646923.5 write(6, \"x\", 1) = 1\n"
      "[pid  7] 1795646923.6 write(1, \"y\", 1) = 1\n"
      "[pid  7] 1795646923.7 close(5) = 0\n");
  const auto* write = call_named(log.calls, "write");
  EXPECT_EQ(write->socket, call_named(log.calls, "connect")->socket);
  EXPECT_EQ(text_of(write->local), "[::1]:4000");
  EXPECT_EQ(text_of(write->remote), "[::1]:80");
  EXPECT_EQ(write->byte_count, 1U);
  EXPECT_EQ(call_named(log.calls, "write", 1), nullptr) << "no socket";
  const auto& connected = std::get<CallReturned>(return_of(log.calls, call_named(log.calls, "connect"))->what);
  EXPECT_EQ(connected.result, -1);
  EXPECT_EQ(connected.error, EINPROGRESS);
}

// dup2() over a socket closes it; close_range() closes all that it finds; a duplicate by fcntl() is another descriptor of the same socket.
TEST(StraceLog, descriptors_end_and_multiply_by_other_calls_than_close_and_dup) {
  const StraceLog log = parsed(
      "7 1795646923.1 socket(AF_INET, SOCK_STREAM, 0) = 3\n"
      "7 1795646923.2 fcntl(3, F_DUPFD_CLOEXEC, 10) = 10\n"
      "7 1795646923.3 fcntl(3, F_GETFL) = 0x2 (flags O_RDWR)\n"
      "7 1795646923.4 dup2(1, 3) = 3\n"
      "7 1795646923.5 write(3, \"to a terminal\", 13) = 13\n"
      "7 1795646923.6 epoll_ctl(4, EPOLL_CTL_ADD, 10, {events=EPOLLIN, data={u32=0, u64=0}}) = 0\n"
      "7 1795646923.7 close_range(5, 4294967295, CLOSE_RANGE_CLOEXEC) = 0\n"
      "7 1795646923.8 close_range(5, 4294967295, 0) = 0\n"
      "7 1795646923.9 write(10, \"y\", 1) = -1 EBADF (Bad file descriptor)\n");
  EXPECT_EQ(lines_of(log.calls),
            (std::vector<std::string>{"socket(AF_INET, SOCK_STREAM, 0) = 3", "fcntl(3, F_DUPFD_CLOEXEC, 10) = 10",
                                      "fcntl(3, F_GETFL) = 2 (flags O_RDWR)", "dup2(1, 3) = 3",
                                      "epoll_ctl(4, EPOLL_CTL_ADD, 10, {events=EPOLLIN, data={u32=0, u64=0}}) = 0",
                                      "close_range(5, 4294967295, 0) = 0"}));
  const auto socket = std::get<CallReturned>(return_of(log.calls, call_named(log.calls, "socket"))->what).socket;
  const auto* over = call_named(log.calls, "dup2");
  EXPECT_EQ(over->socket, socket);
  EXPECT_EQ(over->fd, 3);
  EXPECT_EQ(call_named(log.calls, "epoll_ctl")->socket, socket);
  EXPECT_EQ(call_named(log.calls, "close_range")->socket, socket);
  EXPECT_EQ(call_named(log.calls, "close_range")->fd, 10);
}

TEST(StraceLog, a_program_that_is_executed_by_a_descriptor_names_its_process) {
  const StraceLog log = parsed(
      "7 1795646923.1 execveat(3</usr/sbin>, \"nginx\", [\"nginx\"], 0x7ffe /* 9 vars */, 0) = 0\n"
      "7 1795646923.2 socket(AF_INET, SOCK_STREAM, 0) = 3\n");
  ASSERT_EQ(log.calls.actors.size(), 1U);
  EXPECT_EQ(log.calls.actors[0].name, "nginx");
}

// Of what a process does elsewhere its last call is told: until then it had not ended, and what left before did not leave by its end.
TEST(StraceLog, a_process_that_went_on_had_not_ended) {
  const StraceLog log = parsed(
      "7 1795646923.1 socket(AF_INET, SOCK_STREAM, 0) = 3\n"
      "7 1795646923.2 connect(3, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr(\"1.1.1.2\")}, 16) = 0\n"
      "7 1795646923.3 read(9, \"x\", 1) = 1\n"
      "7 1795646923.4 clock_nanosleep(CLOCK_REALTIME, 0, {tv_sec=1, tv_nsec=0}, NULL) = 0\n"
      "7 1795646924.5 exit_group(0) = ?\n"
      "7 1795646924.6 +++ exited with 0 +++\n"
      "8 1795646924.7 getpid() = 8\n");
  EXPECT_EQ(call_named(log.calls, "read"), nullptr);
  EXPECT_EQ(call_named(log.calls, "exit_group"), nullptr);
  EXPECT_EQ(call_named(log.calls, "getpid"), nullptr) << "did not end in this log";
  const auto* last = call_named(log.calls, "clock_nanosleep");
  ASSERT_NE(last, nullptr);
  EXPECT_EQ(last->socket, 0U);
  ASSERT_NE(return_of(log.calls, last), nullptr);
}

TEST(StraceLog, keeps_the_calls_of_one_connection) {
  const StraceLog log =
      parsed(std::string(log_of_a_connection) +
             "6130  1795646924.1 socket(AF_INET, SOCK_STREAM, 0) = 9<TCP:[77]>\n"
             "6130  1795646924.2 sendto(9<TCP:[10.0.0.1:5->10.0.0.2:6]>, \"other\", 5, 0, NULL, 0) = 5\n"
             "6130  1795646924.3 +++ exited with 0 +++\n");
  const auto address = [](std::uint16_t port) {
    return wire::SocketAddress{*wire::IpAddress::parse("127.0.0.1"), port};
  };
  const auto kept = calls_between(log.calls, address(37942), address(40497));
  EXPECT_EQ(lines_of(kept).size(), 14U);
  EXPECT_NE(call_named(kept, "listen"), nullptr);
  EXPECT_NE(call_named(kept, "connect"), nullptr);
  for (const auto& line : lines_of(kept)) EXPECT_EQ(line.find("other"), std::string::npos);
  EXPECT_TRUE(calls_between(log.calls, address(1), address(2)).events.empty());
}

TEST(StraceLog, says_what_it_cannot_read) {
  const auto message = [](std::string_view text) {
    const auto log = parse_strace(text, "x.log");
    return log ? std::string("read") : log.error().message.en;
  };
  EXPECT_EQ(message(""), "x.log: not a log of strace");
  EXPECT_EQ(message("GET / HTTP/1.1\n\x01\x02\n"), "x.log: not a log of strace");
  EXPECT_EQ(message("7 13:02:01.123456 close(3) = 0\n"), "x.log: its lines have no absolute time");
  EXPECT_EQ(message("7      0.000025 close(3) = 0\n"), "x.log: its lines have no absolute time");
  EXPECT_EQ(read_strace("/nonexistent/x.log").error().kind, base::ErrorKind::unreadable);
  EXPECT_EQ(parsed("7 1795646923.1 close(3) = 0\nnonsense\n").not_understood, 1U);
}

TEST(StraceLog, memory_is_bounded_and_what_is_left_out_is_said) {
  std::string text;
  for (int i = 0; i < 1000; ++i)
    text += "7 1795646923.1 sendto(3<TCP:[1.1.1.1:1->1.1.1.2:2]>, \"x\", 1, 0, NULL, 0) = 1\n";
  const auto log = parse_strace(text, "test", {.line_bytes = 1000, .memory_bytes = 20000});
  ASSERT_TRUE(log);
  EXPECT_LT(log->calls.events.size(), 200U);
  EXPECT_TRUE(std::ranges::any_of(
      log->calls.events, [](const auto& event) { return std::holds_alternative<recording::Loss>(event.what); }));
}

}  // namespace
}  // namespace tcpwhy::capfile
