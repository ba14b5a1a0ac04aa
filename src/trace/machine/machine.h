// What differs from machine to machine in how programs and the kernel are observed, and isn't told by a system header. One constant a
// fact, so that nobody else asks which machine this is; registers.h has the rest. docs/HOWTO-add-a-machine.md says how one is added.
#pragma once

#include <linux/audit.h>
#include <sys/syscall.h>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace tcpwhy::trace::machine {

#if defined(__x86_64__)

inline constexpr std::string_view name = "x86-64";
// Of its own system calls: what PTRACE_GET_SYSCALL_INFO and seccomp(2) call it. Others are those of 32-bit programs.
inline constexpr std::uint32_t audit_architecture = AUDIT_ARCH_X86_64;
// Whether there is a recorder to map into traced programs (trace/ptrace/inside). Where there is none, each call stops.
inline constexpr bool has_recorder = true;
// Which arguments of clone() these are (kernel/fork.c: CONFIG_CLONE_BACKWARDS).
inline constexpr std::size_t clone_child_tid = 3, clone_tls = 4;
inline constexpr long dup2_call = SYS_dup2;
// The kernel's O_LARGEFILE: <fcntl.h> has 0 for it in 64-bit programs.
inline constexpr int large_file_flag = 0100000;

#elif defined(__aarch64__)

inline constexpr std::string_view name = "arm64";
inline constexpr std::uint32_t audit_architecture = AUDIT_ARCH_AARCH64;
inline constexpr bool has_recorder = false;
inline constexpr std::size_t clone_child_tid = 4, clone_tls = 3;
inline constexpr long dup2_call = -1;  // there is dup3() alone
inline constexpr int large_file_flag = 0400000;

#else
#error "src/trace/machine has no half for this machine: see docs/HOWTO-add-a-machine.md"
#endif

}  // namespace tcpwhy::trace::machine
