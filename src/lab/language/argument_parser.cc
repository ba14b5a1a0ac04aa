// Arguments of calls and what is expected of them, read by the rows of the call table.
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>

#include <algorithm>

#include "base/format.h"
#include "calls/names.h"
#include "calls/socket_options.h"
#include "lab/language/scenario_parser.h"
#include "lab/language/syntax.h"

namespace tcpwhy::lab::syntax {
namespace {

constexpr std::int64_t highest_timeout_ms = 3'600'000;
constexpr int last_standard_signal = 31;  // signal(7)

class ArgumentParser {
 public:
  ArgumentParser(Cursor& cursor, const CallRow& row, const ArgumentStyle& style)
      : cursor_(cursor), row_(row), style_(style) {
    spec_.id = row.id;
  }

  Parsed<CallSpec> parse() {
    for (const Parameter& parameter : row_.parameters) {
      if (!comes(parameter)) {
        if (!parameter.optional) return cursor_.expected(describe_parameter(parameter.kind));
        continue;
      }
      if (const auto read = read_one(parameter.kind); !read) return std::unexpected(read.error());
      if (!style_.typed && parameter.kind != ParameterKind::option_values) comma_ = cursor_.take(",");
      if (comma_ && nothing_left()) return cursor_.expected({"an argument after the comma", "逗号后的参数"});
    }
    if (!nothing_left())
      return cursor_.expected(base::format({"the end of the arguments: {}", "参数结尾：{}"}, row_.usage));
    return std::move(spec_);
  }

 private:
  [[nodiscard]] bool nothing_left() const { return cursor_.at_end() || (!style_.typed && cursor_.peek().is(")")); }

  // Whether the next token is this parameter; the required ones take what comes and complain.
  [[nodiscard]] bool comes(const Parameter& parameter) const {
    if (nothing_left()) return false;
    if (!style_.typed && started_ && !comma_) return false;
    const Token& token = cursor_.peek();
    const bool word = token.kind == Token::Kind::word;
    switch (parameter.kind) {
      case ParameterKind::descriptor: return word && style_.is_descriptor && style_.is_descriptor(token.text);
      case ParameterKind::size: return word && parse_number(token.text).has_value();
      case ParameterKind::message_flags: return !word || !parse_number(token.text);
      default: return true;
    }
  }

  Parsed<void> read_one(ParameterKind kind) {
    started_ = true;
    comma_ = false;
    switch (kind) {
      case ParameterKind::descriptor: spec_.descriptor = cursor_.next().text; return {};
      case ParameterKind::port: return read_port();
      case ParameterKind::backlog: return number_into(spec_.number, 1, 1 << 16, kind);
      case ParameterKind::peer: return read_peer();
      case ParameterKind::payload: return read_payload();
      case ParameterKind::size: return read_size();
      case ParameterKind::message_flags: return read_message_flags();
      case ParameterKind::how: return read_how();
      case ParameterKind::status: return number_into(spec_.number, 0, 255, kind);
      case ParameterKind::timeout: return number_into(spec_.number, -1, highest_timeout_ms, kind);
      case ParameterKind::option: return read_option();
      case ParameterKind::option_values: return read_option_values();
      case ParameterKind::signal: return read_signal();
      case ParameterKind::disposition: return read_disposition();
      case ParameterKind::file_flags: return read_file_flags();
      case ParameterKind::mask_change: return read_mask_change();
      case ParameterKind::resource: return read_resource();
      case ParameterKind::passed_descriptor: return read_passed_descriptor();
      case ParameterKind::words: return read_words();
    }
    return {};
  }

  static base::OwnedText describe_parameter(ParameterKind kind) {
    switch (kind) {
      case ParameterKind::descriptor: return {"a descriptor", "描述符"};
      case ParameterKind::port: return {"a port (1 to 65535)", "端口（1 到 65535）"};
      case ParameterKind::backlog: return {"a backlog (1 to 65536)", "backlog（1 到 65536）"};
      case ParameterKind::peer:
        return {"the end to connect to (server, server:9999)", "要连接的一端（server、server:9999）"};
      case ParameterKind::payload:
        return {"bytes to send (\"hello\", \"x\" * 1000)", "要发送的字节（\"hello\"、\"x\" * 1000）"};
      case ParameterKind::size: return {"a number of bytes", "字节数"};
      case ParameterKind::message_flags: return {"MSG_* flags joined by |", "以 | 连接的 MSG_* 标志"};
      case ParameterKind::how: return {"RD, WR or RDWR", "RD、WR 或 RDWR"};
      case ParameterKind::status: return {"an exit status (0 to 255)", "退出状态（0 到 255）"};
      case ParameterKind::timeout: return {"a number of milliseconds (-1: for ever)", "毫秒数（-1：一直等）"};
      case ParameterKind::option:
        return {"a socket option such as SO_LINGER, TCP_NODELAY", "SO_LINGER、TCP_NODELAY 这样的套接字选项"};
      case ParameterKind::option_values: return {"the option's value", "选项的值"};
      case ParameterKind::signal: return {"a signal such as SIGPIPE", "SIGPIPE 这样的信号"};
      case ParameterKind::disposition: return {"ignore, handle or default", "ignore、handle 或 default"};
      case ParameterKind::file_flags: return {"O_NONBLOCK, or 0 to wait again", "O_NONBLOCK，或 0 表示恢复等待"};
      case ParameterKind::mask_change: return {"block or unblock", "block 或 unblock"};
      case ParameterKind::resource: return base::both("RLIMIT_NOFILE");
      case ParameterKind::passed_descriptor: return {"the descriptor to pass", "要传递的描述符"};
      case ParameterKind::words:
        return {"a program and its arguments (\"sleep\", \"1\")", "程序及其参数（\"sleep\"、\"1\"）"};
    }
    return {};
  }

  Parsed<std::int64_t> number(std::int64_t lowest, std::int64_t highest, ParameterKind kind) {
    const auto value = cursor_.peek().kind == Token::Kind::word ? parse_number(cursor_.peek().text) : std::nullopt;
    if (!value || *value < lowest || *value > highest) return cursor_.expected(describe_parameter(kind));
    cursor_.next();
    return *value;
  }

  Parsed<void> number_into(std::int32_t& into, std::int64_t lowest, std::int64_t highest, ParameterKind kind) {
    const auto value = number(lowest, highest, kind);
    if (!value) return std::unexpected(value.error());
    into = static_cast<std::int32_t>(*value);
    return {};
  }

  Parsed<void> read_port() {
    // listen(FD, BACKLOG): once a descriptor is named, the number is the backlog.
    if (row_.id == CallId::listen && !spec_.descriptor.empty())
      return number_into(spec_.number, 1, 1 << 16, ParameterKind::backlog);
    const auto value = number(1, 65535, ParameterKind::port);
    if (!value) return std::unexpected(value.error());
    spec_.port = static_cast<std::uint16_t>(*value);
    return {};
  }

  Parsed<void> read_peer() {
    const Token& token = cursor_.peek();
    if (token.kind != Token::Kind::word) return cursor_.expected(describe_parameter(ParameterKind::peer));
    const std::size_t colon = token.text.find(':');
    spec_.peer.end = token.text.substr(0, colon);
    if (spec_.peer.end == unspecified_peer) {
      if (row_.id != CallId::connect)
        return cursor_.expected({"the end to send to (server, server:9999)", "要发往的一端（server、server:9999）"});
      cursor_.next();
      return {};
    }
    if (!is_end_name(spec_.peer.end)) return cursor_.expected(describe_parameter(ParameterKind::peer));
    if (colon != std::string::npos) {
      const auto port = parse_number(std::string_view(token.text).substr(colon + 1));
      if (!port || *port < 1 || *port > 65535)
        return cursor_.expected({"a port (1 to 65535) after the colon", "冒号后的端口（1 到 65535）"});
      spec_.peer.port = static_cast<std::uint16_t>(*port);
    }
    cursor_.next();
    return {};
  }

  Parsed<void> read_payload() {
    if (cursor_.peek().kind != Token::Kind::text) return cursor_.expected(describe_parameter(ParameterKind::payload));
    spec_.payload.bytes = cursor_.next().text;
    if (!style_.typed && cursor_.take("*")) {
      const auto times = cursor_.peek().kind == Token::Kind::word ? parse_number(cursor_.peek().text) : std::nullopt;
      if (!times || *times < 1 || *times > static_cast<std::int64_t>(ScenarioLimits::bytes_of_a_call))
        return cursor_.expected({"how many times (1 or more)", "次数（1 或更多）"});
      spec_.payload.repeat = static_cast<std::uint32_t>(*times);
      if (spec_.payload.size() > ScenarioLimits::bytes_of_a_call)
        return cursor_.expected(
            base::format({"at most {} bytes in one call", "一次调用最多 {} 字节"}, ScenarioLimits::bytes_of_a_call));
      cursor_.next();
    }
    return {};
  }

  Parsed<void> read_size() {
    const auto value = number(0, static_cast<std::int64_t>(ScenarioLimits::bytes_of_a_call), ParameterKind::size);
    if (!value) return std::unexpected(value.error());
    spec_.size = static_cast<std::uint64_t>(*value);
    return {};
  }

  Parsed<void> read_message_flags() {
    do {
      const Token& token = cursor_.peek();
      const auto flag = token.kind == Token::Kind::word ? calls::value_named(calls::message_flags(), token.text, "MSG_")
                                                        : std::nullopt;
      if (!flag) return cursor_.expected(describe_parameter(ParameterKind::message_flags));
      spec_.flags |= static_cast<std::int32_t>(*flag);
      cursor_.next();
    } while (cursor_.take("|"));
    return {};
  }

  Parsed<void> read_how() {
    const auto how = calls::value_named(calls::shutdown_ways(), cursor_.peek().text, "SHUT_");
    if (!how) return cursor_.expected(describe_parameter(ParameterKind::how));
    spec_.number = static_cast<std::int32_t>(*how);
    cursor_.next();
    return {};
  }

  // A scenario can say its value.
  static bool has_values(const calls::SocketOption& option) { return option.value != calls::OptionValue::by_length; }

  Parsed<void> read_option() {
    const calls::SocketOption* option = calls::find_option(cursor_.peek().text);
    if (option == nullptr || !has_values(*option)) {
      std::string known;
      for (const calls::SocketOption& row : calls::socket_options())
        if (has_values(row)) known += fmt::format("{}{}", known.empty() ? "" : ", ", row.name);
      auto complaint = cursor_.expected({"a socket option", "套接字选项"});
      complaint.error().hint = base::format({"known are {}", "已知的有：{}"}, known);
      return complaint;
    }
    spec_.option = option_row(option->name);
    cursor_.next();
    return {};
  }

  Parsed<void> read_option_values() {
    const calls::SocketOption& option = calls::socket_options()[spec_.option];
    if (option.value == calls::OptionValue::key) return read_key();
    const std::size_t wanted = option.value == calls::OptionValue::linger ? 2 : 1;
    for (std::size_t i = 0; i < wanted; ++i) {
      if (i > 0 && !style_.typed && !cursor_.take(","))
        return cursor_.expected(base::format({"a comma and {}'s second value", "逗号和 {} 的第二个值"}, option.name));
      const auto value = number(INT32_MIN, INT32_MAX, ParameterKind::option_values);
      if (!value) return std::unexpected(value.error());
      spec_.values.push_back(static_cast<std::int32_t>(*value));
    }
    return {};
  }

  Parsed<void> read_signal() {
    const auto signal = parse_signal(cursor_);
    if (!signal) return std::unexpected(signal.error());
    spec_.number = *signal;
    return {};
  }

  Parsed<void> read_disposition() {
    static constexpr calls::NamedValue words[] = {
        {0, "SIG_DFL"}, {1, "SIG_IGN"}, {0, "default"}, {1, "ignore"}, {2, "handle"}};
    const auto found = calls::value_named(words, cursor_.peek().text, "SIG_");
    if (!found) return cursor_.expected(describe_parameter(ParameterKind::disposition));
    spec_.disposition = static_cast<Disposition>(*found);
    cursor_.next();
    return {};
  }

  // END, "KEY": with whom, and what signs.
  Parsed<void> read_key() {
    if (const auto read = read_peer(); !read) return read;
    if (!style_.typed && !cursor_.take(",")) return cursor_.expected({"a comma and the key", "逗号和密钥"});
    return read_payload();
  }

  Parsed<void> read_file_flags() {
    if (cursor_.peek().is("O_NONBLOCK"))
      spec_.flags = O_NONBLOCK;
    else if (!cursor_.peek().is("0"))
      return cursor_.expected(describe_parameter(ParameterKind::file_flags));
    cursor_.next();
    return {};
  }

  Parsed<void> read_mask_change() {
    static constexpr calls::NamedValue words[] = {{SIG_BLOCK, "SIG_BLOCK"}, {SIG_UNBLOCK, "SIG_UNBLOCK"}};
    const auto found = calls::value_named(words, cursor_.peek().text, "SIG_");
    if (!found) return cursor_.expected(describe_parameter(ParameterKind::mask_change));
    spec_.flags = static_cast<std::int32_t>(*found);
    cursor_.next();
    return {};
  }

  Parsed<void> read_resource() {
    if (!cursor_.take("RLIMIT_NOFILE")) return cursor_.expected(describe_parameter(ParameterKind::resource));
    return {};
  }

  Parsed<void> read_passed_descriptor() {
    const Token& token = cursor_.peek();
    if (token.kind != Token::Kind::word || !style_.is_descriptor || !style_.is_descriptor(token.text))
      return cursor_.expected(describe_parameter(ParameterKind::passed_descriptor));
    spec_.passed = cursor_.next().text;
    return {};
  }

  // A program and its arguments. No word holds a NUL: it ends them.
  Parsed<void> read_words() {
    do {
      const Token& token = cursor_.peek();
      if (token.kind != Token::Kind::text || token.text.empty() || token.text.find('\0') != std::string::npos)
        return cursor_.expected(describe_parameter(ParameterKind::words));
      spec_.payload.bytes += cursor_.next().text + '\0';
    } while (style_.typed ? cursor_.peek().kind == Token::Kind::text : cursor_.take(","));
    return {};
  }

  Cursor& cursor_;
  const CallRow& row_;
  const ArgumentStyle& style_;
  CallSpec spec_;
  bool started_ = false;
  bool comma_ = false;  // one stands before the next token
};

// A number, or names of errno values or poll events joined by |.
std::optional<std::int64_t> named_value(std::string_view word) {
  if (const auto number = parse_number(word)) return number;
  if (const auto error = calls::error_named(word); error != 0) return error;
  if (const auto event = calls::value_named(calls::poll_events(), word, "POLL"))
    return static_cast<std::int64_t>(*event);
  return std::nullopt;
}

Parsed<void> parse_result(Cursor& cursor, Expectation& expectation) {
  if (cursor.peek().kind == Token::Kind::text) {
    expectation.kind = Expectation::Kind::bytes;
    expectation.bytes = cursor.next().text;
    return {};
  }
  expectation.kind = Expectation::Kind::number;
  do {
    const auto value = cursor.peek().kind == Token::Kind::word ? named_value(cursor.peek().text) : std::nullopt;
    if (!value)
      return cursor.expected({"a number, a string, an errno such as EPIPE or poll events such as POLLIN|POLLRDHUP",
                              "数字、字符串、EPIPE 这样的 errno 或 POLLIN|POLLRDHUP 这样的 poll 事件"});
    expectation.number |= *value;
    cursor.next();
  } while (cursor.take("|"));
  return {};
}

Parsed<void> parse_failure(Cursor& cursor, Expectation& expectation) {
  expectation.kind = Expectation::Kind::error;
  expectation.error = calls::error_named(cursor.peek().text);
  if (expectation.error == 0) return cursor.expected({"an errno such as EPIPE", "EPIPE 这样的 errno"});
  cursor.next();
  while (cursor.peek().kind == Token::Kind::word && cursor.peek().text.starts_with("SIG")) {
    const auto signal = parse_signal(cursor);
    if (!signal) return std::unexpected(signal.error());
    expectation.signals.push_back(*signal);
  }
  return {};
}

}  // namespace

Parsed<CallSpec> parse_arguments(Cursor& cursor, const CallRow& row, const ArgumentStyle& style) {
  return ArgumentParser(cursor, row, style).parse();
}

Parsed<Expectation> parse_expectation(Cursor& cursor) {
  Expectation expectation;
  const auto note = [&expectation](const Token& token) {
    expectation.text += (expectation.text.empty() ? "" : " ") + describe(token).en;
  };
  Cursor start = cursor;
  Parsed<void> read;
  if (cursor.take("="))
    read = parse_result(cursor, expectation);
  else if (cursor.take("!"))
    read = parse_failure(cursor, expectation);
  else if (cursor.take("..."))
    expectation.kind = Expectation::Kind::blocks;
  if (!read) return std::unexpected(read.error());
  while (start.position().column < cursor.position().column && !start.at_end()) note(start.next());
  return expectation;
}

Parsed<int> parse_signal(Cursor& cursor) {
  const int signal = calls::signal_named(cursor.peek().text);
  if (signal == 0 || signal > last_standard_signal)
    return cursor.expected({"a signal such as SIGPIPE", "SIGPIPE 这样的信号"});
  cursor.next();
  return signal;
}

Parsed<base::Duration> parse_duration_word(Cursor& cursor) {
  const auto duration = cursor.peek().kind == Token::Kind::word ? parse_duration(cursor.peek().text) : std::nullopt;
  if (!duration) return cursor.expected({"a time such as 20ms, 1.5s or 300us", "20ms、1.5s 或 300us 这样的时间"});
  cursor.next();
  return *duration;
}

Parsed<Bounds> parse_bounds(Cursor& cursor) {
  Bounds bounds;
  while (true) {
    std::optional<base::Duration>* bound = nullptr;
    if (!bounds.within && cursor.take("within"))
      bound = &bounds.within;
    else if (!bounds.after && cursor.take("after"))
      bound = &bounds.after;
    else
      return bounds;
    const auto duration = parse_duration_word(cursor);
    if (!duration) return std::unexpected(duration.error());
    *bound = *duration;
  }
}

bool is_end_name(std::string_view word) {
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  if (word.empty() || word.size() > 32 || !is_letter(word.front()) || word.back() == '.') return false;
  if (std::ranges::count(word, '.') > 1) return false;
  return std::ranges::all_of(
      word, [&](char c) { return is_letter(c) || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.'; });
}

}  // namespace tcpwhy::lab::syntax
