// What differs from machine to machine in the arguments of calls, and isn't told by a system header.
#pragma once

#include <cstddef>

namespace tcpwhy::calls::machine {

#if defined(__x86_64__)
// Which arguments of clone() these are (kernel/fork.c: CONFIG_CLONE_BACKWARDS).
inline constexpr std::size_t clone_child_tid = 3, clone_tls = 4;
// The kernel's O_LARGEFILE: <fcntl.h> has 0 for it in 64-bit programs.
inline constexpr int large_file_flag = 0100000;
#elif defined(__aarch64__)
inline constexpr std::size_t clone_child_tid = 4, clone_tls = 3;
inline constexpr int large_file_flag = 0400000;
#else
#error "src/calls/machine.h has no half for this machine: see docs/HOWTO-add-a-machine.md"
#endif

}  // namespace tcpwhy::calls::machine
