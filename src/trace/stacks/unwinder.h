// The call stack of a program as function, file and line: unwound by the program's own call frame information, which needs no
// frame pointers, from its registers and a copy of the top of its stack (libdw: dwfl_thread_getframes(); the way perf(1) does
// --call-graph dwarf).
//
// The program's files are read by a process without rights (symbol_server.h), for they may be made to harm their reader.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <sys/types.h>

#include "recording/event.h"
#include "trace/machine/registers.h"
#include "trace/stacks/mapping.h"

namespace tcpwhy::trace {

struct Frame {
  std::uint64_t address = 0;
  std::string function;  // demangled; empty: not known
  std::string file;      // base name of the source file; empty: no debug information
  int line = 0;
  std::string module;        // path of the file that the code is in
  std::uint64_t offset = 0;  // within function, or else within module
};

// A file whose symbols are not known, because reading it ended the process that reads them.
struct UnreadSymbols {
  std::string path;
  bool too_slow = false;  // else it crashed, or was ended for its processor time or memory
};
recording::Loss loss_of(const UnreadSymbols& unread);

// Processes that have the same files mapped at the same places (forks of one another) share what is learnt. Debug information is
// found in the file, or by build id below /usr/lib/debug. Not for several threads at once; it forks as it is made.
class Unwinder {
 public:
  Unwinder();
  Unwinder(Unwinder&&) noexcept;
  Unwinder& operator=(Unwinder&&) noexcept;
  ~Unwinder();

  // Learns what is mapped where in `pid`, which must still live; what it has learnt stays good after the process is gone. Called
  // again, it looks again only if `address` is not inside anything known, or `anew` (after exec).
  void learn(pid_t pid, std::uint64_t address, bool anew = false);
  void forget(pid_t pid);
  // The other way to know, told by one who sees it happen, in order: nothing is looked at in /proc, and the process may be long gone.
  // A process that was learnt of so is not looked at by learn().
  void learn_mapping(pid_t pid, Mapping mapping);
  void learn_fork(pid_t parent, pid_t child);
  // Leaf first, at most 32 frames; a call that the compiler inlined is a frame of its own. `stack` is a copy of the memory from
  // `stack_address` on. What can't be unwound ends it.
  std::vector<Frame> unwind(pid_t pid, const Registers& registers, std::span<const std::uint8_t> stack,
                            std::uint64_t stack_address);
  // Each file once, since the last call.
  std::vector<UnreadSymbols> take_unread();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// As CallEntered::stack has it: without the C library's own frames at either end, which every call passes (unless there are no
// others), and nothing below main(); at most 8 frames.
std::string text(const std::vector<Frame>& frames);

}  // namespace tcpwhy::trace
