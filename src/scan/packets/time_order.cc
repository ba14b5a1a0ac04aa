#include "scan/packets/time_order.h"

#include <algorithm>

namespace tcpwhy::scan {
void Disorder::note_late(base::WallTime at) {
  // Stamps may be anything: the difference may be more than a Duration holds.
  const auto behind = static_cast<std::uint64_t>(base::to_ns(newest_)) - static_cast<std::uint64_t>(base::to_ns(at));
  if (behind > static_cast<std::uint64_t>(step.count())) {
    ++steps;
    newest_ = at;
  } else {
    ++frames;
    most = std::max(most, newest_ - at);
  }
}

void TimeOrder::put(const RawFrame& frame, std::uint64_t steps, const capfile::SharedBytes& memory) {
  if (kept_.empty() || kept_.back().memory != memory) kept_.push_back({memory, 0});
  ++kept_.back().frames;
  // Of the same time in the order of the file.
  std::size_t place = count_++;
  for (; place > 0 && at(place - 1).steps == steps && at(place - 1).frame.at > frame.at; --place)
    at(place) = at(place - 1);
  at(place) = {frame, steps, first_kept_ + kept_.size() - 1};
  bytes_ += frame.bytes.size();
}

bool TimeOrder::take(RawFrame& frame, const capfile::SharedBytes*& memory) {
  forget_memory();
  if (count_ == 0) return false;
  const Waiting& earliest = waiting_[first_];
  frame = earliest.frame;
  Kept& kept = kept_[earliest.memory - first_kept_];
  --kept.frames;
  memory = &kept.memory;
  first_ = (first_ + 1) % most_waiting;
  --count_;
  bytes_ -= frame.bytes.size();
  return true;
}

// But for the latest, in which the next frame may lie.
void TimeOrder::forget_memory() {
  while (kept_.size() > 1 && kept_.front().frames == 0) {
    kept_.pop_front();
    ++first_kept_;
  }
}

}  // namespace tcpwhy::scan
