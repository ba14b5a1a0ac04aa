#include "render/reports/trace_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/language.h"
#include "base/text.h"
#include "base/units.h"
#include "explain/rules/ending.h"
#include "explain/texts/catalogue.h"
#include "render/timeline/words.h"

namespace tcpwhy::render {
namespace {

using base::Language;
using base::Text;
using explain::Ending;
using explain::EndKind;
using explain::Explained;
using explain::Finding;
using explain::Severity;
using timeline::listener;
using timeline::opener;

struct KindRow {
  EndKind kind;
  Text text;
};
constexpr KindRow kinds[] = {
    {EndKind::open, {"still open", "仍然打开"}},
    {EndKind::half, {"half closed", "半关闭"}},
    {EndKind::in_order, {"closed in order", "正常关闭"}},
    {EndKind::reset, {"reset", "被复位"}},
    {EndKind::refused, {"refused", "被拒绝"}},
    {EndKind::given_up, {"given up", "被放弃"}},
    {EndKind::failed, {"never stood", "从未建立"}},
    {EndKind::withdrawn, {"closed before an answer came", "未得到回应就已关闭"}},
    {EndKind::not_known, {"ended, how is not known", "已结束，方式未知"}},
};

std::string_view kind_words(EndKind kind, Language language) {
  const auto* row = std::ranges::find(kinds, kind, &KindRow::kind);
  return row->text.in(language);
}

std::string by_what(const Ending& ending, Language language) {
  if (ending.process_ended) return std::string(Text{", its process having ended", "（其进程已结束）"}.in(language));
  if (ending.call.empty()) return {};
  return fmt::format(fmt::runtime(Text{", by {}()", "（{}()）"}.in(language)), base::escape_controls(ending.call));
}

std::string ending_words(const Ending& ending, const std::string& who, Language language) {
  const auto say = [&](std::string_view en, std::string_view zh) {
    return fmt::format(fmt::runtime(Text{en, zh}.in(language)), who, by_what(ending, language),
                       explain::error_words(ending.error));
  };
  switch (ending.kind) {
    case EndKind::open: return say("still open", "仍然打开");
    case EndKind::half: return say("{0} closed{1}, the other side has not", "{0} 已关闭{1}，另一方还没有");
    case EndKind::in_order:
      return who.empty() ? say("closed in order", "正常关闭")
                         : say("{0} closed first{1}; in order", "{0} 先关闭{1}；正常结束");
    case EndKind::reset:
      return who.empty() ? say("reset, by whom is not known", "被复位，由谁复位未知")
                         : say("reset by {0}{1}", "被 {0} 复位{1}");
    case EndKind::refused: return say("refused by {0}", "被 {0} 拒绝");
    case EndKind::given_up: return say("given up by {0}'s kernel: {2}", "{0} 的内核放弃：{2}");
    case EndKind::failed: return say("never stood: {2}", "从未建立：{2}");
    case EndKind::withdrawn: return say("closed by {0}{1} before an answer came", "{0} 未得到回应就已关闭{1}");
    case EndKind::not_known:
      return who.empty() ? say("ended; how is not known without packets", "已结束；没有报文，无从得知如何结束")
                         : say("{0} closed first{1}; whether in order is not known without packets",
                               "{0} 先关闭{1}；没有报文，无从得知是否正常");
  }
  return {};
}

class Report {
 public:
  Report(const Explained& explained, const TraceOptions& options)
      : explained_(explained), timeline_(explained.timeline), entries_(explained.timeline), options_(options) {
    for (const Finding& finding : explained.findings)
      if (finding.connection) findings_[*finding.connection].push_back(finding);
  }

  std::string print() {
    const auto shown = chosen();
    if (options_.only.empty()) overview();
    bool quiet = false;
    for (const ConnectionIndex index : shown) {
      if (in_full(index)) {
        if (quiet) out_ += "\n";
        quiet = false;
        section(index);
      } else {
        quiet = true;
        one_line(index);
      }
    }
    if (quiet) out_ += "\n";
    without_connection();
    losses();
    return std::move(out_);
  }

 private:
  [[nodiscard]] Language language() const { return options_.text.language; }
  [[nodiscard]] std::size_t width() const { return std::max<std::size_t>(options_.text.width, 80); }
  [[nodiscard]] std::string paint(Style style, std::string_view text) const {
    return styled(style, text, options_.text.color);
  }

  [[nodiscard]] std::vector<ConnectionIndex> chosen() const {
    std::vector<ConnectionIndex> shown;
    for (ConnectionIndex i = 0; i < timeline_.connections.size(); ++i)
      if (options_.only.empty() || std::ranges::count(options_.only, i) > 0) shown.push_back(i);
    std::ranges::sort(shown, {}, [&](ConnectionIndex i) { return std::pair(timeline_.connections[i].began, i); });
    return shown;
  }

  [[nodiscard]] Severity worst(ConnectionIndex index) const {
    Severity worst = Severity::chat;
    if (const auto found = findings_.find(index); found != findings_.end())
      for (const Finding& finding : found->second) worst = std::max(worst, finding.rule->severity);
    return worst;
  }

  [[nodiscard]] bool few() const { return timeline_.connections.size() <= shown_in_full; }
  [[nodiscard]] bool in_full(ConnectionIndex index) const {
    return options_.all || few() || !options_.only.empty() || worst(index) >= Severity::warning;
  }

  // "50 connections: 48 closed in order, 1 reset, 1 refused."
  void overview() {
    std::map<EndKind, std::size_t> count;
    for (ConnectionIndex i = 0; i < timeline_.connections.size(); ++i) ++count[explain::ending_of(timeline_, i).kind];
    const auto total = timeline_.connections.size();
    std::string text = fmt::format(fmt::runtime(total == 1 ? Text{"{} connection", "{} 个连接"}.in(language())
                                                           : Text{"{} connections", "{} 个连接"}.in(language())),
                                   total);
    std::string list;
    for (const auto& [kind, times] : count)
      list += fmt::format("{}{} {}", list.empty() ? "" : ", ", times, kind_words(kind, language()));
    if (!list.empty()) text += ": " + list;
    out_ += paint(Style::heading, base::wrap(text, 0, 2, width())) + "\n\n";
  }

  [[nodiscard]] std::string number(ConnectionIndex index) const { return fmt::format("{}", index + 1); }

  void one_line(ConnectionIndex index) {
    const auto ends = ends_words(timeline_, index, language());
    const auto summary = summary_words(timeline_, index, language());
    const auto text = fmt::format("{}  {}  {}", base::fit_right(number(index), 4), ends, summary);
    if (base::display_width(text) <= width()) {
      out_ += text + "\n";
      return;
    }
    out_ += fmt::format("{}  {}\n", base::fit_right(number(index), 4), base::wrap(ends, 0, 6, width() - 6));
    out_ += paint(Style::dim, base::wrap(summary, 6, 8, width())) + "\n";
  }

  void section(ConnectionIndex index) {
    const auto ends = fmt::format("── {} ── {} ", number(index), ends_words(timeline_, index, language()));
    const auto columns = base::display_width(ends);
    std::string rule;
    for (std::size_t i = columns; i < width(); ++i) rule += "─";
    out_ += paint(Style::heading, columns > width() ? base::wrap(ends, 0, 2, width()) : ends + rule) + "\n";
    const auto bad = worst(index) == Severity::error ? Style::bad : Style::plain;
    out_ += paint(bad, base::wrap(summary_words(timeline_, index, language()), 3, 3, width())) + "\n";
    const auto rows = make_rows_of(timeline_, entries_, index, language());
    out_ += timeline_text(timeline_, rows, options_.text);
    out_ += findings_text(told(index), rows, options_.text) + "\n";
  }

  // Where there is much to read, only what is not as usual.
  [[nodiscard]] std::vector<Finding> told(ConnectionIndex index) const {
    const auto found = findings_.find(index);
    if (found == findings_.end()) return {};
    std::vector<Finding> told = found->second;
    if (!few() && options_.only.empty())
      std::erase_if(told, [](const Finding& finding) { return finding.rule->severity == Severity::chat; });
    return told;
  }

  void without_connection() {
    if (!options_.only.empty()) return;
    std::vector<Finding> rest;
    for (const Finding& finding : explained_.findings)
      if (!finding.connection) rest.push_back(finding);
    if (!rest.empty()) out_ += findings_text(rest, Rows{}, options_.text) + "\n";
  }

  // What the observer itself lost is said at the end too, where it is read.
  void losses() {
    for (const EventId id : timeline_.all<recording::Loss>()) {
      const auto text = base::escape_controls(recording::message(*timeline_.recording, timeline_.event(id)));
      out_ += paint(Style::bad, base::wrap(text, 0, 2, width())) + "\n";
    }
  }

  const Explained& explained_;
  const timeline::Timeline& timeline_;
  EntriesByConnection entries_;
  const TraceOptions& options_;
  std::map<ConnectionIndex, std::vector<Finding>> findings_;
  std::string out_;
};

std::string side_words(const timeline::ConnectionSide& side, Language language) {
  const bool known = side.address.ip.family != wire::IpFamily::none;
  const std::string address = known ? wire::to_string(side.address) : "?";
  if (side.name == address || side.name == "?" || side.name.empty()) return address;
  const auto name = base::escape_controls(explain::end_name(side.name, language));
  return name.find(address) != std::string::npos || !known ? name : name + " " + address;
}

}  // namespace

std::string ends_words(const timeline::Timeline& timeline, ConnectionIndex index, Language language) {
  const auto& sides = timeline.connections[index].sides;
  return side_words(sides[opener], language) + " → " + side_words(sides[listener], language);
}

std::string summary_words(const timeline::Timeline& timeline, ConnectionIndex index, Language language) {
  const auto ending = explain::ending_of(timeline, index);
  const auto& sides = timeline.connections[index].sides;
  const auto who =
      ending.first ? base::escape_controls(explain::end_name(sides[*ending.first].name, language)) : std::string();
  return fmt::format("{}, {}→ ←{}; {}", base::in_words(ending.lasted),
                     base::bytes_in_words(explain::bytes_sent(timeline, index, opener)),
                     base::bytes_in_words(explain::bytes_sent(timeline, index, listener)),
                     ending_words(ending, who, language));
}

std::string trace_report(const Explained& explained, const TraceOptions& options) {
  return Report(explained, options).print();
}

}  // namespace tcpwhy::render
