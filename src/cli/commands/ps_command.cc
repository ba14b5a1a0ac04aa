// tcpwhy ps: the TCP sockets of this moment, and what is wrong with them.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "cli/choice.h"
#include "cli/command.h"
#include "cli/output/view.h"
#include "cli/ps/illness.h"

namespace tcpwhy::cli {
namespace {

struct PsOptions {
  ps::Filter filter;
  std::vector<std::string> hosts;
  Form form = Form::text;
  bool all = false;
  FailOn fail_on;
};

int status_of(const ps::Diagnosis& diagnosis, const FailOn& fail_on) {
  const auto bad = [&](const auto& found) { return found.severity >= *fail_on; };
  const bool ill =
      fail_on && (std::ranges::any_of(diagnosis.illnesses, bad) || std::ranges::any_of(diagnosis.time_waits, bad));
  return ill ? base::exit_status(base::ErrorKind::expectation) : 0;
}

int run_ps(PsOptions options, Context& context) {
  for (const auto& text : options.hosts) {
    const auto host = wire::IpAddress::parse(text);
    if (!host)
      return report({base::ErrorKind::usage, "'" + text + "' is no IP address", "an address such as 127.0.0.1 or ::1"});
    options.filter.hosts.push_back(*host);
  }
  auto facts = ps::collect();
  if (!facts) return report(facts.error());
  ps::apply(options.filter, *facts);
  const auto diagnosis = ps::diagnose(*facts);
  if (options.form == Form::json)
    ps::write_json(*facts, diagnosis, context.language(), [&](std::string_view text) { context.out.write(text); });
  else
    context.out.write(ps::as_text(
        *facts, diagnosis,
        {.language = context.language(), .width = context.width(), .color = context.color(), .all = options.all}));
  return status_of(diagnosis, options.fail_on);
}

}  // namespace

void add_ps_command(CLI::App& app, Settings& settings, Command& chosen) {
  auto* command = app.add_subcommand("ps", "The TCP sockets of now, and what is wrong with them");
  const auto options = std::make_shared<PsOptions>();
  command->add_flag("-a,--all", options->all, "Healthy ones too");
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
