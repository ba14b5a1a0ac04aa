#include "trace/bpf/event_maker.h"

#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstring>

#include "trace/calls/decode.h"
#include "trace/calls/flags.h"
#include "trace/calls/operation_table.h"
#include "trace/calls/syscall_table.h"
#include "trace/holders.h"
#include "trace/tcp_states.h"
#include "wire/segment.h"

namespace tcpwhy::trace {
namespace {

using namespace recording;

constexpr std::size_t most_stacks = 65536;    // named once each; what comes beyond is named again and again
constexpr std::size_t most_incomplete = 256;  // events of a socket that wait for its cookie

// The memory that came along with the call.
class Snippets final : public TraceeMemory {
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

std::optional<wire::SocketAddress> address(std::uint16_t family, const __u8 (&bytes)[16], std::uint16_t port) {
  if (port == 0 || (family != AF_INET && family != AF_INET6)) return std::nullopt;
  const std::span<const std::uint8_t, 16> all(bytes);
  const auto ip = family == AF_INET ? wire::IpAddress::v4(all.first<4>()) : wire::IpAddress::v6(all);
  return wire::SocketAddress{ip.unmapped(), port};
}

// What a socket forgets when it is closed (its own address becomes any) is still known of it.
bool says_less(const wire::SocketAddress& now, const std::optional<wire::SocketAddress>& before) {
  return before && now.port == before->port && now.ip.is_unspecified() && !before->ip.is_unspecified();
}

std::string name_of(std::span<const std::string> names, std::uint32_t number) {
  if (number < names.size() && !names[number].empty()) return names[number];
  return std::to_string(number);
}

std::string comm(const char (&text)[16]) { return {text, strnlen(text, sizeof text)}; }

// "a\0lib\0usr\0" -> "/usr/lib/a"
std::string path_of(std::string_view names) {
  std::string path;
  while (!names.empty()) {
    const std::string_view name = names.substr(0, names.find('\0'));
    path.insert(0, "/" + std::string(name));
    names.remove_prefix(std::min(name.size() + 1, names.size()));
  }
  return path;
}

template <class Record>
const Record* as(std::span<const std::byte> record) {
  return record.size() >= sizeof(Record) ? reinterpret_cast<const Record*>(record.data()) : nullptr;
}

// What a PROBE_BRIEF record would be if its socket's other members were 0.
void lengthen(std::span<const std::byte> brief, std::vector<std::byte>& whole) {
  whole.assign(brief.size() + PROBE_BRIEF_SAVES, std::byte{});
  probe_head head{};
  std::memcpy(&head, brief.data(), sizeof head);
  head.flags &= static_cast<__u8>(~PROBE_BRIEF);
  std::memcpy(whole.data(), &head, sizeof head);
  const auto rest = brief.subspan(sizeof head);
  std::ranges::copy(rest, whole.end() - static_cast<std::ptrdiff_t>(rest.size()));
}

void set_call(Event& event, std::uint32_t number) {
  const auto set = [number](auto& what) {
    if constexpr (requires { what.call = std::optional(number); }) what.call = number;
  };
  std::visit(set, event.what);
}

// By enum probe_direct.
constexpr std::string_view direct_causes[] = {"unknown", "send", "connect", "shutdown", "close"};

}  // namespace

EventMaker::EventMaker(EventMakerOptions options) : options_(std::move(options)) {}

void EventMaker::add(std::span<const std::byte> record, Recording& recording) {
  if (record.size() < sizeof(probe_head)) return;
  const auto& head = *reinterpret_cast<const probe_head*>(record.data());
  if ((head.flags & PROBE_BRIEF) != 0) {
    lengthen(record, whole_);
    return add(whole_, recording);
  }
  const auto kind = head.kind;
  const auto with = [&](auto* typed, auto method) {
    if (typed != nullptr) (this->*method)(*typed, recording);
  };
  switch (kind) {
    case PROBE_CALL_ENTERED:
    case PROBE_CALL_RETURNED:
    case PROBE_CALL_MADE:
    case PROBE_OPERATION_SUBMITTED:
    case PROBE_OPERATION_COMPLETED: {
      // Only as many snippets as there are came over.
      if (record.size() < offsetof(probe_call, snippet)) return;
      probe_call call{};
      std::memcpy(&call, record.data(), std::min(record.size(), sizeof call));
      // The last one is cut to its length.
      const std::size_t came = record.size() - offsetof(probe_call, snippet);
      call.snippets = std::min<std::uint32_t>(
          call.snippets, static_cast<std::uint32_t>((came + sizeof(probe_snippet) - 1) / sizeof(probe_snippet)));
      if (kind == PROBE_OPERATION_SUBMITTED) return add_operation_submitted(call, recording);
      if (kind == PROBE_OPERATION_COMPLETED) return add_operation_completed(call, recording);
      if (kind != PROBE_CALL_RETURNED) add_call_entered(call, recording);
      if (kind == PROBE_CALL_MADE) forget_what_came_later(call, recording);
      if (kind != PROBE_CALL_ENTERED) add_call_returned(call, recording);
      return;
    }
    case PROBE_USER_STACK: return with(as<probe_user_stack>(record), &EventMaker::add_user_stack);
    case PROBE_SEGMENT: {
      // Only as many frames as there are came over.
      if (record.size() < offsetof(probe_segment, stack)) return;
      probe_segment segment{};
      std::memcpy(&segment, record.data(), std::min(record.size(), sizeof segment));
      segment.frames = std::min(segment.frames, static_cast<__s32>(record.size() - offsetof(probe_segment, stack)));
      return add_segment(segment, recording);
    }
    case PROBE_STATE: return with(as<probe_state>(record), &EventMaker::add_state);
    case PROBE_RESET_SENT:
    case PROBE_RESET_RECEIVED: return with(as<probe_reset>(record), &EventMaker::add_reset);
    case PROBE_SOCKET_ERROR: return with(as<probe_error>(record), &EventMaker::add_error);
    case PROBE_DROP: return with(as<probe_drop>(record), &EventMaker::add_drop);
    case PROBE_SIGNAL: return with(as<probe_signal>(record), &EventMaker::add_signal);
    case PROBE_FORK:
    case PROBE_EXEC:
    case PROBE_EXIT: return with(as<probe_process>(record), &EventMaker::add_process);
    case PROBE_MAPPING: return with(as<probe_mapping>(record), &EventMaker::add_mapping);
    case PROBE_DESTROYED:
      if (const auto* state = as<probe_state>(record)) forget_socket(state->socket.pointer);
      return;
    case PROBE_GONE:
      if (const auto* gone = as<probe_gone>(record)) forget_socket(gone->socket);
      return;
    default: return;
  }
}

// --- Who, and which socket ------------------------------------------------------------------------------------------

void EventMaker::start_process(std::int32_t pid, const std::string& command) {
  commands_[static_cast<std::uint32_t>(pid)] = command;
}

ActorId EventMaker::actor(std::uint32_t tid, std::uint32_t tgid, Recording& recording) {
  if (const auto known = actors_.find({tid, tgid}); known != actors_.end()) return known->second;
  std::string& command = commands_[tgid];
  if (command.empty()) command = command_of(static_cast<pid_t>(tgid));
  const ActorId id{static_cast<std::uint32_t>(recording.actors.size())};
  recording.actors.push_back({.name = command.empty() ? std::to_string(tgid) : command,
                              .pid = static_cast<std::int32_t>(tgid),
                              .tid = static_cast<std::int32_t>(tid),
                              .command = command,
                              .host = {}});
  actors_[{tid, tgid}] = id;
  return id;
}

EventMaker::KnownSocket* EventMaker::learn(const probe_socket& socket, Recording& recording) {
  if (socket.pointer == 0) return nullptr;
  if (socket.family == 0) {  // told whole before
    const auto before = sockets_.find(socket.pointer);
    return before == sockets_.end() ? nullptr : &before->second;
  }
  KnownSocket& known = sockets_[socket.pointer];
  // The address of a socket is used again as soon as it is free: another cookie is another socket.
  if (known.cookie != 0 && socket.cookie != 0 && known.cookie != socket.cookie) known = {};
  bool news = false;
  const auto take = [&news](auto& place, const auto& value, bool is_there) {
    if (!is_there || place == value) return;
    place = value;
    news = true;
  };
  take(known.cookie, socket.cookie, socket.cookie != 0);
  // A listener's local address may be any: a port is enough.
  const auto local = address(socket.family, socket.local, socket.local_port);
  const auto remote = address(socket.family, socket.remote, socket.remote_port);
  take(known.local, local, local.has_value() && !says_less(*local, known.local));
  take(known.remote, remote, remote.has_value());
  if (news && !known.incomplete.empty()) complete(known, recording);
  return &known;
}

void EventMaker::complete(KnownSocket& known, Recording& recording) const {
  const auto fill = [&known](auto& event) {
    if constexpr (requires {
                    event.socket;
                    event.local;
                    event.remote;
                  }) {
      if (event.socket == 0) event.socket = known.cookie;
      if constexpr (std::is_same_v<decltype(event.local), std::optional<wire::SocketAddress>>) {
        if (!event.local) event.local = known.local;
      } else {
        if (event.local.port == 0 && known.local) event.local = *known.local;
        if (event.remote.port == 0 && known.remote) event.remote = *known.remote;
      }
    }
  };
  for (const std::uint32_t event : known.incomplete) std::visit(fill, recording.events[event].what);
  if (known.cookie != 0 && known.local) known.incomplete.clear();
}

template <class Event>
void EventMaker::tell_socket(Event& event, const probe_socket& socket, const KnownSocket* known) const {
  const auto local = address(socket.family, socket.local, socket.local_port);
  const auto remote = address(socket.family, socket.remote, socket.remote_port);
  event.socket = known != nullptr && known->cookie != 0 ? known->cookie : socket.cookie;
  const auto fill = [](auto& place, const std::optional<wire::SocketAddress>& value,
                       const std::optional<wire::SocketAddress>& remembered) {
    if (value && !says_less(*value, remembered))
      place = *value;
    else if (remembered)
      place = *remembered;
  };
  fill(event.local, local, known != nullptr ? known->local : std::nullopt);
  fill(event.remote, remote, known != nullptr ? known->remote : std::nullopt);
}

void EventMaker::remember(KnownSocket* known, std::uint32_t event) const {
  if (known == nullptr || (known->cookie != 0 && known->local) || known->incomplete.size() >= most_incomplete) return;
  known->incomplete.push_back(event);
}

void EventMaker::forget_socket(std::uint64_t pointer) { sockets_.erase(pointer); }

std::uint32_t EventMaker::append(const probe_head& head, ActorId actor, What what, Recording& recording) {
  recording.events.push_back(
      {base::wall_from_ns(static_cast<std::int64_t>(head.at_ns) + clock_.count()), actor, std::move(what)});
  return static_cast<std::uint32_t>(recording.events.size() - 1);
}

void EventMaker::tell_call(std::uint32_t tid, std::uint64_t id, std::uint32_t event, Recording& recording) {
  if (id == 0) return;
  const auto found = calls_.find({tid, id});
  if (found != calls_.end()) return set_call(recording.events[event], found->second.number);
  if (const auto operation = operations_.find(id); operation != operations_.end())
    return set_call(recording.events[event], operation->second.number);
  waiting_for_call_[{tid, id}].push_back(event);
}

// --- Calls ----------------------------------------------------------------------------------------------------------

void EventMaker::add_call_entered(const probe_call& call, Recording& recording) {
  const SyscallRow* row = find_syscall(call.number);
  const CallKey key{call.head.tid, call.call};
  if (row == nullptr) return;
  if (call.socket.pointer != 0) processes_with_sockets_.insert(call.head.tgid);
  const bool other_socket = row->only_on_tcp && row->fd_argument < 0 &&
                            !makes_tcp_socket(call.arguments[0], call.arguments[1], call.arguments[2]);
  // What a process waits for matters once it has a connection.
  const bool idle_wait = row->call_class == CallClass::waits && !processes_with_sockets_.contains(call.head.tgid);
  auto waiting = waiting_for_call_.extract(key);
  if (other_socket || idle_wait) {
    ignored_calls_.insert(key);
    return;
  }
  CallEntered entered;
  entered.call = next_call_++;
  SyscallArguments arguments;
  std::ranges::copy(call.arguments, arguments.begin());
  decode_entry(*row, arguments, Snippets(call), entered);
  if (call.references != 0) entered.references = call.references;
  KnownSocket* known = learn(call.socket, recording);
  if (known != nullptr) tell_socket(entered, call.socket, known);
  if (known != nullptr && row->call_class == CallClass::closes) known->closed_by.reset();
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
  if (passed_descriptors(Snippets(call), call.arguments[1]).empty()) return;
  auto& entered = std::get<CallEntered>(recording.events[open->second.event].what);
  entered.socket = 0;
  entered.local.reset(), entered.remote.reset();
}

void EventMaker::add_call_returned(const probe_call& call, Recording& recording) {
  const CallKey key{call.head.tid, call.call};
  if (ignored_calls_.erase(key) != 0) return;
  const auto open = calls_.find(key);
  const SyscallRow* row = find_syscall(call.number);
  if (open == calls_.end() || row == nullptr) return;  // its entry was lost, or stands before the beginning
  CallReturned returned;
  returned.call = open->second.number;
  SyscallArguments arguments;
  std::ranges::copy(call.arguments, arguments.begin());
  decode_return(*row, arguments, call.result, Snippets(call), returned);
  KnownSocket* known = learn(call.socket, recording);
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
  calls_.erase(open);
}

// --- Operations of io_uring -----------------------------------------------------------------------------------------

void EventMaker::add_operation_submitted(const probe_call& operation, Recording& recording) {
  const OperationRow* row = find_operation(operation.number - PROBE_SYSCALLS);
  SyscallArguments fields;
  std::ranges::copy(operation.arguments, fields.begin());
  if (row == nullptr) return;
  // socket(): what it makes stands in its arguments.
  if (row->call.fd_argument < 0 && !makes_tcp_socket(fields[field_fd], fields[field_offset], fields[field_length]))
    return;
  CallEntered entered;
  decode_operation_entry(*row, fields, Snippets(operation), entered);
  if (operation.references != 0) entered.references = operation.references;
  processes_with_sockets_.insert(operation.head.tgid);
  KnownSocket* known = learn(operation.socket, recording);
  if (known != nullptr) tell_socket(entered, operation.socket, known);
  open_operation(operation, std::move(entered), known, recording);
}

void EventMaker::open_operation(const probe_call& operation, CallEntered entered, KnownSocket* known,
                                Recording& recording) {
  const OperationRow* row = find_operation(operation.number - PROBE_SYSCALLS);
  OpenOperation open{next_call_++, 0, operation.socket.pointer, row->call.call_class};
  entered.call = open.number;
  open.event =
      append(operation.head, actor(operation.head.tid, operation.head.tgid, recording), std::move(entered), recording);
  remember(known, open.event);
  if (known != nullptr) known->operations.push_back(operation.call);
  if (known != nullptr && open.call_class == CallClass::closes) known->closed_by = open.number;
  operations_[operation.call] = open;
}

void EventMaker::add_operation_completed(const probe_call& operation, Recording& recording) {
  const auto found = operations_.find(operation.call);
  const OperationRow* row = find_operation(operation.number - PROBE_SYSCALLS);
  if (found == operations_.end() || row == nullptr) return;  // its submission was lost
  const OpenOperation open = found->second;
  operations_.erase(found);
  const auto holder = sockets_.find(open.socket);
  KnownSocket* const acted_on = open.socket == 0 || holder == sockets_.end() ? nullptr : &holder->second;
  if (acted_on != nullptr) std::erase(acted_on->operations, operation.call);

  CallReturned returned;
  returned.call = open.number;
  SyscallArguments fields;
  std::ranges::copy(operation.arguments, fields.begin());
  decode_operation_return(*row, fields, operation.result, Snippets(operation), returned);
  const CallEntered entered = std::get<CallEntered>(recording.events[open.event].what);
  KnownSocket* const known = learn(operation.socket, recording);
  if (known != nullptr)
    tell_socket(returned, operation.socket, known);
  else
    returned.socket = entered.socket, returned.local = entered.local, returned.remote = entered.remote;
  const std::uint32_t event =
      append(operation.head, actor(operation.head.tid, operation.head.tgid, recording), std::move(returned), recording);
  remember(known, event);
  // Armed again: the same question, until the next completion.
  constexpr std::uint32_t more_to_come = 1U << 1;  // IORING_CQE_F_MORE
  if ((operation.completion & more_to_come) == 0 || !is_multishot(*row, fields)) return;
  probe_call again = operation;
  again.socket.pointer = open.socket;
  const auto still = sockets_.find(open.socket);  // learn() may have moved it
  open_operation(again, entered, open.socket == 0 || still == sockets_.end() ? nullptr : &still->second, recording);
}

std::optional<std::uint32_t> EventMaker::operation_behind(const KnownSocket* known, const KernelCause& cause) const {
  if (known == nullptr || cause.trigger != "call") return std::nullopt;
  if (cause.name.starts_with("close")) return known->closed_by;
  if (cause.through.empty()) return std::nullopt;
  const CallClass wanted = cause.name == "recv"       ? CallClass::receives
                           : cause.name == "shutdown" ? CallClass::shuts
                           : cause.name == "connect"  ? CallClass::opens
                                                      : CallClass::sends;
  std::optional<std::uint32_t> chosen;
  for (const std::uint64_t id : known->operations) {
    const auto found = operations_.find(id);
    if (found == operations_.end() || found->second.call_class != wanted) continue;
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
  options_.unwinder->learn(static_cast<pid_t>(stack.head.tgid), stack.registers[16]);
  Registers registers;
  std::ranges::copy(stack.registers, registers.dwarf.begin());
  const std::size_t length = std::min<std::size_t>(stack.length, PROBE_USER_STACK_BYTES);
  const auto frames =
      options_.unwinder->unwind(static_cast<pid_t>(stack.head.tgid), registers, {stack.bytes, length}, stack.address);
  std::get<CallEntered>(recording.events[event].what).stack = text(frames);
}

void EventMaker::add_mapping(const probe_mapping& mapping, Recording&) {
  if (options_.unwinder == nullptr) return;
  Mapping told{.start = mapping.start,
               .length = mapping.length,
               .offset = mapping.offset,
               .file_bytes = mapping.file_bytes,
               .path = path_of({mapping.path, std::min<std::size_t>(mapping.path_bytes, PROBE_PATH_BYTES)}),
               .is_program = mapping.is_program != 0,
               .interpreter = mapping.interpreter};
  options_.unwinder->told_mapping(static_cast<pid_t>(mapping.head.tgid), std::move(told));
}

// --- The kernel -----------------------------------------------------------------------------------------------------

const EventMaker::NamedStack& EventMaker::name_stack(std::span<const __u64> frames) {
  std::string key(reinterpret_cast<const char*>(frames.data()), frames.size_bytes());
  if (const auto known = stacks_.find(key); known != stacks_.end()) return known->second;
  if (stacks_.size() >= most_stacks) stacks_.clear();
  std::vector<std::string_view> names;
  for (const __u64 frame : frames)
    names.push_back(options_.symbols != nullptr ? options_.symbols->name(frame) : std::string_view());
  return stacks_.emplace(std::move(key), NamedStack{classify(names), spell_stack(names)}).first->second;
}

std::span<const __u64> EventMaker::frames_of(const probe_segment& segment) const {
  if (segment.path != 0 && options_.paths != nullptr) return options_.paths->frames(segment.path);
  const int frames = segment.frames / static_cast<int>(sizeof(__u64));
  return std::span(segment.stack).first(static_cast<std::size_t>(std::clamp<int>(frames, 0, PROBE_STACK_FRAMES)));
}

void EventMaker::add_segment(const probe_segment& segment, Recording& recording) {
  SegmentCause cause;
  // A request is not the socket that will come of it: only its addresses count.
  KnownSocket* known = segment.socket.state == 12 ? nullptr : learn(segment.socket, recording);
  tell_socket(cause, segment.socket, known);
  cause.flags = wire::to_string(wire::TcpFlags{segment.facts.flags});
  cause.seq = segment.facts.seq, cause.ack = segment.facts.ack, cause.length = segment.facts.length;
  if (segment.direct != PROBE_NOT_DIRECT) {
    cause.trigger = "call";
    cause.name = direct_causes[std::min<std::size_t>(segment.direct, std::size(direct_causes) - 1)];
  } else {
    const NamedStack& stack = name_stack(frames_of(segment));
    cause.trigger = stack.cause.trigger, cause.name = stack.cause.name, cause.stack = stack.text;
    cause.through = stack.cause.through;
    cause.call = operation_behind(known, stack.cause);
  }
  const bool in_call = cause.trigger == "call" || cause.trigger == "process_end";
  const std::uint32_t event = append(segment.head, {}, std::move(cause), recording);
  if (in_call) tell_call(segment.head.tid, segment.call, event, recording);
  remember(known, event);
  if (known != nullptr) known->last_cause = event;
}

void EventMaker::add_state(const probe_state& state, Recording& recording) {
  SocketState changed;
  KnownSocket* known = learn(state.socket, recording);
  tell_socket(changed, state.socket, known);
  changed.from = tcp_state_name(static_cast<std::uint8_t>(state.old_state));
  changed.to = tcp_state_name(static_cast<std::uint8_t>(state.new_state));
  remember(known, append(state.head, {}, std::move(changed), recording));
}

void EventMaker::add_reset(const probe_reset& reset, Recording& recording) {
  Reset told;
  told.sent = reset.head.kind == PROBE_RESET_SENT;
  told.active = told.sent && reset.active != 0;
  KnownSocket* known = learn(reset.socket, recording);
  tell_socket(told, reset.socket, known);
  if (reset.reason != ~0U) told.reason = name_of(options_.reset_reasons, reset.reason);
  // tell_call() knows better, where the probe names a call.
  if (told.active && known != nullptr) told.call = known->closed_by;
  // Of the closes that reset, the stack alone does not tell all apart.
  if (told.active && known != nullptr && known->last_cause) {
    auto& cause = std::get<SegmentCause>(recording.events[*known->last_cause].what);
    const bool of_close = cause.name == "close.unread_data" && cause.flags.find('R') != std::string::npos;
    if (of_close && told.reason == "TCP_ABORT_ON_LINGER") cause.name = "close.linger2";
    if (of_close && told.reason == "TCP_ABORT_ON_MEMORY") cause.name = "out_of_memory";
  }
  const std::uint32_t event = append(reset.head, {}, std::move(told), recording);
  remember(known, event);
  tell_call(reset.head.tid, reset.call, event, recording);
}

void EventMaker::add_error(const probe_error& error, Recording& recording) {
  SocketError told;
  KnownSocket* known = learn(error.socket, recording);
  tell_socket(told, error.socket, known);
  told.error = error.error;
  remember(known, append(error.head, {}, std::move(told), recording));
}

void EventMaker::add_drop(const probe_drop& drop, Recording& recording) {
  SegmentDropped told;
  told.socket = drop.socket.cookie;
  // As read: `local` is the end that the segment was for.
  told.from = address(drop.socket.family, drop.socket.remote, drop.socket.remote_port);
  told.to = address(drop.socket.family, drop.socket.local, drop.socket.local_port);
  told.flags = wire::to_string(wire::TcpFlags{drop.facts.flags});
  told.seq = drop.facts.seq, told.ack = drop.facts.ack, told.length = drop.facts.length;
  told.reason = name_of(options_.drop_reasons, drop.reason);
  if (options_.symbols != nullptr) told.function = options_.symbols->name(drop.location);
  append(drop.head, {}, std::move(told), recording);
}

// --- Processes ------------------------------------------------------------------------------------------------------

void EventMaker::add_signal(const probe_signal& signal, Recording& recording) {
  Signal told;
  told.name = signal_name(signal.signal);
  constexpr std::int32_t ignored = 1;  // TRACE_SIGNAL_IGNORED
  if (signal.delivered == 0)
    told.fate = signal.result == ignored ? SignalFate::ignored : SignalFate::generated;
  else
    told.fate = signal.handler == 0   ? SignalFate::delivered
                : signal.handler == 1 ? SignalFate::ignored
                                      : SignalFate::handled;
  const std::uint32_t event =
      append(signal.head, actor(signal.to_tid, signal.to_tgid, recording), std::move(told), recording);
  tell_call(signal.to_tid, signal.call, event, recording);
}

void EventMaker::add_process(const probe_process& process, Recording& recording) {
  const auto pid = static_cast<std::int32_t>(process.child_tgid);
  switch (process.head.kind) {
    case PROBE_FORK: {
      if (process.child_tid != process.child_tgid) return;  // a thread
      actors_.erase({process.child_tid, process.child_tgid});
      if (options_.unwinder != nullptr) options_.unwinder->told_fork(static_cast<pid_t>(process.parent), pid);
      start_process(pid, comm(process.comm));
      append(process.head, actor(process.child_tid, process.child_tgid, recording),
             ProcessStarted{comm(process.comm), static_cast<std::int32_t>(process.parent)}, recording);
      return;
    }
    case PROBE_EXEC: {
      // Another program in the same process: another actor. Its mappings are told next.
      if (options_.unwinder != nullptr) options_.unwinder->forget(pid);
      actors_.erase({process.child_tid, process.child_tgid});
      start_process(pid, comm(process.comm));
      append(process.head, actor(process.child_tid, process.child_tgid, recording),
             ProcessStarted{comm(process.comm), std::nullopt}, recording);
      return;
    }
    default: {
      // The main thread may go before others do: what the process holds is closed with the last.
      if (process.threads != 0) return;
      if (options_.unwinder != nullptr) options_.unwinder->forget(pid);
      ProcessEnded ended;
      const auto status = static_cast<int>(process.exit_code);
      if (WIFSIGNALED(status))
        ended.signal = signal_name(WTERMSIG(status));
      else
        ended.exit_status = WEXITSTATUS(status);
      const std::uint32_t event =
          append(process.head, actor(process.child_tgid, process.child_tgid, recording), std::move(ended), recording);
      tell_call(process.head.tid, process.call, event, recording);
      return;
    }
  }
}

}  // namespace tcpwhy::trace
