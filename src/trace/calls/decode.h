// A raw system call -> the fields of its two events, in strace's spelling.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "recording/event.h"
#include "trace/calls/memory.h"
#include "trace/calls/syscall_table.h"

namespace tcpwhy::trace {

using SyscallArguments = std::array<std::uint64_t, 6>;

// Fills name, arguments, fd and byte_count; of connect() the remote address too. What the call will hand back stands as "..." in the arguments
// (recording::call_line puts CallReturned::detail there). Memory that can't be read is spelled as its address, as strace does.
void decode_entry(const SyscallRow& row, const SyscallArguments& arguments, const TraceeMemory& memory,
                  recording::CallEntered& entered);
// Fills result, error, detail and new_fd. `result` as the kernel gives it: -errno for a failure.
void decode_return(const SyscallRow& row, const SyscallArguments& arguments, std::int64_t result,
                   const TraceeMemory& memory, recording::CallReturned& returned);

// The descriptors in the control data (SCM_RIGHTS, unix(7)) of the struct msghdr at `header`: what sendmsg() passes on and
// recvmsg() has been given. In the numbering of the process whose memory it is; at most 253 (SCM_MAX_FD).
std::vector<std::int32_t> passed_descriptors(const TraceeMemory& memory, std::uint64_t header);

}  // namespace tcpwhy::trace
