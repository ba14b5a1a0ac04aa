// Frames of one capture in the order of their time stamps. A network card with several queues, or a capture in several threads, stamps
// packets in one order and hands them out in another; the stamps are what was measured.
//
// Looks a bounded number of frames ahead. A stamp far behind the newest is none of a queue: the clock was set, or another capture was
// appended. What came before it is given first, and the order begins anew with it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>

#include "base/clock.h"
#include "scan/packets/raw_frame.h"

namespace tcpwhy::scan {

// How far the frames of a capture stand from the order of their stamps.
struct Disorder {
  std::uint64_t frames = 0;  // whose stamp lies behind that of one before it
  base::Duration most{};     // behind the newest before it; steps are not counted here
  std::uint64_t steps = 0;   // by how often the time went back by more than a queue explains
  base::WallTime newest{};   // so far, since the last step
  static constexpr base::Duration step = std::chrono::seconds(1);

  void note(base::WallTime at);
};

class TimeOrder {
 public:
  static constexpr std::size_t most_waiting = 1024, most_bytes = std::size_t{16} << 20U;

  // `memory`: where the frame's bytes lie; kept until it is taken.
  void put(const RawFrame& frame, const capfile::SharedBytes& memory);
  [[nodiscard]] bool is_full() const { return waiting_.size() >= most_waiting || bytes_ >= most_bytes; }
  // The earliest; false: none waits. `memory` stays valid until the next call.
  bool take(RawFrame& frame, const capfile::SharedBytes*& memory);

 private:
  struct Waiting {
    RawFrame frame;
    capfile::SharedBytes memory;
    std::uint64_t epoch = 0;
  };
  std::deque<Waiting> waiting_;  // in order
  std::size_t bytes_ = 0;        // of those that wait
  base::WallTime newest_{};
  std::uint64_t epoch_ = 0;
  capfile::SharedBytes taken_;
};

}  // namespace tcpwhy::scan
