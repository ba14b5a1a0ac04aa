// A process with both ends of a connection: the peer closes, a first send draws the reset, and what is sent after that fails with EPIPE in the
// WAY that it is told. Every send to the dead connection is a send().
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void fail(const char* what) {
  perror(what);
  exit(1);
}

static jmp_buf out;
static void comes_back(int signal) { (void)signal; }
static void leaves(int signal) {
  (void)signal;
  _exit(0);
}
static void jumps(int signal) {
  (void)signal;
  longjmp(out, 1);
}

static void handle(void (*handler)(int), int flags) {
  struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
  sigaction(SIGPIPE, &action, NULL);
}

static void mask(int how) {
  sigset_t pipe_signal;
  sigemptyset(&pipe_signal);
  sigaddset(&pipe_signal, SIGPIPE);
  sigprocmask(how, &pipe_signal, NULL);
}

// Not of the connection: the signal of its EPIPE, where there is one, is of another's doing.
static void write_to_broken_pipe(void) {
  int ends[2];
  if (pipe(ends) != 0) fail("pipe");
  close(ends[0]);
  if (write(ends[1], "x", 1) < 0) perror("write");
}

static int dead_connection(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  const int listener = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);
  if (listener < 0 || bind(listener, (struct sockaddr*)&address, length) != 0 || listen(listener, 8) != 0 ||
      getsockname(listener, (struct sockaddr*)&address, &length) != 0 ||
      connect(client, (struct sockaddr*)&address, length) != 0)
    fail("connect");
  close(accept(listener, NULL, NULL));
  struct pollfd hung_up = {.fd = client, .events = POLLIN};
  if (poll(&hung_up, 1, 10000) != 1) fail("FIN");
  send(client, "a", 1, MSG_NOSIGNAL);
  while ((hung_up.revents & POLLHUP) == 0) {
    hung_up.events = 0;
    if (poll(&hung_up, 1, 10000) != 1) fail("reset");
  }
  return client;
}

int main(int argc, char** argv) {
  const char* way = argc == 2 ? argv[1] : "";
  const int client = dead_connection();
  if (strcmp(way, "default") == 0) {
    send(client, "b", 1, 0);
  } else if (strcmp(way, "handled, then default") == 0) {
    handle(comes_back, 0);
    send(client, "b", 1, 0);
    send(client, "c", 1, 0);
    handle(SIG_DFL, 0);
    send(client, "d", 1, 0);
  } else if (strcmp(way, "handled once") == 0) {
    handle(comes_back, SA_RESETHAND);
    send(client, "b", 1, 0);
    send(client, "c", 1, 0);
  } else if (strcmp(way, "ignored, then a pipe") == 0) {
    handle(SIG_IGN, 0);
    send(client, "b", 1, 0);
    handle(SIG_DFL, 0);
    write_to_broken_pipe();
  } else if (strcmp(way, "no signal, then a pipe") == 0) {
    send(client, "b", 1, MSG_NOSIGNAL);
    write_to_broken_pipe();
  } else if (strcmp(way, "no signal, then kill") == 0) {
    handle(comes_back, 0);
    send(client, "b", 1, MSG_NOSIGNAL);
    kill(getpid(), SIGPIPE);
  } else if (strcmp(way, "blocked, then default") == 0) {
    mask(SIG_BLOCK);
    send(client, "b", 1, 0);
    mask(SIG_UNBLOCK);
  } else if (strcmp(way, "blocked, then handled") == 0) {
    handle(comes_back, 0);
    mask(SIG_BLOCK);
    send(client, "b", 1, 0);
    mask(SIG_UNBLOCK);
  } else if (strcmp(way, "handler leaves") == 0) {
    handle(leaves, 0);
    send(client, "b", 1, 0);
  } else if (strcmp(way, "handler jumps") == 0) {
    handle(jumps, 0);
    if (setjmp(out) == 0) send(client, "b", 1, 0);
  } else {
    return 2;
  }
  return 0;
}
