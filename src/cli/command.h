// The commands of the program. Each has a file of its own, NAME_command.cc, which reads its options and wires rooms together.
#pragma once

#include <functional>

#include "base/language.h"
#include "cli/output/output.h"
#include "cli/settings.h"

namespace CLI {
class App;
}

namespace tcpwhy::cli {

// What a command has at hand when it runs.
struct Context {
  Settings settings;
  Output out;

  [[nodiscard]] base::Language language() const { return language_of(settings, environment()); }
  [[nodiscard]] std::size_t width() const;
  [[nodiscard]] bool color() const;
};

// The command that the arguments chose; returns the exit status.
using Command = std::function<int(Context&)>;

// Each adds its subcommand to `app`, which sets `chosen` when it is named.
void add_lab_command(CLI::App& app, Settings& settings, Command& chosen);
void add_server_command(CLI::App& app, Settings& settings, Command& chosen);
void add_client_command(CLI::App& app, Settings& settings, Command& chosen);
void add_read_command(CLI::App& app, Settings& settings, Command& chosen);
void add_trace_command(CLI::App& app, Settings& settings, Command& chosen);
void add_ps_command(CLI::App& app, Settings& settings, Command& chosen);
void add_watch_command(CLI::App& app, Settings& settings, Command& chosen);
void add_doctor_command(CLI::App& app, Settings& settings, Command& chosen);

}  // namespace tcpwhy::cli
