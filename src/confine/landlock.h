// Landlock by its three system calls (landlock(7), Documentation/userspace-api/landlock.rst): libc has no functions for them, and
// the headers of Debian 12 know its first two versions only.
#pragma once

#include <span>

#include "base/unique_fd.h"

namespace tcpwhy::confine {

// The version that the kernel has: 1 since Linux 5.13. 0: none, or it is switched off, or a container forbids it.
int landlock_abi();

struct Openable {
  std::span<const int> files;            // for reading and writing
  std::span<const char* const> folders;  // for reading, with all below; those that are not there are left out
};

// Rules under which nothing but that can be opened; invalid: the kernel has no Landlock, or not enough memory.
base::UniqueFd make_landlock_rules(const Openable& openable);

// For this thread and its children, for ever. Needs PR_SET_NO_NEW_PRIVS.
bool obey_landlock_rules(const base::UniqueFd& rules);

}  // namespace tcpwhy::confine
