// What a traced program may do: tracee_program MODE [ARGUMENT]. Those that have an argument TOLD write there, to a descriptor, when they are
// where they are to be found.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

namespace {

int listen_on_loopback(sockaddr_in& address) {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  if (bind(listener, reinterpret_cast<sockaddr*>(&address), length) != 0 || listen(listener, 8) != 0) std::exit(90);
  getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length);
  return listener;
}

struct Pair {
  int client, server;
};
Pair connected() {
  sockaddr_in address;
  const int listener = listen_on_loopback(address);
  const int client = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(client, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) std::exit(91);
  const int server = accept(listener, nullptr, nullptr);
  close(listener);
  return {client, server};
}

int forks(int count) {
  const Pair pair = connected();
  for (int i = 0; i < count; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      close(pair.client);
      _exit(0);
    }
    if (child < 0) return 92;
    int status = 0;
    if (waitpid(child, &status, 0) != child || status != 0) return 93;
  }
  return 0;
}

// A child that no tracer is to have, by clone() or clone3(): its calls are its own all the same.
int makes_untraced(bool by_clone3) {
  const Pair pair = connected();
  // clone_args (linux/sched.h), where the program itself can't write.
  static const unsigned long arguments[8] = {CLONE_UNTRACED, 0, 0, 0, SIGCHLD, 0, 0, 0};
  const long child = by_clone3 ? syscall(SYS_clone3, arguments, sizeof arguments)
                               : syscall(SYS_clone, CLONE_UNTRACED | SIGCHLD, nullptr, nullptr, nullptr, nullptr);
  if (child == 0) {
    if (send(pair.client, "mine", 4, 0) != 4) _exit(errno == ENOSYS ? 38 : 1);
    _exit(0);
  }
  int status = 0;
  if (child < 0 || waitpid(static_cast<pid_t>(child), &status, 0) != child) return 105;
  const bool as_before = arguments[0] == CLONE_UNTRACED;
  return !as_before ? 106 : WIFEXITED(status) ? WEXITSTATUS(status) : 107;
}

// As make -j does: several at a time, each with children of its own, some of which execute a program.
[[noreturn]] void works_like_a_shell() {
  char name[] = "/bin/true";
  char* const words[] = {name, nullptr};
  for (int i = 0; i < 4; ++i)
    if (fork() == 0) {
      if (i % 2 == 0) _exit(0);
      execv(words[0], words);
      _exit(127);
    }
  int status = 0;
  while (wait(&status) > 0)
    if (status != 0) _exit(1);
  _exit(0);
}
int forks_in_parallel(int rounds) {
  for (int round = 0; round < rounds; ++round) {
    for (int i = 0; i < 8; ++i)
      if (fork() == 0) works_like_a_shell();
    int status = 0;
    while (wait(&status) > 0)
      if (status != 0) return 93;
  }
  return 0;
}

// Who is killed in the middle of it leaves children that nobody has heard of.
int forks_for_ever() {
  for (int child = 1; child < 500; ++child)
    if (fork() == 0) {
      if (child % 2 == 0) pause();
      _exit(0);
    }
  pause();
  return 0;
}

char** own_words = nullptr;

void* executes(void*) {
  char mode[] = "exit", status[] = "7";
  char* words[] = {own_words[0], mode, status, nullptr};
  execv("/proc/self/exe", words);
  return nullptr;
}
void* waits_for_ever(void* fd) {
  char byte;
  recv(static_cast<int>(reinterpret_cast<long>(fd)), &byte, 1, 0);
  return nullptr;
}
int thread_executes() {
  const Pair pair = connected();
  pthread_t waiting, executing;
  pthread_create(&waiting, nullptr, waits_for_ever, reinterpret_cast<void*>(static_cast<long>(pair.client)));
  pthread_create(&executing, nullptr, executes, nullptr);
  char byte;
  recv(pair.server, &byte, 1, 0);
  return 94;
}

// Executes itself from a thread that isn't the first, while others wait and come and go; for ever.
void* ends_soon(void*) {
  usleep(200);
  return nullptr;
}
void* executes_itself(void*) {
  usleep(3000);
  execv("/proc/self/exe", own_words);
  return nullptr;
}
int restless() {
  pthread_t thread;
  pthread_create(&thread, nullptr, executes_itself, nullptr);
  for (;;) {
    pthread_t other;
    if (pthread_create(&other, nullptr, ends_soon, nullptr) == 0) pthread_join(other, nullptr);
  }
}

// While its child has its memory, it can't be stopped: until the other end of TOLD is shut.
int waits_for_its_vfork(int told) {
  const pid_t child = vfork();
  if (child == 0) {
    char byte = 'v';
    if (write(told, &byte, 1) != 1) _exit(1);
    while (read(told, &byte, 1) > 0) {
    }
    _exit(0);
  }
  int status = 0;
  return waitpid(child, &status, 0) == child ? status : 95;
}

void handler(int) {}

int writes_to_the_closed(std::string_view disposition) {
  if (disposition == "ignore") std::signal(SIGPIPE, SIG_IGN);
  if (disposition == "handle") std::signal(SIGPIPE, handler);
  const Pair pair = connected();
  send(pair.client, "unread", 6, 0);
  char byte;
  recv(pair.server, &byte, 1, MSG_PEEK);  // it has arrived
  close(pair.server);                     // answers with a reset, as there is unread data
  send(pair.client, "x", 1, 0);           // ECONNRESET
  send(pair.client, "y", 1, 0);           // EPIPE and SIGPIPE
  return 5;
}

int blocks() {
  const Pair pair = connected();
  char byte;
  return static_cast<int>(recv(pair.client, &byte, 1, 0));
}

int is_interrupted() {
  struct sigaction action{};
  action.sa_handler = handler;
  sigaction(SIGALRM, &action, nullptr);
  const Pair pair = connected();
  ualarm(50'000, 900'000);  // once more if it wasn't waiting yet
  char byte;
  return recv(pair.client, &byte, 1, 0) < 0 ? 6 : 95;
}

// As a shell does with its jobs: sees that its child has stopped, and lets it go on.
int stops() {
  const Pair pair = connected();
  const pid_t child = fork();
  if (child == 0) {
    raise(SIGSTOP);
    send(pair.client, "again", 5, 0);
    _exit(8);
  }
  int status = 0;
  if (waitpid(child, &status, WUNTRACED) != child || !WIFSTOPPED(status) || WSTOPSIG(status) != SIGSTOP) return 100;
  char byte;
  if (recv(pair.server, &byte, 1, MSG_DONTWAIT) >= 0) return 101;
  kill(child, SIGCONT);
  if (waitpid(child, &status, 0) != child || !WIFEXITED(status)) return 102;
  return WEXITSTATUS(status);
}

// Echoes until "quit"; its port goes to the descriptor that is named.
int echoes(int told) {
  sockaddr_in address;
  const int listener = listen_on_loopback(address);
  const unsigned short port = ntohs(address.sin_port);
  if (write(told, &port, sizeof port) != sizeof port) return 96;
  for (;;) {
    const int connection = accept(listener, nullptr, nullptr);
    if (connection < 0) return 97;
    char room[64];
    ssize_t count = 0;
    while ((count = read(connection, room, sizeof room)) > 0) {
      if (write(connection, room, static_cast<size_t>(count)) != count) return 98;
      if (count == 4 && std::memcmp(room, "quit", 4) == 0) return 9;
    }
    close(connection);
  }
}

// Its first thread ends, another goes on.
void* connects_often(void* count) {
  usleep(20'000);
  for (long i = 0; i < reinterpret_cast<long>(count); ++i) {
    const Pair pair = connected();
    if (send(pair.client, "still here", 10, 0) != 10) std::exit(104);
    close(pair.client);
    close(pair.server);
  }
  std::exit(0);
}
void* echoes_in_a_thread(void* told) {
  usleep(20'000);
  std::exit(echoes(static_cast<int>(reinterpret_cast<long>(told))));
}
[[noreturn]] void goes_on_in(void* (*function)(void*), int argument) {
  pthread_t thread;
  pthread_create(&thread, nullptr, function, reinterpret_cast<void*>(static_cast<long>(argument)));
  pthread_exit(nullptr);
}

__attribute__((noinline)) void hang_up(int fd) {
  close(fd);  // mark:hang_up
  asm volatile("" : : : "memory");
}

}  // namespace

int main(int count, char** words) {
  own_words = words;
  const std::string_view mode = count > 1 ? words[1] : "";
  const char* argument = count > 2 ? words[2] : "0";
  if (mode == "exit") return std::atoi(argument);
  if (mode == "forks") return forks(std::atoi(argument));
  if (mode == "forks-in-parallel") return forks_in_parallel(std::atoi(argument));
  if (mode == "forks-for-ever") return forks_for_ever();
  if (mode == "untraced") return makes_untraced(std::string_view(argument) == "clone3");
  if (mode == "restless") return restless();
  if (mode == "waits-for-its-vfork") return waits_for_its_vfork(std::atoi(argument));
  if (mode == "connects-without-first-thread") goes_on_in(connects_often, std::atoi(argument));
  if (mode == "echoes-without-first-thread") goes_on_in(echoes_in_a_thread, std::atoi(argument));
  if (mode == "thread-executes") return thread_executes();
  if (mode == "sigpipe") return writes_to_the_closed(argument);
  if (mode == "blocks") return blocks();
  if (mode == "interrupted") return is_interrupted();
  if (mode == "stops") return stops();
  if (mode == "echoes") return echoes(std::atoi(argument));
  if (mode == "hangs-up") {
    const Pair pair = connected();
    hang_up(pair.client);
    return 0;
  }
  return 99;
}
