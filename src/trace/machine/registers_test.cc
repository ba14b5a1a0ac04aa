// The same on every machine: what is read of a stopped thread is what the kernel says of it (PTRACE_GET_SYSCALL_INFO), and what is
// written is where it goes on.
#include "trace/machine/registers.h"

#include <gtest/gtest.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <functional>

#include "calls/machine.h"
#include "trace/machine/machine.h"

namespace tcpwhy::trace {
namespace {

constexpr long no_such_fd = 9999;

// A child that stops by itself, does `work`, and leaves with status 0; killed when it goes out of scope.
class Child {
 public:
  explicit Child(const std::function<void()>& work) : pid_(::fork()) {
    if (pid_ == 0) {
      ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
      ::raise(SIGSTOP);
      work();
      ::_exit(0);
    }
    int status = 0;
    ::waitpid(pid_, &status, 0);
    ::ptrace(PTRACE_SETOPTIONS, pid_, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }

  // To the next stop at a system call, and what the kernel says there; op NONE: it has ended.
  __ptrace_syscall_info next() {
    __ptrace_syscall_info info{};
    int status = 0;
    ::ptrace(PTRACE_SYSCALL, pid_, 0, 0);
    if (::waitpid(pid_, &status, 0) != pid_ || !WIFSTOPPED(status)) return info;
    ::ptrace(PTRACE_GET_SYSCALL_INFO, pid_, sizeof info, &info);
    return info;
  }
  __ptrace_syscall_info next_entry_of(long number) {
    for (;;) {
      const auto info = next();
      const bool is_it = info.op == PTRACE_SYSCALL_INFO_ENTRY && info.entry.nr == static_cast<std::uint64_t>(number);
      if (is_it || info.op == PTRACE_SYSCALL_INFO_NONE) return info;
    }
  }
  int end() {
    int status = 0;
    ::ptrace(PTRACE_CONT, pid_, 0, 0);
    ::waitpid(pid_, &status, 0);
    return status;
  }
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  pid_t pid_;
};

TEST(ThreadRegistersTest, at_a_call_they_are_what_the_kernel_says) {
  Child child([] { ::syscall(SYS_close, no_such_fd); });
  const auto entry = child.next_entry_of(SYS_close);
  ASSERT_EQ(entry.op, PTRACE_SYSCALL_INFO_ENTRY);
  EXPECT_EQ(entry.arch, machine::audit_architecture);
  const auto at_entry = ThreadRegisters::of(child.pid());
  ASSERT_TRUE(at_entry);
  EXPECT_EQ(at_entry->call_number(), static_cast<std::uint64_t>(SYS_close));
  EXPECT_EQ(at_entry->instruction_pointer(), entry.instruction_pointer);
  EXPECT_EQ(at_entry->stack_pointer(), entry.stack_pointer);
  const Registers for_unwinding = at_entry->for_unwinding();
  EXPECT_EQ(for_unwinding.instruction_pointer(), entry.instruction_pointer);
  EXPECT_EQ(for_unwinding.stack_pointer(), entry.stack_pointer);

  const auto exit = child.next();
  ASSERT_EQ(exit.op, PTRACE_SYSCALL_INFO_EXIT);
  ASSERT_EQ(exit.exit.rval, -EBADF);
  const auto at_exit = ThreadRegisters::of(child.pid());
  ASSERT_TRUE(at_exit);
  EXPECT_EQ(at_exit->call_number(), static_cast<std::uint64_t>(SYS_close));
  EXPECT_EQ(at_exit->call_result(), -EBADF);
}

// close(9999), with two registers that no call touches; on x86-64 DWARF orders them otherwise than the kernel.
void close_with_registers_set() {
#if defined(__x86_64__)
  long number = SYS_close;
  asm volatile("mov $0x1122, %%rbx; mov $0x3344, %%r12; syscall"
               : "+a"(number)
               : "D"(no_such_fd)
               : "rbx", "r12", "rcx", "r11", "memory");
#elif defined(__aarch64__)
  register long number asm("x8") = SYS_close;
  register long fd asm("x0") = no_such_fd;
  asm volatile("mov x19, #0x1122; mov x20, #0x3344; svc #0" : "+r"(fd) : "r"(number) : "x19", "x20", "memory");
#endif
}
#if defined(__x86_64__)
constexpr std::size_t first_set = 3, second_set = 12;
#elif defined(__aarch64__)
constexpr std::size_t first_set = 19, second_set = 20;
#endif

TEST(ThreadRegistersTest, for_unwinding_they_are_in_the_order_of_dwarf) {
  Child child(close_with_registers_set);
  ASSERT_EQ(child.next_entry_of(SYS_close).op, PTRACE_SYSCALL_INFO_ENTRY);
  const auto registers = ThreadRegisters::of(child.pid());
  ASSERT_TRUE(registers);
  const auto& dwarf = registers->for_unwinding().dwarf;
  EXPECT_EQ(dwarf[first_set], 0x1122U);
  EXPECT_EQ(dwarf[second_set], 0x3344U);
}

[[noreturn]] void leave_with_42() { ::_exit(42); }

TEST(ThreadRegistersTest, what_is_written_is_where_it_goes_on) {
  Child child([] { ::syscall(SYS_getppid); });
  ASSERT_EQ(child.next_entry_of(SYS_getppid).op, PTRACE_SYSCALL_INFO_ENTRY);
  ASSERT_EQ(child.next().op, PTRACE_SYSCALL_INFO_EXIT);
  auto registers = ThreadRegisters::of(child.pid());
  ASSERT_TRUE(registers);
  registers->go_on_at(reinterpret_cast<std::uint64_t>(&leave_with_42));  // where it is in a fork, too
  ASSERT_TRUE(registers->write_to(child.pid()));
  const int status = child.end();
  ASSERT_TRUE(WIFEXITED(status)) << status;
  EXPECT_EQ(WEXITSTATUS(status), 42);
}

TEST(ThreadRegistersTest, of_a_thread_that_nobody_has_stopped_there_are_none) {
  EXPECT_FALSE(ThreadRegisters::of(::getpid()));
  EXPECT_FALSE(ThreadRegisters{}.write_to(::getpid()));
}

// The C library's fork() asks for the child's number, and not for other thread-local storage.
TEST(MachineTest, the_order_of_what_clone_is_given) {
  Child child([] {
    if (::fork() == 0) ::_exit(0);
    ::wait(nullptr);
  });
  const auto entry = child.next_entry_of(SYS_clone);
  ASSERT_EQ(entry.op, PTRACE_SYSCALL_INFO_ENTRY);
  EXPECT_NE(entry.entry.args[calls::machine::clone_child_tid], 0U);
  EXPECT_EQ(entry.entry.args[calls::machine::clone_tls], 0U);
}

}  // namespace
}  // namespace tcpwhy::trace
