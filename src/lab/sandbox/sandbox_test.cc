// A sandbox hands back what its work made, and nothing of it stays behind whatever dies.
#include "lab/sandbox/sandbox.h"

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "lab/sandbox/sandbox_internal.h"
#include "lab/sandbox/sandbox_testing.h"

namespace tcpwhy::lab {
namespace {

using testing::run_sandboxed;
using testing::succeeded;
using testing::test_options;
using testing::to_bytes;
using testing::to_text;

std::string own_net_namespace() {
  char link[64] = {};
  const ssize_t length = ::readlink("/proc/self/ns/net", link, sizeof link - 1);
  return {link, static_cast<std::size_t>(std::max<ssize_t>(length, 0))};
}

// How many processes that we can see live in network namespace "net:[4026531840]".
int processes_in(const std::string& net_namespace) {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    char link[64] = {};
    if (::readlink((entry.path() / "ns/net").c_str(), link, sizeof link - 1) > 0 && net_namespace == link) ++count;
  }
  return count;
}

// A pipe whose writing end is held by what a test starts: its end of file proves that all holders are gone.
struct LifeLine {
  base::UniqueFd ours, theirs;
  LifeLine() {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    ours.reset(ends[0]);
    theirs.reset(ends[1]);
  }
  [[nodiscard]] bool all_gone() {
    theirs.reset();
    char byte;
    return ::read(ours.get(), &byte, 1) == 0;
  }
};

// Forks a child of its own session that would live forever, tells the namespace, and stays.
Work stay_with_a_child() {
  return [](Workplace& place) -> base::Result<Bytes> {
    if (::fork() == 0) {
      ::setsid();
      while (true) ::pause();
    }
    const auto name = to_bytes(own_net_namespace());
    if (auto told = place.progress(name); !told) return std::unexpected(told.error());
    while (true) ::pause();
  };
}

SandboxOptions options_with(const LifeLine& line, std::string* told) {
  auto options = test_options();
  options.keep_fds = {line.theirs.get()};
  options.on_progress = [told](std::span<const std::uint8_t> message) { *told = to_text(message); };
  return options;
}

void pump_until_told(Sandbox& sandbox, const std::string& told) {
  while (!sandbox.pump(base::MonotonicClock::now()) && told.empty()) {
    pollfd polled[] = {{sandbox.fds().progress, POLLIN, 0}, {sandbox.fds().end, POLLIN, 0}};
    ASSERT_GT(::poll(polled, 2, 30'000), 0);
  }
}

class SandboxTest : public ::testing::Test {
 protected:
  void SetUp() override { TCPWHY_SKIP_WITHOUT_SANDBOX(); }
};

// ---- what comes back

TEST_F(SandboxTest, the_result_comes_back_whole) {
  const auto result = run_sandboxed([](Workplace&) -> base::Result<Bytes> {
    Bytes bytes(5'000'000);
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i * 7);
    return bytes;
  });
  ASSERT_TRUE(succeeded(result));
  ASSERT_EQ(result->size(), 5'000'000U);
  EXPECT_EQ((*result)[4'999'999], static_cast<std::uint8_t>(4'999'999U * 7U));
}

TEST_F(SandboxTest, an_error_comes_back_with_kind_and_hint) {
  const auto result = run_sandboxed([](Workplace&) -> base::Result<Bytes> {
    return base::fail(base::ErrorKind::usage, {"what", "什么"}, {"and what to do", "怎么办"});
  });
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, base::ErrorKind::usage);
  EXPECT_EQ(result.error().message.en, "what");
  EXPECT_EQ(result.error().message.zh, "什么");
  EXPECT_EQ(result.error().hint.en, "and what to do");
  EXPECT_EQ(result.error().hint.zh, "怎么办");
}

TEST_F(SandboxTest, an_exception_is_an_error) {
  const auto result = run_sandboxed([](Workplace&) -> base::Result<Bytes> { throw std::runtime_error("oh"); });
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message.en, "unexpected exception: oh");
}

TEST_F(SandboxTest, a_worker_that_is_killed_is_told_by_signal) {
  const auto result = run_sandboxed([](Workplace&) -> base::Result<Bytes> {
    // pid 1 ignores the signals of its own processes, but not a fault.
    __builtin_trap();
  });
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message.en, "the sandbox of test was killed by SIGILL");
}

TEST_F(SandboxTest, a_worker_that_exits_without_a_result_is_told_by_status) {
  const auto result = run_sandboxed([](Workplace&) -> base::Result<Bytes> { ::_exit(3); });
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message.en, "the sandbox of test ended with status 3 and no result");
}

TEST_F(SandboxTest, progress_comes_message_by_message_up_to_the_last_one) {
  std::vector<std::string> messages;
  auto options = test_options();
  options.on_progress = [&](std::span<const std::uint8_t> message) { messages.push_back(to_text(message)); };
  const auto result = run_sandboxed(
      [](Workplace& place) -> base::Result<Bytes> {
        for (int i = 0; i < 2000; ++i) TCPWHY_INSIDE_OK(place.progress(to_bytes("step " + std::to_string(i))));
        TCPWHY_INSIDE(!place.progress(Bytes(65537)).has_value());
        return Bytes{};
      },
      options);
  ASSERT_TRUE(succeeded(result));
  ASSERT_EQ(messages.size(), 2000U);
  EXPECT_EQ(messages.front(), "step 0");
  EXPECT_EQ(messages.back(), "step 1999");
}

// ---- what the worker finds

TEST_F(SandboxTest, the_worker_is_root_and_pid_1_in_an_empty_network) {
  const std::string outside = own_net_namespace();
  const auto result = run_sandboxed([&](Workplace&) -> base::Result<Bytes> {
    TCPWHY_INSIDE(::getpid() == 1);
    TCPWHY_INSIDE(::geteuid() == 0 && ::getegid() == 0);
    TCPWHY_INSIDE(own_net_namespace() != outside);
    struct if_nameindex* const interfaces = ::if_nameindex();
    TCPWHY_INSIDE(interfaces != nullptr && std::string(interfaces[0].if_name) == "lo");
    ::if_freenameindex(interfaces);
    return Bytes{};
  });
  EXPECT_TRUE(succeeded(result));
}

TEST_F(SandboxTest, the_first_descriptor_is_3_and_signals_are_default) {
  struct sigaction ignore{}, before{};
  ignore.sa_handler = SIG_IGN;
  ASSERT_EQ(::sigaction(SIGPIPE, &ignore, &before), 0);
  const auto result = run_sandboxed([](Workplace&) -> base::Result<Bytes> {
    TCPWHY_INSIDE(::open("/dev/null", O_RDONLY) == 3);
    struct sigaction action{};
    TCPWHY_INSIDE(::sigaction(SIGPIPE, nullptr, &action) == 0 && action.sa_handler == SIG_DFL);
    sigset_t mask;
    TCPWHY_INSIDE(sigprocmask(SIG_SETMASK, nullptr, &mask) == 0 && sigismember(&mask, SIGINT) == 0);
    return Bytes{};
  });
  ::sigaction(SIGPIPE, &before, nullptr);
  EXPECT_TRUE(succeeded(result));
}

TEST_F(SandboxTest, descriptors_that_are_to_be_kept_are) {
  LifeLine line;
  auto options = test_options();
  options.keep_fds = {line.theirs.get()};
  const int fd = line.theirs.get();
  const auto result = run_sandboxed(
      [fd](Workplace&) -> base::Result<Bytes> {
        TCPWHY_INSIDE(::write(fd, "x", 1) == 1);
        return Bytes{};
      },
      options);
  ASSERT_TRUE(succeeded(result));
  char byte = 0;
  EXPECT_EQ(::read(line.ours.get(), &byte, 1), 1);
  EXPECT_EQ(byte, 'x');
}

// ---- nothing stays behind

TEST_F(SandboxTest, the_limit_ends_everything_inside) {
  LifeLine line;
  std::string told;
  auto options = options_with(line, &told);
  options.wall_limit = std::chrono::milliseconds(50);
  const auto result = run_sandboxed(stay_with_a_child(), options);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message.en, "the sandbox of test took longer than 0.05 s");
  EXPECT_TRUE(line.all_gone());
}

TEST_F(SandboxTest, a_killed_worker_takes_its_children_and_namespace_along) {
  LifeLine line;
  std::string net_namespace;
  auto sandbox = Sandbox::start(options_with(line, &net_namespace), stay_with_a_child());
  ASSERT_TRUE(sandbox);
  pump_until_told(*sandbox, net_namespace);
  EXPECT_EQ(processes_in(net_namespace), 2);
  ::kill(sandbox->pid(), SIGKILL);
  const auto result = sandbox->wait();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message.en, "the sandbox of test was killed by SIGKILL");
  EXPECT_TRUE(line.all_gone());
  EXPECT_EQ(processes_in(net_namespace), 0);
}

TEST_F(SandboxTest, a_destroyed_sandbox_takes_everything_along) {
  LifeLine line;
  std::string net_namespace;
  {
    auto sandbox = Sandbox::start(options_with(line, &net_namespace), stay_with_a_child());
    ASSERT_TRUE(sandbox);
    pump_until_told(*sandbox, net_namespace);
  }
  EXPECT_TRUE(line.all_gone());
  EXPECT_EQ(processes_in(net_namespace), 0);
}

TEST_F(SandboxTest, a_killed_parent_takes_everything_along) {
  LifeLine line;
  LifeLine says;
  const pid_t parent = ::fork();
  ASSERT_GE(parent, 0);
  if (parent == 0) {
    std::string told;
    auto sandbox = Sandbox::start(options_with(line, &told), stay_with_a_child());
    if (!sandbox) ::_exit(1);
    line.theirs.reset();
    while (told.empty()) sandbox->pump(base::MonotonicClock::now());
    (void)!::write(says.theirs.get(), told.data(), told.size());
    while (true) ::pause();
  }
  char net_namespace[64] = {};
  ASSERT_GT(::read(says.ours.get(), net_namespace, sizeof net_namespace - 1), 0);
  EXPECT_EQ(processes_in(net_namespace), 2);
  ::kill(parent, SIGKILL);
  ASSERT_EQ(::waitpid(parent, nullptr, 0), parent);
  EXPECT_TRUE(line.all_gone());
  EXPECT_EQ(processes_in(net_namespace), 0);
}

TEST_F(SandboxTest, a_parent_that_died_too_early_is_noticed) {
  const pid_t dead = ::fork();
  if (dead == 0) {
    while (true) ::pause();
  }
  const base::UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, dead, 0)));
  ::kill(dead, SIGKILL);
  ::waitpid(dead, nullptr, 0);
  const pid_t worker = ::fork();
  if (worker == 0)
    run_worker({.result = -1, .progress = -1, .parent = pidfd.get(), .keep = {}, .map = {}},
               [](int) -> base::Result<Bytes> { ::_exit(42); });
  int status = 0;
  ASSERT_EQ(::waitpid(worker, &status, 0), worker);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 1);
}

// ---- many at a time

TEST_F(SandboxTest, many_run_side_by_side_and_answer_in_order) {
  std::vector<SandboxJob> jobs;
  for (int i = 0; i < 12; ++i)
    jobs.push_back({test_options(), [i](Workplace&) -> base::Result<Bytes> { return to_bytes(std::to_string(i)); }});
  std::vector<std::size_t> done;
  const auto run = run_sandboxes(std::move(jobs), 4, [&](std::size_t index, const auto&) { done.push_back(index); });
  EXPECT_FALSE(run.interrupted_by);
  ASSERT_EQ(run.results.size(), 12U);
  for (std::size_t i = 0; i < 12; ++i) {
    ASSERT_TRUE(succeeded(run.results[i]));
    EXPECT_EQ(to_text(*run.results[i]), std::to_string(i));
  }
  std::ranges::sort(done);
  EXPECT_EQ(done.size(), 12U);
  EXPECT_EQ(std::ranges::unique(done).begin(), done.end());
}

TEST_F(SandboxTest, an_interrupt_ends_all_of_them) {
  LifeLine line;
  std::vector<SandboxJob> jobs;
  for (int i = 0; i < 3; ++i) {
    auto options = test_options();
    options.keep_fds = {line.theirs.get()};
    options.on_progress = [](auto) { ::raise(SIGINT); };
    jobs.push_back({std::move(options), stay_with_a_child()});
  }
  const auto run = run_sandboxes(std::move(jobs), 3);
  EXPECT_EQ(run.interrupted_by, SIGINT);
  for (const auto& result : run.results) {
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().message.en, "interrupted");
  }
  EXPECT_TRUE(line.all_gone());
}

// ---- a kernel that refuses

// Runs `check` in a child that is an ordinary user, whoever runs the tests. The child's exit status is its answer.
int as_ordinary_user(int (*check)()) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (::geteuid() == 0) {
      constexpr uid_t nobody = 65534;
      if (::setgroups(0, nullptr) != 0 || ::setresgid(nobody, nobody, nobody) != 0 ||
          ::setresuid(nobody, nobody, nobody) != 0)
        ::_exit(100);
      ::prctl(PR_SET_DUMPABLE, 1UL);  // as after an exec: /proc/self is ours again
    }
    ::_exit(check());
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 200;
}

TEST(SandboxUserTest, an_ordinary_user_becomes_root_of_a_user_namespace) {
  const int status = as_ordinary_user([] {
    if (!sandbox_available()) return 77;
    const auto result = run_sandboxed([](Workplace& place) -> base::Result<Bytes> {
      TCPWHY_INSIDE(place.has_user_namespace());
      TCPWHY_INSIDE(::geteuid() == 0);
      return Bytes{};
    });
    return result ? 0 : 1;
  });
  if (status == 77) GTEST_SKIP() << "user namespaces are refused to ordinary users here";
  EXPECT_EQ(status, 0);
}

TEST(SandboxUserTest, a_limit_of_0_is_named) {
  const int status = as_ordinary_user([] {
    if (!sandbox_available()) return 77;
    // Inside a user namespace the limits are ours to set; inside this sandbox no further network namespace can be made.
    const auto result = run_sandboxed([](Workplace&) -> base::Result<Bytes> {
      std::ofstream("/proc/sys/user/max_net_namespaces") << "0" << std::flush;
      const auto inner = sandbox_available();
      TCPWHY_INSIDE(!inner);
      TCPWHY_INSIDE(inner.error().kind == base::ErrorKind::privilege);
      TCPWHY_INSIDE(inner.error().message.en ==
                    "cannot make the sandbox's namespaces: user.max_net_namespaces = 0 forbids them");
      TCPWHY_INSIDE(inner.error().hint.en.starts_with("as root: sysctl -w user.max_net_namespaces="));
      return Bytes{};
    });
    if (!result) std::fprintf(stderr, "%s\n", result.error().message.en.c_str());
    return result ? 0 : 1;
  });
  if (status == 77) GTEST_SKIP() << "user namespaces are refused to ordinary users here";
  EXPECT_EQ(status, 0);
}

TEST(SandboxRefusalTest, each_refusal_says_how_to_go_on) {
  for (const int error : {EPERM, ENOSPC, ENOSYS, EINVAL}) {
    const auto refusal = explain_refusal(error, true);
    EXPECT_EQ(refusal.error().kind, base::ErrorKind::privilege) << error;
    EXPECT_FALSE(refusal.error().hint.en.empty()) << error;
  }
}

}  // namespace
}  // namespace tcpwhy::lab
