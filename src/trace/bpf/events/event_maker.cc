#include "trace/bpf/events/event_maker.h"

#include <sys/sysmacros.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstring>

#include "calls/names.h"
#include "trace/bpf/events/whole_records.h"
#include "trace/tcp_states.h"
#include "wire/segment.h"

namespace tcpwhy::trace {
namespace {

using namespace recording;

constexpr std::size_t most_stacks = 65536;  // named once each; what comes beyond is named again and again

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
    case PROBE_STATE:
      if (const auto state = whole_state(record)) add_state(*state, recording);
      return;
    case PROBE_RESET_SENT:
    case PROBE_RESET_RECEIVED:
      if (const auto reset = whole_reset(record)) add_reset(*reset, recording);
      return;
    case PROBE_SOCKET_ERROR: return with(as<probe_error>(record), &EventMaker::add_error);
    case PROBE_DROP: return with(as<probe_drop>(record), &EventMaker::add_drop);
    case PROBE_SIGNAL: return with(as<probe_signal>(record), &EventMaker::add_signal);
    case PROBE_FORK:
    case PROBE_EXEC:
    case PROBE_EXIT: return with(as<probe_process>(record), &EventMaker::add_process);
    case PROBE_MAPPING: return with(as<probe_mapping>(record), &EventMaker::add_mapping);
    case PROBE_CALLS_REPEATED: return with(as<probe_repeated>(record), &EventMaker::add_repeated);
    case PROBE_DESTROYED:
      if (const auto* destroyed = as<probe_destroyed>(record)) sockets_.forget(destroyed->socket.pointer);
      return;
    case PROBE_GONE:
      if (const auto* gone = as<probe_gone>(record)) sockets_.forget(gone->socket);
      return;
    default: return;
  }
}

// --- Who ------------------------------------------------------------------------------------------------------------

void EventMaker::start_process(std::int32_t pid, const std::string& command) {
  commands_[static_cast<std::uint32_t>(pid)] = command;
}

ActorId EventMaker::actor(std::uint32_t tid, std::uint32_t tgid, Recording& recording) {
  if (const auto known = actors_.find({tid, tgid}); known != actors_.end()) return known->second;
  std::string& command = commands_[tgid];
  if (command.empty()) command = options_.command(static_cast<pid_t>(tgid));
  const ActorId id{static_cast<std::uint32_t>(recording.actors.size())};
  recording.actors.push_back({.name = command.empty() ? std::to_string(tgid) : command,
                              .pid = static_cast<std::int32_t>(tgid),
                              .tid = static_cast<std::int32_t>(tid),
                              .command = command,
                              .host = {}});
  actors_[{tid, tgid}] = id;
  return id;
}

std::uint32_t EventMaker::append(const probe_head& head, ActorId actor, What what, Recording& recording) {
  recording.events.push_back(
      {base::wall_from_ns(static_cast<std::int64_t>(head.at_ns) + clock_.count()), actor, std::move(what)});
  return static_cast<std::uint32_t>(recording.events.size() - 1);
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
  KnownSocket* known = segment.socket.state == 12 ? nullptr : sockets_.learn(segment.socket, recording);
  tell_socket(cause, segment.socket, known);
  cause.flags = {segment.facts.flags};
  cause.seq = segment.facts.seq, cause.ack = segment.facts.ack, cause.length = segment.facts.length;
  if (segment.direct != PROBE_NOT_DIRECT) {
    cause.trigger = Trigger::call;
    cause.name = direct_causes[std::min<std::size_t>(segment.direct, std::size(direct_causes) - 1)];
  } else {
    const NamedStack& stack = name_stack(frames_of(segment));
    cause.trigger = stack.cause.trigger, cause.name = stack.cause.name, cause.stack = stack.text;
    cause.through = stack.cause.through;
    // do_exit() lies further out in the stack than what is taken of it.
    if (cause.trigger == Trigger::call && cause.name.starts_with("close") && (segment.head.flags & PROBE_EXITING) != 0)
      cause.trigger = Trigger::process_end, cause.through.clear();
    if (cause.trigger == Trigger::call) cause.call = operation_behind(known, stack.cause);
  }
  const bool in_call = cause.trigger == Trigger::call || cause.trigger == Trigger::process_end;
  // Of a process that nothing was told of (the laboratory tells of its own itself) the number would mean nothing to the reader.
  const bool ended = cause.trigger == Trigger::process_end && commands_.contains(segment.head.tgid);
  const ActorId who = ended ? actor(segment.head.tid, segment.head.tgid, recording) : ActorId{};
  const std::uint32_t event = append(segment.head, who, std::move(cause), recording);
  if (in_call) tell_call(segment.head.tid, segment.call, event, recording);
  remember(known, event);
  if (known != nullptr) known->last_cause = event;
}

void EventMaker::add_state(const probe_state& state, Recording& recording) {
  SocketState changed;
  KnownSocket* known = sockets_.learn(state.socket, recording);
  constexpr std::uint32_t syn_sent = 2;
  // Its port is about to be chosen: what it had was another connection's.
  if (known != nullptr && state.new_state == syn_sent && state.socket.family != 0 && state.socket.local_port == 0)
    known->local.reset();
  tell_socket(changed, state.socket, known);
  changed.from = state_of_kernel(state.old_state);
  changed.to = state_of_kernel(state.new_state);
  remember(known, append(state.head, {}, std::move(changed), recording));
}

void EventMaker::add_reset(const probe_reset& reset, Recording& recording) {
  Reset told;
  told.sent = reset.head.kind == PROBE_RESET_SENT;
  told.active = told.sent && reset.active != 0;
  if (told.active && reset.socket.cookie != 0) told.unread = reset.unread;
  KnownSocket* known = sockets_.learn(reset.socket, recording);
  tell_socket(told, reset.socket, known);
  if (reset.reason != ~0U) told.reason = name_of(options_.reset_reasons, reset.reason);
  // tell_call() knows better, where the probe names a call.
  if (told.active && known != nullptr) told.call = known->closed_by;
  // Of the closes that reset, the stack alone does not tell all apart.
  if (told.active && known != nullptr && known->last_cause) {
    auto& cause = std::get<SegmentCause>(recording.events[*known->last_cause].what);
    const bool of_close = cause.name == "close.unread_data" && cause.flags.rst();
    if (of_close) cause.name = cause_of_closing_reset({told.reason, reset.unread != 0, reset.linger2_below_zero != 0});
  }
  const std::uint32_t event = append(reset.head, {}, std::move(told), recording);
  remember(known, event);
  tell_call(reset.head.tid, reset.call, event, recording);
}

void EventMaker::add_error(const probe_error& error, Recording& recording) {
  SocketError told;
  KnownSocket* known = sockets_.learn(error.socket, recording);
  tell_socket(told, error.socket, known);
  told.error = error.error;
  remember(known, append(error.head, {}, std::move(told), recording));
}

void EventMaker::add_drop(const probe_drop& drop, Recording& recording) {
  SegmentDropped told;
  told.socket = drop.socket.cookie;
  told.sent = drop.sent != 0;
  told.from = address_of(drop.socket.family, drop.socket.remote, drop.socket.remote_port);
  told.to = address_of(drop.socket.family, drop.socket.local, drop.socket.local_port);
  if (told.sent) std::swap(told.from, told.to);
  told.flags = {drop.facts.flags};
  told.seq = drop.facts.seq, told.ack = drop.facts.ack, told.length = drop.facts.length;
  told.reason = name_of(options_.drop_reasons, drop.reason);
  if (options_.symbols != nullptr) told.function = options_.symbols->name(drop.location);
  append(drop.head, {}, std::move(told), recording);
}

// --- Processes ------------------------------------------------------------------------------------------------------

void EventMaker::add_signal(const probe_signal& signal, Recording& recording) {
  Signal told;
  told.name = calls::signal_name(signal.signal);
  constexpr std::int32_t ignored = 1;  // TRACE_SIGNAL_IGNORED
  if (signal.delivered == 0)
    told.fate = signal.result == ignored ? SignalFate::ignored
                : signal.blocked != 0    ? SignalFate::blocked
                                         : SignalFate::generated;
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
      if (options_.unwinder != nullptr) options_.unwinder->learn_fork(static_cast<pid_t>(process.parent), pid);
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
        ended.signal = calls::signal_name(WTERMSIG(status));
      else
        ended.exit_status = WEXITSTATUS(status);
      const std::uint32_t event =
          append(process.head, actor(process.child_tgid, process.child_tgid, recording), std::move(ended), recording);
      tell_call(process.head.tid, process.call, event, recording);
      return;
    }
  }
}

void EventMaker::add_mapping(const probe_mapping& mapping, Recording&) {
  if (options_.unwinder == nullptr) return;
  Mapping told{.start = mapping.start,
               .length = mapping.length,
               .offset = mapping.offset,
               .file_bytes = mapping.file_bytes,
               // As the kernel has it: 12 bits and 20.
               .device = ::makedev(mapping.device >> 20, mapping.device & 0xfffff),
               .inode = mapping.inode,
               .path = path_of({mapping.path, std::min<std::size_t>(mapping.path_bytes, PROBE_PATH_BYTES)}),
               .is_program = mapping.is_program != 0,
               .interpreter = mapping.interpreter};
  options_.unwinder->learn_mapping(static_cast<pid_t>(mapping.head.tgid), std::move(told));
}

}  // namespace tcpwhy::trace
