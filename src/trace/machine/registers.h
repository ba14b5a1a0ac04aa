// The registers of a thread that is stopped under ptrace.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include <sys/types.h>
#include <sys/user.h>

#include "trace/machine/dwarf_registers.h"

namespace tcpwhy::trace {

// What a stack is unwound from: the registers at the moment of a call, as dwarf_registers.h orders them.
struct Registers {
  std::array<std::uint64_t, MACHINE_DWARF_REGISTERS> dwarf{};
  [[nodiscard]] std::uint64_t stack_pointer() const { return dwarf[MACHINE_DWARF_STACK_POINTER]; }
  [[nodiscard]] std::uint64_t instruction_pointer() const { return dwarf[MACHINE_DWARF_INSTRUCTION_POINTER]; }
};

// All general ones. A copy: what is set comes into force by write_to().
class ThreadRegisters {
 public:
  // Absent, false: the thread is gone, or isn't stopped.
  static std::optional<ThreadRegisters> of(pid_t tid);
  [[nodiscard]] bool write_to(pid_t tid) const;

  [[nodiscard]] std::uint64_t instruction_pointer() const;
  [[nodiscard]] std::uint64_t stack_pointer() const;
  void go_on_at(std::uint64_t address);
  // Of the system call that it is in, or has come back from: what it asked for, and what it was given (-errno: a failure).
  [[nodiscard]] std::uint64_t call_number() const;
  [[nodiscard]] std::int64_t call_result() const;
  // Of the call that it is about to make; and, behind it, what the program expects to find there again.
  void set_first_argument(std::uint64_t value);
  void restore_first_argument(std::uint64_t value);

  [[nodiscard]] Registers for_unwinding() const;

  // As the machine names them, for what is written for one machine.
  user_regs_struct raw{};
};

}  // namespace tcpwhy::trace
