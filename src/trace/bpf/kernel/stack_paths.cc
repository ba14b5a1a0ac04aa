#include "trace/bpf/kernel/stack_paths.h"

#include <algorithm>
#include <iterator>

namespace tcpwhy::trace {
namespace {

constexpr unsigned enough_samples = 4;
constexpr std::size_t most_kinds = 256;
// The program and what calls it lie further in than the hook's arguments: bpf_prog_..._on_segment, bpf_trace_run1.
constexpr std::size_t most_inside = 3;

std::map<std::uint32_t, __u64> places_of(std::span<const __u64> frames, std::span<const __u64> window) {
  std::map<std::uint32_t, __u64> places;
  for (std::uint32_t i = 0; i < window.size(); ++i)
    if (std::ranges::find(frames, window[i]) != frames.end()) places.emplace(i, window[i]);
  return places;
}

bool same(const probe_path& one, const probe_path& other) {
  return one.slots == other.slots && std::ranges::equal(one.offset, other.offset) &&
         std::ranges::equal(one.address, other.address);
}

}  // namespace

std::optional<probe_path> StackPaths::add(const probe_path_sample& sample) {
  const std::size_t count = static_cast<std::size_t>(std::max(sample.frames, 0)) / sizeof(__u64);
  const std::span stack(sample.stack, std::min<std::size_t>(count, PROBE_SHALLOW_FRAMES));
  const std::span window(sample.window, std::min<std::size_t>(sample.words, PROBE_WINDOW_WORDS));
  const std::size_t length = std::min(decisive_(stack), stack.size());
  if (length == 0 || full()) return std::nullopt;
  const Frames frames(stack.begin(), stack.begin() + static_cast<std::ptrdiff_t>(length));
  Places places = places_of(frames, window);
  Kind kind{frames, nearest_chain(frames, places)};
  if (kind.nearest.empty() || (kinds_.size() >= most_kinds && !kinds_.contains(kind))) return std::nullopt;

  Samples& samples = kinds_[std::move(kind)];
  if (samples.common.empty())
    samples.common = std::move(places);
  else
    std::erase_if(samples.common, [&](const auto& place) {
      const auto now = places.find(place.first);
      return now == places.end() || now->second != place.second;
    });
  if (++samples.count < enough_samples) return std::nullopt;
  // If it is sampled again, it has not been recognised: by what is common to even more samples it may be.
  samples.count = 0;
  const auto path = path_of(frames, samples.common);
  // Samples that were taken before it was known may come after.
  if (!path || std::ranges::any_of(learnt_, [&](const Learnt& known) { return same(known.path, *path); }))
    return std::nullopt;
  learnt_.push_back({*path, frames});
  return path;
}

std::vector<std::uint32_t> StackPaths::nearest_chain(const Frames& frames, const Places& places) {
  const auto lies_somewhere = [&](__u64 frame) {
    return std::ranges::any_of(places, [&](const auto& place) { return place.second == frame; });
  };
  const auto first = std::ranges::find_if(frames, lies_somewhere);
  if (static_cast<std::size_t>(first - frames.begin()) > most_inside) return {};
  std::vector<std::uint32_t> chain;
  auto at = places.begin();
  for (auto frame = first; frame != frames.end(); ++frame) {
    at = std::find_if(at, places.end(), [&](const auto& place) { return place.second == *frame; });
    if (at == places.end()) return {};
    chain.push_back(at->first);
    ++at;
  }
  return chain;
}

std::optional<probe_path> StackPaths::path_of(const Frames& frames, const Places& places) {
  probe_path path{};
  for (auto place = places.rbegin(); place != places.rend(); ++place) {
    if (path.slots == 0 && place->second != frames.back()) continue;  // further out than the last
    if (path.slots == PROBE_PATH_SLOTS) return std::nullopt;
    path.offset[path.slots] = place->first, path.address[path.slots] = place->second;
    ++path.slots;
  }
  return path;
}

std::span<const __u64> StackPaths::frames(std::size_t number) const {
  if (number == 0 || number > learnt_.size()) return {};
  return learnt_[number - 1].frames;
}

}  // namespace tcpwhy::trace
