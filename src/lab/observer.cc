#include "lab/observer.h"

#include <fmt/format.h>

#include "trace/bpf/probe.h"
#include "wire/packet.h"

namespace tcpwhy::lab {

base::Result<Observer> Observer::open(const std::vector<Host>& hosts, recording::Recording& recording) {
  Observer observer(recording);
  for (const Host& host : hosts) {
    auto opened = host.home ? host.home->run([&] { return watch(host, recording); }) : watch(host, recording);
    if (!opened) return std::unexpected(std::move(opened.error()));
    observer.watches_.push_back(std::move(*opened));
  }
  if (const auto sampled = observer.sample(); !sampled) return std::unexpected(sampled.error());
  return observer;
}

base::Result<Observer::Watch> Observer::watch(const Host& host, recording::Recording& recording) {
  capture::LiveCaptureOptions options;
  options.interface = host.interface;
  options.ring_bytes = 4 * 1024 * 1024;
  options.filter = "tcp";
  auto capture = capture::LiveCapture::open(options);
  if (!capture) return std::unexpected(std::move(capture.error()));
  auto sockets = trace::SocketSampler::open();
  if (!sockets) return std::unexpected(std::move(sockets.error()));
  auto counters = trace::CounterSampler::open(host.name);
  if (!counters) return std::unexpected(std::move(counters.error()));
  const recording::InterfaceId interface{static_cast<std::uint32_t>(recording.interfaces.size())};
  recording.interfaces.push_back(capture->describe(host.name));
  return Watch{host.name, std::move(*capture),          std::move(*sockets), {}, std::move(*counters),
               interface, trace::current_netns_cookie()};
}

std::vector<int> Observer::fds() const {
  std::vector<int> fds;
  for (const Watch& watch : watches_) fds.push_back(watch.capture.fd());
  return fds;
}

base::Result<bool> Observer::drain() {
  const std::size_t before = recording_->events.size();
  for (Watch& watch : watches_) {
    std::size_t first = recording_->events.size();
    const auto drained = watch.capture.drain(watch.interface, recording_->events);
    if (!drained) return std::unexpected(drained.error());
    for (; first < recording_->events.size(); ++first) {
      const recording::Event& event = recording_->events[first];
      const auto* packet = std::get_if<recording::Packet>(&event.what);
      if (!packet) continue;
      const auto dissected = wire::dissect(watch.capture.link_type(), packet->bytes, packet->original_length);
      if (dissected.kind != wire::Dissection::tcp) continue;
      const wire::TcpSegment& segment = dissected.segment;
      segments_.push_back(
          {event.at, watch.host, segment.source, segment.destination, segment.flags, segment.payload_length});
    }
  }
  return recording_->events.size() != before;
}

base::Status Observer::sample() {
  for (Watch& watch : watches_) {
    if (const auto sampled = watch.sockets.sample_into(sample_); !sampled) return sampled;
    watch.states.update(sample_, recording_->events);
    std::size_t first = recording_->events.size();
    if (const auto sampled = watch.counters.sample(recording_->events); !sampled) return sampled;
    for (; first < recording_->events.size(); ++first)
      if (const auto* counter = std::get_if<recording::CounterMoved>(&recording_->events[first].what))
        moved_[{counter->host, counter->name}] += counter->delta;
  }
  return {};
}

void Observer::note_losses() {
  for (Watch& watch : watches_)
    if (auto loss = watch.capture.new_losses()) recording_->events.push_back(std::move(*loss));
}

std::optional<recording::SocketSnapshot> Observer::find_socket(const std::string& host,
                                                               const std::optional<wire::SocketAddress>& local,
                                                               const std::optional<wire::SocketAddress>& remote) const {
  for (const Watch& watch : watches_) {
    if (watch.host != host) continue;
    for (const recording::SocketSnapshot& socket : watch.states.sockets()) {
      const bool listens = socket.state == tcp::State::listen;
      if (!remote && local && listens && socket.local.port == local->port) return socket;
      if (remote && !listens && socket.remote == *remote && (!local || socket.local == *local)) return socket;
    }
  }
  return std::nullopt;
}

std::vector<std::uint64_t> Observer::namespaces() const {
  std::vector<std::uint64_t> cookies;
  for (const Watch& watch : watches_) cookies.push_back(watch.netns);
  return cookies;
}

std::int64_t Observer::moved(const std::string& host, const std::string& counter) const {
  std::int64_t sum = 0;
  for (const auto& [key, delta] : moved_)
    if (key.second == counter && (host.empty() || key.first == host)) sum += delta;
  return sum;
}

}  // namespace tcpwhy::lab
