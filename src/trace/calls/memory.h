// The memory of a traced process as a decoder may ask for it: read live by ptrace, or cut out in advance by a BPF program.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tcpwhy::trace {

class TraceeMemory {
 public:
  virtual ~TraceeMemory() = default;
  // Up to `length` bytes from `address` on; fewer, or none, where they can't be read or were not taken along.
  [[nodiscard]] virtual std::vector<std::uint8_t> read(std::uint64_t address, std::size_t length) const = 0;
};

}  // namespace tcpwhy::trace
