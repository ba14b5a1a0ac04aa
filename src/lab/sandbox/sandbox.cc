#include "lab/sandbox/sandbox.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/format.h"
#include "base/units.h"
#include "lab/sandbox/sandbox_internal.h"

namespace tcpwhy::lab {
namespace {

constexpr std::size_t largest_message = 65536;

// Everything that the worker is to find, prepared by the parent before it exists.
struct Handover {
  base::UniqueFd result;  // memfd, shared
  base::UniqueFd progress_ours, progress_theirs;
  base::UniqueFd parent;  // pidfd of the parent, for the worker
};

base::Result<Handover> prepare_handover() {
  Handover handover;
  handover.result.reset(::memfd_create("tcpwhy-result", MFD_CLOEXEC));
  if (!handover.result.valid()) return base::fail_errno("memfd_create");
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) return base::fail_errno("socketpair");
  handover.progress_ours.reset(pair[0]);
  handover.progress_theirs.reset(pair[1]);
  handover.parent.reset(static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0)));
  if (!handover.parent.valid())
    return base::fail_errno("pidfd_open", errno, {"Linux 5.3 or newer is needed", "需要 Linux 5.3 或更新"});
  return handover;
}

// fork() with namespaces, handing out the child's pidfd. 0 in the child. Raw, since libc has no wrapper; the parent is
// single-threaded, so none of libc's locks can be held by somebody else.
pid_t clone_process(std::uint64_t namespaces, int& pidfd) {
  clone_args arguments{};
  arguments.flags = namespaces | CLONE_PIDFD;
  arguments.pidfd = static_cast<__u64>(reinterpret_cast<std::uintptr_t>(&pidfd));
  arguments.exit_signal = SIGCHLD;
  return static_cast<pid_t>(::syscall(SYS_clone3, &arguments, sizeof arguments));
}

// All signals blocked for as long as it lives: the child begins without any handler of the parent's running in it.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { sigprocmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

base::OwnedText describe_end(const siginfo_t& info) {
  if (info.si_code == CLD_EXITED)
    return base::format({"ended with status {} and no result", "以状态 {} 结束，没有结果"}, info.si_status);
  if (const char* name = sigabbrev_np(info.si_status))
    return base::format({"was killed by SIG{}", "被 SIG{} 杀死"}, name);
  return base::format({"was killed by signal {}", "被信号 {} 杀死"}, info.si_status);
}

}  // namespace

base::Status Workplace::progress(std::span<const std::uint8_t> message) {
  if (message.size() > largest_message)
    return base::fail(base::ErrorKind::system,
                      base::format({"a progress message of {} bytes is longer than {}", "{} 字节的进度消息超过了 {}"},
                                   message.size(), largest_message));
  while (::send(progress_.get(), message.data(), message.size(), MSG_NOSIGNAL) < 0)
    if (errno != EINTR) return base::fail_errno({"progress", "进度"});
  return {};
}

struct Sandbox::Impl {
  SandboxOptions options;
  pid_t pid = -1;
  base::UniqueFd pidfd, result, progress;
  base::MonotonicTime deadline;
  bool ended = false, timed_out = false, killed = false;
  siginfo_t end{};

  ~Impl() {
    if (!pidfd.valid() || ended) return;
    send_kill();
    reap(0);
  }

  void send_kill() const { ::syscall(SYS_pidfd_send_signal, pidfd.get(), SIGKILL, nullptr, 0); }

  // `flags`: WNOHANG or 0.
  void reap(int flags) {
    siginfo_t info{};
    int waited = 0;
    do waited = ::waitid(P_PIDFD, static_cast<id_t>(pidfd.get()), &info, WEXITED | flags);
    while (waited != 0 && errno == EINTR);
    if (waited == 0 && info.si_pid == 0) return;  // still running
    // ECHILD: somebody ignores SIGCHLD; it is gone, how is unknown.
    ended = true;
    end = info;
  }

  void read_progress() {
    std::array<std::uint8_t, largest_message> message;
    while (true) {
      const ssize_t got = ::recv(progress.get(), message.data(), message.size(), MSG_DONTWAIT);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
      if (got <= 0) return progress.reset();  // every holder inside is gone
      if (options.on_progress) options.on_progress({message.data(), static_cast<std::size_t>(got)});
    }
  }

  base::Result<Bytes> take_result() const {
    const auto who = options.name.empty() ? base::OwnedText{"the sandbox", "沙箱"}
                                          : base::format({"the sandbox of {}", "{} 的沙箱"}, options.name);
    if (auto result_read = read_result(result.get())) return std::move(*result_read);
    if (timed_out)
      return base::fail(
          base::ErrorKind::system,
          base::format({"{} took longer than {}", "{}用时超过 {}"}, who, base::seconds_in_words(options.wall_limit)),
          {"everything inside was killed", "其中的一切已被杀死"});
    if (killed) return base::fail(base::ErrorKind::system, base::format({"{} was stopped", "{}被停止"}, who));
    return base::fail(base::ErrorKind::system, base::format({"{} {}", "{}{}"}, who, describe_end(end)));
  }
};

Sandbox::Sandbox(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Sandbox::Sandbox(Sandbox&&) noexcept = default;
Sandbox& Sandbox::operator=(Sandbox&&) noexcept = default;
Sandbox::~Sandbox() = default;

base::Result<Sandbox> Sandbox::start(SandboxOptions options, Work work) {
  auto handover = prepare_handover();
  if (!handover) return std::unexpected(std::move(handover.error()));
  const Identity identity{::geteuid(), ::getegid()};

  int pidfd = -1;
  pid_t pid = -1;
  int error = EPERM;
  bool user_namespace = false;
  {
    const SignalsBlocked blocked;
    if (identity.uid == 0) {
      pid = clone_process(CLONE_NEWPID | CLONE_NEWNET, pidfd);
      error = errno;
    }
    // Root in a container may lack CAP_SYS_ADMIN, and have it in a user namespace of its own.
    if (pid < 0 && error == EPERM) {
      user_namespace = true;
      pid = clone_process(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET, pidfd);
      error = errno;
    }
    if (pid == 0) {
      run_worker({.result = handover->result.get(),
                  .progress = handover->progress_theirs.get(),
                  .parent = handover->parent.get(),
                  .keep = options.keep_fds,
                  .map = user_namespace ? std::optional(identity) : std::nullopt},
                 [&](int progress) {
                   Workplace place(base::UniqueFd(progress), user_namespace);
                   return work(place);
                 });
    }
  }
  if (pid < 0) return explain_refusal(error, user_namespace);

  auto impl = std::make_unique<Impl>();
  impl->pid = pid;
  impl->pidfd.reset(pidfd);
  impl->result = std::move(handover->result);
  impl->progress = std::move(handover->progress_ours);
  impl->deadline = base::MonotonicClock::now() + options.wall_limit;
  impl->options = std::move(options);
  return Sandbox(std::move(impl));
}

const std::string& Sandbox::name() const { return impl_->options.name; }
pid_t Sandbox::pid() const { return impl_->pid; }
Sandbox::Fds Sandbox::fds() const {
  return {.progress = impl_->ended ? -1 : impl_->progress.get(), .end = impl_->ended ? -1 : impl_->pidfd.get()};
}
base::MonotonicTime Sandbox::deadline() const { return impl_->deadline; }

bool Sandbox::pump(base::MonotonicTime now) {
  if (impl_->ended) return true;
  // Looked at before progress is read: after the end nobody can add to it.
  impl_->reap(WNOHANG);
  if (!impl_->ended && now >= impl_->deadline) {
    impl_->timed_out = true;
    impl_->send_kill();
    impl_->reap(0);
  }
  if (impl_->progress.valid()) impl_->read_progress();
  return impl_->ended;
}

base::Result<Bytes> Sandbox::wait() {
  while (true) {
    const auto now = base::MonotonicClock::now();
    if (pump(now)) return impl_->take_result();
    pollfd polled[] = {{impl_->progress.get(), POLLIN, 0}, {impl_->pidfd.get(), POLLIN, 0}};
    ::poll(polled, std::size(polled), poll_timeout_ms(now, impl_->deadline));
  }
}

void Sandbox::kill() {
  if (impl_->ended) return;
  impl_->killed = true;
  impl_->send_kill();
  impl_->reap(0);
}

base::Status sandbox_available() {
  auto sandbox = Sandbox::start({.name = {}, .wall_limit = std::chrono::seconds(10), .keep_fds = {}, .on_progress = {}},
                                [](Workplace&) -> base::Result<Bytes> { return Bytes{}; });
  if (!sandbox) return std::unexpected(std::move(sandbox.error()));
  auto result = sandbox->wait();
  if (!result) return std::unexpected(std::move(result.error()));
  return {};
}

}  // namespace tcpwhy::lab
