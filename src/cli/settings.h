// What every command takes: language, colour, width, and the form of what is shown.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/language.h"

namespace CLI {
class App;
}

namespace tcpwhy::cli {

enum class ColorWhen { automatic, always, never };

struct Settings {
  std::optional<base::Language> language;  // --lang
  ColorWhen color = ColorWhen::automatic;  // --color, --no-color
  std::optional<std::size_t> width;        // --width
};

// The values of the environment that settings depend on, so that the rules below can be tested.
using Environment = std::map<std::string, std::string, std::less<>>;
Environment environment();  // LC_ALL, LC_MESSAGES, LANG, NO_COLOR, TERM, COLUMNS, as far as they are set

// --lang, else the first of LC_ALL, LC_MESSAGES, LANG that is set and not empty (locale(7)): zh... is Chinese, all else English.
base::Language language_of(const Settings& settings, const Environment& environment);

// The same before the arguments are parsed, since what is wrong with them is said in it too: by the last --lang that stands before
// a "--", whatever else they are.
base::Language language_before_parsing(std::span<const char* const> arguments, const Environment& environment);

// --color, else: onto a terminal that is not dumb, unless NO_COLOR is set and not empty (no-color.org).
bool use_color(const Settings& settings, const Environment& environment, bool is_terminal);

// --width, else COLUMNS, else the terminal's (nothing: not a terminal), else 120; from `narrowest` to `widest`.
inline constexpr std::size_t narrowest = 80, widest = 1000, default_width = 120;
std::size_t width_of(const Settings& settings, const Environment& environment,
                     std::optional<std::size_t> terminal_columns);
std::optional<std::size_t> terminal_columns(int fd);

// Adds --lang; the second --color, --no-color and --width too.
void add_language(CLI::App& app, Settings& settings);
void add_settings(CLI::App& app, Settings& settings);

}  // namespace tcpwhy::cli
