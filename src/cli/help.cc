#include "cli/help.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "base/format.h"
#include "base/text.h"
#include "cli/output/output.h"

namespace tcpwhy::cli {
namespace {

constexpr std::size_t indent = 2;

struct Line {
  std::string name, text;
};

// Names on the left; their texts in a column, or below a name that is longer.
std::string in_columns(const std::vector<Line>& lines, std::size_t column, std::size_t width) {
  std::string out;
  for (const Line& line : lines) {
    std::string left = std::string(indent, ' ') + line.name;
    if (line.text.empty()) {
      out += left + '\n';
      continue;
    }
    std::string right = base::wrap(line.text, column, column, width);
    if (base::display_width(left) + 1 < column)
      right.replace(0, base::display_width(left), left);
    else
      out += left + '\n';
    out += right + '\n';
  }
  return out;
}

std::string section(const base::Text& heading, const std::vector<Line>& lines, std::size_t column, std::size_t width) {
  if (lines.empty()) return {};
  return fmt::format("\n{}\n{}", heading.in(spoken()), in_columns(lines, column, width));
}

// The paragraphs of a text, each wrapped.
std::string paragraphs(std::string_view text, std::size_t width) {
  std::string out;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    out += base::wrap(line, 0, 0, width) + '\n';
    text.remove_prefix(std::min(line.size() + 1, text.size()));
  }
  return out;
}

std::string first_line(const CLI::App& app) {
  const std::string text = app.get_description();
  return text.substr(0, text.find('\n'));
}

// A line each behind the first: COMMAND \t WHAT.
std::vector<Line> examples_of(const CLI::App& app) {
  std::vector<Line> examples;
  const std::string text = app.get_description();
  for (std::size_t at = text.find('\n'); at != std::string::npos;) {
    const std::size_t end = text.find('\n', at + 1);
    const std::string line = text.substr(at + 1, end == std::string::npos ? end : end - at - 1);
    const std::size_t tab = line.find('\t');
    examples.push_back({line.substr(0, tab), line.substr(tab + 1)});
    at = end;
  }
  return examples;
}

bool takes_many(const CLI::Option& option) {
  return option.get_expected_max() >= CLI::detail::expected_max_vector_size;
}

std::string usage(const CLI::App& app, const std::string& name) {
  std::string line = base::format(spoken(), {"Usage: {} [OPTIONS]", "用法：{} [选项]"}, name);
  for (const CLI::Option* option : app.get_options([](const CLI::Option* one) { return one->get_positional(); })) {
    const std::string shown = option->get_name(true, false);
    line += fmt::format(" [{}{}]", shown, takes_many(*option) ? "..." : "");
  }
  if (!app.get_subcommands([](const CLI::App*) { return true; }).empty())
    line += base::Text{" COMMAND", " 命令"}.in(spoken());
  return line + '\n';
}

std::vector<Line> lines_of_options(const CLI::App& app, bool positional) {
  std::vector<Line> lines;
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_positional() != positional || option->get_group().empty()) continue;
    std::string name = positional ? option->get_name(true, false) : option->get_name(false, true);
    if (!positional && !option->get_option_text().empty()) name += ' ' + option->get_option_text();
    lines.push_back({std::move(name), option->get_description()});
  }
  return lines;
}

std::vector<Line> lines_of_commands(const CLI::App& app) {
  std::vector<Line> lines;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    lines.push_back({command->get_name(), first_line(*command)});
  return lines;
}

// Wide enough for most names, and no wider than a third of the line.
std::size_t column_for(const std::vector<Line>& lines, std::size_t width) {
  std::size_t longest = 0;
  for (const Line& line : lines) {
    const std::size_t columns = base::display_width(line.name);
    if (columns <= width / 3) longest = std::max(longest, columns);
  }
  return indent + longest + 2;
}

}  // namespace

std::string description(const base::Text& what, std::initializer_list<Example> examples) {
  std::string text = said(what);
  for (const Example& example : examples) text += fmt::format("\n{}\t{}", example.command, example.what.in(spoken()));
  return text;
}

std::string HelpFormatter::make_help(const CLI::App* app, std::string name, CLI::AppFormatMode) const {
  const std::size_t width = width_();
  const auto examples = examples_of(*app);
  std::size_t longest = 0;
  for (const Line& example : examples) longest = std::max(longest, base::display_width(example.name));
  std::vector<Line> left = lines_of_options(*app, true), options = lines_of_options(*app, false);
  const auto commands = lines_of_commands(*app);
  std::vector<Line> all = left;
  all.insert(all.end(), options.begin(), options.end());
  const std::size_t column = column_for(all, width);
  std::string out = paragraphs(first_line(*app), width) + '\n' + paragraphs(usage(*app, name), width);
  out += section({"Examples:", "示例："}, examples, indent + longest + 2, width);
  out += section({"Commands:", "命令："}, commands, column_for(commands, width), width);
  out += section({"Arguments:", "参数："}, left, column, width);
  out += section({"Options:", "选项："}, options, column, width);
  if (const std::string footer = app->get_footer(); !footer.empty()) out += '\n' + paragraphs(footer, width);
  return out;
}

}  // namespace tcpwhy::cli
