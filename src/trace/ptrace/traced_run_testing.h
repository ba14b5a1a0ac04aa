// For tests: a command traced from its beginning to its end.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "recording/recording.h"
#include "trace/ptrace/ptrace_tracer.h"

namespace tcpwhy::trace::testing {

inline std::string program(const std::string& name) {
  return std::string(TCPWHY_TEST_PROGRAMS) + "/" + name + "_program";
}

// Drains until `done`, or the deadline, which fails the test.
template <class Done>
void drain_until(Tracer& tracer, recording::Recording& recording, Done&& done, int deadline_ms = 60'000) {
  while (!done()) {
    pollfd waiting{tracer.fd(), POLLIN, 0};
    if (::poll(&waiting, 1, deadline_ms) == 0) {
      ADD_FAILURE() << "nothing happened for " << deadline_ms << " ms";
      return;
    }
    ASSERT_TRUE(tracer.drain(recording).has_value());
  }
  ASSERT_TRUE(tracer.drain(recording).has_value());
}

struct TracedRun {
  recording::Recording recording;
  int status = -1;
};

inline TracedRun trace_command(std::vector<std::string> command, const PtraceOptions& options = {},
                               int deadline_ms = 60'000) {
  TracedRun run;
  auto tracer = open_ptrace(Target{std::move(command), {}}, options);
  if (!tracer) {
    ADD_FAILURE() << tracer.error().message.en;
    return run;
  }
  drain_until(**tracer, run.recording, [&] { return (*tracer)->finished(); }, deadline_ms);
  run.status = (*tracer)->command_status().value_or(-1);
  recording::sort_by_time(run.recording);
  return run;
}

// The calls, each in a line once it has returned (or at the end, unfinished), in the order of their entries. pid 0: all.
inline std::vector<std::string> lines_of(const recording::Recording& recording, std::int32_t pid = 0) {
  std::vector<std::pair<const recording::CallEntered*, const recording::CallReturned*>> calls;
  for (const auto& event : recording.events) {
    if (const auto* entered = std::get_if<recording::CallEntered>(&event.what))
      if (pid == 0 || recording.actors[event.actor.value].pid == pid) calls.emplace_back(entered, nullptr);
    if (const auto* returned = std::get_if<recording::CallReturned>(&event.what))
      for (auto& [entered, back] : calls)
        if (entered->call == returned->call) back = returned;
  }
  std::vector<std::string> lines;
  for (const auto& [entered, returned] : calls) lines.push_back(recording::call_line(*entered, returned));
  return lines;
}

template <class T>
std::vector<T> all_of(const recording::Recording& recording) {
  std::vector<T> found;
  for (const auto& event : recording.events)
    if (const auto* what = std::get_if<T>(&event.what)) found.push_back(*what);
  return found;
}

}  // namespace tcpwhy::trace::testing
