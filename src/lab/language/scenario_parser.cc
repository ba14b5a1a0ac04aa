#include "lab/language/scenario_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/format.h"
#include "base/text.h"
#include "lab/lab.h"
#include "lab/language/step_parser.h"

namespace tcpwhy::lab {
namespace {

using syntax::Complaint;
using syntax::Cursor;
using syntax::Parsed;

constexpr int highest_question = 7;

// One line of the file that holds something.
struct Line {
  std::uint32_t number = 0;
  std::string_view text;
  TokenLine tokens;
};

class FileParser {
 public:
  explicit FileParser(std::string_view text) { scenario_.text = std::string(text); }

  Parsed<Scenario> parse() {
    std::uint32_t number = 0;
    for (std::string_view rest = scenario_.text; !rest.empty();) {
      const std::size_t end = rest.find('\n');
      Line line{++number, rest.substr(0, end), {}};
      rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
      if (line.text.size() > ScenarioLimits::line_bytes)
        return std::unexpected(
            Complaint{{number, ScenarioLimits::line_bytes + 1},
                      base::format({"a line of at most {} bytes", "最多 {} 字节的一行"}, ScenarioLimits::line_bytes),
                      {"more", "更多"}});
      if (const auto read = read_line(line); !read) return std::unexpected(read.error());
    }
    if (scenario_.steps.empty())
      return std::unexpected(Complaint{{std::max(number, 1U), 1},
                                       {"a step such as \"server listen(9999)\"", "\"server listen(9999)\" 这样的一步"},
                                       {"the end of the file", "文件结尾"}});
    if (const auto checked = steps_.finish(); !checked) return std::unexpected(checked.error());
    return std::move(scenario_);
  }

 private:
  Parsed<void> read_line(Line& line) {
    const std::string_view code = trim(line.text);
    if (code.empty()) return leave_paragraph(), Parsed<void>{};
    if (code.front() == '#') return take_comment(code.substr(1)), Parsed<void>{};
    if (const auto title = read_title(line, code); !title || *title)
      return title ? Parsed<void>{} : std::unexpected(title.error());
    line.tokens = tokenize(line.text);
    if (line.tokens.error) {
      const TokenError& error = *line.tokens.error;
      return std::unexpected(Complaint{{line.number, error.column}, error.expected, error.found});
    }
    Cursor cursor(line.tokens.tokens, line.number);
    const auto header = read_header(cursor, line);
    if (!header) return std::unexpected(header.error());
    if (*header) return cursor.at_end() ? Parsed<void>{} : cursor.expected({"the end of the line", "行尾"});
    return read_step(cursor, line);
  }

  // A blank line ends a paragraph of comments: the one at the top is about the file, another belongs to nothing.
  void leave_paragraph() {
    if (scenario_.steps.empty() && scenario_.about.empty() && !header_seen_) scenario_.about = std::move(note_);
    note_.clear();
    note_zh_.clear();
  }

  static bool take_prefix(std::string_view& text, std::string_view prefix) {
    if (!text.starts_with(prefix)) return false;
    text.remove_prefix(prefix.size());
    return true;
  }

  void take_comment(std::string_view text) {
    std::string& into = take_prefix(text, "zh ") ? note_zh_ : note_;
    if (!into.empty()) into += '\n';
    into += trim(text);
  }

  // `title TEXT` and `title.zh TEXT` take the rest of the line as it stands. True if it was one.
  Parsed<bool> read_title(const Line& line, std::string_view code) {
    const std::size_t blank = code.find_first_of(" \t");
    const std::string_view word = code.substr(0, blank);
    if (word != "title" && word != "title.zh") return false;
    const std::string_view text = blank == std::string_view::npos ? std::string_view{} : trim(code.substr(blank));
    if (text.empty())
      return std::unexpected(Complaint{{line.number, static_cast<std::uint32_t>(line.text.size() + 1)},
                                       {"a title", "标题"},
                                       {"the end of the line", "行尾"}});
    (word == "title" ? scenario_.title : scenario_.title_zh) = std::string(text);
    begin_header();
    return true;
  }

  void begin_header() {
    if (!header_seen_ && scenario_.about.empty()) scenario_.about = std::move(note_);
    note_.clear();
    note_zh_.clear();
    header_seen_ = true;
  }

  using ReadHeader = Parsed<void> (FileParser::*)(Cursor&);
  struct HeaderRow {
    std::string_view name;
    ReadHeader read;
  };
  static constexpr std::size_t header_count = 9;
  static const HeaderRow headers[header_count];

  // False if the line is no header.
  Parsed<bool> read_header(Cursor& cursor, const Line& line) {
    const Token first = cursor.peek();
    if (first.kind != Token::Kind::word) return false;
    for (const HeaderRow& row : headers) {
      if (first.text != row.name) continue;
      if (row.name == "wire" && !cursor.peek(1).is("lo") && !cursor.peek(1).is("link")) return false;
      if (!scenario_.steps.empty())
        return std::unexpected(Complaint{{line.number, first.column},
                                         {"a step (headers stand before the first one)", "一步（头部须在第一步之前）"},
                                         base::both(std::string(row.name))});
      begin_header();
      cursor.next();
      if (const auto read = (this->*row.read)(cursor); !read) return std::unexpected(read.error());
      return true;
    }
    return false;
  }

  Parsed<void> read_asks(Cursor& cursor) {
    do {
      const auto number = parse_number(cursor.peek().text);
      if (!number || *number < 1 || *number > highest_question)
        return cursor.expected(base::format({"a question (1 to {})", "问题编号（1 到 {}）"}, highest_question));
      scenario_.asks.push_back(static_cast<int>(*number));
      cursor.next();
    } while (cursor.take(","));
    return {};
  }

  Parsed<void> read_role(Cursor& cursor) {
    if (cursor.take("main")) return scenario_.role = Role::main, Parsed<void>{};
    if (cursor.take("contrast")) return scenario_.role = Role::contrast, Parsed<void>{};
    return cursor.expected({"main or contrast", "main 或 contrast"});
  }

  Parsed<void> read_wire(Cursor& cursor) {
    scenario_.wire = cursor.next().text == "lo" ? recording::WireKind::loopback : recording::WireKind::link;
    return {};
  }

  Parsed<void> read_delay(Cursor& cursor) {
    Delay delay;
    if (cursor.peek().kind == Token::Kind::word && !parse_duration(cursor.peek().text)) {
      if (!is_host(cursor.peek().text))
        return cursor.expected({"client, server, or a time such as 20ms", "client、server，或 20ms 这样的时间"});
      delay.from = cursor.next().text;
      if (!cursor.take(">")) return cursor.expected(base::both(">"));
      if (!is_host(cursor.peek().text) || cursor.peek().text == delay.from)
        return cursor.expected({"the other end of the link", "链路的另一端"});
      delay.to = cursor.next().text;
    }
    const auto duration = syntax::parse_duration_word(cursor);
    if (!duration) return std::unexpected(duration.error());
    delay.one_way = *duration;
    scenario_.delays.push_back(std::move(delay));
    return {};
  }

  Parsed<void> read_setting(Cursor& cursor) {
    Setting setting{"", "", "", cursor.position()};
    if (is_host(cursor.peek().text)) setting.host = cursor.next().text;
    const std::string name = cursor.peek().text;
    const bool plain = std::ranges::all_of(
        name, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.'; });
    if (!name.starts_with("net.") || !plain || name.find("..") != std::string::npos)
      return cursor.expected({"a setting such as net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_fin_timeout 这样的设置"});
    setting.name = cursor.next().text;
    if (!cursor.take("=")) return cursor.expected(base::both("="));
    while (cursor.peek().kind == Token::Kind::word || cursor.peek().kind == Token::Kind::text) {
      if (!setting.value.empty()) setting.value += ' ';
      setting.value += cursor.next().text;
    }
    if (setting.value.empty()) return cursor.expected({"a value", "值"});
    scenario_.settings.push_back(std::move(setting));
    return {};
  }

  Parsed<void> read_limit(Cursor& cursor) {
    const bool of_step = cursor.take("step");
    const auto duration = syntax::parse_duration_word(cursor);
    if (!duration) return std::unexpected(duration.error());
    (of_step ? scenario_.step_limit : scenario_.limit) = *duration;
    return {};
  }

  Parsed<void> read_attempts(Cursor& cursor) {
    const auto number = parse_number(cursor.peek().text);
    if (!number || *number < 1 || *number > ScenarioLimits::attempts)
      return cursor.expected(
          base::format({"a number of attempts (1 to {})", "尝试次数（1 到 {}）"}, ScenarioLimits::attempts));
    scenario_.attempts = static_cast<unsigned>(*number);
    cursor.next();
    return {};
  }

  Parsed<void> read_family(Cursor& cursor) {
    for (const Family family : {Family::v4, Family::v6, Family::v4_mapped})
      if (cursor.take(family_name(family))) return scenario_.family = family, Parsed<void>{};
    return cursor.expected({"IPv4, IPv6 or v4-mapped", "IPv4、IPv6 或 v4-mapped"});
  }

  Parsed<void> read_end(Cursor& cursor) {
    if (!syntax::is_end_name(cursor.peek().text)) return cursor.expected({"the name of an end", "一端的名称"});
    const std::string name = cursor.next().text;
    if (!cursor.take("at")) return cursor.expected(base::both("at"));
    if (!is_host(cursor.peek().text)) return cursor.expected({"client or server", "client 或 server"});
    scenario_.hosts[name] = cursor.next().text;
    return {};
  }

  static bool is_host(std::string_view name) { return name == "client" || name == "server"; }

  Parsed<void> read_step(Cursor& cursor, const Line& line) {
    if (scenario_.steps.size() >= ScenarioLimits::steps)
      return cursor.expected(base::format({"at most {} steps", "最多 {} 步"}, ScenarioLimits::steps));
    if (scenario_.steps.empty() && !header_seen_ && scenario_.about.empty()) scenario_.about = std::move(note_);
    auto step = steps_.parse(cursor);
    if (!step) return std::unexpected(step.error());
    step->text = std::string(trim(line.text.substr(0, line.tokens.code_length)));
    step->note = std::exchange(note_, {});
    step->note_zh = std::exchange(note_zh_, {});
    if (line.tokens.comment) {
      std::string_view comment = *line.tokens.comment;
      (take_prefix(comment, "zh ") ? step->comment_zh : step->comment) = std::string(trim(comment));
    }
    scenario_.steps.push_back(std::move(*step));
    return {};
  }

  Scenario scenario_;
  StepParser steps_{scenario_};
  std::string note_, note_zh_;
  bool header_seen_ = false;
};

const FileParser::HeaderRow FileParser::headers[] = {
    {"asks", &FileParser::read_asks},   {"role", &FileParser::read_role},         {"wire", &FileParser::read_wire},
    {"delay", &FileParser::read_delay}, {"set", &FileParser::read_setting},       {"limit", &FileParser::read_limit},
    {"end", &FileParser::read_end},     {"attempts", &FileParser::read_attempts}, {"family", &FileParser::read_family},
};

std::string_view line_of(std::string_view text, std::uint32_t number) {
  for (std::uint32_t i = 1; i < number; ++i) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) return {};
    text.remove_prefix(end + 1);
  }
  return trim(text.substr(0, text.find('\n'))).empty() ? std::string_view{} : text.substr(0, text.find('\n'));
}

base::OwnedText unexpected(const base::OwnedText& expected, const base::OwnedText& found) {
  return base::format({"expected {}, found {}", "此处应为{}，实为{}"}, expected, found);
}

base::OwnedText explain(const Complaint& complaint) {
  return complaint.found.empty() ? complaint.expected : unexpected(complaint.expected, complaint.found);
}

// The line as a terminal may show it, and a caret below the column. Tabs become blanks so that the caret stands right.
std::string excerpt(std::string_view line, std::uint32_t column) {
  std::string shown(line.substr(0, 200));
  std::ranges::replace(shown, '\t', ' ');
  const std::string before =
      base::escape_controls(std::string_view(shown).substr(0, std::min<std::size_t>(column - 1, shown.size())));
  return fmt::format("\n  {}\n  {}^", base::escape_controls(shown), std::string(base::display_width(before), ' '));
}

}  // namespace

std::string end_of(const std::string& who) { return who.substr(0, who.find('.')); }

base::Result<Scenario> parse_scenario(std::string_view text, const std::string& file) {
  const std::string shown_file = base::escape_controls(file);
  if (text.size() > ScenarioLimits::file_bytes)
    return base::fail(base::ErrorKind::usage,
                      base::format({"{}: a scenario has at most {} bytes", "{}：场景最多 {} 字节"}, shown_file,
                                   ScenarioLimits::file_bytes));
  auto parsed = FileParser(text).parse();
  if (parsed) return std::move(*parsed);
  const Complaint& complaint = parsed.error();
  return base::fail(
      base::ErrorKind::usage,
      base::format({"{}:{}:{}: {}{}", "{}:{}:{}：{}{}"}, shown_file, complaint.at.line, complaint.at.column,
                   explain(complaint), excerpt(line_of(text, complaint.at.line), complaint.at.column)),
      complaint.hint);
}

base::Result<TypedCall> parse_typed_call(std::string_view line) {
  // The first word names the call; what send and write take is the rest of the line as it stands, unless it is quoted.
  line = trim(line);
  const std::size_t blank = line.find_first_of(" \t");
  const std::string name(line.substr(0, blank));
  std::string_view rest = blank == std::string_view::npos ? std::string_view{} : trim(line.substr(blank));
  const CallRow* row = find_call(name);
  if (!row || !row->not_supported.empty() || row->id == CallId::fork || row->id == CallId::socketpair ||
      row->id == CallId::recv_fd || row->id == CallId::send_fd)
    return base::fail(base::ErrorKind::usage,
                      base::format({"no such command: {}", "没有这个命令：{}"}, base::escape_controls(name)),
                      {"help lists them", "help 列出所有命令"});

  TypedCall typed;
  if (rest.starts_with('@')) {
    const std::size_t end = rest.find_first_of(" \t");
    const auto fd = parse_number(rest.substr(1, end == std::string_view::npos ? end : end - 1));
    if (!fd || *fd < 0 || *fd > 1 << 20)
      return base::fail(base::ErrorKind::usage, {"expected a descriptor such as @4", "此处应为 @4 这样的描述符"});
    typed.fd = static_cast<std::int32_t>(*fd);
    rest = end == std::string_view::npos ? std::string_view{} : trim(rest.substr(end));
  }
  // `signal ignore` speaks of the signal that the experiment is about.
  const bool one_word = rest.find_first_of(" \t") == std::string_view::npos;
  const std::string with_signal = fmt::format("SIGPIPE {}", rest);
  if (row->id == CallId::signal && one_word) rest = with_signal;

  std::vector<Token> tokens;
  const bool takes_payload =
      row->id == CallId::send || row->id == CallId::write || row->id == CallId::sendmsg || row->id == CallId::writev;
  if (takes_payload && !rest.starts_with('"')) {
    tokens = {{Token::Kind::text, std::string(rest), 1},
              {Token::Kind::end, "", static_cast<std::uint32_t>(rest.size() + 1)}};
  } else {
    TokenLine scanned = tokenize(rest);
    if (scanned.error)
      return base::fail(base::ErrorKind::usage, unexpected(scanned.error->expected, scanned.error->found));
    tokens = std::move(scanned.tokens);
  }
  Cursor cursor(std::move(tokens), 1);
  const syntax::ArgumentStyle style{true, [](const std::string& word) { return word == "listener"; }};
  auto spec = syntax::parse_arguments(cursor, *row, style);
  if (!spec)
    return base::fail(base::ErrorKind::usage, explain(spec.error()), {"help shows how it is typed", "help 显示其写法"});
  typed.spec = std::move(*spec);
  return typed;
}

}  // namespace tcpwhy::lab
