// Which processes hold which sockets: the descriptors in /proc/PID/fd, in one pass.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>

#include "recording/socket_facts.h"

namespace tcpwhy::trace {

// comm of a process, or of a thread by its number; "" if it is gone.
std::string command_of(pid_t pid);

inline constexpr std::size_t most_descriptors = 4'000'000;

// Processes that end meanwhile are left out. `proc`: where procfs is mounted.
recording::SocketHolders find_socket_holders(const std::string& proc = "/proc", std::size_t most = most_descriptors);

}  // namespace tcpwhy::trace
