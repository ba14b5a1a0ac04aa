#include "observe/watch_session.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/utsname.h>

#include <span>
#include <utility>

#include "base/clock.h"
#include "capture/endpoint_filter.h"
#include "observe/interface_addresses.h"
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
  [[nodiscard]] bool is_wanted(const SocketLife& life) const {
    return (!filter || filter->fits(life.local, life.remote)) &&
           (!interface || interface->fits(life.local, life.remote));
  }
  void tell_ended(const trace::EndedLife& ended, WatchListener& listener);
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
  std::uint64_t told_lost = 0, told_given_up = 0, told_unrecorded = 0;
};

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
  return {};
}

base::Status WatchSession::Impl::begin(WatchListener& listener) {
  trace::ProbeOptions asked = trace::probe_of_watch();
  asked.ring_bytes = options.ring_bytes;
  auto opened = trace::Probe::open(asked);
  if (!opened) return std::unexpected(opened.error());
  probe.emplace(std::move(*opened));
  const auto reset_reasons = trace::kernel_enum("sk_rst_reason", "SK_RST_REASON_");
  if (options.record) {
    recorder.emplace(trace::LifeRecorderOptions{.reset_reasons = reset_reasons});
    describe();
  }
  if (auto loaded = trace::KernelSymbols::load()) symbols.emplace(std::move(*loaded));
  tracker.emplace(trace::LifeTrackerOptions{
      .reset_reasons = reset_reasons, .symbols = symbols ? &*symbols : nullptr, .most_sockets = 1'000'000});
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

void WatchSession::Impl::tell_ended(const trace::EndedLife& ended, WatchListener& listener) {
  const SocketLife& life = ended.life;
  // Taken of connections that nobody asked for too: it is forgotten then.
  recording::Recording kept = recorder ? recorder->take(ended) : recording::Recording();
  if (!is_wanted(life)) return;
  if (recorder) {
    kept.provenance = provenance;
    kept.provenance.title = fmt::format("{} {} {}", life.local, life.opener ? "→" : "←", life.remote);
  }
  listener.ended(life, ended.peer ? &*ended.peer : nullptr, std::move(kept));
}

void WatchSession::Impl::consume(WatchListener& listener, bool last) {
  // Everything that happened before is read then, however late we are.
  const base::WallTime now = base::wall_now() - trace::usual_hold_back;
  const auto clock = trace::wall_minus_monotonic();
  const auto on_opened = [&](const SocketLife& life) {
    if (options.openings && is_wanted(life)) listener.opened(life);
  };
  const auto on_ended = [&](trace::EndedLife&& ended) { tell_ended(ended, listener); };
  const auto add = [&](std::span<const std::byte> record) {
    if (recorder) recorder->add(record, clock);
    tracker->add(record, clock, on_opened, on_ended);
  };
  probe->consume(add, trace::usual_hold_back);
  tracker->tell_waiting(now, on_ended, last);
}

void WatchSession::Impl::tell_losses(WatchListener& listener) {
  if (const auto lost = probe->lost_records(); lost > told_lost) {
    listener.lost(
        fmt::format("lost {} events: the probe's ring buffer was full (a larger --ring helps)", lost - told_lost));
    told_lost = lost;
  }
  if (recorder)
    if (const auto given_up = recorder->given_up(); given_up > told_unrecorded) {
      listener.lost(
          fmt::format("{} sockets are not recorded whole: too many are alive at a time", given_up - told_unrecorded));
      told_unrecorded = given_up;
    }
  if (const auto given_up = tracker->given_up(); given_up > told_given_up) {
    listener.lost(fmt::format("{} connections are not told: too many are alive at a time", given_up - told_given_up));
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
    if (const auto now = Clock::now(); now - last_second >= 1s)
      last_second = now, listener.second_passed(tracker->alive());
  }
  probe->detach();
  if (status) {
    way.looked();
    consume(listener, true);
    status = listener.caught_up();
  }
  tell_losses(listener);
  if (const auto skipped = probe->skipped_runs(); skipped > 0)
    listener.lost(fmt::format("lost {} events: the kernel skipped a program that was running already on that processor",
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
std::size_t WatchSession::alive() const { return impl_->tracker->alive(); }

}  // namespace tcpwhy::observe
