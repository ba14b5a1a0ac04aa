// The same program under strace and under us: the lines of its calls must be the same, but for strace_tolerated.md.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "calls/call.h"
#include "trace/ptrace/traced_run_testing.h"

namespace tcpwhy::trace {
namespace {

using Lines = std::vector<std::string>;

// strace's line with -yy has each descriptor decorated: 3<TCP:[127.0.0.1:80->127.0.0.1:4000]>, 0</dev/null<char 1:3>>.
struct Plain {
  std::string text;
  bool on_tcp = false;
};
Plain without_decorations(const std::string& line) {
  Plain plain;
  bool quoted = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (quoted && c == '\\') {
      plain.text += line.substr(i++, 2);
      continue;
    }
    if (c == '"') quoted = !quoted;
    const bool decorates = !quoted && c == '<' && i > 0 && std::isdigit(static_cast<unsigned char>(line[i - 1])) != 0;
    if (!decorates) {
      plain.text += c;
      continue;
    }
    plain.on_tcp = plain.on_tcp || line.compare(i, 5, "<TCP:") == 0 || line.compare(i, 7, "<TCPv6:") == 0;
    for (int depth = 0; i < line.size(); ++i) {
      if (line[i] == '<') ++depth;
      if (line[i] == '>' && line[i - 1] != '-' && --depth == 0) break;
    }
    constexpr std::string_view deleted = "(deleted)";
    if (line.compare(i + 1, deleted.size(), deleted) == 0) i += deleted.size();
  }
  return plain;
}

Lines read_lines(const std::string& path) {
  std::ifstream file(path);
  Lines lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

// What differs from run to run; ports by the order in which they appear.
std::string without_chance(std::string line, std::map<std::string, std::string>& ports) {
  static const std::regex address("0x7[0-9a-f]{9,}"), left("left \\{tv_sec=\\d+, tv_(u|n)sec=\\d+\\}"), align("\\) +=");
  line = std::regex_replace(line, address, "ADDRESS");
  line = std::regex_replace(line, left, "left {$1}");
  line = std::regex_replace(line, align, ") =");
  static const std::regex port("htons\\((\\d{3,})\\)");
  std::smatch found;
  std::string done;
  while (std::regex_search(line, found, port)) {
    const auto name = ports.try_emplace(found[1], "PORT" + std::to_string(ports.size())).first->second;
    done += found.prefix().str() + "htons(" + name + ")";
    line = found.suffix();
  }
  return done + line;
}

// strace's line as ours would be, counting what that took.
class Tolerance {
 public:
  std::string apply(std::string line) {
    static const std::regex answer("^((?:recvfrom|getsockopt)\\(.*), ADDRESS(?:, \\[\\d+\\])?((?:, .*)?\\) = -1 .*)$");
    static const std::regex room("\\[\\d+ => (\\d+)\\]");
    static const std::regex end("^(exit_group\\(\\d+)\\) = \\?$");
    replace("no_answer", line, answer, "$1, ...$2");
    replace("room_and_answer", line, room, "[$1]");
    replace("end", line, end, "$1 <unfinished ...>");
    static const std::regex number("= 0x([0-9a-f]+) \\(flags");
    std::smatch found;
    if (std::regex_search(line, found, number)) {
      const std::string decimal = std::to_string(std::stoul(found[1], nullptr, 16));
      replace("hexadecimal", line, number, "= " + decimal + " (flags");
    }
    return line;
  }
  void use(const std::string& name) { used_.insert(name); }
  const std::set<std::string>& used() const { return used_; }

 private:
  void replace(const std::string& name, std::string& line, const std::regex& what, const std::string& by) {
    std::string changed = std::regex_replace(line, what, by);
    if (changed != line) use(name);
    line = std::move(changed);
  }
  std::set<std::string> used_;
};

bool is_recorded_anyway(const std::string& line) {
  const std::string name = line.substr(0, line.find('('));
  for (const calls::CallRow& row : calls::traced_calls())
    if (row.name == name)
      return !row.only_on_tcp || row.fd_range;  // a range isn't decorated; here it has sockets in it
  return false;
}

Lines lines_of_strace(const std::string& program, Tolerance& tolerance) {
  std::string names;
  for (const calls::CallRow& row : calls::traced_calls()) names += (names.empty() ? "" : ",") + std::string(row.name);
  const std::string output = ::testing::TempDir() + "strace_differential." + std::to_string(::getpid());
  const std::string command = "strace -f -yy -o " + output + " -e trace=" + names + " " + program;
  EXPECT_EQ(WEXITSTATUS(std::system(command.c_str())), 3) << command;
  Lines lines;
  std::map<std::string, std::string> ports;
  for (std::string line : read_lines(output)) {
    line.erase(0, line.find_first_not_of("0123456789 "));  // the pid
    if (line.starts_with("+++") || line.starts_with("---")) continue;
    const Plain plain = without_decorations(line);
    if (plain.text.starts_with("execve(")) {
      tolerance.use("start");
    } else if (!plain.on_tcp && !is_recorded_anyway(plain.text)) {
      tolerance.use("not_on_tcp");
    } else {
      lines.push_back(tolerance.apply(without_chance(plain.text, ports)));
    }
  }
  std::filesystem::remove(output);
  return lines;
}

std::set<std::string> names_in_the_document() {
  std::set<std::string> names;
  for (const auto& line : read_lines(std::string(TCPWHY_SOURCE_DIR) + "/src/trace/ptrace/strace_tolerated.md"))
    if (static const std::regex row("^\\| ([a-z_]+) \\|.*"); std::regex_match(line, row) && !line.starts_with("| name"))
      names.insert(std::regex_replace(line, row, "$1"));
  return names;
}

// The same whether each call stops or is recorded inside the process.
class StraceDifferentialTest : public ::testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Ptrace, StraceDifferentialTest, ::testing::Bool(),
                         [](const auto& parameter) { return parameter.param ? "inside" : "stops"; });

TEST_P(StraceDifferentialTest, every_call_reads_as_strace_has_it) {
  if (std::system("strace -V 2>/dev/null | grep -q 'version 6\\.1$'") != 0)
    GTEST_SKIP() << "the reference is strace 6.1, which is not installed";
  const std::string program = testing::program("every_call");
  Tolerance tolerance;
  const Lines expected = lines_of_strace(program, tolerance);
  Lines actual;
  std::map<std::string, std::string> ports;
  const auto run = testing::trace_command({program}, {.inside = GetParam(), .stops_before_inside = 0});
  for (const auto& line : testing::lines_of(run.recording)) actual.push_back(without_chance(line, ports));
  ASSERT_GT(expected.size(), 100U);
  for (std::size_t i = 0; i < std::min(expected.size(), actual.size()); ++i)
    ASSERT_EQ(actual[i], expected[i]) << "line " << i << ", strace's second";
  EXPECT_EQ(actual.size(), expected.size());
  EXPECT_EQ(tolerance.used(), names_in_the_document())
      << "a tolerated difference that isn't there any more, or isn't named";
}

}  // namespace
}  // namespace tcpwhy::trace
