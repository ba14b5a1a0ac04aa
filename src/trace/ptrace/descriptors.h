// Which descriptors of a traced process are TCP sockets, and which ones.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include <sys/types.h>

#include "trace/socket_sampler.h"
#include "wire/address.h"

namespace tcpwhy::trace {

struct TcpSocket {
  std::uint64_t cookie = 0;  // SO_COOKIE; 0: not known
  std::optional<wire::SocketAddress> local,
      remote;  // an unbound one has no local address, an unconnected one no remote
};

// What is known of one table of descriptors (files_struct; threads share one). Nothing is asked twice: every call that changes what a
// number means passes the tracer, and forgets it. A table holds at most 65536 numbers; those beyond are asked about each time.
class Descriptors {
 public:
  // Null: not a TCP socket, or not open.
  const TcpSocket* find(pid_t pid, std::int32_t fd);
  // Without asking; null: not a TCP socket, or not known.
  [[nodiscard]] const TcpSocket* known(std::int32_t fd) const;
  [[nodiscard]] bool is_other(std::int32_t fd) const;
  // It is this one now.
  void learn(std::int32_t fd, const TcpSocket& socket);
  // Asks anew for its addresses.
  void refresh(pid_t pid, std::int32_t fd);
  void forget(std::int32_t fd);
  // If it is still the same socket (0: any).
  void forget(std::int32_t fd, std::uint64_t cookie);
  void forget_range(std::uint32_t first, std::uint32_t last);
  // What may have become a socket without a call.
  void forget_all_but_tcp();
  // Looks at all that are open now.
  void scan(pid_t pid);
  [[nodiscard]] bool has_tcp() const { return tcp_count_ > 0; }
  [[nodiscard]] bool has_tcp_in(std::uint32_t first, std::uint32_t last) const;
  // Some of it could not be looked at (SocketLookup::refused).
  [[nodiscard]] bool was_refused() const { return was_refused_; }

 private:
  enum class Kind : std::uint8_t { unknown, other, tcp };
  void set(std::int32_t fd, Kind kind);

  std::vector<Kind> kinds_;  // by number
  std::unordered_map<std::int32_t, TcpSocket> sockets_;
  std::size_t tcp_count_ = 0;
  bool was_refused_ = false;
};

// Sockets by their cookies, whoever holds them: at least the last 65536 that were learnt or asked for.
class SocketsByCookie {
 public:
  void learn(const TcpSocket& socket);
  // With the cookie alone, if nothing is known of it any more.
  TcpSocket of(std::uint64_t cookie);

 private:
  std::unordered_map<std::uint64_t, TcpSocket> young_, old_;
};

// The socket behind the descriptor of another process, or thread (one that lives: a first thread that has ended has none): by a copy of it
// (pidfd_getfd(2), Linux 5.6), which for some microseconds is one more reference to it; where that isn't allowed, by its inode and
// sock_diag(7) in our own network namespace.
struct SocketLookup {
  std::optional<TcpSocket> socket;  // absent: no TCP socket
  bool refused = false;             // the process is not dumpable (proc(5), PR_SET_DUMPABLE): what it is is not known
};
SocketLookup look_at_descriptor(pid_t pid, std::int32_t fd);
// A struct sockaddr of IPv4 or IPv6 with a port.
std::optional<wire::SocketAddress> address_in(std::span<const std::uint8_t> bytes);
// How many bytes wait there to be read (tcp(7) SIOCINQ), by such a copy; absent: not known, or it listens.
std::optional<std::uint32_t> unread_bytes(pid_t pid, std::int32_t fd);

}  // namespace tcpwhy::trace
