#include "trace/proc_text.h"

#include <sys/sysmacros.h>

#include <algorithm>
#include <charconv>
#include <istream>
#include <sstream>
#include <utility>

namespace tcpwhy::trace {
namespace {

// The next line of `text` that begins with `prefix`, without it; removes everything up to its end. Empty: none.
std::string_view next_line(std::string_view& text, std::string_view prefix) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.starts_with(prefix)) return line.substr(prefix.size());
  }
  return {};
}

std::string_view next_word(std::string_view& line) {
  line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
  const std::size_t end = std::min(line.find(' '), line.size());
  const std::string_view word = line.substr(0, end);
  line.remove_prefix(end);
  return word;
}

}  // namespace

std::optional<std::uint32_t> socket_inode(std::string_view link) {
  constexpr std::string_view prefix = "socket:[";
  if (!link.starts_with(prefix) || !link.ends_with("]")) return std::nullopt;
  return number_in<std::uint32_t>(link.substr(prefix.size(), link.size() - prefix.size() - 1));
}

char task_state(std::string_view stat) {
  const std::size_t close = stat.rfind(')');
  return close != std::string_view::npos && close + 2 < stat.size() ? stat[close + 2] : '\0';
}

std::string status_value(std::istream& status, std::string_view name) {
  std::string line;
  while (std::getline(status, line))
    if (line.starts_with(name) && line.size() > name.size() && line[name.size()] == ':') {
      const std::size_t value = line.find_first_not_of(" \t", name.size() + 1);
      return value == std::string::npos ? std::string() : line.substr(value);
    }
  return {};
}

std::vector<MemoryRange> memory_ranges_in(std::istream& maps) {
  std::vector<MemoryRange> ranges;
  for (std::string line; std::getline(maps, line);) {
    std::istringstream words(line);
    MemoryRange range;
    char dash = 0, colon = 0;
    std::string permissions;
    unsigned int major = 0, minor = 0;
    words >> std::hex >> range.begin >> dash >> range.end >> permissions >> range.offset >> major >> colon >> minor;
    words >> std::dec >> range.inode >> std::ws;
    range.device = ::makedev(major, minor);
    std::getline(words, range.path);
    range.is_code = permissions.size() >= 3 && permissions[2] == 'x';
    ranges.push_back(std::move(range));
  }
  return ranges;
}

std::optional<CounterLines> counter_lines(std::string_view text, std::string_view prefix) {
  CounterLines lines;
  std::string_view names = next_line(text, prefix), values = next_line(text, prefix);
  for (auto word = next_word(names); !word.empty(); word = next_word(names)) lines.names.push_back(word);
  for (auto word = next_word(values); !word.empty(); word = next_word(values)) {
    const auto value = number_in<std::int64_t>(word);
    if (!value) return std::nullopt;
    lines.values.push_back(*value);
  }
  if (lines.values.empty() || lines.values.size() != lines.names.size()) return std::nullopt;
  return lines;
}

}  // namespace tcpwhy::trace
