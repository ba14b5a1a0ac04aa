#include "calls/spelling/strace_line.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "calls/names.h"
#include "calls/spelling/nesting.h"

namespace tcpwhy::calls {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r')) text.remove_suffix(1);
  return text;
}

bool take(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

template <class Integer>
std::optional<Integer> take_number(std::string_view& text, int base = 10) {
  Integer number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (error != std::errc{}) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return number;
}

// "1795646923.101260 ", up to nine digits of a fraction; nanoseconds.
std::optional<std::int64_t> take_seconds(std::string_view& text) {
  std::string_view rest = text;
  const auto seconds = take_number<std::int64_t>(rest);
  constexpr std::int64_t second = 1'000'000'000;
  if (!seconds || *seconds < 0 || *seconds > INT64_MAX / second - 1) return std::nullopt;
  std::int64_t ns = *seconds * second;
  if (rest.starts_with('.')) {
    rest.remove_prefix(1);
    for (std::int64_t digit = second / 10; !rest.empty() && is_digit(rest.front()); digit /= 10) {
      ns += (rest.front() - '0') * digit;
      rest.remove_prefix(1);
    }
  }
  text = rest;
  return ns;
}

// 1234, or [pid 1234]; a number with a fraction behind it is a time.
std::optional<std::int32_t> take_pid(std::string_view& text) {
  std::string_view rest = text;
  const bool bracketed = take(rest, "[pid");
  if (bracketed) rest = trim(rest);
  const auto pid = take_number<std::int32_t>(rest);
  if (!pid || *pid < 0) return std::nullopt;
  if (bracketed ? !take(rest, "]") : !rest.starts_with(' ')) return std::nullopt;
  text = trim(rest);
  return pid;
}

// Where what -y or -yy put behind a descriptor ends: `at` is its '<'. The same as `at` if it is none.
std::size_t end_of_decoration(std::string_view text, std::size_t at) {
  const std::string_view inside = text.substr(at + 1);
  if (inside.empty() || inside.front() == '<' || inside.front() == ' ') return at;
  if (inside.front() == '/') {  // </dev/null<char 1:3>>: strace writes < and > of a path in octal
    std::size_t depth = 1;
    for (std::size_t i = 0; i < inside.size(); ++i) {
      if (inside[i] == '<') ++depth;
      if (inside[i] == '>' && --depth == 0) return at + 1 + i + 1;
    }
    return at;
  }
  // <TCP:[127.0.0.1:1->127.0.0.1:2]>: an arrow is no end.
  if (const auto bracket = inside.find("]>"); bracket != std::string_view::npos) return at + 1 + bracket + 2;
  if (const auto end = inside.find('>'); end != std::string_view::npos) return at + 1 + end + 1;
  return at;
}

std::optional<wire::SocketAddress> parse_endpoint(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  std::string_view address = text.substr(0, colon), port_text = text.substr(colon + 1);
  if (address.starts_with('[') && address.ends_with(']')) address = address.substr(1, address.size() - 2);
  const auto ip = wire::IpAddress::parse(address);
  const auto port = take_number<std::uint16_t>(port_text);
  if (!ip || !port || !port_text.empty()) return std::nullopt;
  return wire::SocketAddress{*ip, *port};
}

void parse_event(std::string_view rest, StraceLine& line) {
  if (take(rest, "--- ")) {
    line.kind = StraceLineKind::other;  // "--- stopped by SIGSTOP ---"
    if (!rest.starts_with("SIG")) return;
    line.kind = StraceLineKind::signal;
    line.name = rest.substr(0, rest.find(' '));
    line.text = rest;
  } else if (take(rest, "+++ exited with ")) {
    const auto status = take_number<std::int32_t>(rest);
    line.kind = status ? StraceLineKind::exited : StraceLineKind::unknown;
    line.status = status.value_or(0);
  } else if (take(rest, "+++ killed by ")) {
    line.kind = StraceLineKind::killed;
    line.name = rest.substr(0, rest.find(' '));
  } else if (rest.starts_with("+++ ") || rest.starts_with("strace: ")) {
    line.kind = StraceLineKind::other;
  } else if (take(rest, "<... ")) {
    line.name = rest.substr(0, rest.find(' '));
    rest.remove_prefix(line.name.size());
    if (!take(rest, " resumed>")) return;
    line.kind = StraceLineKind::resumed;
    line.text = rest;
  } else {
    const auto open = rest.find('(');
    if (open == 0 || open == std::string_view::npos) return;
    const std::string_view name = rest.substr(0, open);
    const bool is_name =
        std::ranges::all_of(name, [](char c) { return is_digit(c) || c == '_' || (c >= 'a' && c <= 'z'); });
    if (!is_name) return;
    line.name = name;
    line.text = rest.substr(open + 1);
    constexpr std::string_view unfinished = "<unfinished ...>";
    line.kind = StraceLineKind::call;
    if (!line.text.ends_with(unfinished)) return;
    line.kind = StraceLineKind::unfinished;
    line.text.remove_suffix(unfinished.size());
    if (line.text.ends_with(' ')) line.text.remove_suffix(1);
  }
}

}  // namespace

StraceLine parse_strace_line(std::string_view text) {
  StraceLine line;
  std::string_view rest = trim(text);
  line.pid = take_pid(rest);
  // Times since 2001 only: -r's are small.
  constexpr std::int64_t least_ns = 1'000'000'000'000'000'000;
  std::string_view behind_time = rest;
  if (const auto ns = take_seconds(behind_time); ns && behind_time.starts_with(' ')) {
    rest = trim(behind_time);
    if (*ns >= least_ns) line.at = base::wall_from_ns(*ns);
  } else if (!rest.empty() && is_digit(rest.front())) {  // 13:02:01.123456
    rest = trim(rest.substr(std::min(rest.find(' '), rest.size())));
  }
  parse_event(rest, line);
  return line;
}

StraceCall split_strace_call(std::string_view text) {
  StraceCall call;
  StraceArgument argument;
  Nesting nesting;
  bool any = false;
  const auto finish = [&] {
    const std::string_view trimmed = trim(argument.text);
    if (!trimmed.empty() || any) call.arguments.push_back({std::string(trimmed), argument.descriptor});
    argument = {};
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (!nesting.quoted() && c == '<' && i > 0 && (is_digit(text[i - 1]) || text.substr(0, i).ends_with("AT_FDCWD"))) {
      const std::size_t end = end_of_decoration(text, i);
      if (end > i) {
        if (argument.descriptor.empty()) argument.descriptor = text.substr(i + 1, end - i - 2);
        i = end - 1;
        continue;
      }
    }
    if (nesting.between_arguments() && c == ')') {
      finish();
      call.closed = true;
      call.result = text.substr(i + 1);
      return call;
    }
    if (nesting.between_arguments() && c == ',') {
      any = true;
      finish();
      continue;
    }
    nesting.step(c);
    argument.text += c;
  }
  if (!trim(argument.text).empty()) finish();
  return call;
}

StraceResult parse_strace_result(std::string_view text) {
  StraceResult result;
  std::string_view rest = trim(text);
  if (!take(rest, "=")) return result;
  rest = trim(rest);
  if (rest.ends_with('>')) {
    const auto open = rest.rfind(" <");
    if (open != std::string_view::npos) {
      std::string_view seconds = rest.substr(open + 2);
      if (const auto ns = take_seconds(seconds); ns && seconds == ">") {
        result.took = base::Duration(*ns);
        rest = trim(rest.substr(0, open));
      }
    }
  }
  const bool lost = take(rest, "?");
  if (!lost) {
    const bool hexadecimal = take(rest, "0x");
    if (hexadecimal) {
      const auto value = take_number<std::uint64_t>(rest, 16);
      if (value) result.value = static_cast<std::int64_t>(*value);
    } else {
      result.value = take_number<std::int64_t>(rest);
    }
  }
  if (rest.starts_with('<')) {
    const std::size_t end = end_of_decoration(rest, 0);
    if (end > 0) {
      result.descriptor = rest.substr(1, end - 2);
      rest.remove_prefix(end);
    }
  }
  rest = trim(rest);
  if (rest.starts_with('E')) {
    result.error = error_named(rest.substr(0, rest.find(' ')));
    // "? ERESTARTSYS": the kernel will make the call again, or hand out EINTR.
    if (lost && result.error != 0) result.value = -1;
  } else if (rest.starts_with('(') && rest.ends_with(')')) {
    result.detail = rest.substr(1, rest.size() - 2);
  }
  return result;
}

std::optional<StraceSocket> parse_strace_socket(std::string_view descriptor) {
  StraceSocket socket;
  std::string_view rest = descriptor;
  if (take(rest, "TCP:[") || take(rest, "TCPv6:["))
    socket.tcp = true;
  else if (!take(rest, "socket:["))
    return std::nullopt;
  if (!rest.ends_with(']')) return std::nullopt;
  rest.remove_suffix(1);
  std::string_view number = rest;
  if (const auto inode = take_number<std::uint64_t>(number); inode && number.empty()) {
    socket.inode = *inode;
    return socket;
  }
  const auto arrow = rest.find("->");
  socket.local = parse_endpoint(rest.substr(0, arrow));
  if (arrow != std::string_view::npos) socket.remote = parse_endpoint(rest.substr(arrow + 2));
  if (!socket.local || (arrow != std::string_view::npos && !socket.remote)) return std::nullopt;
  return socket;
}

}  // namespace tcpwhy::calls
