// The processes and threads that are traced, as the tracing thread knows them.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include <sys/types.h>

#include "base/clock.h"
#include "calls/call.h"
#include "calls/decode.h"
#include "recording/event.h"
#include "trace/ptrace/descriptors.h"
#include "trace/ptrace/inside/code.h"

namespace tcpwhy::trace {

struct Process {
  pid_t pid = 0;
  std::shared_ptr<Descriptors> descriptors = std::make_shared<Descriptors>();
  bool filtered = false;  // its calls outside the table don't stop it
  bool recorded = true;   // false: the command before its exec
  std::string name;       // comm
  int threads = 0;
  bool leader_has_left = false;  // the first thread has ended, others go on
  // The call that it never came back from: exit_group(), or else the first thread's, or else any other's.
  std::optional<std::uint32_t> unfinished;
  bool exits_itself = false;  // `unfinished` is exit_group()

  // The recorder in its memory, if it is there.
  InsideCode inside;
  bool shares_memory = false;          // with the one that has made it (vfork): then the recorder isn't its own
  std::optional<std::uint32_t> table;  // InsideArea's; absent: all its calls stop
  bool stays_outside = false;          // it can't have a recorder
  int stops = 0;                       // at calls, so far
};

// A recorded call that was told of before its record came, because something else had to be told with it.
struct EarlyCall {
  std::uint64_t id = 0;  // inside_slot's; 0: none
  std::uint32_t call = 0;
};

struct CallInFlight {
  const calls::CallRow* row = nullptr;
  calls::SyscallArguments arguments{};
  std::uint32_t call = 0;  // 0: its return is waited for, but it is not recorded
  // recvmsg() with room for descriptors: recorded once it is known that it was given a TCP socket.
  std::optional<recording::CallEntered> held;
  base::WallTime entered_at;
  std::uint64_t cookie = 0;  // of the socket it acts on
  bool untraced = false;     // clone() with CLONE_UNTRACED, which it does not get: put back at its return
};

struct Thread {
  pid_t tid = 0;
  Process* process = nullptr;
  bool is_announced = false;              // by the stop of the thread that made it, or it was there before us
  bool has_left = false;                  // PTRACE_EVENT_EXIT: it won't stop again
  recording::ActorId actor;               // invalid until it has an event
  std::optional<CallInFlight> in_flight;  // its exit stop is to come
  // The call it came back from last, until the next stop that isn't a signal: what a signal that comes now interrupted.
  std::optional<std::uint32_t> last_call;
  int last_error = 0;
  std::uint64_t last_number = 0;
  std::optional<recording::CallReturned> closing;  // told at its next stop: what the call set going is done by then
  std::optional<CallInFlight> to_restart;          // restart_syscall() goes on with this one
  EarlyCall early_call;
};

// Whose memory and descriptors /proc and the like are to be asked for: a first thread that has ended has none.
inline pid_t one_that_lives(const Thread& thread) {
  return thread.process->leader_has_left ? thread.tid : thread.process->pid;
}

}  // namespace tcpwhy::trace
