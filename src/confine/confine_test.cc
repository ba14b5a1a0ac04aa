// Each attempt in a child of its own that has entered the confinement; how the child ends is the answer.
#include "confine/confine.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "base/unique_fd.h"
#include "confine/landlock.h"

namespace tcpwhy::confine {
namespace {

// How it ended: "exit N" or "signal N".
std::string in_child(const std::function<int()>& attempt) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(attempt());
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFSIGNALED(status) ? "signal " + std::to_string(WTERMSIG(status))
                             : "exit " + std::to_string(WEXITSTATUS(status));
}
constexpr int not_confined = 99;
std::string confined(const std::function<int()>& attempt, const ConfinementOptions& options = {}) {
  return in_child([&] { return enter(options) ? attempt() : not_confined; });
}
const std::string killed = "signal " + std::to_string(SIGSYS);

bool has_seccomp() {
  return in_child([] {
           const auto walls = enter();
           return walls && walls->seccomp ? 0 : 1;
         }) == "exit 0";
}

class ConfineTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!has_seccomp()) GTEST_SKIP() << "no seccomp here, or a build with sanitizers";
    ASSERT_TRUE(std::filesystem::create_directory(folder_));
    std::filesystem::permissions(folder_, std::filesystem::perms::all);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  const std::string folder_ = ::testing::TempDir() + "confine_test_" + std::to_string(::getpid());
};

TEST_F(ConfineTest, what_only_an_attacker_gains_by_kills) {
  const std::string file = folder_ + "/file";
  const pid_t parent = ::getpid();
  const struct {
    const char* what;
    std::function<int()> attempt;
  } rows[] = {
      {"open for writing", [] { return ::open("/dev/null", O_WRONLY); }},
      {"open for both", [] { return ::open("/dev/null", O_RDWR); }},
      {"a new file", [&] { return ::open(file.c_str(), O_RDONLY | O_CREAT, 0600); }},
      {"a file cut to nothing", [&] { return ::open(file.c_str(), O_RDONLY | O_TRUNC); }},
      {"a file without a name", [&] { return ::open(folder_.c_str(), O_TMPFILE | O_RDWR, 0600); }},
      {"a folder", [&] { return ::mkdir(file.c_str(), 0700); }},
      {"a link", [&] { return ::symlink("/etc/passwd", file.c_str()); }},
      {"removal", [&] { return ::unlink(file.c_str()); }},
      {"another mode", [&] { return ::chmod(folder_.c_str(), 0777); }},
      {"a program", [] { return ::execl("/bin/true", "true", nullptr); }},
      {"a process", [] { return ::fork() == 0 ? 0 : 0; }},
      {"a process by clone", [] { return static_cast<int>(::syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0)); }},
      {"a TCP socket", [] { return ::socket(AF_INET, SOCK_STREAM, 0); }},
      {"a local socket", [] { return ::socket(AF_UNIX, SOCK_STREAM, 0); }},
      {"a message", [] { return static_cast<int>(::sendmsg(0, nullptr, 0)); }},
      {"connect", [] { return ::connect(0, nullptr, 0); }},
      {"ptrace", [&] { return static_cast<int>(::ptrace(PTRACE_SEIZE, parent, nullptr, nullptr)); }},
      {"another's memory", [&] { return static_cast<int>(::process_vm_readv(parent, nullptr, 0, nullptr, 0, 0)); }},
      {"a signal to another", [&] { return ::kill(parent, 0); }},
      {"a signal to a group", [&] { return ::kill(0, 0); }},
      {"mount", [] { return ::mount("none", "/mnt", "tmpfs", 0, nullptr); }},
      {"a namespace", [] { return ::unshare(CLONE_NEWUSER); }},
      {"BPF", [] { return static_cast<int>(::syscall(SYS_bpf, 0, nullptr, 0)); }},
      {"io_uring", [] { return static_cast<int>(::syscall(SYS_io_uring_setup, 1, nullptr)); }},
      {"root again", [] { return ::setuid(0); }},
      {"code",
       [] { return ::mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == nullptr; }},
  };
  for (const auto& row : rows) EXPECT_EQ(confined([&] { return row.attempt(), 0; }), killed) << row.what;
}

TEST_F(ConfineTest, to_open_for_reading_fails_as_what_is_not_known_does) {
  EXPECT_EQ(confined([] { return ::open("/etc/passwd", O_RDONLY) < 0 ? errno : 0; }), "exit " + std::to_string(EACCES));
  EXPECT_EQ(confined([] { return ::syscall(SYS_inotify_init1, 0) < 0 ? errno : 0; }), "exit " + std::to_string(ENOSYS));
}

TEST_F(ConfineTest, it_computes_in_threads_and_reads_and_writes_what_is_open) {
  const base::UniqueFd from(::open("/etc/passwd", O_RDONLY));
  const base::UniqueFd to(::open((folder_ + "/out").c_str(), O_WRONLY | O_CREAT, 0600));
  ASSERT_TRUE(from.valid() && to.valid());
  EXPECT_EQ(confined([&] {
              std::vector<std::thread> threads;
              for (int i = 0; i < 4; ++i)
                threads.emplace_back([] {
                  for (int round = 0; round < 50; ++round) std::vector<char>(std::size_t{1} << 20, 'x');
                });
              for (auto& thread : threads) thread.join();
              char bytes[16] = {};
              const bool done = ::pread(from.get(), bytes, sizeof bytes, 0) == sizeof bytes &&
                                ::write(to.get(), bytes, sizeof bytes) == sizeof bytes;
              return done ? 0 : 1;
            }),
            "exit 0");
  EXPECT_EQ(std::filesystem::file_size(folder_ + "/out"), 16U);
}

TEST_F(ConfineTest, threads_are_confined_too_and_abort_still_works) {
  EXPECT_EQ(confined([] {
              std::thread([] { [[maybe_unused]] const int fd = ::open("/dev/null", O_WRONLY); }).join();
              return 0;
            }),
            killed);
  EXPECT_EQ(confined([]() -> int { ::abort(); }), "signal " + std::to_string(SIGABRT));
}

TEST_F(ConfineTest, who_wishes_messages_has_them_and_no_more) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
  const base::UniqueFd one(ends[0]), other(ends[1]);
  const auto send = [&one] {
    char byte = 'x';
    iovec bytes{&byte, 1};
    msghdr message{};
    message.msg_iov = &bytes, message.msg_iovlen = 1;
    return ::sendmsg(one.get(), &message, 0) == 1 ? 0 : 1;
  };
  EXPECT_EQ(confined(send, {.leave = Leave::messages}), "exit 0");
  EXPECT_EQ(confined([] { return ::socket(AF_INET, SOCK_DGRAM, 0); }, {.leave = Leave::messages}), killed);
}

TEST_F(ConfineTest, who_opens_again_opens_its_own_files_and_no_others) {
  if (landlock_abi() == 0) GTEST_SKIP() << "no Landlock: nothing else decides what is opened again";
  base::UniqueFd own(::open(folder_.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  ASSERT_TRUE(own.valid());
  const int reopened[] = {own.get()};
  const ConfinementOptions options{.leave = Leave::reopening, .reopened = reopened};
  const auto open_own = [&own](int flags) {
    return ::open(("/proc/self/fd/" + std::to_string(own.get())).c_str(), flags, 0600);
  };
  EXPECT_EQ(confined([&] { return open_own(O_RDWR | O_CREAT | O_TRUNC) >= 0 ? 0 : errno; }, options), "exit 0");
  EXPECT_EQ(confined([] { return ::open("/proc/self/status", O_RDONLY) >= 0 ? 0 : errno; }, options), "exit 0");
  const std::string refused = "exit " + std::to_string(EACCES);
  EXPECT_EQ(confined([] { return ::open("/etc/passwd", O_RDONLY) >= 0 ? 0 : errno; }, options), refused);
  EXPECT_EQ(confined([] { return ::open("/dev/null", O_WRONLY) >= 0 ? 0 : errno; }, options), refused);
  EXPECT_EQ(confined([] { return ::open("/proc/self/comm", O_WRONLY) >= 0 ? 0 : errno; }, options), refused);
  EXPECT_EQ(confined([] { return ::execl("/bin/true", "true", nullptr); }, options), killed);
  EXPECT_EQ(confined([] { return ::socket(AF_INET, SOCK_STREAM, 0); }, options), killed);
  EXPECT_EQ(confined([] { return ::fork() == 0 ? 0 : 0; }, options), killed);
}

// The walls one by one: none may lean on another.

TEST(Confinement, landlock_alone_opens_nothing) {
  if (landlock_abi() == 0 || !has_walls) GTEST_SKIP() << "no Landlock here, or a build with sanitizers";
  const std::string refused = "exit " + std::to_string(EACCES);
  const auto behind = [](const std::function<int()>& attempt) {
    return in_child([&] {
      const auto rules = make_landlock_rules({});
      ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
      return obey_landlock_rules(rules) ? attempt() : not_confined;
    });
  };
  EXPECT_EQ(behind([] { return ::open("/etc/passwd", O_RDONLY) >= 0 ? 0 : errno; }), refused);
  EXPECT_EQ(behind([] { return ::open("/tmp", O_TMPFILE | O_RDWR, 0600) >= 0 ? 0 : errno; }), refused);
  if (landlock_abi() < 4) return;
  EXPECT_EQ(behind([] {
              sockaddr_in nowhere{};
              nowhere.sin_family = AF_INET, nowhere.sin_port = htons(9),
              nowhere.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
              const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
              return ::connect(fd, reinterpret_cast<const sockaddr*>(&nowhere), sizeof nowhere) == 0 ? 0 : errno;
            }),
            refused);
}

TEST(Confinement, root_is_nobody_without_groups_and_capabilities) {
  if (::geteuid() != 0 || !has_walls) GTEST_SKIP() << "not root, or a build with sanitizers";
  EXPECT_EQ(in_child([] {
              const auto walls = enter({.leave = Leave::messages});
              if (!walls || !walls->was_root || !walls->user || *walls->user == 0) return 1;
              uid_t real = 0, effective = 0, saved = 0;
              ::getresuid(&real, &effective, &saved);
              if (real != *walls->user || effective != real || saved != real) return 2;
              return walls->no_capabilities ? 0 : 3;
            }),
            "exit 0");
}

TEST(Confinement, root_who_opens_again_has_no_capability) {
  if (::geteuid() != 0 || !has_walls) GTEST_SKIP() << "not root, or a build with sanitizers";
  EXPECT_EQ(in_child([] {
              const auto walls = enter({.leave = Leave::reopening});
              std::ifstream status("/proc/self/status");
              for (std::string line; std::getline(status, line);)
                if (line.starts_with("CapEff:")) return line.ends_with("\t0000000000000000") && walls ? 0 : 1;
              return 2;
            }),
            "exit 0");
}

}  // namespace
}  // namespace tcpwhy::confine
