// Each call of the table as it stands in registers and memory, spelled by calls/decode.h: strace's lines, and in none of them an address
// that was made up for it.
#include "lab/agents/call_image.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <rapidcheck/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "calls/call.h"
#include "calls/socket_options.h"
#include "calls/spelling/line.h"
#include "lab/agents/call.h"

namespace tcpwhy::lab {
namespace {

constexpr std::int32_t own_pid = 1234;

sockaddr_storage loopback(std::uint16_t port) {
  socklen_t length = 0;
  return to_sockaddr({*wire::IpAddress::parse("127.0.0.1"), port}, length);
}

// A call whose arguments all have some value, and which has come back with `result`.
struct Example {
  explicit Example(CallId id, std::int64_t result = 0) {
    call.id = id;
    call.fd = 4;
    call.passed_fd = 5;
    call.size = 64;
    call.number = 1;
    call.family = AF_INET;
    call.address = loopback(9999);
    call.address_length = sizeof(sockaddr_in);
    call.payload_length = static_cast<std::uint32_t>(payload.size());
    call.payload_repeat = 1;
    slot->result = result < 0 ? -1 : result;
    slot->error = result < 0 ? static_cast<std::int32_t>(-result) : 0;
    slot->other_fd = 201;
    slot->limit = {20, 1024};
    slot->address = loopback(40000);
    slot->address_length = sizeof(sockaddr_in);
  }

  Example&& with(auto&& change) && {
    change(*this);
    return std::move(*this);
  }
  void option(std::string_view name, std::int32_t first, std::int32_t second = 0) {
    call.option = option_row(name);
    call.values[0] = first;
    call.values[1] = second;
  }
  void pays(std::string bytes) {
    payload = std::move(bytes);
    call.payload_length = static_cast<std::uint32_t>(payload.size());
  }
  void received(std::string_view bytes) {
    slot->data_length = static_cast<std::uint32_t>(bytes.size());
    std::memcpy(slot->data, bytes.data(), bytes.size());
  }

  [[nodiscard]] std::string line() const {
    const std::string_view name = row_of(call.id).recorded_name;
    const auto entered = spell_entry({call, payload, *slot, false, own_pid});
    if (call.id == CallId::exit) return calls::unfinished_line(name, entered.arguments);
    const auto back = spell_return({call, payload, *slot, true, own_pid});
    return calls::returned_line(name, entered.arguments, back.result, back.error, back.detail);
  }

  ReadyCall call;
  std::string payload = "hello";
  std::unique_ptr<CallSlot> slot = std::make_unique<CallSlot>();
};

bool has_made_up_address(std::string_view line) {
  return line.find(fmt::format("{:#x}", CallImage::made_up).substr(0, 8)) != std::string_view::npos;
}

TEST(CallImage, of_every_call_is_spelled_and_no_made_up_address_is) {
  for (const CallRow& row : call_table()) {
    SCOPED_TRACE(row.name);
    const calls::CallRow* spelling = calls::find_call(row.recorded_name);
    ASSERT_NE(spelling, nullptr);
    ASSERT_NE(row.lay_out, nullptr);
    EXPECT_TRUE(spelling->enter != nullptr || row.id == CallId::fork);
    for (const std::int64_t result : {1, 0, -EBADF}) {
      const std::string line = Example(row.id, result).line();
      EXPECT_FALSE(has_made_up_address(line)) << line;
      EXPECT_TRUE(row.id == CallId::fork || line.find("()") == std::string::npos) << line;
    }
  }
}

TEST(CallImage, would_show_a_made_up_address_if_its_memory_were_not_there) {
  CallImage image;
  image.pass(4, image.put({}) + 1, 5);
  EXPECT_TRUE(has_made_up_address(calls::decode_entry(*calls::find_call("write"), image.registers, image).arguments));
}

TEST(CallImage, of_sockets) {
  const std::string any = "{sa_family=AF_INET, sin_port=htons(9999), sin_addr=inet_addr(\"127.0.0.1\")}";
  EXPECT_EQ(Example(CallId::socket, 4).line(), "socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 4");
  EXPECT_EQ(Example(CallId::bind).line(), "bind(4, " + any + ", 16) = 0");
  EXPECT_EQ(Example(CallId::listen).line(), "listen(4, 1) = 0");
  EXPECT_EQ(Example(CallId::accept, 5).line(),
            R"(accept(4, {sa_family=AF_INET, sin_port=htons(40000), sin_addr=inet_addr("127.0.0.1")}, [16]) = 5)");
  EXPECT_EQ(Example(CallId::accept, -EAGAIN).line(), "accept(4, ...) = -1 EAGAIN (Resource temporarily unavailable)");
  EXPECT_EQ(Example(CallId::connect, -ECONNREFUSED).line(),
            "connect(4, " + any + ", 16) = -1 ECONNREFUSED (Connection refused)");
  EXPECT_EQ(Example(CallId::connect).with([](Example& example) { example.call.address = {}; }).line(),
            R"(connect(4, {sa_family=AF_UNSPEC, sa_data="\0\0\0\0\0\0\0\0\0\0\0\0\0\0"}, 16) = 0)");
  EXPECT_EQ(Example(CallId::getsockname).line(),
            R"(getsockname(4, {sa_family=AF_INET, sin_port=htons(40000), sin_addr=inet_addr("127.0.0.1")}, [16]) = 0)");
  EXPECT_EQ(Example(CallId::shutdown).line(), "shutdown(4, SHUT_WR) = 0");
  EXPECT_EQ(Example(CallId::close).line(), "close(4) = 0");
  EXPECT_EQ(Example(CallId::dup, 5).line(), "dup(4) = 5");
  EXPECT_EQ(Example(CallId::fcntl).with([](Example& example) { example.call.flags = O_NONBLOCK; }).line(),
            "fcntl(4, F_SETFL, O_RDWR|O_NONBLOCK) = 0");
  EXPECT_EQ(Example(CallId::socketpair)
                .with([](Example& example) { example.slot->new_fd = 6, example.slot->second_value = 7; })
                .line(),
            "socketpair(AF_UNIX, SOCK_STREAM, 0, [6, 7]) = 0");
}

TEST(CallImage, of_options_and_polls) {
  EXPECT_EQ(Example(CallId::setsockopt).with([](Example& example) { example.option("TCP_NODELAY", 1); }).line(),
            "setsockopt(4, SOL_TCP, TCP_NODELAY, [1], 4) = 0");
  EXPECT_EQ(Example(CallId::setsockopt).with([](Example& example) { example.option("SO_LINGER", 1, 30); }).line(),
            "setsockopt(4, SOL_SOCKET, SO_LINGER, {l_onoff=1, l_linger=30}, 8) = 0");
  EXPECT_EQ(Example(CallId::setsockopt).with([](Example& example) { example.option("TCP_MD5SIG", 0); }).line(),
            R"(setsockopt(4, SOL_TCP, TCP_MD5SIG, {tcpm_addr={sa_family=AF_INET, sin_port=htons(9999), )"
            R"(sin_addr=inet_addr("127.0.0.1")}, tcpm_key="hello"}, 216) = 0)");
  const auto asked = [](std::string_view option, std::int64_t value, std::int64_t second, std::uint32_t length) {
    return Example(CallId::getsockopt)
        .with([&](Example& example) {
          example.option(option, 0);
          example.slot->value = value, example.slot->second_value = second, example.slot->value_length = length;
        })
        .line();
  };
  EXPECT_EQ(asked("SO_ERROR", ECONNRESET, 0, 4), "getsockopt(4, SOL_SOCKET, SO_ERROR, [ECONNRESET], [4]) = 0");
  EXPECT_EQ(asked("SO_LINGER", 1, 5, 8), "getsockopt(4, SOL_SOCKET, SO_LINGER, {l_onoff=1, l_linger=5}, [8]) = 0");
  const auto polled = [](std::int64_t result, std::int64_t events) {
    return Example(CallId::poll, result).with([&](Example& example) { example.slot->value = events; }).line();
  };
  EXPECT_EQ(polled(1, POLLIN | POLLRDHUP),
            "poll([{fd=4, events=POLLIN|POLLPRI|POLLOUT|POLLRDHUP}], 1, 1) = 1 ([{fd=4, revents=POLLIN|POLLRDHUP}])");
  EXPECT_EQ(polled(0, 0), "poll([{fd=4, events=POLLIN|POLLPRI|POLLOUT|POLLRDHUP}], 1, 1) = 0 (Timeout)");
}

TEST(CallImage, of_bytes) {
  EXPECT_EQ(Example(CallId::send, 5).with([](Example& example) { example.call.flags = MSG_NOSIGNAL; }).line(),
            R"(send(4, "hello", 5, MSG_NOSIGNAL) = 5)");
  EXPECT_EQ(Example(CallId::write, 4000).with([](Example& example) { example.call.payload_repeat = 800; }).line(),
            R"(write(4, "hellohellohellohellohellohellohe"..., 4000) = 4000)");
  EXPECT_EQ(Example(CallId::recv, 2).with([](Example& example) { example.received("hi"); }).line(),
            R"(recv(4, "hi", 64, 0) = 2)");
  EXPECT_EQ(Example(CallId::read, 0).line(), R"(read(4, "", 64) = 0)");
  EXPECT_EQ(Example(CallId::read, -ECONNRESET).line(), "read(4, ..., 64) = -1 ECONNRESET (Connection reset by peer)");
  EXPECT_EQ(
      Example(CallId::sendto, 5).line(),
      R"(sendto(4, "hello", 5, 0, {sa_family=AF_INET, sin_port=htons(9999), sin_addr=inet_addr("127.0.0.1")}, 16) = 5)");
  EXPECT_EQ(Example(CallId::sendmsg, 5).line(),
            R"(sendmsg(4, {msg_name=NULL, msg_namelen=0, msg_iov=[{iov_base="hello", iov_len=5}], msg_iovlen=1, )"
            "msg_controllen=0, msg_flags=0}, 0) = 5");
  EXPECT_EQ(Example(CallId::writev, 5).line(),
            R"(writev(4, [{iov_base="he", iov_len=2}, {iov_base="llo", iov_len=3}], 2) = 5)");
  EXPECT_EQ(Example(CallId::sendfile, 64).line(), "sendfile(4, 201, NULL, 64) = 64");
  EXPECT_EQ(Example(CallId::splice, 64).line(), "splice(201, NULL, 4, NULL, 64, 0) = 64");
}

TEST(CallImage, of_passed_descriptors) {
  EXPECT_EQ(
      Example(CallId::send_fd, 1).line(),
      R"(sendmsg(4, {msg_name=NULL, msg_namelen=0, msg_iov=[{iov_base="f", iov_len=1}], msg_iovlen=1, )"
      "msg_control=[{cmsg_len=20, cmsg_level=SOL_SOCKET, cmsg_type=SCM_RIGHTS, cmsg_data=[5]}], msg_controllen=24, "
      "msg_flags=0}, MSG_NOSIGNAL) = 1");
  EXPECT_EQ(
      Example(CallId::recv_fd, 1)
          .with([](Example& example) {
            example.received("f");
            example.slot->new_fd = 6;
          })
          .line(),
      R"(recvmsg(4, {msg_name=NULL, msg_namelen=0, msg_iov=[{iov_base="f", iov_len=1}], msg_iovlen=1, )"
      "msg_control=[{cmsg_len=20, cmsg_level=SOL_SOCKET, cmsg_type=SCM_RIGHTS, cmsg_data=[6]}], msg_controllen=24, "
      "msg_flags=0}, 0) = 1");
}

TEST(CallImage, of_signals_timers_and_limits) {
  const auto signal = [](CallId id, std::int64_t result, auto&& change) {
    return Example(id, result)
        .with([&](Example& example) {
          example.call.number = SIGPIPE;
          change(example);
        })
        .line();
  };
  const auto disposed = [&](Disposition disposition) {
    return signal(CallId::signal, 0, [&](Example& example) { example.call.disposition = disposition; });
  };
  EXPECT_EQ(disposed(Disposition::ignore),
            "rt_sigaction(SIGPIPE, {sa_handler=SIG_IGN, sa_mask=[], sa_flags=0}, NULL, 8) = 0");
  EXPECT_EQ(disposed(Disposition::default_action),
            "rt_sigaction(SIGPIPE, {sa_handler=SIG_DFL, sa_mask=[], sa_flags=0}, NULL, 8) = 0");
  EXPECT_EQ(disposed(Disposition::handle).substr(0, 36), "rt_sigaction(SIGPIPE, {sa_handler=0x");
  EXPECT_EQ(signal(CallId::kill, 0, [](Example&) {}), "kill(1234, SIGPIPE) = 0");
  EXPECT_EQ(signal(CallId::sigprocmask, 0, [](Example& example) { example.call.flags = SIG_BLOCK; }),
            "rt_sigprocmask(SIG_BLOCK, [PIPE], NULL, 8) = 0");
  EXPECT_EQ(signal(CallId::sigtimedwait, SIGPIPE,
                   [](Example& example) {
                     siginfo_t info{};
                     info.si_signo = SIGPIPE, info.si_code = SI_USER, info.si_pid = 3, info.si_uid = 1000;
                     std::memcpy(example.slot->data, &info, sizeof info);
                     example.slot->value = 1;
                   }),
            "rt_sigtimedwait([PIPE], {si_signo=SIGPIPE, si_code=SI_USER, si_pid=1234, si_uid=1000}, {tv_sec=0, "
            "tv_nsec=0}, 8) = 13");
  EXPECT_EQ(
      Example(CallId::setitimer).with([](Example& example) { example.call.number = 1500; }).line(),
      "setitimer(ITIMER_REAL, {it_interval={tv_sec=0, tv_usec=0}, it_value={tv_sec=1, tv_usec=500000}}, NULL) = 0");
  EXPECT_EQ(Example(CallId::setrlimit).line(), "prlimit64(0, RLIMIT_NOFILE, {rlim_cur=20, rlim_max=1024}, NULL) = 0");
}

TEST(CallImage, of_processes) {
  EXPECT_EQ(Example(CallId::exit).line(), "exit_group(1 <unfinished ...>");
  EXPECT_EQ(Example(CallId::fork, 99).line(), "fork() = 99");
  std::size_t variables = 0;
  while (environ[variables] != nullptr) ++variables;
  EXPECT_EQ(Example(CallId::exec)
                .with([](Example& example) {
                  example.pays(
                      std::string("sleep\0"
                                  "1\0",
                                  8));
                })
                .line(),
            fmt::format("execve(\"sleep\", [\"sleep\", \"1\"], {} /* {} var{} */) = 0", fmt::ptr(environ), variables,
                        variables == 1 ? "" : "s"))
      << "the environment where it is: agents are forks";
}

// Whatever a scenario asks for, and however it ends.
RC_GTEST_PROP(CallImageProperty, no_made_up_address_is_ever_told, ()) {
  const auto small = rc::gen::inRange<std::int32_t>(-2, 70);
  for (const CallRow& row : call_table()) {
    Example example(row.id, *rc::gen::element<std::int64_t>(-EAGAIN, -EPIPE, 0, 1, 5, 64, 2048, 1 << 20));
    example.pays(*rc::gen::container<std::string>(rc::gen::arbitrary<char>()) +
                 (row.id == CallId::exec ? std::string(1, '\0') : ""));
    example.call.payload_repeat = *rc::gen::inRange<std::uint32_t>(0, 3);
    if (row.id == CallId::exec) example.call.payload_repeat = 1;
    example.call.fd = *small, example.call.passed_fd = *small, example.call.flags = *small;
    example.call.number = std::clamp(*small, 0, 64), example.call.family = *small;
    example.call.size = *rc::gen::element<std::uint64_t>(0, 1, 64, 16 << 20);
    example.call.option =
        *rc::gen::inRange<std::uint16_t>(0, static_cast<std::uint16_t>(calls::socket_options().size()));
    example.call.disposition = *rc::gen::element(Disposition::default_action, Disposition::ignore, Disposition::handle);
    const auto length = rc::gen::inRange<socklen_t>(0, 128);
    example.call.address.ss_family = static_cast<sa_family_t>(std::clamp(*small, 0, 70));
    example.call.address_length = *length;
    example.slot->address.ss_family = static_cast<sa_family_t>(std::clamp(*small, 0, 70));
    example.slot->address_length = *length;
    example.slot->value = *small, example.slot->second_value = *small, example.slot->value_length = *length;
    example.slot->new_fd = *small, example.slot->other_fd = *small;
    const std::string line = example.line();
    RC_LOG() << line << "\n";
    RC_ASSERT(!has_made_up_address(line));
  }
}

}  // namespace
}  // namespace tcpwhy::lab
