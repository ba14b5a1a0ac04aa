// Learns the probe's paths (program/paths.bpf.h): which return addresses lie where on the kernel's stack when a segment leaves for
// a cause that has been seen before, so that the kernel need not unwind for the next of the kind.
//
// bpf_get_stack() tells the addresses, a copy of the stack what lies where. An address may also lie where an earlier call left
// it; so a path has every place at which an address of its frames was found in all of its samples: the true places are among them.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "trace/bpf/program/protocol.h"

namespace tcpwhy::trace {

class StackPaths {
 public:
  // How many of these return addresses, leaf first, settle the cause; 0: none does, the stack is not to be learnt.
  using Decisive = std::function<std::size_t(std::span<const __u64>)>;
  explicit StackPaths(Decisive decisive) : decisive_(std::move(decisive)) {}

  // A new path, if this sample makes one complete; its number is size() after the call.
  std::optional<probe_path> add(const probe_path_sample& sample);
  [[nodiscard]] std::size_t size() const { return learnt_.size(); }
  [[nodiscard]] bool full() const { return learnt_.size() >= PROBE_PATHS; }
  // The return addresses of a path, leaf first, as far as they settle its cause; `number` from 1. Empty: no path has that number.
  [[nodiscard]] std::span<const __u64> frames(std::size_t number) const;

 private:
  using Frames = std::vector<__u64>;
  using Places = std::map<std::uint32_t, __u64>;  // by distance in words: the address
  // Functions that align their frames have more than one layout: samples are told apart by where each frame may lie at nearest.
  struct Kind {
    Frames frames;
    std::vector<std::uint32_t> nearest;
    auto operator<=>(const Kind&) const = default;
  };
  struct Samples {
    Places common;
    unsigned count = 0;  // since a path was learnt of them last
  };
  struct Learnt {
    probe_path path;
    Frames frames;
  };
  // Each further out than the one before it; empty: some frame lies nowhere.
  static std::vector<std::uint32_t> nearest_chain(const Frames& frames, const Places& places);
  static std::optional<probe_path> path_of(const Frames& frames, const Places& places);

  Decisive decisive_;
  std::map<Kind, Samples> kinds_;
  std::vector<Learnt> learnt_;
};

}  // namespace tcpwhy::trace
