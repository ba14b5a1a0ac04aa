#include "render/reports/watching_line.h"

#include <fmt/format.h>

#include "base/format.h"
#include "base/text.h"

namespace tcpwhy::render {
namespace {

constexpr std::size_t most_named = 5;

}  // namespace

std::string watching_line(const std::vector<WatchedProgram>& programs, base::Language language) {
  const bool chinese = language == base::Language::zh;
  std::string names;
  for (std::size_t i = 0; i < programs.size() && i < most_named; ++i) {
    const auto& [name, pid] = programs[i];
    if (i > 0) names += chinese ? "、" : ", ";
    names += base::escape_controls(name);
    if (pid != 0) names += fmt::format(" ({})", pid);
  }
  // What is counted: in English the rest, in Chinese all.
  if (programs.size() > most_named)
    names = base::format(language, {"{} and {} more", "{} 等 {} 个"}, names,
                         chinese ? programs.size() : programs.size() - most_named);
  return base::format(language, {"watching {}; Ctrl-C ends\n", "正在观察 {}；按 Ctrl-C 结束\n"}, names);
}

}  // namespace tcpwhy::render
