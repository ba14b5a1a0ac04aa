// Of TraceLoop: the recorders inside the processes. A process that stops often gets one; what it has recorded is
// taken at each stop of anybody's, so that whatever is learnt there comes after it.
#include <linux/kcmp.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <string>
#include <utility>

#include "base/clock.h"
#include "trace/ptrace/inside/call_log.h"
#include "trace/ptrace/inside/remote_calls.h"
#include "trace/ptrace/loop/trace_loop.h"
#include "trace/ptrace/process_memory.h"
#include "trace/ptrace/process_status.h"

namespace tcpwhy::trace {
namespace {

// Of what surface() leaves out the processor would miss the returns (arch/x86/shstk.rst).
bool has_shadow_stack(pid_t tid) { return status_field(tid, "x86_Thread_features").find("shstk") != std::string::npos; }

// There the numbers that its threads know themselves by aren't those that we know, and may be others' here: NSpid has
// the process's number in each namespace from ours inwards (proc_pid_status(5)).
bool has_other_numbers(pid_t tid) { return status_field(tid, "NSpid").find_first_of(" \t") != std::string::npos; }

bool overlaps_recorder(std::uint64_t address, std::uint64_t length) {
  constexpr std::uint64_t end = INSIDE_SHARED + sizeof(inside_shared), page = 4096;
  return address < end + page && (address >= INSIDE_BASE || length > INSIDE_BASE - address);
}

bool touches_recorder(std::uint64_t number, const calls::SyscallArguments& arguments) {
  if (overlaps_recorder(arguments[0], arguments[1])) return true;
  const bool is_given_place = number == SYS_mremap && (arguments[3] & MREMAP_FIXED) != 0;
  return is_given_place && overlaps_recorder(arguments[4], arguments[2]);
}

bool is_of_a_signal_for_us(int signal) { return signal == SIGTRAP || signal == SIGSEGV || signal == SIGBUS; }

}  // namespace

void TraceLoop::take_inside(bool nobody_lives) {
  if (!inside_) return;
  const auto taker = [this](const inside_record& record, std::span<const std::byte> snippets) {
    on_recorded(record, snippets);
  };
  inside_->take(taker, nobody_lives);
  if (!late_.empty()) std::erase_if(late_, [this](const auto& late) { return late.second.until <= inside_->tail(); });
  if (const std::uint64_t lost = inside_->take_lost(); lost != 0) outbox_.lose(2 * lost);
}

Thread* TraceLoop::whose(const inside_record& record) {
  const auto tid = static_cast<pid_t>(record.tid);
  if (const auto known = threads_.find(tid); known != threads_.end()) return known->second.get();
  const auto late = late_.find(tid);
  return late == late_.end() ? nullptr : late->second.thread.get();
}

void TraceLoop::on_recorded(const inside_record& record, std::span<const std::byte> snippets) {
  Thread* const found = whose(record);
  const calls::CallRow* row = calls::find_call(record.number);
  if (found == nullptr || row == nullptr) return outbox_.lose(2);
  Thread& thread = *found;
  Process& process = *thread.process;
  Descriptors& descriptors = *process.descriptors;
  const auto fd = [&](std::int8_t argument) {
    return static_cast<std::int32_t>(record.arguments[static_cast<std::size_t>(argument)]);
  };

  // By the cookie, for the number may be another's by now.
  InsideCall call;
  call.record = record;
  if (record.cookie != 0) call.at_entry = packed(sockets_.of(record.cookie));
  if (row->is_closing()) descriptors.forget(fd(0), record.cookie);
  if (record.socket.cookie != 0) {
    call.at_return = record.socket;
    const TcpSocket socket = unpacked(record.socket);
    sockets_.learn(socket);
    const bool makes = inside_rows().at(record.number).result_is_fd != 0;
    descriptors.learn(makes ? static_cast<std::int32_t>(record.result) : fd(row->fd_argument), socket);
  }
  if (!recording_ || !process.recorded) return;
  const bool was_told = thread.early_call.id == record.id;
  call.call = was_told ? thread.early_call.call : ++call_count_;
  call.entry_is_told = was_told ? 1 : 0;
  thread.last_call = call.call;
  thread.last_error = calls::is_error(record.result) ? static_cast<int>(-record.result) : 0;
  thread.last_number = record.number;
  if (was_told) thread.early_call = {};
  call.actor = actor_of(thread).value;
  outbox_.put_aside(call, snippets);
}

// Gives the process its recorder, or has it called from one more place. True: the thread runs again, and makes its
// call from the beginning.
bool TraceLoop::make_inside(Thread& thread, const calls::CallRow* row, std::uint64_t address) {
  Process& process = *thread.process;
  if (!inside_ || !recording_ || !process.recorded || process.stays_outside || process.shares_memory) return false;
  const base::WallTime now = base::wall_now();
  process.inside.go_on(thread.tid, now);
  if (row == nullptr || ++process.stops < options_.stops_before_inside) return false;
  if (inside_rows().at(static_cast<std::size_t>(row->number)).policy == INSIDE_STOPS) return false;
  if (process.inside.own_address(address) != address || !process.inside.is_site(thread.tid, address)) return false;

  auto calls = RemoteCalls::begin(thread.tid);
  if (!calls) return false;
  if (!process.inside.is_mapped()) {
    process.table = inside_->take_table();
    if (!process.table || has_shadow_stack(thread.tid) || has_other_numbers(thread.tid) ||
        !process.inside.map(thread.tid, *calls, *inside_, address) || !InsideCode::use_table(thread.tid, process.table))
      leave_inside(process);
  }
  if (!process.stays_outside) {
    inside_->set_has_tcp(*process.table, process.descriptors->has_tcp());
    process.inside.redirect(thread.tid, address, is_alone_in_its_memory(thread), now);
  }
  if (calls->last_word()) {
    heard_elsewhere_ = {thread.tid, *calls->last_word()};
    return true;
  }
  calls->end();
  resume(thread);
  return true;
}

// A process that has just been forked, and hasn't run yet.
void TraceLoop::inherit_inside(Process& process, Process* parent) {
  if (!inside_) return;
  if (parent == nullptr) {
    // Whoever made it is gone already; it uses that one's table.
    if (InsideCode::is_in(process.pid)) InsideCode::use_table(process.pid, std::nullopt);
    return;
  }
  process.stays_outside = parent->stays_outside;
  process.inside = parent->inside;
  if (!parent->inside.is_mapped()) return;
  process.shares_memory = parent->shares_memory || share_memory(*parent, process);
  const bool has_its_numbers = !has_other_numbers(process.pid);
  if (process.shares_memory) {
    if (!has_its_numbers) leave_inside(*parent);
    return;
  }
  if (!process.stays_outside && has_its_numbers) process.table = inside_->take_table();
  if (process.table) inside_->set_has_tcp(*process.table, process.descriptors->has_tcp());
  if (!InsideCode::use_table(process.pid, process.table)) {
    // It goes on with the parent's, which then says nothing of either's descriptors.
    leave_inside(process);
    if (parent->table) inside_->disable(*parent->table);
  } else if (!process.table) {
    process.stays_outside = true;
  }
}

bool TraceLoop::share_memory(const Process& parent, const Process& child) const {
  pid_t asked = parent.pid;
  if (parent.leader_has_left)
    for (const auto& [tid, thread] : threads_)
      if (thread->process == &parent && !thread->has_left) asked = tid;
  return ::syscall(SYS_kcmp, asked, child.pid, KCMP_VM, 0, 0) == 0;
}

// All its calls stop from now on. Where its code has been changed it stays so: the stubs make the calls.
void TraceLoop::leave_inside(Process& process) {
  process.stays_outside = true;
  if (process.table) inside_->disable(*process.table);
}

// A thread that has left may still be counted: who joined it goes on before the kernel says that it has ended.
bool TraceLoop::is_alone_in_its_memory(const Thread& thread) const {
  return std::ranges::none_of(threads_,
                              [&](const auto& entry) {
                                const Thread& other = *entry.second;
                                return other.process == thread.process && &other != &thread && !other.has_left;
                              }) &&
         std::ranges::none_of(processes_, [](const auto& other) { return other.second->shares_memory; });
}

// Of a process that is about to have other memory where its recorder lies: it goes on as if there had never been one.
// False: other threads may be in it, and the call fails.
bool TraceLoop::make_way(Thread& thread, std::uint64_t number, const calls::SyscallArguments& arguments) {
  Process& process = *thread.process;
  if (!process.inside.is_mapped() || !touches_recorder(number, arguments)) return true;
  if (is_alone_in_its_memory(thread) && process.inside.withdraw(thread.tid)) {
    forget_inside(process);
    process.stays_outside = true;
    return true;
  }
  auto registers = ThreadRegisters::of(thread.tid);
  if (!registers) return true;
  InsideCode::refuse_call(*registers, ENOMEM);
  return !registers->write_to(thread.tid);
}

// Its memory is gone, and the recorder with it.
void TraceLoop::forget_inside(Process& process) {
  process.inside = {};
  process.stays_outside = process.shares_memory = false;
  process.stops = 0;
  give_back_table(process);
}

void TraceLoop::give_back_table(Process& process) {
  if (process.table) inside_->give_back_table(*process.table);
  process.table.reset();
}

// What the descriptor is now, of a process that has stopped. Where there is a recorder, its table tells: what the
// process has done to its descriptors since may not have been taken yet.
const TcpSocket* TraceLoop::look_up(Thread& thread, std::int32_t fd) {
  Process& process = *thread.process;
  const pid_t pid = one_that_lives(thread);
  Descriptors& descriptors = *process.descriptors;
  if (process.table) {
    const std::uint64_t told = inside_->socket_of(*process.table, fd);
    const TcpSocket* known = descriptors.known(fd);
    const bool is_right = told == INSIDE_OTHER ? descriptors.is_other(fd) : known != nullptr && known->cookie == told;
    if (!is_right) descriptors.refresh(pid, fd);
  }
  const TcpSocket* found = descriptors.find(pid, fd);
  if (found != nullptr) sockets_.learn(*found);
  if (process.table) {
    if (found != nullptr && found->cookie != 0) inside_->learn(*process.table, fd, found->cookie);
    if (found == nullptr && descriptors.is_other(fd)) inside_->learn(*process.table, fd, INSIDE_OTHER);
    inside_->set_has_tcp(*process.table, descriptors.has_tcp());
  }
  return found;
}

// The recorded call that the thread is in, told of at once. Absent: it is in none.
std::optional<std::uint32_t> TraceLoop::tell_early(Thread& thread) {
  if (!inside_) return std::nullopt;
  const auto slot = inside_->call_of(thread.tid);
  if (!slot) return std::nullopt;
  const calls::CallRow* row = calls::find_call(slot->number);
  if (row == nullptr || !recording_ || !thread.process->recorded) return std::nullopt;
  if (thread.early_call.id == slot->id) return thread.early_call.call;
  const TcpSocket socket = slot->cookie == 0 ? TcpSocket{} : sockets_.of(slot->cookie);
  thread.early_call = {.id = slot->id, .call = ++call_count_};
  emit_at(base::wall_from_ns(static_cast<std::int64_t>(slot->id)), thread,
          entry_of(*slot, thread.tid, thread.early_call.call, socket));
  return thread.early_call.call;
}

// A signal that the recorder's own doing has raised: int3 where a place has been changed, or memory that can't be
// read. The program never learns of it. True: there was no other reason for it.
bool TraceLoop::goes_on_inside(Thread& thread, int signal) {
  if (!inside_ || !thread.process->inside.is_mapped()) return false;
  auto registers = ThreadRegisters::of(thread.tid);
  if (!registers) return false;
  if (is_of_a_signal_for_us(signal)) {
    if (const auto next = thread.process->inside.after_trap(registers->instruction_pointer())) {
      registers->go_on_at(*next);
      return registers->write_to(thread.tid);
    }
  }
  surface(thread, *registers);
  return false;
}

// Of a thread that a signal has found in a call of its own that the recorder makes for it: puts it back to where it
// would be if it had made the call itself, just behind it. So the signal's handler, a jump out of it, or the
// unwinding of a thread that is cancelled find what they would find; if it comes back, int3 stands there and leads to
// the stub, and if the call is made again, the jump does. The recorder won't come to record it: that is done here.
void TraceLoop::surface(Thread& thread, const ThreadRegisters& registers) {
  const auto slot = inside_->call_of(thread.tid);
  // The recorder makes calls of its own, too.
  if (!slot || registers.instruction_pointer() != INSIDE_CALLED || registers.call_number() != slot->number) return;
  // What stands there others may have written: the frame is a little above where the recorder is now.
  constexpr std::uint64_t most_of_recorder = 4096;
  const std::uint64_t top = registers.stack_pointer();
  if (slot->frame < top || slot->frame - top > most_of_recorder) return;
  InsideCode::Pushed stack;
  const auto bytes = ProcessMemory(thread.tid).read(slot->frame, sizeof stack);
  if (bytes.size() != sizeof stack) return;
  std::memcpy(&stack, bytes.data(), sizeof stack);
  const std::uint64_t own_address = thread.process->inside.own_address(stack.stub);
  if (own_address == stack.stub) return;
  const ThreadRegisters own = InsideCode::outside(registers, stack, slot->frame, own_address);
  if (!own.write_to(thread.tid)) return;
  tell_return(thread, *slot, registers.call_result());
  inside_->end_call(thread.tid);
}

void TraceLoop::tell_return(Thread& thread, const inside_slot& slot, std::int64_t result) {
  const auto number = tell_early(thread);
  thread.early_call = {};
  CallInFlight call;
  call.row = calls::find_call(slot.number);
  if (!number || call.row == nullptr) return;
  call.call = *number;
  std::ranges::copy(slot.arguments, call.arguments.begin());
  call.cookie = slot.cookie;
  thread.in_flight = call;
  on_exit(thread, result);
}

}  // namespace tcpwhy::trace
