// What the kernel said of each socket of a watch, kept until its connection has ended, and then handed over as a recording.
// Memory is bounded: by what lives, and by `most_sockets`; what is given up for it is counted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "recording/recording.h"
#include "trace/bpf/lives/life_tracker.h"
#include "trace/bpf/program/protocol.h"

namespace tcpwhy::trace {

struct LifeRecorderOptions {
  std::vector<std::string> reset_reasons;  // by number
  std::size_t most_sockets = 65536;        // of which events are kept; beyond, the oldest are forgotten
  std::size_t most_events = 64;            // of one socket
};

class LifeRecorder {
 public:
  explicit LifeRecorder(LifeRecorderOptions options) : options_(std::move(options)) {}

  // States, resets and errors are kept, by the socket's cookie; a record of no socket is none's.
  void add(std::span<const std::byte> record, base::Duration wall_minus_monotonic);
  // The events of both ends in order of time, with the processes that held them as actors. They are forgotten here.
  recording::Recording take(const EndedLife& ended);

  [[nodiscard]] std::size_t sockets() const { return kept_.size(); }
  [[nodiscard]] std::uint64_t given_up() const { return given_up_; }

 private:
  struct Kept {
    std::vector<recording::Event> events;
    std::uint64_t left_out = 0;
  };
  void keep(const probe_socket& socket, base::WallTime at, recording::What what);
  void hand_over(const recording::SocketLife& life, recording::Recording& recording);

  LifeRecorderOptions options_;
  std::unordered_map<std::uint64_t, Kept> kept_;
  std::deque<std::uint64_t> in_order_;  // cookies as they came, those that are gone too
  std::uint64_t given_up_ = 0;
};

}  // namespace tcpwhy::trace
