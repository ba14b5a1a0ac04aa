// How commands end when a signal comes: one rule, whichever way is watched.
#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/unique_fd.h"
#include "cli/testing/program_fixture.h"

extern char** environ;

namespace tcpwhy::cli {
namespace {

using namespace std::chrono_literals;
using testing::Program;
using testing::slurp;

bool wait_until(const std::function<bool()>& holds, std::chrono::milliseconds patience = 60s) {
  const auto end = std::chrono::steady_clock::now() + patience;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(5ms);
  }
  return true;
}

bool lives(pid_t pid) {
  return kill(pid, 0) == 0 && slurp(fmt::format("/proc/{}/stat", pid)).find(") Z ") == std::string::npos;
}

// A process of ours, killed at the end if it still lives.
class Started {
 public:
  // Signals are as a program finds them that is started from a terminal.
  Started(const std::vector<std::string>& words, const std::string& out, const std::string& err) {
    std::vector<char*> arguments;
    for (const auto& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    posix_spawn_file_actions_addopen(&actions, 2, err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (posix_spawnp(&pid_, arguments[0], &actions, nullptr, arguments.data(), environ) != 0) pid_ = -1;
    posix_spawn_file_actions_destroy(&actions);
  }
  Started(const Started&) = delete;
  Started& operator=(const Started&) = delete;
  ~Started() {
    if (pid_ <= 0 || status_) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  [[nodiscard]] pid_t pid() const { return pid_; }
  // As a shell shows it; nothing: it has not ended in that time.
  std::optional<int> ended(std::chrono::milliseconds patience = 60s) {
    int status = 0;
    if (!status_ && wait_until([&] { return waitpid(pid_, &status, WNOHANG) == pid_; }, patience))
      status_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return status_;
  }

 private:
  pid_t pid_ = -1;
  std::optional<int> status_;
};

class Endings : public Program {
 protected:
  std::vector<std::string> backends() {
    return has_bpf() ? std::vector<std::string>{"bpf", "ptrace"} : std::vector<std::string>{"ptrace"};
  }
  std::vector<std::string> trace(const std::string& backend, const std::vector<std::string>& rest) {
    std::vector<std::string> words{TCPWHY_PROGRAM, "trace",   "-q",          "--backend", backend,
                                   "--report",     file("r"), "--overwrite", "-w",        file("w.pcapng")};
    words.insert(words.end(), rest.begin(), rest.end());
    return words;
  }
  // A pid that a command has written there.
  std::optional<pid_t> pid_in(const std::string& name) {
    if (!wait_until([&] { return slurp(file(name)).ends_with("\n"); })) return std::nullopt;
    return std::stoi(slurp(file(name)));
  }
};

TEST_F(Endings, a_command_has_the_signals_blocked_that_tcpwhy_was_started_with) {
  sigset_t blocked, before;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGUSR1);
  sigprocmask(SIG_BLOCK, &blocked, &before);
  for (const std::string& backend : backends()) {
    Started traced(trace(backend, {"--", "grep", "SigBlk:", "/proc/self/status"}), file("out"), file("err"));
    EXPECT_EQ(traced.ended(), 0) << slurp(file("err"));
    EXPECT_EQ(slurp(file("out")), "SigBlk:\t0000000000000200\n") << backend;
  }
  sigprocmask(SIG_SETMASK, &before, nullptr);
}

TEST_F(Endings, come_at_once_where_two_outputs_are_one_file) {
  Started traced({TCPWHY_PROGRAM, "trace", "-w", file("one"), "--report", file("./one"), "--", "true"}, file("out"),
                 file("err"));
  EXPECT_EQ(traced.ended(), 2);
  EXPECT_NE(slurp(file("err")).find("the same file"), std::string::npos) << slurp(file("err"));
  EXPECT_FALSE(std::filesystem::exists(file("one")));
}

// Whichever of the processes that it needs can't be made. The limit is a user's, and root has none.
// The tracepoints tell the host's numbers and times there.
TEST_F(Endings, come_with_the_calls_in_pid_and_time_namespaces) {
  if (geteuid() != 0) GTEST_SKIP() << "not root: namespaces of processes are not to be had";
  const std::vector<std::vector<std::string>> namespaces{{"unshare", "-pf", "--mount-proc"},
                                                         {"unshare", "-Tf", "--monotonic", "100000"}};
  for (const auto& into : namespaces) {
    std::vector<std::string> words = into;
    for (const std::string& word : trace("auto", {"--", "python3", "-c", "import socket; socket.socket().close()"}))
      words.push_back(word);
    Started traced(words, file("out"), file("err"));
    EXPECT_EQ(traced.ended(), 0) << into[1] << slurp(file("err"));
    words[std::ranges::find(words, "auto") - words.begin()] = "bpf";
    Started refused(words, file("out"), file("err"));
    EXPECT_EQ(refused.ended(), 4) << into[1];
    EXPECT_NE(slurp(file("err")).find("namespace"), std::string::npos) << into[1] << slurp(file("err"));
  }
}

TEST_F(Endings, come_soon_where_few_descriptors_may_be_opened) {
  for (int most = 4; most <= 40; most += 2)
    for (const std::string& backend : backends()) {
      std::vector<std::string> words{"prlimit", fmt::format("--nofile={}", most)};
      for (const std::string& word : trace(backend, {"--", "true"})) words.push_back(word);
      Started traced(words, file("out"), file("err"));
      const auto status = traced.ended();
      ASSERT_TRUE(status) << backend << " goes on for ever with " << most << " descriptors";
      EXPECT_LT(*status, 128) << backend << ", " << most << ": " << slurp(file("err"));
    }
}

TEST_F(Endings, come_soon_where_few_processes_may_be_made) {
  if (geteuid() != 0) GTEST_SKIP() << "not root: no user of its own can be had";
  for (int most = 0; most <= 12; ++most) {
    Started traced(
        {"setpriv", "--reuid=54321", "--regid=54321", "--clear-groups", "--inh-caps=-all", "prlimit",
         fmt::format("--nproc={}", most), TCPWHY_PROGRAM, "trace", "-q", "--backend", "ptrace", "--", "true"},
        file("out"), file("err"));
    const auto status = traced.ended();
    ASSERT_TRUE(status) << "goes on for ever with " << most << " processes";
    EXPECT_TRUE(*status == 0 || !slurp(file("err")).empty()) << most << ": status " << *status << " and no word";
  }
}

TEST_F(Endings, a_signal_ends_the_trace_of_a_command_and_the_command_and_is_what_the_program_dies_of) {
  for (const std::string& backend : backends())
    for (const int signal : {SIGTERM, SIGINT, SIGHUP}) {
      std::filesystem::remove(file("pid"));
      Started traced(trace(backend, {"--", "sh", "-c", fmt::format("echo $$ >{}; exec sleep 60", file("pid"))}),
                     file("out"), file("err"));
      const auto command = pid_in("pid");
      ASSERT_TRUE(command) << slurp(file("err"));
      kill(traced.pid(), signal);
      EXPECT_EQ(traced.ended(), 128 + signal) << backend << slurp(file("err"));
      EXPECT_FALSE(lives(*command)) << backend;
      EXPECT_NE(slurp(file("r")), "") << backend << ": what was seen is told";
      EXPECT_NE(slurp(file("w.pcapng")), "") << backend;
    }
}

// One that does not end by itself, and one that it forked.
TEST_F(Endings, what_does_not_end_by_the_signal_is_killed) {
  for (const std::string& backend : backends()) {
    std::filesystem::remove(file("pid"));
    std::filesystem::remove(file("child"));
    const std::string script = fmt::format("trap '' TERM; (exec sleep 60) & echo $! >{}; echo $$ >{}; wait; sleep 60",
                                           file("child"), file("pid"));
    Started traced(trace(backend, {"--", "sh", "-c", script}), file("out"), file("err"));
    const auto command = pid_in("pid"), child = pid_in("child");
    ASSERT_TRUE(command && child) << slurp(file("err"));
    kill(traced.pid(), SIGTERM);
    EXPECT_EQ(traced.ended(), 128 + SIGTERM) << backend << slurp(file("err"));
    EXPECT_TRUE(wait_until([&] { return !lives(*command) && !lives(*child); }, 2s)) << backend;
  }
}

TEST_F(Endings, processes_that_ran_already_go_on) {
  for (const std::string& backend : backends()) {
    Started sleeps({"sleep", "60"}, "/dev/null", "/dev/null");
    Started traced(trace(backend, {"-p", std::to_string(sleeps.pid())}), file("out"), file("err"));
    // It waits in poll(2) once it watches.
    ASSERT_TRUE(wait_until([&] { return slurp(fmt::format("/proc/{}/syscall", traced.pid())).starts_with("7 "); }));
    kill(traced.pid(), SIGTERM);
    EXPECT_EQ(traced.ended(), 128 + SIGTERM) << backend << slurp(file("err"));
    EXPECT_TRUE(lives(sleeps.pid())) << backend;
    EXPECT_NE(slurp(file("r")), "") << backend;
  }
}

// A FIFO without a reader stands for a report that takes long.
TEST_F(Endings, a_signal_while_the_report_is_made_ends_the_program_at_once) {
  ASSERT_EQ(mkfifo(file("fifo").c_str(), 0600), 0);
  const base::UniqueFd reader(open(file("fifo").c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_EQ(fcntl(reader.get(), F_SETPIPE_SZ, 4096), 4096);
  std::string full(4096, 'x');
  ASSERT_EQ(::write(reader.get(), full.data(), full.size()), 4096);
  Started traced({TCPWHY_PROGRAM, "trace", "-q", "--backend", "ptrace", "--report", file("fifo"), "--", "true"},
                 file("out"), file("err"));
  // It waits for room in the pipe, with nothing of its own left to run.
  ASSERT_TRUE(wait_until([&] {
    return slurp(fmt::format("/proc/{}/wchan", traced.pid())).find("poll") != std::string::npos &&
           std::filesystem::exists(fmt::format("/proc/{}/task", traced.pid())) &&
           std::distance(std::filesystem::directory_iterator(fmt::format("/proc/{}/task", traced.pid())), {}) == 1;
  }));
  std::this_thread::sleep_for(300ms);
  kill(traced.pid(), SIGTERM);
  EXPECT_EQ(traced.ended(5s), 128 + SIGTERM);
}

// Connections on the loopback interface, until there is a word of them.
void connect_once() {
  const base::UniqueFd listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  ASSERT_EQ(bind(listener.get(), generic, size), 0);
  ASSERT_EQ(listen(listener.get(), 1), 0);
  ASSERT_EQ(getsockname(listener.get(), generic, &size), 0);
  const base::UniqueFd client(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(connect(client.get(), generic, size), 0);
}

TEST_F(Endings, a_watch_whose_reader_does_not_read_ends_by_a_signal) {
  if (!has_bpf()) GTEST_SKIP() << "watch needs the kernel's tracepoints";
  ASSERT_EQ(mkfifo(file("fifo").c_str(), 0600), 0);
  const base::UniqueFd reader(open(file("fifo").c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_EQ(fcntl(reader.get(), F_SETPIPE_SZ, 4096), 4096);
  std::string full(4096, 'x');
  ASSERT_EQ(::write(reader.get(), full.data(), full.size()), 4096);
  for (const int signal : {SIGTERM, SIGHUP, SIGINT}) {
    Started watch({TCPWHY_PROGRAM, "watch", "--all", "-o", "ndjson"}, file("fifo"), file("err"));
    ASSERT_TRUE(wait_until([&] { return slurp(fmt::format("/proc/{}/syscall", watch.pid())).starts_with("7 "); }));
    for (int i = 0; i < 20; ++i) connect_once();
    std::this_thread::sleep_for(300ms);  // it waits for its reader now
    kill(watch.pid(), signal);
    EXPECT_EQ(watch.ended(5s), 4) << slurp(file("err"));
    EXPECT_NE(slurp(file("err")).find("nobody reads it, and a signal came"), std::string::npos) << slurp(file("err"));
  }
}

// ---- Memory

// Calls of a socket that never was connected, in two parts.
constexpr const char* many_calls =
    "sh -c \"(yes recv | head -n 100; sleep 1; yes recv | head -n 100) | {} client 127.0.0.1 1 >/dev/null; exit 7\"";

TEST_F(Endings, a_recording_that_is_full_says_so_and_the_command_runs_on) {
  for (const std::string& backend : backends()) {
    const auto ran = sh(fmt::format("$tcpwhy trace -q --backend {} --max-events 10 --report {} --overwrite -- {}",
                                    backend, file("r"), fmt::format(fmt::runtime(many_calls), TCPWHY_PROGRAM)));
    EXPECT_EQ(ran.status, 7) << backend << ran.err;
    EXPECT_NE(slurp(file("r")).find("the recording was full: --max-events 10: what came later"), std::string::npos)
        << backend << slurp(file("r"));
  }
}

#ifndef __SANITIZE_ADDRESS__
TEST_F(Endings, where_memory_is_lacking_it_is_said_and_what_there_is_is_shown) {
  for (const int kilobytes : {150'000, 200'000}) {
    const auto ran =
        sh(fmt::format("ulimit -v {}; timeout 60 $tcpwhy trace -q --backend ptrace --report {} -w {} --overwrite -- {}",
                       kilobytes, file("r"), file("w"), fmt::format(fmt::runtime(many_calls), TCPWHY_PROGRAM)));
    EXPECT_TRUE(ran.status == 7 || ran.status == 4) << kilobytes << " " << ran.status << ran.err;
    EXPECT_EQ(ran.err.find("bad_alloc"), std::string::npos) << kilobytes << ran.err;
    if (ran.status == 4) {
      EXPECT_TRUE(ran.err.starts_with("tcpwhy: error: ")) << kilobytes << ran.err;
    }
  }
}
#endif

TEST_F(Endings, processes_are_named_by_positive_numbers) {
  for (const char* command :
       {"trace --backend bpf -p 0", "trace --backend bpf -p -1", "trace -p -1", "ps -p 0", "ps -p -1"}) {
    const auto ran = sh(fmt::format("timeout 10 $tcpwhy {}", command));
    EXPECT_EQ(ran.status, 2) << command << ran.err;
  }
}

}  // namespace
}  // namespace tcpwhy::cli
