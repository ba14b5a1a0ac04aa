#include "render/reports/connection_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "base/format.h"
#include "base/text.h"
#include "base/units.h"
#include "explain/texts/catalogue.h"
#include "explain/texts/reset_reasons.h"
#include "explain/texts/wire_counters.h"
#include "explain/texts/wire_words.h"
#include "render/reports/connection_rows.h"
#include "render/timeline/words.h"
#include "scan/connections/problems.h"

namespace tcpwhy::render {
namespace {

using base::Language;
using base::Text;
using tcp::EndIndex;
using tcp::SeenConnection;
using tcp::State;

std::string_view reset_grade(const tcp::ResetSeen& reset, Language language) {
  return explain::grade_words(reset.assumed ? Grade::assumed : Grade::derived, language);
}

bool stood(const SeenConnection& seen) {
  const tcp::Tracker& tracker = seen.tracker;
  return !tracker.opener_known() || tracker.handshake_complete() || tracker.handshake_inferred();
}

class Report {
 public:
  Report(const ConnectionReport& report, const TextOptions& options, bool all)
      : report_(report), seen_(report.seen), options_(options), all_(all) {}

  std::string print() {
    heading();
    for (const EndIndex end : {seen_.opener(), tcp::opposite(seen_.opener())}) counts(end);
    const ConnectionRowsOptions rows_options{language(), all_};
    const Rows rows = report_.explained == nullptr
                          ? make_rows_of(seen_, rows_options)
                          : make_rows_of(seen_, *report_.explained, report_.index, rows_options);
    static const timeline::Timeline none;
    out_ += timeline_text(report_.explained == nullptr ? none : report_.explained->timeline, rows, options_);
    why_reset();
    problems();
    findings(rows);
    return std::move(out_);
  }

 private:
  [[nodiscard]] Language language() const { return options_.language; }
  [[nodiscard]] std::size_t width() const { return std::max<std::size_t>(options_.width, 80); }
  [[nodiscard]] std::string paint(Style style, std::string_view text) const {
    return styled(style, text, options_.color);
  }
  [[nodiscard]] std::string address(EndIndex end) const { return wire::to_string(seen_.ends[end]); }

  void heading() {
    const EndIndex opener = seen_.opener();
    const auto ends = fmt::format("── {} ── {} → {} ", seen_.number, address(opener), address(tcp::opposite(opener)));
    std::string rule;
    for (std::size_t i = base::display_width(ends); i < width(); ++i) rule += "─";
    out_ += paint(Style::heading, ends + rule) + "\n";
    const auto& tracker = seen_.tracker;
    const std::string text = fmt::format(
        "{}, {}→ ←{}; {}", base::in_words(base::Duration(tracker.last_ns() - tracker.began_ns())),
        base::bytes_in_words(tracker.end(opener).bytes), base::bytes_in_words(tracker.end(tcp::opposite(opener)).bytes),
        ending_words(seen_, language(), told_by_calls()));
    const bool reset = tracker.reset().cause != tcp::ResetCause::none;
    out_ += paint(reset ? Style::bad : Style::plain, base::wrap(text, 3, 3, width())) + "\n";
  }

  void counts(EndIndex index) {
    const tcp::End& end = seen_.tracker.end(index);
    if (end.segments == 0) {
      out_ += base::wrap(base::format(language(), {"{}: no segment captured", "{}：未捕获任何报文段"}, address(index)),
                         3, 5, width()) +
              "\n";
      return;
    }
    std::string text = base::format(language(), {"{}: segments {}, bytes {}", "{}：报文段 {}，字节 {}"}, address(index),
                                    base::grouped(end.segments), base::grouped(end.bytes));
    const auto add = [&](std::uint64_t number, std::string_view words) {
      if (number > 0) text += fmt::format("{}{} {}", Text{", ", "，"}.in(language()), words, base::grouped(number));
    };
    for (const auto& counter : explain::wire_counters) add(end.*counter.member, counter.words(language()));
    add(end.unseen_bytes(), Text{"bytes not captured", "未捕获的字节"}.in(language()));
    if (end.min_rtt_us > 0)
      text += base::format(language(), {", least round trip {}", "，最短往返 {}"},
                           base::in_words(std::chrono::microseconds(end.min_rtt_us)));
    out_ += paint(Style::dim, base::wrap(text, 3, 5, width())) + "\n";
  }

  // What rests on calls is told among the findings, and beats what packets alone would let one think.
  [[nodiscard]] const explain::ResetReason* told_by_calls() const {
    if (report_.explained == nullptr) return nullptr;
    for (const auto& finding : report_.explained->findings)
      if (finding.connection == report_.index && rests_on_calls(finding))
        if (const auto* reason = explain::find_reset_reason(finding.rule->id); reason != nullptr) return reason;
    return nullptr;
  }

  [[nodiscard]] bool rests_on_calls(const explain::Finding& finding) const {
    return std::ranges::any_of(finding.evidence,
                               [&](EventId id) { return report_.explained->timeline.event(id).actor.valid(); });
  }

  void why_reset() {
    const tcp::ResetSeen reset = seen_.tracker.reset();
    if (reset.cause == tcp::ResetCause::none || told_by_calls() != nullptr) return;
    const auto& reason = explain::reset_reason_on_wire(reset.cause);
    const auto say = [&](const Text& words) {
      return explain::fill(words.in(language()),
                           {{"who", address(reset.from)},
                            {"peer", address(tcp::opposite(reset.from))},
                            {"idle", base::age_in_words(base::Duration(reset.idle_ns))}},
                           language());
    };
    const auto paragraph = [&](Style style, const std::string& words) {
      out_ += "     " + paint(style, base::wrap(words, 0, 5, width() - 5)) + "\n";
    };
    const auto evidence =
        fmt::format(fmt::runtime(word(Word::frame_evidence, language())), reset_grade(reset, language()), reset.frame);
    out_ += "   " +
            paint(Style::bad,
                  base::wrap(fmt::format("• {} [{}]", say(reason.on_wire.sentence), evidence), 0, 5, width() - 3)) +
            "\n";
    paragraph(Style::plain, say(explain::because(reset)));
    if (reset.assumed && !reason.on_wire.or_else.empty())
      paragraph(Style::plain, fmt::format(fmt::runtime(word(Word::or_else, language())), say(reason.on_wire.or_else)));
    if (!reason.remedy.empty())
      paragraph(Style::good, fmt::format(fmt::runtime(word(Word::what_to_do, language())), say(reason.remedy)));
  }

  // Why it was reset has been said.
  void problems() {
    const bool reset = seen_.tracker.reset().cause != tcp::ResetCause::none;
    for (const ConnectionProblem& problem : report_.problems) {
      if (reset && explain::reset_reason_of_problem(problem.id) != nullptr) continue;
      std::string text = "• " + problem.text;
      if (problem.count > 1) text += fmt::format(" ({}x)", base::grouped(problem.count));
      const auto grade = explain::grade_words(problem.grade, language());
      text += problem.frame == 0
                  ? fmt::format(" [{}]", grade)
                  : fmt::format(" [{}]", fmt::format(fmt::runtime(word(Word::frame_evidence, language())), grade,
                                                     problem.frame));
      const Style style = problem.severity == explain::Severity::error ? Style::bad : Style::plain;
      out_ += "   " + paint(style, base::wrap(text, 0, 5, width() - 3)) + "\n";
      if (problem.remedy.empty()) continue;
      const auto remedy = fmt::format(fmt::runtime(word(Word::what_to_do, language())), problem.remedy);
      out_ += "     " + paint(Style::good, base::wrap(remedy, 0, 5, width() - 5)) + "\n";
    }
  }

  // What calls and packets say together. What rests on packets alone the rows have said.
  void findings(const Rows& rows) {
    if (report_.explained == nullptr) return;
    std::vector<explain::Finding> told;
    for (const auto& finding : report_.explained->findings)
      if (finding.connection == report_.index && rests_on_calls(finding)) told.push_back(finding);
    out_ += findings_text(told, rows, options_);
  }

  const ConnectionReport& report_;
  const SeenConnection& seen_;
  const TextOptions& options_;
  bool all_;
  std::string out_;
};

}  // namespace

std::string ending_words(const SeenConnection& seen, Language language, const explain::ResetReason* known) {
  const tcp::Tracker& tracker = seen.tracker;
  const EndIndex opener = seen.opener();
  const auto say = [&](const base::Format<std::string>& words, EndIndex end) {
    return base::format(language, words, wire::to_string(seen.ends[end]));
  };
  const tcp::ResetSeen reset = tracker.reset();
  const EndIndex first = tracker.first_closer().value_or(EndIndex::first);
  const auto closed = [&](EndIndex end) { return tracker.end(end).fin >= 0; };
  const bool fins = closed(EndIndex::first) && (tracker.is_to_itself() || closed(EndIndex::second));
  // It had been acknowledged, and still is sent.
  const auto repeats_fin = [&](EndIndex end) {
    const tcp::State state = tracker.end(end).state;
    return tracker.end(end).fins_again > 0 && state != tcp::State::closed && state != tcp::State::time_wait;
  };
  std::string text;
  if (reset.cause != tcp::ResetCause::none) {
    if (known != nullptr) {
      text = base::format(language, {"reset by {}", "被 {} 复位"}, wire::to_string(seen.ends[reset.from]));
      if (!known->kernel.row_words.empty())
        text += fmt::format("{}{}", Text{": ", "："}.in(language), known->kernel.row_words.in(language));
    } else {
      text = base::format(language, {"reset by {}: {} ({})", "被 {} 复位：{}（{}）"},
                          wire::to_string(seen.ends[reset.from]), explain::words(reset.cause, language),
                          reset_grade(reset, language));
    }
    if (tracker.closed_at_once())
      text = fmt::format("{}{}", Text{"both closed at once; ", "双方同时关闭；"}.in(language), text);
    else if (!tracker.first_closed_by_reset() && tracker.first_closer())
      text = say({"{} closed first; ", "{} 先关闭；"}, first) + text;
  } else if (fins && tracker.is_over() && (repeats_fin(EndIndex::first) || repeats_fin(EndIndex::second))) {
    text = say({"{} closed first; the acknowledgments of the other FIN do not arrive",
                "{} 先关闭；对另一个 FIN 的确认没有到达"},
               first);
  } else if (fins && tracker.closed_at_once()) {
    text = (tracker.is_over()
                ? Text{"both closed at once; in order", "双方同时关闭；正常结束"}
                : Text{"both closed at once; not both FINs are acknowledged", "双方同时关闭；并非两个 FIN 都已确认"})
               .in(language);
  } else if (fins) {
    text = tracker.is_over() || tracker.is_one_way() || tracker.is_to_itself()
               ? say({"{} closed first; in order", "{} 先关闭；正常结束"}, first)
               : say({"{} closed first; not both FINs are acknowledged", "{} 先关闭；并非两个 FIN 都已确认"}, first);
  } else if (tracker.first_closer()) {
    text = say({"{} sent its FIN, the other side has not", "{} 已发出 FIN，另一方还没有"}, first);
  } else if (closed(EndIndex::first) || closed(EndIndex::second)) {
    text = say({"{} sent its FIN; what the other side did was not captured", "{} 已发出 FIN；未捕获另一方的行为"},
               closed(EndIndex::first) ? EndIndex::first : EndIndex::second);
  } else if (!stood(seen)) {
    const EndIndex asked = tcp::opposite(opener);
    text = tracker.end(asked).segments == 0 ? say({"{} answered nothing", "{} 没有任何回应"}, asked)
                                            : say({"{} never finished the handshake", "{} 从未完成握手"}, opener);
  } else {
    text = Text{"still open", "仍然打开"}.in(language);
  }
  if (tracker.is_one_way()) text += Text{", as far as one direction shows", "（仅据一个方向）"}.in(language);
  if (!tracker.opener_known())
    text = fmt::format("{}{}", Text{"began before the capture; ", "抓包前已开始；"}.in(language), text);
  return text;
}

ConnectionReport report_of(const scan::Picked& picked, base::Language language) {
  ConnectionReport made{.seen = picked.seen};
  for (const scan::Problem& problem : scan::problems_of(picked.record))
    made.problems.push_back({.id = std::string(problem.rule->id),
                             .severity = problem.rule->severity,
                             .grade = problem.grade,
                             .frame = problem.frame,
                             .count = problem.count,
                             .text = scan::say(problem, picked.record, language),
                             .remedy = scan::remedy(problem, language)});
  return made;
}

std::string connection_report(const ConnectionReport& report, const TextOptions& options, bool all) {
  return Report(report, options, all).print();
}

}  // namespace tcpwhy::render
