// TCPWHY_CHECK(condition): our own mistakes end the program with file and line, in release builds too.
// Never for what a user, a file or a network can cause: that is a Result.
#pragma once

namespace tcpwhy::base {

[[noreturn]] void check_failed(const char* condition, const char* file, int line);

}  // namespace tcpwhy::base

#define TCPWHY_CHECK(condition) \
  (static_cast<bool>(condition) ? void(0) : ::tcpwhy::base::check_failed(#condition, __FILE__, __LINE__))
