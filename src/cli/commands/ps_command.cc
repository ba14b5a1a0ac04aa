// tcpwhy ps: the TCP sockets of this moment, and what is wrong with them.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "cli/choice.h"
#include "cli/command.h"
#include "cli/output/form.h"
#include "cli/output/view.h"
#include "explain/rules/sockets.h"
#include "observe/netns.h"
#include "observe/socket_facts.h"
#include "render/reports/sockets_report.h"

namespace tcpwhy::cli {
namespace {

struct PsOptions {
  observe::SocketFilter filter;
  std::vector<std::string> hosts;
  Form form = Form::text;
  bool all = false;
  std::size_t top = 20;
  std::string netns;
  FailOn fail_on;
};

int status_of(const explain::SocketsVerdict& verdict, const FailOn& fail_on) {
  const auto bad = [&](const auto& found) { return found.severity >= *fail_on; };
  const bool ill =
      fail_on && (std::ranges::any_of(verdict.findings, bad) || std::ranges::any_of(verdict.time_waits, bad));
  return ill ? base::exit_status(base::ErrorKind::expectation) : 0;
}

int run_ps(PsOptions options, Context& context) {
  for (const auto& text : options.hosts) {
    const auto host = wire::IpAddress::parse(text);
    if (!host)
      return report({base::ErrorKind::usage, "'" + text + "' is no IP address", "an address such as 127.0.0.1 or ::1"});
    options.filter.hosts.push_back(*host);
  }
  if (!options.netns.empty())
    if (const auto entered = observe::enter_netns(options.netns); !entered) return report(entered.error());
  auto facts = observe::collect_socket_facts();
  if (!facts) return report(facts.error());
  observe::apply(options.filter, *facts);
  const auto verdict = explain::judge(*facts);
  if (options.form == Form::json)
    render::write_sockets_json(*facts, verdict, context.language(),
                               [&](std::string_view text) { context.out.write(text); });
  else
    context.out.write(render::sockets_report(
        *facts, verdict,
        {.text = {.language = context.language(), .width = context.width(), .color = context.color()},
         .all = options.all,
         .top = options.top}));
  return status_of(verdict, options.fail_on);
}

}  // namespace

void add_ps_command(CLI::App& app, Settings& settings, Command& chosen) {
  auto* command = app.add_subcommand("ps", "The TCP sockets of now, and what is wrong with them");
  const auto options = std::make_shared<PsOptions>();
  command->add_flag("-a,--all", options->all, "Healthy ones too, and each by itself");
  command->add_option("--top", options->top, "No more than so many findings, the worst; 0: all")->capture_default_str();
  command->add_option("--netns", options->netns,
                      "Another network namespace: a name of ip-netns(8), a file, or a process's number (root)");
  command->add_option("--port", options->filter.ports, "Only sockets with this local or remote port; may be repeated");
  command->add_option("--host", options->hosts, "Only with this local or remote address; may be repeated");
  command->add_option("-p,--pid", options->filter.pids, "Only those that this process holds; may be repeated")
      ->check(CLI::PositiveNumber);
  add_choice(*command, "-o,--output", options->form, Choices<Form>{{"text", Form::text}, {"json", Form::json}},
             "Words (text, the default) or a JSON document");
  add_fail_on(*command, options->fail_on);
  add_settings(*command, settings);
  command->callback([&chosen, options] { chosen = [options](Context& context) { return run_ps(*options, context); }; });
}

}  // namespace tcpwhy::cli
