#include "cli/usage_mistake.h"

#include <fmt/format.h>

#include <charconv>
#include <string_view>
#include <vector>

#include "base/format.h"
#include "base/text.h"
#include "scan/tables/nearest.h"

namespace tcpwhy::cli {
namespace {

using base::OwnedText;

// The subcommand that the arguments named, or null.
const CLI::App* named_command(const CLI::App& app) {
  const auto named = app.get_subcommands();
  return named.empty() ? nullptr : named.front();
}

std::string name_of(const CLI::Option& option) {
  return option.get_positional() ? option.get_name(true, false) : option.get_name();
}

// CLI11's sentences begin with the option's name; that of two is the longer one that fits.
const CLI::Option* option_named_first(const CLI::App& app, std::string_view sentence) {
  const CLI::Option* found = nullptr;
  for (const CLI::Option* option : app.get_options())
    if (sentence.starts_with(option->get_name()) &&
        (found == nullptr || option->get_name().size() > found->get_name().size()))
      found = option;
  return found;
}

OwnedText did_you_mean_option(const CLI::App& command, const std::string& given) {
  std::vector<std::string> names;
  for (const CLI::Option* option : command.get_options())
    for (const auto& name : option->get_lnames()) names.push_back("--" + name);
  const std::vector<std::string_view> views(names.begin(), names.end());
  return scan::did_you_mean(scan::nearest(given.substr(0, given.find('=')), views));
}

OwnedText not_expected(const CLI::App& command, OwnedText& hint) {
  auto left = command.remaining(true);
  std::erase(left, "--");
  if (left.empty()) return {"there is an argument too many", "参数过多"};
  const std::string& first = left.front();
  const std::string shown = base::escape_controls(first);
  if (!first.starts_with('-')) return base::format({"'{}' is one argument too many", "多出了参数“{}”"}, shown);
  hint = did_you_mean_option(command, first);
  return base::format({"there is no option {}", "没有选项 {}"}, shown);
}

OwnedText wrong_number_of_values(const CLI::Option& option, std::string_view sentence) {
  const std::string name = name_of(option);
  if (sentence.ends_with("disallowed flag override")) return base::format({"{} takes no value", "{} 不带值"}, name);
  if (sentence.ends_with("missing")) return base::format({"{} needs a value", "{} 需要一个值"}, name);
  return base::format({"{} is given more than once", "{} 只能给出一次"}, name);
}

OwnedText not_a_value(const CLI::Option& option) {
  const std::string name = name_of(option);
  if (option.get_expected_max() == 0) return base::format({"{} takes no value", "{} 不带值"}, name);
  const std::string given = option.results().empty() ? std::string() : base::escape_controls(option.results().back());
  return base::format({"{} takes a number, not '{}'", "{} 应为数字，而不是“{}”"}, name, given);
}

OwnedText words_of(const CLI::App& command, const CLI::ParseError& mistake, OwnedText& hint) {
  const std::string sentence = mistake.what();
  if (const auto* wrong = dynamic_cast<const WrongValue*>(&mistake)) {
    hint = wrong->hint();
    return wrong->message();
  }
  if (dynamic_cast<const CLI::ExtrasError*>(&mistake) != nullptr) return not_expected(command, hint);
  if (dynamic_cast<const CLI::ExcludesError*>(&mistake) != nullptr) {
    constexpr std::string_view between = " excludes ";
    const std::size_t at = sentence.find(between);
    return base::format({"{} and {} exclude each other", "{} 与 {} 不能同时使用"}, sentence.substr(0, at),
                        at == std::string::npos ? std::string() : sentence.substr(at + between.size()));
  }
  std::string_view about = sentence;
  for (const std::string_view before : {"Could not convert: ", "Expected exactly ", "Expected at least "})
    if (about.starts_with(before)) about.remove_prefix(before.size());
  if (const CLI::Option* option = option_named_first(command, about)) {
    if (dynamic_cast<const CLI::ArgumentMismatch*>(&mistake) != nullptr)
      return wrong_number_of_values(*option, sentence);
    if (dynamic_cast<const CLI::ConversionError*>(&mistake) != nullptr) return not_a_value(*option);
  }
  return base::format({"the arguments are not understood: {}", "无法理解参数：{}"}, base::escape_controls(sentence));
}

}  // namespace

std::string long_name(const std::string& option) { return option.substr(option.rfind(',') + 1); }

CLI::Option* in_range(CLI::Option* option, Range range) {
  return option->option_text("N")->check([option, range](const std::string& given) -> std::string {
    std::uint64_t number = 0;
    const char* const end = given.data() + given.size();
    const auto parsed = std::from_chars(given.data(), end, number);
    if (parsed.ec == std::errc() && parsed.ptr == end && number >= range.least && number <= range.most) return {};
    const std::string name = name_of(*option), shown = base::escape_controls(given);
    if (range.most == std::numeric_limits<std::uint64_t>::max())
      throw WrongValue(
          base::format({"{} takes a whole number from {} on, not '{}'", "{} 应为不小于 {} 的整数，而不是“{}”"}, name,
                       range.least, shown));
    throw WrongValue(base::format({"{} takes {} to {}, not '{}'", "{} 应为 {} 到 {}，而不是“{}”"}, name, range.least,
                                  range.most, shown));
  });
}

base::Error no_such_command(const CLI::App& app, const std::string& name) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(command->get_name());
  const std::vector<std::string_view> views(names.begin(), names.end());
  return {base::ErrorKind::usage,
          base::format({"there is no command '{}'", "没有命令“{}”"}, base::escape_controls(name)),
          base::format({"{}tcpwhy help", "{}tcpwhy help"}, scan::did_you_mean(scan::nearest(name, views)))};
}

base::Error usage_error(const CLI::App& app, const CLI::ParseError& mistake) {
  const CLI::App* const command = named_command(app);
  if (command == nullptr) {
    const auto left = app.remaining();
    if (!left.empty() && !left.front().starts_with('-')) return no_such_command(app, left.front());
  }
  OwnedText hint;
  OwnedText message = words_of(command != nullptr ? *command : app, mistake, hint);
  const std::string help = command != nullptr ? fmt::format("tcpwhy help {}", command->get_name()) : "tcpwhy help";
  return {base::ErrorKind::usage, std::move(message), base::format({"{}{}", "{}{}"}, hint, help)};
}

}  // namespace tcpwhy::cli
