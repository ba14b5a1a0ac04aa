// What closes a connection and what does not: other holders of the socket, threads, forks, lingering. Each with a story in which it is found,
// and the neighbouring one in which it must not be.
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>

#include "explain/explained_story_testing.h"

namespace tcpwhy::explain {
namespace {

using recording::testing::StoryRecorder;
using testing::ExplainedStory;
using testing::five_bytes;

constexpr std::uint16_t F = 0x01, R = 0x04, P = 0x08, A = 0x10;

TEST(Closing, of_a_descriptor_that_others_share_is_observed_by_its_references) {
  StoryRecorder story;
  story.open();
  story.call("server", 1000, 1100, "close", "4");
  story.last_call().references = 2;
  const ExplainedStory told(story);
  ASSERT_TRUE(told.has("close.nothing_sent"));
  EXPECT_EQ(told.grade("close.nothing_sent"), Grade::observed);
  EXPECT_NE(told.text("close.nothing_sent").find("(1 more)"), std::string::npos);
}

TEST(Closing, of_the_last_reference_is_not_said_to_leave_others) {
  StoryRecorder story;
  story.open();
  story.call("server", 1000, 1100, "close", "4");
  story.last_call().references = 1;
  EXPECT_FALSE(ExplainedStory(story).has("close.nothing_sent"));
}

// A FIN waits behind data that the peer has no room for, or has not acknowledged: that none was seen is no proof that others hold the socket.
TEST(Closing, behind_data_that_is_unacknowledged_is_not_said_to_leave_others) {
  using References = std::optional<std::uint32_t>;
  for (const bool left : {false, true})
    for (const References references : {References(), References(1U), References(2U)}) {
      StoryRecorder story;
      story.open();
      story.call("server", 1000, 1100, "send", "4, \"hello\", 5, 0", {5});
      if (left) story.segment(1050, "server", P | A, 1, 1, 5);
      story.call("server", 1200, 1300, "close", "4");
      story.last_call().references = references;
      story.counter(2000, 2001, "TcpExt.Anything");
      const ExplainedStory told(story);
      EXPECT_EQ(told.has("close.nothing_sent"), references == 2U);
      ASSERT_EQ(told.has("close.fin_waits"), references == 1U);
      if (references == 1U) {
        EXPECT_TRUE(told.text("close.fin_waits").contains("behind 5 bytes that the client has not acknowledged"));
      }
    }
}

// The kernel's states tell: a socket that was closed for good is not ESTABLISHED any more.
TEST(Closing, after_which_the_kernel_has_the_socket_open_left_others) {
  for (const std::int64_t sampled : {1150, 900}) {
    StoryRecorder story;
    story.open();
    story.call("server", 1000, 1100, "close", "4");
    story.sample(sampled, 60'100, "server", "ESTABLISHED", "FIN-WAIT-1");
    story.segment(60'000, "server", F | A, 1, 1);
    EXPECT_EQ(ExplainedStory(story).has("close.nothing_sent"), sampled > 1100) << sampled;
  }
}

TEST(Closing, behind_data_that_was_acknowledged_waits_for_nothing) {
  StoryRecorder story;
  story.open();
  five_bytes(story);
  story.call("client", 1200, 1300, "close", "3");
  story.last_call().references = 1;
  EXPECT_FALSE(ExplainedStory(story).has("close.fin_waits"));
}

// What leaves inside somebody's call did not wait to be sent; whose it was may not be known.
TEST(Closing, by_a_call_that_nobody_recorded_is_not_laid_to_a_process_that_had_ended) {
  const auto told_of = [](std::string trigger, std::string name) {
    StoryRecorder story;
    story.open();
    story.event(1000, "server", recording::ProcessEnded{.exit_status = 0, .signal = {}, .call = {}});
    story.cause(2000, "server", "F.", 1, 1, 0, {std::move(trigger), std::move(name)});
    story.segment(2001, "server", F | A, 1, 1);
    return ExplainedStory(story).has("close.delivered_after_exit");
  };
  EXPECT_FALSE(told_of("call", "close"));
  EXPECT_FALSE(told_of("process_end", "close"));
  EXPECT_TRUE(told_of("segment", "answer"));
}

TEST(Closing, without_packets_nobody_knows_what_it_sent) {
  StoryRecorder story;
  story.open();
  story.event(500, "server", recording::ProcessStarted{"server", 101});
  story.call("server", 1000, 1100, "close", "4");
  auto recording = story.take();
  EXPECT_TRUE(ExplainedStory(recording).has("close.nothing_sent"));
  std::erase_if(recording.events,
                [](const auto& event) { return std::holds_alternative<recording::Packet>(event.what); });
  EXPECT_FALSE(ExplainedStory(recording).has("close.nothing_sent"));
}

TEST(Closing, of_a_descriptor_that_a_fork_shares_names_the_child) {
  StoryRecorder story;
  story.open();
  story.event(500, "server", recording::ProcessStarted{"server", 101});
  story.call("server", 1000, 1100, "close", "4");
  const ExplainedStory told(story);
  ASSERT_TRUE(told.has("close.nothing_sent"));
  EXPECT_EQ(told.grade("close.nothing_sent"), Grade::derived);
  EXPECT_NE(told.text("close.nothing_sent").find("forked child"), std::string::npos);
}

TEST(Closing, a_child_that_was_forked_before_the_connection_does_not_hold_it) {
  StoryRecorder story;
  story.event(1, "server", recording::ProcessStarted{"server", 101});
  story.open();
  story.call("server", 1000, 1100, "close", "4");
  EXPECT_FALSE(ExplainedStory(story).has("close.nothing_sent"));
}

// A copy of what its threads shared holds the socket too; a process that has one thread shares it with nobody (unshare(2)).
TEST(Closing, of_a_descriptor_that_an_unshared_table_holds_too_names_the_call) {
  struct Case {
    std::string flags;
    std::int64_t from, until;  // what another thread did
    int error = 0;
  };
  const auto told = [](const Case& made) {
    StoryRecorder story;
    story.open();
    story.call("server", 500, 510, "unshare", made.flags, {made.error == 0 ? 0 : -1, made.error});
    story.event(600, "server", recording::Note{.text = "later"});
    story.call("server", 1000, 1100, "close", "4");
    auto recording = story.take();
    const auto server = std::ranges::find(recording.actors, "server", &recording::Actor::name);
    const auto own = static_cast<std::uint32_t>(server - recording.actors.begin());
    const auto other = static_cast<std::uint32_t>(recording.actors.size());
    auto thread = *server;
    ++thread.tid;
    recording.actors.push_back(thread);
    const auto begin = recording.events.front().at;
    for (auto& event : recording.events)
      if (event.actor.value == own && event.at - begin >= std::chrono::microseconds(made.from) &&
          event.at - begin < std::chrono::microseconds(made.until))
        event.actor.value = other;
    return ExplainedStory(recording).text("close.nothing_sent").contains("unshare(CLONE_FILES)");
  };
  const std::string files = "CLONE_FS|CLONE_FILES";
  EXPECT_TRUE(told({files, 0, 500}));
  EXPECT_FALSE(told({files, 0, 0})) << "it had one thread";
  EXPECT_FALSE(told({files, 550, 700})) << "it had one thread then";
  EXPECT_FALSE(told({"CLONE_FS|CLONE_SYSVSEM", 0, 500})) << "the descriptors stay shared";
  EXPECT_FALSE(told({files, 0, 500, EINVAL})) << "it failed";
}

TEST(Closing, is_named_as_the_call_that_did_it) {
  for (const std::string call : {"close", "dup2", "close_range"}) {
    StoryRecorder story;
    story.open();
    story.segment(500, "client", P | A, 1, 1, 5);
    story.segment(550, "server", A, 1, 6);
    const auto number = story.call("server", 1000, 1100, call, "4");
    story.segment(1050, "server", R | A, 1, 6);
    story.cause(1049, "server", "R.", 1, 6, 0, {"call", "close.unread_data", number});
    const ExplainedStory told(story);
    ASSERT_TRUE(told.has("reset.unread_data_at_close")) << call;
    EXPECT_TRUE(told.text("reset.unread_data_at_close").starts_with("The server's " + call + "() sent a RST"))
        << told.text("reset.unread_data_at_close");
  }
}

TEST(Closing, of_a_descriptor_that_was_sent_to_another_process_names_it) {
  const std::string rights = "4, {msg_control=[{cmsg_type=SCM_RIGHTS, cmsg_data=[5]}]}, 0";
  const auto told = [&](bool same_socket) {
    StoryRecorder story;
    story.open();
    story.call("server", 900, 950, "sendmsg", rights);
    story.call("server", 1000, 1100, "close", "4");
    const auto socket = story.last_call().socket;
    auto recording = story.take();
    recording.actors.push_back({"worker", 555, 555, "worker", ""});
    for (auto& event : recording.events) {
      auto* entered = std::get_if<recording::CallEntered>(&event.what);
      if (entered != nullptr && entered->name == "sendmsg") entered->socket = same_socket ? socket : socket + 1000;
    }
    recording::CallEntered taken;
    taken.call = 9000, taken.name = "recvmsg", taken.arguments = rights,
    taken.socket = same_socket ? socket : socket + 1000;
    recording::CallReturned brought;
    brought.call = 9000, brought.result = 1, brought.socket = taken.socket;
    const recording::ActorId worker{static_cast<std::uint32_t>(recording.actors.size() - 1)};
    const auto at = recording.events.front().at;
    recording.events.push_back({at + std::chrono::microseconds(960), worker, taken});
    recording.events.push_back({at + std::chrono::microseconds(970), worker, brought});
    recording::sort_by_time(recording);
    return ExplainedStory(recording).text("close.nothing_sent");
  };
  EXPECT_NE(told(true).find("worker[555]"), std::string::npos) << told(true);
  EXPECT_NE(told(true).find("SCM_RIGHTS"), std::string::npos);
  EXPECT_EQ(told(false).find("SCM_RIGHTS"), std::string::npos) << told(false);
}

TEST(Closing, of_a_descriptor_that_another_process_took_names_it) {
  StoryRecorder story;
  story.open();
  story.call("server", 1000, 1100, "close", "4");
  const auto socket = story.last_call().socket;
  auto recording = story.take();
  recording.actors.push_back({"worker", 555, 555, "worker", ""});
  recording::CallEntered taken;
  taken.call = 9000, taken.name = "pidfd_getfd", taken.arguments = "7, 4, 0";
  recording::CallReturned brought;
  brought.call = 9000, brought.result = 8, brought.new_fd = 8, brought.socket = socket;
  const recording::ActorId worker{static_cast<std::uint32_t>(recording.actors.size() - 1)};
  const auto at = recording.events.front().at;
  recording.events.push_back({at + std::chrono::microseconds(960), worker, taken});
  recording.events.push_back({at + std::chrono::microseconds(970), worker, brought});
  recording::sort_by_time(recording);
  const ExplainedStory told(recording);
  ASSERT_TRUE(told.has("close.nothing_sent"));
  EXPECT_NE(told.text("close.nothing_sent").find("that of worker[555], which took it by pidfd_getfd()"),
            std::string::npos)
      << told.text("close.nothing_sent");
}

// A second thread of the server's process.
recording::Recording with_thread(StoryRecorder& story, std::string_view ending) {
  auto recording = story.take();
  recording.actors.push_back({"server", 101, 103, "server", ""});
  std::uint32_t number = 0;
  for (auto& event : recording.events) {
    auto* entered = std::get_if<recording::CallEntered>(&event.what);
    const auto* returned = std::get_if<recording::CallReturned>(&event.what);
    if (entered != nullptr && entered->name == ending) number = entered->call;
    const bool its =
        (entered != nullptr && entered->call == number) || (returned != nullptr && returned->call == number);
    if (number != 0 && its) event.actor = recording::ActorId{2};
  }
  return recording;
}

TEST(Closing, by_one_thread_under_anothers_recv_sends_nothing) {
  StoryRecorder story;
  story.open();
  story.call("server", 500, -1, "recv", "4, 100, 0");
  story.call("server", 1000, 1100, "close", "4");
  const ExplainedStory told(with_thread(story, "close"));
  ASSERT_TRUE(told.has("close.under_recv"));
  EXPECT_FALSE(told.has("close.nothing_sent"));
  const Finding* const one[] = {told.finding("close.under_recv")};
  const auto verdicts = verdicts_of(told.explained.timeline, one);
  ASSERT_EQ(verdicts.size(), 1U);
  EXPECT_TRUE(headline(verdicts.front(), told.explained.timeline, Language::en).contains("close(4) sent nothing"));
  StoryRecorder alone;
  alone.open();
  alone.call("server", 500, 600, "recv", "4, 100, 0", {1});
  alone.call("server", 1000, 1100, "close", "4");
  EXPECT_FALSE(ExplainedStory(with_thread(alone, "close")).has("close.under_recv"));
}

TEST(Closing, under_a_recv_by_another_number_leaves_that_number) {
  StoryRecorder story;
  story.open();
  story.call("server", 400, 410, "dup2", "4, 9", {9});
  story.last_return().new_fd = 9;
  story.call("server", 500, -1, "recv", "9, 100, 0", {}, 9);
  story.call("server", 1000, 1100, "close", "4");
  story.last_call().references = 3;  // one of them the call in progress
  const ExplainedStory told(with_thread(story, "recv"));
  EXPECT_FALSE(told.has("close.under_recv"));
  ASSERT_TRUE(told.has("close.nothing_sent"));
  EXPECT_NE(told.text("close.nothing_sent").find("(1 more, a duplicate made by dup2())"), std::string::npos)
      << told.text("close.nothing_sent");
}

TEST(Closing, shutdown_by_one_thread_wakes_another) {
  StoryRecorder story;
  story.open();
  story.call("server", 500, 1060, "recv", "4, 100, 0", {0});
  story.call("server", 1000, 1100, "shutdown", "4, SHUT_RDWR");
  story.segment(1050, "server", F | A, 1, 1);
  EXPECT_TRUE(ExplainedStory(with_thread(story, "shutdown")).has("shutdown.woke_recv"));
}

TEST(Closing, that_the_program_forgets_is_a_leak) {
  StoryRecorder story, closes;
  for (auto* s : {&story, &closes}) {
    s->open();
    s->call("client", 1000, 1100, "close", "3");
    s->segment(1050, "client", F | A, 1, 1);
    s->segment(1200, "server", A, 1, 2);
    s->call("server", 2000, 2001, "recv", "4, 100, 0", {0});
  }
  closes.call("server", 3000, 3010, "close", "4");
  closes.segment(3005, "server", F | A, 1, 2);
  for (auto* s : {&story, &closes}) s->counter(5'000'000, 5'000'001, "TcpExt.Anything");
  const ExplainedStory told(story);
  ASSERT_TRUE(told.has("close_wait.left_open"));
  EXPECT_FALSE(ExplainedStory(closes).has("close_wait.left_open"));
}

TEST(Closing, that_waits_by_linger) {
  StoryRecorder story, zero;
  for (auto* s : {&story, &zero}) s->open();
  story.call("server", 500, 510, "setsockopt", "4, SOL_SOCKET, SO_LINGER, {l_onoff=1, l_linger=5}, 8");
  zero.call("server", 500, 510, "setsockopt", "4, SOL_SOCKET, SO_LINGER, {l_onoff=1, l_linger=0}, 8");
  for (auto* s : {&story, &zero}) {
    s->call("server", 1000, 51'000, "close", "4");
    s->segment(1050, "server", F | A, 1, 1);
  }
  EXPECT_TRUE(ExplainedStory(story).has("close.lingered"));
  EXPECT_FALSE(ExplainedStory(zero).has("close.lingered"));
}

TEST(Closing, that_waits_by_linger_waited_for_the_ack_of_a_timer_however_soon_the_tick_came) {
  StoryRecorder by_timer, by_fin;
  for (auto* s : {&by_timer, &by_fin}) {
    s->open();
    s->call("server", 500, 510, "setsockopt", "4, SOL_SOCKET, SO_LINGER, {l_onoff=1, l_linger=5}, 8");
    s->call("server", 1000, 1400, "close", "4");
    s->segment(1050, "server", F | A, 1, 1);
  }
  by_timer.segment(1390, "client", A, 1, 2);
  by_fin.call("client", 1060, 1080, "close", "3");
  by_fin.segment(1070, "client", F | A, 1, 2);
  EXPECT_TRUE(ExplainedStory(by_timer).has("close.lingered"));
  EXPECT_FALSE(ExplainedStory(by_fin).has("close.lingered"));
}

TEST(Closing, goes_on_in_the_kernel_after_close_has_returned) {
  StoryRecorder story;
  story.open();
  story.call("client", 500, 600, "send", "3, \"\"..., 2000, 0", {2000});
  story.segment(550, "client", P | A, 1, 1, 1000);
  story.call("client", 700, 710, "close", "3");
  story.segment(900, "server", A, 1, 1001);
  story.segment(901, "client", P | A, 1001, 1, 1000);
  story.segment(902, "client", F | A, 2001, 1);
  EXPECT_TRUE(ExplainedStory(story).has("close.delivered_later"));
}

// A close() that left another descriptor left nothing; what was unsent at the last one counts.
TEST(Closing, goes_on_in_the_kernel_behind_the_last_close) {
  struct Case {
    std::int64_t second_close;
    bool told;
  };
  for (const Case& made : {Case{.second_close = 2000, .told = false}, {.second_close = 850, .told = true}})
    for (const bool counted : {true, false}) {
      StoryRecorder story;
      story.open();
      story.call("client", 200, 210, "dup", "3", {5});
      story.last_return().new_fd = 5;
      story.call("client", 500, 600, "send", "3, \"\"..., 2000, 0", {2000});
      story.segment(550, "client", P | A, 1, 1, 1000);
      story.call("client", 700, 710, "close", "5", {}, 5);
      if (counted) story.last_call().references = 2;
      story.segment(900, "server", A, 1, 1001);
      story.segment(901, "client", P | A, 1001, 1, 1000);
      story.call("client", made.second_close, made.second_close + 10, "close", "3");
      if (counted) story.last_call().references = 1;
      story.segment(2005, "client", F | A, 2001, 1);
      const ExplainedStory told(story);
      EXPECT_EQ(told.has("close.delivered_later"), made.told) << made.second_close << counted;
      if (const Finding* found = told.finding("close.delivered_later"); found != nullptr) {
        EXPECT_EQ(std::get<std::int64_t>(found->slots.at("bytes")), 1000);
        EXPECT_EQ(found->grade, counted ? Grade::observed : Grade::derived);
      }
    }
}

// What still names the socket is told, and nothing that is gone.
TEST(Closing, names_the_descriptors_that_are_left) {
  struct Dup {
    std::string name, arguments;
    std::int32_t made;
    std::int32_t fd = 3;  // of its descriptors the socket's
  };
  const auto told = [](const std::vector<Dup>& dups, std::int32_t last) {
    StoryRecorder story;
    story.open();
    std::int64_t at = 200;
    for (const Dup& dup : dups) {
      story.call("client", at, at + 1, dup.name, dup.arguments, {dup.made}, dup.fd);
      story.last_return().new_fd = dup.made;
      at += 10;
    }
    story.call("client", 1000, 1010, "close", std::to_string(last), {}, last);
    story.last_call().references = 2;
    const ExplainedStory explained(story);
    const Finding* found = explained.finding("close.nothing_sent");
    return found == nullptr ? "nothing" : std::get<std::string>(found->slots.at("others"));
  };
  EXPECT_EQ(told({{"dup", "3", 5}}, 3), "1 more, a duplicate made by dup()");
  EXPECT_EQ(told({{"dup", "3", 5}}, 5), "1 more, descriptor 3, of which it is a duplicate");
  EXPECT_EQ(told({{"dup", "3", 5}, {"dup", "5", 6, 5}}, 5),
            "1 more, descriptor 3, of which it is a duplicate, a duplicate made by dup()");
  EXPECT_EQ(told({{"dup", "3", 5}, {"dup2", "7, 5", 5, 5}}, 3), "descriptor 3, of which it is a duplicate") << "dup2()";
  EXPECT_EQ(told({{"dup2", "3, 3", 3}}, 3), "1 more");
  EXPECT_EQ(told({{"dup2", "3, 3", 3}, {"fcntl", "3, F_DUPFD, 0", 6}}, 3), "1 more, a duplicate made by fcntl()");
}

// An end before its start was of another process with that number.
TEST(Closing, names_no_child_that_has_ended) {
  for (const std::int64_t ended_at : {800, 450, 0}) {
    StoryRecorder story;
    story.open();
    story.event(500, "server", recording::ProcessStarted{"server", 101});
    story.call("server", 1000, 1100, "close", "4");
    story.last_call().references = 2;
    auto recording = story.take();
    const recording::ActorId child{static_cast<std::uint32_t>(recording.actors.size())};
    recording.actors.push_back({"server", 555, 555, "server", ""});
    for (auto& event : recording.events)
      if (std::holds_alternative<recording::ProcessStarted>(event.what)) event.actor = child;
    const auto begin = recording.events.front().at;
    if (ended_at != 0)
      recording.events.push_back({begin + std::chrono::microseconds(ended_at), child,
                                  recording::ProcessEnded{.exit_status = 0, .signal = {}, .call = {}}});
    recording::sort_by_time(recording);
    const ExplainedStory told(recording);
    ASSERT_TRUE(told.has("close.nothing_sent"));
    EXPECT_EQ(told.text("close.nothing_sent").find("forked child") == std::string::npos, ended_at == 800);
  }
}

TEST(Closing, over_a_descriptor_that_others_share_names_the_call) {
  StoryRecorder story;
  story.open();
  story.call("server", 1000, 1100, "dup2", "7, 4", {4});
  story.last_call().references = 2;
  const ExplainedStory told(story);
  ASSERT_TRUE(told.has("close.nothing_sent"));
  EXPECT_TRUE(told.text("close.nothing_sent").starts_with("server's dup2() returned 4 and sent nothing") ||
              told.text("close.nothing_sent").starts_with("The server's dup2() returned 4 and sent nothing"))
      << told.text("close.nothing_sent");
}

// A server that forks for each connection closes its own descriptor at once.
TEST(Closing, delivers_nothing_of_what_a_child_sends_after_it) {
  StoryRecorder story;
  story.open();
  story.event(500, "server", recording::ProcessStarted{"server", 101});
  story.call("server", 600, 610, "close", "4");
  story.call("server", 700, 800, "send", "4, \"answer\", 6, 0", {6});
  story.segment(750, "server", P | A, 1, 1, 6);
  story.call("server", 900, 1000, "close", "4");
  story.segment(950, "server", F | A, 7, 1);
  EXPECT_FALSE(ExplainedStory(story).has("close.delivered_later"));
}

TEST(Closing, a_healthy_connection_has_nothing_to_worry_about) {
  StoryRecorder story;
  story.open();
  five_bytes(story);
  story.call("server", 700, 710, "recv", "4, \"hello\", 100, 0", {5});
  story.call("client", 1000, 1100, "close", "3");
  story.segment(1050, "client", F | A, 6, 1);
  story.segment(1200, "server", A, 1, 7);
  story.call("server", 1300, 1301, "recv", "4, \"\", 100, 0", {0});
  story.call("server", 1400, 1500, "close", "4");
  story.segment(1450, "server", F | A, 1, 7);
  story.segment(1460, "client", A, 7, 2);
  const ExplainedStory told(story);
  for (const auto& finding : told.explained.findings)
    EXPECT_LT(finding.rule->severity, Severity::warning) << finding.rule->id;
}

// The calls of its program are known, and none closes: that a segment had arrived just before is no reason for a FIN.
TEST(Closing, a_fin_that_no_call_asked_for_is_not_released_by_an_acknowledgment) {
  for (const bool closed : {true, false}) {
    StoryRecorder story;
    story.open();
    five_bytes(story);
    if (closed) story.call("client", 650, 700, "close", "3");
    story.segment(1000, "server", A, 1, 6);
    story.segment(1010, "client", F | A, 6, 1);
    const ExplainedStory told(story);
    const auto& segments = told.explained.timeline.segments;
    const auto& fin = segments.back();
    EXPECT_EQ(fin.cause.trigger == timeline::Trigger::segment, closed) << fin.cause.rule;
  }
}

}  // namespace
}  // namespace tcpwhy::explain
