#include "lab/language/step_parser.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/format.h"
#include "lab/language/scenario_parser.h"
#include "tcp/state.h"

namespace tcpwhy::lab {
namespace {

using syntax::Complaint;
using syntax::Cursor;
using syntax::Parsed;

constexpr std::string_view listener_variable = "listener";
// Words that begin a line of another kind, and so can't name an end.
constexpr std::string_view reserved[] = {"title", "asks",    "role",  "wire", "delay",    "set",      "limit", "end",
                                         "state", "counter", "pause", "wait", "listener", "attempts", "family"};

bool makes_descriptor(CallId id) {
  return id == CallId::socket || id == CallId::accept || id == CallId::dup || id == CallId::connect ||
         id == CallId::listen || id == CallId::socketpair || id == CallId::recv_fd;
}

std::string known_calls() {
  std::string names;
  for (const CallRow& row : call_table())
    if (row.not_supported.empty()) names += fmt::format("{}{}", names.empty() ? "" : ", ", row.name);
  return names;
}

template <class Kind>
Parsed<StepKind> step_of_duration(Cursor& cursor) {
  const auto duration = syntax::parse_duration_word(cursor);
  if (!duration) return std::unexpected(duration.error());
  return StepKind(Kind{*duration});
}

}  // namespace

Parsed<Step> StepParser::parse(Cursor& cursor) {
  Step step;
  if (cursor.peek().is("wait")) {
    cursor.next();
    if (!cursor.peek().is("state") && !cursor.peek().is("wire") && !cursor.peek().is("counter"))
      return cursor.expected(
          {"a condition to wait for: state, wire or counter", "要等待的条件：state、wire 或 counter"});
  }
  step.at = cursor.position();
  Parsed<StepKind> what;
  if (cursor.take("wire"))
    what = parse_wire(cursor);
  else if (cursor.take("state"))
    what = parse_state(cursor);
  else if (cursor.take("counter"))
    what = parse_counter(cursor);
  else if (cursor.take("pause"))
    what = step_of_duration<PauseStep>(cursor);
  else
    what = parse_end_step(cursor);
  if (!what) return std::unexpected(what.error());
  step.what = std::move(*what);
  const auto bounds = syntax::parse_bounds(cursor);
  if (!bounds) return std::unexpected(bounds.error());
  step.bounds = *bounds;
  if (!cursor.at_end()) return cursor.expected({"the end of the line", "行尾"});
  return step;
}

Parsed<StepKind> StepParser::parse_wire(Cursor& cursor) {
  if (cursor.peek().is("drop") || cursor.peek().is("pass")) return parse_link(cursor);
  if (cursor.take("silent")) return SilenceStep{};
  if (cursor.take("nothing")) {
    if (!cursor.take("for"))
      return cursor.expected({"for and a time (nothing for 30ms)", "for 和时间（nothing for 30ms）"});
    return step_of_duration<SilenceStep>(cursor);
  }
  WireStep step;
  const auto from = take_end(cursor);
  if (!from) return std::unexpected(from.error());
  if (!cursor.take(">")) return cursor.expected(base::both(">"));
  const auto to = take_end(cursor);
  if (!to) return std::unexpected(to.error());
  step.from = *from;
  step.to = *to;
  const Token flags = cursor.peek();
  const auto spelled = flags.kind == Token::Kind::bracket ? wire::TcpFlags::parse(flags.text) : std::nullopt;
  if (!spelled)
    return cursor.expected({"the flags as tcpdump prints them, such as [S.], [P.], [F.], [R], [.]",
                            "tcpdump 写法的标志，如 [S.]、[P.]、[F.]、[R]、[.]"});
  step.flags = *spelled;
  cursor.next();
  if (cursor.take("length")) {
    const auto length = parse_number(cursor.peek().text);
    if (!length || *length < 0 || *length > 65535)
      return cursor.expected({"a length (0 to 65535)", "长度（0 到 65535）"});
    step.length = static_cast<std::uint32_t>(*length);
    cursor.next();
  }
  return step;
}

// drop or pass, then nothing (both directions) or client > server.
Parsed<StepKind> StepParser::parse_link(Cursor& cursor) {
  if (scenario_.wire != recording::WireKind::link)
    return std::unexpected(
        Complaint{cursor.position(),
                  {"on lo nothing can be dropped: wire link at the top", "lo 上不能丢弃报文：请在开头写 wire link"},
                  {}});
  LinkStep step;
  step.drop = cursor.next().text == "drop";
  if (cursor.at_end()) return step;
  const auto host = [&](std::string& into) {
    const bool known = cursor.peek().is("client") || cursor.peek().is("server");
    if (known) into = cursor.next().text;
    return known;
  };
  if (!host(step.from))
    return cursor.expected(
        {"client or server, or the end of the line for both directions", "client 或 server；两个方向则为行尾"});
  if (!cursor.take(">")) return cursor.expected(base::both(">"));
  if (cursor.peek().is(step.from) || !host(step.to))
    return cursor.expected({"the other end of the link", "链路的另一端"});
  return step;
}

Parsed<StepKind> StepParser::parse_state(Cursor& cursor) {
  StateStep step;
  const auto who = take_end(cursor);
  if (!who) return std::unexpected(who.error());
  step.who = *who;
  if (has_variable(step.who, cursor.peek().text)) step.descriptor = cursor.next().text;
  const std::string& state = cursor.peek().text;
  const auto named = tcp::state_named(state);
  if (state != "gone" && (!named || *named == tcp::State::not_seen)) {
    std::string known = "gone";
    for (std::size_t i = static_cast<std::size_t>(tcp::State::closed); i < tcp::state_count; ++i)
      known += fmt::format(", {}", tcp::name(static_cast<tcp::State>(i)));
    auto complaint = cursor.expected({"a state, or the name of a descriptor", "状态，或描述符的名称"});
    complaint.error().hint = base::format({"the states are {}", "状态有：{}"}, known);
    return complaint;
  }
  step.state = named;
  cursor.next();
  return step;
}

Parsed<StepKind> StepParser::parse_counter(Cursor& cursor) {
  CounterStep step;
  if (cursor.peek(1).kind == Token::Kind::word && cursor.peek(1).text.find('.') != std::string::npos) {
    const auto host = take_end(cursor);
    if (!host) return std::unexpected(host.error());
    step.host = *host;
  }
  const std::string& name = cursor.peek().text;
  if (!name.starts_with("Tcp.") && !name.starts_with("TcpExt."))
    return cursor.expected({"a counter such as TcpExt.TCPAbortOnData", "TcpExt.TCPAbortOnData 这样的计数器"});
  step.name = cursor.next().text;
  const auto delta = parse_number(cursor.peek().text);
  if (!delta) return cursor.expected({"by how much it moves, such as +1", "变化量，如 +1"});
  step.delta = *delta;
  cursor.next();
  return step;
}

Parsed<StepKind> StepParser::parse_end_step(Cursor& cursor) {
  const Position at = cursor.position();
  if (cursor.peek().kind != Token::Kind::word || !syntax::is_end_name(cursor.peek().text) ||
      std::ranges::find(reserved, cursor.peek().text) != std::end(reserved))
    return cursor.expected({"the name of an end (server, client), wire, state, counter or pause",
                            "一端的名称（server、client）、wire、state、counter 或 pause"});
  const std::string who = cursor.next().text;
  if (cursor.peek().is("---") || cursor.peek().is("+++")) {
    mentions_.push_back({who, at});
    return parse_process(cursor, who);
  }
  if (cursor.take("...")) {
    mentions_.push_back({who, at});
    return parse_resume(cursor, who);
  }
  if (const auto added = add_end(who, at); !added) return std::unexpected(added.error());
  return parse_calls(cursor, who);
}

Parsed<StepKind> StepParser::parse_process(Cursor& cursor, const std::string& who) {
  ProcessStep step{who, ProcessStep::Kind::signal, 0};
  const std::string fence = cursor.next().text;
  if (fence == "+++") {
    const bool killed = cursor.take("killed");
    if (!killed && !cursor.take("exited"))
      return cursor.expected({"killed by SIGNAL or exited with STATUS", "killed by SIGNAL 或 exited with STATUS"});
    step.kind = killed ? ProcessStep::Kind::killed : ProcessStep::Kind::exited;
    if (!cursor.take(killed ? "by" : "with")) return cursor.expected(base::both(killed ? "by" : "with"));
  }
  if (step.kind == ProcessStep::Kind::exited) {
    const auto status = parse_number(cursor.peek().text);
    if (!status || *status < 0 || *status > 255)
      return cursor.expected({"an exit status (0 to 255)", "退出状态（0 到 255）"});
    step.number = static_cast<int>(*status);
    cursor.next();
  } else {
    const auto signal = syntax::parse_signal(cursor);
    if (!signal) return std::unexpected(signal.error());
    step.number = *signal;
  }
  if (!cursor.take(fence)) return cursor.expected(base::both(fence));
  return step;
}

Parsed<StepKind> StepParser::parse_resume(Cursor& cursor, const std::string& who) {
  const CallRow* row = cursor.peek().kind == Token::Kind::word ? find_call(cursor.peek().text) : nullptr;
  if (!row) return cursor.expected({"the call that blocked", "被阻塞的调用"});
  cursor.next();
  if (!cursor.take("(")) return cursor.expected(base::both("("));
  if (!cursor.take(")"))
    return cursor.expected({") (the arguments stand where the call was made)", ")（参数写在发起调用之处）"});
  auto expectation = syntax::parse_expectation(cursor);
  if (!expectation) return std::unexpected(expectation.error());
  if (expectation->kind == Expectation::Kind::blocks)
    return cursor.expected({"its result (it blocks already)", "其结果（它已经阻塞）"});
  return ResumeStep{who, row->id, std::move(*expectation)};
}

Parsed<StepKind> StepParser::parse_calls(Cursor& cursor, const std::string& who) {
  CallStep step{who, {}};
  do {
    if (!step.calls.empty() && step.calls.back().expectation.kind == Expectation::Kind::blocks)
      return cursor.expected(
          {"the end of the line (nothing can follow a call that blocks)", "行尾（阻塞的调用之后不能再有内容）"});
    if (step.calls.size() >= ScenarioLimits::calls_in_a_step)
      return cursor.expected(
          base::format({"at most {} calls on a line", "一行最多 {} 个调用"}, ScenarioLimits::calls_in_a_step));
    auto call = parse_call(cursor, who);
    if (!call) return std::unexpected(call.error());
    step.calls.push_back(std::move(*call));
  } while (cursor.take(";"));
  return step;
}

Parsed<ExpectedCall> StepParser::parse_call(Cursor& cursor, const std::string& who) {
  ExpectedCall call;
  call.at = cursor.position();
  if (cursor.peek().kind == Token::Kind::word && cursor.peek(1).is("=")) {
    if (!syntax::is_end_name(cursor.peek().text) || cursor.peek().text.find('.') != std::string::npos)
      return cursor.expected({"a name (letters, digits, - and _)", "名称（字母、数字、- 和 _）"});
    call.variable = cursor.next().text;
    cursor.next();
  }
  const Position at = cursor.position();
  const CallRow* row = cursor.peek().kind == Token::Kind::word ? find_call(cursor.peek().text) : nullptr;
  if (!row) {
    auto complaint = cursor.expected({"a call", "调用"});
    complaint.error().hint = base::format({"the calls are {}", "调用有：{}"}, known_calls());
    return complaint;
  }
  if (!row->not_supported.empty())
    return std::unexpected(Complaint{at, base::both(std::string(row->not_supported)), {}});
  cursor.next();
  if (!cursor.take("(")) return cursor.expected(base::format({"( as in {}", "(，如 {}"}, row->usage));
  const syntax::ArgumentStyle style{false, [&](const std::string& name) { return has_variable(who, name); }};
  const Position peer_at = cursor.position();
  auto spec = syntax::parse_arguments(cursor, *row, style);
  if (!spec) return std::unexpected(spec.error());
  call.call = std::move(*spec);
  if (!cursor.take(")")) return cursor.expected(base::both(")"));
  const std::string& peer = call.call.peer.end;
  if (!peer.empty() && peer != unspecified_peer) mentions_.push_back({peer, peer_at});
  auto expectation = syntax::parse_expectation(cursor);
  if (!expectation) return std::unexpected(expectation.error());
  call.expectation = std::move(*expectation);
  if (const auto named = name_result(cursor, who, call); !named) return std::unexpected(named.error());
  return call;
}

// NAME = accept() gives this end a descriptor, NAME = fork() the scenario an end.
Parsed<void> StepParser::name_result(Cursor& cursor, const std::string& who, const ExpectedCall& call) {
  const std::string end = end_of(who);
  if (call.call.id == CallId::fork) {
    if (call.variable.empty())
      return std::unexpected(
          Complaint{call.at,
                    {"a name for the new process (worker = fork())", "新进程的名称（worker = fork()）"},
                    base::both("fork")});
    if (std::ranges::find(scenario_.ends, call.variable) != scenario_.ends.end() ||
        std::ranges::find(reserved, call.variable) != std::end(reserved))
      return std::unexpected(
          Complaint{call.at, {"a name that no other end has", "其他端没有用过的名称"}, base::both(call.variable)});
    if (const auto added = add_end(call.variable, call.at); !added) return added;
    scenario_.forked_from[call.variable] = end;
    variables_[call.variable] = variables_[end];
    return {};
  }
  if (call.variable.empty() && call.call.id == CallId::socketpair)
    return std::unexpected(
        Complaint{call.at,
                  {"a name for the pair (pair = socketpair())", "套接字对的名称（pair = socketpair()）"},
                  base::both("socketpair")});
  if (call.variable.empty()) return {};
  if (!makes_descriptor(call.call.id))
    return std::unexpected(
        Complaint{call.at,
                  {"a call that makes a descriptor or a process after NAME =", "NAME = 之后创建描述符或进程的调用"},
                  base::both(std::string(row_of(call.call.id).name))});
  if (call.variable == listener_variable && call.call.id != CallId::listen && call.call.id != CallId::socket)
    return std::unexpected(
        Complaint{call.at,
                  {"another name (listener is the listening socket)", "另一个名称（listener 是监听套接字）"},
                  base::both("listener")});
  if (variables_[end].size() >= ScenarioLimits::calls_in_a_step * 4)
    return cursor.expected({"fewer named descriptors", "更少的命名描述符"});
  variables_[end].insert(call.variable);
  if (call.call.id == CallId::socketpair) variables_[end].insert(call.variable + std::string(peer_suffix));
  return {};
}

Parsed<std::string> StepParser::take_end(Cursor& cursor) {
  if (cursor.peek().kind != Token::Kind::word || !syntax::is_end_name(cursor.peek().text))
    return cursor.expected({"the name of an end", "一端的名称"});
  mentions_.push_back({cursor.peek().text, cursor.position()});
  return cursor.next().text;
}

Parsed<void> StepParser::add_end(const std::string& who, Position at) {
  const std::string end = end_of(who);
  if (std::ranges::find(scenario_.ends, end) == scenario_.ends.end()) {
    if (scenario_.ends.size() >= ScenarioLimits::ends)
      return std::unexpected(
          Complaint{at, base::format({"at most {} ends", "最多 {} 端"}, ScenarioLimits::ends), base::both(end)});
    scenario_.ends.push_back(end);
  }
  if (end == who) return {};
  if (scenario_.forked_from.contains(end))
    return std::unexpected(Complaint{
        at, {"threads in a process that fork() made are not supported", "不支持 fork() 创建的进程中的线程"}, {}});
  auto& threads = scenario_.threads[end];
  if (std::ranges::find(threads, who) != threads.end()) return {};
  if (threads.size() >= ScenarioLimits::threads)
    return std::unexpected(
        Complaint{at, base::format({"at most {} threads of an end", "一端最多 {} 个线程"}, ScenarioLimits::threads),
                  base::both(who)});
  threads.push_back(who);
  return {};
}

bool StepParser::has_variable(const std::string& who, const std::string& name) const {
  if (name == listener_variable) return true;
  const auto found = variables_.find(end_of(who));
  return found != variables_.end() && found->second.contains(name);
}

Parsed<void> StepParser::finish() {
  for (const Mention& mention : mentions_) {
    const std::string end = end_of(mention.end);
    const bool known = std::ranges::find(scenario_.ends, end) != scenario_.ends.end();
    if (!known)
      return std::unexpected(
          Complaint{mention.at, {"an end of this scenario", "本场景中的一端"}, base::both(mention.end)});
  }
  if (scenario_.wire == recording::WireKind::link) {
    for (const std::string& end : scenario_.ends) {
      const auto parent = scenario_.forked_from.find(end);
      if (parent != scenario_.forked_from.end())
        scenario_.hosts[end] = scenario_.hosts[parent->second];
      else if (end == "client" || end == "server")
        scenario_.hosts.try_emplace(end, end);
      else if (!scenario_.hosts.contains(end))
        return std::unexpected(
            Complaint{{1, 1},
                      base::format({"a header \"end {} at client\" or \"... at server\": the link has these two hosts",
                                    "头部 \"end {} at client\" 或 \"... at server\"：链路有这两台主机"},
                                   end),
                      {"none", "无"}});
    }
  } else if (!scenario_.delays.empty()) {
    return std::unexpected(Complaint{
        {1, 1}, {"wire link: only a link can have a delay", "wire link：只有 link 才能有时延"}, base::both("wire lo")});
  }
  return {};
}

}  // namespace tcpwhy::lab
