#include "scan/tables/summary/summary_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/format.h"
#include "base/text.h"
#include "base/units.h"
#include "explain/texts/catalogue.h"
#include "explain/texts/wire_words.h"
#include "scan/tables/page.h"

namespace tcpwhy::scan {
namespace {

using base::Text;

constexpr Text opening_words[opening_count] = {
    {"handshake: SYN, SYN-ACK, ACK", "握手：SYN、SYN-ACK、ACK"},
    {"open before the capture began", "抓包开始前已建立"},
    {"SYN without an answer", "SYN 无应答"},
    {"refused", "被拒绝"},
    {"SYN-ACK never acknowledged", "SYN-ACK 未被确认"},
    {"handshake, of which the capture lacks a part", "握手，抓包缺其一部分"}};
constexpr Text ending_words[ending_count] = {
    {"still open when the capture ended", "抓包结束时仍然打开"},
    {"half-closed: one FIN", "半关闭：只有一个 FIN"},
    {"closed in order, both ways", "双向正常关闭"},
    {"closing: both FINs, not both acknowledged", "正在关闭：两个 FIN 未全部确认"},
    {"reset", "复位"},
    {"never opened", "从未建立"}};

std::string duration(std::int64_t ns) { return base::duration_cell(base::Duration(ns)); }
std::string wall_time(std::int64_t ns) { return to_cell(ns, Unit::wall_time); }

std::string percent(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? "0 %" : fmt::format("{:.2g} %", 100.0 * static_cast<double>(part) / static_cast<double>(whole));
}

class SummaryPage {
 public:
  SummaryPage(const SummaryView& view, const TextOptions& options)
      : view_(view),
        totals_(view.outcome.totals),
        unread_links_(view.outcome.unread_links),
        summary_(view.summary),
        streams_(view.streams),
        options_(options),
        page_(options) {}

  std::string run() {
    head();
    if (summary_.connections == 0) return page_.take();
    openings();
    endings();
    wrong();
    first();
    return page_.take();
  }

 private:
  std::string_view in(const Text& words) const { return words.in(options_.language); }

  void head() {
    page_.line(base::escape_controls(view_.name));
    if (const Text extent = words_for(view_.extent); !extent.empty()) page_.folded("", in(extent));
    if (totals_.frames == 0) return page_.line(in({"no packets", "没有报文"}));
    page_.folded("", base::format(options_.language,
                                  {"{} packets, {} of them TCP; {} on the wire; {}, from {}",
                                   "{} 个报文，其中 TCP {} 个；线上 {}；历时 {}，始于 {}"},
                                  base::grouped(totals_.frames), base::grouped(totals_.segments),
                                  base::bytes_in_words(totals_.wire_bytes),
                                  duration(totals_.last_ns - totals_.first_ns), wall_time(totals_.first_ns)));
    if (unread_links_.packets() > 0) page_.folded("", unread_links_.in_words().in(options_.language));
    limits();
    page_.line("");
    if (summary_.connections == 0 && view_.of) return page_.line(connections_in_words(0, view_.of, options_.language));
    page_.folded("", base::format(options_.language,
                                  {"{}, {} of payload: {} sound, {} with something wrong",
                                   "{}，载荷 {}：{} 个正常，{} 个有问题"},
                                  connections_in_words(summary_.connections, view_.of, options_.language),
                                  base::bytes_in_words(summary_.bytes),
                                  base::grouped(summary_.connections - summary_.wrong), base::grouped(summary_.wrong)));
  }

  // What the capture can't show, or shows otherwise than it was: before anything that is said of connections.
  void limits() {
    using Count = base::Format<std::string>;
    const auto tell = [&](std::uint64_t count, const Count& words) {
      if (count > 0) page_.folded("", base::format(options_.language, words, base::grouped(count)));
    };
    const auto tell_most = [&](std::uint64_t count, const base::Format<std::string, std::string>& words,
                               std::int64_t most_ns) {
      if (count > 0) page_.folded("", base::format(options_.language, words, base::grouped(count), duration(most_ns)));
    };
    tell(totals_.truncated + totals_.malformed,
         {"{} TCP packets are cut before the end of their header or contradict themselves: left out",
          "{} 个 TCP 报文头部被截断或自相矛盾：未分析"});
    tell(totals_.fragments, {"{} fragments could not be put together: left out", "{} 个分片无法重组：未分析"});
    tell(totals_.evicted, {"{} connections were let go before their end: more were open at once than --max-connections",
                           "{} 个连接未跟踪到结束：同时打开的数量超过 --max-connections"});
    tell_most(totals_.disorder.frames,
              {"{} packets stand behind later ones, by {} at most: read in the order of their time stamps",
               "{} 个报文排在更晚的报文之后，最多 {}：按时间戳顺序分析"},
              totals_.disorder.most.count());
    tell(totals_.disorder.steps,
         {"{} times the time stamps go back by more than a second: the clock was set, or captures were joined",
          "时间戳 {} 次倒退超过一秒：时钟被调整，或多个抓包被拼接"});
    tell_most(
        summary_.behind_ack,
        {"{} segments were captured behind their acknowledgments, by {} at most", "{} 个报文段排在其确认之后，最多 {}"},
        summary_.most_behind_ack_ns);
    tell(summary_.one_way, {"{} connections were captured in one direction only", "{} 个连接只抓到一个方向"});
    tell(summary_.offload_copies, {"{} segments were captured on both sides of segmentation or receive offload",
                                   "{} 个报文段在卸载（offload）的两侧各抓一次"});
    tell(summary_.copies, {"{} packets were captured twice", "{} 个报文被抓到两次"});
  }

  void openings() {
    page_.heading({"How they opened", "如何建立"});
    for (int i = 0; i < opening_count; ++i) {
      if (summary_.openings[i] == 0) continue;
      std::string what(in(opening_words[i]));
      if (i == static_cast<int>(Opening::handshake) && summary_.handshake.count() > 0)
        what += base::format(options_.language, {"; median {}, 99 % within {}", "；中位数 {}，99% 在 {} 之内"},
                             duration(summary_.handshake.quantile(0.5)), duration(summary_.handshake.quantile(0.99)));
      page_.counted(summary_.openings[i], what);
    }
  }

  void endings() {
    page_.heading({"How they ended", "如何结束"});
    for (int i = 0; i < ending_count; ++i) {
      if (summary_.endings[i] == 0) continue;
      const auto& by = summary_.closed_by[i];
      std::string what(in(ending_words[i]));
      if (by[opener] + by[listener] > 0 && i != static_cast<int>(Ending::never_opened)) {
        using Both = base::Format<std::string, std::string>;
        const Both words =
            i == static_cast<int>(Ending::reset)
                ? Both{"; first to close or reset: client {}, server {}", "；先关闭或复位的：客户端 {}，服务器 {}"}
                : Both{"; first to close: client {}, server {}", "；先关闭的：客户端 {}，服务器 {}"};
        what += base::format(options_.language, words, base::grouped(by[opener]), base::grouped(by[listener]));
      }
      page_.counted(summary_.endings[i], what);
    }
    if (summary_.retransmissions > 0)
      page_.folded(
          "", base::format(
                  options_.language,
                  {"Sent again: {} segments ({} of all), {} of payload", "重传：{} 个报文段（占全部 {}），载荷 {}"},
                  base::grouped(summary_.retransmissions), percent(summary_.retransmissions, summary_.segments),
                  base::bytes_in_words(summary_.resent_bytes)));
  }

  void wrong() {
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < summary_.by_problem.size(); ++i)
      if (summary_.by_problem[i].connections > 0) order.push_back(i);
    if (order.empty()) return;
    std::ranges::stable_sort(order, [&](std::size_t a, std::size_t b) {
      const auto key = [&](std::size_t i) {
        return std::pair(-static_cast<int>(problem_rules()[i].severity),
                         -static_cast<std::int64_t>(summary_.by_problem[i].connections));
      };
      return key(a) < key(b);
    });
    page_.heading({"What is wrong, worst first: connections, and the first of them",
                   "问题（最严重者在前）：连接数，以及其中第一个"});
    for (const std::size_t i : order) {
      const ProblemRule& rule = problem_rules()[i];
      const Summary::ProblemCount& count = summary_.by_problem[i];
      std::string what =
          base::fit(explain::severity_words(rule.severity, options_.language), 8) + std::string(in(rule.text));
      what += fmt::format(" [{}", rule.id.substr(rule.id.find('.') + 1));
      if (const auto stream = streams_.of(count.example_stream_frame))
        what += base::format(options_.language, {"; stream {}", "；流 {}"}, *stream);
      if (count.example_frame != 0)
        what += base::format(options_.language, {", frame {}", "，帧 {}"}, count.example_frame);
      page_.counted(count.connections, what + "]");
      const std::string_view remedy = in(rule.remedy);
      if (!remedy.empty() && rule.severity >= explain::Severity::warning)
        page_.folded(std::string(21, ' '), fmt::format("→ {}", remedy));
    }
  }

  void first() {
    if (view_.first.empty()) return;
    page_.heading({"Look at these first (--stream N shows one)", "先看这些（--stream N 查看其中一个）"});
    for (const Example& example : view_.first) {
      const Kept& kept = example.worst;
      const auto stream = streams_.of(kept.record.first_frame);
      std::string what =
          fmt::format("{} {} {}: ", wire::to_string(kept.record.addresses[opener]),
                      kept.record.opener_known ? "→" : "–", wire::to_string(kept.record.addresses[listener]));
      for (std::size_t i = 0; i < kept.problems.size() && i < 3; ++i) {
        const Problem& problem = kept.problems[i];
        if (i > 0) what += in({"; ", "；"});
        what += say(problem, kept.record, options_.language);
        if (problem.count > 1) what += fmt::format(" ({}x)", base::grouped(problem.count));
        if (problem.frame != 0) what += base::format(options_.language, {", frame {}", "，帧 {}"}, problem.frame);
        if (problem.grade == explain::Grade::assumed) what += in({" (assumed)", "（推测）"});
      }
      page_.folded(fmt::format("{:>11}  ", stream ? fmt::format("{}", *stream) : "?"), what);
      others_like(example);
    }
  }
  // The ones that are not shown, and how they are.
  void others_like(const Example& example) {
    if (example.connections < 2) return;
    using Words = base::Format<std::string, std::string>;
    const Words words = example.at_least ? Words{"at least {} in all: --where '{}'", "至少共 {} 个：--where '{}'"}
                                         : Words{"{} in all: --where '{}'", "共 {} 个：--where '{}'"};
    page_.folded(std::string(13, ' '),
                 base::format(options_.language, words, base::grouped(example.connections), example.where()));
  }

  const SummaryView& view_;
  const Totals& totals_;
  const UnreadLinks& unread_links_;
  const Summary& summary_;
  const StreamNumbers& streams_;
  const TextOptions& options_;
  Page page_;
};

bool is_number(const Field& field) { return field.unit != Unit::none && field.unit != Unit::wall_time; }

}  // namespace

Text words_for(Extent extent) {
  switch (extent) {
    case Extent::cut:
      return {"Not the whole capture: it is cut or damaged, and this is what stands before that place.",
              "并非整个抓包：文件被截断或损坏，以下只是该处之前的内容。"};
    case Extent::stopped:
      return {"Not the whole capture: a signal ended the reading, and this is what was read until then.",
              "并非整个抓包：读取被信号中止，以下只是此前读到的内容。"};
    case Extent::whole: break;
  }
  return {};
}

std::string connections_in_words(std::uint64_t connections, std::optional<std::uint64_t> of, base::Language language) {
  const bool one = of.value_or(connections) == 1;
  using Words = base::Format<std::string, std::string>;
  const Words words = of    ? one ? Words{"{} of {} connection", "{1} 个连接中的 {0} 个"}
                                  : Words{"{} of {} connections", "{1} 个连接中的 {0} 个"}
                         : one ? Words{"{} connection", "{} 个连接"}
                            : Words{"{} connections", "{} 个连接"};
  return base::format(language, words, base::grouped(connections), base::grouped(of.value_or(0)));
}

std::string summary_text(const SummaryView& view, const TextOptions& options) {
  return SummaryPage(view, options).run();
}

std::string table_text(const TableView& view, const TextOptions& options) {
  const auto columns = view.columns;
  std::vector<Columns::Heading> headings;
  for (const Field* column : columns) headings.push_back({std::string(column->name), is_number(*column)});
  Columns table(std::move(headings));
  for (const Kept& kept : view.rows) {
    std::vector<std::string> cells;
    const Row row{kept.record, kept.problems, view.streams.of(kept.record.first_frame)};
    for (std::size_t i = 0; i < columns.size(); ++i) {
      const FieldValue value = columns[i]->value(row);
      if (std::holds_alternative<std::int64_t>(value) && columns[i]->unit != Unit::wall_time) table.align_right(i);
      cells.push_back(to_cell(value, columns[i]->unit));
    }
    table.add(std::move(cells));
  }
  const std::size_t shown = table.that_fit(options.width);
  Page page(options);
  page.put(table.headings(shown));
  for (std::size_t i = 0; i < table.rows(); ++i) page.put(table.line(i, shown));
  if (shown < columns.size()) {
    std::string missing;
    for (const Field* column : columns.subspan(shown))
      missing += (missing.empty() ? "" : " ") + std::string(column->name);
    page.folded("", base::format(options.language,
                                 {"left out for want of room: {} (--columns, --width, -o csv)",
                                  "因宽度不足而省略：{}（--columns、--width、-o csv）"},
                                 missing));
  }
  if (view.wanted == 0)
    page.line(connections_in_words(0, view.of, options.language));
  else if (view.wanted > view.rows.size())
    page.line(base::format(options.language,
                           {"... {} of {}; --top N shows more", "…… {1} 个中的 {0} 个；--top N 显示更多"},
                           view.rows.size(), view.wanted));
  if (const Text words = words_for(view.extent); !words.empty()) page.folded("", words.in(options.language));
  return page.take();
}

}  // namespace tcpwhy::scan
