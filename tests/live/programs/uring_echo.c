// An echo server on io_uring: accept, recv, send and close are operations in its ring, not system calls. Prints the port, serves
// one connection, ends. Exit status 77: the kernel gives no ring.
#include <arpa/inet.h>
#include <errno.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static struct io_uring ring;

static int wait_for_it(const char* what) {
  struct io_uring_cqe* answer = NULL;
  if (io_uring_submit(&ring) < 0 || io_uring_wait_cqe(&ring, &answer) != 0) exit(1);
  const int result = answer->res;
  io_uring_cqe_seen(&ring, answer);
  if (result < 0) {
    fprintf(stderr, "%s: %s\n", what, strerror(-result));
    exit(1);
  }
  return result;
}

int main(void) {
  const int made = io_uring_queue_init(8, &ring, 0);
  if (made != 0) {
    fprintf(stderr, "io_uring_queue_init: %s\n", strerror(-made));
    return made == -EPERM || made == -ENOSYS ? 77 : 1;
  }
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  if (listener < 0 || bind(listener, (struct sockaddr*)&address, length) != 0 || listen(listener, 8) != 0 ||
      getsockname(listener, (struct sockaddr*)&address, &length) != 0) {
    perror("listen");
    return 1;
  }
  printf("%d\n", ntohs(address.sin_port));
  fflush(stdout);

  io_uring_prep_accept(io_uring_get_sqe(&ring), listener, NULL, NULL, 0);
  const int connection = wait_for_it("accept");
  char bytes[256];
  for (;;) {
    io_uring_prep_recv(io_uring_get_sqe(&ring), connection, bytes, sizeof bytes, 0);
    const int got = wait_for_it("recv");
    if (got == 0) break;
    io_uring_prep_send(io_uring_get_sqe(&ring), connection, bytes, (size_t)got, 0);
    wait_for_it("send");
  }
  io_uring_prep_close(io_uring_get_sqe(&ring), connection);
  wait_for_it("close");
  io_uring_queue_exit(&ring);
  return 0;
}
