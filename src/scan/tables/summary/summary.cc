#include "scan/tables/summary/summary.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <tuple>

namespace tcpwhy::scan {

void Greatest::put(const ConnectionRecord& record, std::span<const Problem> problems) {
  ++offered_;
  if (limit_ == 0) return;
  Kept kept{record, {problems.begin(), problems.end()}};
  // The heap's front is what is to be shown last.
  if (heap_.size() == limit_) {
    if (!above_(kept, heap_.front())) return;
    std::ranges::pop_heap(heap_, above_);
    heap_.pop_back();
  }
  heap_.push_back(std::move(kept));
  std::ranges::push_heap(heap_, above_);
}

std::vector<Kept> Greatest::in_order() const {
  std::vector<Kept> all = heap_;
  std::ranges::sort(all, above_);
  return all;
}

bool is_worse(const ConnectionRecord& a, std::span<const Problem> problems_of_a, const ConnectionRecord& b,
              std::span<const Problem> problems_of_b) {
  const auto key = [](const ConnectionRecord& record, std::span<const Problem> problems) {
    const auto severity = problems.empty() ? -1 : static_cast<int>(problems.front().rule->severity);
    return std::tuple(-severity, -static_cast<int>(problems.size()), -static_cast<std::int64_t>(record.bytes()),
                      record.first_frame);
  };
  return key(a, problems_of_a) < key(b, problems_of_b);
}

bool worse(const Kept& a, const Kept& b) { return is_worse(a.record, a.problems, b.record, b.problems); }

void Durations::put(std::int64_t ns) {
  const auto value = static_cast<std::uint64_t>(ns) | 16U;
  const auto exponent =
      static_cast<std::size_t>(std::bit_width(value)) - 5;  // the four bits below the highest tell the bucket
  add({.number = exponent * 16 + ((value >> exponent) & 15U), .count = 1});
}

void Durations::add(const Bucket& bucket) {
  const auto place = std::ranges::lower_bound(buckets_, bucket.number, {}, &Bucket::number);
  if (place != buckets_.end() && place->number == bucket.number) {
    place->count += bucket.count;
  } else {
    buckets_.insert(place, bucket);
  }
  count_ += bucket.count;
}

void Durations::add(const Durations& other) {
  for (const Bucket& bucket : other.buckets_) add(bucket);
}

std::int64_t Durations::quantile(double share) const {
  const auto wanted = std::max(1.0, std::ceil(share * static_cast<double>(count_)));
  std::uint64_t below = 0;
  for (const Bucket& bucket : buckets_) {
    below += bucket.count;
    if (static_cast<double>(below) >= wanted)
      return static_cast<std::int64_t>(((17 + std::uint64_t{bucket.number} % 16) << (bucket.number / 16)) - 1);
  }
  return 0;
}

void Tally::add(const ConnectionRecord& record, std::span<const Problem> problems) {
  ++connections;
  if (!problems.empty() && problems.front().rule->severity >= explain::Severity::warning) ++wrong;
  bytes += record.bytes();
  segments += record.segments();
  retransmissions += record.retransmissions();
  ++openings[static_cast<std::size_t>(record.opening)];
  ++endings[static_cast<std::size_t>(record.ending)];
  if (record.listener_rtt_ns >= 0 && record.opener_rtt_ns >= 0)
    handshake.put(record.listener_rtt_ns + record.opener_rtt_ns);
}

void Tally::add(const Tally& other) {
  connections += other.connections;
  wrong += other.wrong;
  bytes += other.bytes;
  segments += other.segments;
  retransmissions += other.retransmissions;
  for (std::size_t i = 0; i < openings.size(); ++i) openings[i] += other.openings[i];
  for (std::size_t i = 0; i < endings.size(); ++i) endings[i] += other.endings[i];
  handshake.add(other.handshake);
}

void Summary::add(const ConnectionRecord& record, std::span<const Problem> problems) {
  Tally::add(record, problems);
  ++resets[static_cast<std::size_t>(record.reset_cause)];
  if (record.closed_by) ++closed_by[static_cast<std::size_t>(record.ending)][*record.closed_by];
  for (const Problem& problem : problems) {
    ProblemCount& count = by_problem[static_cast<std::size_t>(problem.rule - problem_rules().data())];
    if (count.connections++ == 0 || problem.frame < count.example_frame) {
      count.example_frame = problem.frame;
      count.example_stream_frame = record.first_frame;
    }
  }
  for (const EndRecord& end : record.ends) {
    resent_bytes += end.resent_bytes;
    copies += end.duplicates - end.copied_by_network();
    offload_copies += end.offload_copies;
    behind_ack += end.behind_ack;
    most_behind_ack_ns = std::max(most_behind_ack_ns, end.most_behind_ack_ns);
  }
  if (record.one_way) ++one_way;
}

void StreamNumbers::put(std::uint64_t first_frame) {
  if (frames_.size() >= most) {
    too_many_ = true;
    return;
  }
  frames_.push_back(first_frame);
}

void StreamNumbers::sort() { std::ranges::sort(frames_); }

std::optional<std::uint64_t> StreamNumbers::of(std::uint64_t first_frame) const {
  const auto place = std::ranges::lower_bound(frames_, first_frame);
  if (too_many_ || place == frames_.end() || *place != first_frame) return std::nullopt;
  return static_cast<std::uint64_t>(place - frames_.begin());
}

}  // namespace tcpwhy::scan
