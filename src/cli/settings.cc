#include "cli/settings.h"

#include <sys/ioctl.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "base/format.h"
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

base::Language language_before_parsing(std::span<const char* const> arguments, const Environment& environment) {
  constexpr std::string_view option = "--lang";
  Settings settings;
  const auto take = [&settings](std::string_view value) {
    if (value == "en") settings.language = base::Language::en;
    if (value == "zh") settings.language = base::Language::zh;
  };
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string_view argument = arguments[i];
    if (argument == "--") break;
    if (argument == option && i + 1 < arguments.size()) take(arguments[i + 1]);
    if (argument.starts_with(option) && argument.substr(option.size()).starts_with('='))
      take(argument.substr(option.size() + 1));
  }
  return language_of(settings, environment);
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

void add_language(CLI::App& app, Settings& settings) {
  add_choice(app, "--lang", settings.language,
             Choices<base::Language>{{"en", base::Language::en}, {"zh", base::Language::zh}},
             {"Language of what is said (default: the locale's)", "所用的语言（默认：按 locale）"});
}

void add_settings(CLI::App& app, Settings& settings) {
  add_language(app, settings);
  add_choice(
      app, "--color", settings.color,
      Choices<ColorWhen>{{"auto", ColorWhen::automatic}, {"always", ColorWhen::always}, {"never", ColorWhen::never}},
      {"Colours (default: auto, on a terminal)", "颜色（默认：auto，输出到终端时使用）"});
  app.add_flag_callback(
      "--no-color", [&settings] { settings.color = ColorWhen::never; },
      said({"The same as --color never", "等同于 --color never"}));
  in_range(app.add_option("--width", settings.width,
                          said(base::format({"Columns to use, {} to {} (default: the terminal's)",
                                             "使用的列数，{} 到 {}（默认：终端的列数）"},
                                            narrowest, widest))),
           {.least = narrowest, .most = widest});
}

}  // namespace tcpwhy::cli
