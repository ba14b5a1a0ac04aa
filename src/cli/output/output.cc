#include "cli/output/output.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <climits>
#include <csignal>
#include <ctime>
#include <optional>
#include <string>

#include "base/format.h"
#include "base/text.h"
#include "observe/stop_on_signals.h"

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

// Writing there may have to wait for a reader, and not only for a moment.
bool waits_for_reader(int fd) {
  struct stat info{};
  return fstat(fd, &info) == 0 && (S_ISFIFO(info.st_mode) || S_ISSOCK(info.st_mode) || S_ISCHR(info.st_mode));
}

// Until there is room, or nobody is to be waited for any longer: 0 or ECANCELED. A signal may come just before the wait, so that
// is looked at anew now and then.
int wait_for_room(int fd) {
  constexpr auto look_every = std::chrono::milliseconds(100), patience = std::chrono::milliseconds(1000);
  std::optional<std::chrono::steady_clock::time_point> asked_to_stop;
  while (true) {
    pollfd room{fd, POLLOUT, 0};
    if (::poll(&room, 1, static_cast<int>(look_every.count())) > 0) return 0;
    if (!observe::StopOnSignals::requested()) continue;
    const auto now = std::chrono::steady_clock::now();
    if (!asked_to_stop) asked_to_stop = now;
    if (now - *asked_to_stop >= patience) return ECANCELED;
  }
}

// Returns 0, or the errno of the write that failed.
int write_all(int fd, std::string_view text) {
  const HoldSigpipe hold;
  // A pipe that poll(2) says has room takes so much without waiting (pipe(7)).
  const bool waits = waits_for_reader(fd);
  const std::size_t most = waits ? PIPE_BUF : text.size();
  while (!text.empty()) {
    if (waits)
      if (const int given_up = wait_for_room(fd)) return given_up;
    const auto written = ::write(fd, text.data(), std::min(text.size(), most));
    if (written >= 0) {
      text.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno == EAGAIN) {  // whoever shares this terminal or pipe has made it non-blocking
      if (const int given_up = wait_for_room(fd)) return given_up;
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

base::Language language_of_the_run = base::Language::en;

}  // namespace

void speak(base::Language language) { language_of_the_run = language; }
base::Language spoken() { return language_of_the_run; }
std::string said(const base::Text& text) { return std::string(text.in(spoken())); }

void occupy_standard_descriptors() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
      (void)::open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);  // the lowest that is free: this one
}

void outlive_file_size_limit() {
  struct sigaction action{};
  if (sigaction(SIGXFSZ, nullptr, &action) != 0 || action.sa_handler != SIG_DFL) return;
  action.sa_handler = [](int) {};
  action.sa_flags = SA_RESTART;
  sigaction(SIGXFSZ, &action, nullptr);
}

void Output::write(std::string_view text) {
  if (error_ == 0) error_ = write_all(fd_, text);
}

base::Status Output::status() const {
  if (error_ == 0 || error_ == EPIPE) return {};
  if (error_ == ECANCELED)
    return base::fail(
        base::ErrorKind::system,
        base::format({"writing {}: nobody reads it, and a signal came", "写入{}：没有人读取，且收到了信号"}, name_));
  return base::fail_errno(base::format({"writing {}", "写入{}"}, name_), error_);
}

int report(const base::Error& error) {
  std::string text =
      base::format(spoken(), {"tcpwhy: error: {}\n", "tcpwhy: 错误：{}\n"}, escape_lines(said(error.message)));
  if (!error.hint.empty())
    text += base::format(spoken(), {"tcpwhy: hint: {}\n", "tcpwhy: 建议：{}\n"}, escape_lines(said(error.hint)));
  write_all(STDERR_FILENO, text);
  return base::exit_status(error.kind);
}

void warn(const base::Text& message) {
  write_all(STDERR_FILENO,
            base::format(spoken(), {"tcpwhy: warning: {}\n", "tcpwhy: 警告：{}\n"}, escape_lines(said(message))));
}

void draw(std::string_view text) { write_all(STDERR_FILENO, text); }

}  // namespace tcpwhy::cli
