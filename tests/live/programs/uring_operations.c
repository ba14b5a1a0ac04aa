// Both ends of connections over loopback, by io_uring alone. For each operation it prints the line that a trace must have of it.
// An argument: "sqpoll" has the kernel's thread submit, "worker" has io-wq's threads carry out what is sent. 77: no such ring here.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ACCEPTS = 1000, RECEIVES, WAITS, CANCEL, PLAIN };

static struct io_uring ring;
static unsigned send_flags;  // of the entries that send

__attribute__((format(printf, 1, 2))) static void line(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  printf("io_uring: ");
  vprintf(format, arguments);
  printf("\n");
  va_end(arguments);
}

static void fail(const char* what, int error) {
  fprintf(stderr, "%s: %s\n", what, strerror(error));
  exit(error == EPERM || error == ENOSYS || error == EINVAL ? 77 : 1);
}

static struct io_uring_sqe* entry(void) {
  struct io_uring_sqe* sqe = io_uring_get_sqe(&ring);
  if (sqe == NULL) fail("no entry", EBUSY);
  return sqe;
}

static void ask(struct io_uring_sqe* sqe, unsigned long long data, unsigned flags) {
  io_uring_sqe_set_data64(sqe, data);
  sqe->flags |= flags;
}

static void submit(void) {
  const int submitted = io_uring_submit(&ring);
  if (submitted < 0) fail("io_uring_submit", -submitted);
}

struct answer {
  unsigned long long user_data;
  int res;
};

// The next completion of that operation; those of others that come before are put aside.
static struct answer waiting[32];
static int waiting_count;
static struct answer result_of(unsigned long long data) {
  for (;;) {
    for (int i = 0; i < waiting_count; ++i)
      if (waiting[i].user_data == data) {
        const struct answer found = waiting[i];
        memmove(waiting + i, waiting + i + 1, (size_t)(--waiting_count - i) * sizeof *waiting);
        return found;
      }
    struct io_uring_cqe* cqe = NULL;
    const int waited = io_uring_wait_cqe(&ring, &cqe);
    if (waited != 0) fail("io_uring_wait_cqe", -waited);
    if (!(cqe->flags & IORING_CQE_F_NOTIF) && waiting_count < 32) 
      waiting[waiting_count++] = (struct answer){cqe->user_data, cqe->res};
    io_uring_cqe_seen(&ring, cqe);
  }
}

static int done(const char* what, unsigned long long data) {
  submit();
  const struct answer cqe = result_of(data);
  if (cqe.res < 0) fail(what, -cqe.res);
  return cqe.res;
}

int main(int count, char** arguments) {
  const char* how = count > 1 ? arguments[1] : "";
  struct io_uring_params parameters = {.flags = strcmp(how, "sqpoll") == 0 ? IORING_SETUP_SQPOLL : 0};
  parameters.sq_thread_idle = 100;
  if (strcmp(how, "worker") == 0) send_flags = IOSQE_ASYNC;
  const char* async = send_flags ? ", IOSQE_ASYNC" : "";
  setvbuf(stdout, NULL, _IOFBF, 1 << 16);  // written at the end: no call of ours between the operations
  const int made = io_uring_queue_init_params(32, &ring, &parameters);
  if (made != 0) fail("io_uring_queue_init", -made);

  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  if (listener < 0 || bind(listener, (struct sockaddr*)&address, length) != 0 || listen(listener, 8) != 0 ||
      getsockname(listener, (struct sockaddr*)&address, &length) != 0)
    fail("listen", errno);

  // One accept, two connections.
  struct io_uring_sqe* sqe = entry();
  io_uring_prep_multishot_accept(sqe, listener, NULL, NULL, 0);
  ask(sqe, ACCEPTS, 0);
  int client[2], server[2];
  for (int i = 0; i < 2; ++i) {
    sqe = entry();
    io_uring_prep_socket(sqe, AF_INET, SOCK_STREAM, 0, 0);
    ask(sqe, PLAIN, 0);
    client[i] = done("socket", PLAIN);
    line("socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = %d", client[i]);
    sqe = entry();
    io_uring_prep_connect(sqe, client[i], (struct sockaddr*)&address, sizeof address);
    ask(sqe, PLAIN, 0);
    done("connect", PLAIN);
    line("connect(%d, {sa_family=AF_INET, sin_port=htons(%d), sin_addr=inet_addr(\"127.0.0.1\")}, 16) = 0", client[i],
         ntohs(address.sin_port));
    server[i] = result_of(ACCEPTS).res;
    if (server[i] < 0) fail("accept", -server[i]);
    line("accept(%d, NULL, NULL, 0, IORING_ACCEPT_MULTISHOT) = %d", listener, server[i]);
  }

  // Linked: what is sent is there when it is read.
  char bytes[64];
  sqe = entry();
  io_uring_prep_send(sqe, client[0], "first", 5, MSG_NOSIGNAL);
  ask(sqe, PLAIN, IOSQE_IO_LINK | send_flags);
  sqe = entry();
  io_uring_prep_recv(sqe, server[0], bytes, sizeof bytes, 0);
  ask(sqe, PLAIN + 1, 0);
  done("recv", PLAIN + 1);
  result_of(PLAIN);
  line("send(%d, \"first\", 5, MSG_NOSIGNAL, IOSQE_IO_LINK%s) = 5", client[0], send_flags ? "|IOSQE_ASYNC" : "");
  line("recv(%d, \"first\", 64, 0) = 5", server[0]);

  // Of two that are sent together, each has its segment.
  sqe = entry();
  io_uring_prep_write(sqe, client[0], "one", 3, 0);
  ask(sqe, PLAIN, send_flags);
  sqe = entry();
  io_uring_prep_write(sqe, client[1], "three", 5, 0);
  ask(sqe, PLAIN + 1, send_flags);
  done("write", PLAIN);
  result_of(PLAIN + 1);
  line("write(%d, \"one\", 3%s) = 3", client[0], async);
  line("write(%d, \"three\", 5%s) = 5", client[1], async);
  for (int i = 0; i < 2; ++i) {
    sqe = entry();
    io_uring_prep_poll_add(sqe, server[i], POLLIN);
    ask(sqe, PLAIN, 0);
    done("poll_add", PLAIN);
    line("poll_add(%d, POLLIN) = 1 (POLLIN)", server[i]);
    sqe = entry();
    io_uring_prep_read(sqe, server[i], bytes, sizeof bytes, 0);
    ask(sqe, PLAIN, 0);
    done("read", PLAIN);
    line("read(%d, %s, 64) = %d", server[i], i == 0 ? "\"one\"" : "\"three\"", i == 0 ? 3 : 5);
  }

  struct iovec vector = {.iov_base = (void*)"message", .iov_len = 7};
  struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
  sqe = entry();
  io_uring_prep_sendmsg(sqe, client[0], &message, 0);
  ask(sqe, PLAIN, send_flags);
  done("sendmsg", PLAIN);
  line("sendmsg(%d, {msg_name=NULL, msg_namelen=0, msg_iov=[{iov_base=\"message\", iov_len=7}], msg_iovlen=1, "
       "msg_controllen=0, msg_flags=0}, 0%s) = 7",
       client[0], async);
  struct iovec room = {.iov_base = bytes, .iov_len = sizeof bytes};
  struct msghdr got = {.msg_iov = &room, .msg_iovlen = 1};
  sqe = entry();
  io_uring_prep_recvmsg(sqe, server[0], &got, 0);
  ask(sqe, PLAIN, 0);
  done("recvmsg", PLAIN);
  line("recvmsg(%d, {msg_name=NULL, msg_namelen=0, msg_iov=[{iov_base=\"message\", iov_len=64}], msg_iovlen=1, "
       "msg_controllen=0, msg_flags=0}, 0) = 7",
       server[0]);

  sqe = entry();
  io_uring_prep_send_zc(sqe, client[0], "no copy", 7, 0, 0);
  ask(sqe, PLAIN, send_flags);
  done("send_zc", PLAIN);
  line("send_zc(%d, \"no copy\", 7, 0%s) = 7", client[0], async);
  int pipes[2];
  if (pipe(pipes) != 0) fail("pipe", errno);
  sqe = entry();
  io_uring_prep_splice(sqe, server[0], -1, pipes[1], -1, 64, 0);
  ask(sqe, PLAIN, 0);
  done("splice", PLAIN);
  line("splice(%d, -1, %d, -1, 64, 0) = 7", server[0], pipes[1]);

  // One recv, two completions, each in a buffer that the kernel chooses. A third: Linux 6.1 ends a recv that has none left.
  static char rooms[3][16];
  sqe = entry();
  io_uring_prep_provide_buffers(sqe, rooms, sizeof *rooms, sizeof rooms / sizeof *rooms, 7, 0);
  ask(sqe, PLAIN, 0);
  done("provide_buffers", PLAIN);
  sqe = entry();
  io_uring_prep_recv_multishot(sqe, server[0], NULL, 0, 0);
  sqe->buf_group = 7;
  ask(sqe, RECEIVES, IOSQE_BUFFER_SELECT);
  submit();
  for (int i = 0; i < 2; ++i) {
    sqe = entry();
    io_uring_prep_send(sqe, client[0], i == 0 ? "again" : "again and", i == 0 ? 5 : 9, 0);
    ask(sqe, PLAIN, send_flags);
    done("send", PLAIN);
    line("send(%d, \"%s\", %d, 0%s) = %d", client[0], i == 0 ? "again" : "again and", i == 0 ? 5 : 9, async, i == 0 ? 5 : 9);
    const struct answer received = result_of(RECEIVES);
    if (received.res < 0) fail("recv", -received.res);
    line("recv(%d, \"%s\", 0, 0, IORING_RECV_MULTISHOT|IOSQE_BUFFER_SELECT) = %d", server[0],
         i == 0 ? "again" : "again and", received.res);
  }
  sqe = entry();
  io_uring_prep_cancel64(sqe, RECEIVES, 0);
  ask(sqe, CANCEL, 0);
  done("cancel", CANCEL);
  result_of(RECEIVES);
  line("recv(%d, ..., 0, 0, IORING_RECV_MULTISHOT|IOSQE_BUFFER_SELECT) = -1 ECANCELED (Operation canceled)", server[0]);

  // Cancelled: nothing comes.
  sqe = entry();
  io_uring_prep_recv(sqe, client[1], bytes, sizeof bytes, 0);
  ask(sqe, WAITS, 0);
  submit();
  sqe = entry();
  io_uring_prep_cancel64(sqe, WAITS, 0);
  ask(sqe, CANCEL, 0);
  done("cancel", CANCEL);
  result_of(WAITS);
  line("recv(%d, ..., 64, 0) = -1 ECANCELED (Operation canceled)", client[1]);

  sqe = entry();
  io_uring_prep_shutdown(sqe, client[0], SHUT_WR);
  ask(sqe, PLAIN, 0);
  done("shutdown", PLAIN);
  line("shutdown(%d, SHUT_WR) = 0", client[0]);
  sqe = entry();
  io_uring_prep_recv(sqe, server[0], bytes, sizeof bytes, 0);
  ask(sqe, PLAIN, 0);
  done("recv", PLAIN);
  line("recv(%d, \"\", 64, 0) = 0", server[0]);

  // A failed link takes the rest with it.
  sqe = entry();
  io_uring_prep_send(sqe, client[0], "late", 4, MSG_NOSIGNAL);
  ask(sqe, PLAIN, IOSQE_IO_LINK | send_flags);
  sqe = entry();
  io_uring_prep_send(sqe, client[1], "never", 5, 0);
  ask(sqe, PLAIN + 1, send_flags);
  submit();
  result_of(PLAIN);
  result_of(PLAIN + 1);
  line("send(%d, \"late\", 4, MSG_NOSIGNAL, IOSQE_IO_LINK%s) = -1 EPIPE (Broken pipe)", client[0],
       send_flags ? "|IOSQE_ASYNC" : "");
  line("send(%d, \"never\", 5, 0%s) = -1 ECANCELED (Operation canceled)", client[1], async);

  const int ends[] = {server[0], client[0], client[1], server[1]};
  for (int i = 0; i < 4; ++i) {
    sqe = entry();
    io_uring_prep_close(sqe, ends[i]);
    ask(sqe, PLAIN, 0);
    done("close", PLAIN);
    line("close(%d) = 0", ends[i]);
  }
  io_uring_queue_exit(&ring);
  return 0;
}
