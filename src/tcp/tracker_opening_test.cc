// The observer's tracker: how a connection opens, and where a new one begins between the same addresses.
#include <gtest/gtest.h>

#include "tcp/testing/story.h"

namespace tcpwhy::tcp {
namespace {

using namespace tcp::testing;

TEST(TrackerOpening, handshake_tells_who_opened_and_how_long_it_took) {
  Story story;
  EXPECT_EQ(story.c(S, 0).kind, Kind::syn);
  EXPECT_EQ(story.states(), States(State::syn_sent, State::not_seen));
  EXPECT_EQ(story.s(S | A, 0, 1).kind, Kind::syn_ack);
  EXPECT_EQ(story.states(),
            States(State::syn_sent, State::syn_received));  // that it arrived, the wire does not show yet
  EXPECT_EQ(story.c(A, 1, 1).kind, Kind::ack);
  EXPECT_EQ(story.states(), States(State::established, State::established));
  EXPECT_EQ(story.tracker.listener_rtt_ns(), 10 * ms);
  EXPECT_EQ(story.tracker.opener_rtt_ns(), 10 * ms);
  EXPECT_EQ(story.tracker.opener(), EndIndex::first);
}

TEST(TrackerOpening, syn_again_is_a_retransmission_by_the_handshake_timer) {
  Story story;
  story.c(S, 0);
  story.wait(1000 * ms);
  const Verdict again = story.c(S, 0);
  EXPECT_EQ(again.kind, Kind::retransmission);
  EXPECT_EQ(again.reason, RetransmissionReason::syn);
}

TEST(TrackerOpening, syn_ack_captured_before_its_syn_does_not_confuse_the_roles) {
  Story story;
  story.send(EndIndex::second, S | A, 0, 1, 0, {});
  EXPECT_EQ(story.c(S, 0).kind, Kind::syn);
  EXPECT_FALSE(story.anew());
  EXPECT_EQ(story.c(A, 1, 1).kind, Kind::ack);
  EXPECT_EQ(story.tracker.opener(), EndIndex::first);
  EXPECT_EQ(story.states(), States(State::established, State::established));
}

TEST(TrackerOpening, simultaneous_open) {
  Story story;
  story.c(S, 0);
  EXPECT_TRUE(story.s(S, 0).has(mark::simultaneous_open));
  EXPECT_EQ(story.c(S | A, 0, 1).kind, Kind::syn_ack);
  EXPECT_EQ(story.states(), States(State::syn_received, State::syn_sent));
  story.s(S | A, 0, 1);
  EXPECT_EQ(story.states(), States(State::established, State::established));
}

TEST(TrackerOpening, split_handshake_acknowledges_first_and_sends_its_syn_afterwards) {
  Story story;
  story.c(S, 0);
  story.s(A, 0, 1);
  EXPECT_TRUE(story.s(S, 0).has(mark::split_handshake));
}

TEST(TrackerOpening, data_on_the_syn_is_fast_open) {
  Story story;
  const Verdict syn = story.c(S, 0, 0, 100);
  EXPECT_TRUE(syn.has(mark::fast_open));
  story.s(S | A, 0, 101);
  EXPECT_EQ(story.tracker.end(EndIndex::first).bytes, 100U);
  EXPECT_EQ(story.tracker.end(EndIndex::first).snd_una, 101);
}

TEST(TrackerOpening, refused) {
  Story story;
  story.c(S, 0);
  const Verdict reset = story.send(EndIndex::second, R | A, 0, 1, 0, {.window = 0});
  EXPECT_EQ(reset.reset_cause, ResetCause::refused);
  EXPECT_TRUE(reset.has(mark::assumed));  // a firewall may say the same
  EXPECT_EQ(story.states().first, State::closed);
}

TEST(TrackerOpening, reset_that_does_not_acknowledge_the_syn_refuses_nothing) {
  Story story;
  story.c(S, 0);
  EXPECT_EQ(story.send(EndIndex::second, R | A, 0, 77, 0, {}).illegality, Illegality::reset_in_syn_sent);
  EXPECT_EQ(story.states().first, State::syn_sent);
}

TEST(TrackerOpening, syn_ack_for_another_syn_is_answered_by_a_reset_and_the_attempt_goes_on) {
  Story story;
  story.c(S, 0);
  EXPECT_EQ(story.s(S | A, 0, 5000).illegality, Illegality::ack_in_syn_sent);
  const Verdict reset = story.c(R, 5000);
  EXPECT_EQ(reset.kind, Kind::reset);
  EXPECT_EQ(reset.reset_cause, ResetCause::bad_ack);
  EXPECT_EQ(story.states().first, State::syn_sent);
  EXPECT_EQ(story.tracker.reset().cause, ResetCause::none);
}

TEST(TrackerOpening, a_connection_that_was_open_before_the_capture) {
  Story story;
  EXPECT_EQ(story.c(A, 500, 700, 10).kind, Kind::data);
  EXPECT_EQ(story.s(A, 700, 510).kind, Kind::ack);
  EXPECT_EQ(story.states(), States(State::established, State::established));
  EXPECT_FALSE(story.tracker.opener_known());
  EXPECT_EQ(story.tracker.end(EndIndex::first).bytes, 10U);
}

TEST(TrackerOpening, a_listener_that_repeats_its_syn_ack_has_not_got_the_ack) {
  Story story;
  story.handshake();
  story.wait(1000 * ms);
  story.s(S | A, 0, 1);
  EXPECT_EQ(story.tracker.end(EndIndex::second).state, State::syn_received);
  EXPECT_EQ(story.tracker.end(EndIndex::second).needless, 0U);
  story.c(A, 1, 1);
  EXPECT_EQ(story.tracker.end(EndIndex::second).state, State::syn_received);
  story.s(A, 1, 1, 10);
  EXPECT_EQ(story.tracker.end(EndIndex::second).state, State::established);
}

TEST(TrackerReuse, a_syn_in_a_connection_is_illegal_until_a_syn_ack_takes_it) {
  Story story;
  story.handshake();
  EXPECT_EQ(story.c(S, 70'000).illegality, Illegality::syn_in_connection);
  EXPECT_FALSE(story.anew());
  EXPECT_EQ(story.s(A, 1, 1).kind, Kind::challenge_ack);
  EXPECT_FALSE(story.anew());
  story.s(S | A, 90'000, 70'001);
  EXPECT_TRUE(story.anew());
  ASSERT_NE(story.tracker.pending_syn(), nullptr);
}

TEST(TrackerOpening, a_syn_ack_behind_a_repeated_syn_answers_it_and_another_is_the_timers) {
  Story story;
  story.c(S, 0), story.s(S | A, 0, 1);
  story.wait(1000 * ms);
  EXPECT_EQ(story.c(S, 0).reason, RetransmissionReason::syn);
  EXPECT_EQ(story.s(S | A, 0, 1).reason, RetransmissionReason::syn_again);
  story.wait(1000 * ms);
  EXPECT_EQ(story.s(S | A, 0, 1).reason, RetransmissionReason::syn);
}

TEST(TrackerReuse, a_new_number_behind_the_close_begins_anew) {
  Story story;
  story.handshake();
  story.c(F | A, 1, 1), story.s(F | A, 1, 2), story.c(A, 2, 2);
  story.c(S, 100'000);
  EXPECT_TRUE(story.anew());
}

TEST(TrackerReuse, a_syn_with_another_number_than_was_acknowledged_begins_anew) {
  Story story;
  story.s(A, 2, 2);
  story.c(S, 900'000);
  EXPECT_TRUE(story.anew());
  Story same;
  same.s(S | A, 0, 101);
  same.c(S, 0, 0, 100);  // with data, captured behind its answer
  EXPECT_FALSE(same.anew());
}

}  // namespace
}  // namespace tcpwhy::tcp
