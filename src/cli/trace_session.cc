#include "cli/trace_session.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <set>
#include <utility>

#include "capture/live_capture.h"
#include "trace/bpf/bpf_tracer.h"
#include "trace/counter_sampler.h"
#include "trace/ptrace/ptrace_tracer.h"
#include "trace/socket_sampler.h"
#include "trace/state_tracker.h"
#include "wire/packet.h"

namespace tcpwhy::cli {
namespace {

using namespace std::chrono_literals;

// Without the kernel's own events its states and counters are sampled: this often, or, where there are so many
// sockets that looking at them takes long, as seldom as it takes to have but a twentieth of a processor.
constexpr auto sample_every = 20ms;
constexpr int least_rest = 19;  // times as long as the look took
constexpr std::uint32_t tap_ring_bytes = 4U << 20;

std::set<std::string> interfaces_that_are_up() {
  std::set<std::string> names;
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return names;
  for (const ifaddrs* one = list; one != nullptr; one = one->ifa_next)
    if ((one->ifa_flags & IFF_UP) != 0) names.insert(one->ifa_name);
  freeifaddrs(list);
  return names;
}

struct Tap {
  capture::LiveCapture capture;
  recording::InterfaceId interface;
};

struct Sampling {
  trace::SocketSampler sockets;
  trace::StateTracker states;
  trace::CounterSampler counters;
};

class Session {
 public:
  Session(const TraceSessionOptions& options, const std::atomic<bool>& stop) : options_(options), stop_(stop) {}
  base::Result<TraceOutcome> run();

 private:
  base::Status open_tracer();
  base::Status open_taps();
  base::Status open_sampling();
  base::Status watch();
  base::Status look(bool sampling_too);
  void finish();
  void describe();

  const TraceSessionOptions& options_;
  const std::atomic<bool>& stop_;
  std::unique_ptr<trace::Tracer> tracer_;
  std::vector<Tap> taps_;
  std::optional<Sampling> sampling_;
  TraceOutcome outcome_;
};

base::Status Session::open_tracer() {
  if (options_.backend != Backend::ptrace) {
    // A reader of packets is not to be late: their buffer is small, and what does not fit is lost.
    auto opened =
        trace::open_bpf(options_.target, {.ring_bytes = options_.ring_bytes, .gives_way = !options_.packets});
    if (opened) {
      tracer_ = std::move(*opened);
      return {};
    }
    const bool is_fatal = opened.error().kind != base::ErrorKind::privilege;
    if (options_.backend == Backend::bpf || is_fatal) return std::unexpected(opened.error());
    outcome_.lacking.push_back(opened.error());
  }
  auto opened = trace::open_ptrace(options_.target, {.inside = !options_.stop_at_calls});
  if (!opened) return std::unexpected(opened.error());
  tracer_ = std::move(*opened);
  return {};
}

// One tap an interface. A filter that does not compile is the user's mistake; a missing privilege is said, and the
// rest goes on.
base::Status Session::open_taps() {
  if (!options_.packets) return {};
  const std::string filter = options_.filter.empty() ? "tcp" : "tcp and (" + options_.filter + ")";
  for (const std::string& name : interfaces_that_are_up()) {
    auto opened = capture::LiveCapture::open(
        {.interface = name, .snap_length = options_.snap_length, .ring_bytes = tap_ring_bytes, .filter = filter});
    if (!opened) {
      if (opened.error().kind == base::ErrorKind::usage) return std::unexpected(opened.error());
      outcome_.lacking.push_back(opened.error());
      if (opened.error().kind == base::ErrorKind::privilege) return {};
      continue;
    }
    const recording::InterfaceId id{static_cast<std::uint32_t>(outcome_.recording.interfaces.size())};
    outcome_.recording.interfaces.push_back(opened->describe());
    taps_.push_back({std::move(*opened), id});
  }
  return {};
}

base::Status Session::open_sampling() {
  auto sockets = trace::SocketSampler::open();
  if (!sockets) return std::unexpected(sockets.error());
  auto counters = trace::CounterSampler::open();
  if (!counters) return std::unexpected(counters.error());
  sampling_.emplace(Sampling{std::move(*sockets), {}, std::move(*counters)});
  return {};
}

base::Status Session::look(bool sampling_too) {
  auto& recording = outcome_.recording;
  if (auto drained = tracer_->drain(recording); !drained) return drained;
  for (Tap& tap : taps_)
    if (auto drained = tap.capture.drain(tap.interface, recording.events); !drained)
      return std::unexpected(drained.error());
  if (!sampling_ || !sampling_too) return {};
  const auto sample = sampling_->sockets.sample();
  if (!sample) return std::unexpected(sample.error());
  sampling_->states.update(*sample, recording.events);
  return sampling_->counters.sample(recording.events);
}

base::Status Session::watch() {
  std::vector<pollfd> waiting{{.fd = tracer_->fd(), .events = POLLIN, .revents = 0}};
  for (const Tap& tap : taps_) waiting.push_back({.fd = tap.capture.fd(), .events = POLLIN, .revents = 0});
  using Clock = std::chrono::steady_clock;
  std::optional<Clock::time_point> ended;
  Clock::time_point due{};
  while (!stop_) {
    if (tracer_->finished() && !ended) ended = Clock::now();
    if (ended && Clock::now() - *ended >= options_.linger) break;
    poll(waiting.data(), waiting.size(), static_cast<int>(std::chrono::milliseconds(sample_every).count()));
    const auto begin = Clock::now();
    const bool sampling_too = begin >= due;
    if (auto looked = look(sampling_too); !looked) return looked;
    const auto took = Clock::now() - begin;
    if (sampling_too) due = begin + took + std::max<Clock::duration>(sample_every - took, least_rest * took);
  }
  return {};
}

std::set<wire::IpAddress> addresses_of_this_host() {
  std::set<wire::IpAddress> addresses;
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return addresses;
  for (const ifaddrs* one = list; one != nullptr; one = one->ifa_next) {
    if (one->ifa_addr == nullptr) continue;
    if (one->ifa_addr->sa_family == AF_INET) {
      std::array<std::uint8_t, 4> octets;
      std::memcpy(octets.data(), &reinterpret_cast<const sockaddr_in*>(one->ifa_addr)->sin_addr, octets.size());
      addresses.insert(wire::IpAddress::v4(octets));
    } else if (one->ifa_addr->sa_family == AF_INET6) {
      std::array<std::uint8_t, 16> octets;
      std::memcpy(octets.data(), &reinterpret_cast<const sockaddr_in6*>(one->ifa_addr)->sin6_addr, octets.size());
      addresses.insert(wire::IpAddress::v6(octets).unmapped());
    }
  }
  freeifaddrs(list);
  return addresses;
}

// The connections of the traced program, by the addresses that its calls and the kernel's events name.
class Ours {
 public:
  explicit Ours(const recording::Recording& recording) : here_(addresses_of_this_host()) {
    for (const auto& event : recording.events) std::visit([&](const auto& what) { learn(what, event.at); }, event.what);
    // A connect() that failed may have left nothing that knows its port: its SYN passed while it ran.
    std::erase_if(connects_, [&](const auto& call) { return sockets_with_flow_.contains(call.second.socket); });
  }
  // A packet of theirs; from now on its connection is known.
  bool takes(const wire::SocketAddress& from, const wire::SocketAddress& to, base::WallTime at) {
    const bool is_theirs = knows(from, to) || is_asked(from) || is_asked(to) || is_called(to, at);
    if (is_theirs) flows_.insert(std::minmax(from, to));
    return is_theirs;
  }
  [[nodiscard]] bool knows(const wire::SocketAddress& one, const wire::SocketAddress& other) const {
    return flows_.contains(std::minmax(one, other));
  }
  [[nodiscard]] bool is_asked(const wire::SocketAddress& address) const {
    return std::ranges::any_of(listening_, [&](const wire::SocketAddress& local) {
      if (local.port != address.port) return false;
      return local.ip.is_unspecified() ? is_here(address.ip) : local.ip == address.ip;
    });
  }
  [[nodiscard]] bool is_called(const wire::SocketAddress& address, base::WallTime at) const {
    constexpr auto clocks_differ = 200us;  // the tap's stamps and the tracer's
    return std::ranges::any_of(connects_, [&](const auto& call) {
      const Connect& connect = call.second;
      return connect.remote == address && connect.entered - clocks_differ <= at && at <= connect.left + clocks_differ;
    });
  }

 private:
  struct Connect {
    std::uint64_t socket = 0;
    wire::SocketAddress remote;
    base::WallTime entered{}, left = base::WallTime::max();
  };

  void learn_flow(const wire::SocketAddress& local, const wire::SocketAddress& remote, std::uint64_t socket) {
    flows_.insert(std::minmax(local.unmapped(), remote.unmapped()));
    if (socket != 0) sockets_with_flow_.insert(socket);
  }
  template <class What>
  void learn(const What& what, base::WallTime at) {
    if constexpr (std::is_same_v<What, recording::CallEntered> || std::is_same_v<What, recording::CallReturned> ||
                  std::is_same_v<What, recording::SegmentCause> || std::is_same_v<What, recording::Reset>)
      if (what.local && what.remote && what.local->port != 0 && what.remote->port != 0)
        learn_flow(*what.local, *what.remote, what.socket);
    if constexpr (std::is_same_v<What, recording::CallEntered>) {
      if (what.name == "listen" && what.local) listening_.insert(what.local->unmapped());
      if (what.name == "connect" && what.remote)
        connects_[what.call] = {.socket = what.socket, .remote = what.remote->unmapped(), .entered = at};
    }
    if constexpr (std::is_same_v<What, recording::CallReturned>)
      if (const auto connect = connects_.find(what.call); connect != connects_.end()) connect->second.left = at;
  }
  [[nodiscard]] bool is_here(const wire::IpAddress& ip) const {
    const bool loopback = ip.family == wire::IpFamily::v4 && ip.bytes[0] == 127;
    return loopback || ip.is_unspecified() || here_.contains(ip);
  }

  std::set<wire::IpAddress> here_;
  std::set<std::pair<wire::SocketAddress, wire::SocketAddress>> flows_;
  std::set<std::uint64_t> sockets_with_flow_;
  std::map<std::uint32_t, Connect> connects_;  // by number of the call
  std::set<wire::SocketAddress> listening_;
};

// The taps and the samples see the whole machine; the recording is about one program. No event refers to another yet.
// Of the samples only what the program did, or what passed on the wire meanwhile: entries in TIME-WAIT may be from
// before.
void keep_what_is_ours(recording::Recording& recording) {
  Ours ours(recording);
  std::erase_if(recording.events, [&](const recording::Event& event) {
    const auto* packet = std::get_if<recording::Packet>(&event.what);
    if (packet == nullptr) return false;
    const auto seen =
        wire::dissect(recording.interfaces[packet->interface.value].link_type, packet->bytes, packet->original_length);
    return seen.kind != wire::Dissection::tcp ||
           !ours.takes(seen.segment.source.unmapped(), seen.segment.destination.unmapped(), event.at);
  });
  std::erase_if(recording.events, [&](const recording::Event& event) {
    const auto* state = std::get_if<recording::SocketState>(&event.what);
    if (state == nullptr) return false;
    const auto local = state->local.unmapped(), remote = state->remote.unmapped();
    if (remote.port == 0) return !ours.is_asked(local);
    return !ours.knows(local, remote) && !(local.port == 0 && ours.is_called(remote, event.at));
  });
}

void Session::describe() {
  auto& provenance = outcome_.recording.provenance;
  provenance.program = "tcpwhy " TCPWHY_VERSION;
  utsname name{};
  if (uname(&name) == 0)
    provenance.host = name.nodename, provenance.kernel = std::string(name.sysname) + " " + name.release;
  provenance.observed = tracer_->observes();
  if (!taps_.empty()) provenance.observed.emplace_back("packets");
  if (sampling_) {
    provenance.observed.emplace_back("states.sampled");
    provenance.observed.emplace_back("counters");
  }
  std::string title;
  for (const std::string& word : options_.target.command) title += (title.empty() ? "" : " ") + word;
  for (const pid_t pid : options_.target.pids) title += (title.empty() ? "-p " : " -p ") + std::to_string(pid);
  provenance.labels["command"] = title;
}

void Session::finish() {
  auto& recording = outcome_.recording;
  for (Tap& tap : taps_) {
    [[maybe_unused]] const auto drained = tap.capture.drain(tap.interface, recording.events);
    if (auto loss = tap.capture.new_losses()) recording.events.push_back(std::move(*loss));
  }
  keep_what_is_ours(recording);
  recording::sort_by_time(recording);
  outcome_.command_status = tracer_->command_status();
}

base::Result<TraceOutcome> Session::run() {
  if (auto opened = open_taps(); !opened) return std::unexpected(opened.error());
  if (auto opened = open_sampling(); !opened) return std::unexpected(opened.error());
  if (auto opened = open_tracer(); !opened) return std::unexpected(opened.error());
  for (trace::Lack& lack : tracer_->lacks())
    outcome_.lacking.push_back({base::ErrorKind::privilege, std::move(lack.sentence), std::move(lack.words)});
  const auto seen = tracer_->observes();
  if (std::ranges::find(seen, "states.kernel") != seen.end()) sampling_.reset();  // the kernel tells them itself
  auto watched = watch();
  if (watched) watched = look(true);
  if (auto stopped = tracer_->stop(outcome_.recording); !stopped && watched) watched = stopped;
  describe();
  finish();
  if (!watched) return std::unexpected(watched.error());
  return std::move(outcome_);
}

}  // namespace

base::Result<TraceOutcome> run_trace_session(const TraceSessionOptions& options, const std::atomic<bool>& stop) {
  return Session(options, stop).run();
}

}  // namespace tcpwhy::cli
