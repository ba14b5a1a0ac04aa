#include "cli/program.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <string>

#include "cli/command.h"

namespace tcpwhy::cli {

std::size_t Context::width() const { return width_of(settings, environment(), terminal_columns(STDOUT_FILENO)); }

bool Context::color() const { return use_color(settings, environment(), isatty(STDOUT_FILENO) == 1); }

namespace {

constexpr const char* description =
    "tcpdump shows what was on the wire. tcpwhy shows why: packets, system calls, signals and both ends' TCP states "
    "on one timeline, with the cause of each and an explanation in words.";
constexpr const char* footer =
    "Exit status: 0 fine, 1 an expectation that failed or a finding, 2 usage, 3 unreadable input,\n"
    "4 a missing privilege or kernel feature. tcpwhy(1) is the manual.";

const CLI::App* find_command(const CLI::App& app, const std::string& name) {
  const auto named = app.get_subcommands([&name](const CLI::App* command) { return command->get_name() == name; });
  return named.empty() ? nullptr : named.front();
}

base::Error no_such_command(const std::string& name) {
  return {base::ErrorKind::usage, fmt::format("there is no command '{}'", name), "tcpwhy help"};
}

void add_help_command(CLI::App& app, Command& chosen) {
  auto* help = app.add_subcommand("help", "Help on a command");
  auto* topic = help->add_option("COMMAND", "The command");
  help->callback([&app, &chosen, topic] {
    const std::string name = topic->count() > 0 ? topic->as<std::string>() : std::string();
    chosen = [&app, name](Context& context) {
      const auto* about = name.empty() ? &app : find_command(app, name);
      if (about == nullptr) return report(no_such_command(name));
      // Not App::help(): that is the help of the command that was chosen, of "help" itself.
      const auto title = name.empty() ? app.get_name() : fmt::format("{} {}", app.get_name(), name);
      context.out.write(app.get_formatter()->make_help(about, title, CLI::AppFormatMode::Normal));
      return 0;
    };
  });
}

// The subcommand that the arguments named, or null.
const CLI::App* named_command(const CLI::App& app) {
  const auto named = app.get_subcommands();
  return named.empty() ? nullptr : named.front();
}

base::Error usage_error(const CLI::App& app, const CLI::ParseError& mistake) {
  const auto* command = named_command(app);
  if (command != nullptr) {
    return {base::ErrorKind::usage, mistake.what(), fmt::format("tcpwhy help {}", command->get_name())};
  }
  const auto left = app.remaining();
  if (!left.empty() && !left.front().starts_with('-')) return no_such_command(left.front());
  return {base::ErrorKind::usage, mistake.what(), "tcpwhy help"};
}

// `status`, unless what was to be said could not be written.
int checked(int status, const Context& context) {
  const auto written = context.out.status();
  return written ? status : report(written.error());
}

}  // namespace

int run_program(int argc, const char* const* argv) {
  CLI::App app{description, "tcpwhy"};
  app.footer(footer);
  app.set_version_flag("--version", fmt::format("tcpwhy {}", TCPWHY_VERSION));
  app.get_formatter()->column_width(34);
  Context context{.settings = {}, .out = Output(STDOUT_FILENO)};
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
  add_help_command(app, chosen);
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
  if (!chosen) {
    context.out.write(app.help());
    return checked(base::exit_status(base::ErrorKind::usage), context);
  }
  return checked(chosen(context), context);
}

}  // namespace tcpwhy::cli
