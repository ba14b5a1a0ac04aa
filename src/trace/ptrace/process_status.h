// What /proc/TID/status says of a process or thread.
#pragma once

#include <string>
#include <string_view>

#include <sys/types.h>

namespace tcpwhy::trace {

// A line of it: what stands after "Tgid:\t". Empty: no such line, or nobody.
std::string status_field(pid_t tid, std::string_view name);
// Tgid, PPid, TracerPid; 0: none.
pid_t pid_field(pid_t tid, std::string_view name);
// Whether the signal is in a set of it: SigCgt, SigIgn.
bool has_signal(pid_t tid, std::string_view set, int signal);

}  // namespace tcpwhy::trace
