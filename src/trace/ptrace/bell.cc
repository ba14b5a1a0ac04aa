#include "trace/ptrace/bell.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

namespace tcpwhy::trace {

base::Status Bell::hang(std::optional<std::chrono::milliseconds> at_latest) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return base::fail_errno("pipe2");
  base::UniqueFd listening(ends[0]), rope(ends[1]);
  pid_ = ::fork();
  if (pid_ < 0)
    return base::fail_errno({"a process to wake the tracer by can't be made", "无法创建用来唤醒跟踪器的进程"});
  if (pid_ == 0) {
    // Nothing of its parent's may stay open in it, or others would wait for what only this child still holds.
    ::dup2(listening.get(), 0);
    ::syscall(SYS_close_range, 1U, ~0U, 0U);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    pollfd listens{.fd = 0, .events = POLLIN, .revents = 0};
    const int for_ms = at_latest ? static_cast<int>(at_latest->count()) : -1;
    while (::poll(&listens, 1, for_ms) < 0 && errno == EINTR) {
    }
    ::_exit(0);
  }
  const std::scoped_lock lock(mutex_);
  if (!rung_) rope_ = std::move(rope);  // rung meanwhile: the pipe closes here
  rung_ = false;
  return {};
}

void Bell::heard() {
  const std::scoped_lock lock(mutex_);
  rope_.reset();
}

void Bell::ring() {
  const std::scoped_lock lock(mutex_);
  if (rope_.valid())
    rope_.reset();
  else
    rung_ = true;
}

}  // namespace tcpwhy::trace
