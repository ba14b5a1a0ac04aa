// tcpwhy lab: runs experiments on this machine's kernel, and explains what they showed.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/language.h"
#include "base/text.h"
#include "capfile/recording/recording_io.h"
#include "cli/command.h"
#include "cli/help.h"
#include "cli/output/output_file.h"
#include "cli/output/view.h"
#include "cli/scenario_choice.h"
#include "lab/lab.h"
#include "observe/stop_on_signals.h"

namespace tcpwhy::cli {
namespace {

struct LabOptions {
  std::vector<std::string> words;
  bool list = false;
  std::string write_to;
  bool overwrite = false;
  lab::Family family = lab::Family::v4;
  bool exec_as_root = false;
  View view;
  FailOn fail_on;
};

// ---- the steps of the command

std::string list(const std::vector<lab::Scenario>& scenarios, base::Language language) {
  std::size_t name_columns = 0;
  for (const auto& scenario : scenarios) name_columns = std::max(name_columns, base::display_width(scenario.name));
  std::string out;
  for (const auto& scenario : scenarios) {
    const auto& title =
        language == base::Language::zh && !scenario.title_zh.empty() ? scenario.title_zh : scenario.title;
    out += fmt::format("{}  {}\n", base::fit(base::escape_controls(scenario.name), name_columns),
                       base::escape_controls(title));
  }
  return out;
}

// Reports what went wrong, each kind once where all scenarios failed for the same reason. Returns the exit status: that of the
// first error that is no failed expectation, since that one says why others may have failed.
int report_outcomes(const std::vector<lab::Outcome>& outcomes) {
  int status = 0;
  std::vector<std::string> told;
  for (const auto& outcome : outcomes) {
    if (!outcome.error) continue;
    const auto& error = *outcome.error;
    if (status == 0 || status == base::exit_status(base::ErrorKind::expectation))
      status = base::exit_status(error.kind);
    if (std::ranges::find(told, error.message.en) != told.end()) continue;
    told.push_back(error.message.en);
    report(error);
  }
  return status;
}

std::vector<recording::Recording> take_recordings(std::vector<lab::Outcome>& outcomes) {
  std::vector<recording::Recording> recordings;
  for (auto& outcome : outcomes) {
    if (!outcome.recording.events.empty()) recordings.push_back(std::move(outcome.recording));
  }
  return recordings;
}

int run_lab(const LabOptions& options, Context& context) {
  const auto builtin = lab::builtin_scenarios();
  const auto scenarios = choose_scenarios(builtin, options.words);
  if (!scenarios) return report(scenarios.error());
  if (options.list) {
    context.out.write(list(*scenarios, context.language()));
    return 0;
  }
  std::optional<OutputFile> file;
  if (!options.write_to.empty()) {
    auto opened = OutputFile::open(options.write_to, options.overwrite);
    if (!opened) return report(opened.error());
    file.emplace(std::move(*opened));
  }
  std::vector<lab::Outcome> outcomes;
  {
    const observe::StopOnSignals stop_on_signals;
    outcomes = lab::run(*scenarios,
                        {.family = options.family,
                         .parallel = 0,
                         .programs_as_root = options.exec_as_root,
                         .stop = &observe::StopOnSignals::requested()},
                        {});
  }
  if (observe::StopOnSignals::requested()) {
    observe::StopOnSignals::die_of_it();
    return base::exit_status(base::ErrorKind::system);
  }
  const auto recordings = take_recordings(outcomes);
  const auto explained = explain_all(recordings);
  if (options.view.form == Form::tcpdump) {
    PacketLines lines(options.view, context);
    for (const auto& recording : recordings) lines.print(recording);
  } else if (!recordings.empty() || options.view.form == Form::json) {
    show(explained, options.view.form, context);
  }
  int status = report_outcomes(outcomes);
  if (file) {
    auto written = capfile::write_recordings(recordings, file->sink(), capfile::compression_of(options.write_to));
    if (written) written = file->finish();
    if (!written) return report(written.error());
  }
  return status != 0 ? status : findings_status(explained, options.fail_on);
}

}  // namespace

void add_lab_command(CLI::App& app, Settings& settings, Command& chosen) {
  auto* lab = app.add_subcommand(
      "lab", description({"Experiments on this machine's own kernel: the seven questions, or those you name",
                          "在本机内核上做实验：七个问题，或您指定的实验"},
                         {{"tcpwhy lab", {"all of them", "全部实验"}},
                          {"tcpwhy lab 2-close/server-closes", {"one of them", "其中一个"}},
                          {"tcpwhy lab 5 -w five.pcapng",
                           {"those that answer question 5, recorded too", "回答问题 5 的实验，并记录下来"}}}));
  const auto options = std::make_shared<LabOptions>();
  lab->add_option(
      "SCENARIO", options->words,
      said(
          {"Names (2-close/server-closes), folders (2-close), questions (1 to 7) or files (x.tcp); all if none is given",
           "名称（2-close/server-closes）、文件夹（2-close）、问题编号（1 到 7）或文件（x.tcp）；不写则为全部"}));
  lab->add_flag("--list", options->list, said({"Only name the scenarios", "只列出场景的名称"}));
  lab->add_option("-w,--write", options->write_to,
                  said({"Write the recordings there, for Wireshark, tcpdump and tcpwhy read",
                        "把记录写到该文件，供 Wireshark、tcpdump 和 tcpwhy read 读取"}))
      ->option_text("FILE.pcapng");
  add_overwrite(*lab, options->overwrite);
  auto* v6 = lab->add_flag_callback(
      "--ipv6", [options] { options->family = lab::Family::v6; }, said({"Over IPv6", "使用 IPv6"}));
  lab->add_flag_callback(
         "--v4-mapped", [options] { options->family = lab::Family::v4_mapped; },
         said({"IPv6 sockets that talk IPv4", "用 IPv6 套接字进行 IPv4 通信"}))
      ->excludes(v6);
  lab->add_flag(
      "--exec-as-root", options->exec_as_root,
      said({"For root: programs that a scenario runs by exec() run as root too, not as who called sudo, or nobody",
            "供 root 使用：场景用 exec() 运行的程序也以 root 身份运行，而不是调用 sudo 的用户或 nobody"}));
  add_view(*lab, options->view);
  add_fail_on(*lab, options->fail_on);
  add_settings(*lab, settings);
  lab->callback([&chosen, options] { chosen = [options](Context& context) { return run_lab(*options, context); }; });
}

}  // namespace tcpwhy::cli
