// Which processes hold which sockets: the descriptors in /proc/PID/fd, in one pass.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <sys/types.h>

namespace tcpwhy::trace {

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

  [[nodiscard]] const std::vector<SocketHolder>& of(std::uint32_t inode) const;
};

// comm of a process, or of a thread by its number; "" if it is gone.
std::string command_of(pid_t pid);

inline constexpr std::size_t most_descriptors = 4'000'000;

// Processes that end meanwhile are left out. `proc`: where procfs is mounted.
SocketHolders find_socket_holders(const std::string& proc = "/proc", std::size_t most = most_descriptors);

}  // namespace tcpwhy::trace
