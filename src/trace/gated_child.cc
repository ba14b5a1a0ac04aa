#include "trace/gated_child.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <utility>

#include "base/format.h"

namespace tcpwhy::trace {
namespace {

struct Pipe {
  base::UniqueFd read, write;
};

base::Result<Pipe> make_pipe() {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return base::fail_errno("pipe2");
  return Pipe{base::UniqueFd(ends[0]), base::UniqueFd(ends[1])};
}

// As execvp(3) would find it; a name that is nowhere stays as it is and fails there.
std::string in_path(const std::string& name) {
  const char* path = getenv("PATH");
  if (name.find('/') != std::string::npos || path == nullptr) return name;
  for (std::string_view rest = path; !rest.empty();) {
    const std::size_t end = std::min(rest.find(':'), rest.size());
    const std::string candidate = std::string(rest.substr(0, end)) + "/" + name;
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return name;
}

// In the child, from here on only what is safe after fork() (signal-safety(7)).
[[noreturn]] void run(const char* file, const std::vector<char*>& arguments, int gate, int failure) {
  char go = 0;
  ssize_t got = 0;
  do got = read(gate, &go, 1);
  while (got < 0 && errno == EINTR);
  if (got != 1) _exit(127);  // nobody let it go: its parent is gone
  execv(file, arguments.data());
  const int error = errno;
  const ssize_t written = write(failure, &error, sizeof error);
  _exit(written == sizeof error ? 127 : 126);
}

}  // namespace

GatedChild::GatedChild(GatedChild&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      gate_(std::move(other.gate_)),
      failure_(std::move(other.failure_)),
      name_(std::move(other.name_)),
      gone_(other.gone_),
      status_(other.status_) {}

GatedChild::~GatedChild() {
  if (pid_ < 0 || gone_ || status_) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

base::Result<GatedChild> GatedChild::fork(const std::vector<std::string>& command) {
  auto gate = make_pipe();
  if (!gate) return std::unexpected(gate.error());
  auto failure = make_pipe();
  if (!failure) return std::unexpected(failure.error());
  std::vector<std::string> words = command;
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  GatedChild child;
  child.name_ = command.front();
  const std::string file = in_path(command.front());  // found once, not by trying in the child: that would be traced
  child.pid_ = ::fork();
  if (child.pid_ < 0) return base::fail_errno("fork");
  if (child.pid_ == 0) {
    close(gate->write.get());  // else the child would hold its own gate open for ever
    run(file.c_str(), arguments, gate->read.get(), failure->write.get());
  }
  child.gate_ = std::move(gate->write);
  child.failure_ = std::move(failure->read);
  return child;
}

base::Status GatedChild::let_go() {
  const char go = 1;
  if (write(gate_.get(), &go, 1) != 1) return base::fail_errno({"letting the command go", "放行命令"});
  gate_.reset();
  gone_ = true;
  int error = 0;
  ssize_t got = 0;
  do got = read(failure_.get(), &error, sizeof error);  // its end is closed by a successful exec
  while (got < 0 && errno == EINTR);
  failure_.reset();
  if (got != sizeof error) return {};
  waitpid(pid_, nullptr, 0);
  status_ = 127 << 8;
  return base::fail(base::ErrorKind::usage, base::format({"{}: {}", "{}：{}"}, name_, strerror(error)),
                    error == ENOENT ? base::OwnedText{"the command is looked up in PATH, as in a shell",
                                                      "与 shell 一样在 PATH 中查找命令"}
                                    : base::OwnedText{});
}

std::optional<int> GatedChild::poll_end() {
  if (status_ || !gone_) return status_;
  int status = 0;
  if (waitpid(pid_, &status, WNOHANG) == pid_) status_ = status;
  return status_;
}

std::optional<int> GatedChild::wait_for_end() {
  if (status_ || !gone_) return status_;
  int status = 0;
  pid_t ended = 0;
  do ended = waitpid(pid_, &status, 0);
  while (ended < 0 && errno == EINTR);
  if (ended == pid_) status_ = status;
  return status_;
}

}  // namespace tcpwhy::trace
