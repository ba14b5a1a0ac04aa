// A control group of version 2, and who is in it: cgroups(7).
#pragma once

#include <sys/types.h>

#include <string>

#include "base/result.h"
#include "trace/bpf/probe.h"

namespace tcpwhy::observe {

// `name`: its folder, or the path below where groups are mounted, as /proc/PID/cgroup has it: /system.slice/nginx.service. Error: usage, there is
// none, or it is one of version 1.
base::Result<trace::ControlGroup> find_control_group(const std::string& name);

// Whether the process is in it, or in one below it; false too where it has ended.
bool is_in(const trace::ControlGroup& group, pid_t process);

}  // namespace tcpwhy::observe
