// Entry and exit of calls: which are recorded, and what they do to the descriptors.
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <utility>

#include "base/clock.h"
#include "calls/spelling/spelling.h"
#include "trace/call_events.h"
#include "trace/machine/machine.h"
#include "trace/machine/registers.h"
#include "trace/ptrace/loop/trace_loop.h"

namespace tcpwhy::trace {
namespace {

using calls::Effect;

constexpr std::size_t stack_bytes = 16U * 1024;
constexpr std::int64_t restart_block = -516;  // ERESTART_RESTARTBLOCK, linux/errno.h

// Whether the struct msghdr there has room for control data: msg_controllen, bits/socket.h.
bool has_control_room(const calls::Memory& memory, std::uint64_t header) {
  const auto bytes = memory.read(header + 40, sizeof(std::uint64_t));
  return std::ranges::any_of(bytes, [](std::uint8_t byte) { return byte != 0; });
}

bool changes_memory(std::uint64_t number) {
  return number == SYS_mmap || number == SYS_munmap || number == SYS_mremap || number == SYS_mprotect ||
         number == SYS_pkey_mprotect || number == SYS_madvise;
}

// Whether it leaves the end of a file that it closes to task work (fput()), which the thread does on its way back to the program: behind the
// stop at the call's exit. So does close(), before Linux 6.6.
bool ends_files_after(const calls::CallRow& row) {
  static const bool close_does = [] {
    utsname system{};
    int major = 0, minor = 0;
    return uname(&system) == 0 && std::sscanf(system.release, "%d.%d", &major, &minor) == 2 &&
           (major < 6 || (major == 6 && minor < 6));
  }();
  return row.number == SYS_close ? close_does : row.is_closing();
}

bool duplicates_by_fcntl(const calls::CallRow& row, const calls::SyscallArguments& arguments) {
  const auto command = static_cast<std::uint32_t>(arguments[1]);
  return row.number == SYS_fcntl && (command == F_DUPFD || command == F_DUPFD_CLOEXEC);
}

bool is_v4_loopback(const wire::IpAddress& ip) { return ip.family == wire::IpFamily::v4 && ip.bytes[0] == 127; }

}  // namespace

void TraceLoop::on_call_stop(Thread& thread, bool filtered) {
  __ptrace_syscall_info info{};
  thread.last_call.reset();
  if (::ptrace(PTRACE_GET_SYSCALL_INFO, thread.tid, sizeof info, &info) <= 0) return resume(thread);
  if (info.arch != machine::audit_architecture) return resume(thread);
  if (info.op == PTRACE_SYSCALL_INFO_EXIT) {
    on_exit(thread, info.exit.rval);
    return resume(thread);
  }
  const std::uint64_t number = filtered ? info.seccomp.nr : info.entry.nr;
  if (filtered && make_inside(thread, calls::find_call(static_cast<long>(number)), info.instruction_pointer)) return;
  const auto& entry = filtered ? info.seccomp.args : info.entry.args;
  calls::SyscallArguments arguments;
  std::copy(std::begin(entry), std::end(entry), arguments.begin());
  if (filtered && changes_memory(number) && !make_way(thread, number, arguments)) return resume(thread);
  on_entry(thread, number, arguments);
}

void TraceLoop::on_entry(Thread& thread, std::uint64_t number, const calls::SyscallArguments& arguments) {
  const base::WallTime now = base::wall_now();
  Process& process = *thread.process;
  thread.in_flight.reset();
  const calls::CallRow* row = calls::find_call(static_cast<long>(number));
  CallInFlight call;
  bool restarted = false;
  if (row == nullptr && number == SYS_restart_syscall && thread.to_restart) {
    call = *std::exchange(thread.to_restart, std::nullopt);
    row = call.row;
    restarted = true;
  } else {
    call.row = row;
    call.arguments = arguments;
  }
  thread.to_restart.reset();
  if (number == SYS_seccomp || number == SYS_prctl || number == SYS_io_uring_setup) leave_inside(process);
  if (row == nullptr || !recording_) {
    call.untraced = row != nullptr && keep_traced(thread, number, call.arguments);
    if (call.untraced) thread.in_flight = call;
    return resume(thread);
  }

  const Decision decision = decide(thread, *row, call.arguments);
  recording::CallEntered entered;
  std::optional<StackCopy> stack;
  if (decision.record || decision.hold) {
    const ProcessMemory memory(thread.tid);
    tell(*row, calls::decode_entry(*row, call.arguments, memory, decision.on_second), entered);
    if (restarted) entered.name = "restart_syscall";
    if (decision.record) entered.call = ++call_count_;
    if (decision.socket != nullptr) {
      entered.socket = decision.socket->cookie;
      entered.local = decision.socket->local;
      if (decision.socket->remote) entered.remote = decision.socket->remote;
    }
    // Of what the last reference leaves unread the kernel makes a reset (RFC 2525 2.17).
    if (decision.record && row->number == SYS_close && decision.socket != nullptr)
      entered.unread = unread_bytes(one_that_lives(thread), static_cast<std::int32_t>(call.arguments[0]));
    if (row->wants_stack && options_.stacks) stack = copy_stack(thread);
  }
  call.call = decision.record ? entered.call : 0;
  call.cookie = decision.socket == nullptr ? 0 : decision.socket->cookie;
  if (decision.hold) {
    call.held = entered;
    call.entered_at = now;
  }
  forget_before(process, *row, call.arguments);
  call.untraced = keep_traced(thread, number, call.arguments);
  if (decision.wait_for_exit || call.untraced) thread.in_flight = call;
  const pid_t pid = one_that_lives(thread);
  if (stack) unwinder_.learn(pid, stack->registers.instruction_pointer());
  resume(thread);
  if (!decision.record) return;
  // It runs on while we walk its stack.
  if (stack)
    entered.stack = text(unwinder_.unwind(pid, stack->registers, stack->bytes, stack->registers.stack_pointer()));
  emit_at(now, thread, std::move(entered));
}

// A child that has no tracer gets ENOSYS for every call that the filter stops at, and it has the filter (seccomp(2), SECCOMP_RET_TRACE):
// CLONE_UNTRACED is taken away for the time of the call. True: it was there.
bool TraceLoop::keep_traced(const Thread& thread, std::uint64_t number, const calls::SyscallArguments& arguments) {
  if (number == SYS_clone && (arguments[0] & CLONE_UNTRACED) != 0) {
    auto registers = ThreadRegisters::of(thread.tid);
    if (!registers) return false;
    registers->set_first_argument(arguments[0] & ~std::uint64_t{CLONE_UNTRACED});
    return registers->write_to(thread.tid);
  }
  if (number != SYS_clone3) return false;
  const auto flags =
      read_value<std::uint64_t>(ProcessMemory(thread.tid), arguments[0]);  // clone_args::flags stands first
  if (!flags || (*flags & CLONE_UNTRACED) == 0) return false;
  // Not process_vm_writev(2): it may lie where the program itself can't write.
  return ::ptrace(PTRACE_POKEDATA, thread.tid, arguments[0], *flags & ~std::uint64_t{CLONE_UNTRACED}) == 0;
}

void TraceLoop::put_back_untraced(const Thread& thread, const CallInFlight& call) {
  if (call.row->number == SYS_clone) {
    auto registers = ThreadRegisters::of(thread.tid);
    if (!registers) return;
    registers->restore_first_argument(call.arguments[0]);
    (void)registers->write_to(thread.tid);  // it has been killed, if not
    return;
  }
  const auto flags = read_value<std::uint64_t>(ProcessMemory(thread.tid), call.arguments[0]);
  if (flags) ::ptrace(PTRACE_POKEDATA, thread.tid, call.arguments[0], *flags | CLONE_UNTRACED);
}

TraceLoop::Decision TraceLoop::decide(Thread& thread, const calls::CallRow& row,
                                      const calls::SyscallArguments& arguments) {
  Decision decision;
  Process& process = *thread.process;
  Descriptors& descriptors = *process.descriptors;
  const auto descriptor = [&](std::int8_t argument) -> const TcpSocket* {
    if (argument < 0) return nullptr;
    return look_up(thread, static_cast<std::int32_t>(arguments[static_cast<std::size_t>(argument)]));
  };
  // What moves descriptors about is followed to its end even where it isn't recorded.
  const bool moves = row.number == SYS_dup || row.number == machine::dup2_call || row.number == SYS_dup3 ||
                     row.number == SYS_pidfd_getfd || duplicates_by_fcntl(row, arguments);
  if (row.fd_range) {
    const auto first = static_cast<std::uint32_t>(arguments[0]), last = static_cast<std::uint32_t>(arguments[1]);
    decision.record = descriptors.has_tcp_in(first, last);
  } else if (row.number == SYS_socket) {
    decision.record = calls::makes_tcp_socket(arguments[0], arguments[1], arguments[2]);
  } else if (row.only_on_tcp) {
    decision.socket = descriptor(row.fd_argument);
    if (decision.socket == nullptr) {
      decision.socket = descriptor(row.second_fd_argument);
      decision.on_second = decision.socket != nullptr;
    }
    if (decision.socket == nullptr && row.number == SYS_sendmsg)
      decision.socket = find_passed(thread, arguments[1], false);
    decision.record = decision.socket != nullptr;
    decision.hold = !decision.record && row.number == SYS_recvmsg && process.recorded &&
                    has_control_room(ProcessMemory(thread.tid), arguments[1]);
  } else {
    const bool needs_tcp = row.effect == Effect::waits || row.effect == Effect::uses_ring ||
                           row.effect == Effect::forks || row.effect == Effect::unshares;
    const bool has_tcp = descriptors.has_tcp() || (process.table && inside_->has_tcp(*process.table));
    decision.record = !needs_tcp || has_tcp;
  }
  decision.record = decision.record && process.recorded;
  decision.wait_for_exit = decision.record || decision.hold || (moves && descriptors.has_tcp());
  return decision;
}

// A TCP socket that a message passes on, or has brought.
const TcpSocket* TraceLoop::find_passed(Thread& thread, std::uint64_t header, bool received) {
  const TcpSocket* socket = nullptr;
  for (const std::int32_t fd : calls::passed_descriptors(ProcessMemory(thread.tid), header)) {
    if (received) thread.process->descriptors->forget(fd);
    if (socket == nullptr) socket = look_up(thread, fd);
  }
  return socket;
}

void TraceLoop::record_held(Thread& thread, CallInFlight& call, std::int64_t result) {
  if (calls::is_error(result)) return;
  const TcpSocket* socket = find_passed(thread, call.arguments[1], true);
  if (socket == nullptr) return;
  call.held->call = call.call = ++call_count_;
  call.cookie = socket->cookie;
  emit_at(call.entered_at, thread, std::move(*call.held));
}

// Before it happens: another thread may be given the same number before we hear that the call has come back.
void TraceLoop::forget_before(Process& process, const calls::CallRow& row, const calls::SyscallArguments& arguments) {
  Descriptors& descriptors = *process.descriptors;
  const auto fd = [&](std::size_t i) { return static_cast<std::int32_t>(arguments[i]); };
  switch (row.number) {
    case SYS_close:
      if (process.table) inside_->forget(*process.table, fd(0));
      return descriptors.forget(fd(0));
    case SYS_close_range:
      if (process.table)
        for (std::uint64_t n = arguments[0]; n <= std::min<std::uint64_t>(arguments[1], INSIDE_DESCRIPTORS); ++n)
          inside_->forget(*process.table, static_cast<std::int32_t>(n));
      return descriptors.forget_range(static_cast<std::uint32_t>(arguments[0]),
                                      static_cast<std::uint32_t>(arguments[1]));
    case machine::dup2_call:
    case SYS_dup3:
      if (fd(0) == fd(1)) return;
      if (process.table) inside_->forget(*process.table, fd(1));
      return descriptors.forget(fd(1));
    // Rings open and close descriptors without a call.
    case SYS_io_uring_enter: return descriptors.forget_all_but_tcp();
    default: return;
  }
}

void TraceLoop::on_exit(Thread& thread, std::int64_t result) {
  const base::WallTime now = base::wall_now();
  if (!thread.in_flight) return;
  CallInFlight call = *std::exchange(thread.in_flight, std::nullopt);
  if (call.untraced) put_back_untraced(thread, call);
  if (call.held) record_held(thread, call, result);
  if (result == restart_block) thread.to_restart = call;
  if (call.call == 0) return learn_after(thread, call, result, nullptr);
  recording::CallReturned returned;
  returned.call = call.call;
  tell(calls::decode_return(*call.row, call.arguments, result, ProcessMemory(thread.tid)), returned);
  returned.socket = call.cookie;
  learn_after(thread, call, result, &returned);
  thread.last_call = call.call;
  thread.last_error = returned.error;
  thread.last_number = static_cast<std::uint64_t>(call.row->number);
  if (!calls::is_error(result) && ends_files_after(*call.row)) {
    thread.closing = std::move(returned);
    // It stops once more, when it has done what it has to do before it is back.
    ::ptrace(PTRACE_INTERRUPT, thread.tid, 0, 0);
    return;
  }
  emit_at(now, thread, std::move(returned));
}

void TraceLoop::tell_closed(Thread& thread) {
  if (thread.closing) emit(thread, *std::exchange(thread.closing, std::nullopt));
}

// `returned` is null for a call that isn't recorded.
void TraceLoop::learn_after(Thread& thread, const CallInFlight& call, std::int64_t result,
                            recording::CallReturned* returned) {
  Descriptors& descriptors = *thread.process->descriptors;
  const auto fd = [&](std::size_t i) { return static_cast<std::int32_t>(call.arguments[i]); };
  const TcpSocket* socket = nullptr;
  switch (call.row->number) {
    case SYS_close: return descriptors.forget(fd(0), call.cookie);
    case SYS_bind:
    case SYS_listen:
    case SYS_connect:
      descriptors.refresh(one_that_lives(thread), fd(0));
      socket = look_up(thread, fd(0));
      break;
    case SYS_sendto:
    case SYS_sendmsg:
      if ((call.arguments[call.row->number == SYS_sendto ? 3 : 2] & MSG_FASTOPEN) == 0) break;
      descriptors.refresh(one_that_lives(thread), fd(0));
      socket = look_up(thread, fd(0));
      break;
    case SYS_accept:
    case SYS_accept4: {
      if (calls::is_error(result)) break;
      const auto made = static_cast<std::int32_t>(result);
      descriptors.refresh(one_that_lives(thread), made);
      socket = look_up(thread, made);
      if (socket != nullptr && !socket->remote) socket = learn_reset_before_accept(thread, call, made, *socket);
      break;
    }
    case SYS_socket:
    case SYS_dup:
    case machine::dup2_call:
    case SYS_dup3:
    case SYS_fcntl:
    case SYS_pidfd_getfd: {
      const bool makes = call.row->number != SYS_fcntl || duplicates_by_fcntl(*call.row, call.arguments);
      if (calls::is_error(result) || !makes) break;
      const auto made = static_cast<std::int32_t>(result);
      descriptors.refresh(one_that_lives(thread), made);
      socket = look_up(thread, made);
      break;
    }
    default: break;
  }
  if (returned == nullptr || socket == nullptr) return;
  returned->socket = socket->cookie;
  returned->local = socket->local;
  returned->remote = socket->remote;
}

// What was reset while it waited has no addresses any more (ENOTCONN); accept() hands out the peer's all the same.
const TcpSocket* TraceLoop::learn_reset_before_accept(Thread& thread, const CallInFlight& call, std::int32_t made,
                                                      TcpSocket socket) {
  if (call.arguments[1] != 0) {
    const auto bytes = ProcessMemory(thread.tid).read(call.arguments[1], sizeof(sockaddr_in6));
    socket.remote = address_in(bytes);
  }
  const TcpSocket* listener = look_up(thread, static_cast<std::int32_t>(call.arguments[0]));
  if (!socket.remote || listener == nullptr || !listener->local) return look_up(thread, made);
  socket.local = listener->local;
  // Whoever listens on every address is asked at one of loopback's from there.
  if (socket.local->ip.is_unspecified() && is_v4_loopback(socket.remote->ip)) socket.local->ip = socket.remote->ip;
  if (socket.local->ip.is_unspecified()) return look_up(thread, made);
  thread.process->descriptors->learn(made, socket);
  return look_up(thread, made);
}

std::optional<TraceLoop::StackCopy> TraceLoop::copy_stack(const Thread& thread) {
  auto registers = ThreadRegisters::of(thread.tid);
  if (!registers) return std::nullopt;
  registers->go_on_at(thread.process->inside.own_address(registers->instruction_pointer()));
  return StackCopy{registers->for_unwinding(), ProcessMemory(thread.tid).read(registers->stack_pointer(), stack_bytes)};
}

}  // namespace tcpwhy::trace
