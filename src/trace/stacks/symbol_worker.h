// The symbol server's process: reads what it is handed, answers, and may do nothing else.
#pragma once

#include "base/unique_fd.h"

namespace tcpwhy::trace::symbols {

// In a process of its own, of one thread, whose only open files are `socket` and what stands at 0 to 2. Gives up its rights
// (confine/confine.h), then answers until the other end is gone.
[[noreturn]] void serve(base::UniqueFd socket);

// Processor time that one question may take, in seconds; who takes longer is ended by the kernel (SIGPROF).
inline constexpr int most_seconds_a_question = 5;

}  // namespace tcpwhy::trace::symbols
