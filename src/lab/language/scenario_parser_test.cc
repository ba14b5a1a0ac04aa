// The scenario language: what a file means, and what is said of one that means nothing.
#include "lab/language/scenario_parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cerrno>
#include <csignal>

namespace tcpwhy::lab {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

constexpr std::string_view example = R"(# What happens to bytes for a socket that is closed.

title     Client writes after the server has closed
title.zh  服务器 close 之后，客户端继续 write
asks      5, 7
role      contrast
wire      link
delay     20ms
delay     client > server 5ms
set       net.ipv4.tcp_fin_timeout = 1

server  listen(9999)
client  connect(server)
server  accept()

# The server has said all it wants to say.
#zh 服务器已经说完了。
server  close()                       = 0       # FIN
wire    server > client  [F.] length 0  after 1ms within 200ms
client  recv()  ...
client  ... recv()                    = 0
client  send("anyone\n" * 2, MSG_NOSIGNAL|MSG_MORE) ! EPIPE SIGPIPE
client  +++ killed by SIGPIPE +++
state   server gone
counter server TcpExt.TCPAbortOnData +1
pause   4ms
wire    nothing for 30ms
)";

Scenario parsed(std::string_view text) {
  auto scenario = parse_scenario(text, "x.tcp");
  EXPECT_TRUE(scenario) << scenario.error().message.en;
  return scenario ? *scenario : Scenario{};
}

std::string error_of(std::string_view text) {
  const auto scenario = parse_scenario(text, "x.tcp");
  if (scenario) return "it parsed";
  EXPECT_EQ(scenario.error().kind, base::ErrorKind::usage);
  return scenario.error().message.en;
}

template <class T>
const T& step_as(const Scenario& scenario, std::size_t index) {
  return std::get<T>(scenario.steps.at(index).what);
}

TEST(ScenarioParser, reads_the_header) {
  const Scenario scenario = parsed(example);
  EXPECT_EQ(scenario.about, "What happens to bytes for a socket that is closed.");
  EXPECT_EQ(scenario.title, "Client writes after the server has closed");
  EXPECT_EQ(scenario.title_zh, "服务器 close 之后，客户端继续 write");
  EXPECT_THAT(scenario.asks, ElementsAre(5, 7));
  EXPECT_EQ(scenario.role, Role::contrast);
  EXPECT_EQ(scenario.wire, recording::WireKind::link);
  EXPECT_THAT(scenario.delays, ElementsAre(Delay{"", "", 20ms}, Delay{"client", "server", 5ms}));
  ASSERT_EQ(scenario.settings.size(), 1U);
  EXPECT_EQ(scenario.settings[0].name, "net.ipv4.tcp_fin_timeout");
  EXPECT_EQ(scenario.settings[0].value, "1");
  EXPECT_THAT(scenario.ends, ElementsAre("server", "client"));
}

TEST(ScenarioParser, reads_each_kind_of_step) {
  const Scenario scenario = parsed(example);
  ASSERT_EQ(scenario.steps.size(), 13U);
  EXPECT_EQ(step_as<CallStep>(scenario, 0).calls[0].call.port, 9999);
  EXPECT_EQ(step_as<CallStep>(scenario, 1).calls[0].call.peer, (Peer{"server", 0}));
  EXPECT_EQ(step_as<WireStep>(scenario, 4), (WireStep{"server", "client", wire::TcpFlags::parse("F.").value(), 0}));
  EXPECT_EQ(scenario.steps[4].bounds, (Bounds{1ms, 200ms}));
  EXPECT_EQ(step_as<CallStep>(scenario, 5).calls[0].expectation.kind, Expectation::Kind::blocks);
  EXPECT_EQ(step_as<ResumeStep>(scenario, 6).expectation.number, 0);
  const ExpectedCall& send = step_as<CallStep>(scenario, 7).calls[0];
  EXPECT_EQ(send.call.payload, (Payload{"anyone\n", 2}));
  EXPECT_EQ(send.call.flags, MSG_NOSIGNAL | MSG_MORE);
  EXPECT_EQ(send.expectation.error, EPIPE);
  EXPECT_THAT(send.expectation.signals, ElementsAre(SIGPIPE));
  EXPECT_EQ(send.expectation.text, "! EPIPE SIGPIPE");
  EXPECT_EQ(step_as<ProcessStep>(scenario, 8), (ProcessStep{"client", ProcessStep::Kind::killed, SIGPIPE}));
  EXPECT_EQ(step_as<StateStep>(scenario, 9), (StateStep{"server", "", std::nullopt}));
  EXPECT_EQ(step_as<CounterStep>(scenario, 10), (CounterStep{"server", "TcpExt.TCPAbortOnData", 1}));
  EXPECT_EQ(step_as<PauseStep>(scenario, 11).duration, 4ms);
}

TEST(ScenarioParser, keeps_lines_and_comments) {
  const Scenario scenario = parsed(example);
  const Step& close = scenario.steps[3];
  EXPECT_EQ(close.at.line, 18U);
  EXPECT_EQ(close.text, "server  close()                       = 0");
  EXPECT_EQ(close.note, "The server has said all it wants to say.");
  EXPECT_EQ(close.note_zh, "服务器已经说完了。");
  EXPECT_EQ(close.comment, "FIN");
  EXPECT_EQ(scenario.steps[4].note, "");
}

TEST(ScenarioParser, calls_on_one_line_are_one_step) {
  const Scenario scenario = parsed("server send(\"hi\") = 2; close() = 0\n");
  const auto& step = step_as<CallStep>(scenario, 0);
  ASSERT_EQ(step.calls.size(), 2U);
  EXPECT_EQ(step.calls[0].expectation.number, 2);
  EXPECT_EQ(step.calls[1].call.id, CallId::close);
}

TEST(ScenarioParser, descriptors_processes_and_threads_have_names) {
  const Scenario scenario = parsed(
      "server listen(9999)\nserver a = accept()\nserver send(a, \"x\")\nserver close(listener)\n"
      "server worker = fork()\nworker close(a)\nserver.reader recv(a) ...\nstate server a ESTABLISHED\n");
  EXPECT_EQ(step_as<CallStep>(scenario, 1).calls[0].variable, "a");
  EXPECT_EQ(step_as<CallStep>(scenario, 2).calls[0].call.descriptor, "a");
  EXPECT_EQ(step_as<CallStep>(scenario, 3).calls[0].call.descriptor, "listener");
  EXPECT_EQ(scenario.forked_from.at("worker"), "server");
  EXPECT_THAT(scenario.threads.at("server"), ElementsAre("server.reader"));
  EXPECT_EQ(step_as<StateStep>(scenario, 7).descriptor, "a");
}

TEST(ScenarioParser, values_may_be_names) {
  const Scenario scenario = parsed(
      "client poll() = POLLIN|POLLRDHUP\nclient getsockopt(SO_ERROR) = EPIPE\nclient setsockopt(SO_LINGER, 1, 0)\n"
      "client recv() = \"a\\x41\\n\"\nclient recv(10, MSG_PEEK)\n");
  EXPECT_EQ(step_as<CallStep>(scenario, 0).calls[0].expectation.number, 0x2001);
  EXPECT_EQ(step_as<CallStep>(scenario, 1).calls[0].expectation.number, EPIPE);
  EXPECT_THAT(step_as<CallStep>(scenario, 2).calls[0].call.values, ElementsAre(1, 0));
  EXPECT_EQ(step_as<CallStep>(scenario, 3).calls[0].expectation.bytes, "aA\n");
  EXPECT_EQ(step_as<CallStep>(scenario, 4).calls[0].call.size, 10U);
}

struct Wrong {
  std::string_view text;
  std::string_view message;
};

class WrongScenario : public testing::TestWithParam<Wrong> {};

TEST_P(WrongScenario, names_the_place_and_what_was_expected) {
  EXPECT_THAT(error_of(GetParam().text), StartsWith(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    Each, WrongScenario,
    testing::Values(
        Wrong{"", "x.tcp:1:1: expected a step such as \"server listen(9999)\", found the end of the file"},
        Wrong{"client sned(\"x\")", "x.tcp:1:8: expected a call, found sned"},
        Wrong{"client send(hello)", "x.tcp:1:13: expected bytes to send (\"hello\", \"x\" * 1000), found hello"},
        Wrong{"client send(\"x\"", "x.tcp:1:16: expected ), found the end of the line"},
        Wrong{"client send(\"x) = 1", "x.tcp:1:20: expected \" at the end of the string, found the end of the line"},
        Wrong{
            "client send(\"x\") = ",
            "x.tcp:1:20: expected a number, a string, an errno such as EPIPE or poll events such as POLLIN|POLLRDHUP, found the end of the line"},
        Wrong{"client send(\"x\") ! EFOO", "x.tcp:1:20: expected an errno such as EPIPE, found EFOO"},
        Wrong{"client send(\"x\") = 1 2", "x.tcp:1:22: expected the end of the line, found 2"},
        Wrong{"client recv() ...; close()",
              "x.tcp:1:20: expected the end of the line (nothing can follow a call that blocks), found close"},
        Wrong{"client recv(a)", "x.tcp:1:13: expected MSG_* flags joined by |, found a"},
        Wrong{"client shutdown(UP)", "x.tcp:1:17: expected RD, WR or RDWR, found UP"},
        Wrong{"client connect(sever)", "x.tcp:1:16: expected an end of this scenario, found sever"},
        Wrong{"client close()\nwire client > srv [F.]", "x.tcp:2:15: expected an end of this scenario, found srv"},
        Wrong{"client close()\nwire client [F.]", "x.tcp:2:13: expected >, found [F.]"},
        Wrong{"client close()\nwire client > client [X]", "x.tcp:2:22: expected the flags as tcpdump prints them"},
        Wrong{"client close()\nstate client HAPPY",
              "x.tcp:2:14: expected a state, or the name of a descriptor, found HAPPY"},
        Wrong{"client close()\ntitle.zh", "x.tcp:2:9: expected a title, found the end of the line"},
        Wrong{"client close()\nasks 1", "x.tcp:2:1: expected a step (headers stand before the first one), found asks"},
        Wrong{"asks 8\nclient close()", "x.tcp:1:6: expected a question (1 to 7), found 8"},
        Wrong{"set net.ipv4.x/../../y = 1\nclient close()",
              "x.tcp:1:5: expected a setting such as net.ipv4.tcp_fin_timeout"},
        Wrong{"delay 20ms\nclient close()", "x.tcp:1:1: expected wire link: only a link can have a delay"},
        Wrong{"client exec(nginx)", "x.tcp:1:13: expected a program and its arguments"},
        Wrong{"wire drop client > server\nclient recv()", "x.tcp:1:6: on lo nothing can be dropped"},
        Wrong{"wire link\nwire drop client > client", "x.tcp:2:20: expected the other end of the link"},
        Wrong{"client sendto(\"x\", MSG_FASTOPEN, AF_UNSPEC)", "x.tcp:1:34: expected the end to send to"},
        Wrong{"client setsockopt(TCP_MD5SIG, server)", "x.tcp:1:37: expected a comma and the key"},
        Wrong{"client fcntl(O_APPEND)", "x.tcp:1:14: expected O_NONBLOCK, or 0 to wait again"},
        Wrong{"client sigprocmask(hold, SIGPIPE)", "x.tcp:1:20: expected block or unblock"},
        Wrong{"client setrlimit(RLIMIT_CPU, 1)", "x.tcp:1:18: expected RLIMIT_NOFILE"},
        Wrong{"client send_fd(listener, nobody)", "x.tcp:1:26: expected the descriptor to pass"},
        Wrong{"client socketpair()", "x.tcp:1:8: expected a name for the pair"},
        Wrong{"client fork()", "x.tcp:1:8: expected a name for the new process (worker = fork()), found fork"},
        Wrong{"client send(\"x\" * 99999999)", "x.tcp:1:19: expected how many times (1 or more), found 99999999"},
        Wrong{"client pause 4ms", "x.tcp:1:8: expected a call, found pause"},
        Wrong{"pause forever", "x.tcp:1:7: expected a time such as 20ms, 1.5s or 300us, found forever"},
        Wrong{"client setsockopt(SO_LINGER, 1)", "x.tcp:1:31: expected a comma and SO_LINGER's second value, found )"},
        Wrong{"client close() \x01",
              "x.tcp:1:16: expected a word, a string or one of ( ) , ; = ! > * |, found '\\x01'"}));

TEST(ScenarioParser, an_error_shows_the_line_and_a_caret) {
  EXPECT_EQ(error_of("# hi\nclient\tsned(\"\x1b[31m\")\n"),
            "x.tcp:2:8: expected a call, found sned\n  client sned(\"\\x1b[31m\")\n         ^");
}

TEST(ScenarioParser, reads_how_often_an_experiment_may_be_made) {
  const auto scenario = parse_scenario("attempts 5\nserver listen(9999)\n", "x.tcp");
  ASSERT_TRUE(scenario);
  EXPECT_EQ(scenario->attempts, 5U);
  for (const std::string_view wrong : {"attempts 0\nserver listen()\n", "attempts 21\nserver listen()\n"}) {
    const auto refused = parse_scenario(wrong, "x.tcp");
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().message.en.find("x.tcp:1:10: expected a number of attempts (1 to 20)"), std::string::npos)
        << refused.error().message.en;
  }
}

TEST(ScenarioParser, limits_hold) {
  EXPECT_THAT(error_of(std::string(300000, '#')), HasSubstr("at most 262144 bytes"));
  EXPECT_THAT(error_of("client close() #" + std::string(5000, 'x')), HasSubstr("a line of at most 4096 bytes"));
  std::string many;
  for (int i = 0; i < 2001; ++i) many += "client close()\n";
  EXPECT_THAT(error_of(many), HasSubstr("2001:1: expected at most 2000 steps"));
}

TEST(TypedCall, words_instead_of_parentheses) {
  const auto send = parse_typed_call("send hello, server!");
  ASSERT_TRUE(send);
  EXPECT_EQ(send->spec.payload.bytes, "hello, server!");
  const auto linger = parse_typed_call("setsockopt so_linger 1 0");
  ASSERT_TRUE(linger) << linger.error().message.en;
  EXPECT_THAT(linger->spec.values, ElementsAre(1, 0));
  const auto half = parse_typed_call("shutdown @4 wr");
  ASSERT_TRUE(half) << half.error().message.en;
  EXPECT_EQ(half->fd, 4);
  EXPECT_EQ(half->spec.number, SHUT_WR);
  const auto peek = parse_typed_call("recv 10 msg_peek");
  ASSERT_TRUE(peek) << peek.error().message.en;
  EXPECT_EQ(peek->spec.flags, MSG_PEEK);
  EXPECT_EQ(parse_typed_call("send \"a\\n\"")->spec.payload.bytes, "a\n");
  EXPECT_FALSE(parse_typed_call("shutdown"));
  EXPECT_FALSE(parse_typed_call("fork"));
  EXPECT_FALSE(parse_typed_call("recv @x"));
}

}  // namespace
}  // namespace tcpwhy::lab
