#include "cli/output.h"

#include <fmt/format.h>
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <ctime>
#include <string>

#include "base/text.h"

namespace tcpwhy::cli {
namespace {

// While it lives, a SIGPIPE that this thread raises is blocked, and taken back if it came.
class HoldSigpipe {
 public:
  HoldSigpipe() {
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    sigset_t pending;
    sigemptyset(&pending);
    sigpending(&pending);
    was_pending_ = sigismember(&pending, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &pipe_, &previous_);
  }
  HoldSigpipe(const HoldSigpipe&) = delete;
  HoldSigpipe& operator=(const HoldSigpipe&) = delete;
  ~HoldSigpipe() {
    const int saved = errno;
    constexpr timespec at_once{};
    if (!was_pending_) {
      while (sigtimedwait(&pipe_, nullptr, &at_once) < 0 && errno == EINTR) {
      }
    }
    pthread_sigmask(SIG_SETMASK, &previous_, nullptr);
    errno = saved;
  }

 private:
  sigset_t pipe_{}, previous_{};
  bool was_pending_ = false;
};

// Returns 0, or the errno of the write that failed.
int write_all(int fd, std::string_view text) {
  const HoldSigpipe hold;
  while (!text.empty()) {
    const auto written = ::write(fd, text.data(), text.size());
    if (written >= 0) {
      text.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno == EAGAIN) {  // whoever shares this terminal or pipe has made it non-blocking
      pollfd ready{fd, POLLOUT, 0};
      ::poll(&ready, 1, -1);
    } else if (errno != EINTR) {
      return errno;
    }
  }
  return 0;
}

// Several lines stay lines: what is escaped is what stands in each.
std::string escape_lines(std::string_view text) {
  std::string out;
  while (true) {
    const auto end = text.find('\n');
    out += base::escape_controls(text.substr(0, end));
    if (end == std::string_view::npos) return out;
    out += '\n';
    text.remove_prefix(end + 1);
  }
}

}  // namespace

void Output::write(std::string_view text) {
  if (error_ == 0) error_ = write_all(fd_, text);
}

base::Status Output::status() const {
  if (error_ == 0 || error_ == EPIPE) return {};
  return base::fail_errno("writing the output", error_);
}

int report(const base::Error& error) {
  std::string text = fmt::format("tcpwhy: error: {}\n", escape_lines(error.message));
  if (!error.hint.empty()) text += fmt::format("tcpwhy: hint: {}\n", escape_lines(error.hint));
  write_all(STDERR_FILENO, text);
  return base::exit_status(error.kind);
}

void warn(std::string_view message) {
  write_all(STDERR_FILENO, fmt::format("tcpwhy: warning: {}\n", escape_lines(message)));
}

}  // namespace tcpwhy::cli
