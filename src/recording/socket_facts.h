// The TCP sockets of a network namespace at one moment, which processes hold them, and what else decides whether they are well.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
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
  bool complete = true;  // false: the tables changed under the dump
  SocketHolders holders;
  bool as_root = false;  // who looked for them: a process may be no longer there, or be kept from root too
  // TcpExt counters since the namespace began; nothing where they cannot be read.
  std::optional<std::uint64_t> listen_overflows, listen_drops;
  // net.ipv4.ip_local_port_range: how many ports connect() can choose from.
  std::uint32_t local_ports = 28232;
};

}  // namespace tcpwhy::recording
