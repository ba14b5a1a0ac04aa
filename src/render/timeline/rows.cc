#include "render/timeline/rows.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <utility>

#include "base/language.h"
#include "base/text.h"
#include "base/units.h"
#include "calls/spelling/address_text.h"
#include "explain/rules/ending.h"
#include "explain/texts/catalogue.h"
#include "explain/texts/drop_reasons.h"
#include "render/timeline/words.h"

namespace tcpwhy::render {
namespace {

using base::Language;
using timeline::Call;
using timeline::Entry;
using timeline::EntryKind;
using timeline::listener;
using timeline::opener;
using timeline::other;
using timeline::Segment;
using timeline::Timeline;
using timeline::Trigger;

class RowMaker {
 public:
  RowMaker(const Timeline& timeline, const EntriesByConnection& index, Language language,
           std::optional<ConnectionIndex> only, const std::set<EventId>* kept = nullptr)
      : timeline_(timeline), index_(index), language_(language), only_(only), kept_(kept) {}

  Rows make() {
    choose_ends();
    const auto show = [this](const Entry& entry) {
      if (is_shown(entry)) entries_.push_back(&entry);
    };
    if (only_) {
      note_connection(*only_);
      std::ranges::sort(told_);
      for (const Entry* entry : index_.of(*only_)) show(*entry);
    } else {
      for (ConnectionIndex i = 0; i < timeline_.connections.size(); ++i) note_connection(i);
      std::ranges::sort(told_);
      std::ranges::for_each(timeline_.entries, show);
    }
    if (!entries_.empty())
      origin_ = only_ ? timeline_.time_of(entries_.front()->event) : timeline_.recording->events.front().at;
    for (std::size_t i = 0; i < entries_.size(); ++i) add(i);
    complete_row();
    name_causes();
    return std::move(rows_);
  }

 private:
  // The columns: the ends of the first connection, or the first two actors.
  void choose_ends() {
    if (!timeline_.connections.empty()) {
      const auto& sides = timeline_.connections[only_.value_or(0)].sides;
      for (const Side side : {opener, listener}) rows_.ends[side] = sides[side].name;
    } else {
      const auto& actors = timeline_.recording->actors;
      if (!actors.empty()) rows_.ends[listener] = actors[0].name;
      if (actors.size() > 1) rows_.ends[opener] = actors[1].name;
    }
  }

  Row& push(const Entry& entry, RowKind kind) {
    complete_row();
    Row row;
    row.number = ++last_number_;
    row.at = timeline_.time_of(entry.event) - origin_;
    row.kind = kind;
    row.connection = entry.connection;
    row.events = {entry.event};
    for (const Side side : {opener, listener}) row.inside_call[side] = open_calls_[side] > 0;
    rows_.numbers.add(entry.event, row.number);
    rows_.rows.push_back(std::move(row));
    return rows_.rows.back();
  }

  [[nodiscard]] bool stays(const Row& row) const {
    return row.kind == RowKind::failure || row.kind == RowKind::loss ||
           std::ranges::any_of(row.events, [&](EventId event) { return kept_->contains(event); });
  }

  // What was pushed last is whole now.
  void complete_row() {
    if (rows_.rows.empty()) return;
    find_opening_end(rows_.rows.back());
    if (kept_ != nullptr) fold_before();
  }

  // The latest row joins the fold of those before it, or begins one with them.
  void fold_before() {
    constexpr std::size_t worth_folding = 3;
    if (stays(rows_.rows.back())) {
      foldable_ = 0;
      return;
    }
    if (!segment_rows_.empty() && segment_rows_.back().first == rows_.rows.back().number) segment_rows_.pop_back();
    if (++foldable_ < worth_folding) return;
    if (foldable_ == worth_folding) {
      rows_.rows.resize(rows_.rows.size() - worth_folding + 1);
      Row fold;
      fold.number = rows_.rows.back().number, fold.at = rows_.rows.back().at;
      fold.kind = RowKind::folded;
      rows_.rows.back() = std::move(fold);
    } else {
      rows_.rows.pop_back();
    }
    Row& fold = rows_.rows.back();
    fold.text = fmt::format(fmt::runtime(word(Word::rows_folded, language_)), fold.number, last_number_);
  }

  void add(std::size_t index) {
    const Entry& entry = *entries_[index];
    switch (entry.kind) {
      case EntryKind::call_entered: return add_call(index);
      case EntryKind::call_returned: return add_return(entry);
      case EntryKind::departed:
      case EntryKind::arrived: return add_segment(entry);
      case EntryKind::other: return add_other(entry);
    }
  }

  // --- Calls ---------------------------------------------------------------------------------------------------

  [[nodiscard]] bool is_shown(const Entry& entry) const {
    if (only_ && entry.connection != only_ && !concerns_it(entry)) return false;
    if (entry.kind != EntryKind::other) return true;
    const auto& what = timeline_.event(entry.event).what;
    if (std::holds_alternative<recording::CounterMoved>(what) || std::holds_alternative<recording::Packet>(what) ||
        std::ranges::binary_search(told_, entry.event))
      return false;
    // Without packets it is the only word on the segment.
    if (std::holds_alternative<recording::SegmentCause>(what))
      return entry.connection && timeline_.connections[*entry.connection].without_packets();
    if (const auto* error = std::get_if<recording::SocketError>(&what)) return error->error != 0 && !reset_tells(entry);
    if (std::holds_alternative<recording::SocketState>(what)) return changes_state(entry);
    // Where no tap saw the segment, this is the only word on it.
    if (const auto* drop = std::get_if<recording::SegmentDropped>(&what))
      return entry.connection && explain::is_loss(drop->reason) &&
             (drop->sent || timeline_.connections[*entry.connection].without_packets());
    return true;
  }

  // What belongs to the story of the one connection though it is not of it: the listen() of its port, signals in its calls, the
  // ends of its processes, what was lost meanwhile.
  [[nodiscard]] bool concerns_it(const Entry& entry) const {
    const auto& connection = timeline_.connections[*only_];
    const auto& event = timeline_.event(entry.event);
    const auto& actors = connection.sides;
    const auto is_of = [&](Side side) { return std::ranges::count(actors[side].actors, event.actor) > 0; };
    const bool meanwhile = event.at >= connection.began && event.at <= connection.ended;
    if (entry.kind == EntryKind::call_entered || entry.kind == EntryKind::call_returned) {
      const auto& entered = timeline_.entered(timeline_.calls[entry.index]);
      return calls::effect_of(entered.name) == calls::Effect::listens && is_of(listener) && entered.local &&
             event.at <= connection.ended && entered.local->port == actors[listener].address.port;
    }
    if (const auto* signal = std::get_if<recording::Signal>(&event.what))
      return (is_of(opener) || is_of(listener)) && (signal->call ? calls_of_it().contains(*signal->call) : meanwhile);
    if (std::holds_alternative<recording::ProcessEnded>(event.what))
      return (is_of(opener) || is_of(listener)) && event.at >= connection.began;
    return std::holds_alternative<recording::Loss>(event.what) && meanwhile;
  }

  [[nodiscard]] const std::set<std::uint32_t>& calls_of_it() const {
    if (calls_of_it_.empty())
      for (const auto c : timeline_.connections[*only_].calls) calls_of_it_.insert(timeline_.calls[c].number);
    return calls_of_it_;
  }

  // The error of a reset that a row shows arriving says nothing more.
  [[nodiscard]] bool reset_tells(const Entry& entry) const {
    if (!entry.connection || !entry.side) return false;
    constexpr base::Duration near = std::chrono::milliseconds(20);
    const auto at = timeline_.time_of(entry.event);
    const auto arrived = resets_arrived_[*entry.side].find(*entry.connection);
    if (arrived == resets_arrived_[*entry.side].end()) return false;
    const auto first = std::ranges::upper_bound(arrived->second, at - near);
    return first != arrived->second.end() && *first < at + near;
  }

  [[nodiscard]] bool changes_state(const Entry& entry) const {
    return entry.connection && changing_.contains({*entry.connection, entry.event});
  }

  // What the two above are asked of: the connections that are shown.
  void note_connection(ConnectionIndex index) {
    const auto& connection = timeline_.connections[index];
    for (const auto& change : connection.changes) changing_.emplace(std::pair(index, change.event), &change);
    timeline::PerSide<std::vector<base::WallTime>> arrived;
    for (const auto s : connection.segments) {
      const Segment& segment = timeline_.segments[s];
      told_.insert(told_.end(), segment.kernel.begin(), segment.kernel.end());
      if (segment.tcp.flags.rst() && segment.arrived)
        arrived[other(segment.from)].push_back(timeline_.time_of(*segment.arrived));
    }
    for (const Side side : {opener, listener}) {
      std::ranges::sort(arrived[side]);
      resets_arrived_[side].emplace(index, std::move(arrived[side]));
    }
  }

  // The call's return, if no other row comes between.
  [[nodiscard]] bool returns_next(std::size_t index) const {
    const Call& call = timeline_.calls[entries_[index]->index];
    return call.returned && index + 1 < entries_.size() && entries_[index + 1]->event == *call.returned;
  }

  void place(Row& row, timeline::ActorId actor, std::optional<Side> side) {
    const auto& actors = timeline_.recording->actors;
    const std::string name = actor.value < actors.size() ? actors[actor.value].name : "";
    if (!side) {
      if (name == rows_.ends[listener])
        side = listener;
      else if (name == rows_.ends[opener])
        side = opener;
      else
        side = index_.is_listener_like(actor) ? listener : opener;
    }
    row.side = side;
    if (name != rows_.ends[*side]) row.actor = base::escape_controls(explain::end_name(name, language_));
  }

  void add_call(std::size_t index) {
    const Entry& entry = *entries_[index];
    const Call& call = timeline_.calls[entry.index];
    const bool whole = returns_next(index);
    Row& row = push(entry, whole ? RowKind::call : RowKind::call_enters);
    place(row, call.actor, call.connection ? std::optional(call.side) : std::nullopt);
    const auto& entered = timeline_.entered(call);
    rows_of_lines_[entered.step_line] = row.number;
    row.stack = base::escape_controls(entered.stack);
    row.opens = is_of_the_opening(call);
    row.failed = whole && timeline_.returned(call)->result < 0;
    if (whole) {
      row.text =
          calls::with_short_addresses(base::escape_controls(recording::call_line(entered, timeline_.returned(call))));
      row.events.push_back(*call.returned);
      rows_.numbers.add(*call.returned, row.number);
      merged_ = entry.index;
    } else {
      row.text = calls::with_short_addresses(
                     base::escape_controls(through(entered) + entered.name + "(" + entered.arguments)) +
                 ") ...";
      if (call.returned) ++open_calls_[*row.side];
    }
  }

  static std::string through(const recording::CallEntered& entered) {
    return entered.through.empty() ? "" : entered.through + ": ";
  }

  void add_return(const Entry& entry) {
    if (merged_ == entry.index) return;
    const Call& call = timeline_.calls[entry.index];
    const auto& entered = timeline_.entered(call);
    Row& row = push(entry, RowKind::call_returns);
    place(row, call.actor, call.connection ? std::optional(call.side) : std::nullopt);
    row.inside_call[*row.side] = false;
    if (open_calls_[*row.side] > 0) --open_calls_[*row.side];
    row.opens = is_of_the_opening(call);
    row.text = "... " + base::escape_controls(through(entered) + entered.name) + "(";
    const auto* returned = timeline_.returned(call);
    if (!returned->detail.empty()) row.text += calls::with_short_addresses(base::escape_controls(returned->detail));
    row.text += ")" + recording::call_result(entered, *returned);
    row.failed = returned->result < 0;
  }

  // --- Segments ------------------------------------------------------------------------------------------------

  void add_segment(const Entry& entry) {
    const Segment& segment = timeline_.segments[entry.index];
    const bool arrives = entry.kind == EntryKind::arrived;
    const bool one_moment = segment.arrived && *segment.arrived == segment.departed;
    Row& row = push(entry, one_moment ? RowKind::segment : arrives ? RowKind::arrival : RowKind::departure);
    row.side = segment.from;
    row.text = segment_words(segment);
    row.opens = segment.tcp.flags == wire::TcpFlags{wire::TcpFlags::ack_bit} && segment.seq == 1 && segment.ack == 1 &&
                segment.tcp.payload_length == 0;
    const auto& who = timeline_.connections[segment.connection].sides[opener].name;
    if (who != rows_.ends[opener]) row.actor = base::escape_controls(explain::end_name(who, language_));
    for (const Side side : {opener, listener}) row.states[side].state = entry.states[side];
    for (const auto* change : {&segment.sender_change, &segment.receiver_change})
      if (*change && (*change)->event == entry.event)
        row.states[(*change)->side] = {(*change)->to, true, (*change)->sampled.has_value()};
    if (!arrives) {
      row.grade = segment.cause.grade;
      segment_rows_.emplace_back(row.number, entry.index);
    }
  }

  // --- The rest ------------------------------------------------------------------------------------------------

  // Kernel events have a side, but nobody who did them.
  void add_kernel(const Entry& entry, std::string text) {
    Row& row = push(entry, RowKind::kernel);
    row.side = entry.side;
    row.text = base::escape_controls(text);
    row.grade = Grade::observed;
  }

  [[nodiscard]] static std::string bracketed(const std::string& reason) {
    return reason.empty() ? "" : fmt::format(" ({})", reason);
  }

  void add_other(const Entry& entry) {
    const auto& event = timeline_.event(entry.event);
    const auto message = [&] { return base::escape_controls(recording::message(*timeline_.recording, event)); };
    const auto add_row = [&](RowKind kind, std::string text) -> Row& {
      Row& row = push(entry, kind);
      row.text = std::move(text);
      if (event.actor.valid()) place(row, event.actor, std::nullopt);
      return row;
    };
    if (std::holds_alternative<recording::Signal>(event.what)) {
      add_row(RowKind::signal, message());
    } else if (const auto* ended = std::get_if<recording::ProcessEnded>(&event.what)) {
      // An experiment's agents are ended so.
      if (ended->signal != "SIGKILL" || ended->call || timeline_.recording->provenance.scenario.empty())
        add_row(RowKind::process_end, message());
    } else if (const auto* note = std::get_if<recording::Note>(&event.what)) {
      if (Row* row = row_of_line(note->step_line))
        row->comment = note_text(*note, "comment");
      else
        add_row(RowKind::note, note_text(*note, "note"));
    } else if (const auto* failed = std::get_if<recording::ExpectationFailed>(&event.what)) {
      add_row(RowKind::failure,
              fmt::format(fmt::runtime(word(Word::expected_but, language_)), base::escape_controls(failed->expected),
                          base::escape_controls(failed->actual), failed->step_line));
    } else if (std::holds_alternative<recording::Loss>(event.what)) {
      add_row(RowKind::loss, message());
    } else if (const auto* repeated = std::get_if<recording::CallsRepeated>(&event.what)) {
      Row& row = push(entry, RowKind::folded);
      row.text = fmt::format(fmt::runtime(word(Word::calls_repeated, language_)), base::grouped(repeated->count),
                             base::in_words(event.at - repeated->since));
    } else if (std::holds_alternative<recording::SocketState>(event.what)) {
      add_state(entry);
    } else if (const auto* cause = std::get_if<recording::SegmentCause>(&event.what)) {
      add_kernel(entry, fmt::format(fmt::runtime(word(Word::segment_left, language_)),
                                    fmt::format("[{}]{}", cause->flags,
                                                cause->length == 0 ? "" : fmt::format(" ({})", cause->length)),
                                    unseen_cause_words(*cause, *entry.connection, entry.side)));
    } else if (const auto* reset = std::get_if<recording::Reset>(&event.what)) {
      add_kernel(entry,
                 fmt::format(fmt::runtime(word(reset->sent ? Word::reset_sent : Word::reset_received, language_)),
                             bracketed(reset->reason)));
    } else if (const auto* drop = std::get_if<recording::SegmentDropped>(&event.what)) {
      add_kernel(entry,
                 fmt::format(fmt::runtime(word(drop->sent ? Word::dropped_leaving : Word::dropped_arriving, language_)),
                             fmt::format("[{}]", drop->flags), base::escape_controls(drop->reason)));
    } else if (const auto* error = std::get_if<recording::SocketError>(&event.what)) {
      add_kernel(entry,
                 fmt::format(fmt::runtime(word(Word::socket_error, language_)), explain::error_words(error->error)));
    }
  }

  // Of a segment that no tap saw: its trigger, by the kernel's word.
  [[nodiscard]] std::string unseen_cause_words(const recording::SegmentCause& kernel, ConnectionIndex connection,
                                               std::optional<Side> side) const {
    Segment unseen;
    unseen.connection = connection;
    unseen.from = side.value_or(opener);
    unseen.cause.trigger = kernel.trigger;
    unseen.cause.timer = timeline::timer_of_kernel_cause(kernel.name);
    if (kernel.call) unseen.cause.by = index_.entry_of_call(*kernel.call);
    std::string text = trigger_words(unseen);
    if (const auto more = kernel_cause_words(kernel.name, language_);
        more && !more->empty() && kernel.name != "unknown")
      text += fmt::format(" ({})", *more);
    return text;
  }

  // The scenario's words in the reader's language: the labels hold "note.zh.17" for line 17.
  [[nodiscard]] std::string note_text(const recording::Note& note, std::string_view kind) const {
    if (language_ == Language::zh) {
      const auto& labels = timeline_.recording->provenance.labels;
      const auto zh = labels.find(fmt::format("{}.zh.{}", kind, note.step_line));
      if (zh != labels.end()) return base::escape_controls(zh->second);
    }
    return base::escape_controls(note.text);
  }

  // The latest row of a call that this line of the scenario made.
  Row* row_of_line(std::uint32_t line) {
    if (line == 0) return nullptr;
    const auto row = rows_of_lines_.find(line);
    return row == rows_of_lines_.end() ? nullptr : rows_.row_numbered(row->second);
  }

  // A state that no segment's row shows: without packets each; else a socket that the kernel forgot or gave up.
  void add_state(const Entry& entry) {
    if (!entry.connection) return;
    const auto& connection = timeline_.connections[*entry.connection];
    const auto [first, last] = changing_.equal_range({*entry.connection, entry.event});
    for (auto it = first; it != last; ++it) {
      const timeline::SideChange& change = *it->second;
      Row& row = push(entry, RowKind::state);
      row.side = change.side;
      row.grade = Grade::observed;
      const bool told_plainly = connection.without_packets() || change.from == tcp::State::syn_sent;
      const auto what = told_plainly ? Word::state_moved
                        : change.to == tcp::State::closed &&
                                (change.from == tcp::State::established || change.from == tcp::State::close_wait)
                            ? Word::given_up
                            : Word::forgotten;
      row.text = fmt::format(fmt::runtime(word(what, language_)), tcp::name(change.from), tcp::name(change.to));
    }
  }

  // --- Afterwards ----------------------------------------------------------------------------------------------

  void find_opening_end(const Row& row) {
    if (rows_.opening_ends != 0) return;
    const bool established =
        row.states[opener].state == tcp::State::established && row.states[listener].state == tcp::State::established;
    stood_ = stood_ || established;
    if (stood_ && !row.opens) rows_.opening_ends = row.number - 1;
  }

  static bool is_of_the_opening(const Call& call) {
    using calls::Effect;
    switch (call.meaning.effect) {
      case Effect::makes_socket:
      case Effect::binds:
      case Effect::listens:
      case Effect::connects:
      case Effect::accepts: return true;
      case Effect::sets_option: return !call.meaning.is_option(SOL_SOCKET, SO_LINGER);
      default: return false;
    }
  }

  void name_causes() {
    for (const auto& [number, segment] : segment_rows_)
      if (Row* row = rows_.row_numbered(number); row->kind != RowKind::folded)
        row->cause = cause_words(timeline_.segments[segment]);
  }

  [[nodiscard]] std::string cause_words(const Segment& segment) const {
    std::string text = trigger_words(segment);
    std::string more = details(segment);
    if (!more.empty()) text += fmt::format(" ({})", more);
    if (const std::string lost = drop_words(segment); !lost.empty()) text += "; " + lost;
    return text;
  }

  // What the kernel says beyond the trigger: "data unread; TCP_ABORT_ON_CLOSE".
  [[nodiscard]] std::string details(const Segment& segment) const {
    std::string text;
    const auto add = [&](std::string_view detail) {
      if (!detail.empty()) text += (text.empty() ? "" : "; ") + base::escape_controls(detail);
    };
    const bool known = segment.cause.trigger != Trigger::unknown;
    if (segment.cause.kernel && known)
      add(kernel_cause_words(segment.cause.kernel_name, language_).value_or(segment.cause.kernel_name));
    for (const EventId id : segment.kernel)
      if (const auto* reset = std::get_if<recording::Reset>(&timeline_.event(id).what); reset != nullptr && reset->sent)
        add(reset->reason);
    return text;
  }

  // Every segment is freed in the end: only reasons that say that it was refused are news.
  [[nodiscard]] std::string drop_words(const Segment& segment) const {
    for (const EventId id : segment.kernel) {
      const auto* drop = std::get_if<recording::SegmentDropped>(&timeline_.event(id).what);
      if (drop == nullptr || !explain::is_loss(drop->reason)) continue;
      return fmt::format(fmt::runtime(word(Word::dropped, language_)), base::escape_controls(drop->reason));
    }
    return {};
  }

  [[nodiscard]] std::string trigger_words(const Segment& segment) const {
    const auto& cause = segment.cause;
    const auto row = cause.by ? rows_.numbers.of(*cause.by) : std::nullopt;
    const std::string number = row ? fmt::format("{}", *row) : "";
    switch (cause.trigger) {
      case Trigger::call: {
        const auto& side = timeline_.connections[segment.connection].sides[segment.from];
        if (!cause.by || number.empty())
          return fmt::format(fmt::runtime(word(Word::because_call_elsewhere, language_)),
                             base::escape_controls(explain::end_name(side.name, language_)));
        const auto* entered = std::get_if<recording::CallEntered>(&timeline_.event(*cause.by).what);
        const std::string name = entered != nullptr ? base::escape_controls(entered->name) + "()" : "?";
        const auto& actors = timeline_.recording->actors;
        const auto actor = timeline_.event(*cause.by).actor;
        const auto& who = actor.value < actors.size() ? actors[actor.value].name : side.name;
        return fmt::format(fmt::runtime(word(Word::because_call, language_)),
                           base::escape_controls(explain::end_name(who, language_)), name, number);
      }
      case Trigger::segment:
        if (number.empty()) return std::string(word(Word::because_segment_elsewhere, language_));
        return fmt::format(fmt::runtime(word(Word::because_segment, language_)), number);
      case Trigger::process_end: {
        const auto ender = explain::ender_of(timeline_, segment);
        if (ender.who == explain::Ender::Who::owner) return std::string(word(Word::because_exit, language_));
        if (ender.who == explain::Ender::Who::thread) return std::string(word(Word::because_thread_exit, language_));
        if (ender.who == explain::Ender::Who::not_known) return std::string(word(Word::because_other_exit, language_));
        return fmt::format(fmt::runtime(word(Word::because_exit_of, language_)), base::escape_controls(ender.name));
      }
      case Trigger::timer: {
        const auto timer = timer_words(cause.timer, language_);
        return number.empty() ? std::string(timer)
                              : fmt::format(fmt::runtime(word(Word::because_timer, language_)), timer, number);
      }
      case Trigger::unknown: break;
    }
    return std::string(word(Word::because_unknown, language_));
  }

  const Timeline& timeline_;
  const EntriesByConnection& index_;
  Language language_;
  std::optional<ConnectionIndex> only_;
  std::vector<const Entry*> entries_;
  base::WallTime origin_;
  std::vector<EventId> told_;  // kernel events that their segment's row tells, in order
  std::multimap<std::pair<ConnectionIndex, EventId>, const timeline::SideChange*> changing_;
  // By the side that they reached.
  timeline::PerSide<std::map<ConnectionIndex, std::vector<base::WallTime>>> resets_arrived_;
  mutable std::set<std::uint32_t> calls_of_it_;
  std::map<std::uint32_t, std::uint32_t> rows_of_lines_;  // of the scenario: the number of the latest call's
  Rows rows_;
  timeline::PerSide<int> open_calls_;
  std::optional<timeline::CallIndex> merged_;  // whose return, the next entry, its row tells
  std::vector<std::pair<std::uint32_t, timeline::SegmentIndex>> segment_rows_;  // by number
  const std::set<EventId>* kept_;
  std::size_t foldable_ = 0;  // rows before, one behind the other
  std::uint32_t last_number_ = 0;
  bool stood_ = false;
};

}  // namespace

std::optional<std::uint32_t> Rows::Numbers::of(EventId event) const {
  if (!std::exchange(sorted_, true)) std::ranges::stable_sort(pairs_, {}, &Pair::event);
  const auto behind = std::ranges::upper_bound(pairs_, event, {}, &Pair::event);
  if (behind == pairs_.begin() || std::prev(behind)->event != event) return std::nullopt;
  return std::prev(behind)->row;
}

Row* Rows::row_numbered(std::uint32_t number) {
  const auto behind = std::ranges::upper_bound(rows, number, {}, &Row::number);
  return behind == rows.begin() ? nullptr : &*std::prev(behind);
}

const Row* Rows::row_of(EventId event) const {
  const auto number = numbers.of(event);
  const auto behind = std::ranges::upper_bound(rows, number.value_or(0), {}, &Row::number);
  return behind == rows.begin() ? nullptr : &*std::prev(behind);
}

std::string Rows::rows_of(const std::vector<EventId>& events) const {
  std::set<std::uint32_t> cited;
  for (const EventId event : events)
    if (const auto number = numbers.of(event)) cited.insert(*number);
  std::string text;
  for (auto it = cited.begin(); it != cited.end();) {
    auto last = it;
    while (std::next(last) != cited.end() && *std::next(last) == *last + 1) ++last;
    if (!text.empty()) text += ", ";
    text += last == it              ? fmt::format("{}", *it)
            : std::next(it) == last ? fmt::format("{}, {}", *it, *last)
                                    : fmt::format("{}–{}", *it, *last);
    it = std::next(last);
  }
  return text;
}

EntriesByConnection::EntriesByConnection(const Timeline& timeline)
    : timeline_(timeline), own_(timeline.connections.size()) {
  std::unordered_map<std::uint32_t, std::optional<ConnectionIndex>> connection_of;
  for (const Call& call : timeline.calls) {
    calls_[call.number] = call.entered;
    connection_of[call.number] = call.connection;
    if (call.meaning.effect == calls::Effect::listens || call.side == listener) listener_like_.insert(call.actor.value);
  }
  for (std::uint32_t i = 0; i < timeline.entries.size(); ++i) {
    const Entry& entry = timeline.entries[i];
    std::optional<ConnectionIndex> owner = entry.connection;
    if (const auto* signal = std::get_if<recording::Signal>(&timeline.event(entry.event).what))
      if (signal->call)
        if (const auto call = connection_of.find(*signal->call); call != connection_of.end()) owner = call->second;
    if (!share(i) && owner) own_[*owner].push_back(i);
  }
  listens_.sort(), signals_.sort(), ends_.sort(), losses_.sort();
}

// A listen() is the story of each connection of its port; signals outside of calls, ends of processes and losses that of all that
// stood meanwhile. False: the entry is nothing of the kind.
bool EntriesByConnection::share(std::uint32_t index) {
  const Entry& entry = timeline_.entries[index];
  const auto& event = timeline_.event(entry.event);
  if (entry.kind == EntryKind::call_entered || entry.kind == EntryKind::call_returned) {
    const Call& call = timeline_.calls[entry.index];
    if (call.meaning.effect != calls::Effect::listens) return false;
    const auto& entered = timeline_.entered(call);
    if (entered.local) listens_.add(entered.local->port, index);
    return true;
  }
  if (entry.kind != EntryKind::other) return false;
  if (const auto* signal = std::get_if<recording::Signal>(&event.what)) {
    if (signal->call) return false;
    signals_.add(event.actor, index);
  } else if (std::holds_alternative<recording::ProcessEnded>(event.what)) {
    ends_.add(event.actor, index);
  } else if (std::holds_alternative<recording::Loss>(event.what)) {
    losses_.add({}, index);
  } else {
    return false;
  }
  return true;
}

void EntriesByConnection::add_meanwhile(std::span<const Shared::Pair> shared, ConnectionIndex connection,
                                        std::vector<std::uint32_t>& all) const {
  const auto& stood = timeline_.connections[connection];
  const auto at = [&](const Shared::Pair& pair) { return timeline_.time_of(timeline_.entries[pair.value].event); };
  const auto first = std::ranges::lower_bound(shared, stood.began, {}, at);
  const auto last = std::ranges::upper_bound(first, shared.end(), stood.ended, {}, at);
  for (auto it = first; it != last; ++it) all.push_back(it->value);
}

std::vector<const Entry*> EntriesByConnection::of(ConnectionIndex connection) const {
  const auto& sides = timeline_.connections[connection].sides;
  std::vector<std::uint32_t> all = own_[connection];
  for (const auto& listen : listens_.of(sides[listener].address.port)) all.push_back(listen.value);
  std::set<timeline::ActorId> actors;
  for (const auto& side : sides) actors.insert(side.actors.begin(), side.actors.end());
  for (const auto actor : actors) {
    add_meanwhile(signals_.of(actor), connection, all);
    for (const auto& end : ends_.of(actor)) all.push_back(end.value);
  }
  add_meanwhile(losses_.of({}), connection, all);
  std::ranges::sort(all);
  std::vector<const Entry*> entries;
  for (const auto i : all) entries.push_back(&timeline_.entries[i]);
  return entries;
}

std::optional<EventId> EntriesByConnection::entry_of_call(std::uint32_t number) const {
  const auto found = calls_.find(number);
  return found == calls_.end() ? std::nullopt : std::optional(found->second);
}

Rows make_rows(const Timeline& timeline, Language language) {
  return RowMaker(timeline, EntriesByConnection(timeline), language, {}).make();
}

Rows make_rows_of(const Timeline& timeline, const EntriesByConnection& entries, ConnectionIndex connection,
                  Language language, const std::set<EventId>* kept) {
  return RowMaker(timeline, entries, language, connection, kept).make();
}

}  // namespace tcpwhy::render
