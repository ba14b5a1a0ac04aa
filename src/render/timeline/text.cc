#include "render/timeline/text.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "base/units.h"
#include "explain/texts/catalogue.h"
#include "render/timeline/words.h"

namespace tcpwhy::render {
namespace {

using base::display_width;
using base::fit;
using timeline::listener;
using timeline::opener;

constexpr std::size_t number_width = 3, time_width = 10, state_width = 13;
constexpr std::size_t wide = 120;         // from here on causes have a column
constexpr std::size_t wide_frames = 136;  // the same where the rows are frames: sequence numbers of captures are long
constexpr std::size_t cause_width = 49;
constexpr base::Duration gap_shown = std::chrono::milliseconds(3);

std::string repeat(std::string_view piece, std::size_t times) {
  std::string text;
  for (std::size_t i = 0; i < times; ++i) text += piece;
  return text;
}

class TimelinePrinter {
 public:
  TimelinePrinter(const Rows& rows, const TextOptions& options)
      : rows_(rows),
        options_(options),
        width_(std::max<std::size_t>(options.width, 80)),
        number_width_(number_width_of(rows)),
        time_width_(time_width_of(rows)),
        margin_(number_width_ + time_width_ + 2),
        is_wide_(width_ >= (rows.numbered_by_frame ? wide_frames : wide)),
        body_width_((is_wide_ ? width_ - cause_width : width_) - margin_) {}

  std::string print() {
    heading();
    base::Duration before{};
    for (const Row& row : rows_.rows) {
      if (options_.elide_opening && row.number <= rows_.opening_ends) {
        if (row.number == rows_.opening_ends) elided();
        before = row.at;
        continue;
      }
      // Where each row says since when nothing happened, no gap need be shown.
      if (row.number > 1 && !row.since && row.at - before >= gap_shown) gap(row.at - before, row);
      before = row.at;
      print_row(row);
    }
    return std::move(out_);
  }

 private:
  static std::size_t number_width_of(const Rows& rows) {
    std::uint64_t highest = rows.rows.empty() ? 0 : rows.rows.back().number;
    if (rows.numbered_by_frame)
      for (const Row& row : rows.rows) highest = std::max(highest, row.frame);
    return std::max<std::size_t>(number_width, fmt::formatted_size("{}", highest));
  }
  // A connection of hours needs more than ten columns.
  static std::size_t time_width_of(const Rows& rows) {
    const auto last = rows.rows.empty() ? 0.0 : base::to_ms(rows.rows.back().at);
    return std::max<std::size_t>(time_width, fmt::formatted_size(" {:.3f}", last));
  }

  void line(std::string text) {
    while (!text.empty() && text.back() == ' ') text.pop_back();
    out_ += text + "\n";
  }

  [[nodiscard]] std::string paint(Style style, std::string_view text) const {
    return styled(style, text, options_.color);
  }
  [[nodiscard]] static Style style_of(std::optional<Side> side) {
    return side == listener ? Style::server : Style::client;
  }

  void heading() {
    const auto left = base::escape_controls(explain::end_name(rows_.ends[opener], options_.language));
    const auto right = base::escape_controls(explain::end_name(rows_.ends[listener], options_.language));
    const auto columns =
        paint(Style::dim, base::fit_right("#", number_width_) + base::fit_right("ms", time_width_)) + "  ";
    const auto blank = [&](std::size_t taken) { return std::string(body_width_ - std::min(body_width_, taken), ' '); };
    const auto together = display_width(left) + display_width(right);
    if (together < body_width_) {
      line(columns + paint(Style::client, left) + blank(together) + paint(Style::server, right));
      return;
    }
    // Two long names: a line each.
    line(columns + paint(Style::client, wrap_row(left)));
    line(std::string(margin_, ' ') + blank(display_width(right)) + paint(Style::server, wrap_row(right)));
  }

  void elided() {
    const auto text = fmt::format(fmt::runtime(word(Word::opening_elided, options_.language)), rows_.opening_ends);
    line(std::string(margin_, ' ') + paint(Style::dim, text));
  }

  // Time that passes while nothing happens is part of the story: the delayed-ACK timer is such a gap.
  void gap(base::Duration duration, const Row& row) {
    std::string inside = bars(row);
    line(paint(Style::dim, base::fit_right("", number_width_) + base::fit_right("⋮", time_width_)) + "  " +
         paint(Style::dim, overlay(inside, "⋮ " + base::in_words(duration))));
  }

  [[nodiscard]] std::string prefix(const Row& row) const {
    std::string number = fmt::format("{}", row.number);
    if (rows_.numbered_by_frame) number = row.frame == 0 ? "" : fmt::format("{}", row.frame);
    return paint(Style::dim, base::fit_right(number, number_width_)) +
           base::fit_right(fmt::format("{:.3f}", base::to_ms(row.at)), time_width_) + "  ";
  }

  // The bars of calls in progress, at the outer edges.
  [[nodiscard]] std::string bars(const Row& row) const {
    std::string text = row.inside_call[opener] ? "│" : " ";
    text += std::string(body_width_ - 2, ' ');
    text += row.inside_call[listener] ? "│" : " ";
    return text;
  }

  // `text` centred over the blanks of `background`.
  [[nodiscard]] std::string overlay(const std::string& background, const std::string& text) const {
    const auto columns = display_width(text);
    if (columns + 4 > body_width_) return text;
    const auto left = (body_width_ - columns) / 2;
    const std::string first = background.starts_with("│") ? "│" : " ";
    const std::string last = background.ends_with("│") ? "│" : " ";
    return first + std::string(left - 1, ' ') + text + std::string(body_width_ - left - columns - 1, ' ') + last;
  }

  void print_row(const Row& row) {
    switch (row.kind) {
      case RowKind::segment:
      case RowKind::departure:
      case RowKind::arrival: return print_segment(row);
      case RowKind::failure: return print_wrapped(row, Style::bad, "✗ " + row.text);
      case RowKind::loss: return print_wrapped(row, Style::bad, row.text);
      case RowKind::folded: return print_folded(row);
      case RowKind::note: return print_wrapped(row, Style::dim, "# " + row.text);
      case RowKind::signal:
      case RowKind::process_end: return print_side(row, Style::bad);
      case RowKind::state:
      case RowKind::kernel: return print_side(row, Style::dim);
      case RowKind::call:
      case RowKind::call_enters:
      case RowKind::call_returns: print_side(row, style_of(row.side)); return print_stack(row);
    }
  }

  void print_wrapped(const Row& row, Style style, const std::string& text) {
    out_ += prefix(row) + paint(style, wrap_row(text)) + "\n";
  }

  // Text that begins behind the row's number and time.
  [[nodiscard]] std::string wrap_row(const std::string& text) const {
    return base::wrap(text, margin_, margin_ + 2, width_).substr(margin_);
  }

  // Many rows as one: no number of its own.
  void print_folded(const Row& row) {
    out_ += std::string(margin_, ' ') + paint(Style::dim, wrap_row(row.text)) + "\n";
  }

  // What one end does: the left end from the left edge, the right end up to the right edge.
  void print_side(const Row& row, Style style) {
    std::string text = (row.actor.empty() ? "" : row.actor + ": ") + row.text;
    const bool failed = row.failed;
    // A line that reaches over the whole width no longer shows whose it is: the errno's name says enough.
    if (failed && display_width(text) + state_width > body_width_)
      text = text.substr(0, text.find(" (", text.rfind(" = -1 ")));
    const auto columns = display_width(text);
    const auto painted = paint(failed ? Style::bad : style, text);
    if (columns > body_width_) {
      out_ += prefix(row) + paint(failed ? Style::bad : style, wrap_row(text)) + "\n";
      print_comment_below(row);
      return;
    }
    const auto space = body_width_ - columns;
    const std::string comment = row.comment.empty() ? "" : "# " + row.comment;
    if (!comment.empty() && display_width(comment) + 3 <= space) {
      const std::string blank(space - display_width(comment), ' ');
      const auto dimmed = paint(Style::dim, comment);
      line(prefix(row) + (row.side == listener ? dimmed + blank + painted : painted + blank + dimmed));
      return;
    }
    const std::string fill_left =
        row.inside_call[opener] && space > 0 ? "│" + std::string(space - 1, ' ') : std::string(space, ' ');
    const std::string fill_right = row.inside_call[listener] && space > 0 ? std::string(space - 1, ' ') + "│" : "";
    line(prefix(row) + (row.side == listener ? fill_left + painted : painted + fill_right));
    print_comment_below(row);
  }

  // One line: the innermost functions of the program, as many as fit.
  void print_stack(const Row& row) {
    if (row.stack.empty()) return;
    const std::string text = "at " + row.stack;
    const auto shown = display_width(text) > body_width_ ? fit(text, body_width_ - 2) + " …" : text;
    const auto space = body_width_ - std::min(body_width_, display_width(shown));
    const auto indent = row.side == listener ? space : std::min<std::size_t>(2, space);
    line(std::string(margin_ + indent, ' ') + paint(Style::dim, shown));
  }

  void print_comment_below(const Row& row) {
    if (row.comment.empty()) return;
    out_ += std::string(margin_, ' ') + paint(Style::dim, wrap_row("# " + row.comment)) + "\n";
  }

  // --- Segments ------------------------------------------------------------------------------------------------

  [[nodiscard]] std::string state_cell(const StateCell& cell) const {
    if (cell.state == tcp::State::not_seen) return "";
    return std::string(tcp::name(cell.state)) + (cell.changed && cell.sampled ? "✓" : "");
  }

  void print_segment(const Row& row) {
    const std::string left = state_cell(row.states[opener]), right = state_cell(row.states[listener]);
    const std::string left_bar = row.inside_call[opener] ? "│" : " ", right_bar = row.inside_call[listener] ? "│" : " ";
    const auto arrow_width = body_width_ - 2 * state_width - 2;
    const bool reset = row.text.find('R') != std::string::npos && row.text.find('R') < row.text.find(']');
    const auto painted_arrow = paint(reset ? Style::reset : style_of(row.side), arrow(row, arrow_width));
    std::string text = prefix(row) + left_bar + cell(row.states[opener], fit(left, state_width)) + painted_arrow +
                       cell(row.states[listener], base::fit_right(right, state_width)) + right_bar;
    const auto because = cause_text(row);
    if (is_wide_) {
      for (const auto& piece : lines_of(because, cause_width - 1)) {
        line(text + " " + paint(Style::dim, piece));
        text = std::string(margin_, ' ') + bars(row);
      }
      return;
    }
    line(std::move(text));
    if (because.empty()) return;
    const auto pieces = lines_of(because, body_width_ - 2);
    std::size_t columns = 0;
    for (const auto& piece : pieces) columns = std::max(columns, display_width(piece));
    const auto room = body_width_ - std::min(body_width_, columns + 2);
    const auto indent = std::min(room, state_width);
    for (const auto& piece : pieces) {
      const std::string tail(body_width_ - std::min(body_width_, 1 + indent + display_width(piece) + 1), ' ');
      line(std::string(margin_, ' ') + left_bar + std::string(indent, ' ') + paint(Style::dim, piece) + tail +
           right_bar);
    }
  }

  // At least one, further ones indented.
  [[nodiscard]] static std::vector<std::string> lines_of(const std::string& text, std::size_t columns) {
    std::vector<std::string> lines;
    const std::string wrapped = base::wrap(text, 0, 2, columns);
    for (std::size_t start = 0; start <= wrapped.size();) {
      const auto end = std::min(wrapped.find('\n', start), wrapped.size());
      lines.push_back(wrapped.substr(start, end - start));
      start = end + 1;
    }
    return lines;
  }

  [[nodiscard]] std::string cell(const StateCell& state, const std::string& text) const {
    return paint(state.changed ? Style::changed : Style::dim, text);
  }

  [[nodiscard]] std::string cause_text(const Row& row) const {
    std::string text;
    const auto add = [&text](std::string_view piece) {
      if (!piece.empty()) text += fmt::format("{}{}", text.empty() ? "└ " : " · ", piece);
    };
    if (row.frame != 0 && !rows_.numbered_by_frame)
      add(fmt::format(fmt::runtime(word(Word::frame, options_.language)), row.frame));
    if (row.since) add((row.since->count() < 0 ? "−" : "+") + base::in_words(std::chrono::abs(*row.since)));
    add(row.wire);
    if (row.cause.empty()) return text;
    add(row.cause);
    if (row.grade) add(explain::grade_words(*row.grade, options_.language));
    return text;
  }

  // ─[S.] 0 ack 1─────▶, pointing to where it goes. What has only left ends in ┄, what arrives begins with it.
  [[nodiscard]] static std::string arrow(const Row& row, std::size_t columns) {
    std::string text = (row.actor.empty() ? "" : row.actor + ": ") + row.text;
    if (display_width(text) + 6 > columns) text = fit(text, columns - 6);
    const auto line_columns = columns - display_width(text) - 4;
    const auto before = line_columns / 2, after = line_columns - before;
    const std::string near = row.kind == RowKind::arrival ? "┄" : "─";
    const std::string far = row.kind == RowKind::departure ? "┄" : "─";
    if (row.side == opener)
      return " " + repeat(near, before) + " " + text + " " + repeat(far, after) +
             (row.kind == RowKind::departure ? "┄" : "▶");
    return (row.kind == RowKind::departure ? "┄" : "◀") + repeat(far, before) + " " + text + " " + repeat(near, after) +
           " ";
  }

  const Rows& rows_;
  const TextOptions& options_;
  std::size_t width_, number_width_, time_width_, margin_;
  bool is_wide_;
  std::size_t body_width_;
  std::string out_;
};

std::string title_of(const recording::Recording& recording, base::Language language) {
  const auto& labels = recording.provenance.labels;
  const auto zh = labels.find("title.zh"), en = labels.find("title");
  if (language == base::Language::zh && zh != labels.end()) return zh->second;
  return en != labels.end() ? en->second : recording.provenance.title;
}

struct StyleRow {
  Style style;
  std::string_view on;
};
constexpr StyleRow styles[] = {
    {Style::plain, ""},          {Style::heading, "\x1b[1m"},  {Style::client, "\x1b[36m"},
    {Style::server, "\x1b[33m"}, {Style::reset, "\x1b[1;31m"}, {Style::dim, "\x1b[2m"},
    {Style::good, "\x1b[32m"},   {Style::bad, "\x1b[31m"},     {Style::changed, "\x1b[1m"},
};

}  // namespace

std::string styled(Style style, std::string_view text, bool color) {
  if (!color || style == Style::plain || text.empty()) return std::string(text);
  const auto* row = std::ranges::find(styles, style, &StyleRow::style);
  return fmt::format("{}{}\x1b[0m", row->on, text);
}

std::string timeline_text(const timeline::Timeline&, const Rows& rows, const TextOptions& options) {
  return TimelinePrinter(rows, options).print();
}

std::string evidence_words(Grade grade, const std::string& cited, base::Language language) {
  const auto which = cited.find_first_not_of("0123456789") == std::string::npos ? Word::row : Word::rows;
  return fmt::format(" [{}{}{}]", explain::grade_words(grade, language),
                     cited.empty()                    ? ""
                     : language == base::Language::zh ? "；"
                                                      : "; ",
                     cited.empty() ? "" : fmt::format(fmt::runtime(word(which, language)), cited));
}

std::string finding_text(const explain::Finding& finding, const std::string& advice, const Rows& rows,
                         const TextOptions& options) {
  const auto width = std::max<std::size_t>(options.width, 80);
  const std::string text = "• " + explain::say(finding, options.language) +
                           evidence_words(finding.grade, rows.rows_of(finding.evidence), options.language);
  const auto severe = finding.rule->severity == explain::Severity::error ? Style::bad : Style::plain;
  std::string out = "   " + styled(severe, base::wrap(text, 0, 5, width - 3), options.color) + "\n";
  if (advice.empty()) return out;
  const auto line = fmt::format(fmt::runtime(word(Word::what_to_do, options.language)), advice);
  return out + "     " + styled(Style::good, base::wrap(line, 0, 7, width - 5), options.color) + "\n";
}

std::string findings_text(const std::vector<explain::Finding>& findings, const Rows& rows, const TextOptions& options) {
  std::string out;
  for (const auto& finding : findings)
    out += finding_text(finding, explain::remedy(finding, options.language), rows, options);
  return out;
}

std::string recording_text(const explain::Explained& explained, const TextOptions& options) {
  const auto rows = make_rows(explained.timeline, options.language);
  const auto title = base::escape_controls(title_of(*explained.recording, options.language));
  std::string out;
  const auto width = std::max<std::size_t>(options.width, 80);
  if (!title.empty()) out += styled(Style::heading, base::wrap(title, 0, 2, width), options.color) + "\n";
  out += timeline_text(explained.timeline, rows, options);
  out += findings_text(explained.findings, rows, options);
  return out;
}

}  // namespace tcpwhy::render
