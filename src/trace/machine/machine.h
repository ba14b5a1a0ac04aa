// What differs from machine to machine in how programs and the kernel are observed, and isn't told by a system header. One constant a
// fact, so that nobody else asks which machine this is; registers.h has the rest. docs/HOWTO-add-a-machine.md says how one is added.
#pragma once

#include <linux/audit.h>
#include <sys/syscall.h>

#include <cstdint>
#include <string_view>

namespace tcpwhy::trace::machine {

#if defined(__x86_64__)

inline constexpr std::string_view name = "x86-64";
// Of its own system calls: what PTRACE_GET_SYSCALL_INFO and seccomp(2) call it. Others are those of 32-bit programs.
inline constexpr std::uint32_t audit_architecture = AUDIT_ARCH_X86_64;
// Whether there is a recorder to map into traced programs (trace/ptrace/inside). Where there is none, each call stops.
inline constexpr bool has_recorder = true;
inline constexpr long dup2_call = SYS_dup2;

#elif defined(__aarch64__)

inline constexpr std::string_view name = "arm64";
inline constexpr std::uint32_t audit_architecture = AUDIT_ARCH_AARCH64;
inline constexpr bool has_recorder = false;
inline constexpr long dup2_call = -1;  // there is dup3() alone

#else
#error "src/trace/machine has no half for this machine: see docs/HOWTO-add-a-machine.md"
#endif

}  // namespace tcpwhy::trace::machine
