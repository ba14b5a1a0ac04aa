#include "render/reports/connection_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "base/units.h"
#include "explain/texts/catalogue.h"
#include "explain/texts/wire_words.h"
#include "render/timeline/words.h"

namespace tcpwhy::render {
namespace {

using base::Language;
using tcp::SeenConnection;
using tcp::SeenSegment;
using timeline::listener;
using timeline::opener;

// A run of at least this many rows is folded but for its first ones and its last.
constexpr std::size_t shortest_fold = 6, shown_first = 2, shown_last = 1;
// A pause in ordinary traffic is something to see.
constexpr std::int64_t pause_ns = 200'000'000;

std::string grade_in_brackets(const tcp::Verdict& verdict, Language language) {
  const bool assumed = verdict.has(tcp::mark::assumed);
  // Why a reset was sent is never seen on a wire: how we know belongs to it.
  if (!assumed && verdict.kind != tcp::Kind::reset) return {};
  return fmt::format(" ({})", explain::grade_words(assumed ? Grade::assumed : Grade::derived, language));
}

std::string wire_words(const tcp::Verdict& verdict, Language language) {
  std::string text = explain::segment_in_words(verdict, language);
  if (!text.empty()) text += grade_in_brackets(verdict, language);
  return text;
}

// What makes rows alike enough to be folded; none: it always has a row of its own.
enum class Sort : std::uint8_t { none, traffic, keep_alive, window_probe, same };

Sort sort_of(const SeenSegment& seen) {
  const tcp::Verdict& verdict = seen.verdict;
  const auto& flags = seen.segment.flags;
  if (verdict.sender.happened() || verdict.receiver.happened() || flags.syn() || flags.fin() || flags.rst())
    return Sort::none;
  switch (verdict.kind) {
    case tcp::Kind::data:
    case tcp::Kind::ack:
    case tcp::Kind::window_update: return verdict.marks == 0 ? Sort::traffic : Sort::same;
    case tcp::Kind::keep_alive:
    case tcp::Kind::keep_alive_ack: return Sort::keep_alive;
    case tcp::Kind::window_probe:
    case tcp::Kind::window_probe_ack: return Sort::window_probe;
    default: return Sort::same;
  }
}

bool alike(const SeenSegment& before, const SeenSegment& after) {
  const Sort sort = sort_of(after);
  if (sort == Sort::none || sort != sort_of(before)) return false;
  if (sort == Sort::traffic) return after.at_ns - before.at_ns < pause_ns;
  if (sort != Sort::same) return true;
  const auto& a = before.verdict;
  const auto& b = after.verdict;
  return before.from == after.from && a.kind == b.kind && a.reason == b.reason && a.illegality == b.illegality &&
         a.marks == b.marks;
}

class Maker {
 public:
  Maker(const SeenConnection& seen, const ConnectionRowsOptions& options)
      : seen_(seen), options_(options), opener_(seen.opener()) {
    by_time_.resize(seen.segments.size());
    std::iota(by_time_.begin(), by_time_.end(), std::size_t{0});
    std::ranges::stable_sort(by_time_, {}, [&](std::size_t i) { return seen.segments[i].at_ns; });
  }

  Rows from_segments() {
    rows_.numbered_by_frame = true;
    for (const tcp::EndIndex end : tcp::both_ends) rows_.ends[side_of(end)] = wire::to_string(seen_.ends[end]);
    for (std::size_t i = 0; i < seen_.segments.size(); ++i) {
      Row row;
      row.at = base::Duration(seen_.segments[i].at_ns - seen_.segments.front().at_ns);
      dress(row, i);
      push(std::move(row), i);
    }
    return finish();
  }

  Rows from_timeline(const explain::Explained& explained, timeline::ConnectionIndex connection) {
    const auto& packets = explained.timeline.all<recording::Packet>();
    std::map<EventId, std::size_t> segment_of;
    for (std::size_t i = 0; i < packets.size() && i < by_time_.size(); ++i) segment_of[packets[i]] = by_time_[i];
    Rows made = render::make_rows_of(explained.timeline, EntriesByConnection(explained.timeline), connection,
                                     options_.language);
    rows_.ends = made.ends;
    const auto& sides = explained.timeline.connections[connection].sides;
    opener_ = same_endpoint(sides[opener].address, seen_.ends[tcp::EndIndex::first])
                  ? tcp::EndIndex::first
                  : tcp::EndIndex::second;  // calls may tell it where no SYN does
    std::set<EventId> known;                // departures with a cause
    for (const timeline::Segment& segment : explained.timeline.segments)
      if (segment.cause.trigger != timeline::Trigger::unknown) known.insert(segment.departed);
    for (Row& row : made.rows) {
      const auto found = row.events.empty() ? segment_of.end() : segment_of.find(row.events.front());
      if (found == segment_of.end()) {
        push(std::move(row), no_segment);
        continue;
      }
      const bool told = row.side && !sides[*row.side].actors.empty() && known.contains(row.events.front());
      if (!told) {
        row.cause.clear();
        row.grade.reset();
      }
      dress(row, found->second);
      push(std::move(row), found->second);
    }
    return finish();
  }

 private:
  static constexpr std::size_t no_segment = SIZE_MAX;

  [[nodiscard]] Side side_of(tcp::EndIndex end) const { return end == opener_ ? opener : listener; }

  // What the tracker says of the segment.
  void dress(Row& row, std::size_t index) const {
    const SeenSegment& segment = seen_.segments[index];
    row.kind = RowKind::segment;
    row.side = side_of(segment.from);
    row.frame = segment.frame;
    row.text = segment_words(segment.segment, segment.verdict.seq, segment.ack);
    if (index > 0) row.since = base::Duration(segment.at_ns - seen_.segments[index - 1].at_ns);
    row.wire = wire_words(segment.verdict, options_.language);
    for (const tcp::EndIndex end : tcp::both_ends) {
      const auto& move = end == segment.from ? segment.verdict.sender : segment.verdict.receiver;
      row.states[side_of(end)] = {segment.states[end], move.happened(), false};
    }
  }

  void push(Row row, std::size_t index) {
    row.number = static_cast<std::uint32_t>(++count_);
    const bool goes_on = index != no_segment && !run_.empty() && run_.back().index + 1 == index &&
                         !is_cut_before(index) && alike(seen_.segments[run_.back().index], seen_.segments[index]);
    if (!goes_on) flush();
    if (index != no_segment && is_cut_before(index)) left_out(row);
    run_.push_back({std::move(row), index});
    if (index == no_segment || options_.all) flush();
  }

  [[nodiscard]] bool is_cut_before(std::size_t index) const {
    return seen_.left_out > 0 && index == seen_.left_out_before;
  }

  void left_out(const Row& before) {
    Row row;
    row.number = before.number;
    row.kind = RowKind::folded;
    row.at = before.at;
    row.since = base::Duration(0);
    row.text = fmt::format(fmt::runtime(word(Word::left_out, options_.language)), base::grouped(seen_.left_out));
    rows_.rows.push_back(std::move(row));
  }

  void add(Row row) {
    for (const EventId event : row.events) rows_.numbers.add(event, row.number);
    rows_.rows.push_back(std::move(row));
  }

  void flush() {
    const bool fold = run_.size() >= shortest_fold;
    for (std::size_t i = 0; i < run_.size(); ++i) {
      const bool inside = fold && i >= shown_first && i + shown_last < run_.size();
      if (!inside) add(std::move(run_[i].row));
      if (inside && i == shown_first) add(folded(i, run_.size() - shown_last));
    }
    run_.clear();
  }

  [[nodiscard]] Row folded(std::size_t begin, std::size_t end) const {
    Row row;
    row.number = run_[begin].row.number;
    row.kind = RowKind::folded;
    row.at = run_[end - 1].row.at;
    row.since = base::Duration(0);
    row.inside_call = run_[begin].row.inside_call;
    timeline::PerSide<std::uint64_t> bytes;
    for (std::size_t i = begin; i < end; ++i) {
      const SeenSegment& segment = seen_.segments[run_[i].index];
      bytes[side_of(segment.from)] += segment.segment.payload_length;
      for (const EventId event : run_[i].row.events) row.events.push_back(event);
    }
    const Language language = options_.language;
    std::string what;
    const std::string_view comma = base::Text{", ", "，"}.in(language);
    for (const Side side : {opener, listener})
      if (bytes[side] > 0)
        what +=
            fmt::format("{}{}", comma,
                        fmt::format(fmt::runtime(word(Word::folded_bytes, language)), base::bytes_in_words(bytes[side]),
                                    rows_.ends[side], rows_.ends[timeline::other(side)]));
    if (const std::string& words = run_[begin].row.wire; !words.empty()) what += fmt::format("{}{}", comma, words);
    const auto& first = seen_.segments[run_[begin].index];
    const auto& last = seen_.segments[run_[end - 1].index];
    row.text = fmt::format(fmt::runtime(word(Word::folded, language)), base::grouped(end - begin), what,
                           base::in_words(base::Duration(last.at_ns - first.at_ns)));
    return row;
  }

  Rows finish() {
    flush();
    return std::move(rows_);
  }

  struct Pending {
    Row row;
    std::size_t index;
  };

  const SeenConnection& seen_;
  const ConnectionRowsOptions& options_;
  tcp::EndIndex opener_;
  std::vector<std::size_t> by_time_;  // the segments in order of time
  std::vector<Pending> run_;
  std::size_t count_ = 0;
  Rows rows_;
};

}  // namespace

Rows make_rows_of(const SeenConnection& seen, const ConnectionRowsOptions& options) {
  return Maker(seen, options).from_segments();
}

Rows make_rows_of(const SeenConnection& seen, const explain::Explained& explained, timeline::ConnectionIndex connection,
                  const ConnectionRowsOptions& options) {
  return Maker(seen, options).from_timeline(explained, connection);
}

}  // namespace tcpwhy::render
