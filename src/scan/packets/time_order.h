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
#include <vector>

#include "base/clock.h"
#include "scan/packets/raw_frame.h"

namespace tcpwhy::scan {

// How far the frames of a capture stand from the order of their stamps.
struct Disorder {
  std::uint64_t frames = 0;  // whose stamp lies behind that of one before it
  base::Duration most{};     // behind the newest before it; steps are not counted here
  std::uint64_t steps = 0;   // by how often the time went back by more than a queue explains
  static constexpr base::Duration step = std::chrono::seconds(1);

  void note(base::WallTime at) {
    if (at >= newest_) [[likely]] {
      newest_ = at;
    } else {
      note_late(at);
    }
  }

 private:
  void note_late(base::WallTime at);

  base::WallTime newest_ = base::WallTime::min();  // so far, since the last step
};

class TimeOrder {
 public:
  static constexpr std::size_t most_waiting = 1024, most_bytes = std::size_t{16} << 20U;

  // Not where it is full. `steps`: of Disorder, the frame included. `memory`: where the frame's bytes lie; kept until it is taken, and
  // until the next call after that.
  void put(const RawFrame& frame, std::uint64_t steps, const capfile::SharedBytes& memory);
  [[nodiscard]] bool is_full() const { return count_ >= most_waiting || bytes_ >= most_bytes; }
  // The earliest; false: none waits. `memory` stays valid until the next call.
  bool take(RawFrame& frame, const capfile::SharedBytes*& memory);

 private:
  struct Waiting {
    RawFrame frame;
    std::uint64_t steps = 0;
    std::uint64_t memory = 0;  // its number
  };
  // Frames that follow each other share it: it is kept once.
  struct Kept {
    capfile::SharedBytes memory;
    std::size_t frames = 0;  // that wait and lie in it
  };
  [[nodiscard]] Waiting& at(std::size_t place) { return waiting_[(first_ + place) % most_waiting]; }
  void forget_memory();

  std::vector<Waiting> waiting_ = std::vector<Waiting>(most_waiting);  // a ring, in order
  std::size_t first_ = 0, count_ = 0;
  std::deque<Kept> kept_;
  std::uint64_t first_kept_ = 0;  // the number of the first of them
  std::size_t bytes_ = 0;         // of the frames that wait
};

}  // namespace tcpwhy::scan
