// What is hard for a recorder inside a process: each mode does one such thing, and exits with 0 if all went as it would alone.
//   many COUNT            send and receive, COUNT times
//   threads COUNT         four threads, each doing that on a connection of its own; they wait in recv() when the first begins
//   forks COUNT           a child that goes on with the parent's connection, and a parent that does too
//   bad-pointer           send() of memory that isn't there, on a connection that has been reset
//   own-filter            a seccomp filter that kills at all calls but a few
//   cancelled             a thread is cancelled in recv()
//   jumps-out             a signal's handler leaves recv() by siglongjmp()
//   small-stack           a thread with the smallest stack there may be
//   handler               a signal's handler makes calls of its own while recv() waits
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <csetjmp>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

namespace {

struct Pair {
  int client = -1, server = -1;
};

[[noreturn]] void fail(int status) { ::_exit(status); }

Pair connect_pair() {
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* const name = reinterpret_cast<sockaddr*>(&address);
  if (::bind(listener, name, length) != 0 || ::listen(listener, 1) != 0) fail(100);
  ::getsockname(listener, name, &length);
  Pair pair;
  pair.client = ::socket(AF_INET, SOCK_STREAM, 0);
  if (::connect(pair.client, name, length) != 0) fail(101);
  pair.server = ::accept(listener, nullptr, nullptr);
  if (pair.server < 0) fail(102);
  ::close(listener);
  return pair;
}

void talk(const Pair& pair, int count) {
  for (int i = 0; i < count; ++i) {
    const std::string word = "word " + std::to_string(i);
    char room[64];
    if (::send(pair.client, word.data(), word.size(), 0) != static_cast<ssize_t>(word.size())) fail(103);
    if (::recv(pair.server, room, sizeof room, 0) != static_cast<ssize_t>(word.size())) fail(104);
    if (std::string(room, word.size()) != word) fail(105);
  }
}

int many(int count) {
  talk(connect_pair(), count);
  return 0;
}

// The places in libc are changed while threads wait behind them, and while others run into them.
int threads(int count) {
  std::atomic<int> waiting = 0;
  std::vector<std::thread> all;
  std::vector<Pair> pairs;
  for (int i = 0; i < 4; ++i) pairs.push_back(connect_pair());
  for (const Pair& pair : pairs)
    all.emplace_back([&, pair] {
      char go = 0;
      ++waiting;
      if (::recv(pair.server, &go, 1, 0) != 1 || go != 'g') fail(106);
      talk(pair, count);
    });
  while (waiting < 4) ::usleep(1000);
  ::usleep(50'000);
  talk(connect_pair(), count);
  for (const Pair& pair : pairs)
    if (::send(pair.client, "g", 1, 0) != 1) fail(107);
  for (auto& thread : all) thread.join();
  return 0;
}

int forks(int count) {
  const Pair pair = connect_pair(), other = connect_pair();
  talk(pair, count);
  const pid_t child = ::fork();
  if (child == 0) {
    talk(pair, count);
    // The number now means another thing in each of the two.
    ::close(pair.client);
    const int file = ::open("/dev/null", O_RDONLY);
    char byte = 0;
    if (file != pair.client || ::read(file, &byte, 1) != 0) fail(108);
    ::_exit(0);
  }
  talk(other, count);
  int status = -1;
  ::waitpid(child, &status, 0);
  talk(pair, count);
  return status;
}

int bad_pointer() {
  std::signal(SIGPIPE, SIG_IGN);
  const Pair pair = connect_pair();
  const linger at_once{1, 0};
  ::setsockopt(pair.server, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  ::close(pair.server);
  char byte = 0;
  if (::recv(pair.client, &byte, 1, 0) != -1 || errno != ECONNRESET) return 1;
  // volatile: the compiler is not to know that nobody can read there.
  const char* volatile nowhere = reinterpret_cast<const char*>(4096);
  for (int i = 0; i < 3; ++i)
    if (::send(pair.client, nowhere, 100, 0) != -1 || errno != EPIPE) return 2;
  return 0;
}

int own_filter(int count) {
  const Pair pair = connect_pair();
  talk(pair, count);
  const auto allow = [](unsigned number) {
    return std::array<sock_filter, 2>{sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
                                      sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  };
  std::vector<sock_filter> program = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr))};
  for (const unsigned number : {SYS_sendto, SYS_recvfrom, SYS_exit_group, SYS_close})
    for (const sock_filter& one : allow(number)) program.push_back(one);
  program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS));
  const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return 1;
  if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) return 2;
  talk(pair, count);
  ::close(pair.client);
  ::_exit(0);
}

int cancelled() {
  const Pair pair = connect_pair();
  for (int i = 0; i < 3; ++i) {
    pthread_t thread;
    int was_cleaned = 0;
    struct Work {
      int fd;
      int* was_cleaned;
    } work{pair.server, &was_cleaned};
    const auto run = [](void* argument) -> void* {
      const auto* const its = static_cast<Work*>(argument);
      pthread_cleanup_push([](void* flag) { *static_cast<int*>(flag) = 1; }, its->was_cleaned);
      char byte = 0;
      ::recv(its->fd, &byte, 1, 0);
      pthread_cleanup_pop(0);
      return nullptr;
    };
    if (::pthread_create(&thread, nullptr, run, &work) != 0) return 1;
    ::usleep(50'000);
    ::pthread_cancel(thread);
    void* result = nullptr;
    ::pthread_join(thread, &result);
    if (result != PTHREAD_CANCELED || was_cleaned != 1) return 2;
  }
  talk(pair, 10);
  return 0;
}

sigjmp_buf back;
int jumps_out() {
  const Pair pair = connect_pair();
  std::signal(SIGALRM, [](int) { ::siglongjmp(back, 1); });
  for (volatile int i = 0; i < 3; i = i + 1) {
    if (::sigsetjmp(back, 1) != 0) continue;
    ::ualarm(50'000, 0);
    char byte = 0;
    ::recv(pair.server, &byte, 1, 0);
    return 1;
  }
  talk(pair, 10);
  return 0;
}

int small_stack(int count) {
  pthread_attr_t attributes;
  ::pthread_attr_init(&attributes);
  ::pthread_attr_setstacksize(&attributes, PTHREAD_STACK_MIN);
  pthread_t thread;
  static int times;
  times = count;
  const auto run = [](void*) -> void* {
    const Pair pair = connect_pair();
    for (int i = 0; i < times; ++i) {
      char byte = 'x';
      if (::send(pair.client, &byte, 1, 0) != 1 || ::recv(pair.server, &byte, 1, 0) != 1) fail(109);
      pollfd waiting{pair.client, POLLOUT, 0};
      const timespec soon{0, 1000};
      if (::ppoll(&waiting, 1, &soon, nullptr) != 1) fail(110);
    }
    return nullptr;
  };
  if (::pthread_create(&thread, &attributes, run, nullptr) != 0) return 1;
  ::pthread_join(thread, nullptr);
  return 0;
}

Pair for_handler;
int handler(int count) {
  const Pair pair = connect_pair();
  for_handler = connect_pair();
  std::signal(SIGALRM, [](int) {
    char byte = 'h';
    if (::send(for_handler.client, &byte, 1, 0) != 1 || ::recv(for_handler.server, &byte, 1, 0) != 1) fail(111);
    if (::send(for_handler.server, &byte, 1, 0) != 1) fail(112);
  });
  for (int i = 0; i < count; ++i) {
    ::ualarm(5'000, 0);
    std::thread late([&] {
      ::usleep(20'000);
      ::send(pair.client, "late", 4, 0);
    });
    char room[8];
    // SA_RESTART: std::signal() has it.
    if (::recv(pair.server, room, sizeof room, 0) != 4) fail(113);
    late.join();
  }
  return 0;
}

}  // namespace

int main(int count, char** words) {
  const std::string mode = count > 1 ? words[1] : "";
  const int number = count > 2 ? std::atoi(words[2]) : 0;
  if (mode == "many") return many(number);
  if (mode == "threads") return threads(number);
  if (mode == "forks") return forks(number);
  if (mode == "bad-pointer") return bad_pointer();
  if (mode == "own-filter") return own_filter(number);
  if (mode == "cancelled") return cancelled();
  if (mode == "jumps-out") return jumps_out();
  if (mode == "small-stack") return small_stack(number);
  if (mode == "handler") return handler(number);
  return 99;
}
