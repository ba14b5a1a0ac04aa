// How many registers a stack is unwound from, in the order of the machine's DWARF numbers, and which of them are which. Plain C: the
// programs in the kernel (trace/bpf/program) fill them in, too.
//   x86-64: rax rdx rcx rbx rsi rdi rbp rsp r8..r15, then the return address column: rip (System V ABI, 3.6.2)
//   arm64:  x0..x30, sp, pc (DWARF for the Arm 64-bit Architecture, 4.1)
#pragma once

// A program for the kernel is compiled for none of them: __TARGET_ARCH_* says whose registers it is to read (cmake/BpfProbe.cmake).
#if defined(__x86_64__) || defined(__TARGET_ARCH_x86)
#define MACHINE_DWARF_REGISTERS 17
#define MACHINE_DWARF_STACK_POINTER 7
#define MACHINE_DWARF_INSTRUCTION_POINTER 16
#elif defined(__aarch64__) || defined(__TARGET_ARCH_arm64)
#define MACHINE_DWARF_REGISTERS 33
#define MACHINE_DWARF_STACK_POINTER 31
#define MACHINE_DWARF_INSTRUCTION_POINTER 32
#else
#error "src/trace/machine has no half for this machine: see docs/HOWTO-add-a-machine.md"
#endif
