// The TCP sockets of a network namespace at one moment, which processes hold them, and what else decides whether they are well.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "recording/socket_snapshot.h"

namespace tcpwhy::recording {

struct SocketHolder {
  pid_t pid = 0;
  int fd = -1;
  std::string command;  // /proc/PID/comm: as the process says, so anything
  auto operator<=>(const SocketHolder&) const = default;
};

struct SocketHolders {
  std::map<std::uint32_t, std::vector<SocketHolder>> by_inode;  // in order of pid and descriptor
  std::size_t processes = 0;                                    // that were looked at
  std::size_t not_permitted = 0;                                // of these, whose descriptors may not be read
  bool complete = true;                                         // false: there were more descriptors than `most`

  [[nodiscard]] const std::vector<SocketHolder>& of(std::uint32_t inode) const {
    static const std::vector<SocketHolder> nobody;
    const auto found = by_inode.find(inode);
    return inode == 0 || found == by_inode.end() ? nobody : found->second;
  }
};

struct SocketFacts {
  std::vector<SocketSnapshot> sockets;
  // Only the first so many were asked for; the others are there for what they explain. Nothing: all were.
  std::optional<std::size_t> asked_for;
  std::set<wire::IpAddress> addresses;  // of this network namespace's interfaces
  bool complete = true;                 // false: the tables changed under the dump
  SocketHolders holders;
  bool as_root = false;  // who looked for them: a process may be no longer there, or be kept from root too
  // TcpExt counters since the namespace began; nothing where they cannot be read.
  std::optional<std::uint64_t> listen_overflows, listen_drops;
  // net.ipv4.ip_local_port_range: how many ports connect() can choose from.
  std::uint32_t local_ports = 28232;

  [[nodiscard]] std::span<const SocketSnapshot> asked() const {
    return std::span(sockets).first(asked_for.value_or(sockets.size()));
  }
  // Whether a segment to it stays in this network namespace. 127.0.0.0/8 does as a whole (RFC 1122 3.2.1.3).
  [[nodiscard]] bool is_here(const wire::IpAddress& ip) const {
    return addresses.contains(ip) || (ip.family == wire::IpFamily::v4 && ip.bytes[0] == 127);
  }
};

// The listener of `facts` that takes a SYN to `address`: one with that address before one with any (inet_lookup_listener()); of several
// (SO_REUSEPORT), where the ends of the connection decide, the one in whose queue most wait. Null: none.
inline const SocketSnapshot* listener_for(const SocketFacts& facts, const wire::SocketAddress& address) {
  if (!facts.is_here(address.ip)) return nullptr;
  const auto rank = [&](const SocketSnapshot& one) { return std::pair(one.local.ip == address.ip, one.receive_queue); };
  const SocketSnapshot* found = nullptr;
  for (const SocketSnapshot& socket : facts.sockets) {
    if (socket.state != tcp::State::listen || socket.local.port != address.port) continue;
    if (socket.local.ip != address.ip && !socket.local.ip.is_unspecified()) continue;
    if (found == nullptr || rank(socket) > rank(*found)) found = &socket;
  }
  return found;
}

}  // namespace tcpwhy::recording
