#include "trace/ptrace/process_memory.h"

#include <sys/uio.h>

namespace tcpwhy::trace {

std::vector<std::uint8_t> ProcessMemory::read(std::uint64_t address, std::size_t length) const {
  std::vector<std::uint8_t> bytes(length);
  const iovec local{bytes.data(), length};
  // NOLINTNEXTLINE(performance-no-int-to-ptr): an address of another process
  const iovec remote{reinterpret_cast<void*>(address), length};
  const ssize_t count = ::process_vm_readv(pid_, &local, 1, &remote, 1, 0);
  bytes.resize(count < 0 ? 0 : static_cast<std::size_t>(count));
  return bytes;
}

}  // namespace tcpwhy::trace
