// Input: a datagram of the kernel's answer to a sock_diag request, with the sequence number 1 or another. What is taken
// from it is no closed socket.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "base/check.h"
#include "trace/diag_answer.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tcpwhy;
  using namespace tcpwhy::trace;
  const std::unique_ptr<std::uint8_t[]> datagram(new std::uint8_t[size]);  // aligned
  std::copy(data, data + size, datagram.get());
  std::vector<recording::SocketSnapshot> sockets;
  DiagAnswer answer{sockets};
  const int state = take_diag_answer({datagram.get(), size}, 1, answer);
  TCPWHY_CHECK(state >= -1 && state <= 1);
  TCPWHY_CHECK(sockets.size() <= size / 72 + 1);  // a struct inet_diag_msg each
  for (const recording::SocketSnapshot& socket : sockets) {
    TCPWHY_CHECK(socket.state != tcp::State::closed);
    TCPWHY_CHECK(socket.holder == recording::HeldBy::process || socket.inode == 0);
  }
  return 0;
}
