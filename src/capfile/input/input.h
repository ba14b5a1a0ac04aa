// A file that is to be read, open already: who parses it needs no right to open anything, and can begin again.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace tcpwhy::capfile {

// A copy is the same open file.
class Input {
 public:
  // "-" is standard input. Waits, where it is a FIFO, for somebody who writes. Errors: ErrorKind::unreadable, with the path and what
  // is wrong.
  static base::Result<Input> open(const std::string& path);
  Input(base::UniqueFd fd, std::string name);

  [[nodiscard]] int fd() const { return fd_->get(); }
  [[nodiscard]] const std::string& name() const { return name_; }  // the path, or "standard input"; not escaped
  // A regular file is read by pread(2) from `start` on, where the descriptor stood, by any number of readers and any number of times;
  // anything else by read(2), once.
  [[nodiscard]] bool is_regular() const { return is_regular_; }
  [[nodiscard]] std::uint64_t start() const { return start_; }

 private:
  std::shared_ptr<const base::UniqueFd> fd_;
  std::string name_;
  bool is_regular_ = false;
  std::uint64_t start_ = 0;
};

}  // namespace tcpwhy::capfile
