#include "trace/machine/registers.h"

namespace tcpwhy::trace {

std::uint64_t ThreadRegisters::instruction_pointer() const { return raw.rip; }
std::uint64_t ThreadRegisters::stack_pointer() const { return raw.rsp; }
void ThreadRegisters::go_on_at(std::uint64_t address) { raw.rip = address; }
std::uint64_t ThreadRegisters::call_number() const { return raw.orig_rax; }
std::int64_t ThreadRegisters::call_result() const { return static_cast<std::int64_t>(raw.rax); }
void ThreadRegisters::set_first_argument(std::uint64_t value) { raw.rdi = value; }
void ThreadRegisters::restore_first_argument(std::uint64_t value) { raw.rdi = value; }

Registers ThreadRegisters::for_unwinding() const {
  return {.dwarf = {raw.rax, raw.rdx, raw.rcx, raw.rbx, raw.rsi, raw.rdi, raw.rbp, raw.rsp, raw.r8, raw.r9, raw.r10,
                    raw.r11, raw.r12, raw.r13, raw.r14, raw.r15, raw.rip}};
}

}  // namespace tcpwhy::trace
