// The system calls that a confined process may make (seccomp(2), through libseccomp).
#pragma once

#include "confine/confine.h"

namespace tcpwhy::confine {

// For this thread and those that it makes later, for ever. Needs PR_SET_NO_NEW_PRIVS. False: the kernel does not filter.
bool obey_filter(Leave leave);

}  // namespace tcpwhy::confine
