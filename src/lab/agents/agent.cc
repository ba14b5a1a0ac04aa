#include "lab/agents/agent.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <limits.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <new>
#include <thread>

#include "base/check.h"
#include "base/format.h"
#include "trace/proc_text.h"

namespace tcpwhy::lab {
namespace {

// The agent's own descriptors begin here; the experiment's stay below.
constexpr int own_descriptors = 200;
constexpr int status_of_lost_agent = 250;  // its channel or its namespace failed: never an experiment's own status

struct CommandHeader {
  std::uint32_t calls = 0;
  std::uint32_t payload = 0;
};

constexpr std::size_t command_bytes =
    sizeof(CommandHeader) + ThreadPage::calls_in_a_batch * sizeof(ReadyCall) + 80 * 1024;

void empty(CallSlot& slot) {
  slot.~CallSlot();
  new (&slot) CallSlot();
}

// The numbers by which everybody outside knows this thread: /proc may belong to an outer pid namespace.
void tell_numbers(AgentPage& page, ThreadPage& thread) {
  std::array<char, 64> link{};
  if (readlink("/proc/thread-self", link.data(), link.size() - 1) <= 0) return;
  int pid = 0, tid = 0;
  if (std::sscanf(link.data(), "%d/task/%d", &pid, &tid) != 2) return;
  page.host_pid.store(pid);
  thread.host_tid.store(tid);
}

// What a thread of the agent does all its life.
class Worker {
 public:
  Worker(int channel, ThreadPage& page, std::function<long(std::int32_t)> fork)
      : channel_(channel), page_(page), fork_(std::move(fork)) {}

  [[noreturn]] void serve() {
    std::vector<char> message(command_bytes);
    while (true) {
      const ssize_t length = ::recv(channel_, message.data(), message.size(), 0);
      if (length < 0 && errno == EINTR) continue;
      if (length < static_cast<ssize_t>(sizeof(CommandHeader))) ::_exit(length == 0 ? 0 : status_of_lost_agent);
      run(message.data());
      const char done = 1;
      if (::send(channel_, &done, 1, MSG_NOSIGNAL) != 1) ::_exit(status_of_lost_agent);
    }
  }

 private:
  void run(const char* message) {
    CommandHeader header;
    std::memcpy(&header, message, sizeof header);
    TCPWHY_CHECK(header.calls <= ThreadPage::calls_in_a_batch);
    std::vector<ReadyCall> calls(header.calls);
    std::memcpy(calls.data(), message + sizeof header, header.calls * sizeof(ReadyCall));
    const CallContext context{{message + sizeof header + header.calls * sizeof(ReadyCall), header.payload}, fork_};
    for (std::size_t i = 0; i < calls.size(); ++i) {
      CallSlot& slot = page_.calls[i];
      if (calls[i].needs_previous && i > 0 && (page_.calls[i - 1].result < 0 || page_.calls[i - 1].skipped)) {
        slot.skipped = true;
        slot.complete.store(1);
        continue;
      }
      if (calls[i].fd_from >= 0) calls[i].fd = page_.calls[calls[i].fd_from].new_fd;
      run_call(calls[i], context, slot);
    }
  }

  int channel_;
  ThreadPage& page_;
  std::function<long(std::int32_t)> fork_;
};

// A child whose parent is our own parent, so that the one who waits for agents waits for this one too. fork(3)'s
// handlers don't run: the child uses nothing that they protect.
long fork_sibling() {
  return ::syscall(SYS_clone, static_cast<unsigned long>(CLONE_PARENT | SIGCHLD), nullptr, nullptr, nullptr, 0UL);
}

int move_up(base::UniqueFd& fd) {
  const int high = ::fcntl(fd.get(), F_DUPFD_CLOEXEC, own_descriptors);
  if (high < 0) ::_exit(status_of_lost_agent);
  fd.reset(high);
  return high;
}

}  // namespace

void Agent::Unmap::operator()(AgentPage* page) const {
  page->~AgentPage();
  ::munmap(page, sizeof(AgentPage));
}

base::Result<Agent> Agent::prepare(Plan plan) {
  TCPWHY_CHECK(plan.threads >= 1 && plan.threads <= AgentPage::threads_at_most);
  Agent agent;
  void* memory = ::mmap(nullptr, sizeof(AgentPage), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return base::fail_errno(base::format({"shared memory for {}", "{} 的共享内存"}, plan.name));
  agent.page_.reset(new (memory) AgentPage);
  for (std::size_t i = 0; i < plan.threads; ++i) {
    std::array<int, 2> pair{};
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair.data()) != 0)
      return base::fail_errno(base::format({"a channel for {}", "{} 的通道"}, plan.name));
    agent.channels_.push_back({base::UniqueFd(pair[0]), base::UniqueFd(pair[1])});
  }
  agent.plan_ = std::move(plan);
  return agent;
}

Agent::~Agent() {
  if (!running()) return;
  ::kill(pid_, SIGKILL);
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

base::Status Agent::start(const NetNamespace* home, std::span<Agent* const> children) {
  const pid_t pid = ::fork();
  if (pid < 0) return base::fail_errno(base::format({"fork for {}", "为 {} 执行 fork"}, plan_.name));
  if (pid == 0) live(home, children);
  return adopt(pid);
}

base::Status Agent::adopt(pid_t pid) {
  pid_ = pid;
  pidfd_.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  for (Channel& channel : channels_) channel.theirs.reset();
  if (!pidfd_.valid())
    return base::fail_errno(base::format({"pidfd_open for {}", "为 {} 执行 pidfd_open"}, plan_.name));
  return {};
}

// In the new process. `children`: nothing but their channels' far ends and their pages is used.
void Agent::live(const NetNamespace* home, std::span<Agent* const> children) {
  if (home && !home->enter()) ::_exit(status_of_lost_agent);
  for (Channel& channel : channels_) move_up(channel.theirs);
  for (Agent* child : children)
    for (Channel& channel : child->channels_) move_up(channel.theirs);
  ::close_range(3, own_descriptors - 1, 0);
  reset_signals();
  set_signal_log(&page_->signals);
  ::prctl(PR_SET_NAME, plan_.name.c_str());

  // The child of fork() has one thread and the same siblings to make.
  const auto fork = [children](std::int32_t number) -> long {
    TCPWHY_CHECK(number >= 0 && static_cast<std::size_t>(number) < children.size());
    Agent& child = *children[static_cast<std::size_t>(number)];
    const long result = fork_sibling();
    if (result != 0) return result;
    set_signal_log(&child.page_->signals);
    ::prctl(PR_SET_NAME, child.plan_.name.c_str());
    tell_numbers(*child.page_, child.page_->threads[0]);
    // As its parent, it may fork again.
    std::function<long(std::int32_t)> again = [](std::int32_t) -> long { return errno = ENOSYS, -1; };
    Worker(child.channels_[0].theirs.get(), child.page_->threads[0], again).serve();
  };
  for (std::size_t i = 1; i < channels_.size(); ++i)
    std::thread([this, i, fork] {
      tell_numbers(*page_, page_->threads[i]);
      Worker(channels_[i].theirs.get(), page_->threads[i], fork).serve();
    }).detach();
  tell_numbers(*page_, page_->threads[0]);
  Worker(channels_[0].theirs.get(), page_->threads[0], fork).serve();
}

base::Status Agent::begin(std::size_t thread, std::span<const ReadyCall> calls, std::string_view payload) {
  TCPWHY_CHECK(calls.size() <= ThreadPage::calls_in_a_batch);
  ThreadPage& page = page_->threads[thread];
  for (std::size_t i = 0; i < calls.size(); ++i) empty(page.calls[i]);
  const CommandHeader header{static_cast<std::uint32_t>(calls.size()), static_cast<std::uint32_t>(payload.size())};
  std::vector<char> message(sizeof header + calls.size_bytes() + payload.size());
  TCPWHY_CHECK(message.size() <= command_bytes);
  std::memcpy(message.data(), &header, sizeof header);
  std::memcpy(message.data() + sizeof header, calls.data(), calls.size_bytes());
  std::memcpy(message.data() + sizeof header + calls.size_bytes(), payload.data(), payload.size());
  if (::send(channel(thread), message.data(), message.size(), MSG_NOSIGNAL) < 0)
    return base::fail_errno(base::format({"telling {}", "通知 {}"}, plan_.name));
  return {};
}

bool Agent::take_done(std::size_t thread) {
  char done = 0;
  return ::recv(channel(thread), &done, 1, MSG_DONTWAIT) == 1;
}

bool Agent::runs_another_program() const {
  const auto program_of = [](const std::string& process) {
    std::array<char, PATH_MAX> path{};
    const ssize_t length = ::readlink(fmt::format("/proc/{}/exe", process).c_str(), path.data(), path.size());
    return std::string(path.data(), length > 0 ? static_cast<std::size_t>(length) : 0);
  };
  const std::string theirs = program_of(std::to_string(page_->host_pid.load()));
  return running() && !theirs.empty() && theirs != program_of("self");
}

bool Agent::sleeps(std::size_t thread) const {
  const std::int32_t pid = page_->host_pid.load(), tid = page_->threads[thread].host_tid.load();
  const base::UniqueFd file(::open(fmt::format("/proc/{}/task/{}/stat", pid, tid).c_str(), O_RDONLY | O_CLOEXEC));
  std::array<char, 512> text{};
  const ssize_t length = file.valid() ? ::read(file.get(), text.data(), text.size() - 1) : 0;
  return trace::task_state({text.data(), length > 0 ? static_cast<std::size_t>(length) : 0}) == 'S';
}

std::optional<int> Agent::take_end() {
  if (!running()) return std::nullopt;
  int status = 0;
  if (::waitpid(pid_, &status, WNOHANG) != pid_) return std::nullopt;
  pidfd_.reset();
  return status;
}

}  // namespace tcpwhy::lab
