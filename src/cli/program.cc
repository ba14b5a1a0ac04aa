#include "cli/program.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstddef>
#include <memory>
#include <string>

#include "cli/command.h"
#include "cli/help.h"
#include "cli/usage_mistake.h"

namespace tcpwhy::cli {

std::size_t Context::width() const { return width_of(settings, environment(), terminal_columns(STDOUT_FILENO)); }

bool Context::color() const { return use_color(settings, environment(), isatty(STDOUT_FILENO) == 1); }

namespace {

constexpr base::Text what_it_is = {
    "tcpdump shows what was on the wire. tcpwhy shows why: packets, system calls, signals and both ends' TCP states "
    "on one timeline, with the cause of each and an explanation in words.",
    "tcpdump 显示线上有什么，tcpwhy 说明为什么：把报文、系统调用、信号和两端的 TCP 状态放在同一条时间线上，"
    "标出各自的原因，并用文字解释。"};
constexpr base::Text exit_statuses = {
    "Exit status: 0 fine, 1 an expectation that failed or a finding, 2 usage, 3 unreadable input, 4 a missing privilege or "
    "kernel feature. tcpwhy(1) is the manual.",
    "退出状态：0 正常，1 预期不成立或有发现，2 用法错误，3 输入无法读取，4 缺少权限或内核功能。手册见 tcpwhy(1)。"};

const CLI::App* find_command(const CLI::App& app, const std::string& name) {
  const auto named = app.get_subcommands([&name](const CLI::App* command) { return command->get_name() == name; });
  return named.empty() ? nullptr : named.front();
}

void add_help_command(CLI::App& app, Settings& settings, Command& chosen) {
  auto* help = app.add_subcommand("help", description({"Help on a command", "某个命令的帮助"},
                                                      {{"tcpwhy help", {"the commands", "有哪些命令"}},
                                                       {"tcpwhy help read", {"one of them", "其中一个命令"}}}));
  auto* topic = help->add_option("COMMAND")->description(said({"The command", "命令"}));
  add_language(*help, settings);
  help->callback([&app, &chosen, topic] {
    const std::string name = topic->count() > 0 ? topic->as<std::string>() : std::string();
    chosen = [&app, name](Context& context) {
      const auto* about = name.empty() ? &app : find_command(app, name);
      if (about == nullptr) return report(no_such_command(app, name));
      // Not App::help(): that is the help of the command that was chosen, of "help" itself.
      const auto title = name.empty() ? app.get_name() : fmt::format("{} {}", app.get_name(), name);
      context.out.write(app.get_formatter()->make_help(about, title, CLI::AppFormatMode::Normal));
      return 0;
    };
  });
}

// `status`, unless what was to be said could not be written.
int checked(int status, const Context& context) {
  const auto written = context.out.status();
  return written ? status : report(written.error());
}

}  // namespace

int run_program(int argc, const char* const* argv) {
  speak(language_before_parsing({argv, static_cast<std::size_t>(argc)}, environment()));
  Context context{.settings = {}, .out = Output(STDOUT_FILENO)};
  CLI::App app{
      description(what_it_is,
                  {{"tcpwhy lab", {"seven questions, answered by experiments", "用实验回答七个问题"}},
                   {"tcpwhy read FILE.pcap", {"what a capture shows", "抓包中发生了什么"}},
                   {"tcpwhy trace -- curl http://example.org/", {"a program's connections", "一个程序的连接"}}}),
      "tcpwhy"};
  app.footer(said(exit_statuses));
  app.formatter(std::make_shared<HelpFormatter>([&context] { return context.width(); }));
  app.set_help_flag("-h,--help", said({"Print this help and exit", "显示本帮助并退出"}));
  app.set_version_flag("--version", fmt::format("tcpwhy {}", TCPWHY_VERSION),
                       said({"Print the version and exit", "显示版本并退出"}));
  Command chosen;
  add_settings(app, context.settings);
  add_lab_command(app, context.settings, chosen);
  add_server_command(app, context.settings, chosen);
  add_client_command(app, context.settings, chosen);
  add_read_command(app, context.settings, chosen);
  add_trace_command(app, context.settings, chosen);
  add_ps_command(app, context.settings, chosen);
  add_watch_command(app, context.settings, chosen);
  add_doctor_command(app, context.settings, chosen);
  add_help_command(app, context.settings, chosen);
  app.require_subcommand(0, 1);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    context.out.write(app.help());
    return checked(0, context);
  } catch (const CLI::CallForVersion& version) {
    context.out.write(fmt::format("{}\n", version.what()));
    return checked(0, context);
  } catch (const CLI::ParseError& mistake) {
    return report(usage_error(app, mistake));
  }
  speak(context.language());
  if (!chosen) {
    context.out.write(app.help());
    return checked(base::exit_status(base::ErrorKind::usage), context);
  }
  return checked(chosen(context), context);
}

}  // namespace tcpwhy::cli
