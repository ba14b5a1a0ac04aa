#include "compat/zeek/stream.h"

#include <algorithm>
#include <iterator>

namespace tcpwhy::compat::zeek {
namespace {

// Zeek's own limits (init-bare.zeek): tcp_max_initial_window, tcp_max_above_hole_without_any_acks and
// tcp_excessive_data_without_further_acks.
constexpr std::uint64_t largest_first_flight = 16384;
constexpr std::uint64_t most_beyond_a_hole_without_acks = 16384;
constexpr std::uint64_t most_without_further_acks = std::uint64_t{10} * 1024 * 1024;

}  // namespace

void Stream::take(std::uint64_t seq, std::uint64_t length, const Sender& sender, Gaps& gaps) {
  if (given_up_) return;
  const std::uint64_t end = seq + length;
  const std::uint64_t begin = std::max(seq, acknowledged_);
  if (begin >= end) return;
  insert(begin, end);
  if (given_up_) return;
  // A long first flight of which nothing is acknowledged: the other direction is not captured, nothing is kept for it.
  if (deliver() && sender.no_data_acked && sender.size > largest_first_flight) acknowledge(delivered_, sender, gaps);
  const std::uint64_t farthest = stretches_.empty() ? delivered_ : std::prev(stretches_.end())->second;
  const bool hopeless =
      sender.no_data_acked && farthest > delivered_ && farthest - delivered_ > most_beyond_a_hole_without_acks;
  if (hopeless || kept_ > most_without_further_acks) give_up();
}

void Stream::acknowledge(std::uint64_t seq, const Sender& sender, Gaps& gaps) {
  if (seq > delivered_) skip_to(seq, sender, gaps);
  while (!stretches_.empty() && stretches_.begin()->second <= seq) erase(stretches_.begin());
  if (!stretches_.empty() && stretches_.begin()->first < seq) {
    auto first = stretches_.extract(stretches_.begin());
    kept_ -= seq - first.key();
    first.key() = seq;
    stretches_.insert(std::move(first));
  }
  deliver();
  acknowledged_ = std::max(acknowledged_, seq);
}

// Bytes before `seq` are acknowledged that never came. At the beginning of a connection whose SYN was not seen, the first
// byte or two may be missing only because a keep-alive made the beginning (Zeek leaves such a connection as it stands).
void Stream::skip_to(std::uint64_t seq, const Sender& sender, Gaps& gaps) {
  if (seq <= 2 && sender.partial) return;
  if (!given_up_) {
    for (auto next = stretches_.lower_bound(delivered_); next != stretches_.end() && next->first < seq;
         next = stretches_.lower_bound(delivered_)) {
      if (next->first > delivered_) gaps.push_back(next->first - delivered_);
      delivered_ = next->first;
      deliver();
    }
    if (seq > delivered_) gaps.push_back(seq - delivered_);
  }
  delivered_ = std::max(delivered_, seq);
}

// Adds a stretch, joining those that it touches. Where no more may be kept, the stream is given up.
void Stream::insert(std::uint64_t begin, std::uint64_t end) {
  auto next = stretches_.upper_bound(begin);
  if (next != stretches_.begin() && std::prev(next)->second >= begin) --next;
  while (next != stretches_.end() && next->first <= end) {
    begin = std::min(begin, next->first);
    end = std::max(end, next->second);
    const auto joined = next++;
    erase(joined);
  }
  if (budget_->left == 0) return give_up();
  --budget_->left;
  stretches_.emplace_hint(next, begin, end);
  kept_ += end - begin;
}

// Hands on what follows without a hole; whether there was anything.
bool Stream::deliver() {
  auto next = stretches_.upper_bound(delivered_);
  if (next == stretches_.begin()) return false;
  --next;
  if (next->second <= delivered_) return false;
  delivered_ = next->second;
  return true;
}

void Stream::give_up() {
  forget();
  given_up_ = true;
}

void Stream::forget() {
  budget_->left += stretches_.size();
  stretches_.clear();
  kept_ = 0;
}

void Stream::erase(std::map<std::uint64_t, std::uint64_t>::iterator stretch) {
  kept_ -= stretch->second - stretch->first;
  stretches_.erase(stretch);
  ++budget_->left;
}

}  // namespace tcpwhy::compat::zeek
