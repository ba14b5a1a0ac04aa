// What an end sent and the capture lacks.
#include <algorithm>

#include "tcp/tracker_step.h"

namespace tcpwhy::tcp {

std::uint64_t End::unseen_bytes() const {
  std::uint64_t sum = trouble().forgotten_gap_bytes;
  for (const Gap& gap : trouble().gaps)
    if (!gap.may_be_before)
      sum += static_cast<std::uint64_t>(std::max<std::int64_t>(0, std::min(gap.end, snd_una) - gap.begin));
  return sum;
}

std::int64_t fill_gaps(std::vector<Gap>& gaps, std::int64_t begin, std::int64_t until, Gap& first) {
  std::int64_t filled = 0;
  for (std::size_t i = 0; i < gaps.size();) {
    Gap& gap = gaps[i];
    const std::int64_t from = std::max(begin, gap.begin), to = std::min(until, gap.end);
    if (from >= to) {
      ++i;
      continue;
    }
    if (filled == 0) first = gap;
    filled += to - from;
    Gap rest = gap;
    rest.begin = to;
    gap.end = from;
    const auto here = gaps.begin() + static_cast<std::ptrdiff_t>(i);
    if (gap.begin == gap.end) {
      if (rest.begin == rest.end) {
        gaps.erase(here);
      } else {
        gap = rest;
        ++i;
      }
    } else {
      if (rest.begin != rest.end && gaps.size() < max_gaps) gaps.insert(here + 1, rest);
      ++i;
    }
  }
  return filled;
}

void open_gap(End& end, const Gap& gap) {
  count_up(end.gaps_seen);
  Trouble& trouble = end.make_trouble();
  if (trouble.gaps.size() >= max_gaps) {  // the oldest is forgotten: what fills it later passes for a retransmission
    const Gap& oldest = trouble.gaps.front();
    if (!oldest.may_be_before)
      trouble.forgotten_gap_bytes +=
          static_cast<std::uint64_t>(std::max<std::int64_t>(0, std::min(oldest.end, end.snd_una) - oldest.begin));
    trouble.forgotten_gaps_end = std::max(trouble.forgotten_gaps_end, oldest.end);
    trouble.gaps.erase(trouble.gaps.begin());
  }
  trouble.gaps.push_back(gap);
}

}  // namespace tcpwhy::tcp
