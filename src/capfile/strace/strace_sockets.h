// Which socket a descriptor in a line of strace's log is: from what -yy says of it, else from the calls that made it. A
// process's threads and children are not known as such: a descriptor that is met in another thread is recognised by its
// addresses.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "calls/spelling/strace_line.h"
#include "wire/address.h"

namespace tcpwhy::capfile {

class StraceSockets {
 public:
  using Id = std::uint64_t;  // from 1; 0: no TCP socket
  using Ends = std::pair<wire::SocketAddress, wire::SocketAddress>;
  struct Descriptor {
    std::int32_t pid, fd;
    auto operator<=>(const Descriptor&) const = default;
  };
  struct Socket {
    std::optional<wire::SocketAddress> local, remote;
    std::optional<std::size_t> connect_returned;  // event that is to learn the local address when it shows
  };

  // `shown`: what -y or -yy say of it, may be empty.
  Id find(Descriptor place, std::string_view shown);
  Socket& operator[](Id id) { return sockets_[id]; }

  Id add(std::uint64_t inode);  // 0: not known
  void put(Descriptor place, Id id) { descriptors_[place] = id; }
  void forget(Descriptor place) { descriptors_.erase(place); }
  void forget_process(std::int32_t pid);
  // Of a process's descriptors from `first` to `last`.
  [[nodiscard]] std::optional<std::pair<std::int32_t, Id>> first_in(std::int32_t pid, std::int32_t first,
                                                                    std::int32_t last) const;
  void forget_range(std::int32_t pid, std::int32_t first, std::int32_t last);
  void set_ends(Id id, const Ends& ends);
  // The descriptor `fd` of some process is connecting: another thread may meet it connected.
  void connects(std::int32_t fd, Id id) { connecting_[fd] = id; }

  // Events that wait for addresses (Socket::connect_returned) which have come since, with their sockets.
  std::vector<std::pair<std::size_t, Id>> take_learned() { return std::exchange(learned_, {}); }
  [[nodiscard]] std::uint64_t memory() const { return sockets_.size() * 512; }  // about

 private:
  Id by_inode(Descriptor place, const calls::StraceSocket& shown, Id here);
  Id bound(Descriptor place, const wire::SocketAddress& local, Id here);
  Id connected(Descriptor place, const Ends& ends, Id here);
  [[nodiscard]] bool fits(Id id, const Ends& ends) const;

  std::vector<Socket> sockets_ = std::vector<Socket>(1);  // [0]: none
  std::map<Descriptor, Id> descriptors_;
  std::map<std::uint64_t, Id> by_inode_;
  std::map<wire::SocketAddress, Id> by_local_;
  std::map<Ends, Id> by_ends_;
  std::map<std::int32_t, Id> connecting_;  // by descriptor number, whosever it is
  std::vector<std::pair<std::size_t, Id>> learned_;
};

}  // namespace tcpwhy::capfile
