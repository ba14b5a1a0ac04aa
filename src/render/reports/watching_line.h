// The line by which a trace says that it watches from now on: "watching python3 (12431), nginx (88); Ctrl-C ends".
#pragma once

#include <string>
#include <vector>

#include <sys/types.h>

#include "base/language.h"

namespace tcpwhy::render {

struct WatchedProgram {
  std::string name;
  pid_t pid = 0;  // 0: not known
};

// Ends in a new line. Safe for a terminal.
std::string watching_line(const std::vector<WatchedProgram>& programs, base::Language language);

}  // namespace tcpwhy::render
