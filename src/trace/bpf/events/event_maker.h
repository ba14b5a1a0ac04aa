// The probe's records -> events of a recording.
//
// Pure but for what it is handed: the kernel's symbols, an unwinder and a way to name processes, which look at living ones.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "calls/call.h"
#include "recording/recording.h"
#include "trace/bpf/events/known_sockets.h"
#include "trace/bpf/kernel/kernel_causes.h"
#include "trace/bpf/kernel/kernel_symbols.h"
#include "trace/bpf/kernel/stack_paths.h"
#include "trace/bpf/program/protocol.h"
#include "trace/holders.h"
#include "trace/stacks/unwinder.h"

namespace tcpwhy::trace {

// The names of the running kernel, and what else decides how records are read.
struct EventMakerOptions {
  const KernelSymbols* symbols = nullptr;  // null: stacks are told as unknown
  Unwinder* unwinder = nullptr;            // null: no stacks of programs
  std::vector<std::string> reset_reasons;  // by number
  std::vector<std::string> drop_reasons;
  const StackPaths* paths = nullptr;                       // null: the probe knows none
  std::function<std::string(pid_t)> command = command_of;  // the name of a process that nothing was told of
};

class EventMaker {
 public:
  explicit EventMaker(EventMakerOptions options);

  // CLOCK_REALTIME minus CLOCK_MONOTONIC, for the records from now on.
  void set_clock(base::Duration wall_minus_monotonic) { clock_ = wall_minus_monotonic; }
  // The same recording each time, until sort_by_time(): events are found again by their position.
  void add(std::span<const std::byte> record, recording::Recording& recording);
  void add(const probe_call& unfinished, recording::Recording& recording) { add_call_entered(unfinished, recording); }

  // A process to be told of before anything is heard of it.
  void start_process(std::int32_t pid, const std::string& command);

 private:
  struct OpenCall {
    std::uint32_t number;
    std::uint32_t event;  // position of its entry
    std::uint64_t socket;
  };
  using CallKey = std::pair<std::uint32_t, std::uint64_t>;  // thread, the probe's id
  struct NamedStack {
    KernelCause cause;
    std::string text;
  };

  void add_call_entered(const probe_call& call, recording::Recording& recording);
  void forget_what_came_later(const probe_call& call, recording::Recording& recording);
  void add_call_returned(const probe_call& call, recording::Recording& recording);
  void add_operation_submitted(const probe_call& operation, recording::Recording& recording);
  void add_operation_completed(const probe_call& operation, recording::Recording& recording);
  void add_user_stack(const probe_user_stack& stack, recording::Recording& recording);
  void add_segment(const probe_segment& segment, recording::Recording& recording);
  void add_state(const probe_state& state, recording::Recording& recording);
  void add_reset(const probe_reset& reset, recording::Recording& recording);
  void add_error(const probe_error& error, recording::Recording& recording);
  void add_drop(const probe_drop& drop, recording::Recording& recording);
  void add_signal(const probe_signal& signal, recording::Recording& recording);
  void add_process(const probe_process& process, recording::Recording& recording);
  void add_mapping(const probe_mapping& mapping, recording::Recording& recording);
  void add_repeated(const probe_repeated& repeated, recording::Recording& recording);

  std::uint32_t append(const probe_head& head, recording::ActorId actor, recording::What what,
                       recording::Recording& recording);
  recording::ActorId actor(std::uint32_t tid, std::uint32_t tgid, recording::Recording& recording);
  // Tells `event`, which has a member `call`, of the call during which it came: now, or when that call's record comes, which may be
  // at its return only.
  void tell_call(std::uint32_t tid, std::uint64_t id, std::uint32_t event, recording::Recording& recording);
  // The io_uring operation that made a segment leave, where the probe does not name it.
  [[nodiscard]] std::optional<std::uint32_t> operation_behind(const KnownSocket* known, const KernelCause& cause) const;
  void open_operation(const probe_call& operation, recording::CallEntered entered, KnownSocket* known,
                      recording::Recording& recording);
  // The return addresses behind it, leaf first: its own, or those of the path that the probe has recognised.
  [[nodiscard]] std::span<const __u64> frames_of(const probe_segment& segment) const;
  const NamedStack& name_stack(std::span<const __u64> frames);

  EventMakerOptions options_;
  std::vector<std::byte> whole_;  // a brief record, made whole
  base::Duration clock_{};
  std::map<std::pair<std::uint32_t, std::uint32_t>, recording::ActorId> actors_;  // {thread, process}
  std::map<std::uint32_t, std::string> commands_;                                 // by process
  KnownSockets sockets_;
  std::map<CallKey, OpenCall> calls_;
  struct ClosingCall {
    std::uint64_t id;
    std::uint32_t number;
    std::uint32_t returned;  // position of its return
  };
  std::unordered_map<std::uint32_t, ClosingCall> closed_;           // by thread: its last call that closed something
  std::map<CallKey, std::vector<std::uint32_t>> waiting_for_call_;  // events that name a call not told yet
  std::set<CallKey> ignored_calls_;
  std::optional<std::pair<CallKey, std::uint32_t>> last_returned_;  // and its number
  struct OpenOperation {
    std::uint32_t number;
    std::uint32_t event;  // position of its entry
    std::uint64_t socket;
    calls::Effect effect;
  };
  std::unordered_map<std::uint64_t, OpenOperation> operations_;  // by the probe's id
  std::set<std::uint32_t> processes_with_sockets_;
  std::unordered_map<std::string, NamedStack> stacks_;  // by the bytes of their addresses
  std::uint32_t next_call_ = 0;
};

}  // namespace tcpwhy::trace
