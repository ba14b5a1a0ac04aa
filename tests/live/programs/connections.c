// Very many short connections, each with a request and an answer, at an even rate, between threads of this process on loopback:
//   connections RATE SECONDS
// Each of the clients' threads makes its share of RATE a second, and what it could not make in time it makes up for. They go to many
// addresses of loopback in turn, so that ports that wait in TIME-WAIT are enough. Prints how many were made, and in how many seconds.
#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CLIENTS = 4, SERVERS = 2, ADDRESSES = 64, NS_A_SECOND = 1000000000, PAUSE_NS = 2000000 };

static struct sockaddr_in address;  // of the listener
static int listener;
static long each;          // connections a client's thread
static double per_thread;  // a second

static double now(void) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  return (double)at.tv_sec + (double)at.tv_nsec / NS_A_SECOND;
}

static void fail(const char* what) {
  perror(what);
  exit(1);
}

static void* serve(void* unused) {
  (void)unused;
  for (;;) {
    char request[16];
    const int fd = accept(listener, NULL, NULL);
    if (fd < 0) fail("accept");
    if (recv(fd, request, sizeof(request), 0) <= 0) fail("recv of a request");
    if (send(fd, "answer", 6, MSG_NOSIGNAL) != 6) fail("send of an answer");
    close(fd);
  }
  return NULL;
}

static void* ask(void* unused) {
  (void)unused;
  const double begin = now();
  for (long made = 0; made < each;) {
    const long due = (long)((now() - begin) * per_thread) + 1;
    for (; made < due && made < each; ++made) {
      char answer[16];
      struct sockaddr_in to = address;
      to.sin_addr.s_addr = htonl(INADDR_LOOPBACK + (in_addr_t)(made % ADDRESSES));
      const int fd = socket(AF_INET, SOCK_STREAM, 0);
      if (fd < 0 || connect(fd, (const struct sockaddr*)&to, sizeof(to)) != 0) fail("connect");
      if (send(fd, "request", 7, MSG_NOSIGNAL) != 7) fail("send of a request");
      while (recv(fd, answer, sizeof(answer), 0) > 0) {
      }
      close(fd);
    }
    const struct timespec pause = {0, PAUSE_NS};
    nanosleep(&pause, NULL);
  }
  return NULL;
}

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  per_thread = atof(argv[1]) / CLIENTS;
  each = (long)(per_thread * atof(argv[2]));
  listener = socket(AF_INET, SOCK_STREAM, 0);
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_ANY);
  socklen_t size = sizeof(address);
  if (bind(listener, (const struct sockaddr*)&address, size) != 0 || listen(listener, 1024) != 0) fail("listen");
  getsockname(listener, (struct sockaddr*)&address, &size);
  pthread_t servers[SERVERS], clients[CLIENTS];
  const double begin = now();
  for (int i = 0; i < SERVERS; ++i) pthread_create(&servers[i], NULL, serve, NULL);
  for (int i = 0; i < CLIENTS; ++i) pthread_create(&clients[i], NULL, ask, NULL);
  for (int i = 0; i < CLIENTS; ++i) pthread_join(clients[i], NULL);
  printf("%ld %.3f\n", each * CLIENTS, now() - begin);
  return 0;
}
