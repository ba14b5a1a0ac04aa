#include "observe/trace_session.h"

#include <fmt/format.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <poll.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <future>
#include <map>
#include <memory>
#include <new>
#include <set>
#include <utility>

#include "base/side_by_side.h"
#include "capture/live_capture.h"
#include "observe/packet_store.h"
#include "observe/port_holders.h"
#include "observe/traced_connections.h"
#include "trace/bpf/bpf_tracer.h"
#include "trace/counter_sampler.h"
#include "trace/holders.h"
#include "trace/ptrace/ptrace_tracer.h"
#include "trace/socket_sampler.h"
#include "trace/state_tracker.h"
#include "wire/packet.h"

namespace tcpwhy::observe {
namespace {

using namespace std::chrono_literals;

// Without the kernel's own events its states and counters are sampled: this often, or, where there are so many
// sockets that looking at them takes long, as seldom as it takes to have but a twentieth of a processor.
constexpr auto sample_every = 20ms;
constexpr int least_rest = 19;  // times as long as the look took
// Of the kernel's own doings the tracepoints tell all but this: a SYN that a full accept queue does not take is thrown away without a word.
constexpr std::string_view listen_overflows = "TcpExt.ListenOverflows";
constexpr auto overflows_every = 100ms;
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

// What decides whether there is an address and a port to connect from.
void describe_namespace(std::map<std::string, std::string>& settings) {
  for (const std::string_view name : {"net.ipv4.ip_local_port_range", "net.ipv4.ip_unprivileged_port_start"}) {
    std::string path = "/proc/sys/" + std::string(name);
    std::ranges::replace(path, '.', '/');
    std::ifstream file(path);
    if (std::string value; std::getline(file, value)) settings[std::string(name)] = value;
  }
  std::string addresses;
  for (const auto& address : addresses_of_this_host())
    addresses += (addresses.empty() ? "" : " ") + wire::to_string(address);
  settings["addresses"] = addresses;
}

struct Tap {
  capture::LiveCapture capture;
  recording::InterfaceId interface;
};

// To open a tap and to close it is to wait for all processors, and all taps may wait at once.
constexpr std::size_t most_at_once = 32;

std::vector<base::Result<capture::LiveCapture>> open_all(const std::vector<capture::LiveCaptureOptions>& wanted) {
  std::vector<std::optional<base::Result<capture::LiveCapture>>> opened(wanted.size());
  base::side_by_side(wanted.size(), most_at_once,
                     [&](std::size_t i) { opened[i] = capture::LiveCapture::open(wanted[i]); });
  std::vector<base::Result<capture::LiveCapture>> all;
  for (auto& one : opened) all.push_back(std::move(*one));
  return all;
}

void close_all(std::vector<Tap> taps) {
  base::side_by_side(taps.size(), most_at_once, [&](std::size_t i) { const Tap closed = std::move(taps[i]); });
}

struct Sampling {
  trace::SocketSampler sockets;
  trace::StateTracker states;
  trace::CounterSampler counters;
};

class Session {
 public:
  Session(const TraceSessionOptions& options, StopOnSignals& signals) : options_(options), signals_(signals) {}
  base::Result<TraceOutcome> run();

 private:
  base::Status open_tracer();
  void begin_to_open_taps();
  base::Status take_taps();
  [[nodiscard]] std::chrono::milliseconds linger();
  base::Status open_sampling();
  void tell_who_is_watched();
  base::Status watch();
  bool ends_by_signal();
  base::Status look(bool sampling_too);
  base::Status take_in(bool sampling_too);
  base::Status count_overflows();
  void put_aside_from(std::size_t first);
  void learn_what_is_told();
  void stop_when_full();
  void end_recording(std::string why);
  void keep_what_is_ours();
  void finish();
  void describe();

  const TraceSessionOptions& options_;
  StopOnSignals& signals_;
  std::unique_ptr<trace::Tracer> tracer_;
  std::vector<Tap> taps_;
  std::future<std::vector<base::Result<capture::LiveCapture>>> opening_taps_;
  std::optional<Sampling> sampling_;
  std::optional<trace::CounterSampler> overflows_;  // where the kernel tells the rest itself
  std::chrono::steady_clock::time_point overflows_due_{};
  std::optional<std::chrono::steady_clock::time_point> asked_to_end_, killed_;  // the command
  TraceOutcome outcome_;
  // What is known of the program's connections while it runs; the packets and samples of the whole machine, until it is known whose.
  TracedConnections traced_{addresses_of_this_host()};
  std::vector<trace::Conversation> told_;
  std::size_t learnt_ = 0;  // of the recording's events, so many have been looked at
  PacketStore others_;
  struct Full {
    base::WallTime since;
    std::string why;
  };
  std::optional<Full> full_;  // nothing more is recorded
  std::future<void> closing_taps_;
  // Let go where memory is lacking, for what must go on.
  std::unique_ptr<std::byte[]> spare_ = std::make_unique_for_overwrite<std::byte[]>(std::size_t{16} << 20);
};

base::Status Session::open_tracer() {
  if (options_.backend != Backend::ptrace) {
    // A reader of packets is not to be late: their buffer is small, and what does not fit is lost.
    auto opened = trace::open_bpf(options_.target, {.ring_bytes = options_.ring_bytes,
                                                    .gives_way = !options_.packets,
                                                    .before_start = [this] { return take_taps(); }});
    if (auto taken = take_taps(); !taken) return taken;
    if (opened) {
      tracer_ = std::move(*opened);
      return {};
    }
    const bool is_fatal = opened.error().kind != base::ErrorKind::privilege;
    if (options_.backend == Backend::bpf || is_fatal) return std::unexpected(opened.error());
    outcome_.lacking.push_back(opened.error());
  }
  if (auto taken = take_taps(); !taken) return taken;
  auto opened = trace::open_ptrace(options_.target, {.inside = !options_.stop_at_calls});
  if (!opened) return std::unexpected(opened.error());
  tracer_ = std::move(*opened);
  return {};
}

// One tap an interface.
void Session::begin_to_open_taps() {
  if (!options_.packets) return;
  const std::string filter = options_.filter.empty() ? "tcp" : "tcp and (" + options_.filter + ")";
  std::vector<capture::LiveCaptureOptions> wanted;
  for (const std::string& name : interfaces_that_are_up())
    wanted.push_back(
        {.interface = name, .snap_length = options_.snap_length, .ring_bytes = tap_ring_bytes, .filter = filter});
  opening_taps_ = std::async(std::launch::async, open_all, std::move(wanted));
}

// A filter that does not compile is the user's mistake; a missing privilege is said, and the rest goes on.
base::Status Session::take_taps() {
  if (!opening_taps_.valid()) return {};
  for (auto& opened : opening_taps_.get()) {
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
  try {
    auto taken = take_in(sampling_too);
    stop_when_full();
    return taken;
  } catch (const std::bad_alloc&) {
    spare_.reset();
    end_recording("there was no memory for more");
    return {};
  }
}

// Of the machine's packets and sockets what may be the program's waits in a place of its own.
base::Status Session::take_in(bool sampling_too) {
  auto& recording = outcome_.recording;
  if (auto drained = tracer_->drain(recording); !drained) return drained;
  const std::size_t first = recording.events.size();
  for (Tap& tap : taps_) {
    auto drained = tap.capture.drain(tap.interface, recording.events);
    put_aside_from(first);
    if (!drained) return std::unexpected(drained.error());
  }
  if (sampling_too && overflows_ && !full_) return count_overflows();
  if (!sampling_ || !sampling_too || full_) return {};
  const auto sample = sampling_->sockets.sample();
  if (!sample) return std::unexpected(sample.error());
  sampling_->states.update(*sample, recording.events);
  put_aside_from(first);
  return sampling_->counters.sample(recording.events);
}

base::Status Session::count_overflows() {
  const auto now = std::chrono::steady_clock::now();
  if (now < overflows_due_) return {};
  overflows_due_ = now + overflows_every;
  std::vector<recording::Event> moved;
  if (auto sampled = overflows_->sample(moved); !sampled) return sampled;
  for (recording::Event& event : moved)
    if (std::get<recording::CounterMoved>(event.what).name == listen_overflows)
      outcome_.recording.events.push_back(std::move(event));
  return {};
}

void Session::put_aside_from(std::size_t first) {
  auto& recording = outcome_.recording;
  for (std::size_t i = first; i < recording.events.size(); ++i) others_.add(recording.events[i]);
  recording.events.resize(first);
  if (!others_.is_full()) return;
  learn_what_is_told();
  others_.decide(traced_, recording.interfaces);
}

void Session::learn_what_is_told() {
  told_.clear();
  tracer_->tell_conversations(told_);
  for (const trace::Conversation& told : told_) traced_.learn(told);
  for (; learnt_ < outcome_.recording.events.size(); ++learnt_) traced_.learn(outcome_.recording.events[learnt_]);
}

void Session::stop_when_full() {
  if (full_) return;
  if (tracer_->paused()) return end_recording("there was no memory for more");
  if (tracer_->recorded() + others_.kept() >= options_.most_events)
    end_recording(fmt::format("the recording was full: --max-events {}", options_.most_events));
}

void Session::end_recording(std::string why) {
  tracer_->pause();
  others_.pause();
  if (!full_) full_ = Full{base::wall_now(), std::move(why)};
}

// Whether a signal has come, and what was to end by it has. The command's end is part of what is recorded.
bool Session::ends_by_signal() {
  constexpr auto patience_with_kernel = 1s;  // until those that were killed are seen to be gone
  if (!StopOnSignals::requested()) return false;
  if (options_.target.command.empty()) return true;
  if (tracer_->finished() || (!options_.target.pids.empty() && tracer_->command_status())) return true;
  const auto now = std::chrono::steady_clock::now();
  if (!asked_to_end_) {
    asked_to_end_ = now;
    if (!StopOnSignals::from_terminal()) tracer_->signal_command(StopOnSignals::signal());
  }
  if (!killed_ && (now - *asked_to_end_ >= options_.grace || StopOnSignals::times() > 1)) {
    killed_ = now;
    tracer_->signal_command(SIGKILL);
  }
  return killed_ && now - *killed_ >= patience_with_kernel;
}

// Who had no connection leaves nothing behind that the kernel could still see to; what the tracer holds back has come by then.
std::chrono::milliseconds Session::linger() {
  constexpr std::chrono::milliseconds least{10};
  learn_what_is_told();
  return traced_.knows_none() ? std::min(least, options_.linger) : options_.linger;
}

void Session::tell_who_is_watched() {
  if (!options_.on_watching) return;
  std::vector<Watched> watched;
  for (const pid_t pid : options_.target.pids) watched.push_back({trace::command_of(pid), pid});
  options_.on_watching(watched);
}

base::Status Session::watch() {
  std::vector<pollfd> waiting{{.fd = tracer_->fd(), .events = POLLIN, .revents = 0}};
  for (const Tap& tap : taps_) waiting.push_back({.fd = tap.capture.fd(), .events = POLLIN, .revents = 0});
  using Clock = std::chrono::steady_clock;
  std::optional<Clock::time_point> ended;
  Clock::time_point due{};
  while (!ends_by_signal()) {
    if (tracer_->finished() && !ended) ended = Clock::now();
    auto patience = sample_every;
    if (ended) {
      const auto rest = std::chrono::ceil<std::chrono::milliseconds>(*ended + linger() - Clock::now());
      if (rest <= 0ms) break;
      patience = std::min(patience, rest);
    }
    poll(waiting.data(), waiting.size(), static_cast<int>(patience.count()));
    const auto begin = Clock::now();
    const bool sampling_too = begin >= due;
    if (auto looked = look(sampling_too); !looked) return looked;
    const auto took = Clock::now() - begin;
    if (sampling_too) due = begin + took + std::max<Clock::duration>(sample_every - took, least_rest * took);
  }
  return {};
}

void Session::describe() {
  auto& provenance = outcome_.recording.provenance;
  provenance.program = "tcpwhy " TCPWHY_VERSION;
  utsname name{};
  if (uname(&name) == 0)
    provenance.host = name.nodename, provenance.kernel = std::string(name.sysname) + " " + name.release;
  provenance.observed = tracer_->observes();
  if (!taps_.empty()) provenance.observed.add(recording::Observation::packets);
  if (sampling_) {
    provenance.observed.add(recording::Observation::states_sampled);
    provenance.observed.add(recording::Observation::counters);
  }
  describe_namespace(provenance.settings);
  std::string title;
  for (const std::string& word : options_.target.command) title += (title.empty() ? "" : " ") + word;
  for (const pid_t pid : options_.target.pids) title += (title.empty() ? "-p " : " -p ") + std::to_string(pid);
  provenance.labels["command"] = title;
}

// The taps and the samples see the whole machine; the recording is about one program. No event refers to another yet.
void Session::keep_what_is_ours() {
  auto& recording = outcome_.recording;
  for (; learnt_ < recording.events.size(); ++learnt_) traced_.learn(recording.events[learnt_]);
  std::uint64_t no_memory_for = 0;
  const auto keep = [&](recording::Event&& event) {
    try {
      recording.events.push_back(std::move(event));
    } catch (const std::bad_alloc&) {
      ++no_memory_for;
    }
  };
  const auto is_of_others = [&](const recording::Event& event) {
    const auto* state = std::get_if<recording::SocketState>(&event.what);
    return state != nullptr && !event.actor.valid() && !traced_.takes(*state, event.at);  // with: who has a port
  };
  // Packets make connections known; the states come last.
  others_.release([&](recording::Event&& event) {
    if (std::holds_alternative<recording::SocketState>(event.what)) return keep(std::move(event));
    const auto& packet = std::get<recording::Packet>(event.what);
    const auto seen =
        wire::dissect(recording.interfaces[packet.interface.value].link_type, packet.bytes, packet.original_length);
    if (seen.kind == wire::Dissection::tcp && traced_.takes(seen.segment.source, seen.segment.destination, event.at))
      keep(std::move(event));
  });
  std::erase_if(recording.events, is_of_others);
  for (recording::Event& loss : others_.losses(traced_)) keep(std::move(loss));
  if (no_memory_for > 0)
    keep({base::wall_now(), {}, recording::Loss{"events", no_memory_for, "there was no memory for more"}});
}

void Session::finish() {
  auto& recording = outcome_.recording;
  const std::size_t first = recording.events.size();
  for (Tap& tap : taps_) {
    [[maybe_unused]] const auto drained = tap.capture.drain(tap.interface, recording.events);
    put_aside_from(first);
  }
  for (Tap& tap : taps_)
    if (auto loss = tap.capture.new_losses()) recording.events.push_back(std::move(*loss));
  closing_taps_ = std::async(std::launch::async, close_all, std::exchange(taps_, {}));
  outcome_.command_status = tracer_->command_status();
  if (const std::uint64_t left_out = tracer_->left_out(); full_ && left_out > 0)
    recording.events.push_back(
        {full_->since, {}, recording::Loss{"events", left_out, full_->why + ": what came later"}});
  tracer_.reset();  // and what memory it has
  keep_what_is_ours();
  spare_.reset();
  for (bool sorted = false; !sorted;) try {
      recording::sort_by_time(recording);
      sorted = true;
    } catch (const std::bad_alloc&) {
      if (!leave_out_later_half(recording)) throw;
    }
}

base::Result<TraceOutcome> Session::run() {
  begin_to_open_taps();
  if (auto opened = open_sampling(); !opened) return std::unexpected(opened.error());
  if (auto opened = open_tracer(); !opened) return std::unexpected(opened.error());
  for (trace::Lack& lack : tracer_->lacks())
    outcome_.lacking.push_back({base::ErrorKind::privilege, std::move(lack.sentence), std::move(lack.words)});
  if (tracer_->observes().contains(recording::Observation::states_kernel))
    overflows_ = std::move(sampling_->counters), sampling_.reset();  // the kernel tells the rest itself
  tell_who_is_watched();
  auto watched = watch();
  if (StopOnSignals::requested() && !options_.target.command.empty()) tracer_->signal_command(SIGKILL);  // what is left
  signals_.end_at_once_from_now_on();
  if (watched) watched = look(true);
  // What the tracer has put aside becomes events now.
  try {
    if (auto stopped = tracer_->stop(outcome_.recording); !stopped && watched) watched = stopped;
  } catch (const std::bad_alloc&) {
    end_recording("there was no memory for more");
  }
  if (!full_) look_for_port_holders(outcome_.recording);
  learn_what_is_told();
  describe();
  finish();
  if (!watched) return std::unexpected(watched.error());
  return std::move(outcome_);
}

}  // namespace

bool leave_out_later_half(recording::Recording& recording) {
  auto& events = recording.events;
  constexpr std::size_t too_few = 1000;
  if (events.size() < too_few) return false;
  // Without a copy of their times, for which there may be no memory: halved until the half is found.
  auto [first, last] = std::ranges::minmax(events, {}, &recording::Event::at);
  base::WallTime low = first.at, high = last.at;
  while (high - low > base::Duration(1)) {
    const base::WallTime middle = low + (high - low) / 2;
    const auto before = std::ranges::count_if(events, [&](const auto& event) { return event.at <= middle; });
    (static_cast<std::size_t>(before) > events.size() / 2 ? high : low) = middle;
  }
  const auto left_out = std::erase_if(events, [&](const recording::Event& event) {
    return event.at > low && !std::holds_alternative<recording::Loss>(event.what);
  });
  if (left_out == 0) return false;
  events.shrink_to_fit();
  events.push_back({low, {}, recording::Loss{"events", left_out, "there was no memory for them: all that came later"}});
  return true;
}

base::Result<TraceOutcome> run_trace_session(const TraceSessionOptions& options, StopOnSignals& signals) {
  return Session(options, signals).run();
}

}  // namespace tcpwhy::observe
