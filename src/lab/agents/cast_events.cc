// What the ends do, as events.
#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>

#include <algorithm>

#include "base/check.h"
#include "calls/names.h"
#include "lab/agents/cast_internal.h"

namespace tcpwhy::lab {
namespace {

std::optional<wire::SocketAddress> unmapped(const sockaddr_storage& address, socklen_t length) {
  auto known = from_sockaddr(address, length);
  if (known) known->ip = known->ip.unmapped();
  return known;
}

}  // namespace

base::Result<bool> Cast::collect() {
  bool anything = false;
  for (std::size_t p = 0; p < processes_.size(); ++p) {
    Process& process = *processes_[p];
    if (!process.started || process.end_status) continue;
    const std::optional<int> ended = process.agent->take_end();
    for (std::size_t i = 0; i < process.threads.size(); ++i) {
      Thread& thread = process.threads[i];
      if (!thread.batch || thread.batch->done) continue;
      note_exec(process, thread, i);
      const bool done = process.became_program || (process.agent->running() && process.agent->take_done(i));
      anything |= collect_calls(process, thread, ended.has_value());
      anything |= done;
      thread.batch->done = done || ended;
    }
    anything |= collect_signals(process);
    if (ended) {
      note_end(process, *ended);
      anything = true;
    }
  }
  return anything;
}

bool Cast::collect_calls(Process& process, Thread& thread, bool process_ended) {
  const ThreadPage& page = process.agent->page().threads[static_cast<std::size_t>(&thread - process.threads.data())];
  Batch& batch = *thread.batch;
  bool anything = false;
  for (std::size_t i = 0; i < batch.calls.size(); ++i) {
    const CallSlot& slot = page.calls[i];
    Batch::Progress& progress = batch.progress[i];
    if (progress.returned || slot.skipped) continue;
    if (!progress.entered && slot.entered_ns.load(std::memory_order_acquire) != 0) {
      enter(process, thread, i);
      anything = true;
    }
    const bool complete = slot.complete.load(std::memory_order_acquire) != 0;
    const bool came_back = complete || (process_ended && slot.returned_ns.load(std::memory_order_acquire) != 0);
    if (progress.entered && came_back) {
      leave(process, thread, i);
      anything = true;
    }
    if (!progress.returned) break;
  }
  return anything;
}

void Cast::enter(Process& process, Thread& thread, std::size_t index) {
  const std::size_t thread_index = static_cast<std::size_t>(&thread - process.threads.data());
  const AgentPage& page = process.agent->page();
  if (!thread.actor.valid()) {
    thread.actor = {static_cast<std::uint32_t>(recording_.actors.size())};
    recording_.actors.push_back({thread.who, page.host_pid.load(), page.threads[thread_index].host_tid.load(),
                                 process.name, host_of(thread.who)});
  }
  const CallSlot& slot = page.threads[thread_index].calls[index];
  Batch& batch = *thread.batch;
  Batch::Progress& progress = batch.progress[index];
  ReadyCall& call = batch.calls[index];
  call.fd = slot.fd;
  progress.entered = true;
  progress.number = calls_++;
  progress.entered_at = base::wall_from_ns(slot.entered_ns.load());

  calls::Entry spelled = spell_entry({call, batch.payload, slot, false, page.host_pid.load()});
  recording::CallEntered entered;
  entered.call = progress.number;
  entered.name = row_of(call.id).recorded_name;
  entered.arguments = std::move(spelled.arguments);
  entered.byte_count = spelled.byte_count;
  entered.step_line = batch.line;
  if (call.fd >= 0) entered.fd = call.fd;
  if (const auto known = process.descriptors.find(call.fd); known != process.descriptors.end()) {
    entered.socket = known->second.cookie;
    entered.local = known->second.local;
    entered.remote = known->second.remote;
  }
  if (call.id == CallId::connect || call.id == CallId::sendto)
    entered.remote = unmapped(call.address, call.address_length);
  recording_.events.push_back({progress.entered_at, thread.actor, std::move(entered)});
}

void Cast::leave(Process& process, Thread& thread, std::size_t index) {
  const std::size_t thread_index = static_cast<std::size_t>(&thread - process.threads.data());
  const CallSlot& slot = process.agent->page().threads[thread_index].calls[index];
  Batch& batch = *thread.batch;
  Batch::Progress& progress = batch.progress[index];
  const ReadyCall& call = batch.calls[index];
  progress.returned = true;
  progress.returned_at = base::wall_from_ns(slot.returned_ns.load());

  // The socket before learn(): close() forgets it.
  SocketInfo socket;
  if (const auto known = process.descriptors.find(call.fd); known != process.descriptors.end()) socket = known->second;
  const std::size_t spec =
      static_cast<std::size_t>(std::ranges::upper_bound(batch.ends_at, index) - batch.ends_at.begin());
  learn(process, call, slot, batch.step->calls[spec], index + 1 == batch.ends_at[spec]);
  const std::int32_t subject = slot.new_fd >= 0 ? slot.new_fd : call.fd;
  if (const auto known = process.descriptors.find(subject); known != process.descriptors.end()) socket = known->second;

  recording::CallReturned returned;
  returned.call = progress.number;
  returned.result = slot.result;
  returned.error = slot.error;
  returned.detail = spell_return({call, batch.payload, slot, true, process.agent->page().host_pid.load()}).detail;
  if (slot.new_fd >= 0) returned.new_fd = slot.new_fd;
  returned.socket = socket.cookie;
  returned.local = socket.local;
  returned.remote = socket.remote;
  recording_.events.push_back({progress.returned_at, thread.actor, std::move(returned)});
}

// What a call that has come back says about descriptors, names and ports. `last`: the last system call that `expected`
// stands for.
void Cast::learn(Process& process, const ReadyCall& call, const CallSlot& slot, const ExpectedCall& expected,
                 bool last) {
  const std::int32_t subject = slot.new_fd >= 0 ? slot.new_fd : call.fd;
  if (call.id == CallId::close) {
    if (slot.result == 0) process.descriptors.erase(call.fd);
    return;
  }
  if (call.id == CallId::socketpair && slot.result == 0) {
    process.variables[expected.variable] = {slot.new_fd, {}};
    process.variables[expected.variable + std::string(peer_suffix)] = {static_cast<std::int32_t>(slot.second_value),
                                                                       {}};
    return;
  }
  if (call.id == CallId::fork && slot.result > 0) {
    if (const auto adopted = adopt_child(expected.variable, process, static_cast<pid_t>(slot.result)); !adopted) return;
  }
  if (slot.cookie != 0) {
    SocketInfo& info = process.descriptors[subject];
    info.cookie = slot.cookie;
    if (slot.local_length > 0) info.local = unmapped(slot.local, slot.local_length);
    if (slot.remote_length > 0) info.remote = unmapped(slot.remote, slot.remote_length);
    for (auto& [name, named] : process.variables)
      if (named.fd == subject) named.socket = info;
    const bool connects = call.id == CallId::connect || call.id == CallId::accept || call.id == CallId::sendto;
    // listen() without bind(): the kernel has chosen the port.
    if (call.id == CallId::listen && slot.result == 0 && info.local && info.local->port != 0) {
      listening_[process.name] = info.local->port;
      ports_[info.local->port] = root_of(process.name);
    }
    if (info.local && info.local->port != 0 && connects) ports_.try_emplace(info.local->port, root_of(process.name));
  }
  const bool made = slot.new_fd >= 0;
  if (made && call.id != CallId::dup)
    process.variables[expected.call.id == CallId::listen ? "listener" : ""] = {subject, process.descriptors[subject]};
  const bool names = !expected.variable.empty() && expected.call.id != CallId::fork && (made || last);
  if (names && subject >= 0) process.variables[expected.variable] = {subject, process.descriptors[subject]};
}

// A process that runs another program has returned from exec. The time is that of our noticing.
void Cast::note_exec(Process& process, const Thread& thread, std::size_t index) {
  const Batch& batch = *thread.batch;
  if (batch.calls.back().id != CallId::exec || !process.agent->runs_another_program()) return;
  CallSlot& slot = process.agent->page().threads[index].calls[batch.calls.size() - 1];
  if (slot.entered_ns.load(std::memory_order_acquire) == 0 || slot.complete.load() != 0) return;
  slot.result = 0;
  slot.returned_ns.store(base::to_ns(base::wall_now()));
  slot.complete.store(1, std::memory_order_release);
  process.became_program = true;
}

base::Status Cast::adopt_child(const std::string& name, const Process& parent, pid_t pid) {
  Process& child = process(name);
  if (child.started) return {};
  child.started = true;
  child.descriptors = parent.descriptors;
  child.variables = parent.variables;
  return child.agent->adopt(pid);
}

bool Cast::collect_signals(Process& process) {
  const SignalLog& log = process.agent->page().signals;
  const std::uint32_t count = std::min<std::uint32_t>(log.count.load(), SignalLog::capacity);
  bool anything = false;
  for (; process.signals_taken < count; ++process.signals_taken) {
    const SignalSlot& slot = log.slots[process.signals_taken];
    if (slot.at_ns.load() == 0) break;
    const base::WallTime at = base::wall_from_ns(slot.at_ns.load());
    process.handled.push_back({slot.signal, at});
    recording::Signal signal{calls::signal_name(slot.signal), recording::SignalFate::handled, std::nullopt};
    recording::ActorId actor = process.threads.front().actor;
    for (const Thread& thread : process.threads) {
      if (!thread.batch) continue;
      for (const Batch::Progress& progress : thread.batch->progress)
        if (progress.entered && progress.entered_at <= at && (!progress.returned || at <= progress.returned_at))
          signal.call = progress.number, actor = thread.actor;
    }
    recording_.events.push_back({at, actor, std::move(signal)});
    anything = true;
  }
  return anything;
}

// The time is that of our noticing: the kernel tells nobody the moment.
void Cast::note_end(Process& process, int status) {
  process.end_status = status;
  process.descriptors.clear();
  std::optional<std::uint32_t> call;
  recording::ActorId actor = process.threads.front().actor;
  for (const Thread& thread : process.threads) {
    if (!thread.batch) continue;
    for (const Batch::Progress& progress : thread.batch->progress)
      if (progress.entered && !progress.returned) call = progress.number, actor = thread.actor;
  }
  const base::WallTime now = base::wall_now();
  recording::ProcessEnded ended;
  ended.call = call;
  if (WIFSIGNALED(status)) {
    ended.signal = calls::signal_name(WTERMSIG(status));
    recording_.events.push_back({now, actor, recording::Signal{ended.signal, recording::SignalFate::delivered, call}});
  } else {
    ended.exit_status = WEXITSTATUS(status);
  }
  recording_.events.push_back({now, actor, std::move(ended)});
}

}  // namespace tcpwhy::lab
