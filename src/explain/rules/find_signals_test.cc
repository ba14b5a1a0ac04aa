// SIGPIPE: which call it came out of, whom it killed, and what became of it.
#include <gtest/gtest.h>

#include <cerrno>

#include "explain/explained_story_testing.h"

namespace tcpwhy::explain {
namespace {

using recording::SignalFate;
using recording::testing::StoryRecorder;
using testing::client_sends_and_is_reset;
using testing::ExplainedStory;
using testing::server_closes;

// The client's sends from 10000 on fail with EPIPE. How a recorder tells of SIGPIPE: one that stands before the program names the call that it
// came out of; one in the kernel sees it raised inside the call and delivered behind its return.
enum class Recorder : std::uint8_t { before_the_program, in_the_kernel };
constexpr Recorder recorders[] = {Recorder::before_the_program, Recorder::in_the_kernel};

class BrokenStory : public StoryRecorder {
 public:
  BrokenStory() {
    open();
    server_closes(*this);
    client_sends_and_is_reset(*this, 9000, true);
  }
  std::uint32_t send(std::int64_t at, const char* arguments = "3, \"again\", 5, 0, NULL, 0") {
    return call("client", at, at + 10, "sendto", arguments, {-1, EPIPE});
  }
  std::uint32_t send(std::int64_t at, Recorder recorder, SignalFate fate) {
    const auto number = send(at);
    raised(at + 12, recorder, fate, number);
    return number;
  }
  void raised(std::int64_t at, Recorder recorder, SignalFate fate, std::optional<std::uint32_t> by) {
    if (recorder == Recorder::in_the_kernel) sigpipe(at - 5, SignalFate::generated, by);
    sigpipe(at, fate, recorder == Recorder::in_the_kernel ? std::nullopt : by);
  }
  void sigpipe(std::int64_t at, SignalFate fate, std::optional<std::uint32_t> call) {
    event(at, "client", recording::Signal{"SIGPIPE", fate, call});
  }
  void dies(std::int64_t at, std::optional<std::uint32_t> call = {}) {
    event(at, "client", recording::ProcessEnded{{}, "SIGPIPE", call});
  }
};

// Of the findings of a rule: when their calls were entered.
std::vector<std::int64_t> times_of(const ExplainedStory& told, std::string_view rule) {
  const auto start = base::wall_from_ns(1'700'000'000'000'000'000);
  std::vector<std::int64_t> times;
  for (const auto& finding : told.explained.findings)
    if (finding.rule->id == rule)
      times.push_back((told.explained.timeline.time_of(finding.evidence.front()) - start).count() / 1000);
  return times;
}

using Times = std::vector<std::int64_t>;

// A tracer sees what the call returned to a program that does not live to get it.
TEST(Sigpipe, kills_behind_the_calls_return) {
  for (const Recorder recorder : recorders)
    for (const bool dies : {true, false}) {
      BrokenStory story;
      story.send(10000, recorder, SignalFate::delivered);
      if (dies) story.dies(10500);
      if (!dies) story.event(10500, "client", recording::ProcessEnded{0, {}, {}});
      EXPECT_EQ(ExplainedStory(story).has("signal.killed"), dies);
    }
}

// The machine stood still, or much was told of others meanwhile: the thread has done nothing but die.
TEST(Sigpipe, kills_however_long_that_takes) {
  for (const std::int64_t others : {0, 5000})
    for (const bool goes_on : {false, true}) {
      BrokenStory story;
      story.sigpipe(10005, SignalFate::generated, story.send(10000));
      for (std::int64_t i = 0; i < others; ++i) story.event(10100, "server", recording::Signal{"SIGUSR1", {}, {}});
      if (goes_on) story.call("client", 200'000, 200'010, "getsockname", "3, ...");
      story.sigpipe(400'000, SignalFate::delivered, {});
      for (std::int64_t i = 0; i < others; ++i) story.event(400'100, "server", recording::Signal{"SIGUSR1", {}, {}});
      story.dies(900'000);
      EXPECT_EQ(ExplainedStory(story).has("signal.killed"), !goes_on) << others;
    }
}

// Its log need not have what let a blocked signal through.
TEST(Sigpipe, of_a_log_of_strace_is_likely_the_calls_before_it) {
  for (const bool by_strace : {true, false}) {
    BrokenStory story;
    if (by_strace)
      story.provenance().observed = {recording::Observation::packets, recording::Observation::calls_strace};
    story.send(10000, Recorder::before_the_program, SignalFate::delivered);
    story.dies(10500);
    const ExplainedStory told(story);
    ASSERT_TRUE(told.has("signal.killed"));
    EXPECT_EQ(told.grade("signal.killed"), by_strace ? Grade::derived : Grade::observed);
  }
}

TEST(Sigpipe, what_became_of_it_is_told_from_its_own_event) {
  for (const auto& [fate, rule] : {std::pair(SignalFate::handled, "signal.handled"),
                                   {SignalFate::ignored, "signal.ignored"},
                                   {SignalFate::blocked, "signal.blocked"}}) {
    BrokenStory story, of_another_thread;
    story.send(10000, Recorder::before_the_program, fate);
    EXPECT_EQ(times_of(ExplainedStory(story), rule), Times{10000}) << rule;
    of_another_thread.send(10000);
    of_another_thread.event(10012, "server", recording::Signal{"SIGPIPE", fate, {}});
    EXPECT_FALSE(ExplainedStory(of_another_thread).has(rule)) << rule;
  }
}

TEST(Sigpipe, kills_in_the_call_that_it_came_out_of) {
  for (const Recorder recorder : recorders) {
    BrokenStory story;
    story.send(10000, recorder, SignalFate::handled);
    story.send(10100, recorder, SignalFate::handled);
    story.send(10200, recorder, SignalFate::delivered);
    story.dies(10300);
    const ExplainedStory told(story);
    EXPECT_EQ(times_of(told, "signal.handled"), (Times{10000, 10100}));
    EXPECT_EQ(times_of(told, "signal.killed"), Times{10200});
    EXPECT_EQ(times_of(told, "send.broken_pipe").size(), 3U);
  }
}

// strace says that a signal came, and not whether a handler ran.
TEST(Sigpipe, after_which_the_thread_goes_on_has_not_killed) {
  BrokenStory story;
  for (const std::int64_t at : {10000, 10100, 10200})
    story.send(at, Recorder::before_the_program, SignalFate::delivered);
  story.dies(10300);
  EXPECT_EQ(times_of(ExplainedStory(story), "signal.killed"), Times{10200});
  BrokenStory another;
  another.send(10000, Recorder::before_the_program, SignalFate::delivered);
  another.sigpipe(10200, SignalFate::delivered, std::nullopt);
  another.dies(10300);
  EXPECT_FALSE(ExplainedStory(another).has("signal.killed"));
}

// A broken pipe's, or kill()'s: of a call that is not recorded.
TEST(Sigpipe, of_another_cause_is_no_calls) {
  for (const Recorder recorder : recorders)
    for (const auto fate : {SignalFate::delivered, SignalFate::handled}) {
      BrokenStory story;
      story.send(10000);
      story.raised(10050, recorder, fate, std::nullopt);
      story.dies(10300);
      const ExplainedStory told(story);
      EXPECT_FALSE(told.has("signal.killed") || told.has("signal.handled"));
      EXPECT_TRUE(told.has("send.broken_pipe"));
    }
}

TEST(Sigpipe, never_comes_out_of_a_call_that_asks_for_none) {
  for (const Recorder recorder : recorders)
    for (const auto fate : {SignalFate::delivered, SignalFate::handled}) {
      BrokenStory story;
      const auto number = story.send(10000, "3, \"again\", 5, MSG_NOSIGNAL, NULL, 0");
      story.raised(10050, recorder, fate, recorder == Recorder::in_the_kernel ? std::nullopt : std::optional(number));
      story.dies(10300);
      const ExplainedStory told(story);
      EXPECT_FALSE(told.has("signal.killed") || told.has("signal.handled"));
      EXPECT_TRUE(told.has("signal.not_asked_for"));
    }
}

TEST(Sigpipe, that_was_blocked_kills_in_no_call_when_it_is_let_through) {
  for (const auto fate : {SignalFate::delivered, SignalFate::handled}) {
    BrokenStory story;
    const auto number = story.send(10000);
    story.sigpipe(10005, SignalFate::blocked, number);
    story.sigpipe(10050, fate, std::nullopt);
    story.dies(10300);
    const ExplainedStory told(story);
    EXPECT_FALSE(told.has("signal.killed") || told.has("signal.handled"));
    EXPECT_TRUE(told.has("signal.blocked"));
  }
}

// A recording that does not say of a raised signal whether it was blocked.
TEST(Sigpipe, with_another_call_or_another_sigpipe_between_is_not_known_to_be_the_same) {
  for (const bool another_call : {true, false}) {
    BrokenStory story;
    story.sigpipe(10005, SignalFate::generated, story.send(10000));
    if (another_call) story.call("client", 10100, 10110, "close", "3", {});
    if (!another_call) story.sigpipe(10100, SignalFate::generated, std::nullopt);
    story.sigpipe(10200, SignalFate::delivered, std::nullopt);
    story.dies(10300);
    EXPECT_FALSE(ExplainedStory(story).has("signal.killed"));
  }
}

// It comes to all of them, in whatever call they are; one for a process that is dying already is thrown away as if it were ignored.
TEST(Sigpipe, of_one_thread_kills_in_no_call_of_another) {
  for (const Recorder recorder : recorders) {
    BrokenStory story;
    const auto waiting = story.call("client", 9900, -1, "sendto", "3, \"first\", 5, 0, NULL, 0");
    if (recorder == Recorder::in_the_kernel) story.sigpipe(10005, SignalFate::generated, std::nullopt);
    story.sigpipe(10020, SignalFate::delivered,
                  recorder == Recorder::in_the_kernel ? std::optional(waiting) : std::nullopt);
    story.dies(10300, waiting);
    EXPECT_FALSE(ExplainedStory(story).has("signal.killed"));
  }
  BrokenStory dying;
  dying.sigpipe(10005, SignalFate::ignored, dying.send(10000));
  dying.sigpipe(10020, SignalFate::delivered, std::nullopt);
  dying.dies(10300);
  EXPECT_FALSE(ExplainedStory(dying).has("signal.ignored"));
}

// int $0x80, a ring: the call that raised it is not there.
TEST(Sigpipe, that_kills_by_a_call_that_nobody_saw_is_told) {
  const auto told = [](auto&& before, const char* signal) {
    BrokenStory story;
    before(story);
    story.event(10500, "client", recording::ProcessEnded{{}, signal, {}});
    return ExplainedStory(story).has("signal.killed_unseen");
  };
  EXPECT_TRUE(told([](BrokenStory&) {}, "SIGPIPE"));
  EXPECT_FALSE(told([](BrokenStory&) {}, "SIGKILL"));
  EXPECT_FALSE(
      told([](BrokenStory& story) { story.send(10000, Recorder::in_the_kernel, SignalFate::delivered); }, "SIGPIPE"))
      << "by a call that was seen";
  EXPECT_FALSE(told([](BrokenStory& story) { story.call("client", 10000, 10010, "close", "3"); }, "SIGPIPE"))
      << "on something else: it had closed this";
  StoryRecorder well;
  well.open();
  well.event(10500, "client", recording::ProcessEnded{{}, "SIGPIPE", {}});
  EXPECT_FALSE(ExplainedStory(well).has("signal.killed_unseen")) << "the connection stood";
}

// The operation fails inside io_uring_enter(), and the signal comes as that returns.
TEST(Sigpipe, of_an_operation_of_a_ring_comes_with_the_call_that_enters_it) {
  BrokenStory story;
  const auto enter =
      story.call("client", 10000, 10100, "io_uring_enter", "4, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0", {1});
  const auto write = story.call("client", 10010, 10050, "write", "3, \"hello\", 5", {-1, EPIPE});
  story.sigpipe(10020, SignalFate::generated, write);
  story.sigpipe(10200, SignalFate::delivered, enter);
  story.dies(10500);
  auto recording = story.take();
  for (auto& event : recording.events)
    if (auto* entered = std::get_if<recording::CallEntered>(&event.what);
        entered != nullptr && entered->name == "write")
      entered->through = "io_uring";
  const ExplainedStory told(std::move(recording));
  EXPECT_TRUE(told.has("signal.killed"));
  EXPECT_FALSE(told.has("signal.killed_unseen"));
}

}  // namespace
}  // namespace tcpwhy::explain
