// A server of two threads: one waits in recv(), the other closes the descriptor (argument: close) or shuts the connection down
// (argument: shutdown) meanwhile. Prints the port, and "done" once it has. Serves one connection, ends.
#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static int connection;
static atomic_int reader_id;

static void fail(const char* what) {
  perror(what);
  exit(1);
}

static void* reader(void* unused) {
  char bytes[64];
  (void)unused;
  atomic_store(&reader_id, (int)syscall(SYS_gettid));
  const ssize_t got = recv(connection, bytes, sizeof bytes, 0);  // HERE: reader receives
  printf("recv %zd\n", got);
  fflush(stdout);
  return NULL;
}

// As /proc says it: the reader sleeps inside recv(), which the C library makes of recvfrom(2).
static int reader_waits(void) {
  char path[64], line[64] = "";
  snprintf(path, sizeof path, "/proc/self/task/%d/syscall", atomic_load(&reader_id));
  FILE* const file = fopen(path, "r");
  if (file == NULL) return 0;
  if (fgets(line, sizeof line, file) == NULL) line[0] = '\0';
  fclose(file);
  return atoi(line) == SYS_recvfrom && strncmp(line, "running", 7) != 0;
}

int main(int count, char** arguments) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  if (listener < 0 || bind(listener, (struct sockaddr*)&address, length) != 0 || listen(listener, 8) != 0 ||
      getsockname(listener, (struct sockaddr*)&address, &length) != 0)
    fail("listen");
  printf("%d\n", ntohs(address.sin_port));
  fflush(stdout);
  connection = accept(listener, NULL, NULL);
  if (connection < 0) fail("accept");

  pthread_t thread;
  if (pthread_create(&thread, NULL, reader, NULL) != 0) fail("pthread_create");
  while (!reader_waits()) usleep(1000);
  if (count > 1 && strcmp(arguments[1], "shutdown") == 0)
    shutdown(connection, SHUT_RDWR);  // HERE: main shuts down
  else
    close(connection);  // HERE: main closes
  printf("done\n");
  fflush(stdout);
  pthread_join(thread, NULL);
  return 0;
}
