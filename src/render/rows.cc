#include "render/rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/text.h"
#include "explain/catalogue.h"
#include "render/words.h"

namespace tcpwhy::render {
namespace {

using explain::Language;
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
  RowMaker(const Timeline& timeline, Language language) : timeline_(timeline), language_(language) {}

  Rows make() {
    choose_ends();
    for (std::size_t i = 0; i < timeline_.entries.size(); ++i) add(i);
    find_opening_end();
    name_causes();
    return std::move(rows_);
  }

 private:
  // The columns: the ends of the first connection, or the first two actors.
  void choose_ends() {
    if (!timeline_.connections.empty()) {
      const auto& sides = timeline_.connections.front().sides;
      for (const Side side : {opener, listener}) rows_.ends[side] = sides[side].name;
    } else {
      const auto& actors = timeline_.recording->actors;
      for (std::size_t i = 0; i < std::min<std::size_t>(2, actors.size()); ++i) rows_.ends[1 - i] = actors[i].name;
    }
  }

  Row& push(const Entry& entry, RowKind kind) {
    Row row;
    row.number = static_cast<std::uint32_t>(rows_.rows.size() + 1);
    row.at = timeline_.time_of(entry.event) - timeline_.recording->events.front().at;
    row.kind = kind;
    row.connection = entry.connection;
    row.events = {entry.event};
    for (const Side side : {opener, listener}) row.inside_call[side] = open_calls_[side] > 0;
    by_event_[entry.event] = rows_.rows.size();
    rows_.rows.push_back(std::move(row));
    return rows_.rows.back();
  }

  void add(std::size_t index) {
    const Entry& entry = timeline_.entries[index];
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
    if (entry.kind != EntryKind::other) return true;
    const auto& what = timeline_.event(entry.event).what;
    return !std::holds_alternative<recording::SocketState>(what) &&
           !std::holds_alternative<recording::CounterMoved>(what) && !std::holds_alternative<recording::Packet>(what);
  }

  // The call's return, if no other row comes between.
  [[nodiscard]] bool returns_next(std::size_t index) const {
    const Call& call = timeline_.calls[timeline_.entries[index].index];
    if (!call.returned) return false;
    for (std::size_t i = index + 1; i < timeline_.entries.size(); ++i) {
      if (timeline_.entries[i].event == *call.returned) return true;
      if (is_shown(timeline_.entries[i])) return false;
    }
    return false;
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
        side = listener_like(actor) ? listener : opener;
    }
    row.side = side;
    if (name != rows_.ends[*side]) row.actor = base::escape_controls(explain::end_name(name, language_));
  }

  // An actor without a connection (yet): where its calls say it stands.
  [[nodiscard]] bool listener_like(timeline::ActorId actor) const {
    return std::ranges::any_of(timeline_.calls, [&](const Call& call) {
      return call.actor == actor && (timeline_.entered(call).name == "listen" || call.side == listener);
    });
  }

  void add_call(std::size_t index) {
    const Entry& entry = timeline_.entries[index];
    const Call& call = timeline_.calls[entry.index];
    const bool whole = returns_next(index);
    Row& row = push(entry, whole ? RowKind::call : RowKind::call_enters);
    place(row, call.actor, call.connection ? std::optional(call.side) : std::nullopt);
    const auto& entered = timeline_.entered(call);
    if (whole) {
      row.text = short_call(base::escape_controls(recording::call_line(entered, timeline_.returned(call))));
      row.events.push_back(*call.returned);
      by_event_[*call.returned] = rows_.rows.size() - 1;
      merged_.insert(entry.index);
    } else {
      row.text = short_call(base::escape_controls(entered.name + "(" + entered.arguments)) + ") ...";
      if (call.returned) ++open_calls_[*row.side];
    }
  }

  void add_return(const Entry& entry) {
    if (merged_.contains(entry.index)) return;
    const Call& call = timeline_.calls[entry.index];
    const auto& entered = timeline_.entered(call);
    Row& row = push(entry, RowKind::call_returns);
    place(row, call.actor, call.connection ? std::optional(call.side) : std::nullopt);
    row.inside_call[*row.side] = false;
    if (open_calls_[*row.side] > 0) --open_calls_[*row.side];
    const auto whole = base::escape_controls(recording::call_line(entered, timeline_.returned(call)));
    const auto result = whole.rfind(" = ");
    row.text = "... " + base::escape_controls(entered.name) + "(";
    const auto* returned = timeline_.returned(call);
    if (!returned->detail.empty()) row.text += short_call(base::escape_controls(returned->detail));
    row.text += ")" + (result == std::string::npos ? "" : whole.substr(result));
  }

  // --- Segments ------------------------------------------------------------------------------------------------

  void add_segment(const Entry& entry) {
    const Segment& segment = timeline_.segments[entry.index];
    const bool arrives = entry.kind == EntryKind::arrived;
    const bool one_moment = segment.arrived && *segment.arrived == segment.departed;
    Row& row = push(entry, one_moment ? RowKind::segment : arrives ? RowKind::arrival : RowKind::departure);
    row.side = segment.from;
    row.text = segment_words(segment);
    const auto& who = timeline_.connections[segment.connection].sides[opener].name;
    if (who != rows_.ends[opener]) row.actor = base::escape_controls(explain::end_name(who, language_));
    for (const Side side : {opener, listener}) row.states[side].state = entry.states[side];
    for (const auto* change : {&segment.sender_change, &segment.receiver_change})
      if (*change && (*change)->event == entry.event)
        row.states[(*change)->side] = {(*change)->to, true, (*change)->sampled.has_value()};
    if (!arrives) {
      row.grade = segment.cause.grade;
      segment_rows_.emplace_back(rows_.rows.size() - 1, entry.index);
    }
  }

  // --- The rest ------------------------------------------------------------------------------------------------

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
      if (ended->signal != "SIGKILL" || ended->call) add_row(RowKind::process_end, message());
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
    } else if (std::holds_alternative<recording::SocketState>(event.what)) {
      add_forgotten(entry);
    }
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
    for (auto row = rows_.rows.rbegin(); row != rows_.rows.rend(); ++row) {
      const auto* entered = std::get_if<recording::CallEntered>(&timeline_.event(row->events.front()).what);
      if (entered != nullptr && entered->step_line == line) return &*row;
    }
    return nullptr;
  }

  // A socket that the kernel forgot without a segment.
  void add_forgotten(const Entry& entry) {
    if (!entry.connection) return;
    for (const auto& change : timeline_.connections[*entry.connection].changes) {
      if (change.event != entry.event) continue;
      Row& row = push(entry, RowKind::state);
      row.side = change.side;
      row.text = fmt::format(fmt::runtime(word(Word::forgotten, language_)), tcp::name(change.from));
      row.grade = Grade::observed;
    }
  }

  // --- Afterwards ----------------------------------------------------------------------------------------------

  void find_opening_end() {
    bool stood = false;
    for (const Row& row : rows_.rows) {
      const bool established =
          row.states[opener].state == tcp::State::established && row.states[listener].state == tcp::State::established;
      stood = stood || established;
      const bool opening_call =
          (row.kind == RowKind::call || row.kind == RowKind::call_returns || row.kind == RowKind::call_enters) &&
          is_opening_call(row.text);
      const bool opening_segment =
          row.kind == RowKind::segment || row.kind == RowKind::departure || row.kind == RowKind::arrival;
      if (stood && !opening_call && !(opening_segment && row.text.starts_with("[.] 1 ack 1"))) {
        rows_.opening_ends = row.number - 1;
        return;
      }
    }
  }

  static bool is_opening_call(std::string_view text) {
    if (text.starts_with("... ")) text.remove_prefix(4);
    for (const std::string_view name : {"socket(", "setsockopt(", "bind(", "listen(", "connect(", "accept"})
      if (text.starts_with(name)) return text.find("SO_LINGER") == std::string_view::npos;
    return false;
  }

  void name_causes() {
    for (const auto& [row, segment] : segment_rows_) rows_.rows[row].cause = cause_words(timeline_.segments[segment]);
  }

  [[nodiscard]] std::string cause_words(const Segment& segment) const {
    const auto& cause = segment.cause;
    const auto row = cause.by ? by_event_.find(*cause.by) : by_event_.end();
    const std::string number = row == by_event_.end() ? "" : fmt::format("{}", row->second + 1);
    switch (cause.trigger) {
      case Trigger::call: {
        const auto* entered = std::get_if<recording::CallEntered>(&timeline_.event(*cause.by).what);
        const std::string name = entered != nullptr ? base::escape_controls(entered->name) + "()" : "?";
        const auto& actors = timeline_.recording->actors;
        const auto actor = timeline_.event(*cause.by).actor;
        const auto& who = actor.value < actors.size()
                              ? actors[actor.value].name
                              : timeline_.connections[segment.connection].sides[segment.from].name;
        return fmt::format(fmt::runtime(word(Word::because_call, language_)),
                           base::escape_controls(explain::end_name(who, language_)), name, number);
      }
      case Trigger::segment: return fmt::format(fmt::runtime(word(Word::because_segment, language_)), number);
      case Trigger::process_end: return std::string(word(Word::because_exit, language_));
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
  Language language_;
  Rows rows_;
  std::array<int, 2> open_calls_{};
  std::set<timeline::CallIndex> merged_;
  std::map<EventId, std::size_t> by_event_;
  std::vector<std::pair<std::size_t, timeline::SegmentIndex>> segment_rows_;
};

}  // namespace

const Row* Rows::row_of(EventId event) const {
  for (const Row& row : rows)
    if (std::ranges::find(row.events, event) != row.events.end()) return &row;
  return nullptr;
}

std::string Rows::rows_of(const std::vector<EventId>& events) const {
  std::set<std::uint32_t> numbers;
  for (const EventId event : events)
    if (const Row* row = row_of(event)) numbers.insert(row->number);
  std::string text;
  for (auto it = numbers.begin(); it != numbers.end();) {
    auto last = it;
    while (std::next(last) != numbers.end() && *std::next(last) == *last + 1) ++last;
    if (!text.empty()) text += ", ";
    text += last == it              ? fmt::format("{}", *it)
            : std::next(it) == last ? fmt::format("{}, {}", *it, *last)
                                    : fmt::format("{}–{}", *it, *last);
    it = std::next(last);
  }
  return text;
}

Rows make_rows(const Timeline& timeline, Language language) { return RowMaker(timeline, language).make(); }

}  // namespace tcpwhy::render
