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

void Disorder::note(base::WallTime at) {
  if (at >= newest) {
    newest = at;
  } else if (is_step(newest, at)) {
    ++steps;
    newest = at;
  } else {
    ++frames;
    most = std::max(most, newest - at);
  }
}

void TimeOrder::put(const RawFrame& frame, const capfile::SharedBytes& memory) {
  if (is_step(newest_, frame.at)) {
    ++epoch_;
    newest_ = frame.at;
  }
  newest_ = std::max(newest_, frame.at);
  // Of the same time in the order of the file.
  auto place = waiting_.end();
  while (place != waiting_.begin() && std::prev(place)->epoch == epoch_ && std::prev(place)->frame.at > frame.at)
    --place;
  waiting_.insert(place, {frame, memory, epoch_});
  bytes_ += frame.bytes.size();
}

bool TimeOrder::take(RawFrame& frame, const capfile::SharedBytes*& memory) {
  if (waiting_.empty()) return false;
  frame = waiting_.front().frame;
  taken_ = std::move(waiting_.front().memory);
  memory = &taken_;
  bytes_ -= frame.bytes.size();
  waiting_.pop_front();
  return true;
}

}  // namespace tcpwhy::scan
