// Another network namespace than the one that tcpwhy was started in.
#pragma once

#include <string>

#include "base/result.h"

namespace tcpwhy::observe {

// From now on this thread, and what it starts, is in it. `name`: as ip-netns(8) knows it (a file of /run/netns), the path of such a file, or the
// number of a process that is in it. Errors: usage, there is none; privilege.
base::Status enter_netns(const std::string& name);

}  // namespace tcpwhy::observe
