// The view `-o strace`: the calls and signals of a recording as `strace -f -ttt -T` (6.1) writes them, and nothing else of it.
//
//   102   1700000000.000010 connect(3, {...}, 16 <unfinished ...>
//   101   1700000000.000080 accept(3, NULL, NULL) = 4 <0.000010>
//   102   1700000000.000090 <... connect resumed>) = 0 <0.000080>
//
// What strace does not see is left out: operations of io_uring, and signals that do not reach a program (only generated, blocked, SIGKILL). What a recording
// does not hold is not made up: the siginfo_t behind a signal's name. One recording is one log.
#pragma once

#include <string>

#include "recording/recording.h"
#include "render/timeline/write_text.h"

namespace tcpwhy::render {

void write_strace(const recording::Recording& recording, const WriteText& write);
std::string strace_log(const recording::Recording& recording);

}  // namespace tcpwhy::render
