// What an observer could see: where something is missing from a recording, whether it was looked for.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <optional>
#include <string_view>

namespace tcpwhy::recording {

enum class Observation : std::uint8_t {
  packets,
  calls,  // by whatever means
  calls_bpf,
  calls_ptrace,
  calls_strace,
  signals,
  processes,
  states_sampled,
  states_kernel,  // from the tracepoint
  counters,
  socket_errors,
  drops,
  resets_reason,
  causes_kernel,
};
inline constexpr std::string_view observation_names[] = {
    "packets",        "calls",         "calls.bpf", "calls.ptrace",  "calls.strace", "signals",       "processes",
    "states.sampled", "states.kernel", "counters",  "socket_errors", "drops",        "resets.reason", "causes.kernel"};
inline constexpr std::size_t observation_count = std::size(observation_names);
static_assert(static_cast<std::size_t>(Observation::causes_kernel) + 1 == observation_count);

inline constexpr std::string_view name_of(Observation observation) {
  return observation_names[static_cast<std::size_t>(observation)];
}
// Nothing for a word that is none (of a later version); calls seen by a means that is not known here are calls.
inline constexpr std::optional<Observation> observation_named(std::string_view name) {
  const auto* found = std::ranges::find(observation_names, name);
  if (found != std::end(observation_names)) return Observation(found - std::begin(observation_names));
  return name.starts_with("calls.") ? std::optional(Observation::calls) : std::nullopt;
}

// Each at most once, in the order in which they were added.
class Observations {
 public:
  Observations() = default;
  Observations(std::initializer_list<Observation> all) {
    for (const Observation one : all) add(one);
  }

  void add(Observation one) {
    if (!contains(one)) in_order_[count_++] = one;
  }
  void add(const Observations& others) {
    for (const Observation one : others) add(one);
  }
  [[nodiscard]] bool contains(Observation one) const { return std::find(begin(), end(), one) != end(); }
  [[nodiscard]] const Observation* begin() const { return in_order_.data(); }
  [[nodiscard]] const Observation* end() const { return in_order_.data() + count_; }
  bool operator==(const Observations&) const = default;

 private:
  std::array<Observation, observation_count> in_order_{};
  std::uint8_t count_ = 0;
};

}  // namespace tcpwhy::recording
