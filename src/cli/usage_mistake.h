// What is wrong with the arguments, in words that name the option and what was given.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>

#include "base/language.h"
#include "base/result.h"

namespace tcpwhy::cli {

// Thrown by who looks at a value while the arguments are parsed. No ValidationError: CLI11 would put words of its own before it.
class WrongValue final : public CLI::ParseError {
 public:
  explicit WrongValue(base::OwnedText message, base::OwnedText hint = {})
      : CLI::ParseError(message.en, CLI::ExitCodes::ValidationError),
        message_(std::move(message)),
        hint_(std::move(hint)) {}
  [[nodiscard]] const base::OwnedText& message() const { return message_; }
  [[nodiscard]] const base::OwnedText& hint() const { return hint_; }

 private:
  base::OwnedText message_, hint_;
};

// "--output" of "-o,--output".
std::string long_name(const std::string& option);

// A whole number of this range, shown as N.
struct Range {
  std::uint64_t least = 0, most = std::numeric_limits<std::uint64_t>::max();
};
CLI::Option* in_range(CLI::Option* option, Range range);
inline constexpr Range a_port{.least = 1, .most = 65535};
inline constexpr Range a_process{.least = 1, .most = std::numeric_limits<std::int32_t>::max()};

// Where no command has this name.
base::Error no_such_command(const CLI::App& app, const std::string& name);
// Of what CLI11 has thrown when it parsed `app`'s arguments; the hint says where help is.
base::Error usage_error(const CLI::App& app, const CLI::ParseError& mistake);

}  // namespace tcpwhy::cli
