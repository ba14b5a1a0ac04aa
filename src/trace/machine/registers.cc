#include "trace/machine/registers.h"

#include <elf.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

namespace tcpwhy::trace {

// By set, not PTRACE_GETREGS, which newer machines lack.
std::optional<ThreadRegisters> ThreadRegisters::of(pid_t tid) {
  ThreadRegisters made;
  iovec place{&made.raw, sizeof made.raw};
  // Of a 32-bit program the set is shorter.
  if (::ptrace(PTRACE_GETREGSET, tid, NT_PRSTATUS, &place) != 0 || place.iov_len != sizeof made.raw)
    return std::nullopt;
  return made;
}

bool ThreadRegisters::write_to(pid_t tid) const {
  user_regs_struct copy = raw;
  iovec place{&copy, sizeof copy};
  return ::ptrace(PTRACE_SETREGSET, tid, NT_PRSTATUS, &place) == 0;
}

}  // namespace tcpwhy::trace
