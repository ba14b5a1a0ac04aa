// Of EventMaker: system calls and io_uring operations, and what names the one during which it came.
#include <sys/syscall.h>

#include <algorithm>

#include "calls/call.h"
#include "calls/decode.h"
#include "calls/operation_table.h"
#include "trace/bpf/events/event_maker.h"
#include "trace/call_events.h"

namespace tcpwhy::trace {
namespace {

using calls::Effect;

using namespace recording;

// The memory that came along with the call.
class Snippets final : public calls::Memory {
 public:
  explicit Snippets(const probe_call& call) : call_(call) {}
  [[nodiscard]] std::vector<std::uint8_t> read(std::uint64_t address, std::size_t length) const override {
    for (std::uint32_t i = 0; i < std::min<std::uint32_t>(call_.snippets, PROBE_SNIPPETS); ++i) {
      const probe_snippet& snippet = call_.snippet[i];
      const std::uint32_t taken = std::min<std::uint32_t>(snippet.length, PROBE_SNIPPET_BYTES);
      if (address < snippet.address || address - snippet.address >= taken) continue;
      const auto skip = static_cast<std::size_t>(address - snippet.address);
      const std::uint8_t* const begin = snippet.bytes + skip;
      return {begin, begin + std::min(length, taken - skip)};
    }
    return {};
  }

 private:
  const probe_call& call_;
};

void set_call(Event& event, std::uint32_t number) {
  const auto set = [number](auto& what) {
    if constexpr (requires { what.call = std::optional(number); }) what.call = number;
  };
  std::visit(set, event.what);
}

}  // namespace

void EventMaker::tell_call(std::uint32_t tid, std::uint64_t id, std::uint32_t event, Recording& recording) {
  if (id == 0) return;
  const auto found = calls_.find({tid, id});
  if (found != calls_.end()) return set_call(recording.events[event], found->second.number);
  if (const auto closed = closed_.find(tid); closed != closed_.end() && closed->second.id == id) {
    // The program has its descriptor closed no sooner than what that did: the hook of the return comes before the thread is back.
    Event& returned = recording.events[closed->second.returned];
    returned.at = std::max(returned.at, recording.events[event].at + base::Duration(1));
    return set_call(recording.events[event], closed->second.number);
  }
  if (const auto operation = operations_.find(id); operation != operations_.end())
    return set_call(recording.events[event], operation->second.number);
  waiting_for_call_[{tid, id}].push_back(event);
}

// --- Calls ----------------------------------------------------------------------------------------------------------

void EventMaker::add_call_entered(const probe_call& call, Recording& recording) {
  const calls::CallRow* row = calls::find_call(call.number);
  const CallKey key{call.head.tid, call.call};
  if (row == nullptr) return;
  if (call.socket.pointer != 0) processes_with_sockets_.insert(call.head.tgid);
  const bool other_socket = row->only_on_tcp && row->fd_argument < 0 &&
                            !calls::makes_tcp_socket(call.arguments[0], call.arguments[1], call.arguments[2]);
  // What a process waits for matters once it has a connection.
  const bool idle_wait = row->effect == Effect::waits && !processes_with_sockets_.contains(call.head.tgid);
  auto waiting = waiting_for_call_.extract(key);
  if (other_socket || idle_wait) {
    ignored_calls_.insert(key);
    return;
  }
  CallEntered entered;
  entered.call = next_call_++;
  calls::SyscallArguments arguments;
  std::ranges::copy(call.arguments, arguments.begin());
  const bool on_second = (call.head.flags & PROBE_ON_SECOND) != 0;
  tell(*row, calls::decode_entry(*row, arguments, Snippets(call), on_second), entered);
  if (call.references != 0) entered.references = call.references;
  KnownSocket* known = sockets_.learn(call.socket, recording);
  if (known != nullptr) tell_socket(entered, call.socket, known);
  if (known != nullptr && row->is_closing()) known->closed_by.reset();
  const std::uint64_t pointer = call.socket.pointer;
  const std::uint32_t number = entered.call;
  probe_head at_entry = call.head;
  at_entry.at_ns = call.call;
  const std::uint32_t event =
      append(at_entry, actor(call.head.tid, call.head.tgid, recording), std::move(entered), recording);
  remember(known, event);
  calls_[key] = {number, event, pointer};
  if (!waiting.empty())
    for (const std::uint32_t earlier : waiting.mapped()) set_call(recording.events[earlier], number);
}

// recvmsg() waits before it has been passed a socket, which may not even exist then: only its return tells of it.
void EventMaker::forget_what_came_later(const probe_call& call, Recording& recording) {
  const auto open = calls_.find({call.head.tid, call.call});
  if (call.number != SYS_recvmsg || open == calls_.end()) return;
  if (calls::passed_descriptors(Snippets(call), call.arguments[1]).empty()) return;
  auto& entered = std::get<CallEntered>(recording.events[open->second.event].what);
  entered.socket = 0;
  entered.local.reset(), entered.remote.reset();
}

void EventMaker::add_call_returned(const probe_call& call, Recording& recording) {
  const CallKey key{call.head.tid, call.call};
  if (ignored_calls_.erase(key) != 0) return;
  const auto open = calls_.find(key);
  const calls::CallRow* row = calls::find_call(call.number);
  if (open == calls_.end() || row == nullptr) return;  // its entry was lost, or stands before the beginning
  CallReturned returned;
  returned.call = open->second.number;
  calls::SyscallArguments arguments;
  std::ranges::copy(call.arguments, arguments.begin());
  tell(calls::decode_return(*row, arguments, call.result, Snippets(call)), returned);
  KnownSocket* known = sockets_.learn(call.socket, recording);
  if (known != nullptr) processes_with_sockets_.insert(call.head.tgid);
  if (known == nullptr && open->second.socket != 0) {
    // close(): the socket may be gone, but not what was known at entry.
    const auto& entered = std::get<CallEntered>(recording.events[open->second.event].what);
    returned.socket = entered.socket, returned.local = entered.local, returned.remote = entered.remote;
  } else if (known != nullptr) {
    tell_socket(returned, call.socket, known);
  }
  const std::uint32_t event =
      append(call.head, actor(call.head.tid, call.head.tgid, recording), std::move(returned), recording);
  remember(known, event);
  if (row->is_closing()) closed_[call.head.tid] = {call.call, open->second.number, event};
  last_returned_ = {key, open->second.number};
  calls_.erase(open);
}

void EventMaker::add_repeated(const probe_repeated& repeated, Recording& recording) {
  if (!last_returned_ || last_returned_->first != CallKey{repeated.head.tid, repeated.call}) return;  // it is left out
  append(repeated.head, actor(repeated.head.tid, repeated.head.tgid, recording),
         CallsRepeated{.call = last_returned_->second,
                       .count = repeated.count,
                       .since = base::wall_from_ns(static_cast<std::int64_t>(repeated.since_ns)) + clock_},
         recording);
}

// --- Operations of io_uring -----------------------------------------------------------------------------------------

void EventMaker::add_operation_submitted(const probe_call& operation, Recording& recording) {
  const calls::OperationRow* row = calls::find_operation(operation.number - PROBE_SYSCALLS);
  calls::SyscallArguments fields;
  std::ranges::copy(operation.arguments, fields.begin());
  if (row == nullptr) return;
  // socket(): what it makes stands in its arguments.
  if (row->call.fd_argument < 0 &&
      !calls::makes_tcp_socket(fields[calls::field_fd], fields[calls::field_offset], fields[calls::field_length]))
    return;
  CallEntered entered;
  const bool on_second = (operation.head.flags & PROBE_ON_SECOND) != 0;
  tell(row->call, calls::decode_operation_entry(*row, fields, Snippets(operation), on_second), entered);
  entered.through = "io_uring";
  if (operation.references != 0) entered.references = operation.references;
  processes_with_sockets_.insert(operation.head.tgid);
  KnownSocket* known = sockets_.learn(operation.socket, recording);
  if (known != nullptr) tell_socket(entered, operation.socket, known);
  open_operation(operation, std::move(entered), known, recording);
}

void EventMaker::open_operation(const probe_call& operation, CallEntered entered, KnownSocket* known,
                                Recording& recording) {
  const calls::OperationRow* row = calls::find_operation(operation.number - PROBE_SYSCALLS);
  OpenOperation open{next_call_++, 0, operation.socket.pointer, row->call.effect};
  entered.call = open.number;
  open.event =
      append(operation.head, actor(operation.head.tid, operation.head.tgid, recording), std::move(entered), recording);
  remember(known, open.event);
  if (known != nullptr) known->operations.push_back(operation.call);
  if (known != nullptr && open.effect == Effect::closes) known->closed_by = open.number;
  operations_[operation.call] = open;
}

void EventMaker::add_operation_completed(const probe_call& operation, Recording& recording) {
  const auto found = operations_.find(operation.call);
  const calls::OperationRow* row = calls::find_operation(operation.number - PROBE_SYSCALLS);
  if (found == operations_.end() || row == nullptr) return;  // its submission was lost
  const OpenOperation open = found->second;
  operations_.erase(found);
  KnownSocket* const acted_on = sockets_.find(open.socket);
  if (acted_on != nullptr) std::erase(acted_on->operations, operation.call);

  CallReturned returned;
  returned.call = open.number;
  calls::SyscallArguments fields;
  std::ranges::copy(operation.arguments, fields.begin());
  tell(calls::decode_operation_return(*row, fields, operation.result, Snippets(operation)), returned);
  const CallEntered entered = std::get<CallEntered>(recording.events[open.event].what);
  KnownSocket* const known = sockets_.learn(operation.socket, recording);
  if (known != nullptr)
    tell_socket(returned, operation.socket, known);
  else
    returned.socket = entered.socket, returned.local = entered.local, returned.remote = entered.remote;
  const std::uint32_t event =
      append(operation.head, actor(operation.head.tid, operation.head.tgid, recording), std::move(returned), recording);
  remember(known, event);
  // Armed again: the same question, until the next completion.
  constexpr std::uint32_t more_to_come = 1U << 1;  // IORING_CQE_F_MORE
  if ((operation.completion & more_to_come) == 0 || !calls::is_multishot(*row, fields)) return;
  probe_call again = operation;
  again.socket.pointer = open.socket;
  open_operation(again, entered, sockets_.find(open.socket), recording);  // learn() may have moved it
}

std::optional<std::uint32_t> EventMaker::operation_behind(const KnownSocket* known, const KernelCause& cause) const {
  if (known == nullptr || cause.trigger != Trigger::call) return std::nullopt;
  if (cause.name.starts_with("close")) return known->closed_by;
  if (cause.through.empty()) return std::nullopt;
  const Effect wanted = cause.name == "recv"       ? Effect::receives
                        : cause.name == "shutdown" ? Effect::shuts
                        : cause.name == "connect"  ? Effect::connects
                                                   : Effect::sends;
  std::optional<std::uint32_t> chosen;
  for (const std::uint64_t id : known->operations) {
    const auto found = operations_.find(id);
    if (found == operations_.end() || found->second.effect != wanted) continue;
    chosen = found->second.number;
    // What waits is carried out in order; what has just been submitted, at once.
    if (cause.through != "submission") break;
  }
  return chosen;
}

void EventMaker::add_user_stack(const probe_user_stack& stack, Recording& recording) {
  const auto call = calls_.find({stack.head.tid, stack.call});
  const auto operation = operations_.find(stack.call);
  if (options_.unwinder == nullptr || (call == calls_.end() && operation == operations_.end())) return;
  const std::uint32_t event = call != calls_.end() ? call->second.event : operation->second.event;
  // If its mappings were not told; it may live.
  options_.unwinder->learn(static_cast<pid_t>(stack.head.tgid), stack.registers[MACHINE_DWARF_INSTRUCTION_POINTER]);
  Registers registers;
  std::ranges::copy(stack.registers, registers.dwarf.begin());
  const std::size_t length = std::min<std::size_t>(stack.length, PROBE_USER_STACK_BYTES);
  const auto frames =
      options_.unwinder->unwind(static_cast<pid_t>(stack.head.tgid), registers, {stack.bytes, length}, stack.address);
  std::get<CallEntered>(recording.events[event].what).stack = text(frames);
}

}  // namespace tcpwhy::trace
