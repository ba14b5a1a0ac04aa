// A command that has been forked, but waits to be let go: what is to watch it can be set up first.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

#include "base/result.h"
#include "base/unique_fd.h"

namespace tcpwhy::trace {

class GatedChild {
 public:
  // Forks. The child has this process's descriptors 0 to 2, environment, signal dispositions and mask.
  static base::Result<GatedChild> fork(const std::vector<std::string>& command);
  GatedChild(GatedChild&&) noexcept;
  GatedChild& operator=(GatedChild&&) = delete;
  // A child that was never let go is killed and waited for; any other goes on.
  ~GatedChild();

  [[nodiscard]] pid_t pid() const { return pid_; }
  // The command begins (execvp(3)). Errors: usage, if there is no such program, or it cannot be run; the child is gone then.
  base::Status let_go();
  // waitpid(2)'s status, once it has ended.
  std::optional<int> poll_end();
  // The same of one that is known to be ending: waits for it.
  std::optional<int> wait_for_end();

 private:
  GatedChild() = default;
  pid_t pid_ = -1;
  base::UniqueFd gate_, failure_;
  std::string name_;
  bool gone_ = false;
  std::optional<int> status_;
};

}  // namespace tcpwhy::trace
