// The TCP sockets of a network namespace as the kernel's sock_diag(7) tells them, all at one moment.
//
// One dump gives both families and every state: listeners, connections, orphans (closed by their process, still alive in the
// kernel), the small entries of TIME-WAIT and of a closed socket in FIN-WAIT-2 (inet_timewait_sock), and requests
// (SYN-RECEIVED, request_sock). Needs no privilege.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "recording/socket_snapshot.h"

namespace tcpwhy::trace {

struct SocketSample {
  base::WallTime begin, end;  // the dump lies between
  std::vector<recording::SocketSnapshot> sockets;
  // False: the tables changed under the dump each time it was tried (NLM_F_DUMP_INTR, or a socket that was closed between being
  // found and being described), or an answer was lost.
  bool complete = true;
};

class SocketSampler {
 public:
  // Bound to the network namespace that is current now, for good.
  static base::Result<SocketSampler> open();

  base::Result<SocketSample> sample();
  // The same into `sample`, whose memory is used again.
  base::Status sample_into(SocketSample& sample);

 private:
  explicit SocketSampler(base::UniqueFd socket);
  base::Result<bool> dump_once(std::vector<recording::SocketSnapshot>& sockets);

  base::UniqueFd socket_;
  std::uint32_t sequence_ = 0;
  std::vector<std::uint8_t> buffer_;
};

}  // namespace tcpwhy::trace
