// The memory of a process that is stopped.
#pragma once

#include <sys/types.h>

#include "calls/memory.h"

namespace tcpwhy::trace {

class ProcessMemory : public calls::Memory {
 public:
  explicit ProcessMemory(pid_t pid) : pid_(pid) {}
  // process_vm_readv(2): up to the first page that can't be read.
  [[nodiscard]] std::vector<std::uint8_t> read(std::uint64_t address, std::size_t length) const override;

 private:
  pid_t pid_;
};

}  // namespace tcpwhy::trace
