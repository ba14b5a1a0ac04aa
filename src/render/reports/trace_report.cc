#include "render/reports/trace_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/format.h"
#include "base/language.h"
#include "base/text.h"
#include "base/units.h"
#include "explain/rules/ending.h"
#include "explain/verdict.h"
#include "render/reports/summary_words.h"
#include "render/timeline/words.h"

namespace tcpwhy::render {
namespace {

using base::Language;
using base::Text;
using explain::EndKind;
using explain::Explained;
using explain::Finding;
using explain::Severity;
using explain::Verdict;
using timeline::listener;
using timeline::opener;

// With more rows than this a connection is folded though nothing is wrong with it.
constexpr std::size_t long_story = 40;
constexpr std::size_t may_be_short =
    10 * long_story;  // with more entries it is long: most have a row, two a call and a segment at most

class Report {
 public:
  Report(const Explained& explained, const TraceOptions& options)
      : explained_(explained), timeline_(explained.timeline), entries_(explained.timeline), options_(options) {
    std::map<std::optional<ConnectionIndex>, std::vector<const Finding*>> findings;
    for (const Finding& finding : explained.findings) findings[finding.connection].push_back(&finding);
    for (auto& [connection, of_it] : findings) {
      auto verdicts = explain::verdicts_of(timeline_, of_it);
      stories_[connection] = {std::move(of_it), std::move(verdicts)};
    }
  }

  std::string print() {
    const auto shown = worst_first();
    if (timeline_.connections.size() != 1) overview();
    const auto kinds = kinds_of(shown);
    const bool any_wrong = !shown.empty() && worst(shown.front()) != nullptr;
    if (!any_wrong) without_connection(true);
    std::size_t kind = 0;
    for (const auto& alike : kinds) {
      if (kind++ == most_kinds && !options_.all) break;
      section(alike.front(), alike);
    }
    if (!options_.all && kinds.size() > most_kinds)
      say_more(kinds.size() - most_kinds, {"… and {} more kinds", "… 另有 {} 种"});
    others(shown);
    if (any_wrong) without_connection(true);
    without_connection(false);
    losses();
    return std::move(out_);
  }

 private:
  struct StoryOf {
    std::vector<const Finding*> findings;
    std::vector<Verdict> verdicts;
  };
  using Alike = std::vector<ConnectionIndex>;

  [[nodiscard]] Language language() const { return options_.text.language; }
  [[nodiscard]] std::size_t width() const { return std::max<std::size_t>(options_.text.width, 80); }
  [[nodiscard]] bool few() const { return timeline_.connections.size() <= shown_in_full; }
  [[nodiscard]] std::string paint(Style style, std::string_view text) const {
    return styled(style, text, options_.text.color);
  }
  void paragraph(Style style, const std::string& text, std::size_t indent, std::size_t further) {
    out_ += paint(style, base::wrap(text, indent, further, width())) + "\n";
  }
  static Style style_of(Severity severity) { return severity == Severity::error ? Style::bad : Style::plain; }

  [[nodiscard]] const StoryOf& story(std::optional<ConnectionIndex> index) const {
    static const StoryOf nothing;
    const auto found = stories_.find(index);
    return found == stories_.end() ? nothing : found->second;
  }
  // What is wrong with it; null: nothing.
  [[nodiscard]] const Verdict* worst(ConnectionIndex index) const {
    const auto& verdicts = story(index).verdicts;
    return !verdicts.empty() && verdicts.front().severity() >= Severity::warning ? &verdicts.front() : nullptr;
  }

  // Worst first, then in order of time.
  [[nodiscard]] std::vector<ConnectionIndex> worst_first() const {
    std::vector<ConnectionIndex> shown;
    for (ConnectionIndex i = 0; i < timeline_.connections.size(); ++i) shown.push_back(i);
    std::ranges::sort(shown, {}, [&](ConnectionIndex i) {
      const Verdict* verdict = worst(i);
      return std::tuple(verdict == nullptr ? 0 : -static_cast<int>(verdict->severity()), timeline_.connections[i].began,
                        i);
    });
    return shown;
  }

  // Connections of which the same is to be said, each kind in order of its first; alone where all was asked for.
  [[nodiscard]] std::vector<Alike> kinds_of(const std::vector<ConnectionIndex>& shown) const {
    std::vector<Alike> kinds;
    std::map<std::string, std::size_t> known;
    for (const ConnectionIndex index : shown) {
      const Verdict* verdict = worst(index);
      if (verdict == nullptr && !options_.all && !few()) continue;
      const auto [kind, is_new] = known.try_emplace(
          verdict == nullptr || options_.all ? std::to_string(index) : kind_of(index, *verdict), kinds.size());
      if (is_new) kinds.emplace_back();
      kinds[kind->second].push_back(index);
    }
    return kinds;
  }

  // The same cause between the same programs, whichever ports the clients had.
  [[nodiscard]] std::string kind_of(ConnectionIndex index, const Verdict& verdict) const {
    const auto& sides = timeline_.connections[index].sides;
    std::string kind{verdict.cause->rule->id};
    for (const Finding* effect : verdict.effects) kind += fmt::format("|{}", effect->rule->id);
    for (const auto side : {opener, listener}) {
      const auto& end = sides[side];
      kind += fmt::format("|{}", end.actors.empty() ? wire::to_string(end.address.ip) : end.name);
    }
    return kind + fmt::format("|{}", sides[listener].address.port);
  }

  // "50 connections: 48 closed in order, 1 reset, 1 refused".
  void overview() {
    std::map<EndKind, std::size_t> count;
    for (ConnectionIndex i = 0; i < timeline_.connections.size(); ++i) ++count[explain::ending_of(timeline_, i).kind];
    std::string text =
        base::format(language(), {"{} connection{}", "{} 个连接"}, base::grouped(timeline_.connections.size()),
                     timeline_.connections.size() == 1 ? "" : "s");
    std::string list;
    for (const auto& [kind, times] : count)
      list += fmt::format("{}{} {}", list.empty() ? "" : ", ", base::grouped(times), kind_words(kind, language()));
    if (!list.empty()) text += ": " + list;
    paragraph(Style::heading, text, 0, 2);
  }

  // How long connections took, where they are many.
  void durations() {
    std::vector<base::Duration> lasted;
    for (ConnectionIndex i = 0; i < timeline_.connections.size(); ++i)
      lasted.push_back(explain::ending_of(timeline_, i).lasted);
    std::ranges::sort(lasted);
    paragraph(
        Style::plain,
        base::format(language(),
                     {"All lasted {} (median), 99 % up to {}.", "全部连接的持续时间：中位数 {}，99 % 不超过 {}。"},
                     base::in_words(lasted[lasted.size() / 2]), base::in_words(lasted[(lasted.size() * 99 - 1) / 100])),
        0, 2);
  }

  // How many there are besides, and how to see them.
  void say_more(std::size_t count, const base::Format<std::string>& words) {
    constexpr Text how{": --all shows them", "：--all 全部显示"};
    paragraph(Style::dim, base::format(language(), words, base::grouped(count)) + std::string(how.in(language())), 0,
              2);
  }

  [[nodiscard]] static std::string number(ConnectionIndex index) { return fmt::format("{}", index + 1); }

  void section(ConnectionIndex index, const Alike& alike) {
    const auto ends = fmt::format("── {} ── {} ", number(index), ends_words(timeline_, index, language()));
    const auto columns = base::display_width(ends);
    std::string rule;
    for (std::size_t i = columns; i < width(); ++i) rule += "─";
    out_ += paint(Style::heading, columns > width() ? base::wrap(ends, 0, 2, width()) : ends + rule) + "\n";
    const auto rows = rows_of(index);
    const auto& told = story(index);
    if (const Verdict* verdict = worst(index)) say(*verdict, rows);
    if (alike.size() > 1) count_alike(alike);
    paragraph(worst(index) == nullptr ? Style::plain : Style::dim, summary_words(timeline_, index, language()), 3, 3);
    out_ += timeline_text(timeline_, rows, options_.text);
    std::size_t as_it_should_be = 0;
    for (const Verdict& verdict : told.verdicts)
      for (const Finding* finding : verdict.findings)
        out_ +=
            finding_text(*finding, advice(verdict, *finding, &verdict == &told.verdicts.front()), rows, options_.text);
    for (const Finding* finding : told.findings) {
      if (finding->rule->severity != Severity::chat) continue;
      if (options_.all)
        out_ += finding_text(*finding, explain::remedy(*finding, language()), rows, options_.text);
      else
        ++as_it_should_be;
    }
    if (as_it_should_be > 0) {
      using Count = base::Format<std::size_t>;
      const Count words =
          as_it_should_be == 1
              ? Count{"   {} more fact, as it should be: --all", "   另有 {} 项一切正常的事实：--all"}
              : Count{"   {} more facts, as they should be: --all", "   另有 {} 项一切正常的事实：--all"};
      out_ += paint(Style::dim, base::format(language(), words, as_it_should_be)) + "\n";
    }
    out_ += "\n";
  }

  // The headline has said what is to be done about the first cause.
  [[nodiscard]] std::string advice(const Verdict& verdict, const Finding& finding, bool is_first) const {
    if (is_first && &finding == verdict.cause && verdict.severity() >= Severity::warning) return {};
    return explain::remedy(verdict, finding, language());
  }

  void say(const Verdict& verdict, const Rows& rows) {
    const auto cited = rows.rows_of(explain::evidence_of(verdict));
    const auto text = fmt::format("{}{}", explain::headline(verdict, timeline_, language()),
                                  evidence_words(verdict.cause->grade, cited, language()));
    paragraph(style_of(verdict.severity()), text, 3, 5);
    const auto advice = explain::remedy(verdict, *verdict.cause, language());
    if (!advice.empty())
      paragraph(Style::good, fmt::format(fmt::runtime(word(Word::what_to_do, language())), advice), 3, 5);
  }

  // "the same 199 times more: 4, 5, 6, 9, …".
  void count_alike(const Alike& alike) {
    constexpr std::size_t named = 8;
    std::string list;
    for (std::size_t i = 1; i < std::min(alike.size(), named); ++i)
      list += (list.empty() ? "" : ", ") + number(alike[i]);
    if (alike.size() > named) list += ", …";
    paragraph(Style::plain,
              base::format(language(),
                           {"the same of {} more: {} (--all shows each)", "另有 {} 个连接相同：{}（--all 逐个显示）"},
                           base::grouped(alike.size() - 1), list),
              3, 5);
  }

  // Those that prove what is said, the rest folded; all where that was asked for, or where there are few and nothing is wrong.
  [[nodiscard]] Rows rows_of(ConnectionIndex index) const {
    const bool is_wrong = worst(index) != nullptr;
    if (options_.all || (!is_wrong && entries_.of(index).size() <= may_be_short)) {
      Rows rows = make_rows_of(timeline_, entries_, index, language());
      if (options_.all || rows.rows.size() <= long_story) return rows;
    }
    std::set<EventId> kept;
    for (const Verdict& verdict : story(index).verdicts)
      if (verdict.severity() >= Severity::warning)
        for (const Finding* finding : verdict.findings) kept.insert(finding->evidence.begin(), finding->evidence.end());
    if (!is_wrong) keep_changes(index, kept);
    return make_rows_of(timeline_, entries_, index, language(), &kept);
  }

  // Where the ends' states changed: what a long connection without a fault is told by.
  void keep_changes(ConnectionIndex index, std::set<EventId>& kept) const {
    for (const auto& change : timeline_.connections[index].changes) kept.insert(change.event);
  }

  void others(const std::vector<ConnectionIndex>& shown) {
    if (options_.all || few()) return;
    durations();
    std::size_t lines = 0, left = 0;
    for (const ConnectionIndex index : shown) {
      if (worst(index) != nullptr) continue;
      if (lines < most_lines)
        ++lines, one_line(index);
      else
        ++left;
    }
    if (left > 0) say_more(left, {"… and {} more like these", "… 另有 {} 个与此相仿"});
    if (lines > 0) out_ += "\n";
  }

  void one_line(ConnectionIndex index) {
    const auto ends = ends_words(timeline_, index, language());
    const auto summary = summary_words(timeline_, index, language());
    const auto text = fmt::format("{}  {}  {}", base::fit_right(number(index), 4), ends, summary);
    if (base::display_width(text) <= width()) {
      out_ += text + "\n";
      return;
    }
    out_ += fmt::format("{}  {}\n", base::fit_right(number(index), 4), base::wrap(ends, 0, 6, width() - 6));
    paragraph(Style::dim, summary, 6, 8);
  }

  // What is of no connection: what is wrong, or the rest.
  void without_connection(bool wrong) {
    std::string text;
    for (const Finding* finding : story(std::nullopt).findings) {
      const bool is_wrong = finding->rule->severity >= Severity::warning;
      if (is_wrong == wrong)
        text += finding_text(*finding, explain::remedy(*finding, language()), Rows{}, options_.text);
    }
    if (!text.empty()) out_ += text + "\n";
  }

  // What the observer itself lost is said at the end too, where it is read.
  void losses() {
    for (const EventId id : timeline_.all<recording::Loss>())
      paragraph(Style::bad, base::escape_controls(recording::message(*timeline_.recording, timeline_.event(id))), 0, 2);
  }

  const Explained& explained_;
  const timeline::Timeline& timeline_;
  EntriesByConnection entries_;
  const TraceOptions& options_;
  std::map<std::optional<ConnectionIndex>, StoryOf> stories_;
  std::string out_;
};

}  // namespace

std::string trace_report(const Explained& explained, const TraceOptions& options) {
  return Report(explained, options).print();
}

}  // namespace tcpwhy::render
