#include "cli/read/read_connection.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <utility>

#include "base/format.h"
#include "base/language.h"
#include "capfile/strace/strace_log.h"
#include "cli/usage_mistake.h"
#include "render/reports/connection_report.h"
#include "scan/connections/pick_connection.h"

namespace tcpwhy::cli {
namespace {

base::Result<scan::Choice> choice_of(const ConnectionOptions& options) {
  if (options.stream) return scan::ByNumber{*options.stream};
  const auto end = scan::EndPattern::parse(options.end);
  if (!end)
    return base::fail(base::ErrorKind::usage,
                      base::format({"--conn takes ADDRESS:PORT, ADDRESS, NETWORK or PORT, not '{}'",
                                    "--conn 应为 ADDRESS:PORT、ADDRESS、NETWORK 或 PORT，而不是“{}”"},
                                   options.end),
                      base::both("--conn 10.0.0.1:443, --conn '[::1]:443', --conn 10.0.0.0/24, --conn 443"));
  return *end;
}

// A pipe can be read once only.
scan::OpenCapture opener_of(const Captures& captures) {
  return [&captures, times = 0]() mutable -> base::Result<scan::FrameReader> {
    if (!captures.can_reopen && times++ > 0)
      return base::fail(base::ErrorKind::usage,
                        {"this connection's number is known only at the end of the capture, which can't be read twice",
                         "该连接的编号要到抓包结尾才能确定，而此输入不能读取两遍"},
                        {"read the capture from a file, or choose the connection by --conn",
                         "请从文件读取抓包，或用 --conn 选择连接"});
    return captures.open();
  };
}

base::Error none_fits(const ConnectionOptions& options, const scan::PickOutcome& outcome) {
  if (options.stream)
    return {base::ErrorKind::usage,
            base::format({"there is no connection {}: the capture holds {}", "没有连接 {}：抓包中共有 {} 个"},
                         *options.stream, outcome.connections),
            outcome.connections == 0 ? base::OwnedText{}
                                     : base::format({"--stream 0 to {}", "--stream 0 到 {}"}, outcome.connections - 1)};
  return {base::ErrorKind::usage,
          base::format({"no connection of {0} has an end {1}", "{0} 个连接中没有一端是 {1} 的"}, outcome.connections,
                       options.end),
          {}};
}

int list_candidates(const Captures& captures, const ConnectionOptions& options, const scan::PickOutcome& outcome,
                    Context& context) {
  for (const auto& candidate : outcome.candidates)
    context.out.write(base::format(spoken(), {"{:>6}  {} - {}, frame {}\n", "{:>6}  {} - {}，帧 {}\n"},
                                   candidate.number, candidate.ends[tcp::EndIndex::first],
                                   candidate.ends[tcp::EndIndex::second], candidate.first_frame));
  if (outcome.matches > outcome.candidates.size())
    context.out.write(base::format(spoken(), {"        and {} more\n", "        另有 {} 个\n"},
                                   outcome.matches - outcome.candidates.size()));
  return report(
      {base::ErrorKind::usage,
       base::format({"{} connections have an end {}", "有 {} 个连接的一端是 {}"}, outcome.matches, options.end),
       base::both(fmt::format("tcpwhy read {} --stream {}", captures.names, outcome.candidates.front().number))});
}

void print_packets(const recording::Recording& packets, const View& view, Context& context) {
  PacketLines lines(view, context);
  lines.print(packets);
}

void print_report(const render::ConnectionReport& report, const ConnectionOptions& options, const View& view,
                  Context& context) {
  if (view.form == Form::json)
    return render::write_connection_json(report, context.language(),
                                         [&context](std::string_view text) { context.out.write(text); });
  render::TextOptions text;
  text.language = context.language();
  text.width = context.width();
  text.color = context.color();
  context.out.write(render::connection_report(report, text, options.all));
}

// In UTC, to the millisecond.
std::string clock_time(base::WallTime at) {
  return fmt::format("{:%F %T}", std::chrono::time_point_cast<std::chrono::milliseconds>(at));
}

// Packets and calls as one recording. Both are stamped with CLOCK_REALTIME.
recording::Recording merge(recording::Recording packets, recording::Recording calls) {
  packets.actors = std::move(calls.actors);
  std::ranges::move(calls.events, std::back_inserter(packets.events));
  packets.provenance.observed.add(calls.provenance.observed);
  recording::sort_by_time(packets);
  return packets;
}

// strace -yy, or a call that was given an address. Of a log without any, next to nothing is known, nor when it was.
bool shows_addresses(const recording::Recording& calls) {
  return std::ranges::any_of(calls.events, [](const recording::Event& event) {
    const auto* entered = std::get_if<recording::CallEntered>(&event.what);
    const auto* returned = std::get_if<recording::CallReturned>(&event.what);
    return (entered != nullptr && entered->remote) || (returned != nullptr && returned->remote);
  });
}

void warn_if_apart(const recording::Recording& calls, const tcp::SeenConnection& seen) {
  const auto began = base::wall_from_ns(seen.tracker.began_ns()), ended = base::wall_from_ns(seen.tracker.last_ns());
  const auto first = calls.events.front().at, last = calls.events.back().at;
  if (first <= ended && last >= began) return;
  warn(base::format(
      {"the calls ({} to {}) and the connection ({} to {}, UTC) do not overlap: of another run, or another clock",
       "调用（{} 至 {}）与连接（{} 至 {}，UTC）没有重叠：属于另一次运行，或时钟不同"},
      clock_time(first), clock_time(last), clock_time(began), clock_time(ended)));
}

// The connection in the merged recording that its packets made; nothing if they made several.
std::optional<timeline::ConnectionIndex> connection_in(const timeline::Timeline& timeline, std::size_t segments) {
  for (timeline::ConnectionIndex i = 0; i < timeline.connections.size(); ++i)
    if (timeline.connections[i].segments.size() == segments) return i;
  return std::nullopt;
}

// Of the connection, as it is shown: 1 if what is wrong with it is as severe as that.
int problems_status(const render::ConnectionReport& report, const FailOn& fail_on) {
  if (!fail_on) return 0;
  bool fails = std::ranges::any_of(report.problems, [&](const auto& problem) { return problem.severity >= *fail_on; });
  if (report.explained != nullptr)
    fails = fails || std::ranges::any_of(report.explained->findings, [&](const explain::Finding& finding) {
              return finding.connection == report.index && finding.rule->severity >= *fail_on;
            });
  return fails ? base::exit_status(base::ErrorKind::expectation) : 0;
}

int print_with_calls(scan::Picked& picked, const capfile::Input& file, const ConnectionOptions& options,
                     const View& view, const FailOn& fail_on, Context& context) {
  const auto log = capfile::read_strace(file);
  if (!log) return report(log.error());
  if (log->not_understood > 0)
    warn(base::format({"{0}: {1} of {2} lines are none of strace's", "{0}：{2} 行中有 {1} 行不是 strace 的"},
                      options.calls, log->not_understood, log->lines));
  const bool has_addresses = shows_addresses(log->calls);
  if (has_addresses) warn_if_apart(log->calls, picked.seen);
  auto calls = capfile::calls_between(log->calls, picked.seen.ends[tcp::EndIndex::first],
                                      picked.seen.ends[tcp::EndIndex::second]);
  const bool any = std::ranges::any_of(calls.events, [](const recording::Event& event) {
    return std::holds_alternative<recording::CallEntered>(event.what);
  });
  if (!any)
    warn(base::format({"{}: no call on this connection: {}", "{}：没有针对此连接的调用：{}"}, options.calls,
                      has_addresses ? base::Text{"no socket of the log has its addresses", "日志中没有套接字具有其地址"}
                                    : base::Text{"the log shows no socket's addresses; record it with strace -yy",
                                                 "日志没有显示套接字的地址；请用 strace -yy 记录"}));
  const auto merged = merge(std::move(picked.packets), std::move(calls));
  const auto explained = explain::explain(merged);
  const auto index = connection_in(explained.timeline, picked.seen.segments.size());
  render::ConnectionReport made = render::report_of(picked, context.language());
  if (!index)
    warn({"the calls can't be placed among these segments, which do not look like one connection: they are left out",
          "这些报文段看起来不属于同一个连接，无法在其中安放调用：已略去"});
  else
    made.explained = &explained, made.index = *index;
  print_report(made, options, view, context);
  return problems_status(made, fail_on);
}

int print_without_calls(const scan::Picked& picked, const ConnectionOptions& options, const View& view,
                        const FailOn& fail_on, Context& context) {
  const auto made = render::report_of(picked, context.language());
  print_report(made, options, view, context);
  return problems_status(made, fail_on);
}

}  // namespace

void add_connection_options(CLI::App& app, ConnectionOptions& options) {
  auto* stream =
      app.add_option("--stream", options.stream,
                     said({"The one connection with this number, counted by first frame from 0: its timeline",
                           "编号为 N 的连接（按首帧从 0 起）：其时间线"}));
  in_range(stream, {});
  app.add_option("--conn", options.end,
                 said({"The one connection with this end: ADDRESS:PORT, ADDRESS, NETWORK or PORT",
                       "一端为此的连接：ADDRESS:PORT、ADDRESS、NETWORK 或 PORT"}))
      ->option_text("ADDR:PORT")
      ->excludes(stream);
  app.add_option(
         "--calls", options.calls,
         said(
             {"With --stream and --conn: the calls of the time, a log of strace -f -ttt -T -yy -e trace=network,desc,process,close_range",
              "与 --stream、--conn 合用：当时的调用，即 strace -f -ttt -T -yy -e trace=network,desc,process,close_range 的日志"}))
      ->option_text("STRACE.LOG");
  app.add_flag("--all", options.all,
               said({"With --stream and --conn: every segment, no run of them folded",
                     "与 --stream、--conn 合用：显示每个报文段，不折叠"}));
}

int show_connection(const Captures& captures, const ConnectionOptions& options, const View& view, const FailOn& fail_on,
                    Context& context) {
  if (!row_of(view.form).of_a_connection)
    return report({base::ErrorKind::usage,
                   {"read: one connection is shown as text, tcpdump's lines or JSON",
                    "read：单个连接只能显示为文本、tcpdump 的行或 JSON"},
                   base::both("-o json")});
  const auto choice = choice_of(options);
  if (!choice) return report(choice.error());
  scan::PickOptions pick;
  if (captures.most_connections > 0) pick.table.open = captures.most_connections;
  if (captures.calls) pick.packets = scan::KeepPackets::headers;
  if (view.form == Form::tcpdump) pick.packets = scan::KeepPackets::all;
  auto outcome = scan::pick_connection(opener_of(captures), *choice, pick);
  if (!outcome) return captures.stop.report_unless_stopped(outcome.error());
  if (outcome->matches > 1) return list_candidates(captures, options, *outcome, context);
  if (!outcome->picked)
    return captures.stop.report_unless_stopped(outcome->stopped_by.value_or(none_fits(options, *outcome)));
  scan::Picked& picked = *outcome->picked;
  int status = 0;
  if (view.form == Form::tcpdump)
    print_packets(picked.packets, view, context);
  else if (!captures.calls)
    status = print_without_calls(picked, options, view, fail_on, context);
  else
    status = print_with_calls(picked, *captures.calls, options, view, fail_on, context);
  if (status <= 1 && outcome->stopped_by && !captures.stop.stopped()) return report(*outcome->stopped_by);
  return status;
}

}  // namespace tcpwhy::cli
