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
  EXPECT_TRUE(story.tracker.closed_at_once());
  EXPECT_EQ(story.tracker.first_closer(), std::nullopt) << "which was first depends on where the tap is";
}

// The first FIN was lost behind the tap: the second came long after, by itself.
TEST(TrackerClosing, a_fin_that_comes_late_did_not_cross_the_first) {
  Story story;
  story.handshake();
  story.c(A, 1, 1, 10), story.s(A, 1, 11);
  story.c(F | A, 11, 1);
  story.wait(2000 * ms);
  story.s(F | A, 1, 11);
  EXPECT_FALSE(story.tracker.closed_at_once());
  EXPECT_EQ(story.tracker.first_closer(), EndIndex::first);
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

// The answers were lost on the way back: the prober resets when its next probe is due.
TEST(TrackerReset, keep_alives_whose_answers_did_not_arrive) {
  for (const std::int64_t wait_ns : {1000 * ms, 400 * ms}) {
    Story story;
    story.handshake();
    story.c(A, 1, 1, 10), story.s(A, 1, 11), story.s(A, 1, 11, 10), story.c(A, 11, 11);
    for (int i = 0; i < 3; ++i) story.wait(980 * ms), story.c(A, 10, 11), story.s(A, 11, 11);
    story.wait(wait_ns - 20 * ms);
    const Verdict reset = story.c(R | A, 11, 11);
    EXPECT_EQ(reset.reset_cause == ResetCause::keep_alive_gave_up, wait_ns == 1000 * ms) << wait_ns;
    EXPECT_TRUE(reset.has(mark::assumed));
  }
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

TEST(TrackerReset, by_somebody_else_says_by_what_sign) {
  Story went_on;
  went_on.handshake();
  went_on.c(A, 1, 1, 10);
  went_on.s(R | A, 1, 11), went_on.s(A, 1, 11, 20);
  EXPECT_EQ(went_on.tracker.reset().sign, ResetSign::went_on);
  Story ttl;
  ttl.handshake();
  ttl.s(A, 1, 1, 10), ttl.c(A, 1, 11);
  ttl.send(EndIndex::second, R | A, 11, 1, 0, {.ttl = 101});
  EXPECT_EQ(ttl.tracker.reset().cause, ResetCause::third_party);
  EXPECT_EQ(ttl.tracker.reset().sign, ResetSign::ttl);
}

TEST(TrackerReset, by_somebody_else_harms_nothing_when_both_had_closed) {
  for (const bool closed : {true, false}) {
    Story story;
    story.handshake();
    story.c(F | A, 1, 1), story.s(F | A, 1, 2);
    if (closed) story.c(A, 2, 2);
    story.wait(200 * ms);
    const Verdict reset = story.send(EndIndex::second, R, 2, 0, 0, {.ttl = 101});
    EXPECT_EQ(reset.reset_cause, closed ? ResetCause::third_party_late : ResetCause::third_party);
  }
}

// Who goes on behind it shows that it was another's, and not that it did harm.
TEST(TrackerReset, by_somebody_else_behind_the_close_stays_that_when_its_end_goes_on) {
  for (const std::uint8_t ttl : {std::uint8_t{101}, std::uint8_t{64}}) {
    Story story;
    story.handshake();
    for (std::uint16_t i = 0; i < 4; ++i)
      story.send(EndIndex::second, A, 1 + 5 * i, 1, 5, {.ip_id = static_cast<std::uint16_t>(100 + i)});
    story.c(F | A, 1, 21), story.s(F | A, 21, 2), story.c(A, 2, 22);
    story.wait(200 * ms);
    story.send(EndIndex::second, R, 22, 0, 0, {.ttl = ttl});
    story.c(F | A, 1, 22), story.send(EndIndex::second, A, 22, 2, 0, {.ip_id = 104});
    const ResetSeen reset = story.tracker.reset();
    EXPECT_EQ(reset.cause, ResetCause::third_party_late);
    EXPECT_EQ(reset.sign, ttl == 64 ? ResetSign::went_on : ResetSign::ttl);
  }
}

// RFC 9293 3.5.1: a host that was restarted opens anew, and is told of the old connection.
TEST(TrackerReset, by_who_has_opened_another_connection_is_of_one_it_does_not_know) {
  Story story;
  story.handshake();
  story.c(A, 1, 1, 10), story.s(A, 1, 11);
  story.wait(60'000 * ms);
  story.c(S, 70'000), story.s(A, 1, 11);
  const Verdict reset = story.c(R | A, 11, 1);
  EXPECT_EQ(reset.reset_cause, ResetCause::no_connection);
  EXPECT_EQ(story.tracker.reset().sign, ResetSign::own_syn);
}

TEST(TrackerReset, whose_ip_id_begins_anew_answers_for_a_host_that_was_restarted) {
  for (const bool anew : {true, false}) {
    Story story;
    story.handshake();
    for (std::uint16_t i = 0; i < 5; ++i)
      story.send(EndIndex::first, A, 1 + 5 * i, 1, 5, {.ip_id = static_cast<std::uint16_t>(200 + i)});
    story.s(A, 1, 26);
    story.wait(600'000 * ms);
    story.s(F | A, 1, 26);
    const std::uint16_t next = anew ? 20 : 205;
    EXPECT_EQ(story.send(EndIndex::first, R | A, 26, 2, 0, {.ip_id = next}).reset_cause,
              anew ? ResetCause::no_connection : ResetCause::aborted);
    EXPECT_EQ(story.tracker.reset().sign, anew ? ResetSign::ip_id_back : ResetSign::usual);
  }
}

// The handshake took 400 ms to the listener and back; this answer comes after 10, from another distance.
TEST(TrackerReset, that_comes_sooner_than_its_sender_can_answer_is_somebody_elses) {
  for (const bool soon : {true, false}) {
    Story story;
    story.c(S, 0), story.wait(390 * ms), story.s(S | A, 0, 1), story.c(A, 1, 1);
    story.c(A, 1, 1, 10);
    if (!soon) story.wait(390 * ms);
    const Verdict reset = story.send(EndIndex::second, R, 1, 0, 0, {.ttl = 101});
    EXPECT_EQ(reset.reset_cause, soon ? ResetCause::third_party : ResetCause::no_connection);
    EXPECT_TRUE(reset.has(mark::assumed));
    EXPECT_EQ(story.tracker.reset().sign, soon ? ResetSign::too_soon : ResetSign::usual);
  }
}

TEST(TrackerReset, behind_a_fin_that_was_sent_again_and_again_gives_up) {
  for (const int times : {1, 4}) {
    Story story;
    story.handshake();
    story.c(A, 1, 1, 10), story.s(A, 1, 11, 10), story.c(A, 11, 11);
    for (int i = 0; i <= times; ++i) story.c(F | A, 11, 11), story.wait(1000 * ms);
    story.wait(2000 * ms);
    EXPECT_EQ(story.c(R | A, 12, 11).reset_cause, times > 1 ? ResetCause::gave_up : ResetCause::let_go);
  }
}

TEST(TrackerReset, that_answers_what_was_not_captured_says_so) {
  Story story;
  story.handshake();
  story.c(A, 1, 1, 10), story.s(A, 1, 11, 10);
  story.send(EndIndex::second, R, 8, 0, 0, {});
  EXPECT_NE(story.tracker.reset().sign, ResetSign::usual);
}

// A late copy of the SYN opens the listener's half once more; RFC 9293 3.5, figure 8.
TEST(TrackerIllegal, a_syn_ack_with_another_number_is_not_the_first_one_again) {
  Story story;
  story.handshake();
  story.c(F | A, 1, 1), story.s(F | A, 1, 2), story.c(A, 2, 2);
  story.wait(1000 * ms);
  const Verdict other = story.s(S | A, 5'000'000, 1);
  EXPECT_EQ(other.illegality, Illegality::another_syn_ack);
  EXPECT_EQ(story.c(A, 2, 2).kind, Kind::challenge_ack);
  EXPECT_EQ(story.send(EndIndex::second, R, 2, 0, 0, {}).reset_cause, ResetCause::late_after_close);
  EXPECT_EQ(story.tracker.end(EndIndex::second).retransmissions, 0U);
  Story same;
  same.handshake();
  same.wait(1000 * ms);
  EXPECT_EQ(same.s(S | A, 0, 1).reason, RetransmissionReason::syn);
}

// A kernel that has both to send may send the acknowledgment last, and the network may turn them round.
TEST(TrackerReset, what_left_with_the_reset_is_no_word_against_it) {
  const auto with = [](Story::Extra reset, Story::Extra after, std::int64_t wait_ns, std::uint32_t seq = 21,
                       std::uint32_t length = 0) {
    Story story;
    story.handshake();
    for (std::uint16_t i = 0; i < 4; ++i)
      story.send(EndIndex::second, A, 1 + 5 * i, 1, 5, {.ip_id = static_cast<std::uint16_t>(100 + i)});
    story.c(A, 1, 21, 10);
    story.send(EndIndex::second, R, 21, 0, 0, reset);
    story.wait(wait_ns - 10 * ms);
    story.send(EndIndex::second, A, seq, 1, length, after);
    return story.tracker.reset().cause;
  };
  const auto third = ResetCause::third_party;
  EXPECT_EQ(with({}, {.ip_id = 104}, 5 * ms), third) << "an ACK, numbered behind all that it sent";
  EXPECT_NE(with({}, {.ip_id = 104}, ms / 30), third) << "in the same moment";
  EXPECT_NE(with({.ip_id = 105}, {.ip_id = 104}, 5 * ms), third) << "numbered before the reset";
  EXPECT_EQ(with({}, {.ip_id = 104}, ms / 30, 21, 30), third) << "data behind the reset";
  EXPECT_EQ(with({}, {}, 1000 * ms, 21, 30), third);
  EXPECT_NE(with({}, {.ttl = 60}, 1000 * ms, 21, 30), third) << "of somebody else";
  EXPECT_NE(with({.ip_id = 104}, {.ip_id = 1}, 1000 * ms, 21, 30), third) << "the reset is its own, by number and TTL";
}

// Its number and its TTL speak for an end; another TTL alone does not speak against it.
TEST(TrackerReset, that_is_numbered_as_the_next_of_its_end_is_its_own) {
  for (const bool next : {true, false}) {
    Story story;
    story.handshake();
    for (std::uint16_t i = 0; i < 4; ++i)
      story.send(EndIndex::second, A, 1 + 5 * i, 1, 5, {.ip_id = static_cast<std::uint16_t>(100 + i)});
    const std::uint16_t ip_id = next ? 104 : 40'000;
    const Verdict reset = story.send(EndIndex::second, R | A, 21, 1, 0, {.ip_id = ip_id, .ttl = 128});
    EXPECT_EQ(reset.reset_cause == ResetCause::third_party, !next);
  }
}

// A close() in place of a FIN leaves no FIN.
TEST(TrackerReset, behind_its_own_fin_is_no_close_with_unread_data) {
  Story both;  // nobody is harmed
  both.handshake();
  both.c(A, 1, 1, 10), both.s(A, 1, 11, 20), both.s(F | A, 21, 11), both.c(A, 11, 22), both.c(F | A, 11, 22);
  const Verdict let_go = both.c(R | A, 12, 22);
  EXPECT_EQ(let_go.reset_cause, ResetCause::let_go);
  EXPECT_TRUE(let_go.has(mark::assumed));
  for (const bool acknowledged_by_reset : {true, false}) {  // Windows does
    Story late;
    late.handshake();
    late.c(F | A, 1, 1), late.s(A, 1, 2, 50), late.s(F | A, 51, 2);
    EXPECT_EQ(late.c(R | A, 2, acknowledged_by_reset ? 51 : 1).reset_cause, ResetCause::data_after_close);
  }
  Story half;  // it had shut down one direction and took data since
  half.handshake();
  half.c(F | A, 1, 1), half.s(A, 1, 2, 50), half.c(A, 2, 51);
  EXPECT_EQ(half.c(R | A, 2, 51).reset_cause, ResetCause::aborted);
}

// Of one direction the acknowledgment of the reset tells that something came.
TEST(TrackerReset, that_acknowledges_what_came_behind_its_own_fin) {
  for (const std::uint32_t came : {0U, 1U, 500U}) {
    Story story;
    story.c(S, 0), story.c(A, 1, 1), story.c(A, 1, 1, 100), story.c(A, 101, 1001), story.c(F | A, 101, 1001);
    const Verdict reset = story.c(R | A, 102, 1001 + came);
    EXPECT_EQ(reset.reset_cause, came > 1 ? ResetCause::data_after_close : ResetCause::aborted)
        << came << ": whether what it sent had arrived nothing tells";
  }
}

// The client has its answer and the end of file: what it left unread are the last words of who closed. Who is asked and resets harms.
TEST(TrackerReset, of_a_client_that_was_served_harms_nobody) {
  for (const bool by_client : {true, false}) {
    Story story;
    story.handshake();
    const auto asks = by_client ? EndIndex::first : EndIndex::second, answers = opposite(asks);
    const auto send = [&](EndIndex from, std::uint16_t flags, std::uint32_t seq, std::uint32_t ack,
                          std::uint32_t length = 0) { return story.send(from, flags, seq, ack, length, {}); };
    send(asks, A, 1, 1, 10), send(answers, A, 1, 11, 300), send(answers, F | A, 301, 11), send(asks, A, 11, 302);
    EXPECT_EQ(send(asks, R | A, 11, 302).reset_cause, by_client ? ResetCause::let_go : ResetCause::unread_data);
  }
}

// Windows and macOS reset when the timer has run out for the last time.
TEST(TrackerReset, at_the_end_of_a_series_of_retransmissions_is_giving_up) {
  for (const bool one_way : {true, false}) {
    const auto told = [one_way](int times, std::int64_t last_wait_ns) {
      Story story;
      if (one_way) {
        story.c(A, 1, 1, 400);
      } else {
        story.handshake(), story.s(A, 1, 1, 50), story.c(A, 1, 51, 400);
      }
      std::int64_t wait_ns = 300 * ms;
      for (int i = 0; i < times; ++i, wait_ns *= 2) story.wait(wait_ns), story.c(A, 1, one_way ? 1 : 51, 400);
      story.wait(last_wait_ns == 0 ? wait_ns : last_wait_ns);
      return story.c(R | A, 401, one_way ? 1 : 51).reset_cause;
    };
    EXPECT_EQ(told(4, 0), ResetCause::gave_up);
    EXPECT_NE(told(1, 2000 * ms), ResetCause::gave_up) << "one is no series";
    EXPECT_NE(told(4, 100 * ms), ResetCause::gave_up) << "in the middle of it";
  }
}

// It answers nothing: what it could have answered came long before.
TEST(TrackerReset, behind_a_long_silence_is_no_answer_to_a_stranger) {
  for (const bool at_once : {true, false}) {
    Story story;
    story.handshake();
    story.c(A, 1, 1, 10), story.s(A, 1, 11, 20), story.c(A, 11, 21);
    if (!at_once) story.wait(9000 * ms);
    EXPECT_EQ(story.s(R, 21).reset_cause, at_once ? ResetCause::no_connection : ResetCause::idle);
  }
  Story unanswered;
  unanswered.handshake();
  unanswered.c(A, 1, 1, 10);
  unanswered.wait(1800 * ms);
  EXPECT_EQ(unanswered.s(R, 1).reset_cause, ResetCause::aborted);
}

// All that was sent had been acknowledged long before.
TEST(TrackerReset, long_after_both_fins_answers_no_data) {
  Story story;
  story.handshake();
  story.s(A, 1, 1, 50), story.s(F | A, 51, 1), story.c(A, 1, 52), story.c(F | A, 1, 52), story.s(A, 52, 2);
  story.c(A, 2, 52);
  story.wait(3000 * ms);
  const Verdict reset = story.s(R, 52);
  EXPECT_EQ(reset.reset_cause, ResetCause::let_go);
  EXPECT_TRUE(reset.has(mark::assumed));
}

TEST(TrackerReset, of_the_same_number_again_is_as_the_one_before) {
  Story story;
  story.s(S | A, 0, 1);
  story.c(R, 187);
  for (int i = 0; i < 3; ++i) EXPECT_NE(story.c(R, 187).kind, Kind::illegal);
  EXPECT_EQ(story.c(R, 500).kind, Kind::illegal);
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
  for (const std::uint16_t flags : {std::uint16_t(R), std::uint16_t(R | A)}) {
    Story story;
    const Verdict reset = story.s(flags, 1, 1);
    EXPECT_TRUE(reset.has(mark::assumed));
    EXPECT_EQ(reset.reset_cause, ResetCause::alone);
    EXPECT_EQ(story.tracker.first_closer(), std::nullopt);
  }
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

// A copy that was late, or an ACK: captured behind the place where the network made it, or not at all.
TEST(TrackerReset, of_what_comes_when_all_had_been_acknowledged_costs_no_data) {
  for (const bool copy_captured : {true, false}) {
    Story story;
    story.handshake();
    story.c(A, 1, 1, 100), story.c(A, 101, 1, 100), story.c(F | A, 201, 1);
    story.s(F | A, 1, 202), story.c(A, 202, 2);
    story.wait(300 * ms);
    if (copy_captured) story.c(A, 101, 1, 100);
    const Verdict reset = story.send(EndIndex::second, R, copy_captured ? 1 : 2, 0, 0, {.window = 0});
    EXPECT_EQ(reset.reset_cause, ResetCause::late_after_close) << copy_captured;
    EXPECT_FALSE(reset.has(mark::assumed)) << copy_captured;
  }
}

// The peer had not closed: data may have come.
TEST(TrackerReset, after_the_close_of_one_side_what_was_answered_may_have_been_data) {
  Story story;
  story.handshake();
  story.c(A, 1, 1, 100), story.s(A, 1, 101), story.s(F | A, 1, 101), story.c(A, 101, 2);
  story.wait(500 * ms);
  const Verdict reset = story.send(EndIndex::second, R, 2, 0, 0, {.window = 0});
  EXPECT_EQ(reset.reset_cause, ResetCause::data_after_close);
  EXPECT_TRUE(reset.has(mark::assumed));
}

// Each segment that was on its way is answered, the first ones with an older number; a reset in its name had ended the client's connection.
TEST(TrackerReset, those_that_answer_what_was_on_its_way_are_no_aborts) {
  Story story;
  story.handshake();
  EXPECT_EQ(story.send(EndIndex::first, R | A, 14, 1, 0, {.ttl = 101}).kind, Kind::illegal);
  story.s(A, 1, 1);
  story.c(A, 1, 1, 13), story.s(A, 1, 14), story.s(A, 1, 14, 100);
  const Verdict older = story.send(EndIndex::first, R, 1, 0, 0, {.window = 0});
  EXPECT_EQ(older.kind, Kind::reset);
  EXPECT_EQ(older.reset_cause, ResetCause::no_connection);
  EXPECT_TRUE(older.has(mark::assumed));
  EXPECT_FALSE(older.receiver.happened()) << "its receiver expects another number";
  const Verdict next = story.send(EndIndex::first, R, 14, 0, 0, {.window = 0});
  EXPECT_EQ(next.reset_cause, ResetCause::after_reset);
  EXPECT_TRUE(next.receiver.happened());
}

TEST(TrackerReset, with_the_number_of_an_answer_it_answers_what_crossed_an_ack) {
  for (const bool of_an_answer : {true, false}) {
    Story story;
    const auto c = [&](std::uint16_t flags, std::uint32_t seq, std::uint32_t ack, std::uint32_t length,
                       std::uint16_t id) { story.send(EndIndex::first, flags, seq, ack, length, {.ip_id = id}); };
    c(S, 0, 0, 0, 100), story.s(S | A, 0, 1), c(A, 1, 1, 0, 101);
    c(A, 1, 1, 10, 102), story.s(A, 1, 11, 50), story.s(A, 51, 11, 50);
    c(A, 11, 51, 0, 104);
    const std::uint16_t number = of_an_answer ? 0 : 105;
    const Verdict reset = story.send(EndIndex::first, R, 11, 0, 0, {.window = 0, .ip_id = number});
    EXPECT_EQ(reset.reset_cause, of_an_answer ? ResetCause::no_connection : ResetCause::unread_data);
    EXPECT_TRUE(reset.has(mark::assumed));
  }
}

TEST(TrackerReset, of_whom_a_shut_window_kept_from_sending_its_fin) {
  for (const bool probed : {true, false}) {
    Story story;
    story.handshake();
    story.s(A, 1, 1, 1000);
    story.send(EndIndex::first, A, 1, 1001, 0, {.window = 0});
    story.wait(220 * ms);
    if (probed) story.s(A, 1000, 1);
    story.wait(2000 * ms);
    story.send(EndIndex::first, A, 1, 1001, 5, {.window = 0});
    const Verdict reset = story.send(EndIndex::second, R, 1001, 0, 0, {.window = 0});
    EXPECT_EQ(reset.reset_cause, probed ? ResetCause::data_after_unsent_fin : ResetCause::no_connection);
    EXPECT_TRUE(reset.has(mark::assumed));
  }
}

TEST(TrackerReset, of_who_still_sent_a_moment_ago_is_not_of_a_host_that_was_restarted) {
  for (const bool moment : {true, false}) {
    Story story;
    story.handshake();
    story.s(A, 1, 1, 500), story.s(A, 501, 1, 500), story.c(A, 1, 501);
    if (!moment) story.wait(30'000 * ms);
    story.c(A, 1, 501, 5);
    const Verdict reset = story.send(EndIndex::second, R, 501, 0, 0, {.window = 0});
    EXPECT_EQ(reset.reset_cause, moment ? ResetCause::data_after_unsent_fin : ResetCause::no_connection);
  }
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
