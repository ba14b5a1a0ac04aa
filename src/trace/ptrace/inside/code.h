// The recorder in one process's memory: mapped there, and called from the places where libc makes system calls.
//
// Such a place is `syscall` and, of six bytes, `cmp $-4096, %rax` (or -4095); its first five bytes become a jump to a
// stub near by, which calls the recorder, compares, and goes on behind them. Other threads may be anywhere in those
// bytes:
//   * one that waits in the call comes back to the second instruction. So the jump's third byte, there then, is always int3
//     (stubs lie where it comes out so), and who meets it goes on in the stub, by the tracer's hand;
//   * one that is about to make the call meets int3 as first byte until the rest of the jump has stood there for a while.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include <sys/types.h>

#include "base/clock.h"
#include "trace/machine/registers.h"
#include "trace/ptrace/inside/area.h"
#include "trace/ptrace/inside/remote_calls.h"

namespace tcpwhy::trace {

class InsideCode {
 public:
  // Whether calls made from there (behind a `syscall`) can be recorded: libc's, which are followed by a comparison,
  // and were not tried in vain.
  [[nodiscard]] bool is_site(pid_t pid, std::uint64_t address);
  // Maps the recorder, for calls made from `address` and not too far from it. False: it can't be, and nothing is.
  bool map(pid_t pid, RemoteCalls& calls, const InsideArea& area, std::uint64_t address);
  [[nodiscard]] bool is_mapped() const { return stubs_ != 0; }
  // Turns the place whose call comes back to `address` into a jump. `alone`: no other thread runs in this memory.
  // False: it can't be.
  bool redirect(pid_t pid, std::uint64_t address, bool alone, base::WallTime now);
  // Turns all back to what they were, of a process with one thread, which isn't in the recorder. False: they can't be.
  // Stubs stay: the thread may be in one.
  bool withdraw(pid_t pid);
  // Goes on with those that had to wait.
  void go_on(pid_t pid, base::WallTime now);

  // Where the program would be if the recorder weren't there: for an address in a stub, the one behind its system call.
  [[nodiscard]] std::uint64_t own_address(std::uint64_t address) const;
  // Where a thread that met int3, or failed to read the program's memory, goes on; absent: it isn't ours.
  [[nodiscard]] std::optional<std::uint64_t> after_trap(std::uint64_t address) const;

  // What lies on a thread's stack while the recorder makes a call for it: from struct inside_frame up.
  struct Pushed {
    inside_frame own;
    std::uint64_t stub = 0;  // to which the recorder returns
  };
  // The registers of such a thread, as they would be if it had made the call itself and come back from it to `address`. `frame`: where
  // `pushed` lies.
  static ThreadRegisters outside(const ThreadRegisters& inside, const Pushed& pushed, std::uint64_t frame,
                                 std::uint64_t address);
  // Of a thread that is stopped at the entry of a call (seccomp(2), SECCOMP_RET_TRACE): the call is not made, and fails with that errno.
  static void refuse_call(ThreadRegisters& registers, int error);

  // Whether a process that nothing is known of has a recorder.
  static bool is_in(pid_t pid);
  // Tells a recorder which table is its; absent: none. False: it can't be told.
  static bool use_table(pid_t pid, std::optional<std::uint32_t> table);

 private:
  enum class Stage : std::uint8_t { int3, body, done };
  struct Site {
    std::uint64_t address = 0, stub = 0;  // address: of its first byte
    std::array<std::uint8_t, 5> jump{};
    std::array<std::uint8_t, 6> comparison{};
    Stage stage = Stage::int3;
    base::WallTime changed;
    int times = 0;
  };
  Site* find(std::uint64_t address);
  [[nodiscard]] std::optional<std::uint64_t> place_stub(std::uint64_t site) const;

  std::uint64_t stubs_ = 0;  // where they may lie; 0: it isn't mapped
  std::vector<Site> sites_;
  std::vector<std::uint64_t> refused_;
};

}  // namespace tcpwhy::trace
