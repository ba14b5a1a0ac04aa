// The spelling of calls, held against strace 6.1's by hand; the memory of the traced process is a map in the test.
#include "calls/decode.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <rapidcheck/gtest.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstring>
#include <string>

#include "calls/machine.h"
#include "calls/memory_image.h"
#include "calls/spelling/line.h"

namespace tcpwhy::calls {
namespace {

class FakeMemory : public MemoryImage {
 public:
  FakeMemory() : MemoryImage(0x7000'0000'0000) {}
  std::vector<std::uint8_t> read(std::uint64_t address, std::size_t length) const override {
    most_asked = std::max(most_asked, length);
    return MemoryImage::read(address, length);
  }

  // Returns where it stands.
  std::uint64_t put(const void* bytes, std::size_t size) {
    return MemoryImage::put({static_cast<const std::byte*>(bytes), size});
  }
  template <class T>
  std::uint64_t put(const T& value) {
    return put_value(value);
  }

  mutable std::size_t most_asked = 0;
};

class DecodeTest : public ::testing::Test {
 protected:
  // The whole line of a call that returned `result`; a call that did not return has none.
  std::string line(long number, const SyscallArguments& arguments, std::optional<std::int64_t> result) {
    return row_line(find_call(number), arguments, result);
  }
  std::string named_line(std::string_view name, const SyscallArguments& arguments, std::optional<std::int64_t> result) {
    return row_line(find_call(name), arguments, result);
  }
  std::string row_line(const CallRow* row, const SyscallArguments& arguments, std::optional<std::int64_t> result) {
    entered = decode_entry(*row, arguments, memory);
    returned = {};
    if (!result) return unfinished_line(row->name, entered.arguments);
    returned = decode_return(*row, arguments, *result, memory);
    return returned_line(row->name, entered.arguments, returned.result, returned.error, returned.detail);
  }
  std::uint64_t v4(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return memory.put(address);
  }

  FakeMemory memory;
  Entry entered;
  Return returned;
};

constexpr std::uint64_t minus_one = UINT64_MAX;

TEST_F(DecodeTest, sockets_are_made_and_named) {
  EXPECT_EQ(line(SYS_socket, {AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0}, 5),
            "socket(AF_INET, SOCK_STREAM|SOCK_CLOEXEC, IPPROTO_IP) = 5");
  EXPECT_EQ(returned.new_fd, 5);
  EXPECT_EQ(line(SYS_socket, {0x1234, 0x77, 99}, -97),
            "socket(0x1234 /* AF_??? */, 0x7 /* SOCK_??? */|0x70 /* SOCK_??? */, 99) = -1 EAFNOSUPPORT (Address family "
            "not supported by protocol)");
  EXPECT_EQ(returned.new_fd, std::nullopt);
  EXPECT_EQ(line(SYS_bind, {3, v4(9999), 16}, 0),
            R"(bind(3, {sa_family=AF_INET, sin_port=htons(9999), sin_addr=inet_addr("127.0.0.1")}, 16) = 0)");
  EXPECT_EQ(line(SYS_listen, {3, 128}, 0), "listen(3, 128) = 0");
  EXPECT_EQ(
      line(SYS_connect, {3, v4(80), 16}, -111),
      R"(connect(3, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}, 16) = -1 ECONNREFUSED )"
      "(Connection refused)");
  EXPECT_EQ(entered.fd, 3);
  EXPECT_EQ(line(SYS_connect, {3, 0x10, 16}, -14), "connect(3, 0x10, 16) = -1 EFAULT (Bad address)");
  EXPECT_EQ(line(SYS_connect, {3, v4(80), minus_one}, std::nullopt).substr(0, 13), "connect(3, 0x");
}

TEST_F(DecodeTest, other_families_of_addresses) {
  sockaddr_in6 six{};
  six.sin6_family = AF_INET6;
  six.sin6_port = htons(443);
  six.sin6_addr = in6addr_loopback;
  six.sin6_scope_id = 2;
  EXPECT_EQ(
      line(SYS_connect, {3, memory.put(six), sizeof six}, 0),
      R"(connect(3, {sa_family=AF_INET6, sin6_port=htons(443), sin6_flowinfo=htonl(0), inet_pton(AF_INET6, "::1", )"
      "&sin6_addr), sin6_scope_id=2}, 28) = 0");
  const sockaddr none{};
  EXPECT_EQ(line(SYS_connect, {3, memory.put(none), 16}, 0),
            R"(connect(3, {sa_family=AF_UNSPEC, sa_data="\0\0\0\0\0\0\0\0\0\0\0\0\0\0"}, 16) = 0)");
  EXPECT_EQ(line(SYS_connect, {3, memory.put(six), 4}, -22),
            R"(connect(3, {sa_family=AF_INET6, sa_data="\1\273"}, 4) = -1 EINVAL (Invalid argument))");
  sockaddr_un local{AF_UNIX, "/run/x"};
  EXPECT_EQ(line(SYS_connect, {3, memory.put(local), sizeof local}, 0),
            R"(connect(3, {sa_family=AF_UNIX, sun_path="/run/x"}, 110) = 0)");
}

TEST_F(DecodeTest, accept_hands_back_the_peer_at_its_place) {
  const int length = 16;
  EXPECT_EQ(line(SYS_accept4, {3, v4(40000), memory.put(length), SOCK_NONBLOCK | SOCK_CLOEXEC}, 7),
            R"(accept4(3, {sa_family=AF_INET, sin_port=htons(40000), sin_addr=inet_addr("127.0.0.1")}, [16], )"
            "SOCK_CLOEXEC|SOCK_NONBLOCK) = 7");
  EXPECT_EQ(line(SYS_accept, {3, 0, 0}, 7), "accept(3, NULL, NULL) = 7");
  EXPECT_EQ(line(SYS_accept, {3, v4(1), 5}, -11), "accept(3, ...) = -1 EAGAIN (Resource temporarily unavailable)");
  EXPECT_EQ(line(SYS_accept, {3, v4(1), 5}, std::nullopt), "accept(3, <unfinished ...>");
}

TEST_F(DecodeTest, payload_is_shown_as_far_as_strace_does) {
  EXPECT_EQ(line(SYS_write, {4, memory.put_text("hello\n"), 6}, 6), R"(write(4, "hello\n", 6) = 6)");
  EXPECT_EQ(entered.byte_count, 6U);
  const std::uint64_t text = memory.put_text("hello \"quoted\"\n\t\\ \1\2\0034 \377 and a tail that is longer");
  EXPECT_EQ(
      line(SYS_sendto, {4, text, 49, MSG_NOSIGNAL | MSG_DONTWAIT, 0, 0}, 49),
      R"(sendto(4, "hello \"quoted\"\n\t\\ \1\2\0034 \377 and a t"..., 49, MSG_DONTWAIT|MSG_NOSIGNAL, NULL, 0) = 49)");
  EXPECT_EQ(line(SYS_write, {4, 8, 5}, -14), "write(4, 0x8, 5) = -1 EFAULT (Bad address)");
  EXPECT_EQ(line(SYS_write, {4, 0, 5}, -14), "write(4, NULL, 5) = -1 EFAULT (Bad address)");
  EXPECT_EQ(line(SYS_write, {4, 8, 0}, 0), R"(write(4, "", 0) = 0)");
  EXPECT_EQ(line(SYS_read, {4, text, 1024}, 5), R"(read(4, "hello", 1024) = 5)");
  EXPECT_EQ(line(SYS_read, {4, text, 1024}, 0), R"(read(4, "", 1024) = 0)");
  EXPECT_EQ(line(SYS_recvfrom, {4, text, 1024, MSG_PEEK, 0, 0}, 5),
            R"(recvfrom(4, "hello", 1024, MSG_PEEK, NULL, NULL) = 5)");
  EXPECT_EQ(line(SYS_recvfrom, {4, text, 64, 0, 0, 0}, -104),
            "recvfrom(4, ..., 64, 0, NULL, NULL) = -1 ECONNRESET (Connection reset by peer)");
  const int length = 16;
  EXPECT_EQ(
      line(SYS_recvfrom, {4, text, 10, 0, v4(9), memory.put(length)}, 5),
      R"(recvfrom(4, "hello", 10, 0, {sa_family=AF_INET, sin_port=htons(9), sin_addr=inet_addr("127.0.0.1")}, [16]) = 5)");
}

TEST_F(DecodeTest, of_two_descriptors_the_one_that_it_acts_on) {
  const CallRow& splice = *find_call(SYS_splice);
  EXPECT_EQ(decode_entry(splice, {6, 0, 4, 0, 9, 0}, memory).fd, 6);
  EXPECT_EQ(decode_entry(splice, {6, 0, 4, 0, 9, 0}, memory, true).fd, 4);
  EXPECT_EQ(decode_entry(*find_call(SYS_dup3), {6, 4, 0, 0, 0, 0}, memory, true).fd, 4);
}

TEST_F(DecodeTest, messages_and_vectors) {
  const std::uint64_t text = memory.put_text("hello, world");
  const iovec vectors[] = {{reinterpret_cast<void*>(text), 5}, {reinterpret_cast<void*>(text + 5), 7}, {nullptr, 0}};
  const std::uint64_t at = memory.put(vectors);
  EXPECT_EQ(
      line(SYS_writev, {4, at, 3}, 12),
      R"(writev(4, [{iov_base="hello", iov_len=5}, {iov_base=", world", iov_len=7}, {iov_base=NULL, iov_len=0}], 3) = 12)");
  EXPECT_EQ(entered.byte_count, 12U);
  EXPECT_EQ(line(SYS_readv, {4, at, 2}, 6),
            R"(readv(4, [{iov_base="hello", iov_len=5}, {iov_base=",", iov_len=7}], 2) = 6)");
  EXPECT_EQ(line(SYS_pwritev2, {4, at, 2, minus_one, minus_one, 0}, 12),
            R"(pwritev2(4, [{iov_base="hello", iov_len=5}, {iov_base=", world", iov_len=7}], 2, -1, 0) = 12)");
  EXPECT_EQ(line(SYS_writev, {4, 16, 3}, -14), "writev(4, 0x10, 3) = -1 EFAULT (Bad address)");
  EXPECT_FALSE(entered.byte_count) << "not known";
  EXPECT_EQ(line(SYS_readv, {4, 0, 0}, 0), "readv(4, NULL, 0) = 0");
  EXPECT_EQ(entered.byte_count, 0U);

  msghdr header{};
  header.msg_iov = reinterpret_cast<iovec*>(at);
  header.msg_iovlen = 1;
  EXPECT_EQ(line(SYS_sendmsg, {4, memory.put(header), MSG_NOSIGNAL}, 5),
            R"(sendmsg(4, {msg_name=NULL, msg_namelen=0, msg_iov=[{iov_base="hello", iov_len=5}], msg_iovlen=1, )"
            "msg_controllen=0, msg_flags=0}, MSG_NOSIGNAL) = 5");
  EXPECT_EQ(entered.byte_count, 5U);
  EXPECT_EQ(line(SYS_recvmsg, {4, memory.put(header), 0}, 2),
            R"(recvmsg(4, {msg_name=NULL, msg_namelen=0, msg_iov=[{iov_base="he", iov_len=5}], msg_iovlen=1, )"
            "msg_controllen=0, msg_flags=0}, 0) = 2");
  const mmsghdr many[] = {{header, 5}, {header, 0}};
  EXPECT_EQ(
      line(SYS_sendmmsg, {4, memory.put(many), 2, 0}, 1),
      R"(sendmmsg(4, [{msg_hdr={msg_name=NULL, msg_namelen=0, msg_iov=[{iov_base="hello", iov_len=5}], msg_iovlen=1, )"
      R"(msg_controllen=0, msg_flags=0}, msg_len=5}, {msg_hdr={msg_name=NULL, msg_namelen=0, msg_iov=[{iov_base="hello", )"
      "iov_len=5}], msg_iovlen=1, msg_controllen=0, msg_flags=0}}], 2, 0) = 1");
}

TEST_F(DecodeTest, descriptors_that_are_passed_stand_in_the_control_data) {
  struct {
    std::size_t length;
    int level, type, fds[2];
  } const control{CMSG_LEN(8), SOL_SOCKET, SCM_RIGHTS, {4, 9}};
  msghdr header{};
  header.msg_control = reinterpret_cast<void*>(memory.put(control));
  header.msg_controllen = CMSG_SPACE(8);
  EXPECT_EQ(line(SYS_sendmsg, {4, memory.put(header), 0}, 5),
            "sendmsg(4, {msg_name=NULL, msg_namelen=0, msg_iov=NULL, msg_iovlen=0, msg_control=[{cmsg_len=24, "
            "cmsg_level=SOL_SOCKET, cmsg_type=SCM_RIGHTS, cmsg_data=[4, 9]}], msg_controllen=24, msg_flags=0}, 0) = 5");
  EXPECT_EQ(passed_descriptors(memory, memory.put(header)), (std::vector<std::int32_t>{4, 9}));
  EXPECT_TRUE(passed_descriptors(memory, 0x10).empty());
}

TEST_F(DecodeTest, options_have_their_names_and_values) {
  const int one = 1, refused = ECONNREFUSED, four = 4;
  const linger abort_on_close{1, 0};
  EXPECT_EQ(line(SYS_setsockopt, {4, SOL_SOCKET, SO_LINGER, memory.put(abort_on_close), 8}, 0),
            "setsockopt(4, SOL_SOCKET, SO_LINGER, {l_onoff=1, l_linger=0}, 8) = 0");
  EXPECT_EQ(line(SYS_setsockopt, {4, IPPROTO_TCP, TCP_NODELAY, memory.put(one), 4}, 0),
            "setsockopt(4, SOL_TCP, TCP_NODELAY, [1], 4) = 0");
  // Since Linux 6.15; strace 6.1, the reference of strace_differential_test.cc, has numbers.
  EXPECT_EQ(line(SYS_setsockopt, {4, IPPROTO_TCP, 44, memory.put(one), 4}, -22),
            "setsockopt(4, SOL_TCP, TCP_RTO_MAX_MS, [1], 4) = -1 EINVAL (Invalid argument)");
  EXPECT_EQ(line(SYS_setsockopt, {4, IPPROTO_TCP, 45, memory.put(one), 4}, -92),
            "setsockopt(4, SOL_TCP, TCP_RTO_MIN_US, [1], 4) = -1 ENOPROTOOPT (Protocol not available)");
  EXPECT_EQ(line(SYS_getsockopt, {4, IPPROTO_TCP, 46, memory.put(one), memory.put(four)}, 0),
            "getsockopt(4, SOL_TCP, TCP_DELACK_MAX_US, [1], [4]) = 0");
  EXPECT_EQ(line(SYS_setsockopt, {4, IPPROTO_TCP, TCP_CONGESTION, memory.put_text("cubic"), 5}, 0),
            R"(setsockopt(4, SOL_TCP, TCP_CONGESTION, "cubic", 5) = 0)");
  EXPECT_EQ(line(SYS_setsockopt, {4, 77, 88, memory.put(one), 4}, -92),
            "setsockopt(4, 0x4d /* SOL_?? */, 88, [1], 4) = -1 ENOPROTOOPT (Protocol not available)");
  EXPECT_EQ(line(SYS_getsockopt, {4, SOL_SOCKET, SO_ERROR, memory.put(refused), memory.put(four)}, 0),
            "getsockopt(4, SOL_SOCKET, SO_ERROR, [ECONNREFUSED], [4]) = 0");
  tcp_md5sig key{};
  sockaddr_in peer{};
  peer.sin_family = AF_INET;
  std::memcpy(&key.tcpm_addr, &peer, sizeof peer);
  key.tcpm_keylen = 3;
  std::memcpy(key.tcpm_key, "key", 3);
  EXPECT_EQ(line(SYS_setsockopt, {4, IPPROTO_TCP, TCP_MD5SIG, memory.put(key), sizeof key}, 0),
            R"(setsockopt(4, SOL_TCP, TCP_MD5SIG, {tcpm_addr={sa_family=AF_INET, sin_port=htons(0), )"
            R"(sin_addr=inet_addr("0.0.0.0")}, tcpm_key="key"}, 216) = 0)");
  EXPECT_EQ(
      line(SYS_setsockopt, {4, IPPROTO_TCP, TCP_MD5SIG, memory.put(&key, 64), sizeof key}, 0),
      R"(setsockopt(4, SOL_TCP, TCP_MD5SIG, "\2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"..., )"
      "216) = 0")
      << "where a tracer has taken only the first bytes";
  EXPECT_EQ(line(SYS_getsockopt, {4, SOL_SOCKET, 12345, memory.put(one), memory.put(four)}, -92),
            "getsockopt(4, SOL_SOCKET, 0x3039 /* SO_??? */, ...) = -1 ENOPROTOOPT (Protocol not available)");
}

TEST_F(DecodeTest, fcntl_and_ioctl) {
  EXPECT_EQ(line(SYS_fcntl, {4, F_SETFL, O_RDWR | O_NONBLOCK}, 0), "fcntl(4, F_SETFL, O_RDWR|O_NONBLOCK) = 0");
  // Flags whose numbers are not the same on every machine.
  EXPECT_EQ(line(SYS_fcntl, {4, F_SETFL, O_DIRECT | O_NOFOLLOW | machine::large_file_flag}, 0),
            "fcntl(4, F_SETFL, O_RDONLY|O_DIRECT|O_LARGEFILE|O_NOFOLLOW) = 0");
  EXPECT_EQ(line(SYS_fcntl, {4, F_GETFL}, 0x802), "fcntl(4, F_GETFL) = 2050 (flags O_RDWR|O_NONBLOCK)");
  EXPECT_EQ(line(SYS_fcntl, {4, F_DUPFD_CLOEXEC, 60}, 60), "fcntl(4, F_DUPFD_CLOEXEC, 60) = 60");
  EXPECT_EQ(returned.new_fd, 60);
  const int unread = 17;
  EXPECT_EQ(line(SYS_ioctl, {4, FIONREAD, memory.put(unread)}, 0), "ioctl(4, FIONREAD, [17]) = 0");
  EXPECT_EQ(line(SYS_ioctl, {4, 0x89ab, 5}, -14),
            "ioctl(4, _IOC(_IOC_NONE, 0x89, 0xab, 0), 0x5) = -1 EFAULT (Bad address)");
}

TEST_F(DecodeTest, waiting_and_its_answers) {
  const pollfd polled[] = {{5, POLLIN | POLLOUT, POLLIN}, {3, POLLIN | 0x2000, 0}, {-1, 0, 0}};
  const std::uint64_t at = memory.put(polled);
  EXPECT_EQ(line(SYS_poll, {at, 3, 1000}, 1),
            "poll([{fd=5, events=POLLIN|POLLOUT}, {fd=3, events=POLLIN|POLLRDHUP}, {fd=-1}], 3, 1000) = 1 ([{fd=5, "
            "revents=POLLIN}])");
  EXPECT_EQ(line(SYS_poll, {0, 0, 0}, 0), "poll(NULL, 0, 0) = 0 (Timeout)");
  EXPECT_EQ(line(SYS_poll, {at, 1, minus_one}, -514),
            "poll([{fd=5, events=POLLIN|POLLOUT}], 1, -1) = -1 ERESTARTNOHAND (To be restarted if no handler)");
  const timespec moment{0, 1000};
  EXPECT_EQ(
      line(SYS_ppoll, {at, 1, memory.put(moment), 0, 8}, 1),
      "ppoll([{fd=5, events=POLLIN|POLLOUT}], 1, {tv_sec=0, tv_nsec=1000}, NULL, 8) = 1 ([{fd=5, revents=POLLIN}], "
      "left {tv_sec=0, tv_nsec=1000})");
  const std::uint64_t bits[16] = {1 << 5 | 1 << 3};
  EXPECT_EQ(line(SYS_select, {6, memory.put(bits), 0, 0, 0}, 2), "select(6, [3 5], NULL, NULL, NULL) = 2 (in [3 5])");
  EXPECT_EQ(line(SYS_select, {4, memory.put(bits), 0, 0, 0}, 0), "select(4, [3], NULL, NULL, NULL) = 0 (Timeout)");

  epoll_event events[2] = {};
  events[0].events = EPOLLIN | EPOLLRDHUP;
  events[0].data.u64 = 0x100000002ULL;
  const std::uint64_t found = memory.put(events);
  EXPECT_EQ(line(SYS_epoll_wait, {6, found, 10, minus_one}, 1),
            "epoll_wait(6, [{events=EPOLLIN|EPOLLRDHUP, data={u32=2, u64=4294967298}}], 10, -1) = 1");
  EXPECT_EQ(line(SYS_epoll_pwait, {6, found, 10, 5, 0, 8}, 0), "epoll_pwait(6, [], 10, 5, NULL, 8) = 0");
  EXPECT_EQ(line(SYS_epoll_ctl, {6, EPOLL_CTL_ADD, 5, found}, 0),
            "epoll_ctl(6, EPOLL_CTL_ADD, 5, {events=EPOLLIN|EPOLLRDHUP, data={u32=2, u64=4294967298}}) = 0");
  EXPECT_EQ(entered.fd, 5) << "the descriptor acted on is the one that is watched";
}

TEST_F(DecodeTest, processes) {
  EXPECT_EQ(line(SYS_clone, {CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | SIGCHLD, 0, 0, 0x7f00, 0}, 99),
            "clone(child_stack=NULL, flags=CLONE_CHILD_CLEARTID|CLONE_CHILD_SETTID|SIGCHLD, child_tidptr=0x7f00) = 99");
  EXPECT_EQ(line(SYS_clone, {SIGCHLD, 0, 0, 0, 0}, 99), "clone(child_stack=NULL, flags=SIGCHLD) = 99");
  EXPECT_EQ(line(SYS_fork, {}, 99), "fork() = 99");
  EXPECT_EQ(line(SYS_unshare, {CLONE_FILES}, 0), "unshare(CLONE_FILES) = 0");
  EXPECT_EQ(line(SYS_unshare, {0}, 0), "unshare(0) = 0");
  EXPECT_EQ(line(SYS_unshare, {CLONE_NEWUSER | CLONE_FILES | 0x80}, 0),
            "unshare(CLONE_NEWTIME|CLONE_FILES|CLONE_NEWUSER) = 0");
  EXPECT_EQ(line(SYS_unshare, {0x1'0100'0000 | CLONE_PIDFD}, -22),
            "unshare(0x101001000 /* CLONE_??? */) = -1 EINVAL (Invalid argument)")
      << "the kernel takes a long, and not all of clone()'s flags";
  const std::uint64_t words[] = {memory.put("true", 5), memory.put("-x", 3), 0};
  const std::uint64_t list = memory.put(words);
  EXPECT_EQ(line(SYS_execve, {memory.put("/bin/true", 10), list, 0x10}, 0),
            R"(execve("/bin/true", ["true", "-x"], 0x10) = 0)");
  const std::string endless(5000, 'a');
  EXPECT_EQ(line(SYS_execve, {memory.put_text(endless), 0, 0}, -36),
            "execve(\"" + endless.substr(0, 4096) + "\"..., NULL, NULL) = -1 ENAMETOOLONG (File name too long)");
  EXPECT_EQ(line(SYS_exit_group, {3}, std::nullopt), "exit_group(3 <unfinished ...>");
}

// What the kernel takes and gives: struct sigaction with its own order and mask, sets of 64 bits.
TEST_F(DecodeTest, signals) {
  using Words = std::array<std::uint64_t, 4>;  // handler, flags, restorer, mask
  const std::uint64_t ignoring = memory.put(Words{1, 0, 0, 0});
  EXPECT_EQ(named_line("rt_sigaction", {SIGPIPE, ignoring, 0, 8}, 0),
            "rt_sigaction(SIGPIPE, {sa_handler=SIG_IGN, sa_mask=[], sa_flags=0}, NULL, 8) = 0");
  const std::uint64_t handling = memory.put(Words{0x5500, 0x14000000, 0x7f00, 1 << (SIGUSR1 - 1)});
  EXPECT_EQ(named_line("rt_sigaction", {SIGUSR2, handling, ignoring, 8}, 0),
            "rt_sigaction(SIGUSR2, {sa_handler=0x5500, sa_mask=[USR1], sa_flags=SA_RESTORER|SA_RESTART, "
            "sa_restorer=0x7f00}, {sa_handler=SIG_IGN, sa_mask=[], sa_flags=0}, 8) = 0");
  EXPECT_EQ(named_line("rt_sigaction", {77, 0x10, 0, 8}, -14),
            "rt_sigaction(77, 0x10, NULL, 8) = -1 EFAULT (Bad address)");

  const std::uint64_t pipe = memory.put(std::uint64_t{1} << (SIGPIPE - 1));
  EXPECT_EQ(named_line("rt_sigprocmask", {SIG_BLOCK, pipe, 0, 8}, 0), "rt_sigprocmask(SIG_BLOCK, [PIPE], NULL, 8) = 0");
  EXPECT_EQ(named_line("rt_sigprocmask", {SIG_UNBLOCK, 0, pipe, 8}, 0),
            "rt_sigprocmask(SIG_UNBLOCK, NULL, [PIPE], 8) = 0");
  EXPECT_EQ(named_line("rt_sigprocmask", {7, 0x10, 0, 4}, -22),
            "rt_sigprocmask(0x7 /* SIG_??? */, 0x10, NULL, 4) = -1 EINVAL (Invalid argument)");

  const timespec at_once{};
  const std::int32_t by_a_process[6] = {SIGPIPE, 0, SI_USER, 0, 1234, 1000};
  EXPECT_EQ(named_line("rt_sigtimedwait", {pipe, memory.put(by_a_process), memory.put(at_once), 8}, SIGPIPE),
            "rt_sigtimedwait([PIPE], {si_signo=SIGPIPE, si_code=SI_USER, si_pid=1234, si_uid=1000}, {tv_sec=0, "
            "tv_nsec=0}, 8) = 13");
  const std::int32_t by_the_kernel[6] = {SIGALRM, 0, SI_KERNEL, 0, 0, 0};
  EXPECT_EQ(named_line("rt_sigtimedwait", {pipe, memory.put(by_the_kernel), 0, 8}, SIGALRM),
            "rt_sigtimedwait([PIPE], {si_signo=SIGALRM, si_code=SI_KERNEL}, NULL, 8) = 14");
  EXPECT_EQ(named_line("rt_sigtimedwait", {pipe, 0x10, memory.put(at_once), 8}, -11),
            "rt_sigtimedwait([PIPE], ..., {tv_sec=0, tv_nsec=0}, 8) = -1 EAGAIN (Resource temporarily unavailable)");
  EXPECT_EQ(named_line("kill", {1234, SIGPIPE}, 0), "kill(1234, SIGPIPE) = 0");
  EXPECT_EQ(named_line("kill", {minus_one, 0}, 0), "kill(-1, 0) = 0");
}

TEST_F(DecodeTest, timers_and_limits) {
  const std::uint64_t once = memory.put(std::array<std::int64_t, 4>{0, 0, 1, 500});
  EXPECT_EQ(named_line("setitimer", {0, once, 0}, 0),
            "setitimer(ITIMER_REAL, {it_interval={tv_sec=0, tv_usec=0}, it_value={tv_sec=1, tv_usec=500}}, NULL) = 0");
  EXPECT_EQ(named_line("setitimer", {9, 0, once}, 0),
            "setitimer(0x9 /* ITIMER_??? */, NULL, {it_interval={tv_sec=0, tv_usec=0}, it_value={tv_sec=1, "
            "tv_usec=500}}) = 0");
  const std::uint64_t limits = memory.put(std::array<std::uint64_t, 2>{20, 1024});
  const std::uint64_t large = memory.put(std::array<std::uint64_t, 2>{8192 * 1024, UINT64_MAX});
  EXPECT_EQ(named_line("prlimit64", {0, 7, limits, 0}, 0),
            "prlimit64(0, RLIMIT_NOFILE, {rlim_cur=20, rlim_max=1024}, NULL) = 0");
  EXPECT_EQ(named_line("prlimit64", {0, 3, 0, large}, 0),
            "prlimit64(0, RLIMIT_STACK, NULL, {rlim_cur=8192*1024, rlim_max=RLIM64_INFINITY}) = 0");
}

TEST_F(DecodeTest, calls_that_only_a_library_makes) {
  const std::uint64_t text = memory.put_text("hello");
  EXPECT_EQ(named_line("send", {4, text, 5, MSG_NOSIGNAL}, 5), R"(send(4, "hello", 5, MSG_NOSIGNAL) = 5)");
  EXPECT_EQ(entered.byte_count, 5U);
  EXPECT_EQ(named_line("recv", {4, text, 64, MSG_PEEK}, 5), R"(recv(4, "hello", 64, MSG_PEEK) = 5)");
  const int pair[] = {3, 4};
  EXPECT_EQ(named_line("socketpair", {AF_UNIX, SOCK_STREAM, 0, memory.put(pair)}, 0),
            "socketpair(AF_UNIX, SOCK_STREAM, 0, [3, 4]) = 0");
  EXPECT_EQ(named_line("socketpair", {99, SOCK_STREAM, 0, 0x10}, -97),
            "socketpair(0x63 /* AF_??? */, SOCK_STREAM, 0, ...) = -1 EAFNOSUPPORT (Address family not supported by "
            "protocol)");
}

// Every call, with any registers over memory that holds anything anywhere.
class HostileMemory : public Memory {
 public:
  explicit HostileMemory(std::vector<std::uint8_t> bytes) : bytes_(std::move(bytes)) {}
  std::vector<std::uint8_t> read(std::uint64_t address, std::size_t length) const override {
    most_asked = std::max(most_asked, length);
    if (bytes_.empty() || address % 7 == 0) return {};
    std::vector<std::uint8_t> out(address % 5 == 0 ? length / 2 : length);
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = bytes_[(address + i) % bytes_.size()];
    return out;
  }
  mutable std::size_t most_asked = 0;

 private:
  std::vector<std::uint8_t> bytes_;
};

RC_GTEST_PROP(DecodeProperty, hostile_memory_neither_crashes_nor_grows, ()) {
  const HostileMemory memory(*rc::gen::container<std::vector<std::uint8_t>>(
      64, rc::gen::oneOf(rc::gen::arbitrary<std::uint8_t>(), rc::gen::element<std::uint8_t>(0, 0xff, 1))));
  const auto word = rc::gen::oneOf(
      rc::gen::arbitrary<std::uint64_t>(),
      rc::gen::element<std::uint64_t>(0, 1, 16, 1024, 0x7fff'ffff, 0xffff'ffff, 0x8000'0000'0000'0000, UINT64_MAX));
  SyscallArguments arguments;
  for (auto& argument : arguments) argument = *word;
  const auto result = static_cast<std::int64_t>(*word);
  RC_ASSERT(passed_descriptors(memory, arguments[0]).size() <= 253U);
  for (const CallRow& row : call_table()) {
    const Entry entered = decode_entry(row, arguments, memory);
    const Return returned = decode_return(row, arguments, result, memory);
    RC_ASSERT(entered.arguments.size() < 16U * 1024);
    RC_ASSERT(returned.detail.size() < 16U * 1024);
  }
  RC_ASSERT(memory.most_asked <= 16U * 1024);
}

}  // namespace
}  // namespace tcpwhy::calls
