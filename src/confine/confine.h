// What reads bytes that others wrote gives up what it does not need for that: from then on this process computes, reads and writes
// what it has open, and no more, whatever those bytes make of it.
//
// Four walls, each behind the other, each put up where this kernel and these rights allow it:
// - another user: who is root becomes "nobody", without groups (setresuid(2)); nobody keeps a capability (capabilities(7));
// - no new privileges: no program that it might start could give it any (prctl(2), PR_SET_NO_NEW_PRIVS);
// - Landlock (landlock(7), Linux 5.13): no file is opened, made, removed; from Linux 6.7 no TCP port is bound or connected, from 6.12
//   no signal and no abstract socket reaches another process;
// - seccomp (seccomp(2)): calls that make files, processes, sockets, mappings of code, or touch other processes or the system, kill
//   the process (SIGSYS). To open for reading fails with EACCES instead, for libc does so by itself (malloc looks into
//   /proc/sys/vm/overcommit_memory). What is on no list of filter.cc fails with ENOSYS, as in a kernel that lacks it.
//
// Order of its use: open everything, load what libraries load late, enter(), and only then look at a byte.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <span>

#include "base/result.h"

namespace tcpwhy::confine {

// A build with sanitizers has no walls: at its end such a process looks for leaks, from another that traces it and reads /proc.
#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool has_walls = false;
#else
inline constexpr bool has_walls = true;
#endif

// What is left to it beside computing, and reading and writing what is open.
enum class Leave : std::uint8_t {
  nothing,
  messages,  // recvmsg(2) and sendmsg(2) on its sockets, descriptors included
  // For a library of others that opens its files by name, and whose calls we don't know: it may open /proc and /sys for reading
  // and `reopened` for both. Its user stays (/proc/self/fd is its own), without capabilities, and so do calls that are on no list.
  // Where there is no Landlock, it may open what its user may.
  reopening,
};

struct ConfinementOptions {
  Leave leave = Leave::nothing;
  std::span<const int> reopened = {};
};

// Which walls stand.
struct Confinement {
  bool was_root = false;
  std::optional<uid_t>
      user;  // that it became; nothing: it was not root, or may not change (a user namespace of one user)
  bool no_capabilities = false;
  int landlock = 0;  // the kernel's ABI; 0: there is none
  bool seccomp = false;
};

// For a process of one thread (with Leave::reopening, others are left as they are); threads that it makes later are confined like it. What a wall can't be built of is left out, and
// the others are built; an error only where the process is no longer what it was and not yet confined (ErrorKind::system).
base::Result<Confinement> enter(const ConfinementOptions& options = {});

}  // namespace tcpwhy::confine
