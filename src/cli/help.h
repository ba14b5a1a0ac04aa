// How help looks: what it is, how it is called, examples, and what there is to say, as wide as the terminal.
#pragma once

#include <CLI/CLI.hpp>
#include <cstddef>
#include <functional>
#include <initializer_list>
#include <string>

#include "base/language.h"

namespace tcpwhy::cli {

struct Example {
  std::string command;
  base::Text what;
};

// For CLI::App::description(): what a command does, which stands in the list of commands too, and examples of it.
std::string description(const base::Text& what, std::initializer_list<Example> examples);

// Of apps whose descriptions are made so. `width`: columns that there are when it is shown.
class HelpFormatter final : public CLI::FormatterBase {
 public:
  explicit HelpFormatter(std::function<std::size_t()> width) : width_(std::move(width)) {}
  std::string make_help(const CLI::App* app, std::string name, CLI::AppFormatMode mode) const override;

 private:
  std::function<std::size_t()> width_;
};

}  // namespace tcpwhy::cli
