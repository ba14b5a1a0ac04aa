// Programs with a recorder inside from their first call on: they do what they do alone, and each of their calls is
// told, once.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "trace/ptrace/inside/area.h"
#include "trace/ptrace/traced_run_testing.h"

namespace tcpwhy::trace {
namespace {

using recording::CallEntered;
using recording::CallReturned;
using testing::all_of;
using testing::program;
using testing::trace_command;
using testing::TracedRun;

constexpr PtraceOptions inside_at_once{.stops_before_inside = 0};

TracedRun run(const std::string& mode, int count = 0, const PtraceOptions& options = inside_at_once) {
  auto made = trace_command({program("inside"), mode, std::to_string(count)}, options);
  EXPECT_TRUE(WIFEXITED(made.status)) << mode << ": killed by signal " << WTERMSIG(made.status);
  EXPECT_EQ(WEXITSTATUS(made.status), 0) << mode;
  EXPECT_TRUE(all_of<recording::Loss>(made.recording).empty());
  return made;
}

// How often each was entered, and came back, told or counted; each number is used once.
std::map<std::string, std::pair<int, int>> count_calls(const recording::Recording& recording) {
  std::map<std::string, std::pair<int, int>> counts;
  std::map<std::uint32_t, std::string> names;
  std::map<std::uint32_t, base::WallTime> entered_at;
  std::map<std::uint32_t, int> before;  // like it, and not told each
  for (const auto& event : recording.events) {
    if (const auto* entered = std::get_if<CallEntered>(&event.what)) {
      EXPECT_TRUE(names.emplace(entered->call, entered->name).second) << "call " << entered->call << " twice";
      entered_at[entered->call] = event.at;
      counts[entered->name].first += 1 + before[entered->call];
    }
    if (const auto* returned = std::get_if<CallReturned>(&event.what)) {
      EXPECT_TRUE(names.contains(returned->call));
      EXPECT_LE(entered_at[returned->call], event.at);
      counts[names[returned->call]].second += 1 + before[returned->call];
    }
    if (const auto* repeated = std::get_if<recording::CallsRepeated>(&event.what))
      before[repeated->call.value()] = static_cast<int>(repeated->count);
  }
  return counts;
}

const CallEntered* nth(const recording::Recording& recording, std::string_view name, int n) {
  for (const auto& event : recording.events)
    if (const auto* entered = std::get_if<CallEntered>(&event.what); entered != nullptr && entered->name == name)
      if (n-- == 0) return entered;
  return nullptr;
}

TEST(InsideTest, every_call_is_told_once) {
  const auto made = run("many", 20'000);
  auto counts = count_calls(made.recording);
  EXPECT_EQ(counts["sendto"], std::pair(20'000, 20'000));
  EXPECT_EQ(counts["recvfrom"], std::pair(20'000, 20'000));
  EXPECT_EQ(counts["accept"], std::pair(1, 1));
  const CallEntered* send = nth(made.recording, "sendto", 19'999);
  ASSERT_NE(send, nullptr);
  EXPECT_THAT(send->arguments, ::testing::HasSubstr("\"word 19999\", 10"));
  EXPECT_EQ(send->byte_count, 10U);
  ASSERT_TRUE(send->local && send->remote && send->socket != 0);
  const CallEntered* recv = nth(made.recording, "recvfrom", 19'999);
  ASSERT_NE(recv, nullptr);
  EXPECT_EQ(recv->local, send->remote);
  EXPECT_EQ(recv->remote, send->local);
}

TEST(InsideTest, calls_that_change_nothing_are_counted_and_not_told_each) {
  constexpr int times = 200'000;
  const auto made = run("spins", times);
  std::uint64_t counted = 0;
  for (const auto& repeated : all_of<recording::CallsRepeated>(made.recording)) counted += repeated.count;
  auto counts = count_calls(made.recording);
  EXPECT_EQ(counts["recvfrom"], std::pair(times, times));
  EXPECT_GT(counted, times / 2U);  // how many: as often as the program is not let run
  EXPECT_EQ(counts["shutdown"], std::pair(1, 1));
}

// As it is for everybody: the first calls stop, the others don't.
TEST(InsideTest, the_change_to_it_loses_no_call) {
  const auto made = run("many", 1'000, {});
  auto counts = count_calls(made.recording);
  EXPECT_EQ(counts["sendto"], std::pair(1'000, 1'000));
  EXPECT_EQ(counts["recvfrom"], std::pair(1'000, 1'000));
}

TEST(InsideTest, code_is_changed_under_threads_that_run_there) {
  for (int round = 0; round < 5; ++round) {
    const auto made = run("threads", 500);
    auto counts = count_calls(made.recording);
    EXPECT_EQ(counts["sendto"], std::pair(2'504, 2'504));
    EXPECT_EQ(counts["recvfrom"], std::pair(2'504, 2'504));
  }
}

TEST(InsideTest, a_child_has_its_own_descriptors) {
  const auto made = run("forks", 300);
  auto counts = count_calls(made.recording);
  EXPECT_EQ(counts["sendto"], std::pair(1'200, 1'200));
  EXPECT_EQ(counts["recvfrom"], std::pair(1'200, 1'200));
  EXPECT_EQ(counts["read"], std::pair(0, 0)) << "of a file that has a connection's number";
}

TEST(InsideTest, memory_that_cannot_be_read_harms_nobody) {
  const auto made = run("bad-pointer");
  int told = 0;
  for (const std::string& line : testing::lines_of(made.recording))
    told += line.starts_with("sendto(") && line.ends_with(", 0x1000, 100, 0, NULL, 0) = -1 EPIPE (Broken pipe)");
  EXPECT_EQ(told, 3);
  for (const auto& signal : all_of<recording::Signal>(made.recording)) EXPECT_EQ(signal.name, "SIGPIPE");
}

TEST(InsideTest, a_filter_of_the_programs_own_is_respected) {
  const auto made = run("own-filter", 200);
  EXPECT_EQ(count_calls(made.recording)["sendto"], std::pair(400, 400));
}

// Signals find a thread behind its own call, whoever makes it for it: the same calls come back in the same way.
void expect_same_as_with_stops(const std::string& mode, int count) {
  const auto stops = run(mode, count, {.inside = false}), inside = run(mode, count);
  EXPECT_EQ(count_calls(inside.recording), count_calls(stops.recording));
  const auto name = [](const recording::Signal& signal) { return signal.name + (signal.call ? " in a call" : ""); };
  std::vector<std::string> expected, actual;
  for (const auto& signal : all_of<recording::Signal>(stops.recording)) expected.push_back(name(signal));
  for (const auto& signal : all_of<recording::Signal>(inside.recording)) actual.push_back(name(signal));
  EXPECT_EQ(actual, expected);
}

TEST(InsideTest, a_thread_can_be_cancelled_in_a_call) { expect_same_as_with_stops("cancelled", 0); }
TEST(InsideTest, a_handler_may_leave_a_call_by_a_jump) { expect_same_as_with_stops("jumps-out", 0); }
// How many of five signals find it waiting is chance.
TEST(InsideTest, a_handler_makes_calls_while_another_waits) {
  for (const bool inside : {false, true}) {
    const auto made = run("handler", 5, {.inside = inside, .stops_before_inside = 0});
    auto counts = count_calls(made.recording);
    EXPECT_EQ(counts["recvfrom"].first, counts["recvfrom"].second);
    EXPECT_GE(counts["recvfrom"].first, 10);
    EXPECT_LE(counts["recvfrom"].first, 15);
    EXPECT_EQ(counts["sendto"], std::pair(15, 15));
  }
}

TEST(InsideTest, little_stack_is_enough) {
  EXPECT_EQ(count_calls(run("small-stack", 500).recording)["ppoll"], std::pair(500, 500));
  for (const std::string mode : {"coroutine", "signal-stack"}) {
    auto counts = count_calls(run(mode, 200).recording);
    EXPECT_EQ(counts["ppoll"], std::pair(200, 200)) << mode;
    EXPECT_EQ(counts["sendmsg"], std::pair(200, 200)) << mode;
  }
}

// Of a process's first thread no end is told as long as other threads are there, which wait for the tracer.
TEST(InsideTest, a_process_may_be_killed_while_it_is_given_its_recorder) {
  for (int us = 0; us < 1000; us += 20) {
    const auto made = trace_command({program("inside"), "ends-meanwhile", std::to_string(us)}, inside_at_once, 10'000);
    ASSERT_TRUE(WIFSIGNALED(made.status) && WTERMSIG(made.status) == SIGKILL) << us << " us: " << made.status;
  }
}

TEST(InsideTest, what_a_program_leaves_in_shared_memory_harms_nobody_else) {
  for (int seed = 1; seed <= 20; ++seed) {
    const auto made = trace_command({program("inside"), "hostile", std::to_string(seed)}, inside_at_once);
    ASSERT_TRUE(WIFEXITED(made.status)) << "seed " << seed << ": killed by signal " << WTERMSIG(made.status);
    EXPECT_EQ(WEXITSTATUS(made.status), 0) << "seed " << seed;
    EXPECT_FALSE(all_of<recording::Loss>(made.recording).empty()) << "seed " << seed;
  }
}

TEST(InsideTest, a_program_may_have_other_memory_there) {
  EXPECT_EQ(count_calls(run("maps-over").recording)["sendto"], std::pair(400, 400));
  EXPECT_EQ(count_calls(run("maps-over-threads").recording)["sendto"], std::pair(401, 401));
}

// Numbers of threads are others there than those that the tracer knows.
TEST(InsideTest, in_a_pid_namespace_each_call_stops) {
  // In a user namespace of its own it couldn't have a recorder anyhow.
  const std::string flags = ::geteuid() == 0 ? "-pf" : "-rpf";
  if (std::system(("unshare " + flags + " true 2>/dev/null").c_str()) != 0)
    GTEST_SKIP() << "no PID namespace is to be had: unshare " << flags;
  const auto run_there = [&flags](const std::string& mode, const std::string& count) {
    const auto made = trace_command({"unshare", flags, program("inside"), mode, count}, inside_at_once);
    EXPECT_TRUE(WIFEXITED(made.status) && WEXITSTATUS(made.status) == 0) << mode << ": " << made.status;
    EXPECT_TRUE(all_of<recording::Loss>(made.recording).empty()) << mode;
    return count_calls(made.recording);
  };
  EXPECT_EQ(run_there("many", "500")["sendto"], std::pair(500, 500));
  EXPECT_EQ(run_there("cancelled", "0")["recvfrom"].first, 13) << "three are cancelled";
}
TEST(InsideTest, a_child_in_a_pid_namespace_leaves_the_recorder) {
  if (std::system("unshare -rpf true 2>/dev/null") != 0) GTEST_SKIP() << "no PID namespace is to be had: unshare -rpf";
  EXPECT_EQ(count_calls(run("forks-into-namespace", 100).recording)["sendto"], std::pair(500, 500));
}

}  // namespace
}  // namespace tcpwhy::trace
