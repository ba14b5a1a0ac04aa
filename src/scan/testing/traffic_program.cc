// Real TCP traffic for a capture, one end of it: traffic_program server|client many|bulky COUNT CLIENT_ADDRESS
// SERVER_ADDRESS
//
// many: COUNT connections, 512 at a time, each two rounds of a request of 200 bytes and an answer of 4400. Of a
// hundred, by their number:
//        1 is refused, 1 aborted by the client (SO_LINGER 0), 1 aborted by the server with its answer unread, 1 closed by the server
//        first, 1 left open half a round by a client that only shuts down its sending side; the others the client closes.
// bulky: COUNT megabytes over 6 connections, from the server.
//
// Nothing is random, nothing waits for a clock: the client goes as fast as both ends can. The server ends when its
// standard input does. tools/make-capture runs both ends, each in a network namespace of its own.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <unordered_map>
#include <vector>

namespace {

constexpr std::size_t request_bytes = 200, answer_bytes = 4400;
constexpr int rounds = 2, ports = 8, bulky_connections = 6, at_a_time = 512;
constexpr std::uint16_t first_port = 8000, refused_port = 7999;

[[noreturn]] void die(const char* what) {
  std::perror(what);
  std::exit(1);
}
int checked(int result, const char* what) {
  if (result < 0) die(what);
  return result;
}

sockaddr_in address(const char* ip, int port) {
  sockaddr_in made{};
  made.sin_family = AF_INET;
  made.sin_port = htons(static_cast<std::uint16_t>(port));
  if (inet_pton(AF_INET, ip, &made.sin_addr) != 1) die(ip);
  return made;
}
const sockaddr* generic(const sockaddr_in& address) {
  return static_cast<const sockaddr*>(static_cast<const void*>(&address));
}

// --- Server ----------------------------------------------------------------------------------------------------

struct Served {
  std::size_t requested = 0;  // bytes of the round's request
  int round = 0;
};

class Server {
 public:
  Server(const char* ip, bool bulky, long megabytes) : bulky_(bulky) {
    epoll_ = checked(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
    for (int i = 0; i < ports; ++i) {
      const int listener = checked(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), "socket");
      const int on = 1;
      setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
      const auto where = address(ip, first_port + i);
      checked(bind(listener, generic(where), sizeof where), "bind");
      checked(listen(listener, 4096), "listen");
      add(listener, EPOLLIN);
      listeners_.push_back(listener);
    }
    add(STDIN_FILENO, EPOLLIN);
    each_ = megabytes * 1'000'000 / bulky_connections;
    std::puts("ready");
    std::fflush(stdout);
  }

  void run() {
    std::vector<epoll_event> events(256);
    while (true) {
      const int count = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), -1);
      for (int i = 0; i < count; ++i) {
        const int fd = events[i].data.fd;
        if (fd == STDIN_FILENO) return;
        if (fd >= listeners_.front() && fd <= listeners_.back())
          accept_all(fd);
        else if (bulky_)
          push(fd);
        else
          serve(fd);
      }
    }
  }

 private:
  void add(int fd, std::uint32_t events) {
    epoll_event event{};
    event.events = events;
    event.data.fd = fd;
    if (epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0 && errno != EPERM) die("epoll_ctl");
  }

  void accept_all(int listener) {
    while (true) {
      const int fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK);
      if (fd < 0) return;
      left_[fd] = each_;
      served_[fd] = {};
      add(fd, bulky_ ? EPOLLOUT : EPOLLIN);
    }
  }

  void push(int fd) {
    static const std::vector<char> block(1 << 18, 'b');
    long& left = left_[fd];
    while (left > 0) {
      const ssize_t sent =
          send(fd, block.data(), std::min<std::size_t>(block.size(), static_cast<std::size_t>(left)), MSG_NOSIGNAL);
      if (sent < 0) return;
      left -= sent;
    }
    close(fd);
  }

  void serve(int fd) {
    char request[4096];
    Served& served = served_[fd];
    const ssize_t got = recv(fd, request, sizeof request, 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
      close(fd);
      return;
    }
    const char wish = request[0];
    if (wish == 'u') {  // the client's data stay unread in part: close() answers with a reset
      close(fd);
      return;
    }
    served.requested += static_cast<std::size_t>(got);
    if (served.requested < request_bytes) return;
    served.requested = 0;
    static const std::string answer(answer_bytes, 'a');
    if (send(fd, answer.data(), answer.size(), MSG_NOSIGNAL) < 0) return;
    if (++served.round == rounds && wish == 's') close(fd);
  }

  int epoll_ = -1;
  std::vector<int> listeners_;
  bool bulky_;
  long each_ = 0;
  std::unordered_map<int, long> left_;
  std::unordered_map<int, Served> served_;
};

// --- Client ----------------------------------------------------------------------------------------------------

enum class Ending { client_closes, server_closes, client_aborts, server_aborts, refused, half_close };

Ending ending_of(long number) {
  switch (number % 100) {
    case 17: return Ending::refused;
    case 33: return Ending::client_aborts;
    case 51: return Ending::server_aborts;
    case 68: return Ending::server_closes;
    case 84: return Ending::half_close;
    default: return Ending::client_closes;
  }
}

void receive_all(int fd, std::size_t bytes) {
  char answer[answer_bytes];
  while (bytes > 0) {
    const ssize_t got = recv(fd, answer, std::min(bytes, sizeof answer), 0);
    if (got <= 0) return;
    bytes -= static_cast<std::size_t>(got);
  }
}

void run_batch(const char* from, const char* to, long begin, long end) {
  struct Open {
    int fd;
    Ending ending;
  };
  std::vector<Open> open;
  for (long number = begin; number < end; ++number) {
    const Ending ending = ending_of(number);
    const int fd = checked(socket(AF_INET, SOCK_STREAM, 0), "socket");
    const int on = 1;
    setsockopt(fd, SOL_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    const auto source = address(from, 0);
    checked(bind(fd, generic(source), sizeof source), "bind");
    const int port = ending == Ending::refused ? refused_port : first_port + static_cast<int>(number % ports);
    const auto target = address(to, port);
    if (connect(fd, generic(target), sizeof target) != 0) {
      if (errno != ECONNREFUSED) die("connect");
      close(fd);
      continue;
    }
    open.push_back({fd, ending});
  }
  for (int round = 0; round < rounds; ++round) {
    for (const auto& [fd, ending] : open) {
      const char wish = ending == Ending::server_closes ? 's' : ending == Ending::server_aborts ? 'u' : 'r';
      // More than the server reads at once, so that some is unread when it closes.
      const std::string request(ending == Ending::server_aborts ? 3 * 4096 : request_bytes, wish);
      send(fd, request.data(), request.size(), MSG_NOSIGNAL);
    }
    for (const auto& [fd, ending] : open)
      if (ending != Ending::server_aborts) receive_all(fd, answer_bytes);
  }
  for (const auto& [fd, ending] : open) {
    if (ending == Ending::client_aborts) {
      const linger now{1, 0};
      setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    }
    if (ending == Ending::half_close) shutdown(fd, SHUT_WR);
    if (ending == Ending::server_closes || ending == Ending::half_close) receive_all(fd, answer_bytes);
    close(fd);
  }
}

void run_bulky(const char* to) {
  std::vector<pollfd> open;
  for (int i = 0; i < bulky_connections; ++i) {
    const int fd = checked(socket(AF_INET, SOCK_STREAM, 0), "socket");
    const auto target = address(to, first_port + i);
    checked(connect(fd, generic(target), sizeof target), "connect");
    open.push_back({fd, POLLIN, 0});
  }
  std::vector<char> block(1 << 20);
  while (!open.empty()) {
    poll(open.data(), open.size(), -1);
    for (std::size_t i = open.size(); i-- > 0;) {
      if (open[i].revents == 0 || recv(open[i].fd, block.data(), block.size(), 0) > 0) continue;
      close(open[i].fd);
      open.erase(open.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6)
    return std::fputs("traffic_program server|client many|bulky COUNT CLIENT_ADDRESS SERVER_ADDRESS\n", stderr), 2;
  const bool bulky = std::string(argv[2]) == "bulky";
  const long count = std::atol(argv[3]);
  if (std::string(argv[1]) == "server") {
    Server(argv[5], bulky, count).run();
  } else if (bulky) {
    run_bulky(argv[5]);
  } else {
    for (long begin = 0; begin < count; begin += at_a_time)
      run_batch(argv[4], argv[5], begin, std::min(begin + at_a_time, count));
  }
  return 0;
}
