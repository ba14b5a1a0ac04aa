#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace tcpwhy::base {

void check_failed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "tcpwhy: %s:%d: this should always hold and did not: %s\n", file, line, condition);
  std::abort();
}

}  // namespace tcpwhy::base
