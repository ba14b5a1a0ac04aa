// A raw system call in strace's spelling: registers and memory in, text out. Nothing else spells a call.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "calls/call.h"
#include "calls/memory.h"
#include "wire/address.h"

namespace tcpwhy::calls {

using SyscallArguments = std::array<std::uint64_t, 6>;

// Whether a call has failed: its result, as the kernel gives it, is -errno (include/linux/err.h, MAX_ERRNO).
constexpr bool is_error(std::int64_t result) { return result < 0 && result >= -4095; }

// What is known when a call is entered.
struct Entry {
  // Without the parentheses; `...` for what the call will hand back (line.h puts Return::detail there). Memory that can't
  // be read is spelled as its address, as strace does.
  std::string arguments;
  std::optional<std::int32_t> fd;           // the descriptor it acts on
  std::optional<std::uint64_t> byte_count;  // offered, or room
  std::optional<wire::SocketAddress>
      remote;  // connect(): the socket itself does not know it yet, and after a failure no longer does
};
// `on_second`: of two descriptors it acts on the second (splice() from a pipe to a socket, dup2() over one).
Entry decode_entry(const CallRow& row, const SyscallArguments& arguments, const Memory& memory, bool on_second = false);

// What is known when it has come back.
struct Return {
  std::int64_t result = 0;  // the return value; -1 with error set
  std::int32_t error = 0;   // errno
  std::string detail;       // what it handed back
  std::optional<std::int32_t> new_fd;
};
// `result` as the kernel gives it: -errno for a failure.
Return decode_return(const CallRow& row, const SyscallArguments& arguments, std::int64_t result, const Memory& memory);

// The descriptors in the control data (SCM_RIGHTS, unix(7)) of the struct msghdr at `header`: what sendmsg() passes on and
// recvmsg() has been given. In the numbering of the process whose memory it is; at most 253 (SCM_MAX_FD).
std::vector<std::int32_t> passed_descriptors(const Memory& memory, std::uint64_t header);

}  // namespace tcpwhy::calls
