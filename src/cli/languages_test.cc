// All that the program itself says is in the language that was asked for: help, and what it says of mistakes.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <regex>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "base/testing/data.h"
#include "base/text.h"
#include "cli/testing/program_fixture.h"

namespace tcpwhy::cli {
namespace {

using testing::Program;

class Languages : public Program {
 protected:
  // Those that somebody makes; $cap is a capture, $cut one that ends too early, $text neither.
  static const std::vector<std::string>& mistakes() {
    static const std::vector<std::string> all = {
        "nonsense", "raed x", "--nonsense", "--lang", "--lang fr", "help nonsense",
        // lab
        "lab --nonsense", "lab -o", "lab -o nonsense", "lab --ipv6 --v4-mapped", "lab no-such-scenario", "lab handshak",
        "lab missing.tcp", "lab $bad", "lab $bare", "lab $unclosed", "lab --width 3", "lab -w $text",
        "lab -w /nonexistent/x", "lab --fail-on nonsense",
        // read
        "read", "read --wher x", "read --where", "read /nonexistent.pcap", "read $text", "read $empty", "read $cut",
        "read $cap nosuch.pcap", "read $cap 'port ('", "read $cap x$text 'port 443'", "read $cap --where 'bytes >'",
        "read $cap --where 'nofield=1'", "read $cap --where 'byts=1'", "read $cap --where 'bytes=-1'",
        "read $cap --where 'bytes=1.5'", "read $cap --where 'client.port=70000'", "read $cap --where 'bytes ~ 3'",
        "read $cap --where 'bytes=x'", "read $cap --where 'ending=nonsense'", "read $cap --where 'ending < fin'",
        "read $cap --where 'client.ip=10.0.0.1:5'", "read $cap --where 'client=nobody'",
        "read $cap --where 'reset and'", "read $cap --where '(reset'", "read $cap --where 'reset reset'",
        "read $cap --where \"ending='x\"", "read $cap --where 'ending ! x'", "read $cap --columns nofield",
        "read $cap --sort nofield", "read $cap --by nofield", "read $cap --by bytes", "read $cap --by client.ip/99",
        "read $cap --by server --sort nofield", "read $cap --conn zzz", "read $cap --conn 9", "read $cap --stream 99",
        "read $cap --stream x", "read $cap --stream 0 --conn 9", "read $cap --top x", "read $cap --top 1 --top 2",
        "read $cap --threads -1", "read $cap --max-connections x", "read $cap --stream 0 --calls $text",
        "read $cap --calls $text", "read $cap --stream 0 --calls /nonexistent", "read $cap -o nonsense",
        "read $cap -o csv --sort bytes", "read $cap -o json --fail-on note", "read $cap --stream 0 -o csv",
        "read $cap -o strace --where reset", "read $cap --compat nonsense", "read $cap --compat zeek --by server",
        "read $cap -o json 'port 443'", "read $cap --where bytes=999999 -o csv", "read $cap -o strace",
        // trace
        "trace", "trace --port 70000 -- true", "trace --port x -- true", "trace -p 0", "trace -p x",
        "trace --backend ptrace -p 2147483647", "trace --backend ptrace -- /no/such/program",
        "trace --backend x -- true", "trace --filter 'port (' -- true", "trace -w /nonexistent/x -- true",
        "trace -w x --report x -- true", "trace --report $text -- true", "trace --snaplen x -- true",
        "trace --ring 3 --backend bpf -- true",
        // watch
        "watch --seconds x", "watch --seconds", "watch -p x", "watch --netns nonsense", "watch --netns $text",
        "watch --netns a --every-netns", "watch 'port ('", "watch -i nonsense0", "watch --cgroup /nonsense",
        "watch --ring 3",
        // ps, doctor, by hand
        "ps --host x", "ps --netns nonsense", "ps --port 0", "ps --top x", "ps --fail-on x", "ps more", "doctor -o x",
        "doctor more", "server nonsense", "server 0", "client 127.0.0.1 99999", "client '' 9999"};
    return all;
  }

  void SetUp() override {
    (void)write("text", "no capture at all\n");
    (void)write("empty", "");
    (void)write("bad.tcp", "title x\nserver listen(9999)\nclient connekt(server)\n");
    (void)write("bare.tcp", "title x\n");
    (void)write("unclosed.tcp", "server send(\"x)\n");
    const auto whole = base::testing::own_data("jury/close-A.pcap");
    std::filesystem::copy_file(whole, file("cut"));
    std::filesystem::resize_file(file("cut"), std::filesystem::file_size(whole) - 3);
    std::filesystem::copy_file(whole, file("cap"));
  }
  testing::Ran in_language(std::string_view language, const std::string& arguments) {
    return sh(
        fmt::format("cd {0} && cap=cap cut=cut text=text empty=empty bad=bad.tcp bare=bare.tcp unclosed=unclosed.tcp; "
                    "COLUMNS=1000 LANG={1} $tcpwhy {2}",
                    folder_.string(), language == "zh" ? "zh_CN.UTF-8" : "en_GB.UTF-8", arguments));
  }
};

bool has_chinese(std::string_view text) {
  // U+4E00 to U+9FFF: E4 B8 80 to E9 BF BF.
  return std::ranges::any_of(text, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= 0xe4 && byte <= 0xe9;
  });
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

// What stays as it is: the system's words, other programs', and what one types.
std::string without_what_stays(std::string line) {
  static const std::regex stays(
      "No such file or directory|Permission denied|Is a directory|Operation not permitted|Not a directory|syntax error"
      "|Name or service not known|Temporary failure in name resolution|can't parse filter expression[^\n]*"
      "|No address associated with hostname"
      "|strace -f[^\n]*?close_range|[a-z]+ and net 10[./0-9]*|closed[.]by=server and reset|(sudo )?tcpwhy [a-z]+( -- [a-z]+)?"
      "|editcap -r INPUT OUTPUT FIRST-LAST|shutdown wr|send hello|mount -t proc proc /proc");
  return std::regex_replace(line, stays, "");
}
bool has_english(const std::string& line) {
  static const std::regex words("\\b[a-z]{2,} [a-z]{2,} [a-z]{2,}\\b");
  return std::regex_search(without_what_stays(line), words);
}

constexpr const char* commands[] = {"", "lab", "read", "trace", "watch", "ps", "doctor", "server", "client", "help"};

TEST_F(Languages, help_of_every_command_is_chinese_where_that_is_asked_for) {
  for (const char* command : commands) {
    for (const std::string& arguments : {fmt::format("help {}", command), fmt::format("{} --help", command)}) {
      const auto ran = in_language("zh", arguments);
      EXPECT_EQ(ran.status, 0) << arguments << ran.err;
      EXPECT_NE(ran.out.find("用法：tcpwhy"), std::string::npos) << ran.out;
      EXPECT_NE(ran.out.find("示例："), std::string::npos) << ran.out;
      for (const std::string& line : lines_of(ran.out)) {
        EXPECT_TRUE(line.empty() || has_chinese(line)) << arguments << ": " << line;
        EXPECT_FALSE(has_english(line)) << arguments << ": " << line;
      }
    }
    const auto english = in_language("en", fmt::format("help {}", command));
    EXPECT_FALSE(has_chinese(english.out)) << english.out;
    EXPECT_NE(english.out.find("\nExamples:\n"), std::string::npos) << english.out;
  }
}

TEST_F(Languages, help_is_as_wide_as_the_terminal) {
  for (const char* command : commands) {
    for (const char* language : {"en", "zh"}) {
      const auto ran = sh(fmt::format("COLUMNS=80 $tcpwhy help {} --lang {}", command, language));
      for (const std::string& line : lines_of(ran.out)) EXPECT_LE(base::display_width(line), 80U) << line;
    }
  }
}

TEST_F(Languages, mistakes_are_told_in_chinese_where_that_is_asked_for) {
  for (const std::string& arguments : mistakes()) {
    const auto ran = in_language("zh", arguments);
    EXPECT_NE(ran.err, "") << arguments;
    const auto lines = lines_of(ran.err);
    for (const std::string& line : lines) EXPECT_FALSE(has_english(line)) << arguments << ": " << line;
    if (lines.empty()) continue;
    EXPECT_TRUE(lines.front().starts_with("tcpwhy: 错误：") || lines.front().starts_with("tcpwhy: 警告：")) << ran.err;
    const std::string said = lines.front().substr(lines.front().find("：") + std::string_view("：").size());
    EXPECT_TRUE(has_chinese(said) || without_what_stays(said) != said) << arguments << ": " << said;
  }
}

TEST_F(Languages, and_in_english_where_that_is) {
  for (const std::string& arguments : mistakes()) {
    const auto ran = in_language("en", arguments);
    EXPECT_TRUE(ran.err.starts_with("tcpwhy: ")) << arguments << ran.err;
    EXPECT_FALSE(has_chinese(ran.err)) << arguments << ran.err;
  }
}

TEST_F(Languages, the_option_goes_before_the_locale_also_where_it_is_what_is_wrong_with_the_arguments) {
  EXPECT_TRUE(
      sh("LANG=en_GB.UTF-8 $tcpwhy read --lang zh --nonsense").err.starts_with("tcpwhy: 错误：没有选项 --nonsense"));
  EXPECT_TRUE(
      sh("LANG=zh_CN.UTF-8 $tcpwhy --lang=en read --nonsense").err.starts_with("tcpwhy: error: there is no option"));
}

TEST_F(Languages, experiments_by_hand_answer_in_chinese) {
  const auto ran = in_language("zh", "server 127.0.0.1:0x");
  EXPECT_TRUE(has_chinese(ran.err)) << ran.err;
  const auto typed =
      sh("printf 'help\\nnonsense\\nshutdown x\\nclose @x\\nstate\\nquit\\n' | $tcpwhy client 127.0.0.1 1 --lang zh");
  EXPECT_NE(typed.out.find("调用（参数前的 @N 指定描述符）："), std::string::npos) << typed.out;
  EXPECT_NE(typed.out.find("没有这个命令：nonsense（help 列出所有命令）"), std::string::npos) << typed.out;
  for (const std::string& line : lines_of(typed.out)) EXPECT_FALSE(has_english(line)) << line;
}

TEST_F(Languages, the_fields_are_described_in_chinese) {
  const auto ran = in_language("zh", "read --fields");
  // Their values, in brackets, are words to be typed.
  for (const std::string& line : lines_of(ran.out)) EXPECT_FALSE(has_english(line.substr(0, line.find('[')))) << line;
  EXPECT_NE(ran.out.find("客户端数据的平滑值"), std::string::npos) << ran.out;
}

TEST_F(Languages, what_doctor_finds_is_chinese) {
  const auto ran = in_language("zh", "doctor");
  for (const std::string& line : lines_of(ran.out)) EXPECT_FALSE(has_english(line)) << line;
}

}  // namespace
}  // namespace tcpwhy::cli
