// The kernel's own events of other network namespaces than this one, sorted by namespace: what the laboratory asks for, whose
// experiments have namespaces of their own.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "recording/recording.h"
#include "trace/bpf/events/event_maker.h"
#include "trace/bpf/probe.h"

namespace tcpwhy::trace {

class NamespaceWatch {
 public:
  // Errors: as Probe::open(). From its return on nothing is missed.
  static base::Result<NamespaceWatch> open();

  // Takes what the ring has; to be called some ten times a second. Never blocks.
  void drain();
  // What was seen so far in these namespaces (SO_NETNS_COOKIE) goes into `recording`, which is sorted again; what could be observed
  // is noted. Forgets them.
  void give(std::span<const std::uint64_t> namespaces, recording::Recording& recording);

 private:
  struct Place {
    recording::Recording recording;
    EventMaker maker;
  };
  // In one piece on the heap: EventMaker keeps pointers.
  struct State {
    Probe probe;
    std::optional<KernelSymbols> symbols;
    EventMakerOptions options;
    std::map<std::uint64_t, Place> places;
    std::uint64_t told_lost = 0;
  };
  explicit NamespaceWatch(std::unique_ptr<State> state) : state_(std::move(state)) {}
  void add(std::span<const std::byte> record);

  std::unique_ptr<State> state_;
};

}  // namespace tcpwhy::trace
