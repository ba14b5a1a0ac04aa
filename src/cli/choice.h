// An option whose value is one of a few words.
#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/format.h"
#include "base/text.h"
#include "cli/output/output.h"
#include "cli/usage_mistake.h"

namespace tcpwhy::cli {

template <class T>
using Choices = std::vector<std::pair<std::string, T>>;

// Adds `option` ("-o,--output"); its value must be one of the words. `target` holds the default and must outlive the parse.
template <class Target, class T>
CLI::Option* add_choice(CLI::App& app, const std::string& option, Target& target, Choices<T> choices,
                        const base::Text& help) {
  std::vector<std::string> words;
  for (const auto& [word, value] : choices) words.push_back(word);
  const std::string text = fmt::format("{}", fmt::join(words, "|"));
  const auto choose = [&target, choices = std::move(choices), option, text](const std::string& given) {
    for (const auto& [word, value] : choices) {
      if (given == word) {
        target = value;
        return;
      }
    }
    throw WrongValue(base::format({"{} takes {}, not '{}'", "{} 应为 {}，而不是“{}”"}, long_name(option), text,
                                  base::escape_controls(given)));
  };
  return app.add_option_function<std::string>(option, choose, said(help))->option_text(text);
}

}  // namespace tcpwhy::cli
