// The observer's tracker: the close, resets, and what moves nothing.
#include <gtest/gtest.h>

#include "tcp/testing/story.h"

namespace tcpwhy::tcp {
namespace {

using namespace tcp::testing;

TEST(TrackerClosing, close_by_the_client) {
  Story story;
  story.handshake();
  EXPECT_EQ(story.c(F | A, 1, 1).kind, Kind::fin);
  EXPECT_EQ(story.states(), States(State::fin_wait_1, State::established));
  EXPECT_TRUE(story.s(A, 1, 2).has(mark::answers_fin));
  EXPECT_EQ(story.states(), States(State::fin_wait_2, State::close_wait));
  story.s(F | A, 1, 2);
  EXPECT_EQ(story.states(), States(State::fin_wait_2, State::last_ack));
  story.c(A, 2, 2);
  EXPECT_EQ(story.states(), States(State::time_wait, State::closed));
  EXPECT_EQ(story.tracker.first_closer(), EndIndex::first);
  EXPECT_TRUE(story.tracker.is_over());
}

TEST(TrackerClosing, fins_that_cross) {
  Story story;
  story.handshake();
  story.c(F | A, 1, 1), story.s(F | A, 1, 1);
  story.c(A, 2, 2);
  EXPECT_EQ(story.states().first, State::closing);
  story.s(A, 2, 2);
  EXPECT_EQ(story.states(), States(State::time_wait, State::time_wait));
}

TEST(TrackerReset, data_after_close) {
  Story story;
  story.handshake();
  story.s(F | A, 1, 1), story.c(A, 1, 2);
  story.c(A, 1, 2, 50);
  const Verdict reset = story.send(EndIndex::second, R, 2, 0, 0, {.window = 0});
  EXPECT_EQ(reset.reset_cause, ResetCause::data_after_close);
  EXPECT_FALSE(reset.has(mark::assumed));
}

TEST(TrackerReset, without_data_ever_received_an_active_reset_is_no_unread_data) {
  Story story;
  story.handshake();
  story.c(A, 1, 1, 10), story.s(A, 1, 11);
  EXPECT_EQ(story.c(R | A, 11, 1).reset_cause, ResetCause::aborted);
  Story unread;
  unread.handshake();
  unread.c(A, 1, 1, 10);
  const Verdict reset = unread.s(R | A, 1, 11);
  EXPECT_EQ(reset.reset_cause, ResetCause::unread_data);
  EXPECT_TRUE(reset.has(mark::assumed));
}

TEST(TrackerReset, keep_alives_without_answer) {
  Story story;
  story.handshake();
  for (int i = 0; i < 3; ++i) story.c(A, 0, 1);
  EXPECT_EQ(story.c(R | A, 1, 1).reset_cause, ResetCause::keep_alive_gave_up);
}

TEST(TrackerReset, somebody_who_goes_on_after_his_reset_did_not_send_it) {
  Story story;
  story.handshake();
  story.c(A, 1, 1, 10);
  story.send(EndIndex::second, R, 1, 0, 0, {});
  EXPECT_EQ(story.tracker.reset().cause, ResetCause::no_connection);
  story.s(A, 1, 11, 20);
  EXPECT_EQ(story.tracker.reset().cause, ResetCause::third_party);
}

TEST(TrackerReset, of_an_idle_connection_is_no_unread_data) {
  Story story;
  story.handshake();
  story.c(A, 1, 1, 10), story.s(A, 1, 11);
  story.wait(30'000 * ms);
  const Verdict reset = story.s(R | A, 1, 11);
  EXPECT_EQ(reset.reset_cause, ResetCause::idle);
  EXPECT_TRUE(reset.has(mark::assumed));
  EXPECT_GE(story.tracker.reset().idle_ns, 30'000 * ms);
}

TEST(TrackerReset, of_a_connection_of_which_nothing_else_was_seen_is_assumed) {
  Story story;
  EXPECT_TRUE(story.s(R | A, 1, 1).has(mark::assumed));
}

// The peer's data crossed the FIN; what is answered is its own FIN.
TEST(TrackerReset, data_that_was_never_acknowledged_came_after_the_close) {
  for (const bool lost : {true, false}) {
    Story story;
    story.handshake();
    story.s(F | A, 1, 1);
    if (lost) story.c(A, 1, 1, 50);
    story.c(F | A, lost ? 51 : 1, 1);
    const Verdict reset = story.send(EndIndex::second, R, 1, 0, 0, {.window = 0});
    EXPECT_EQ(reset.reset_cause, lost ? ResetCause::data_after_close : ResetCause::late_after_close);
  }
}

TEST(TrackerReset, that_answers_an_older_segment_in_flight_is_not_illegal) {
  Story story;
  story.handshake();
  story.s(A, 1, 1, 100), story.c(A, 1, 101);
  story.s(F | A, 101, 1);
  story.c(A, 1, 101, 50), story.c(A, 51, 102, 50);
  const Verdict older = story.send(EndIndex::second, R, 101, 0, 0, {.window = 0});
  EXPECT_EQ(older.kind, Kind::reset);
  EXPECT_EQ(older.reset_cause, ResetCause::data_after_close);
  EXPECT_FALSE(older.receiver.happened()) << "its receiver expects another number";
  EXPECT_TRUE(story.send(EndIndex::second, R, 102, 0, 0, {.window = 0}).receiver.happened());
}

TEST(TrackerClosing, bsd_repeats_its_fin_in_the_ack_of_the_peers) {
  Story story;
  story.handshake();
  story.c(F | A, 1, 1), story.s(F | A, 1, 2);
  const Verdict last = story.c(F | A, 1, 2);
  EXPECT_EQ(last.kind, Kind::ack);
  EXPECT_TRUE(last.has(mark::with_fin));
  EXPECT_EQ(story.tracker.end(EndIndex::first).retransmissions, 0U);
}

TEST(TrackerClosing, a_fin_that_is_repeated_and_answered_each_time_is_not_unanswered) {
  Story story;
  story.handshake();
  story.c(F | A, 1, 1), story.s(A, 1, 2), story.s(F | A, 1, 2), story.c(A, 2, 2);
  const End& listener = story.tracker.end(EndIndex::second);
  for (int i = 0; i < 4; ++i) {
    story.wait(200 * ms);
    story.s(F | A, 1, 2);
    EXPECT_EQ(listener.state, State::last_ack);
    story.c(A, 2, 2);
    EXPECT_EQ(listener.unanswered_resends, 0);
    EXPECT_EQ(listener.state, i == 0 ? State::closed : State::last_ack)
        << "one ACK may get lost; one after the other don't get through";
  }
}

TEST(TrackerIllegal, a_reset_in_the_window_earns_a_challenge_ack_and_outside_nothing) {
  Story story;
  story.handshake();
  EXPECT_EQ(story.c(R, 500).illegality, Illegality::reset_in_window);
  EXPECT_EQ(story.s(A, 1, 1).kind, Kind::challenge_ack);
  EXPECT_EQ(story.c(R, 50'000).illegality, Illegality::reset_out_of_window);
  EXPECT_EQ(story.states(), States(State::established, State::established));
}

TEST(TrackerIllegal, impossible_flags_move_nothing) {
  Story story;
  story.handshake();
  for (const std::uint16_t flags : {std::uint16_t(S | F), std::uint16_t(S | R), std::uint16_t(F), std::uint16_t(0)})
    EXPECT_EQ(story.c(flags, 1, 1).illegality, Illegality::flags);
  EXPECT_EQ(story.states(), States(State::established, State::established));
}

// RFC 9293 3.10.7.3: a reset answers a wrong ACK with that ACK's number; what carried no ACK has none, though its field may say 0.
TEST(TrackerIllegal, a_segment_without_ack_has_no_number_for_a_reset_to_answer) {
  Story story(0, 0);
  story.handshake();
  EXPECT_EQ(story.s(0, 0).illegality, Illegality::flags);
  EXPECT_EQ(story.c(R, 0).kind, Kind::illegal);
}

TEST(TrackerCloser, of_a_capture_that_begins_behind_a_fin_nobody_is_the_first) {
  Story story;
  story.c(A, 2, 1);  // its FIN may stand before
  EXPECT_TRUE(story.s(F | A, 1, 2).has(mark::assumed));
  story.c(A, 2, 2);
  EXPECT_EQ(story.states(), States(State::not_seen, State::not_seen));
  EXPECT_EQ(story.tracker.first_closer(), std::nullopt);
}

TEST(TrackerCloser, who_sends_data_behind_the_others_fin_had_not_closed) {
  Story story;
  story.c(A, 2, 1), story.s(F | A, 1, 2), story.c(A, 2, 2);
  story.c(A, 2, 2, 10);
  EXPECT_EQ(story.tracker.first_closer(), EndIndex::second);
  EXPECT_EQ(story.states(), States(State::close_wait, State::fin_wait_2));
  story.c(F | A, 12, 2), story.s(A, 2, 13);
  EXPECT_EQ(story.states(), States(State::closed, State::time_wait));
}

TEST(TrackerCloser, a_fin_that_acknowledges_the_fin_behind_it_is_the_second) {
  Story story;
  story.handshake();
  story.s(F | A, 1, 2);  // captured before what it acknowledges
  EXPECT_EQ(story.tracker.first_closer(), std::nullopt);
  story.c(F | A, 1, 1);
  EXPECT_EQ(story.tracker.first_closer(), EndIndex::first);
  EXPECT_EQ(story.states(), States(State::fin_wait_2, State::last_ack));
  story.c(A, 2, 2);
  EXPECT_EQ(story.states(), States(State::time_wait, State::closed));
}

TEST(TrackerCloser, who_knows_no_such_connection_was_not_the_first_to_close_it) {
  Story story;
  story.s(A, 1, 1, 10);
  EXPECT_EQ(story.c(R, 1).reset_cause, ResetCause::no_connection);
  EXPECT_EQ(story.tracker.first_closer(), std::nullopt);
}

}  // namespace
}  // namespace tcpwhy::tcp
