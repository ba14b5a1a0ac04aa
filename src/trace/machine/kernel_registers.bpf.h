// For the programs in the kernel (trace/bpf/program): a thread's registers as the kernel has put them aside at the entry of a system
// call, struct pt_regs of asm/ptrace.h, and what of them depends on the machine.
#pragma once

#include "trace/machine/dwarf_registers.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

#if defined(__TARGET_ARCH_x86)

struct pt_regs {
  unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, orig_ax, ip, cs, flags, sp, ss;
};
#define SYS_mmap 9

#elif defined(__TARGET_ARCH_arm64)

struct pt_regs {
  __u64 regs[31], sp, pc, pstate, orig_x0;
  __s32 syscallno;
};
#define SYS_mmap 222

#endif

#pragma clang attribute pop

#if defined(__TARGET_ARCH_x86)

static __always_inline __u64 number_of_call(const struct pt_regs* regs) { return regs->orig_ax; }

// The same at the entry and at the return.
static __always_inline void take_arguments(__u64* arguments, const struct pt_regs* regs) {
  arguments[0] = regs->di, arguments[1] = regs->si, arguments[2] = regs->dx;
  arguments[3] = regs->r10, arguments[4] = regs->r8, arguments[5] = regs->r9;
}

static __always_inline void take_dwarf_registers(__u64* r, const struct pt_regs* regs) {
  r[0] = regs->ax, r[1] = regs->dx, r[2] = regs->cx, r[3] = regs->bx, r[4] = regs->si, r[5] = regs->di;
  r[6] = regs->bp, r[7] = regs->sp, r[8] = regs->r8, r[9] = regs->r9, r[10] = regs->r10, r[11] = regs->r11;
  r[12] = regs->r12, r[13] = regs->r13, r[14] = regs->r14, r[15] = regs->r15, r[16] = regs->ip;
}

#elif defined(__TARGET_ARCH_arm64)

// ~0U (NO_SYSCALL) where the thread is in none. Without its sign: the compiler compares the lower half, and verifiers (6.1) learn nothing
// of a whole number whose upper half may be anything.
static __always_inline __u64 number_of_call(const struct pt_regs* regs) { return (__u32)regs->syscallno; }

// x0 is the result at the return: the kernel keeps what stood there.
static __always_inline void take_arguments(__u64* arguments, const struct pt_regs* regs) {
  arguments[0] = regs->orig_x0, arguments[1] = regs->regs[1], arguments[2] = regs->regs[2];
  arguments[3] = regs->regs[3], arguments[4] = regs->regs[4], arguments[5] = regs->regs[5];
}

static __always_inline void take_dwarf_registers(__u64* r, const struct pt_regs* regs) {
#pragma unroll
  for (int i = 0; i < 31; ++i) r[i] = regs->regs[i];
  r[31] = regs->sp, r[32] = regs->pc;
}

#endif

static __always_inline __u64 stack_pointer_of(const struct pt_regs* regs) { return regs->sp; }
