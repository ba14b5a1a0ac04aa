// The program: arguments in, exit status out.
#pragma once

namespace tcpwhy::cli {

// 0 fine, 1 an expectation that failed or a finding, 2 usage, 3 unreadable input, 4 a missing privilege or kernel feature.
int run_program(int argc, const char* const* argv);

}  // namespace tcpwhy::cli
