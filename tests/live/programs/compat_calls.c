// A program of 64 bits that makes calls of 32 bits: int $0x80 takes other numbers from other registers. What the tracepoints of system calls
// show of them looks like other calls of 64 bits.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#if defined(__x86_64__)
// i386's number 48, signal(), is shutdown() of x86-64; rdi, rsi are no arguments of it. -ENOSYS (or a signal) where the kernel has no such ABI.
static long compat(long number, long ebx, long rdi, long rsi) {
  long result;
  __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(ebx), "D"(rdi), "S"(rsi) : "memory", "r8", "r9", "r10", "r11");
  return result;
}
#endif

int main(void) {
#if defined(__x86_64__)
  signal(SIGSEGV, SIG_DFL);
  signal(SIGPIPE, SIG_IGN);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  bind(listener, (struct sockaddr*)&address, length);
  listen(listener, 8);
  getsockname(listener, (struct sockaddr*)&address, &length);
  const int client = socket(AF_INET, SOCK_STREAM, 0);
  connect(client, (struct sockaddr*)&address, length);
  const int server = accept(listener, NULL, NULL);
  printf("compat %ld\n", compat(48, SIGUSR1, client, SHUT_WR));
  fflush(stdout);
  close(server);
  usleep(50000);
  send(client, "x", 1, 0);
  usleep(50000);
  send(client, "y", 1, 0);
#endif
  return 0;
}
