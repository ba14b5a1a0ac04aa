// A server that serves one connection and has its descriptor closed in the WAY that it is told. Prints the port.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static void fail(const char* what) {
  perror(what);
  exit(1);
}

int main(int argc, char** argv) {
  const char* way = argc == 2 ? argv[1] : "";
  if (strcmp(way, "rest") == 0) return usleep(300000);  // what execve() makes of it
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  if (listener < 0 || bind(listener, (struct sockaddr*)&address, length) != 0 || listen(listener, 8) != 0 ||
      getsockname(listener, (struct sockaddr*)&address, &length) != 0)
    fail("listen");
  printf("%d\n", ntohs(address.sin_port));
  fflush(stdout);

  const int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
  char word;
  if (connection < 0 || read(connection, &word, 1) != 1) fail("accept");
  if (strcmp(way, "exit") == 0) _exit(0);
  if (strcmp(way, "kill") == 0) raise(SIGKILL);
  if (strcmp(way, "execve") == 0) execl(argv[0], argv[0], "rest", (char*)NULL);
  if (strcmp(way, "close_range") == 0 && syscall(SYS_close_range, connection, ~0U, 0) != 0) fail(way);
  if (strcmp(way, "dup2") == 0 && dup2(open("/dev/null", O_RDONLY), connection) != connection) fail(way);
  usleep(300000);
  return 0;
}
