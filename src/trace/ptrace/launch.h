// The command, from fork to exec, with its seccomp filter.
#pragma once

#include <csignal>
#include <string>
#include <vector>

#include <linux/filter.h>
#include <sys/types.h>

#include "base/result.h"
#include "base/unique_fd.h"

namespace tcpwhy::trace {

// SECCOMP_RET_TRACE for the calls of the table, for filters of the program's own, and for what changes memory where
// recorders lie (inside/); SECCOMP_RET_ALLOW for the recorder's own calls, for all others, and for other architectures'.
base::Result<std::vector<sock_filter>> make_filter();

struct Launched {
  pid_t pid = -1;
  base::UniqueFd go;      // closed: it installs the filter and executes
  base::UniqueFd failed;  // an errno is read from it if it can't; nothing (end of file) once it has executed
};

// Forks. The child waits for `go`, so that it can be seized first. An empty filter: none. `signal_mask` is what the
// command gets; SIGPIPE has its default action again.
base::Result<Launched> launch(const std::vector<std::string>& command, const std::vector<sock_filter>& filter,
                              const sigset_t& signal_mask);

}  // namespace tcpwhy::trace
