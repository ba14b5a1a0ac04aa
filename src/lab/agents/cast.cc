#include "lab/agents/cast.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/format.h"
#include "lab/agents/cast_internal.h"

namespace tcpwhy::lab {

Cast::Cast(const Scenario& scenario, Family family, recording::Recording& recording)
    : scenario_(scenario), family_(family), recording_(recording) {}

Cast::~Cast() = default;

base::Status Cast::start(const Link* link) {
  for (const std::string& end : scenario_.ends) {
    const auto threads = scenario_.threads.find(end);
    auto made = std::make_unique<Process>();
    made->name = end;
    made->threads.resize(1);
    made->threads[0].who = end;
    if (threads != scenario_.threads.end())
      for (const std::string& who : threads->second) made->threads.emplace_back().who = who;
    auto agent = Agent::prepare({end, made->threads.size()});
    if (!agent) return std::unexpected(std::move(agent.error()));
    made->agent.emplace(std::move(*agent));
    processes_.push_back(std::move(made));
  }
  std::vector<Agent*> children;
  for (const auto& process : processes_)
    if (scenario_.forked_from.contains(process->name)) children.push_back(&*process->agent);
  for (const auto& process : processes_) {
    if (scenario_.forked_from.contains(process->name)) continue;
    const NetNamespace* home = link ? &link->end(link_end(process->name)) : nullptr;
    if (const auto started = process->agent->start(home, children); !started) return started;
    process->started = true;
  }
  return {};
}

// --- Who and where ---------------------------------------------------------------------------------------------------

Cast::Process& Cast::process(const std::string& who) const {
  const std::string end = end_of(who);
  const auto found = std::ranges::find_if(processes_, [&](const auto& process) { return process->name == end; });
  TCPWHY_CHECK(found != processes_.end());  // the parser has seen to it
  return **found;
}

Cast::Thread& Cast::thread(const std::string& who) {
  Process& owner = process(who);
  const auto found = std::ranges::find(owner.threads, who, &Thread::who);
  return found == owner.threads.end() ? owner.threads.front() : *found;
}

const Cast::Thread& Cast::thread(const std::string& who) const { return const_cast<Cast*>(this)->thread(who); }

std::string Cast::root_of(std::string end) const {
  for (auto parent = scenario_.forked_from.find(end); parent != scenario_.forked_from.end();
       parent = scenario_.forked_from.find(end))
    end = parent->second;
  return end;
}

LinkEnd Cast::link_end(const std::string& end) const {
  const auto host = scenario_.hosts.find(end);
  return host != scenario_.hosts.end() && host->second == "server" ? LinkEnd::server : LinkEnd::client;
}

std::string Cast::host_of(const std::string& who) const {
  if (scenario_.wire != recording::WireKind::link) return {};
  return std::string(to_string(link_end(end_of(who))));
}

bool Cast::owns(const std::string& who, const wire::SocketAddress& address) const {
  if (scenario_.wire == recording::WireKind::link) return is_on_host(host_of(who), address);
  const std::string root = root_of(end_of(who));
  if (const auto known = ports_.find(address.port); known != ports_.end()) return known->second == root;
  // A port that nobody told of is one that the kernel chose for a connect() which has not come back, or failed: a
  // caller's.
  return !listening_.contains(root);
}

bool Cast::is_on_host(const std::string& host, const wire::SocketAddress& address) const {
  const auto family = family_ == Family::v6 ? wire::IpFamily::v6 : wire::IpFamily::v4;
  return link_address(host == to_string(LinkEnd::server) ? LinkEnd::server : LinkEnd::client, family) == address.ip;
}

wire::SocketAddress Cast::address_of_peer(const Peer& peer) const {
  const auto family = family_ == Family::v6 ? wire::IpFamily::v6 : wire::IpFamily::v4;
  wire::SocketAddress address;
  if (scenario_.wire == recording::WireKind::link)
    address.ip = link_address(link_end(peer.end), family);
  else
    address.ip = *wire::IpAddress::parse(family_ == Family::v6 ? "::1" : "127.0.0.1");
  if (family_ == Family::v4_mapped) address.ip = *wire::IpAddress::parse("::ffff:" + wire::to_string(address.ip));
  const auto listening = listening_.find(peer.end);
  address.port = peer.port != 0 ? peer.port : listening != listening_.end() ? listening->second : default_port;
  return address;
}

wire::SocketAddress Cast::local_address(std::uint16_t port) const {
  return {*wire::IpAddress::parse(family_ == Family::v4 ? "0.0.0.0" : "::"), port};
}

// --- Handing out calls
// -------------------------------------------------------------------------------------------------

Resolved Cast::resolve(Process& process, const CallSpec& spec,
                       const std::map<std::string, std::size_t>& made_here) const {
  Resolved resolved;
  resolved.family = family_ == Family::v4 ? AF_INET : AF_INET6;
  if (spec.id == CallId::listen || spec.id == CallId::bind)
    resolved.address = local_address(spec.port.value_or(default_port));
  const bool unspecified = spec.peer.end == unspecified_peer;
  if (!spec.peer.end.empty() && !unspecified) resolved.address = address_of_peer(spec.peer);
  resolved.on_existing_socket = !spec.descriptor.empty() || unspecified;
  if (const auto passed = process.variables.find(spec.passed); passed != process.variables.end())
    resolved.passed_fd = passed->second.fd;

  const std::string variable = !spec.descriptor.empty() ? spec.descriptor : spec.id == CallId::accept ? "listener" : "";
  if (const auto made = made_here.find(variable); made != made_here.end()) {
    resolved.fd_from = static_cast<std::int32_t>(made->second);
  } else if (const auto known = process.variables.find(variable); known != process.variables.end()) {
    resolved.fd = known->second.fd;
  }
  return resolved;
}

base::Status Cast::begin(const CallStep& step, std::uint32_t line) {
  Process& owner = process(step.who);
  if (owner.became_program)
    return base::fail(base::ErrorKind::usage,
                      base::format({"line {}: {} runs another program now", "第 {} 行：{} 现在运行的是另一个程序"},
                                   line, owner.name));
  Thread& runner = thread(step.who);
  Batch batch;
  batch.step = &step;
  batch.line = line;
  std::map<std::string, std::size_t> made_here;  // variable -> the call of this batch that makes its descriptor
  for (const ExpectedCall& expected : step.calls) {
    const CallSpec& spec = expected.call;
    const std::size_t first = batch.calls.size();
    append_ready(batch.calls, batch.payload, spec, resolve(owner, spec, made_here));
    batch.ends_at.push_back(batch.calls.size());
    if (spec.id == CallId::fork) batch.calls.back().number = child_number(expected.variable);
    if (spec.id == CallId::listen && !resolve(owner, spec, {}).on_existing_socket) made_here["listener"] = first;
    const bool makes_connection = spec.id == CallId::accept || spec.id == CallId::socket ||
                                  (spec.id == CallId::connect && !resolve(owner, spec, {}).on_existing_socket);
    if (makes_connection) made_here[""] = first;
    if (!expected.variable.empty() && spec.id != CallId::fork) made_here[expected.variable] = first;
    note_ports(owner.name, spec);
  }
  batch.progress.resize(batch.calls.size());
  if (batch.calls.size() > ThreadPage::calls_in_a_batch)
    return base::fail(base::ErrorKind::usage,
                      base::format({"line {}: too many calls at once", "第 {} 行：同时进行的调用太多"}, line));
  runner.batch = std::move(batch);
  const std::size_t index = static_cast<std::size_t>(&runner - owner.threads.data());
  return owner.agent->begin(index, runner.batch->calls, runner.batch->payload);
}

std::int32_t Cast::child_number(const std::string& name) const {
  std::int32_t number = 0;
  for (const auto& process : processes_) {
    if (!scenario_.forked_from.contains(process->name)) continue;
    if (process->name == name) return number;
    ++number;
  }
  TCPWHY_CHECK(false);
  return -1;
}

void Cast::note_ports(const std::string& end, const CallSpec& spec) {
  const std::string root = root_of(end);
  if (spec.id == CallId::listen || spec.id == CallId::bind) {
    const std::uint16_t port = spec.port.value_or(default_port);
    if (spec.descriptor.empty() || spec.id == CallId::bind) listening_[end] = port, ports_[port] = root;
  } else if (spec.id == CallId::connect || spec.id == CallId::sendto) {
    if (spec.peer.end == unspecified_peer) return;
    ports_.try_emplace(address_of_peer(spec.peer).port, root_of(spec.peer.end));
  }
}

// --- What the conductor asks
// -------------------------------------------------------------------------------------------

std::vector<int> Cast::fds() const {
  std::vector<int> fds;
  for (const auto& process : processes_) {
    if (!process->agent->running()) continue;
    fds.push_back(process->agent->pidfd());
    if (process->became_program) continue;
    for (std::size_t i = 0; i < process->threads.size(); ++i) fds.push_back(process->agent->channel(i));
  }
  return fds;
}

bool Cast::started(const std::string& who) const { return process(who).started; }
bool Cast::alive(const std::string& who) const { return process(who).agent->running(); }

bool Cast::busy(const std::string& who) const {
  const Thread& runner = thread(who);
  return runner.batch && !runner.batch->done;
}

bool Cast::blocked(const std::string& who) const {
  const Process& owner = process(who);
  const Thread& runner = thread(who);
  if (!busy(who)) return false;
  const std::size_t index = static_cast<std::size_t>(&runner - owner.threads.data());
  const CallSlot& last = owner.agent->page().threads[index].calls[runner.batch->calls.size() - 1];
  return last.entered_ns.load() != 0 && last.returned_ns.load() == 0 && owner.agent->sleeps(index);
}

const Batch* Cast::batch(const std::string& who) const {
  const Thread& runner = thread(who);
  return runner.batch ? &*runner.batch : nullptr;
}

// The last system call of call `index` that was made at all.
std::size_t Cast::slot_index(const std::string& who, std::size_t index) const {
  const Process& owner = process(who);
  const Thread& runner = thread(who);
  TCPWHY_CHECK(runner.batch && index < runner.batch->ends_at.size());
  const ThreadPage& page = owner.agent->page().threads[static_cast<std::size_t>(&runner - owner.threads.data())];
  const std::size_t first = index == 0 ? 0 : runner.batch->ends_at[index - 1];
  std::size_t last = runner.batch->ends_at[index] - 1;
  while (last > first && page.calls[last].skipped) --last;
  return last;
}

const Batch::Progress& Cast::progress(const std::string& who, std::size_t index) const {
  return thread(who).batch->progress[slot_index(who, index)];
}

CallOutcome Cast::outcome(const std::string& who, std::size_t index) const {
  const Process& owner = process(who);
  const Thread& runner = thread(who);
  const std::size_t at = slot_index(who, index);
  const CallSlot& slot =
      owner.agent->page().threads[static_cast<std::size_t>(&runner - owner.threads.data())].calls[at];
  const Batch::Progress& progress = runner.batch->progress[at];
  CallOutcome outcome;
  outcome.returned = progress.returned;
  if (!outcome.returned && owner.end_status) {
    if (WIFSIGNALED(*owner.end_status))
      outcome.killed_by = WTERMSIG(*owner.end_status);
    else
      outcome.exited_with = WEXITSTATUS(*owner.end_status);
  }
  if (!outcome.returned) return outcome;
  outcome.result = slot.result;
  outcome.error = slot.error;
  const CallId id = runner.batch->calls[at].id;
  outcome.value = id == CallId::poll || id == CallId::getsockopt ? slot.value : slot.result;
  if (id == CallId::recv || id == CallId::read) outcome.bytes.assign(slot.data, slot.data_length);
  for (const HandledSignal& signal : owner.handled)
    if (signal.at >= progress.entered_at && signal.at <= progress.returned_at) outcome.signals.push_back(signal.number);
  return outcome;
}

std::optional<int> Cast::end_status(const std::string& who) const { return process(who).end_status; }

SocketInfo Cast::socket(const std::string& who, const std::string& variable) const {
  const Process& owner = process(who);
  const auto known = owner.variables.find(variable);
  return known == owner.variables.end() ? SocketInfo{} : known->second.socket;
}

}  // namespace tcpwhy::lab
