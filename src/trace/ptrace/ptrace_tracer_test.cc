// Real programs, traced: what each does must be told, and must happen as if nobody had watched.
#include "trace/ptrace/ptrace_tracer.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include "base/unique_fd.h"
#include "trace/ptrace/process_status.h"
#include "trace/ptrace/traced_run_testing.h"

namespace tcpwhy::trace {
namespace {

using namespace std::chrono_literals;
using recording::CallEntered;
using recording::CallReturned;
using recording::ProcessEnded;
using recording::ProcessStarted;
using recording::Signal;
using recording::SignalFate;
using testing::all_of;
using ::testing::AllOf;
using ::testing::Contains;
using testing::drain_until;
using ::testing::HasSubstr;
using testing::lines_of;
using testing::program;
using ::testing::StartsWith;
using testing::trace_command;

// How calls are seen: each stops, those that the filter names stop, or they are recorded inside the process from its
// first one on.
enum class Way : std::uint8_t { every_call, filter, inside };
PtraceOptions options_of(Way way) {
  return {.filter = way != Way::every_call, .inside = way == Way::inside, .stops_before_inside = 0};
}

class EachWay : public ::testing::TestWithParam<Way> {
 protected:
  PtraceOptions options() const { return options_of(GetParam()); }
};
std::string name_of(Way way) {
  switch (way) {
    case Way::every_call: return "every_call";
    case Way::filter: return "filter";
    case Way::inside: break;
  }
  return "inside";
}
INSTANTIATE_TEST_SUITE_P(Ptrace, EachWay, ::testing::Values(Way::every_call, Way::filter, Way::inside),
                         [](const auto& parameter) { return name_of(parameter.param); });

const CallEntered* find_call(const recording::Recording& recording, std::string_view name, std::string_view part = {}) {
  for (const auto& event : recording.events)
    if (const auto* entered = std::get_if<CallEntered>(&event.what))
      if (entered->name == name && entered->arguments.find(part) != std::string::npos) return entered;
  return nullptr;
}

TEST_P(EachWay, status_passes_through) {
  const auto run = trace_command({program("tracee"), "exit", "42"}, options());
  ASSERT_TRUE(WIFEXITED(run.status));
  EXPECT_EQ(WEXITSTATUS(run.status), 42);
  const auto started = all_of<ProcessStarted>(run.recording);
  ASSERT_EQ(started.size(), 1U);
  EXPECT_THAT(started[0].command, HasSubstr("tracee_program exit 42"));
  const auto ended = all_of<ProcessEnded>(run.recording);
  ASSERT_EQ(ended.size(), 1U);
  EXPECT_EQ(ended[0].exit_status, 42);
  const CallEntered* exit = find_call(run.recording, "exit_group");
  ASSERT_NE(exit, nullptr);
  EXPECT_EQ(ended[0].call, exit->call) << "nobody comes back from exit_group()";
}

TEST_P(EachWay, calls_have_their_socket_and_addresses) {
  const auto run = trace_command({program("tracee"), "hangs-up"}, options());
  EXPECT_EQ(run.status, 0);
  const CallEntered* close = nullptr;
  for (const auto& event : run.recording.events)
    if (const auto* entered = std::get_if<CallEntered>(&event.what))
      if (entered->name == "close" && entered->stack.find("hang_up") != std::string::npos) close = entered;
  ASSERT_NE(close, nullptr) << "no close() in hang_up()";
  EXPECT_NE(close->socket, 0U);
  ASSERT_TRUE(close->local && close->remote);
  const CallEntered* connect = find_call(run.recording, "connect");
  ASSERT_NE(connect, nullptr);
  EXPECT_EQ(connect->socket, close->socket);
  EXPECT_EQ(connect->fd, close->fd);
  EXPECT_EQ(connect->remote, close->remote) << "as its argument says: the socket does not know it yet";
  std::ifstream source(std::string(TCPWHY_SOURCE_DIR) + "/src/trace/ptrace/testing/tracee_program.cc");
  std::string line;
  int number = 1;
  while (std::getline(source, line) && !line.ends_with("// mark:hang_up")) ++number;
  EXPECT_THAT(close->stack,
              HasSubstr("hang_up tracee_program.cc:" + std::to_string(number) + " < main tracee_program.cc:"));
}

TEST_P(EachWay, a_thousand_forks) {
  const auto run = trace_command({program("tracee"), "forks", "1000"}, options());
  EXPECT_EQ(run.status, 0);
  const auto started = all_of<ProcessStarted>(run.recording);
  EXPECT_EQ(started.size(), 1001U);
  EXPECT_EQ(std::ranges::count_if(started, [](const auto& start) { return start.parent.has_value(); }), 1000);
  EXPECT_EQ(all_of<ProcessEnded>(run.recording).size(), 1001U);
  // Each child's close() is of the one socket that they share.
  std::set<std::uint64_t> sockets;
  std::size_t closes = 0;
  const std::int32_t parent = run.recording.actors.at(0).pid;
  for (const auto& event : run.recording.events)
    if (const auto* entered = std::get_if<CallEntered>(&event.what);
        entered != nullptr && entered->name == "close" && run.recording.actors[event.actor.value].pid != parent) {
      ++closes;
      sockets.insert(entered->socket);
    }
  EXPECT_EQ(closes, 1000U);
  EXPECT_EQ(sockets.size(), 1U);
  EXPECT_EQ(all_of<recording::Loss>(run.recording).size(), 0U);
}

// The first stop of a child, its end, and its parent's word of it come in any order.
TEST_P(EachWay, forks_in_parallel) {
  const auto run = trace_command({program("tracee"), "forks-in-parallel", "10"}, options(), 20'000);
  EXPECT_EQ(run.status, 0);
  constexpr std::size_t children = 10U * 8 * 5, execute = 10U * 8 * 2;
  EXPECT_EQ(all_of<ProcessStarted>(run.recording).size(), 1 + children + execute);
  EXPECT_EQ(all_of<ProcessEnded>(run.recording).size(), 1 + children);
  EXPECT_TRUE(all_of<recording::Loss>(run.recording).empty());
}

// Without a tracer the filter would fail its calls.
TEST_P(EachWay, a_child_that_wants_no_tracer_is_traced_and_not_disturbed) {
  for (const std::string call : {"clone", "clone3"}) {
    const auto run = trace_command({program("tracee"), "untraced", call}, options());
    EXPECT_EQ(run.status, 0) << call;
    const auto ended = all_of<ProcessEnded>(run.recording);
    EXPECT_EQ(ended.size(), 2U) << call;
    EXPECT_THAT(lines_of(run.recording), Contains(HasSubstr("\"mine\", 4, 0, NULL, 0) = 4"))) << call;
    EXPECT_THAT(lines_of(run.recording), Contains(AllOf(StartsWith(call + "("), HasSubstr("CLONE_UNTRACED")))) << call;
  }
}

// What is asked of a process is asked of a thread that lives.
TEST_P(EachWay, a_first_thread_that_has_ended_hides_nothing) {
  const auto run = trace_command({program("tracee"), "connects-without-first-thread", "60"}, options());
  EXPECT_EQ(run.status, 0);
  std::size_t connects = 0;
  for (const auto& event : run.recording.events)
    if (const auto* entered = std::get_if<CallEntered>(&event.what); entered != nullptr && entered->name == "connect")
      connects += entered->socket != 0 && entered->remote ? 1 : 0;
  EXPECT_EQ(connects, 60U);
  EXPECT_TRUE(all_of<recording::Loss>(run.recording).empty());
  EXPECT_EQ(all_of<ProcessEnded>(run.recording).size(), 1U);
}

TEST_P(EachWay, a_thread_that_executes_takes_the_process_with_it) {
  const auto run = trace_command({program("tracee"), "thread-executes"}, options());
  ASSERT_TRUE(WIFEXITED(run.status));
  EXPECT_EQ(WEXITSTATUS(run.status), 7);
  const auto ended = all_of<ProcessEnded>(run.recording);
  ASSERT_EQ(ended.size(), 1U);
  EXPECT_EQ(ended[0].exit_status, 7);
  const auto started = all_of<ProcessStarted>(run.recording);
  ASSERT_EQ(started.size(), 2U);
  EXPECT_THAT(started[1].command, HasSubstr("exit 7"));
}

struct PipeCase {
  const char* disposition;
  SignalFate fate;
  Way way;
};
class SigpipeTest : public ::testing::TestWithParam<PipeCase> {};
INSTANTIATE_TEST_SUITE_P(Ptrace, SigpipeTest,
                         ::testing::Values(PipeCase{"default", SignalFate::delivered, Way::filter},
                                           PipeCase{"ignore", SignalFate::ignored, Way::filter},
                                           PipeCase{"handle", SignalFate::handled, Way::filter},
                                           PipeCase{"default", SignalFate::delivered, Way::inside},
                                           PipeCase{"ignore", SignalFate::ignored, Way::inside},
                                           PipeCase{"handle", SignalFate::handled, Way::inside}),
                         [](const auto& parameter) {
                           return std::string(parameter.param.disposition) + "_" + name_of(parameter.param.way);
                         });

TEST_P(SigpipeTest, has_its_fate_and_its_call) {
  const auto run = trace_command({program("tracee"), "sigpipe", GetParam().disposition}, options_of(GetParam().way));
  const auto signals = all_of<Signal>(run.recording);
  ASSERT_EQ(signals.size(), 1U);
  EXPECT_EQ(signals[0].name, "SIGPIPE");
  EXPECT_EQ(signals[0].fate, GetParam().fate);
  const CallEntered* write = find_call(run.recording, "sendto", "\"y\"");
  ASSERT_NE(write, nullptr);
  EXPECT_EQ(signals[0].call, write->call);
  EXPECT_THAT(
      lines_of(run.recording),
      Contains(::testing::ContainsRegex("sendto\\([0-9]+, \"y\", 1, 0, NULL, 0\\) = -1 EPIPE \\(Broken pipe\\)")));
  if (GetParam().fate == SignalFate::delivered) {
    ASSERT_TRUE(WIFSIGNALED(run.status));
    EXPECT_EQ(WTERMSIG(run.status), SIGPIPE);
    EXPECT_EQ(all_of<ProcessEnded>(run.recording).at(0).signal, "SIGPIPE");
  } else {
    ASSERT_TRUE(WIFEXITED(run.status));
    EXPECT_EQ(WEXITSTATUS(run.status), 5);
  }
}

TEST_P(EachWay, killed_inside_a_call) {
  auto tracer = open_ptrace(Target{{program("tracee"), "blocks"}, {}}, options());
  ASSERT_TRUE(tracer.has_value()) << tracer.error().message.en;
  recording::Recording recording;
  drain_until(**tracer, recording, [&] { return find_call(recording, "connect") != nullptr; });
  ::usleep(300'000);  // it waits by now; what is recorded inside is told with the end
  ASSERT_EQ(::kill(recording.actors.at(0).pid, SIGKILL), 0);
  drain_until(**tracer, recording, [&] { return (*tracer)->finished(); });
  const CallEntered* recv = find_call(recording, "recvfrom");
  ASSERT_NE(recv, nullptr);
  const std::uint32_t call = recv->call;
  const auto ended = all_of<ProcessEnded>(recording);
  ASSERT_EQ(ended.size(), 1U);
  EXPECT_EQ(ended[0].signal, "SIGKILL");
  EXPECT_EQ(ended[0].call, call);
  EXPECT_TRUE(WIFSIGNALED((*tracer)->command_status().value_or(0)));
}

TEST_P(EachWay, a_signal_that_interrupts_a_call_is_told_with_it) {
  const auto run = trace_command({program("tracee"), "interrupted"}, options());
  ASSERT_TRUE(WIFEXITED(run.status));
  EXPECT_EQ(WEXITSTATUS(run.status), 6);
  const auto signals = all_of<Signal>(run.recording);
  ASSERT_EQ(signals.size(), 1U);
  EXPECT_EQ(signals[0].name, "SIGALRM");
  EXPECT_EQ(signals[0].fate, SignalFate::handled);
  const CallEntered* recv = find_call(run.recording, "recvfrom");
  ASSERT_NE(recv, nullptr);
  EXPECT_EQ(signals[0].call, recv->call);
}

TEST_P(EachWay, job_control_stops_and_continues_it) {
  const auto run = trace_command({program("tracee"), "stops"}, options());
  ASSERT_TRUE(WIFEXITED(run.status));
  EXPECT_EQ(WEXITSTATUS(run.status), 8) << "the parent must see its child stop, then go on";
  EXPECT_NE(find_call(run.recording, "sendto", "again"), nullptr);
}

// A pipe whose writing end a program inherits, to tell its port.
class EchoTest : public ::testing::Test {
 protected:
  void SetUp() override {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    reading_.reset(ends[0]);
    writing_.reset(ends[1]);
  }
  std::vector<std::string> command() const { return {program("tracee"), "echoes", std::to_string(writing_.get())}; }
  void hear_port() {
    std::uint16_t port = 0;
    ASSERT_EQ(::read(reading_.get(), &port, sizeof port), 2);
    address_.sin_family = AF_INET;
    address_.sin_port = htons(port);
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  }
  // What comes back.
  std::string say(const std::string& words) const {
    const base::UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    std::string room(64, '\0');
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address_), sizeof address_) != 0) return "no connection";
    if (::send(fd.get(), words.data(), words.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(words.size()))
      return "not sent";
    const ssize_t count = ::recv(fd.get(), room.data(), room.size(), 0);
    room.resize(count < 0 ? 0 : static_cast<std::size_t>(count));
    return room;
  }

  base::UniqueFd reading_, writing_;
  sockaddr_in address_{};
};

TEST_F(EchoTest, a_running_process_is_attached_to_and_let_go) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    const auto words = command();
    ::execl(words[0].c_str(), words[0].c_str(), words[1].c_str(), words[2].c_str(), nullptr);
    ::_exit(127);
  }
  hear_port();
  EXPECT_EQ(say("before"), "before");
  recording::Recording recording;
  {
    auto tracer = open_ptrace(Target{{}, {pid}});
    ASSERT_TRUE(tracer.has_value()) << tracer.error().message.en;
    EXPECT_EQ(say("hello"), "hello");
    drain_until(**tracer, recording, [&] { return find_call(recording, "write", "hello") != nullptr; });
    ASSERT_TRUE((*tracer)->stop(recording).has_value());
    EXPECT_EQ(say("after"), "after");
    ASSERT_TRUE((*tracer)->drain(recording).has_value());
  }
  const CallEntered* write = find_call(recording, "write", "hello");
  ASSERT_NE(write, nullptr);
  EXPECT_TRUE(write->local && write->remote && write->socket != 0);
  EXPECT_THAT(lines_of(recording), Contains(HasSubstr("read(")));
  EXPECT_EQ(find_call(recording, "write", "before"), nullptr);
  EXPECT_EQ(find_call(recording, "write", "after"), nullptr);
  EXPECT_EQ(say("quit"), "quit");
  int status = 0;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid) << "it is still our child";
  EXPECT_EQ(WEXITSTATUS(status), 9);
}

// A running program of this test's own; it is killed with it.
class Running {
 public:
  explicit Running(const std::vector<std::string>& words) : pid_(::fork()) {
    if (pid_ != 0) return;
    std::vector<char*> arguments;
    for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    ::execv(arguments[0], arguments.data());
    ::_exit(127);
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  ~Running() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] bool is_watched() const { return pid_field(pid_, "TracerPid") != 0; }

 private:
  pid_t pid_;
};

TEST_F(EchoTest, a_process_without_its_first_thread_is_attached_to_and_let_go) {
  const Running running({program("tracee"), "echoes-without-first-thread", std::to_string(writing_.get())});
  hear_port();
  EXPECT_EQ(say("before"), "before");
  recording::Recording recording;
  auto tracer = open_ptrace(Target{{}, {running.pid()}});
  ASSERT_TRUE(tracer.has_value()) << tracer.error().message.en;
  EXPECT_EQ(say("hello"), "hello");
  drain_until(**tracer, recording, [&] { return find_call(recording, "write", "hello") != nullptr; });
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_TRUE((*tracer)->stop(recording).has_value());
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 1s);
  const CallEntered* write = find_call(recording, "write", "hello");
  ASSERT_NE(write, nullptr);
  EXPECT_TRUE(write->local && write->remote && write->socket != 0);
  EXPECT_EQ(say("after"), "after");
}

// Who waits for the child that has its memory can't be stopped; it is let go of when it goes on.
TEST_F(EchoTest, who_waits_for_its_vfork_is_let_go) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  base::UniqueFd ours(ends[0]), theirs(::dup(ends[1]));
  ::close(ends[1]);
  const Running running({program("tracee"), "waits-for-its-vfork", std::to_string(theirs.get())});
  theirs.reset();
  char byte = 0;
  ASSERT_EQ(::read(ours.get(), &byte, 1), 1);
  {
    auto tracer = open_ptrace(Target{{}, {running.pid()}});
    ASSERT_TRUE(tracer.has_value()) << tracer.error().message.en;
    recording::Recording recording;
    const auto begin = std::chrono::steady_clock::now();
    ASSERT_TRUE((*tracer)->stop(recording).has_value());
    tracer->reset();
    EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s) << "the patience of letting go, and then some";
  }
  EXPECT_FALSE(running.is_watched());
  ours.reset();
  int status = 0;
  ASSERT_EQ(::waitpid(running.pid(), &status, 0), running.pid());
  EXPECT_EQ(status, 0);
}

// Threads begin and end meanwhile, and one executes another program, for which all others have to go.
TEST(PtraceTracerTest, whatever_a_process_is_doing_it_is_let_go) {
  const Running running({program("tracee"), "restless"});
  for (int round = 0; round < 60; ++round) {
    auto tracer = open_ptrace(Target{{}, {running.pid()}});
    ASSERT_TRUE(tracer.has_value()) << tracer.error().message.en;
    ::usleep(static_cast<useconds_t>(round * 97 % 4000));
    recording::Recording recording;
    const auto begin = std::chrono::steady_clock::now();
    ASSERT_TRUE((*tracer)->stop(recording).has_value());
    tracer->reset();
    ASSERT_LT(std::chrono::steady_clock::now() - begin, 1500ms) << "round " << round;
    ASSERT_FALSE(running.is_watched()) << "round " << round;
  }
}

// Killed while it forks: its children, of which nobody has heard, end too.
TEST(PtraceTracerTest, nobody_is_born_too_late_to_end) {
  for (int round = 0; round < 40; ++round) {
    auto tracer = open_ptrace(Target{{program("tracee"), "forks-for-ever"}, {}});
    ASSERT_TRUE(tracer.has_value()) << tracer.error().message.en;
    ::usleep(static_cast<useconds_t>(1000 + round * 997 % 20'000));
    const auto begin = std::chrono::steady_clock::now();
    tracer->reset();
    ASSERT_LT(std::chrono::steady_clock::now() - begin, 1500ms) << "round " << round;
  }
}

class EchoEachWayTest : public EchoTest, public ::testing::WithParamInterface<Way> {};
INSTANTIATE_TEST_SUITE_P(Ptrace, EchoEachWayTest, ::testing::Values(Way::filter, Way::inside),
                         [](const auto& parameter) { return name_of(parameter.param); });

TEST_P(EchoEachWayTest, a_filtered_command_goes_on_after_stop) {
  auto tracer = open_ptrace(Target{command(), {}}, options_of(GetParam()));
  ASSERT_TRUE(tracer.has_value()) << tracer.error().message.en;
  hear_port();
  EXPECT_EQ(say("hello"), "hello");
  recording::Recording recording;
  ASSERT_TRUE((*tracer)->stop(recording).has_value());
  const std::size_t known = recording.events.size();
  EXPECT_NE(find_call(recording, "write", "hello"), nullptr);
  EXPECT_EQ(say("after"), "after") << "its calls must not fail with ENOSYS";
  EXPECT_EQ(say("quit"), "quit");
  drain_until(**tracer, recording, [&] { return (*tracer)->finished(); });
  EXPECT_EQ(WEXITSTATUS((*tracer)->command_status().value_or(0)), 9);
  EXPECT_EQ(recording.events.size(), known) << "nothing is recorded after stop()";
}

TEST_F(EchoTest, what_still_lives_ends_with_the_tracer) {
  pid_t pid = 0;
  {
    auto tracer = open_ptrace(Target{command(), {}});
    ASSERT_TRUE(tracer.has_value()) << tracer.error().message.en;
    recording::Recording recording;
    drain_until(**tracer, recording, [&] { return !recording.actors.empty(); });
    pid = recording.actors.at(0).pid;
  }
  EXPECT_FALSE(std::filesystem::exists("/proc/" + std::to_string(pid))) << "neither alive nor a zombie";
}

TEST_F(EchoTest, other_children_are_left_to_those_who_made_them) {
  const pid_t other = ::fork();
  if (other == 0) ::_exit(11);
  const auto run = trace_command({program("tracee"), "forks", "10"});
  EXPECT_EQ(run.status, 0);
  int status = 0;
  ASSERT_EQ(::waitpid(other, &status, 0), other);
  EXPECT_EQ(WEXITSTATUS(status), 11);
}

std::uint64_t count_without_a_drain(const PtraceOptions& options, std::uint64_t& lost) {
  auto tracer = open_ptrace(Target{{program("every_call")}, {}}, options);
  EXPECT_TRUE(tracer.has_value());
  while (!(*tracer)->finished()) ::sched_yield();
  recording::Recording recording;
  EXPECT_TRUE((*tracer)->drain(recording).has_value());
  lost = 0;
  for (const auto& loss : all_of<recording::Loss>(recording)) lost += loss.count;
  return recording.events.size() - all_of<recording::Loss>(recording).size();
}

TEST(PtraceTracerTest, what_does_not_fit_is_counted) {
  for (const bool inside : {false, true}) {
    std::uint64_t lost = 0;
    const std::uint64_t all = count_without_a_drain({.inside = inside, .stops_before_inside = 0}, lost);
    EXPECT_EQ(lost, 0U);
    const std::uint64_t kept =
        count_without_a_drain({.inside = inside, .stops_before_inside = 0, .most_pending = 10}, lost);
    EXPECT_LE(kept, inside ? 170U : 10U);
    EXPECT_GT(lost, inside ? 50U : 100U);
    EXPECT_EQ(kept + lost, all);
  }
}

TEST(PtraceTracerTest, what_cannot_be_traced_is_said) {
  const auto missing = open_ptrace(Target{{"/no/such/program"}, {}});
  ASSERT_FALSE(missing.has_value());
  EXPECT_THAT(missing.error().message.en, HasSubstr("/no/such/program"));
  const auto folder = open_ptrace(Target{{"/tmp"}, {}});
  ASSERT_FALSE(folder.has_value());
  EXPECT_THAT(folder.error().message.en, HasSubstr("Permission denied"));
  const auto nobody = open_ptrace(Target{{}, {0x7fff'fff0}});
  ASSERT_FALSE(nobody.has_value());
  EXPECT_THAT(nobody.error().message.en, StartsWith("no process"));
  EXPECT_FALSE(open_ptrace(Target{}).has_value());
  const auto self = open_ptrace(Target{{}, {::getpid()}});
  ASSERT_FALSE(self.has_value());
}

TEST(PtraceTracerTest, a_command_is_looked_up_in_path) {
  const auto run = trace_command({"true"});
  EXPECT_EQ(run.status, 0);
}

}  // namespace
}  // namespace tcpwhy::trace
