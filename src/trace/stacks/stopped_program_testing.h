// A program that is traced until it enters close(9999), with its registers and the top of its stack.
#pragma once

#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <string>
#include <vector>

#include "trace/stacks/unwinder.h"

namespace tcpwhy::trace {

inline constexpr unsigned long awaited_fd = 9999;

// A traced program that stands before close(9999); killed and waited for when it goes.
class StoppedProgram {
 public:
  StoppedProgram(const std::string& path, const std::vector<std::string>& arguments) {
    pid_ = ::fork();
    if (pid_ == 0) {
      std::vector<char*> words{const_cast<char*>(path.c_str())};
      for (const auto& argument : arguments) words.push_back(const_cast<char*>(argument.c_str()));
      words.push_back(nullptr);
      ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
      ::execv(path.c_str(), words.data());
      ::_exit(127);
    }
    run();
  }
  ~StoppedProgram() { kill_it(); }

  void kill_it() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    // Of a traced process each thread is waited for; other children are the unwinder's.
    if (thread > 0 && thread != pid_) ::waitpid(thread, nullptr, __WALL);
    ::waitpid(pid_, nullptr, __WALL);
    pid_ = 0;
  }

  pid_t pid() const { return pid_; }
  bool stopped = false;
  pid_t thread = 0;
  Registers registers;
  std::vector<std::uint8_t> stack;

 private:
  void run() {
    int status = 0;
    if (::waitpid(pid_, &status, __WALL) != pid_ || !WIFSTOPPED(status)) return;
    ::ptrace(PTRACE_SETOPTIONS, pid_, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL);
    ::ptrace(PTRACE_SYSCALL, pid_, 0, 0);
    for (int stops = 0; stops < 100'000; ++stops) {
      thread = ::waitpid(-1, &status, __WALL);
      if (thread < 0) return;
      if (!WIFSTOPPED(status)) continue;
      __ptrace_syscall_info info{};
      ::ptrace(PTRACE_GET_SYSCALL_INFO, thread, sizeof info, &info);
      if (WSTOPSIG(status) == (SIGTRAP | 0x80) && info.op == PTRACE_SYSCALL_INFO_ENTRY && info.entry.nr == SYS_close &&
          info.entry.args[0] == awaited_fd) {
        if (const auto r = ThreadRegisters::of(thread)) take(*r);
        return;
      }
      ::ptrace(PTRACE_SYSCALL, thread, 0, 0);
    }
  }
  void take(const ThreadRegisters& r) {
    registers = r.for_unwinding();
    stack.resize(16384);
    for (std::size_t at = 0; at < stack.size(); at += 256) {
      const iovec local{stack.data() + at, 256};
      const iovec remote{reinterpret_cast<void*>(r.stack_pointer() + at), 256};
      if (::process_vm_readv(pid_, &local, 1, &remote, 1, 0) != 256) {
        stack.resize(at);
        break;
      }
    }
    stopped = true;
  }
  pid_t pid_ = 0;
};

}  // namespace tcpwhy::trace
