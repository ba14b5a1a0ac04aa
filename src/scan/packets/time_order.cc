#include "scan/packets/time_order.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace tcpwhy::scan {
namespace {

// By how much `at` lies behind `newest`, which it does; stamps may be anything.
std::uint64_t ns_behind(base::WallTime newest, base::WallTime at) {
  return static_cast<std::uint64_t>(base::to_ns(newest)) - static_cast<std::uint64_t>(base::to_ns(at));
}

bool is_step(base::WallTime newest, base::WallTime at) {
  return at < newest && ns_behind(newest, at) > static_cast<std::uint64_t>(Disorder::step.count());
}

}  // namespace

void Disorder::note_late(base::WallTime at) {
  if (is_step(newest, at)) {
    ++steps;
    newest = at;
  } else {
    ++frames;
    most = std::max(most, newest - at);
  }
}

void TimeOrder::put(const RawFrame& frame, const capfile::SharedBytes& memory) {
  if (kept_.empty() || kept_.back().memory != memory) kept_.push_back({memory, 0});
  ++kept_.back().frames;
  if (is_step(newest_, frame.at)) {
    ++epoch_;
    newest_ = frame.at;
  }
  newest_ = std::max(newest_, frame.at);
  // Of the same time in the order of the file.
  std::size_t place = count_++;
  for (; place > 0 && at(place - 1).epoch == epoch_ && at(place - 1).frame.at > frame.at; --place)
    at(place) = at(place - 1);
  at(place) = {frame, epoch_, first_kept_ + kept_.size() - 1};
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
  first_ = (first_ + 1) % waiting_.size();
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
