// What is hard for a recorder inside a process: each mode does one such thing, and exits with 0 if all went as it would alone.
//   many COUNT            send and receive, COUNT times
//   threads COUNT         four threads, each doing that on a connection of its own; they wait in recv() when the first begins
//   forks COUNT           a child that goes on with the parent's connection, and a parent that does too
//   forks-into-namespace COUNT  the same with a child that is the first of a PID namespace
//   bad-pointer           send() of memory that isn't there, on a connection that has been reset
//   own-filter            a seccomp filter that kills at all calls but a few
//   cancelled             a thread is cancelled in recv()
//   jumps-out             a signal's handler leaves recv() by siglongjmp()
//   small-stack           a thread with the smallest stack there may be
//   handler               a signal's handler makes calls of its own while recv() waits
//   ends-meanwhile MICROSECONDS  another thread kills the process while the first one is given its recorder
//   coroutine COUNT       calls with a kilobyte of stack left, below which nothing may be touched
//   signal-stack COUNT    calls in a handler on a stack that leaves it a kilobyte
//   hostile SEED          writes into all that it shares with the tracer, and shortens it
//   maps-over             has other memory where the recorder is
//   maps-over-threads     the same with a thread that may be in it
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <climits>
#include <csetjmp>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <random>
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

// The end of the stream is asked for again and again.
int spins(int count) {
  const Pair pair = connect_pair();
  ::shutdown(pair.client, SHUT_WR);
  char room = 0;
  for (int i = 0; i < count; ++i)
    if (::recv(pair.server, &room, 1, 0) != 0) fail(130);
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

// The child's numbers are others than those that it would have here.
int forks_into_namespace(int count) {
  talk(connect_pair(), count);
  if (::unshare(CLONE_NEWUSER | CLONE_NEWPID) != 0) return 1;
  return forks(count);
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

int ends_meanwhile(int after_us) {
  std::thread waits([] { ::pause(); });
  std::thread ends([after_us] {
    const auto begin = std::chrono::steady_clock::now();
    while (std::chrono::steady_clock::now() - begin < std::chrono::microseconds(after_us)) {
    }
    ::kill(::getpid(), SIGKILL);
  });
  talk(connect_pair(), 1000);
  ::pause();
  return 1;
}

// Writes and reads, waits, and asks, on as little stack as may be.
Pair on_little_stack;
void use_little_stack() {
  char byte = 'x';
  if (::send(on_little_stack.client, &byte, 1, 0) != 1 || ::recv(on_little_stack.server, &byte, 1, 0) != 1) fail(109);
  pollfd waiting{on_little_stack.client, POLLOUT, 0};
  const timespec soon{0, 1000};
  if (::ppoll(&waiting, 1, &soon, nullptr) != 1) fail(110);
  iovec part{&byte, 1};
  msghdr message{};
  message.msg_iov = &part, message.msg_iovlen = 1;
  if (::sendmsg(on_little_stack.client, &message, 0) != 1 || ::recvmsg(on_little_stack.server, &message, 0) != 1)
    fail(114);
}

// So many bytes, with memory below that can't be touched.
char* guarded_stack(std::size_t bytes) {
  constexpr std::size_t page = 4096;
  const std::size_t whole = (bytes + page - 1) / page * page;
  auto* const memory =
      static_cast<char*>(::mmap(nullptr, whole + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  if (memory == MAP_FAILED || ::mprotect(memory, page, PROT_NONE) != 0) fail(115);
  return memory + page;
}

// The frames of the coroutine itself, of libc's calls, and the arguments take some 600 bytes of this.
constexpr std::size_t little_stack = 1664;

ucontext_t main_context, coroutine_context;
int coroutine_rounds;
void run_coroutine() {
  for (; coroutine_rounds > 0; --coroutine_rounds) use_little_stack();
}
int coroutine(int count) {
  on_little_stack = connect_pair();
  coroutine_rounds = count;
  use_little_stack();  // the dynamic linker, which finds the functions at their first calls, needs more
  --coroutine_rounds;
  ::getcontext(&coroutine_context);
  coroutine_context.uc_stack.ss_sp = guarded_stack(little_stack);
  coroutine_context.uc_stack.ss_size = little_stack;
  coroutine_context.uc_link = &main_context;
  ::makecontext(&coroutine_context, run_coroutine, 0);
  if (::swapcontext(&main_context, &coroutine_context) != 0) return 1;
  return coroutine_rounds;
}

int signal_stack(int count) {
  on_little_stack = connect_pair();
  use_little_stack();
  const std::size_t bytes = ::getauxval(AT_MINSIGSTKSZ) + little_stack;
  stack_t stack{};
  stack.ss_sp = guarded_stack(bytes), stack.ss_size = bytes;
  if (::sigaltstack(&stack, nullptr) != 0) return 1;
  struct sigaction action{};
  action.sa_handler = [](int) { use_little_stack(); };
  action.sa_flags = SA_ONSTACK;
  ::sigaction(SIGUSR1, &action, nullptr);
  for (int i = 1; i < count; ++i) ::raise(SIGUSR1);
  return 0;
}

// What is shared with the tracer: absent before there is a recorder.
struct Range {
  char *begin = nullptr, *end = nullptr;
};
Range shared_range() {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    Range range;
    if (line.find("memfd:tcpwhy") != std::string::npos &&
        std::sscanf(line.c_str(), "%p-%p", reinterpret_cast<void**>(&range.begin),
                    reinterpret_cast<void**>(&range.end)) == 2)
      return range;
  }
  return {};
}

// Through the tracer's own descriptor, as the recorder's mapping was made.
int shorten_what_is_shared() {
  std::string tracer;
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("TracerPid:\t")) tracer = line.substr(11);
  int found = 0;
  for (int fd = 0; fd < 64; ++fd) {
    const std::string path = "/proc/" + tracer + "/fd/" + std::to_string(fd);
    char target[64] = {};
    if (::readlink(path.c_str(), target, sizeof target - 1) < 0 ||
        std::string(target).find("memfd:tcpwhy") == std::string::npos)
      continue;
    ++found;
    const int memory = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    if (memory < 0 || ::ftruncate(memory, 0) == 0 || errno != EPERM) fail(116);
    ::fallocate(memory, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 1 << 16);
    ::close(memory);
  }
  return found;
}

int hostile(int seed) {
  const Pair pair = connect_pair();
  talk(pair, 200);
  const Range shared = shared_range();
  if (shared.begin == nullptr || shorten_what_is_shared() != 1) return 1;
  std::mt19937_64 random(static_cast<unsigned>(seed));
  auto* const words = reinterpret_cast<volatile std::uint64_t*>(shared.begin);
  const std::size_t count = static_cast<std::size_t>(shared.end - shared.begin) / 8, head = 48;
  for (int round = 0; round < 200; ++round) {
    for (int i = 0; i < 50; ++i) {
      // Positions near by and far off, words that may be a record's.
      const std::size_t at = random() % (random() % 2 == 0 ? head : count);
      const std::uint64_t small = random() % 8192;
      words[at] = random() % 2 == 0 ? (small << 3U | (random() % 4) << 32U) : random();
    }
    talk(pair, 1);
    if (::fcntl(pair.client, F_DUPFD, 3) < 0) return 2;  // the tracer is told by a stop, and takes what is there
  }
  return 0;
}

int maps_over(bool with_threads) {
  const Pair pair = connect_pair();
  talk(pair, 200);
  const Range shared = shared_range();
  if (shared.begin == nullptr) return 1;
  std::thread waits([&] {
    char byte = 0;
    if (with_threads) ::recv(pair.client, &byte, 1, 0);
  });
  if (!with_threads) waits.join();
  constexpr std::size_t code_before = 0x30000;
  char* const begin = shared.begin - code_before;
  const auto length = static_cast<std::size_t>(shared.end - begin);
  const void* const got = ::mmap(begin, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  if (with_threads ? got != MAP_FAILED || errno != ENOMEM : got != begin) return 2;
  if (!with_threads) std::fill(begin, begin + length, char{0x11});
  if (with_threads) {
    if (::send(pair.server, "x", 1, 0) != 1) return 3;
    waits.join();
  }
  talk({pair.server, pair.client}, 200);
  return ::munmap(begin, length) == 0 ? 0 : 4;
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
  if (mode == "spins") return spins(number);
  if (mode == "threads") return threads(number);
  if (mode == "forks") return forks(number);
  if (mode == "forks-into-namespace") return forks_into_namespace(number);
  if (mode == "bad-pointer") return bad_pointer();
  if (mode == "own-filter") return own_filter(number);
  if (mode == "cancelled") return cancelled();
  if (mode == "jumps-out") return jumps_out();
  if (mode == "small-stack") return small_stack(number);
  if (mode == "handler") return handler(number);
  if (mode == "ends-meanwhile") return ends_meanwhile(number);
  if (mode == "coroutine") return coroutine(number);
  if (mode == "signal-stack") return signal_stack(number);
  if (mode == "hostile") return hostile(number);
  if (mode == "maps-over") return maps_over(false);
  if (mode == "maps-over-threads") return maps_over(true);
  return 99;
}
