// A server that hands each connection to a worker, which was forked before: the descriptor goes over a unix socket (SCM_RIGHTS), and
// the server's own close() sends nothing. Prints the port, serves one connection, ends.
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static void fail(const char* what) {
  perror(what);
  exit(1);
}

union control {
  struct cmsghdr header;
  char bytes[CMSG_SPACE(sizeof(int))];
};

static void pass(int over, int descriptor) {
  union control control = {0};
  struct iovec vector = {.iov_base = (void*)"!", .iov_len = 1};
  struct msghdr message = {
      .msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  struct cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET, header->cmsg_type = SCM_RIGHTS, header->cmsg_len = CMSG_LEN(sizeof descriptor);
  memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
  if (sendmsg(over, &message, 0) != 1) fail("sendmsg");
}

static int take(int over) {
  union control control = {0};
  char byte = 0;
  int descriptor = -1;
  struct iovec vector = {.iov_base = &byte, .iov_len = 1};
  struct msghdr message = {
      .msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  if (recvmsg(over, &message, 0) != 1 || CMSG_FIRSTHDR(&message) == NULL) fail("recvmsg");
  memcpy(&descriptor, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof descriptor);
  return descriptor;
}

int main(void) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0) fail("socketpair");
  const pid_t worker = fork();
  if (worker < 0) fail("fork");
  if (worker == 0) {
    const int connection = take(pair[1]);
    char word = 0;
    if (write(pair[1], "+", 1) != 1 || read(pair[1], &word, 1) != 1) fail("worker");  // the server has closed
    if (write(connection, "late\n", 5) != 5) fail("write");
    close(connection);  // HERE: worker closes
    _exit(0);
  }
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  if (listener < 0 || bind(listener, (struct sockaddr*)&address, length) != 0 || listen(listener, 8) != 0 ||
      getsockname(listener, (struct sockaddr*)&address, &length) != 0)
    fail("listen");
  printf("%d\n", ntohs(address.sin_port));
  fflush(stdout);
  const int connection = accept(listener, NULL, NULL);
  if (connection < 0) fail("accept");
  pass(pair[0], connection);
  char word = 0;
  if (read(pair[0], &word, 1) != 1) fail("worker is gone");
  close(connection);  // HERE: server closes
  if (write(pair[0], &word, 1) != 1) fail("write");
  int status = 0;
  waitpid(worker, &status, 0);
  return WEXITSTATUS(status);
}
