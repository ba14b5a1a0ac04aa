// Scenarios on the live kernel: the ones that come with the program hold over every family, and one that does not hold
// says so.
#include "lab/lab.h"

#include <dirent.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <set>
#include <sstream>

#include "lab/agents/program_user.h"
#include "lab/language/scenario_parser.h"
#include "lab/sandbox/sandbox.h"
#include "lab/scenario_files.h"

namespace tcpwhy::lab {
namespace {

using namespace std::chrono_literals;
using recording::CallEntered;
using recording::CallReturned;
using recording::ExpectationFailed;
using recording::ProcessEnded;
using testing::HasSubstr;

class Live : public testing::Test {
 protected:
  void SetUp() override {
    if (const auto available = sandbox_available(); !available)
      GTEST_SKIP() << "no sandbox here: " << available.error().message.en;
  }

  static Outcome run_text(std::string_view text, const RunOptions& options = {}) {
    auto scenario = parse_scenario(text, "test.tcp");
    EXPECT_TRUE(scenario) << scenario.error().message.en;
    if (!scenario) return {};
    scenario->name = "test";
    scenario->step_limit = 300ms;
    auto outcomes = run({&*scenario, 1}, options, {});
    return std::move(outcomes.front());
  }

  template <class T>
  static std::vector<T> all(const recording::Recording& recording) {
    std::vector<T> found;
    for (const recording::Event& event : recording.events)
      if (const T* one = std::get_if<T>(&event.what)) found.push_back(*one);
    return found;
  }
};

constexpr std::string_view opening = "server listen(9999)\nclient connect(server)\nserver accept()\n";

std::string with_opening(std::string_view rest) { return std::string(opening) + std::string(rest); }

// Exits with 0 where the program is not root, has no capability, no group of root's and can't gain any.
constexpr std::string_view asks_who_it_is =
    "server listen(9999)\nserver helper = fork()\n"
    "helper exec(\"sh\", \"-c\", \"test $(id -u) -ne 0 && ! id -G | grep -qw 0 && grep -q '^CapEff:.0*$' /proc/self/status "
    "&& grep -q '^NoNewPrivs:.1$' /proc/self/status\")\n"
    "helper +++ exited with 0 +++\n";

// Processes whose parent is this one, by /proc.
std::set<int> children() {
  std::set<int> found;
  std::ifstream list("/proc/thread-self/children");
  for (int pid = 0; list >> pid;) found.insert(pid);
  return found;
}

std::string show(const Outcome& outcome) {
  std::string text = outcome.error ? outcome.error->message.en + "\n" : "";
  for (const recording::Event& event : outcome.recording.events)
    text += recording::message(outcome.recording, event) + "\n";
  return text;
}

TEST(BuiltinScenarios, parse_and_have_both_titles_and_a_question) {
  const auto scenarios = builtin_scenarios();
  ASSERT_EQ(scenarios.size(), scenario_files.size());
  std::map<int, int> mains;
  for (const Scenario& scenario : scenarios) {
    EXPECT_NE(scenario.title, "") << scenario.name;
    EXPECT_NE(scenario.title_zh, "") << scenario.name;
    EXPECT_FALSE(scenario.asks.empty()) << scenario.name;
    if (scenario.role == Role::main && !scenario.asks.empty()) ++mains[scenario.asks.front()];
  }
  for (int question = 1; question <= 7; ++question) EXPECT_EQ(mains[question], 1) << "question " << question;
}

class EveryScenario : public Live, public testing::WithParamInterface<Family> {};

TEST_P(EveryScenario, holds) {
  const auto scenarios = builtin_scenarios();
  std::vector<std::string> told;
  const auto begin = base::MonotonicClock::now();
  RunOptions options;
  options.family = GetParam();
  const auto outcomes = run(scenarios, options, [&](const Outcome& outcome) { told.push_back(outcome.scenario.name); });
  std::printf("%zu scenarios over %s: %.0f ms\n", scenarios.size(), std::string(family_name(GetParam())).c_str(),
              base::to_ms(base::MonotonicClock::now() - begin));
  ASSERT_EQ(outcomes.size(), scenarios.size());
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    EXPECT_TRUE(outcomes[i].passed) << outcomes[i].scenario.name << "\n" << show(outcomes[i]);
    EXPECT_EQ(told[i], scenarios[i].name);
    EXPECT_EQ(outcomes[i].recording.provenance.title, scenarios[i].name);
  }
  EXPECT_TRUE(children().empty());
}

INSTANTIATE_TEST_SUITE_P(Over, EveryScenario, testing::Values(Family::v4, Family::v6, Family::v4_mapped),
                         [](const auto& over) {
                           return std::string(over.param == Family::v4_mapped ? "v4_mapped" : family_name(over.param));
                         });

TEST_F(Live, the_recording_holds_what_it_says) {
  const Outcome outcome = run_text(with_opening(
      "client send(\"hello\") = 5\nserver recv() = \"hello\"\nserver close()\nwire server > client [F.]\n"));
  ASSERT_TRUE(outcome.passed) << show(outcome);
  const recording::Recording& recording = outcome.recording;
  EXPECT_EQ(recording.provenance.wire, recording::WireKind::loopback);
  EXPECT_THAT(recording.provenance.kernel, testing::StartsWith("Linux "));
  EXPECT_EQ(recording.provenance.settings.at("family"), "IPv4");
  ASSERT_EQ(recording.actors.size(), 2U);
  EXPECT_EQ(recording.actors[0].name, "server");
  EXPECT_NE(recording.actors[0].pid, recording.actors[1].pid);

  const auto entered = all<CallEntered>(recording);
  const auto returned = all<CallReturned>(recording);
  EXPECT_EQ(entered.size(), 10U);  // listen is four calls, connect two
  EXPECT_EQ(returned.size(), entered.size());
  const auto send = std::ranges::find(entered, "send", &CallEntered::name);
  ASSERT_NE(send, entered.end());
  EXPECT_EQ(send->arguments, "3, \"hello\", 5, 0");
  EXPECT_NE(send->socket, 0U);
  EXPECT_EQ(send->remote->port, 9999);
  EXPECT_EQ(send->byte_count, 5U);
  EXPECT_EQ(send->step_line, 4U);
  const auto accept = std::ranges::find(entered, "accept", &CallEntered::name);
  ASSERT_NE(accept, entered.end());
  const auto accepted = std::ranges::find(returned, accept->call, &CallReturned::call);
  EXPECT_EQ(accepted->new_fd, 4);
  EXPECT_EQ(accepted->remote, send->local);  // the client's own address
}

TEST_F(Live, packets_of_a_call_lie_between_its_entry_and_its_return) {
  const Outcome outcome = run_text(with_opening("server close()\nwire server > client [F.]\n"));
  ASSERT_TRUE(outcome.passed) << show(outcome);
  base::WallTime entered, returned;
  std::vector<base::WallTime> packets;
  for (const recording::Event& event : outcome.recording.events) {
    if (const auto* call = std::get_if<CallEntered>(&event.what); call && call->name == "close") entered = event.at;
    if (std::holds_alternative<CallReturned>(event.what)) returned = event.at;
    if (std::holds_alternative<recording::Packet>(event.what)) packets.push_back(event.at);
  }
  // The handshake and the FIN; on a busy machine the client's delayed ACK of the FIN (40 ms later) comes before the end.
  ASSERT_GE(packets.size(), 4U);
  ASSERT_LE(packets.size(), 5U);
  EXPECT_LT(packets[2], entered);
  EXPECT_LT(entered, packets[3]);
  EXPECT_LT(packets[3], returned);
}

struct Failing {
  std::string_view lines;
  std::uint32_t line;
  std::string_view expected, actual;
};

class FailingScenario : public Live, public testing::WithParamInterface<Failing> {};

TEST_P(FailingScenario, says_what_was_expected_and_what_happened) {
  const Outcome outcome = run_text(with_opening(GetParam().lines));
  EXPECT_FALSE(outcome.passed);
  ASSERT_TRUE(outcome.error);
  EXPECT_EQ(outcome.error->kind, base::ErrorKind::expectation) << outcome.error->message.en;
  const auto failed = all<ExpectationFailed>(outcome.recording);
  ASSERT_FALSE(failed.empty()) << show(outcome);
  EXPECT_EQ(failed[0].step_line, GetParam().line);
  EXPECT_EQ(failed[0].expected, GetParam().expected);
  EXPECT_THAT(failed[0].actual, HasSubstr(GetParam().actual));
  EXPECT_THAT(outcome.error->message.en, HasSubstr("test.tcp:" + std::to_string(GetParam().line) + ": expected "));
  EXPECT_TRUE(children().empty());
}

INSTANTIATE_TEST_SUITE_P(
    Each, FailingScenario,
    testing::Values(
        Failing{"client send(\"hello\") = 4\n", 4, "= 4", "= 5"},
        Failing{"client send(\"hello\") = 5\nserver recv() = \"hullo\"\n", 5, "= \"hullo\"", "= \"hello\""},
        Failing{"client send(\"hello\") ! EPIPE SIGPIPE\n", 4, "! EPIPE SIGPIPE", "= 5"},
        Failing{"server close()\nserver send(\"x\") = 1\n", 5, "= 1", "= -1 EBADF"},
        Failing{"server close()\nserver send(\"x\")\n", 5, "success", "= -1 EBADF"},
        Failing{"server shutdown(WR)\nserver signal(SIGPIPE, handle)\nserver send(\"x\") ! EPIPE\n", 6, "! EPIPE",
                "--- SIGPIPE --- = -1 EPIPE"},
        // A process that dies where nobody expected it.
        Failing{"server shutdown(WR)\nserver send(\"x\") ! EPIPE\n", 5, "! EPIPE", "+++ killed by SIGPIPE +++"},
        Failing{"server exit(3)\nserver close()\n", 5, "server close()", "server has ended: +++ exited with 3 +++"},
        Failing{"client exit(3)\nclient +++ exited with 0 +++\n", 5, "+++ exited with 0 +++", "+++ exited with 3 +++"},
        // A step that never returns.
        Failing{"client recv() = 5\n", 4, "= 5", "recv() did not return within 300.0 ms"},
        Failing{"client recv() ...\nclient ... recv() = 5\n", 5, "= 5", "did not return within"},
        Failing{"client recv() ...\nclient send(\"x\")\n", 5, "client send(\"x\")", "client is still in recv()"},
        Failing{"client send(\"x\") ...\n", 4, "... (it blocks)", "= 1"},
        // A segment, a state, a counter that does not come.
        Failing{"wire server > client [F.]\n", 4, "wire server > client [F.]", "[S.]"},
        Failing{"client send(\"x\")\nwire silent\n", 5, "no segment", "[P.] length 1"},
        Failing{"server close()\nwire nothing for 100ms\n", 5, "wire nothing for 100ms", "[.] length 0"},
        Failing{"state client CLOSE-WAIT\n", 4, "state client CLOSE-WAIT", "it is ESTABLISHED"},
        Failing{"counter TcpExt.TCPAbortOnData +1\n", 4, "counter TcpExt.TCPAbortOnData +1", "it has moved by +0"},
        Failing{"server close()\nwire server > client [F.]\nwire client > server [.] after 100ms\n", 6,
                "client > server [.] after 100.0 ms", "it came after"}));

TEST_F(Live, goes_on_after_a_wrong_result) {
  const Outcome outcome = run_text(with_opening("client send(\"hello\") = 4\nserver recv() = \"hullo\"\n"));
  EXPECT_EQ(all<ExpectationFailed>(outcome.recording).size(), 2U);
}

TEST_F(Live, the_limit_of_the_scenario_ends_it) {
  const Outcome outcome =
      run_text("limit 200ms\nserver listen(9999)\npause 1s\nclient connect(server)\nclient recv() = 1\n");
  EXPECT_FALSE(outcome.passed);
  const auto failed = all<ExpectationFailed>(outcome.recording);
  ASSERT_EQ(failed.size(), 1U) << show(outcome);
  EXPECT_EQ(failed[0].expected, "client connect(server)");
  EXPECT_EQ(failed[0].actual, "the scenario's limit of 200.0 ms is over");
}

TEST_F(Live, a_setting_that_the_kernel_lacks_names_its_line) {
  const Outcome outcome = run_text("set net.ipv4.no_such_thing = 1\nserver listen(9999)\n");
  ASSERT_TRUE(outcome.error);
  EXPECT_THAT(outcome.error->message.en, HasSubstr("net.ipv4.no_such_thing"));
}

TEST_F(Live, threads_of_an_end_share_its_descriptors) {
  const Outcome outcome =
      run_text(with_opening("client.reader recv() ...\nserver send(\"hi\") = 2\nclient.reader ... recv() = \"hi\"\n"));
  EXPECT_TRUE(outcome.passed) << show(outcome);
}

TEST_F(Live, a_stopped_run_ends_at_once_and_leaves_nothing) {
  const auto scenario =
      parse_scenario("limit 60s\nlimit step 60s\nserver listen(9999)\nserver accept() = 4\n", "test.tcp");
  ASSERT_TRUE(scenario);
  std::atomic<bool> stop{false};
  RunOptions options;
  options.stop = &stop;
  const std::vector<Scenario> scenarios{*scenario, *scenario};
  struct sigaction action{};
  static std::atomic<bool>* flag;
  flag = &stop;
  action.sa_handler = [](int) { flag->store(true); };
  sigaction(SIGALRM, &action, nullptr);
  ualarm(200'000, 0);
  const auto outcomes = run(scenarios, options, {});
  for (const Outcome& outcome : outcomes) {
    ASSERT_TRUE(outcome.error);
    EXPECT_EQ(outcome.error->message.en, "interrupted");
  }
  EXPECT_TRUE(children().empty());
}

// Every process of the machine in whose environment or comm our agents can be told: those of a scenario have its ends'
// names.
std::set<int> processes_named(const std::string& name) {
  std::set<int> found;
  DIR* proc = opendir("/proc");
  while (const dirent* entry = readdir(proc)) {
    const int pid = std::atoi(entry->d_name);
    std::ifstream comm("/proc/" + std::string(entry->d_name) + "/comm");
    std::string text;
    if (pid > 0 && std::getline(comm, text) && text == name) found.insert(pid);
  }
  closedir(proc);
  return found;
}

TEST_F(Live, nothing_is_left_when_the_program_is_killed) {
  const std::string name = "end-" + std::to_string(getpid());
  const auto scenario =
      parse_scenario("limit 60s\nlimit step 60s\n" + name + " listen(9999)\n" + name + " accept() = 4\n", "test.tcp");
  ASSERT_TRUE(scenario) << scenario.error().message.en;
  const pid_t program = fork();
  if (program == 0) {
    run({&*scenario, 1}, {}, {});
    _exit(0);
  }
  const auto deadline = base::MonotonicClock::now() + 10s;
  while (processes_named(name).empty() && base::MonotonicClock::now() < deadline) usleep(1000);
  EXPECT_FALSE(processes_named(name).empty());
  kill(program, SIGKILL);
  waitpid(program, nullptr, 0);
  while (!processes_named(name).empty() && base::MonotonicClock::now() < deadline) usleep(1000);
  EXPECT_TRUE(processes_named(name).empty());
}

TEST(LoadScenario, tells_files_that_cannot_be_read_from_wrong_ones) {
  const auto missing = load_scenario("/nonexistent/x.tcp");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().kind, base::ErrorKind::unreadable);
  const auto folder = load_scenario("/");
  ASSERT_FALSE(folder);
  EXPECT_EQ(folder.error().kind, base::ErrorKind::unreadable);
  const auto good = load_scenario(std::string(TCPWHY_SOURCE_DIR) + "/scenarios/1-open/handshake.tcp");
  ASSERT_TRUE(good);
  EXPECT_EQ(good->name, "handshake");
}

TEST_F(Live, a_program_that_a_scenario_names_is_not_root_where_root_runs_it) {
  if (::geteuid() != 0) GTEST_SKIP() << "not root";
  const Outcome outcome = run_text(asks_who_it_is);
  EXPECT_TRUE(outcome.passed) << show(outcome);
  EXPECT_FALSE(run_text(asks_who_it_is, {.programs_as_root = true}).passed) << "unless root asks for it";
}

TEST_F(Live, a_program_that_is_not_there_leaves_its_end_as_it_was) {
  const Outcome outcome = run_text(
      "server listen(9999)\nserver exec(\"/nonexistent/program\") ! ENOENT\n"
      "server s = socket()\nserver bind(s, 99) = 0\nserver close(s)\n");
  EXPECT_TRUE(outcome.passed) << show(outcome);
}

TEST(ProgramUser, is_who_called_sudo_else_nobody) {
  if (::geteuid() != 0) {
    EXPECT_FALSE(program_user());
    GTEST_SKIP() << "not root";
  }
  const auto asked = [](const char* uid) {
    uid == nullptr ? ::unsetenv("SUDO_UID") : ::setenv("SUDO_UID", uid, 1);
    const auto user = program_user();
    ::unsetenv("SUDO_UID");
    return user ? user->uid : 0;
  };
  EXPECT_EQ(asked("1"), 1U) << "daemon";
  for (const char* nobodys : {static_cast<const char*>(nullptr), "0", "-1", "1x", "", "4000000000"})
    EXPECT_EQ(asked(nobodys), 65534U) << (nobodys == nullptr ? "no SUDO_UID" : nobodys);
}

}  // namespace
}  // namespace tcpwhy::lab
