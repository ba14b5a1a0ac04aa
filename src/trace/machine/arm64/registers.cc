#include <algorithm>
#include <iterator>

#include "trace/machine/registers.h"

namespace tcpwhy::trace {

std::uint64_t ThreadRegisters::instruction_pointer() const { return raw.pc; }
std::uint64_t ThreadRegisters::stack_pointer() const { return raw.sp; }
void ThreadRegisters::go_on_at(std::uint64_t address) { raw.pc = address; }
std::uint64_t ThreadRegisters::call_number() const { return raw.regs[8]; }
std::int64_t ThreadRegisters::call_result() const { return static_cast<std::int64_t>(raw.regs[0]); }
void ThreadRegisters::set_first_argument(std::uint64_t value) { raw.regs[0] = value; }
void ThreadRegisters::restore_first_argument(std::uint64_t) {}  // the result stands there

Registers ThreadRegisters::for_unwinding() const {
  Registers made;
  static_assert(std::size(decltype(raw.regs){}) == MACHINE_DWARF_STACK_POINTER);
  std::copy(std::begin(raw.regs), std::end(raw.regs), made.dwarf.begin());
  made.dwarf[MACHINE_DWARF_STACK_POINTER] = raw.sp;
  made.dwarf[MACHINE_DWARF_INSTRUCTION_POINTER] = raw.pc;
  return made;
}

}  // namespace tcpwhy::trace
