#include "cli/settings.h"

#include <sys/ioctl.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "base/language.h"
#include "cli/choice.h"

namespace tcpwhy::cli {
namespace {

std::string_view value_of(const Environment& environment, std::string_view name) {
  const auto found = environment.find(name);
  return found == environment.end() ? std::string_view() : std::string_view(found->second);
}

std::optional<std::size_t> positive_number(std::string_view text) {
  std::size_t number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size() || number == 0) return std::nullopt;
  return number;
}

}  // namespace

Environment environment() {
  Environment environment;
  for (const char* name : {"LC_ALL", "LC_MESSAGES", "LANG", "NO_COLOR", "TERM", "COLUMNS"}) {
    if (const char* value = std::getenv(name)) environment[name] = value;
  }
  return environment;
}

base::Language language_of(const Settings& settings, const Environment& environment) {
  if (settings.language) return *settings.language;
  for (const std::string_view name : {"LC_ALL", "LC_MESSAGES", "LANG"}) {
    const auto value = value_of(environment, name);
    if (!value.empty()) return value.starts_with("zh") ? base::Language::zh : base::Language::en;
  }
  return base::Language::en;
}

bool use_color(const Settings& settings, const Environment& environment, bool is_terminal) {
  if (settings.color != ColorWhen::automatic) return settings.color == ColorWhen::always;
  return is_terminal && value_of(environment, "NO_COLOR").empty() && value_of(environment, "TERM") != "dumb";
}

std::size_t width_of(const Settings& settings, const Environment& environment,
                     std::optional<std::size_t> terminal_columns) {
  auto width = settings.width;
  if (!width) width = positive_number(value_of(environment, "COLUMNS"));
  if (!width) width = terminal_columns;
  return std::clamp(width.value_or(default_width), narrowest, widest);
}

std::optional<std::size_t> terminal_columns(int fd) {
  winsize size{};
  if (ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return std::nullopt;
  return size.ws_col;
}

void add_settings(CLI::App& app, Settings& settings) {
  add_choice(app, "--lang", settings.language,
             Choices<base::Language>{{"en", base::Language::en}, {"zh", base::Language::zh}},
             "Language of the explanations (default: the locale's)");
  add_choice(
      app, "--color", settings.color,
      Choices<ColorWhen>{{"auto", ColorWhen::automatic}, {"always", ColorWhen::always}, {"never", ColorWhen::never}},
      "Colours (default: auto, on a terminal)");
  app.add_flag_callback("--no-color", [&settings] { settings.color = ColorWhen::never; }, "The same as --color never");
  app.add_option_function<std::string>(
         "--width",
         [&settings](const std::string& given) {
           settings.width = positive_number(given);
           if (!settings.width || *settings.width < narrowest || *settings.width > widest) {
             throw CLI::ValidationError(fmt::format("--width takes {} to {}, not '{}'", narrowest, widest, given));
           }
         },
         "Columns to use (default: the terminal's)")
      ->option_text("N");
}

}  // namespace tcpwhy::cli
