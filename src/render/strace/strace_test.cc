#include "render/strace/strace.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/testing/golden.h"
#include "capfile/strace/strace_log.h"
#include "recording/testing/story_recorder.h"

namespace tcpwhy::render {
namespace {

using recording::CallEntered;
using recording::CallReturned;
using recording::ProcessEnded;
using recording::Signal;
using recording::SignalFate;
using recording::testing::StoryRecorder;

constexpr std::uint16_t F = 0x01, R = 0x04, P = 0x08, A = 0x10;

// A client sends to a server that has closed, twice; SIGPIPE is handled first, then kills it.
recording::Recording client_writes_on() {
  StoryRecorder story;
  story.call("server", 0, 0, "socket", "AF_INET, SOCK_STREAM, IPPROTO_IP", {3});
  story.call("client", 0, 0, "socket", "AF_INET, SOCK_STREAM, IPPROTO_IP", {3});
  story.open();
  const auto receive = story.call("server", 400, 560, "recvfrom", "4, ..., 1024, 0, NULL, NULL", {8});
  story.call("client", 500, 600, "sendto", R"(3, "h\303\251llo\n\1", 8, 0, NULL, 0)", {8});
  story.segment(550, "client", P | A, 1, 1, 8);
  story.call("server", 1000, 1100, "close", "4");
  story.segment(1050, "server", F | A, 1, 9);
  const auto handled = story.call("client", 2000, 2010, "sendto", R"(3, "x", 1, 0, NULL, 0)", {-1, EPIPE});
  story.event(2005, "client", Signal{"SIGPIPE", SignalFate::generated, handled});
  story.event(2006, "client", Signal{"SIGPIPE", SignalFate::handled, handled});
  story.event(2500, "client", Signal{"SIGHUP", SignalFate::blocked, {}});
  story.sample(2600, 2700, "client", "ESTABLISHED", "CLOSE-WAIT");
  const auto deadly = story.call("client", 3000, -1, "sendto", R"(3, "y", 1, 0, NULL, 0)");
  story.segment(3001, "server", R, 2);
  story.event(3500, "client", Signal{"SIGPIPE", SignalFate::delivered, deadly});
  story.event(3500, "client", ProcessEnded{{}, "SIGPIPE", deadly});
  story.call("server", 3900, -1, "exit_group", "0");
  story.event(4000, "server", ProcessEnded{0, {}, {}});
  auto recording = story.take();
  for (auto& event : recording.events)
    if (auto* returned = std::get_if<CallReturned>(&event.what); returned != nullptr && returned->call == receive)
      returned->detail = R"("h\303\251llo\n\1")";
  return recording;
}

std::vector<std::string> lines_of(const recording::Recording& recording) {
  std::vector<std::string> lines;
  for (const auto& event : recording.events)
    if (std::holds_alternative<CallReturned>(event.what) || std::holds_alternative<Signal>(event.what) ||
        std::holds_alternative<ProcessEnded>(event.what))
      lines.push_back(recording::message(recording, event));
  return lines;
}

// What stands behind process and time.
std::string said(const recording::Recording& recording) {
  std::string out, log = strace_log(recording);
  for (std::size_t begin = 0, end = 0; (end = log.find('\n', begin)) != std::string::npos; begin = end + 1)
    out += log.substr(begin, end - begin).substr(24) + '\n';
  return out;
}

TEST(Golden, strace_view_of_a_client_that_writes_on) {
  base::testing::expect_golden("src/render/golden/client_writes_on.strace.txt", strace_log(client_writes_on()));
}

// The signals that strace is not told of are not in its log.
TEST(Strace, its_log_reads_as_the_same_calls_signals_and_ends) {
  const auto recording = client_writes_on();
  const auto log = capfile::parse_strace(strace_log(recording), "view");
  ASSERT_TRUE(log);
  EXPECT_EQ(log->not_understood, 0U);
  EXPECT_EQ(lines_of(log->calls),
            (std::vector<std::string>{
                "socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3", "socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3",
                "listen(3, 128) = 0",
                R"(connect(3, {sa_family=AF_INET, sin_port=htons(9999), sin_addr=inet_addr("127.0.0.1")}, 16) = 0)",
                "accept(3, NULL, NULL) = 4", R"(recvfrom(4, "h\303\251llo\n\1", 1024, 0, NULL, NULL) = 8)",
                R"(sendto(3, "h\303\251llo\n\1", 8, 0, NULL, 0) = 8)", "close(4) = 0",
                R"(sendto(3, "x", 1, 0, NULL, 0) = -1 EPIPE (Broken pipe))", "--- SIGPIPE ---", "--- SIGPIPE ---",
                "+++ killed by SIGPIPE +++", "+++ exited with 0 +++"}));
  // Which call a signal came out of, and which one an end cut short.
  const auto calls_in = [](const recording::Recording& of) {
    std::vector<std::string> names;
    for (const auto& event : of.events) {
      std::optional<std::uint32_t> call;
      if (const auto* ended = std::get_if<ProcessEnded>(&event.what)) call = ended->call;
      if (const auto* signal = std::get_if<Signal>(&event.what)) call = signal->call;
      for (const auto& other : of.events)
        if (const auto* entered = std::get_if<CallEntered>(&other.what))
          if (call == entered->call) names.push_back(entered->arguments);
    }
    return names;
  };
  EXPECT_EQ(calls_in(log->calls), (std::vector<std::string>{R"(3, "x", 1, 0, NULL, 0)", R"(3, "y", 1, 0, NULL, 0)"}));
}

// By BPF: the call has returned when the signal is delivered.
TEST(Strace, a_deadly_signal_stands_between_its_call_and_the_end) {
  StoryRecorder story;
  const auto send = story.call("client", 0, 10, "send", "3, \"x\", 1, 0", {-1, EPIPE});
  story.event(5, "client", Signal{"SIGPIPE", SignalFate::generated, send});
  story.event(15, "client", Signal{"SIGPIPE", SignalFate::delivered, {}});
  story.event(20, "client", ProcessEnded{{}, "SIGPIPE", {}});
  EXPECT_EQ(said(story.take()),
            "send(3, \"x\", 1, 0) = -1 EPIPE (Broken pipe) <0.000010>\n--- SIGPIPE ---\n+++ killed by SIGPIPE +++\n");
}

TEST(Strace, what_a_call_went_on_after_stands_inside_it) {
  StoryRecorder story;
  const auto receive = story.call("client", 0, 900, "recv", "3, \"x\", 1, 0", {1});
  story.event(5, "client", Signal{"SIGALRM", SignalFate::handled, receive});
  EXPECT_EQ(said(story.take()),
            "recv(3, \"x\", 1, 0 <unfinished ...>\n--- SIGALRM ---\n<... recv resumed>) = 1 <0.000900>\n");
}

TEST(Strace, sees_neither_operations_of_a_ring_nor_what_only_kills) {
  StoryRecorder story;
  story.call("client", 0, 10, "send", "3, \"x\", 1, 0", {1});
  story.last_call().through = "io_uring";
  story.event(15, "client", Signal{"SIGKILL", SignalFate::delivered, {}});
  story.event(20, "client", ProcessEnded{{}, "SIGKILL", {}});
  EXPECT_EQ(said(story.take()), "+++ killed by SIGKILL +++\n");
}

// The kernel makes the call again, or hands out EINTR.
TEST(Strace, errors_that_no_program_gets_have_a_question_mark) {
  StoryRecorder story;
  story.call("client", 0, 10, "recv", "3, ..., 1, 0", {-1, 512});
  EXPECT_EQ(said(story.take()),
            "recv(3, ..., 1, 0) = ? ERESTARTSYS (To be restarted if SA_RESTART is set) <0.000010>\n");
}

TEST(Strace, lets_no_escape_sequence_through_and_no_line_begin_inside_another) {
  StoryRecorder story;
  story.call("client", 0, 10, "send\n7 1.0 close(", "3, \"\x1b[5m\n\", 5, 0", {5});
  story.event(20, "client", Signal{"SIGPIPE\x1b\n", SignalFate::delivered, {}});
  story.event(30, "client", ProcessEnded{{}, "SIG\x1b\n", {}});
  const auto log = strace_log(story.take());
  EXPECT_EQ(log.find('\x1b'), std::string::npos) << log;
  EXPECT_EQ(std::ranges::count(log, '\n'), 3) << log;
}

}  // namespace
}  // namespace tcpwhy::render
