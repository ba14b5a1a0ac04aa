#include "cli/read_connection.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <utility>

#include "base/text.h"
#include "render/connection_report.h"
#include "scan/pick_connection.h"

namespace tcpwhy::cli {
namespace {

base::Result<scan::Choice> choice_of(const ConnectionOptions& options) {
  if (options.stream) return scan::ByNumber{*options.stream};
  const auto end = scan::ByEnd::parse(options.end);
  if (!end)
    return base::fail(base::ErrorKind::usage,
                      fmt::format("--conn takes ADDRESS:PORT, ADDRESS or PORT, not '{}'", options.end),
                      "--conn 10.0.0.1:443, --conn '[::1]:443', --conn 443");
  return *end;
}

// Standard input can be read once only.
scan::OpenCapture opener_of(const std::string& file) {
  return [file, times = 0]() mutable -> base::Result<scan::FrameReader> {
    if (file == "-" && times++ > 0)
      return base::fail(base::ErrorKind::usage, "this connection's number is known only at the end of standard input",
                        "read the capture from a file, or choose the connection by --conn");
    return scan::FrameReader::open(file);
  };
}

base::Error none_fits(const ConnectionOptions& options, const scan::PickOutcome& outcome) {
  if (options.stream)
    return {base::ErrorKind::usage,
            fmt::format("there is no connection {}: the capture holds {}", *options.stream, outcome.connections),
            outcome.connections == 0 ? "" : fmt::format("--stream 0 to {}", outcome.connections - 1)};
  return {base::ErrorKind::usage, fmt::format("no connection of {} has an end {}", outcome.connections, options.end),
          ""};
}

int list_candidates(const std::string& file, const ConnectionOptions& options, const scan::PickOutcome& outcome,
                    Context& context) {
  for (const auto& candidate : outcome.candidates)
    context.out.write(fmt::format("{:>6}  {} - {}, frame {}\n", candidate.number, candidate.ends[0], candidate.ends[1],
                                  candidate.first_frame));
  if (outcome.matches > outcome.candidates.size())
    context.out.write(fmt::format("        and {} more\n", outcome.matches - outcome.candidates.size()));
  return report({base::ErrorKind::usage, fmt::format("{} connections have an end {}", outcome.matches, options.end),
                 fmt::format("tcpwhy read {} --stream {}", file, outcome.candidates.front().number)});
}

void print_packets(const recording::Recording& packets, const View& view, Context& context) {
  PacketLines lines(view, context);
  lines.print(packets);
}

void print_report(const render::ConnectionReport& report, const ConnectionOptions& options, const View& view,
                  Context& context) {
  if (view.form == Form::json) return context.out.write(render::connection_json(report, context.language()));
  render::TextOptions text;
  text.language = context.language();
  text.width = context.width();
  text.color = context.color();
  context.out.write(render::connection_report(report, text, options.all));
}

}  // namespace

void add_connection_options(CLI::App& app, ConnectionOptions& options) {
  auto* stream = app.add_option("--stream", options.stream,
                                "The one connection with this number, counted by first frame from 0: its timeline");
  stream->option_text("N");
  app.add_option("--conn", options.end, "The one connection with this end: ADDRESS:PORT, ADDRESS or PORT")
      ->option_text("ADDR:PORT")
      ->excludes(stream);
  app.add_flag("--all", options.all, "With --stream and --conn: every segment, no run of them folded");
}

int show_connection(const std::string& file, const ConnectionOptions& options, const View& view, Context& context) {
  const auto choice = choice_of(options);
  if (!choice) return report(choice.error());
  scan::PickOptions pick;
  if (view.form == Form::tcpdump) pick.packets = scan::KeepPackets::all;
  auto outcome = scan::pick_connection(opener_of(file), *choice, pick);
  if (!outcome) return report(outcome.error());
  if (outcome->matches > 1) return list_candidates(file, options, *outcome, context);
  if (!outcome->picked) return report(outcome->stopped_by.value_or(none_fits(options, *outcome)));
  const scan::Picked& picked = *outcome->picked;
  if (view.form == Form::tcpdump)
    print_packets(picked.packets, view, context);
  else
    print_report({.seen = picked.seen}, options, view, context);
  if (outcome->stopped_by) return report(*outcome->stopped_by);
  return 0;
}

}  // namespace tcpwhy::cli
