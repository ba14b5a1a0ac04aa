// A file that is to be read, open already: who parses it needs no right to open anything, and can begin again.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

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

  // Of an input that is waited for (a pipe): when this says so, it is at its end. It is asked now and then while there is nothing to
  // read, by whichever thread waits. For readers that are made afterwards.
  void stop_when(std::function<bool()> stop) { stop_ = std::move(stop); }
  [[nodiscard]] const std::function<bool()>& stop() const { return stop_; }

 private:
  std::shared_ptr<const base::UniqueFd> fd_;
  std::string name_;
  bool is_regular_ = false;
  std::uint64_t start_ = 0;
  std::function<bool()> stop_;
};

}  // namespace tcpwhy::capfile
