// Makes each call of the table once or more on TCP sockets over loopback, in one thread, in an order that never changes: what
// strace and we say of it is compared line by line.
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>

namespace {

// The kernel's calls, not the C library's ideas of them.
template <class... Arguments>
long call(long number, Arguments... arguments) {
  return syscall(number, arguments...);
}

sockaddr* generic(void* address) { return static_cast<sockaddr*>(address); }

int listener_on_loopback(sockaddr_in& address) {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(listener, generic(&address), sizeof address) != 0 || listen(listener, 8) != 0) std::exit(2);
  socklen_t length = sizeof address;
  getsockname(listener, generic(&address), &length);
  return listener;
}

void options(int fd) {
  const int on = 1;
  linger lingers{1, 5};
  timeval patience{1, 500000};
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &lingers, sizeof lingers);
  lingers = {0, 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &lingers, sizeof lingers);
  setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &on, sizeof on);
  setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5);
  setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "no such thing", 13);
  setsockopt(fd, IPPROTO_IP, IP_TTL, &on, sizeof on);
  const int ttl = 64;
  setsockopt(fd, IPPROTO_IP, IP_TTL, &ttl, sizeof ttl);
  setsockopt(fd, 77, 88, &on, sizeof on);
  setsockopt(fd, SOL_SOCKET, SO_SNDBUF, nullptr, 4);
  int value = 0;
  for (const int option : {SO_ERROR, SO_TYPE, SO_ACCEPTCONN, SO_KEEPALIVE, SO_PROTOCOL, SO_DOMAIN, SO_REUSEPORT}) {
    socklen_t length = sizeof value;
    getsockopt(fd, SOL_SOCKET, option, &value, &length);
  }
  socklen_t length = sizeof lingers;
  getsockopt(fd, SOL_SOCKET, SO_LINGER, &lingers, &length);
  length = sizeof patience;
  getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, &length);
  char name[16];
  length = sizeof name;
  getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &length);
  length = sizeof value;
  getsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &value, &length);
  length = sizeof value;
  getsockopt(fd, SOL_SOCKET, 12345, &value, &length);
}

void control(int fd) {
  fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK);
  fcntl(fd, F_GETFL);
  fcntl(fd, F_SETFD, FD_CLOEXEC);
  fcntl(fd, F_GETFD);
  close(fcntl(fd, F_DUPFD, 50));
  close(fcntl(fd, F_DUPFD_CLOEXEC, 60));
  fcntl(fd, F_SETFL, O_RDWR);
  int count = 0;
  ioctl(fd, FIONREAD, &count);
  ioctl(fd, TIOCOUTQ, &count);
  ioctl(fd, FIONBIO, &count);
  ioctl(fd, 0x89ab, 5);
  close(dup(fd));
  close(dup2(fd, 70));
  close(dup3(fd, 71, O_CLOEXEC));
  dup2(fd, 72);
  dup2(0, 72);  // over a socket
  close(72);
  dup2(fd, 80);
  dup2(fd, 81);
  call(SYS_close_range, 80U, 90U, 0);
}

void sends(int to) {
  char text[] =
      "hello \"quoted\"\n\t\\ \1\2\3"
      "4 \377 and a tail that is longer than what is shown";
  send(to, "hello", 5, 0);
  send(to, text, sizeof text - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
  sendto(to, "abc", 3, MSG_MORE, nullptr, 0);
  write(to, "", 0);
  write(to, "\0\0001\0", 4);
  iovec pieces[] = {{text, 3}, {text + 3, 40}, {nullptr, 0}};
  writev(to, pieces, 3);
  call(SYS_pwritev2, to, pieces, 2, -1L, -1L, 0);
  msghdr header{};
  header.msg_iov = pieces;
  header.msg_iovlen = 2;
  sendmsg(to, &header, MSG_NOSIGNAL);
  mmsghdr many[2] = {{header, 0}, {header, 0}};
  sendmmsg(to, many, 2, 0);
  write(to, reinterpret_cast<void*>(8), 5);  // EFAULT
  write(to, nullptr, 5);
}

void receives(int from) {
  char room[256];
  recv(from, room, 5, 0);
  recv(from, room, sizeof room, MSG_PEEK | MSG_DONTWAIT);
  sockaddr_in who{};
  socklen_t length = sizeof who;
  recvfrom(from, room, 10, 0, generic(&who), &length);
  read(from, room, 10);
  iovec pieces[] = {{room, 6}, {room + 100, 7}};
  readv(from, pieces, 2);
  msghdr header{};
  header.msg_iov = pieces;
  header.msg_iovlen = 2;
  recvmsg(from, &header, 0);
  char space[64];
  header.msg_control = space;
  header.msg_controllen = sizeof space;
  recvmsg(from, &header, MSG_CMSG_CLOEXEC);
  mmsghdr many[2] = {{header, 0}, {header, 0}};
  many[0].msg_hdr.msg_control = many[1].msg_hdr.msg_control = nullptr;
  many[0].msg_hdr.msg_controllen = many[1].msg_hdr.msg_controllen = 0;
  recvmmsg(from, many, 2, 0, nullptr);
  while (recv(from, room, sizeof room, MSG_DONTWAIT) > 0) {
  }
}

void waits(int ready, int other) {
  pollfd asked[] = {{ready, POLLIN | POLLOUT, 0}, {other, POLLIN | POLLRDHUP, 0}, {-1, 0, 0}};
  poll(asked, 3, 1000);
  poll(asked + 1, 1, 0);
  poll(nullptr, 0, 0);
  timespec moment{0, 1000};
  ppoll(asked, 2, &moment, nullptr);
  ppoll(asked + 1, 1, &moment, nullptr);
  fd_set reads, writes;
  FD_ZERO(&reads);
  FD_ZERO(&writes);
  FD_SET(ready, &reads);
  FD_SET(ready, &writes);
  FD_SET(other, &writes);
  timeval while_{0, 1000};
  call(SYS_select, ready + 1, &reads, &writes, nullptr, nullptr);
  FD_ZERO(&reads);
  FD_SET(other, &reads);
  call(SYS_select, ready + 1, &reads, nullptr, nullptr, &while_);
  moment = {0, 1000};
  call(SYS_pselect6, 0, nullptr, nullptr, nullptr, &moment, nullptr);
  const int set = epoll_create1(EPOLL_CLOEXEC);
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.u64 = 7;
  epoll_ctl(set, EPOLL_CTL_ADD, ready, &event);
  epoll_event got[4];
  epoll_wait(set, got, 4, 1000);
  epoll_wait(set, got, 4, 0);
  event.events = EPOLLIN;
  event.data.u64 = 0x100000002ULL;
  epoll_ctl(set, EPOLL_CTL_MOD, ready, &event);
  call(SYS_epoll_pwait, set, got, 4, 0, nullptr, 8);
  call(SYS_epoll_pwait2, set, got, 4, &moment, nullptr, 8);
  epoll_ctl(set, EPOLL_CTL_DEL, ready, nullptr);
  close(set);
}

void files(int to, int from) {
  char path[] = P_tmpdir "/every-call-XXXXXX";
  const int file = mkstemp(path);
  unlink(path);
  write(file, "the file's text", 15);
  off_t offset = 0;
  sendfile(to, file, &offset, 8);
  sendfile(to, file, nullptr, 8);
  char room[64];
  while (recv(from, room, sizeof room, MSG_DONTWAIT) > 0) {
  }
  int pipes[2];
  if (pipe(pipes) != 0) std::exit(2);
  write(pipes[1], "by a pipe", 9);
  splice(pipes[0], nullptr, to, nullptr, 9, SPLICE_F_MOVE);
  read(from, room, 64);
  close(pipes[0]);
  close(pipes[1]);
  close(file);
}

void passes_descriptor(int fd) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0) std::exit(2);
  char byte = 'x';
  iovec piece{&byte, 1};
  alignas(cmsghdr) char space[CMSG_SPACE(sizeof(int))] = {};
  msghdr header{};
  header.msg_iov = &piece;
  header.msg_iovlen = 1;
  header.msg_control = space;
  header.msg_controllen = sizeof space;
  cmsghdr* control_header = CMSG_FIRSTHDR(&header);
  control_header->cmsg_level = SOL_SOCKET;
  control_header->cmsg_type = SCM_RIGHTS;
  control_header->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(control_header), &fd, sizeof fd);
  sendmsg(pair[0], &header, 0);
  header.msg_controllen = sizeof space;
  std::memset(space, 0, sizeof space);
  recvmsg(pair[1], &header, 0);
  int copy = -1;
  std::memcpy(&copy, CMSG_DATA(control_header), sizeof copy);
  send(copy, "by another number", 17, 0);
  close(copy);
  close(pair[0]);
  close(pair[1]);
}

void version_six() {
  const int fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, IPPROTO_TCP);
  if (fd < 0) return;
  const int on = 1;
  setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_addr = in6addr_loopback;
  address.sin6_port = htons(1);
  connect(fd, generic(&address), sizeof address);
  sockaddr none{};
  connect(fd, &none, sizeof none);
  connect(fd, generic(&address), 4);
  close(fd);
}

}  // namespace

void replaces_itself_in_vain() {
  const char* arguments[] = {"nobody", nullptr};
  call(SYS_execveat, -1, "/nowhere/nobody", arguments, nullptr, AT_SYMLINK_NOFOLLOW);
}

void unshares() {
  call(SYS_unshare, CLONE_FILES);
  call(SYS_unshare, CLONE_FS | CLONE_SYSVSEM);
  call(SYS_unshare, 0L);
  call(SYS_unshare, 0x1000L);  // EINVAL
}

int main() {
  sockaddr_in address;
  const int listener = listener_on_loopback(address);
  const int client = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);
  connect(client, generic(&address), sizeof address);
  sockaddr_in peer{};
  socklen_t length = sizeof peer;
  const int server = accept(listener, generic(&peer), &length);
  length = sizeof peer;
  getpeername(server, generic(&peer), &length);
  const int second = socket(AF_INET, SOCK_STREAM, 0);
  connect(second, generic(&address), sizeof address);
  close(accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  shutdown(second, SHUT_RDWR);
  close(second);
  options(client);
  control(client);
  sends(client);
  receives(server);
  send(client, "ready", 5, 0);
  waits(server, listener);
  files(client, server);
  passes_descriptor(client);
  version_six();
  replaces_itself_in_vain();
  unshares();
  shutdown(client, SHUT_WR);
  char room[64];
  read(server, room, sizeof room);
  recv(server, room, sizeof room, 0);
  close(client);
  close(client);  // EBADF
  shutdown(server, SHUT_RD);
  close(server);
  close(listener);
  return 3;
}
