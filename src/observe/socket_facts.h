// What the kernel and /proc tell of the TCP sockets of this moment: `tcpwhy ps`.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "recording/socket_facts.h"
#include "wire/address.h"

namespace tcpwhy::observe {

// Of the network namespace that is current. Needs no privilege; without any, the holders of others' sockets are not known.
base::Result<recording::SocketFacts> collect_socket_facts();

struct SocketFilter {
  std::vector<std::uint16_t> ports;    // local or remote
  std::vector<wire::IpAddress> hosts;  // local or remote
  std::vector<pid_t> pids;             // that hold it
  // A socket must fit one of each kind that is not empty.
  [[nodiscard]] bool fits(const recording::SocketSnapshot& socket, const recording::SocketHolders& holders) const;
  [[nodiscard]] bool empty() const { return ports.empty() && hosts.empty() && pids.empty(); }
};
// Only the sockets that fit are asked for; the others stay behind them, for what they explain (SocketFacts::asked_for).
void apply(const SocketFilter& filter, recording::SocketFacts& facts);

}  // namespace tcpwhy::observe
