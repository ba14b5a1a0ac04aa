// Several processes and one socket: whose end sent the FIN or the RST, whose close() is an idiom, whose bytes are whose. Each with what must
// not be said.
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "explain/explained_story_testing.h"
#include "explain/rules/ending.h"

namespace tcpwhy::explain {
namespace {

using recording::testing::StoryRecorder;
using testing::ExplainedStory;
using testing::five_bytes;

constexpr std::uint16_t F = 0x01, R = 0x04, P = 0x08, A = 0x10;
constexpr recording::ActorId server{0}, child{2};

// A story in which the server's process forks a child, "sleep", pid 201.
class Family {
 public:
  StoryRecorder story;

  void fork(std::int64_t at) { events_.push_back({at, child, recording::ProcessStarted{"sleep", 101}}); }
  void ends(std::int64_t at, recording::ActorId who) {
    events_.push_back({at, who, recording::ProcessEnded{.exit_status = 0, .signal = {}, .call = {}}});
  }
  // The server's call of that number is the child's.
  void by_child(std::uint32_t call) { of_child_.push_back(call); }
  // Who ended, as the probe tells it of the segments that left so.
  void told_of(recording::ActorId who) { told_of_ = who; }

  [[nodiscard]] recording::Recording take() {
    auto recording = story.take();
    recording.actors.push_back({"sleep", 201, 201, "sleep", ""});
    for (auto& event : recording.events) {
      const auto* entered = std::get_if<recording::CallEntered>(&event.what);
      const auto* returned = std::get_if<recording::CallReturned>(&event.what);
      const auto number = entered != nullptr ? entered->call : returned != nullptr ? returned->call : 0;
      if (std::ranges::count(of_child_, number) > 0) event.actor = child;
      if (told_of_ && std::holds_alternative<recording::SegmentCause>(event.what)) event.actor = *told_of_;
    }
    const auto begin = base::wall_from_ns(1'700'000'000'000'000'000);
    for (const auto& [at, who, what] : events_)
      recording.events.push_back({begin + std::chrono::microseconds(at), who, what});
    recording::sort_by_time(recording);
    return recording;
  }

 private:
  struct Told {
    std::int64_t at;
    recording::ActorId who;
    recording::What what;
  };
  std::vector<Told> events_;
  std::vector<std::uint32_t> of_child_;
  std::optional<recording::ActorId> told_of_;
};

// It forks a helper, which inherits the connection, and closes its own copy. The FIN comes at 1 s; the server ends at 8 s.
Family helper_holds_the_connection() {
  Family family;
  family.story.open();
  family.fork(500);
  family.story.call("server", 1000, 1100, "close", "4");
  family.story.last_call().references = 2;
  family.story.segment(1'000'000, "server", F | A, 1, 1);
  family.ends(8'000'000, server);
  return family;
}

void fin_at_a_process_end(Family& family) {
  family.story.cause(999'999, "server", "F.", 1, 1, 0, {"process_end", "close"});
}

TEST(Holders, the_end_of_a_child_that_inherited_the_socket_is_the_childs) {
  for (const bool told : {true, false}) {
    SCOPED_TRACE(told ? "the probe saw who ended" : "it did not");
    Family family = helper_holds_the_connection();
    fin_at_a_process_end(family);
    family.ends(999'900, child);
    if (told) family.told_of(child);
    const ExplainedStory explained(family.take());
    ASSERT_TRUE(explained.has("close.fin_at_other_exit"));
    EXPECT_FALSE(explained.has("close.fin_at_exit"));
    const auto text = explained.text("close.fin_at_other_exit");
    EXPECT_TRUE(text.starts_with("sleep[201], which held the server's socket too, ended")) << text;
    EXPECT_EQ(ending_of(explained.explained.timeline, 0).ended, "sleep[201]");
    EXPECT_TRUE(explained.has("close.nothing_sent")) << "the helper only holds it";
  }
}

// Without the kernel's count (ptrace) the fork alone tells who else has it.
TEST(Holders, a_childs_close_of_its_copy_names_its_parent_unless_that_one_had_closed) {
  for (const bool closed : {false, true}) {
    Family family;
    family.story.open();
    family.fork(500);
    if (closed) family.story.call("server", 600, 610, "close", "4");
    family.by_child(family.story.call("server", 1000, 1100, "close", "4"));
    five_bytes(family.story);
    const ExplainedStory explained(family.take());
    EXPECT_EQ(explained.text("close.nothing_sent").contains("its parent, process 101"), !closed);
    EXPECT_FALSE(explained.text("close.nothing_sent").contains("not recorded"));
  }
}

TEST(Holders, by_rules_the_end_of_a_child_that_was_waited_for_is_the_childs_too) {
  Family family = helper_holds_the_connection();
  family.ends(1'000'300, child);
  const ExplainedStory explained(family.take());
  ASSERT_TRUE(explained.has("close.fin_at_other_exit"));
  EXPECT_EQ(explained.grade("close.fin_at_other_exit"), Grade::derived);
}

// 7 s later the server's process ended: that is no cause.
TEST(Holders, an_end_that_came_later_is_not_what_sent_it) {
  Family family = helper_holds_the_connection();
  fin_at_a_process_end(family);
  const ExplainedStory explained(family.take());
  ASSERT_TRUE(explained.has("close.fin_at_exit"));
  EXPECT_EQ(explained.finding("close.fin_at_exit")->evidence.size(), 1U);
  const auto text = explained.text("close.fin_at_exit");
  EXPECT_TRUE(text.starts_with("A process that held the server's socket too (which one is not known) ended")) << text;
  EXPECT_EQ(ending_of(explained.explained.timeline, 0).ended, "?");
}

TEST(Holders, a_process_that_ended_with_its_connection_is_its_own) {
  Family family;
  family.story.open();
  family.story.segment(1'000'000, "server", F | A, 1, 1);
  fin_at_a_process_end(family);
  family.ends(999'900, server);
  family.told_of(server);
  const ExplainedStory explained(family.take());
  ASSERT_TRUE(explained.has("close.fin_at_exit"));
  EXPECT_TRUE(explained.text("close.fin_at_exit").starts_with("The server's process ended, and"));
  EXPECT_EQ(ending_of(explained.explained.timeline, 0).ended, "");
}

// A child that was forked before the connection stood, and one that was born of a stranger, have nothing of it.
TEST(Holders, a_child_that_was_forked_before_the_connection_is_none) {
  for (const std::int64_t forked : {1, 500}) {
    Family family;
    family.fork(forked);
    family.story.open();
    family.story.segment(1'000'000, "server", F | A, 1, 1);
    fin_at_a_process_end(family);
    family.ends(999'900, child);
    EXPECT_EQ(ExplainedStory(family.take()).has("close.fin_at_other_exit"), forked == 500);
  }
}

// unshare(CLONE_FILES): the kernel's stack is that of a process's end.
TEST(Holders, a_thread_with_descriptors_of_its_own_is_no_process) {
  Family family;
  family.story.open();
  family.story.segment(1'000'000, "server", F | A, 1, 1);
  fin_at_a_process_end(family);
  family.told_of(server);
  family.ends(1'000'200, server);
  const ExplainedStory explained(family.take());
  ASSERT_TRUE(explained.has("close.fin_at_exit"));
  const auto text = explained.text("close.fin_at_exit");
  EXPECT_TRUE(text.starts_with("A thread of the server with descriptors of its own ended")) << text;
}

TEST(Holders, a_reset_at_a_childs_end_names_the_child) {
  Family family;
  family.story.open();
  five_bytes(family.story);
  family.fork(700);
  family.story.call("server", 1000, 1100, "close", "4");
  family.story.last_call().references = 2;
  family.story.segment(1'000'000, "server", R | A, 1, 6);
  family.story.cause(999'999, "server", "R.", 1, 6, 0, {"process_end", "close.unread_data"});
  family.ends(999'900, child), family.ends(8'000'000, server), family.told_of(child);
  const ExplainedStory explained(family.take());
  ASSERT_TRUE(explained.has("reset.unread_data_at_exit"));
  const auto text = explained.text("reset.unread_data_at_exit");
  EXPECT_TRUE(text.starts_with("sleep[201], which held the server's socket too, ended with 5 bytes")) << text;
}

// --- Idioms ---------------------------------------------------------------------------------------------------------

// A server that forks for each connection closes its own copy.
TEST(Holders, a_parent_that_leaves_the_connection_to_its_child_is_not_warned) {
  struct Case {
    std::string call, arguments;
    std::uint16_t flags;
    bool uses;
  };
  for (const Case& made : {Case{"send", "4, \"hello\", 5, 0", P | A, true}, Case{"recv", "4, \"hello\", 5, 0", 0, true},
                           Case{"shutdown", "4, SHUT_WR", F | A, true}, Case{"close", "4", F | A, false}}) {
    SCOPED_TRACE(made.call);
    const std::uint32_t bytes = made.call == "send" ? 5 : 0;
    Family family;
    family.story.open();
    family.fork(500);
    family.story.call("server", 1000, 1100, "close", "4");
    family.story.last_call().references = 2;
    family.by_child(family.story.call("server", 2000, 2100, made.call, made.arguments, {bytes}));
    if (made.flags != 0) family.story.segment(2050, "server", made.flags, 1, 1, bytes);
    const ExplainedStory explained(family.take());
    EXPECT_EQ(explained.has("close.left_to_another"), made.uses);
    EXPECT_EQ(explained.has("close.nothing_sent"), !made.uses);
    if (made.uses) {
      EXPECT_TRUE(explained.text("close.left_to_another").contains("only: sleep goes on with the connection"));
    }
  }
}

// shutdown() by the child: the socket has a holder, whoever closed a copy before.
TEST(Holders, what_a_child_shut_down_is_no_orphan) {
  for (const std::string by : {"shutdown", "close"}) {
    Family family;
    family.story.open();
    family.fork(500);
    family.story.call("server", 1000, 1100, "close", "4");
    family.story.last_call().references = 2;
    family.by_child(family.story.call("server", 2000, 2100, by, by == "shutdown" ? "4, SHUT_WR" : "4"));
    family.story.segment(2050, "server", F | A, 1, 1);
    family.story.segment(2200, "client", A, 1, 2);
    EXPECT_EQ(ExplainedStory(family.take()).has("close.orphan_waits"), by == "close") << by;
  }
}

// --- Numbers --------------------------------------------------------------------------------------------------------

// What another process sent afterwards was not unsent when this one closed.
TEST(Holders, what_another_process_sent_is_not_what_the_closer_left_unsent) {
  const auto told = [](std::int64_t given) {
    StoryRecorder story;
    story.open();
    if (given > 0) story.call("server", 200, 210, "send", "4, \"\"..., 300, 0", {given});
    story.call("server", 1000, 1100, "close", "4");
    story.segment(1900, "client", A, 1, 1);
    story.segment(1950, "server", P | A, 1, 1, 1000);
    story.segment(2050, "client", A, 1, 1001);
    story.segment(2060, "server", F | A, 1001, 1);
    return ExplainedStory(story).text("close.delivered_later");
  };
  EXPECT_EQ(told(0), "");
  EXPECT_TRUE(told(300).contains("with 300 bytes still unsent")) << told(300);
}

TEST(Holders, bytes_unread_are_what_the_receiver_did_not_read) {
  struct Case {
    bool calls, counted;
    std::string said;
  };
  for (const Case& made : {Case{true, false, ": 5 bytes"}, Case{false, false, ": data (how much is not known)"},
                           Case{false, true, ": 3 bytes"}}) {
    StoryRecorder story;
    story.open();
    five_bytes(story);
    const auto close = story.call("server", 1000, 1100, "close", "4");
    story.cause(1049, "server", "R.", 1, 6, 0, {"call", "close.unread_data", close});
    story.reset(1049, "server", true, true, "TCP_ABORT_ON_CLOSE");
    story.segment(1050, "server", R | A, 1, 6);
    auto recording = story.take();
    if (!made.calls)
      for (auto& event : recording.events)
        if (event.actor == server) event = {event.at, {}, recording::Note{.text = "-"}};
    for (auto& event : recording.events)
      if (auto* reset = std::get_if<recording::Reset>(&event.what); reset != nullptr && made.counted) reset->unread = 3;
    const auto text = ExplainedStory(recording).text("reset.unread_data_at_close");
    EXPECT_TRUE(text.contains(made.said)) << text;
  }
}

// --- No false accusation ----------------------------------------------------------------------------------------------

TEST(Accusing, a_probe_of_what_had_arrived_is_no_loss) {
  struct Case {
    bool drops_are_told;
    std::string_view dropped, rule;
  };
  // What the kernel frees because it has done its work, or was there before, was not lost.
  for (const Case& made : {Case{true, "", "resend.needless"}, Case{true, "NOT_SPECIFIED", "resend.needless"},
                           Case{true, "TCP_OLD_DATA", "resend.needless"},
                           Case{true, "NETFILTER_DROP", "loss.thrown_away"}, Case{false, "", "loss.retransmitted"}}) {
    StoryRecorder story;
    if (made.drops_are_told) story.provenance().observed.add(recording::Observation::drops);
    story.open();
    story.call("client", 500, 600, "send", "3, \"hello\", 5, 0", {5});
    story.segment(550, "client", P | A, 1, 1, 5);
    if (!made.dropped.empty()) story.dropped(551, "server", "P.", 1, 1, 5, std::string(made.dropped));
    story.segment(6000, "client", P | A, 1, 1, 5);
    story.segment(6010, "server", A, 1, 6);
    const ExplainedStory explained(story);
    for (const std::string_view rule : {"resend.needless", "loss.thrown_away", "loss.retransmitted"})
      EXPECT_EQ(explained.has(rule), rule == made.rule) << rule << made.dropped;
  }
}

TEST(Accusing, shutdown_says_what_became_of_the_descriptor) {
  for (const bool closed : {true, false}) {
    StoryRecorder story;
    story.open();
    story.call("client", 1000, 1010, "shutdown", "3, SHUT_RDWR");
    story.segment(1005, "client", F | A, 1, 1);
    if (closed) story.call("client", 1015, 1020, "close", "3");
    const auto text = ExplainedStory(story).text("shutdown.fin");
    EXPECT_TRUE(text.ends_with(closed ? "the descriptor was closed 15 µs later." : "the descriptor stays open."))
        << text;
  }
}

TEST(Accusing, a_question_is_no_failure) {
  for (const std::string call : {"getpeername", "getsockname", "recv"}) {
    StoryRecorder story;
    story.open();
    story.call("server", 500, 510, call, "3, ...", {-1, ENOTCONN}, 3);
    EXPECT_EQ(ExplainedStory(story).has("call.not_connected"), call == "recv") << call;
  }
}

// What waits for the delayed ACK of the segment before: Nagle holds it, unless that is off, or the segment full.
TEST(Accusing, nagle_holds_only_small_segments_without_nodelay) {
  struct Case {
    std::string option;
    std::uint32_t bytes;
    bool told;
  };
  for (const Case& made : {Case{"", 5, true}, Case{"TCP_NODELAY, [1]", 5, false}, Case{"TCP_NODELAY, [0]", 5, true},
                           Case{"", 536, false}}) {
    StoryRecorder story;
    story.open();
    if (!made.option.empty()) story.call("client", 200, 210, "setsockopt", "3, SOL_TCP, " + made.option + ", 4");
    story.call("client", 500, 510, "send", "3, \"hello\", 5, 0", {5});
    story.segment(505, "client", P | A, 1, 1, 5);
    story.call("client", 600, 610, "send", "3, \"\"..., 5, 0", {made.bytes});
    story.segment(40'500, "server", A, 1, 6);
    story.segment(40'510, "client", P | A, 6, 1, made.bytes);
    EXPECT_EQ(ExplainedStory(story).has("stall.nagle_delayed_ack"), made.told) << made.option << ' ' << made.bytes;
  }
}

// Whose calls are in the rows is not to be traced; and the kernel's reason is told where there is one.
TEST(Accusing, a_reset_that_no_rule_explains_is_not_laid_to_want_of_tracing) {
  for (const std::string reason : {"", "TCP_SOMETHING_NEW"}) {
    StoryRecorder story;
    story.open();
    story.call("server", 1000, 1100, "close", "4");
    if (!reason.empty()) story.reset(1049, "server", true, true, reason);
    story.segment(1050, "server", R | A, 1, 1);
    const ExplainedStory explained(story);
    EXPECT_FALSE(explained.has("reset.unexplained"));
    ASSERT_TRUE(explained.has(reason.empty() ? "reset.unexplained_though_traced" : "reset.for_kernels_reason"));
    if (!reason.empty()) {
      EXPECT_TRUE(explained.text("reset.for_kernels_reason").contains(reason));
    }
  }
}

// --- The check that all stories here are held against -------------------------------------------------------------------

TEST(Contradictions, are_found) {
  Family family = helper_holds_the_connection();
  fin_at_a_process_end(family);
  family.ends(999'900, child), family.told_of(child);
  const auto recording = family.take();
  const auto spoilt = [&](std::string_view rule, const std::function<void(Finding&, const Explained&)>& spoil) {
    Explained explained = explain(recording);
    for (Finding& finding : explained.findings)
      if (finding.rule->id == rule) spoil(finding, explained);
    return testing::contradictions_in(explained).size();
  };
  EXPECT_EQ(spoilt("", {}), 0U);
  // As it was told once: by the server's own end, which came 7 s later, and after it had closed the socket.
  EXPECT_GE(spoilt("close.fin_at_other_exit",
                   [](Finding& finding, const Explained& explained) {
                     finding.evidence = {explained.timeline.segments.back().departed,
                                         explained.timeline.all<recording::ProcessEnded>().back()};
                   }),
            2U);
  EXPECT_GE(spoilt("close.fin_at_other_exit",
                   [](Finding& finding, const Explained&) { finding.slots["process"] = "its process"; }),
            1U)
      << "who ended is not told";
  EXPECT_EQ(spoilt("close.nothing_sent",
                   [](Finding& finding, const Explained& explained) {
                     finding.rule = find_rule("close.fin");
                     finding.evidence = {explained.timeline.segments.back().departed};
                   }),
            1U)
      << "two reasons for one FIN";
}

}  // namespace
}  // namespace tcpwhy::explain
