#include "trace/bpf/namespace_watch.h"

#include <algorithm>
#include <cstring>

#include "trace/bpf/kernel/kernel_types.h"

namespace tcpwhy::trace {
namespace {

// Far more than experiments have; a machine full of containers must not fill the memory.
constexpr std::size_t most_namespaces = 1024;
constexpr std::size_t most_events = 1U << 20;

}  // namespace

base::Result<NamespaceWatch> NamespaceWatch::open() {
  auto probe = Probe::open(probe_of_lab());
  if (!probe) return std::unexpected(probe.error());
  auto symbols = KernelSymbols::load();
  auto state = std::make_unique<State>(State{std::move(*probe), std::nullopt, {}, {}});
  if (symbols) state->symbols.emplace(std::move(*symbols));
  state->options = {.symbols = state->symbols ? &*state->symbols : nullptr,
                    .unwinder = nullptr,
                    .reset_reasons = kernel_enum("sk_rst_reason", "SK_RST_REASON_"),
                    .drop_reasons = kernel_enum("skb_drop_reason", "SKB_DROP_REASON_")};
  if (auto attached = state->probe.attach(); !attached) return std::unexpected(attached.error());
  return NamespaceWatch(std::move(state));
}

void NamespaceWatch::add(std::span<const std::byte> record) {
  // Every kind that comes without calls begins with its socket.
  if (record.size() < sizeof(probe_head) + sizeof(probe_socket)) return;
  probe_socket socket{};
  std::memcpy(&socket, record.data() + sizeof(probe_head), sizeof socket);
  auto place = state_->places.find(socket.netns);
  if (place == state_->places.end()) {
    if (state_->places.size() >= most_namespaces) return;
    place = state_->places.emplace(socket.netns, Place{{}, EventMaker(state_->options)}).first;
    place->second.maker.set_clock(wall_minus_monotonic());
  }
  if (place->second.recording.events.size() < most_events) place->second.maker.add(record, place->second.recording);
}

void NamespaceWatch::drain() {
  state_->probe.consume([this](std::span<const std::byte> record) { add(record); });
}

void NamespaceWatch::give(std::span<const std::uint64_t> namespaces, recording::Recording& recording) {
  // What comes after the end of the recording is its namespaces being taken down.
  base::WallTime end{};
  for (const auto& event : recording.events) end = std::max(end, event.at);
  for (const std::uint64_t cookie : namespaces) {
    auto place = state_->places.extract(cookie);
    if (place.empty()) continue;
    for (auto& event : place.mapped().recording.events)
      if (event.at <= end) recording.events.push_back(std::move(event));
  }
  auto& observed = recording.provenance.observed;
  observed.add(state_->probe.observes());
  if (state_->symbols && state_->probe.has("on_segment")) observed.add(recording::Observation::causes_kernel);
  const auto note = [&](std::uint64_t now, std::uint64_t& told, const char* why) {
    if (now > told) recording.events.push_back({end, {}, recording::Loss{"events", now - told, why}});
    told = now;
  };
  note(state_->probe.lost_records(), state_->told_lost, "the probe's ring buffer was full");
  recording::sort_by_time(recording);
}

}  // namespace tcpwhy::trace
