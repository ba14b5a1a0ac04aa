// The one thread that may make ptrace(2) requests of its tracees: waits for their stops, and acts on each.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "trace/machine/registers.h"
#include "trace/ptrace/bell.h"
#include "trace/ptrace/inside/area.h"
#include "trace/ptrace/launch.h"
#include "trace/ptrace/loop/stop.h"
#include "trace/ptrace/loop/tracees.h"
#include "trace/ptrace/outbox.h"
#include "trace/ptrace/process_memory.h"
#include "trace/ptrace/ptrace_tracer.h"
#include "trace/stacks/unwinder.h"

namespace tcpwhy::trace {

// What the thread and its owner say to each other.
struct LoopState {
  enum class Wish : int { record, let_go, end };
  std::atomic<Wish> wish = Wish::record;
  std::atomic<int> signal = 0;         // to be sent to the command and what it has forked
  std::atomic<bool> let_go = false;    // the wish of that name is fulfilled
  std::atomic<bool> finished = false;  // no tracee is left
  std::atomic<bool> command_ended = false;
  std::atomic<int> command_status = 0;
  Bell bell;
};

class TraceLoop {
 public:
  // `unwinder` was made by another thread: its child is not to be waited for here.
  TraceLoop(const PtraceOptions& options, Outbox& outbox, LoopState& state, Unwinder& unwinder);

  // Before run(), on the same thread. Launches; its exec is yet to come.
  base::Result<Launched> start(const std::vector<std::string>& command, const sigset_t& signal_mask);
  base::Status attach(pid_t pid);
  // Until no tracee is left, or whoever is left doesn't heed the wish to end. A wish that stands already is heard when
  // the bell rings.
  void run();

 private:
  using Kind = Stop::Kind;

  bool wait_and_act();
  void hear(pid_t tid, int status);
  void hear_all_there_is();
  void act(pid_t tid, Stop stop);
  // trace_loop_end.cc: the wishes
  void hear_wish();
  void begin_to_let_go();
  void begin_to_end();
  void let_go(Thread& thread, Stop stop);
  void say_if_let_go();
  [[nodiscard]] bool is_out_of_patience() const;
  [[nodiscard]] bool is_over() const;
  bool hang_bell();
  void take_down_bell();

  // trace_loop.cc: processes, threads, signals
  Thread& thread_of(pid_t tid);
  Thread& add_thread(pid_t tid, pid_t pid, Process* parent);
  Process& add_process(pid_t pid, Process* parent);
  base::Status seize(pid_t tid, bool filtered);
  void on_forked(Thread& thread);
  void on_executed(pid_t tid);
  void on_leaving(Thread& thread);
  void on_ended(pid_t tid, Stop stop);
  void on_signal(Thread& thread, int signal);
  void resume(Thread& thread, int signal = 0);
  void remove_thread(pid_t tid);
  [[nodiscard]] bool is_filtered(pid_t pid) const;

  // trace_loop_calls.cc
  void on_entry(Thread& thread, std::uint64_t number, const calls::SyscallArguments& arguments);
  void on_call_stop(Thread& thread, bool filtered);
  void on_exit(Thread& thread, std::int64_t result);
  static bool keep_traced(const Thread& thread, std::uint64_t number, const calls::SyscallArguments& arguments);
  static void put_back_untraced(const Thread& thread, const CallInFlight& call);
  void tell_closed(Thread& thread);
  struct Decision {
    bool record = false, wait_for_exit = false;
    bool hold = false;  // whether it is recorded is known at its return
    const TcpSocket* socket = nullptr;
    bool on_second = false;  // the socket is the second of its descriptors
  };
  const TcpSocket* find_passed(Thread& thread, std::uint64_t header, bool received);
  Decision decide(Thread& thread, const calls::CallRow& row, const calls::SyscallArguments& arguments);
  void record_held(Thread& thread, CallInFlight& call, std::int64_t result);
  void forget_before(Process& process, const calls::CallRow& row, const calls::SyscallArguments& arguments);
  void learn_after(Thread& thread, const CallInFlight& call, std::int64_t result, recording::CallReturned* returned);
  // trace_loop_inside.cc: recorders in the processes' own memory
  void take_inside(bool nobody_lives = false);
  Thread* whose(const inside_record& record);
  void on_recorded(const inside_record& record, std::span<const std::byte> snippets);
  bool make_inside(Thread& thread, const calls::CallRow* row, std::uint64_t address);
  void inherit_inside(Process& process, Process* parent);
  [[nodiscard]] bool share_memory(const Process& parent, const Process& child) const;
  void leave_inside(Process& process);
  bool make_way(Thread& thread, std::uint64_t number, const calls::SyscallArguments& arguments);
  [[nodiscard]] bool is_alone_in_its_memory(const Thread& thread) const;
  void forget_inside(Process& process);
  void give_back_table(Process& process);
  const TcpSocket* look_up(Thread& thread, std::int32_t fd);
  std::optional<std::uint32_t> tell_early(Thread& thread);
  void tell_return(Thread& thread, const inside_slot& slot, std::int64_t result);
  void surface(Thread& thread, const ThreadRegisters& registers);
  bool goes_on_inside(Thread& thread, int signal);

  struct StackCopy {
    Registers registers;
    std::vector<std::uint8_t> bytes;
  };
  const TcpSocket* learn_reset_before_accept(Thread& thread, const CallInFlight& call, std::int32_t made,
                                             TcpSocket socket);
  std::optional<StackCopy> copy_stack(const Thread& thread);

  recording::ActorId actor_of(Thread& thread);
  void emit(Thread& thread, recording::What what);
  void emit_at(base::WallTime at, Thread& thread, recording::What what);
  void emit_start(Thread& thread, std::optional<std::int32_t> parent);
  void tell_unread_symbols();
  void note_unseen(const Process& process);
  void tell_unseen();

  PtraceOptions options_;
  Outbox& outbox_;
  LoopState& state_;
  Unwinder& unwinder_;
  std::vector<sock_filter> filter_;
  pid_t command_ = -1;
  bool has_attached_ = false;
  bool recording_ = true;
  bool has_bell_ = true;  // hung before run()
  // What stops is let go, if it can live without us; what can't is killed, whenever we come to know of it.
  bool letting_go_ = false, ending_ = false;
  std::chrono::steady_clock::time_point wished_at_;
  std::uint32_t call_count_ = 0;
  std::vector<std::string> unseen_;     // programs whose descriptors could not be looked at, each name once
  std::uint64_t unseen_count_ = 0;      // of their processes
  SocketsByCookie sockets_;             // those that recorders may name
  std::unique_ptr<InsideArea> inside_;  // null: every call stops
  // Threads that have ended, as long as records of theirs may stand behind one that isn't complete yet.
  struct LateThread {
    std::unique_ptr<Thread> thread;
    std::shared_ptr<Process> process;
    std::uint64_t until = 0;  // position in the ring
  };
  std::unordered_map<pid_t, LateThread> late_;
  std::optional<std::pair<pid_t, int>> heard_elsewhere_;  // a thread's last word, that a wait for it alone has met
  // Those that ended before the stop of the one that made them told of them.
  std::unordered_set<pid_t> ended_unannounced_;
  std::unordered_map<pid_t, std::shared_ptr<Process>> processes_;
  std::unordered_map<pid_t, std::unique_ptr<Thread>> threads_;
};

}  // namespace tcpwhy::trace
