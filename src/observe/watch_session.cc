#include "observe/watch_session.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/utsname.h>

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/format.h"
#include "capture/endpoint_filter.h"
#include "observe/control_group.h"
#include "observe/interface_addresses.h"
#include "observe/socket_facts.h"
#include "trace/bpf/kernel/kernel_symbols.h"
#include "trace/bpf/kernel/kernel_types.h"
#include "trace/bpf/lives/life_recorder.h"
#include "trace/bpf/lives/life_tracker.h"
#include "trace/bpf/probe.h"
#include "trace/give_way.h"
#include "trace/holders.h"
#include "trace/socket_sampler.h"

namespace tcpwhy::observe {

using namespace std::chrono_literals;
using recording::SocketLife;
using Clock = std::chrono::steady_clock;

struct WatchSession::Impl {
  explicit Impl(const WatchSessionOptions& asked) : options(asked) {}
  base::Status prepare();
  base::Status begin(WatchListener& listener);
  base::Status run(WatchListener& listener, const StopOnSignals& signals);

  void describe();
  [[nodiscard]] bool is_wanted(const SocketLife& life, const SocketLife* peer) const;
  void tell_ended(trace::EndedLife&& ended, WatchListener& listener);
  void look_for_holder(SocketLife& life);
  void look_for_full_queue(SocketLife& life);
  // Of this moment, or of less than a second ago; null: it cannot be had.
  const recording::SocketFacts* facts_now();
  [[nodiscard]] std::size_t alive() const;
  void consume(WatchListener& listener, bool last);
  void tell_losses(WatchListener& listener);

  WatchSessionOptions options;
  std::optional<capture::EndpointFilter> filter;
  std::optional<InterfaceAddresses> interface;
  std::optional<trace::Probe> probe;
  std::optional<trace::KernelSymbols> symbols;
  std::optional<trace::LifeTracker> tracker;
  std::optional<trace::LifeRecorder> recorder;
  recording::Provenance provenance;
  trace::ControlGroup cgroup;
  std::uint64_t netns = 0;
  std::optional<recording::SocketFacts> facts;
  Clock::time_point facts_of{};
  std::uint64_t told_lost = 0, told_given_up = 0, told_unrecorded = 0;
};

bool LifeFilter::fits(const SocketLife& life, const SocketLife* peer) const {
  const auto is_among = [](const auto& wanted, const auto& value) {
    return std::ranges::find(wanted, value) != wanted.end();
  };
  const auto is_one = [&](const auto& wanted, auto member) {
    for (const SocketLife* end : {&life, peer})
      if (end != nullptr && (is_among(wanted, end->holder.*member) || is_among(wanted, end->closer.*member)))
        return true;
    return wanted.empty();
  };
  const bool in_cgroup = life.in_cgroup || (peer != nullptr && peer->in_cgroup);
  return (cgroup.empty() || in_cgroup) && is_one(pids, &recording::Holder::pid) &&
         is_one(commands, &recording::Holder::command) &&
         (ports.empty() || is_among(ports, life.local.port) || is_among(ports, life.remote.port));
}

base::Status WatchSession::Impl::prepare() {
  if (!options.filter.empty()) {
    auto compiled = capture::EndpointFilter::compile(options.filter);
    if (!compiled) return std::unexpected(compiled.error());
    filter.emplace(std::move(*compiled));
  }
  if (!options.interface.empty()) {
    auto addresses = InterfaceAddresses::of(options.interface);
    if (!addresses) return std::unexpected(addresses.error());
    interface.emplace(std::move(*addresses));
  }
  if (!options.lives.cgroup.empty()) {
    auto found = find_control_group(options.lives.cgroup);
    if (!found) return std::unexpected(found.error());
    cgroup = *found;
  }
  return {};
}

base::Status WatchSession::Impl::begin(WatchListener& listener) {
  trace::ProbeOptions asked = trace::probe_of_watch();
  asked.ring_bytes = options.ring_bytes;
  asked.cgroup = cgroup;
  auto opened = trace::Probe::open(asked);
  if (!opened) return std::unexpected(opened.error());
  probe.emplace(std::move(*opened));
  const auto reset_reasons = trace::kernel_enum("sk_rst_reason", "SK_RST_REASON_");
  if (options.record) {
    recorder.emplace(trace::LifeRecorderOptions{.reset_reasons = reset_reasons});
    describe();
  }
  if (auto loaded = trace::KernelSymbols::load()) symbols.emplace(std::move(*loaded));
  netns = trace::current_netns_cookie();
  tracker.emplace(trace::LifeTrackerOptions{
      .reset_reasons = reset_reasons,
      .symbols = symbols ? &*symbols : nullptr,
      .most_sockets = 1'000'000,
      .is_in_cgroup = [this](std::int32_t pid) { return cgroup.id != 0 && is_in(cgroup, pid); },
      .netns = netns});
  if (auto attached = probe->attach(); !attached) return attached;
  for (const trace::Lack& lack : probe->lacks()) listener.lost(lack.sentence);
  provenance.observed = probe->observes();
  auto sampler = trace::SocketSampler::open();
  if (!sampler) return std::unexpected(sampler.error());
  const auto sample = sampler->sample();
  if (!sample) return std::unexpected(sample.error());
  tracker->begin(*sample, trace::find_socket_holders());
  return {};
}

void WatchSession::Impl::describe() {
  provenance.program = "tcpwhy " TCPWHY_VERSION;
  utsname name{};
  if (uname(&name) == 0)
    provenance.host = name.nodename, provenance.kernel = std::string(name.sysname) + " " + name.release;
}

bool WatchSession::Impl::is_wanted(const SocketLife& life, const SocketLife* peer) const {
  const auto is_here = [this](const SocketLife& one) { return netns == 0 || one.netns == 0 || one.netns == netns; };
  return (options.every_netns || is_here(life) || (peer != nullptr && is_here(*peer))) &&
         options.lives.fits(life, peer) && (!filter || filter->fits(life.local, life.remote)) &&
         (!interface || interface->fits(life.local, life.remote));
}

const recording::SocketFacts* WatchSession::Impl::facts_now() {
  if (facts && Clock::now() - facts_of < 1s) return &*facts;
  auto collected = collect_socket_facts();
  if (!collected) return nullptr;
  facts.emplace(std::move(*collected));
  facts_of = Clock::now();
  return &*facts;
}

// Nobody has been in a call on it since the watch began: /proc says who holds it now.
void WatchSession::Impl::look_for_holder(SocketLife& life) {
  if (life.holder.pid != 0 && !life.holder_only_listens) return;
  const auto* now = facts_now();
  if (now == nullptr) return;
  const auto found = std::ranges::find(now->sockets, life.socket, &recording::SocketSnapshot::cookie);
  if (found == now->sockets.end()) return;
  const auto& holders = now->holders.of(found->inode);
  if (holders.empty()) return;
  life.holder = {holders.front().pid, holders.front().command}, life.holder_only_listens = false;
}

void WatchSession::Impl::look_for_full_queue(SocketLife& life) {
  if (!life.opener || life.established || life.retransmissions == 0 || life.netns != netns) return;
  const auto* now = facts_now();
  if (now == nullptr) return;
  const auto listener = recording::listener_for(*now, life.remote);
  if (listener == nullptr || listener->receive_queue <= listener->send_queue) return;
  const auto& holders = now->holders.of(listener->inode);
  life.full_queue = {.listener = holders.empty() ? recording::Holder{}
                                                 : recording::Holder{holders.front().pid, holders.front().command},
                     .waiting = listener->receive_queue,
                     .backlog = listener->send_queue};
}

void WatchSession::Impl::tell_ended(trace::EndedLife&& ended, WatchListener& listener) {
  SocketLife& life = ended.life;
  SocketLife* peer = ended.peer ? &*ended.peer : nullptr;
  // Taken of connections that nobody asked for too: it is forgotten then.
  recording::Recording kept = recorder ? recorder->take(ended) : recording::Recording();
  for (SocketLife* one : {&life, peer})
    if (one != nullptr && !one->over) look_for_holder(*one);
  if (!is_wanted(life, peer)) return;
  look_for_full_queue(life);
  if (recorder) {
    kept.provenance = provenance;
    kept.provenance.title = fmt::format("{} {} {}", life.local, life.opener ? "→" : "←", life.remote);
  }
  listener.ended(life, peer, std::move(kept));
}

// Of two ends here the one who opened it stands for both.
std::size_t WatchSession::Impl::alive() const {
  std::size_t openers = 0;
  std::vector<std::pair<wire::SocketAddress, wire::SocketAddress>> opened, accepted;
  tracker->for_each_alive([&](const SocketLife& life) {
    if (!is_wanted(life, nullptr)) return;
    if (life.opener)
      ++openers, opened.emplace_back(life.local, life.remote);
    else
      accepted.emplace_back(life.remote, life.local);
  });
  std::ranges::sort(opened);
  return openers + static_cast<std::size_t>(std::ranges::count_if(
                       accepted, [&](const auto& ends) { return !std::ranges::binary_search(opened, ends); }));
}

void WatchSession::Impl::consume(WatchListener& listener, bool last) {
  // Everything that happened before is read then, however late we are.
  const base::WallTime now = base::wall_now() - trace::usual_hold_back;
  const auto clock = trace::wall_minus_monotonic();
  const auto on_opened = [&](const SocketLife& life) {
    if (options.openings && is_wanted(life, nullptr)) listener.opened(life);
  };
  const auto on_ended = [&](trace::EndedLife&& ended) { tell_ended(std::move(ended), listener); };
  // What begins a socket's next connection ends its last one, and is not of that one's recording.
  const auto add = [&](std::span<const std::byte> record) {
    tracker->add(record, clock, on_opened, on_ended);
    if (recorder) recorder->add(record, clock);
  };
  probe->consume(add, trace::usual_hold_back);
  tracker->tell_waiting(now, on_ended, last);
}

void WatchSession::Impl::tell_losses(WatchListener& listener) {
  if (const auto lost = probe->lost_records(); lost > told_lost) {
    listener.lost(base::format({"lost {} events: the probe's ring buffer was full (a larger --ring helps)",
                                "丢失 {} 个事件：探针的环形缓冲区已满（可加大 --ring）"},
                               lost - told_lost));
    told_lost = lost;
  }
  if (recorder)
    if (const auto given_up = recorder->given_up(); given_up > told_unrecorded) {
      listener.lost(base::format({"{} sockets are not recorded whole: too many are alive at a time",
                                  "{} 个套接字的记录不完整：同时存在的太多"},
                                 given_up - told_unrecorded));
      told_unrecorded = given_up;
    }
  if (const auto given_up = tracker->given_up(); given_up > told_given_up) {
    listener.lost(
        base::format({"{} connections are not told: too many are alive at a time", "{} 个连接未列出：同时存在的太多"},
                     given_up - told_given_up));
    told_given_up = given_up;
  }
}

base::Status WatchSession::Impl::run(WatchListener& listener, const StopOnSignals& signals) {
  const auto begin = Clock::now();
  auto last_second = begin;
  base::Status status;
  trace::GiveWay way([this] { return probe->fullness(); });
  const auto is_over = [&] {
    return signals.requested() || listener.done() || (options.duration && Clock::now() - begin >= *options.duration);
  };
  while (status && !is_over()) {
    // Records don't wake us one by one: that would cost the programs that are watched.
    pollfd waiting{.fd = probe->fd(), .events = POLLIN, .revents = 0};
    poll(&waiting, 1, 50);
    way.looked();
    consume(listener, false);
    status = listener.caught_up();
    tell_losses(listener);
    if (const auto now = Clock::now(); now - last_second >= 1s) last_second = now, listener.second_passed();
  }
  probe->detach();
  if (status) {
    way.looked();
    consume(listener, true);
    status = listener.caught_up();
  }
  tell_losses(listener);
  if (const auto skipped = probe->skipped_runs(); skipped > 0)
    listener.lost(
        base::format({"lost {} events: the kernel skipped a program that was running already on that processor",
                      "丢失 {} 个事件：程序已在该处理器上运行，内核跳过了它"},
                     skipped));
  return status;
}

WatchSession::WatchSession(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
WatchSession::WatchSession(WatchSession&&) noexcept = default;
WatchSession& WatchSession::operator=(WatchSession&&) noexcept = default;
WatchSession::~WatchSession() = default;

base::Result<WatchSession> WatchSession::prepare(const WatchSessionOptions& options) {
  auto impl = std::make_unique<Impl>(options);
  if (auto prepared = impl->prepare(); !prepared) return std::unexpected(std::move(prepared.error()));
  return WatchSession(std::move(impl));
}

base::Status WatchSession::begin(WatchListener& listener) { return impl_->begin(listener); }
base::Status WatchSession::run(WatchListener& listener, const StopOnSignals& signals) {
  return impl_->run(listener, signals);
}
std::size_t WatchSession::alive() const { return impl_->alive(); }

}  // namespace tcpwhy::observe
