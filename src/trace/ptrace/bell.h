// Wakes a thread that sleeps in waitpid(2): a child of that thread, which ends when it is rung. Unlike a signal it can't be missed,
// and changes nothing for the rest of the process.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <mutex>
#include <optional>

#include "base/result.h"
#include "base/unique_fd.h"

namespace tcpwhy::trace {

class Bell {
 public:
  // By the thread that is to be woken; again after each ring. The child is to be waited for with __WALL | __WNOTHREAD.
  // It rings by itself `at_latest` from now.
  base::Status hang(std::optional<std::chrono::milliseconds> at_latest = {});
  [[nodiscard]] pid_t pid() const { return pid_; }
  // By the thread that has waited for it, before it looks why: who rings from now on rings the next one, not this, which may have rung by
  // itself.
  void heard();
  // By any thread, any time. Once until it hangs anew.
  void ring();

 private:
  std::mutex mutex_;
  base::UniqueFd rope_;
  bool rung_ = false;
  pid_t pid_ = -1;
};

}  // namespace tcpwhy::trace
