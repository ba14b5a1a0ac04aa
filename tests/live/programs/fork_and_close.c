// A server that forks for each connection: the parent closes its copy, and the child, which holds the descriptor too, sends and closes.
// Prints the port, serves one connection, ends.
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static void fail(const char* what) {
  perror(what);
  exit(1);
}

int main(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  if (listener < 0 || bind(listener, (struct sockaddr*)&address, length) != 0 || listen(listener, 8) != 0 ||
      getsockname(listener, (struct sockaddr*)&address, &length) != 0)
    fail("listen");
  printf("%d\n", ntohs(address.sin_port));
  fflush(stdout);

  const int connection = accept(listener, NULL, NULL);
  int told[2];
  if (connection < 0 || pipe(told) != 0) fail("accept");
  const pid_t child = fork();
  if (child < 0) fail("fork");
  char word = 0;
  if (child == 0) {
    if (read(told[0], &word, 1) != 1 || write(connection, "late\n", 5) != 5) fail("child");
    close(connection);  // HERE: child closes
    _exit(0);
  }
  close(connection);  // HERE: parent closes
  if (write(told[1], &word, 1) != 1) fail("pipe");
  int status = 0;
  waitpid(child, &status, 0);
  return WEXITSTATUS(status);
}
