// A server whose connection is held by somebody who never calls anything on it: a child that inherited it (argument: child), or a thread that
// has descriptors of its own (argument: thread). The server closes its copy; the holder ends, which sends the FIN; the server ends later.
// Prints the port, and the pid of the child. Serves one connection.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static int has_copy[2], may_end[2];

static void fail(const char* what) {
  perror(what);
  exit(1);
}

static void hold(void) {
  char word = 0;
  if (write(has_copy[1], &word, 1) != 1 || read(may_end[0], &word, 1) != 1) fail("pipe");
}

static void* holder(void* unused) {
  (void)unused;
  if (unshare(CLONE_FILES) != 0) fail("unshare");
  hold();
  return NULL;
}

int main(int count, char** arguments) {
  if (count != 2) return 2;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  if (listener < 0 || bind(listener, (struct sockaddr*)&address, length) != 0 || listen(listener, 8) != 0 ||
      getsockname(listener, (struct sockaddr*)&address, &length) != 0)
    fail("listen");
  printf("%d\n", ntohs(address.sin_port));
  fflush(stdout);
  const int connection = accept(listener, NULL, NULL);
  if (connection < 0 || pipe(has_copy) != 0 || pipe(may_end) != 0) fail("accept");
  pthread_t thread;
  pid_t child = 0;
  if (strcmp(arguments[1], "thread") == 0) {
    if (pthread_create(&thread, NULL, holder, NULL) != 0) fail("pthread_create");
  } else if ((child = fork()) == 0) {
    hold();
    _exit(0);
  }
  char word = 0;
  if (read(has_copy[0], &word, 1) != 1) fail("pipe");
  printf("%d\n", child);
  fflush(stdout);
  if (send(connection, "hello", 5, 0) != 5) fail("send");
  close(connection);
  usleep(20000);
  if (write(may_end[1], &word, 1) != 1) fail("pipe");
  if (child > 0 ? waitpid(child, NULL, 0) != child : pthread_join(thread, NULL) != 0) fail("wait");
  usleep(20000);
  return 0;
}
