// The observer's tracker: what a capture lacks, has twice, or in another order.
#include <gtest/gtest.h>

#include "tcp/testing/story.h"

namespace tcpwhy::tcp {
namespace {

using namespace tcp::testing;
using wire::TcpTimestamps;

TEST(TrackerOneWay, the_openers_own_ack_proves_the_handshake_and_a_single_number_after_its_fin_the_close) {
  Story story;
  story.c(S, 0);
  EXPECT_EQ(story.c(A, 1, 1).kind, Kind::ack);
  EXPECT_TRUE(story.tracker.handshake_inferred());
  EXPECT_FALSE(story.tracker.handshake_complete());
  EXPECT_EQ(story.states(), States(State::established, State::established));
  story.c(A, 1, 1, 100), story.c(A, 101, 1001);
  EXPECT_EQ(story.c(F | A, 101, 1001).kind, Kind::fin);
  EXPECT_EQ(story.states().first, State::not_seen);  // the peer's FIN may have come with its data
  EXPECT_EQ(story.tracker.first_closer(), std::nullopt);
  const Verdict last = story.c(A, 102, 1002);
  EXPECT_TRUE(last.has(mark::assumed));
  EXPECT_EQ(story.states().first, State::time_wait);
  EXPECT_EQ(story.tracker.first_closer(), EndIndex::first);
  EXPECT_TRUE(story.tracker.is_one_way());
}

TEST(TrackerOneWay, a_single_number_before_its_fin_was_the_peers_fin) {
  Story story;
  story.s(S | A, 0, 1);
  EXPECT_EQ(story.states().second, State::syn_received);
  story.s(A, 1, 101);
  EXPECT_EQ(story.states(), States(State::established, State::established));
  story.s(A, 1, 101, 50), story.s(A, 51, 102);
  story.s(F | A, 51, 102);
  EXPECT_EQ(story.states().second, State::last_ack);
  EXPECT_EQ(story.tracker.first_closer(), EndIndex::first);
}

TEST(TrackerOneWay, nothing_says_why_it_was_sent_again) {
  Story story;
  story.c(S, 0), story.c(A, 1, 1), story.c(A, 1, 1, 100);
  story.wait(1000 * ms);
  EXPECT_EQ(story.c(A, 1, 1, 100).reason, RetransmissionReason::unknown);
}

TEST(TrackerOneWay, what_is_seen_of_the_peer_after_all_undoes_what_was_assumed) {
  Story story;
  story.c(S, 0), story.c(A, 1, 1), story.c(A, 1, 2), story.c(F | A, 1, 2);
  EXPECT_EQ(story.tracker.first_closer(), EndIndex::second);
  story.s(A, 2, 2, 100);  // it was a byte of data
  EXPECT_FALSE(story.tracker.end(EndIndex::second).fin_acked);
  EXPECT_FALSE(story.tracker.is_over());
}

TEST(TrackerOneWay, a_syn_that_nobody_answers_is_none) {
  Story story;
  story.c(S, 0), story.c(S, 0);
  EXPECT_FALSE(story.tracker.is_one_way());
  EXPECT_FALSE(story.tracker.handshake_inferred());
}

class Offload : public ::testing::Test {
 protected:
  Offload() { story_.handshake(); }
  Verdict s(std::uint32_t seq, std::uint32_t length, std::uint16_t ip_id, std::int64_t later_ns = 1000) {
    story_.wait(later_ns - 10 * ms);
    return story_.send(EndIndex::second, A, seq, 1, length, {.ip_id = ip_id});
  }
  Story story_;
};

TEST_F(Offload, pieces_of_a_larger_segment_are_copies) {
  EXPECT_EQ(s(1, 4344, 501, 20 * ms).kind, Kind::data);
  for (const std::uint16_t piece : std::initializer_list<std::uint16_t>{0, 1, 2}) {
    const Verdict copy = s(1 + 1448U * piece, 1448, static_cast<std::uint16_t>(501 + piece));
    EXPECT_EQ(copy.kind, Kind::duplicate);
    EXPECT_TRUE(copy.has(mark::offload_copy));
  }
  EXPECT_EQ(s(4345, 4344, 504, 20 * ms).kind, Kind::data);
}

TEST_F(Offload, what_is_put_together_of_pieces_is_a_copy) {
  s(1, 1448, 501, 20 * ms), s(1449, 1448, 502), s(2897, 1448, 503);
  const Verdict whole = s(1, 4344, 501);
  EXPECT_EQ(whole.kind, Kind::duplicate);
  EXPECT_TRUE(whole.has(mark::offload_copy));
}

TEST_F(Offload, a_part_that_is_sent_again_is_no_copy) {
  s(1, 4344, 501, 20 * ms);
  EXPECT_EQ(s(1, 1448, 502, 300 * ms).kind, Kind::retransmission);  // long after
  s(4345, 4344, 503, 20 * ms);
  EXPECT_EQ(s(4345, 1448, 520).kind, Kind::retransmission);  // soon after, but as a packet of its own
}

// Receive offload puts together what was lost and comes again too.
TEST_F(Offload, what_was_never_captured_is_no_copy) {
  s(1, 1448, 501, 20 * ms);
  EXPECT_TRUE(s(4345, 1448, 504).has(mark::gap_before));
  const Verdict whole = s(1449, 2896, 502);
  EXPECT_FALSE(whole.has(mark::offload_copy));
  EXPECT_EQ(whole.kind, Kind::reordered);
  s(5793, 0, 505);  // nothing but an acknowledgment, ahead of data
  EXPECT_TRUE(s(10137, 0, 509).has(mark::gap_before));
  EXPECT_FALSE(s(5793, 4344, 506).has(mark::offload_copy));
  EXPECT_EQ(story_.tracker.end(EndIndex::second).offload_copies, 0U);
}

TEST_F(Offload, what_lies_in_a_gap_that_was_forgotten_is_no_copy) {
  s(1, 1448, 501, 20 * ms);
  for (std::uint32_t i = 1; i <= max_gaps + 1; ++i)
    EXPECT_TRUE(s(i * 10000, 1448, static_cast<std::uint16_t>(501 + i * 7)).has(mark::gap_before));
  EXPECT_FALSE(s(1449, 2896, 502).has(mark::offload_copy));
}

TEST_F(Offload, what_lies_before_all_that_was_captured_is_no_copy) {
  Story late;
  for (std::uint16_t i = 0; i < 4; ++i) {
    late.wait(-9 * ms);
    late.send(EndIndex::second, A, 10001 + i * 1448U, 1, 1448, {.ip_id = static_cast<std::uint16_t>(505 + i)});
  }
  late.wait(-9 * ms);
  EXPECT_FALSE(late.send(EndIndex::second, A, 5657, 1, 4344, {.ip_id = 502}).has(mark::offload_copy));
}

TEST_F(Offload, without_a_number_or_stamp_nothing_tells) {
  s(1, 4344, 0, 20 * ms);
  EXPECT_EQ(s(1, 1448, 0).kind, Kind::retransmission);
}

TEST(TrackerLate, what_was_not_acknowledged_before_the_capture_is_sent_again_for_a_reason) {
  Story story;
  story.s(A, 1401, 1, 1400);  // the first that is seen: what is before it was lost
  story.c(A, 1, 1), story.c(A, 1, 1), story.c(A, 1, 1), story.c(A, 1, 1);
  const Verdict lost = story.s(A, 1, 1, 1400);
  EXPECT_FALSE(lost.has(mark::needless));
  EXPECT_TRUE(lost.has(mark::assumed));
  EXPECT_EQ(story.tracker.end(EndIndex::first).needless, 0U);
  EXPECT_EQ(story.tracker.end(EndIndex::second).snd_una, 1 - 1400);
}

TEST(TrackerLate, what_comes_from_before_the_capture_is_a_copy_only_the_second_time) {
  Story story;
  story.send(EndIndex::second, A, 1401, 1, 1400, {.ip_id = 11, .timestamps = TcpTimestamps{100, 1}});
  const Verdict first = story.send(EndIndex::second, A, 1, 1, 1400, {.ip_id = 10, .timestamps = TcpTimestamps{99, 1}});
  EXPECT_EQ(first.kind, Kind::reordered);
  EXPECT_TRUE(first.has(mark::assumed));
  EXPECT_EQ(story.send(EndIndex::second, A, 1, 1, 1400, {.ip_id = 10, .timestamps = TcpTimestamps{99, 1}}).kind,
            Kind::duplicate);
  EXPECT_EQ(story.tracker.end(EndIndex::second).bytes, 2800U);
}

TEST(TrackerLate, a_lone_segment_sent_again_may_be_a_probe_where_no_syn_tells_whether_it_may) {
  Story late;
  late.c(A, 1, 1, 100), late.s(A, 1, 101);
  late.c(A, 101, 1, 100);
  late.wait(300 * ms);
  EXPECT_EQ(late.c(A, 101, 1, 100).reason, RetransmissionReason::timeout);
  EXPECT_NE(late.tracker.marks_seen() & mark::assumed, 0U);
  Story whole;
  whole.handshake();  // without SACK, so nobody probes
  whole.c(A, 1, 1, 100), whole.s(A, 1, 101);
  whole.c(A, 101, 1, 100);
  whole.wait(300 * ms);
  EXPECT_EQ(whole.c(A, 101, 1, 100).reason, RetransmissionReason::timeout);
  EXPECT_EQ(whole.tracker.marks_seen() & mark::assumed, 0U);
}

TEST(TrackerCopies, a_syn_ack_twice_in_a_moment_is_a_copy_and_after_a_second_sent_again) {
  Story story;
  story.c(S, 0), story.s(S | A, 0, 1);
  EXPECT_EQ(story.s(S | A, 0, 1).kind, Kind::duplicate);
  story.wait(1000 * ms);
  EXPECT_EQ(story.s(S | A, 0, 1).kind, Kind::retransmission);
}

TEST(TrackerLate, a_syn_ack_that_no_timer_sent_again_answers_a_syn_that_was_not_captured) {
  Story story;
  story.handshake();
  story.wait(200 * ms);
  EXPECT_FALSE(story.s(S | A, 0, 1).has(mark::acked_before));
  story.wait(1000 * ms);
  EXPECT_TRUE(story.s(S | A, 0, 1).has(mark::acked_before));
}

TEST(TrackerCopies, text_twice_in_a_tick_that_nobody_asked_for_is_a_copy) {
  const auto story_of = [](std::uint32_t stamp_of_the_copy) {
    Story story;
    const Story::Extra first{.timestamps = TcpTimestamps{5, 1}};
    story.handshake();
    story.send(EndIndex::first, A, 1, 1, 100, first), story.send(EndIndex::first, A, 101, 1, 100, first);
    story.wait(-15 * ms);
    return story.send(EndIndex::first, A, 1, 1, 100, {.timestamps = TcpTimestamps{stamp_of_the_copy, 1}}).kind;
  };
  EXPECT_EQ(story_of(5), Kind::duplicate);
  EXPECT_EQ(story_of(6), Kind::retransmission);
}

TEST(TrackerCopies, a_copy_of_a_retransmission_is_not_the_original) {
  Story story;
  const auto c = [&](std::uint32_t seq, std::uint32_t stamp) {
    return story.send(EndIndex::first, A, seq, 1, 100, {.timestamps = TcpTimestamps{stamp, 1}}).kind;
  };
  story.handshake();
  c(1, 10), c(201, 11);
  story.s(A, 1, 101);
  story.wait(300 * ms);
  EXPECT_EQ(c(101, 400), Kind::retransmission);
  c(301, 401);
  EXPECT_EQ(c(101, 400), Kind::duplicate);
  EXPECT_EQ(c(101, 10), Kind::reordered);
}

TEST(TrackerCopies, without_a_reason_a_stamp_or_a_number_it_is_assumed_that_it_was_sent_again) {
  Story story;
  story.handshake();
  story.c(A, 1, 1, 100), story.c(A, 101, 1, 100), story.c(A, 201, 1, 100);
  const Verdict again = story.c(A, 101, 1, 100);
  EXPECT_EQ(again.reason, RetransmissionReason::unknown);
  EXPECT_TRUE(again.has(mark::assumed));
  EXPECT_EQ(story.tracker.end(EndIndex::first).trouble().assumed_resends, 1U);
  story.send(EndIndex::second, A, 1, 301, 0, {.sack = {{101, 201}}});
  EXPECT_EQ(story.tracker.end(EndIndex::first).needless, 0U);  // what came twice may be what was copied on the way
}

TEST(TrackerCopies, what_came_twice_is_no_sign_of_a_loss) {
  Story story;
  story.handshake();
  story.c(A, 1, 1, 100), story.s(A, 1, 101);
  story.c(A, 101, 1, 100);
  for (int i = 0; i < 3; ++i) story.send(EndIndex::second, A, 1, 101, 0, {.sack = {{1, 101}}});
  EXPECT_EQ(story.tracker.end(EndIndex::first).duplicate_acks, 0);
}

TEST(TrackerCopies, no_probe_comes_right_behind_what_its_sender_said) {
  Story story;
  story.handshake();
  story.c(A, 1, 1, 100), story.s(A, 1, 101), story.c(A, 101, 1);
  story.wait(-9 * ms);
  EXPECT_EQ(story.c(A, 100, 1).kind, Kind::ack);
  EXPECT_EQ(story.c(A, 100, 1).kind, Kind::keep_alive);
}

TEST(TrackerCopies, a_window_that_shuts_is_none_of_the_ack_before_it_whatever_its_ip_id) {
  Story story;
  story.handshake();
  const auto s = [&](std::uint16_t window) {
    return story.send(EndIndex::second, A, 1, 1, 0, {.window = window, .ip_id = 7}).has(mark::zero_window);
  };
  EXPECT_FALSE(s(1000));
  EXPECT_TRUE(s(0));
  EXPECT_FALSE(s(0));  // a copy
}

TEST(TrackerCopies, an_answer_to_another_syn_that_was_captured_twice_counts_once) {
  Story story;
  story.c(S, 0);
  for (int i = 0; i < 2; ++i) EXPECT_EQ(story.s(S | A, 0, 70'000).kind, Kind::illegal);
  EXPECT_EQ(story.tracker.end(EndIndex::second).illegal, 1U);
}

TEST(TrackerCopies, a_reset_with_another_ttl_that_comes_again_is_nobody_elses) {
  Story story;
  story.handshake();
  story.c(A, 1, 1), story.s(A, 1, 1), story.c(A, 1, 1), story.s(A, 1, 1);
  EXPECT_EQ(story.send(EndIndex::first, R | A, 1, 1, 0, {.ttl = 64}).reset_cause, ResetCause::aborted);
  story.wait(-9 * ms);
  EXPECT_EQ(story.send(EndIndex::first, R | A, 1, 1, 0, {.ttl = 63}).kind, Kind::duplicate);
}

TEST(TrackerCopies, what_is_answered_or_comes_long_after_was_copied_on_the_way) {
  Story story;
  story.handshake();
  const auto c = [&](std::uint32_t seq, std::uint16_t id) {
    return story.send(EndIndex::first, A, seq, 1, 100, {.ip_id = id}).kind;
  };
  c(1, 10), story.s(A, 1, 101), c(101, 11), story.s(A, 1, 201);
  EXPECT_EQ(c(101, 11), Kind::duplicate);
  EXPECT_EQ(story.tracker.end(EndIndex::first).trouble().answered_copies, 0U);
  EXPECT_EQ(story.tracker.end(EndIndex::first).trouble().first_copy, 8U);
  story.send(EndIndex::second, A, 1, 201, 0, {.ip_id = 70});
  EXPECT_EQ(story.tracker.end(EndIndex::first).trouble().answered_copies, 1U);
  story.send(EndIndex::second, A, 1, 201, 0, {.ip_id = 71});  // answers nothing
  EXPECT_EQ(story.tracker.end(EndIndex::first).trouble().answered_copies, 1U);
  story.wait(100 * ms);
  EXPECT_EQ(c(101, 11), Kind::duplicate);
  EXPECT_EQ(story.tracker.end(EndIndex::first).trouble().late_copies, 1U);
}

TEST(TrackerCopies, a_new_packet_with_an_older_stamp_is_none) {
  Story story;
  story.handshake();
  const auto c = [&](std::uint32_t seq, std::uint16_t id, std::uint32_t stamp) {
    return story.send(EndIndex::first, A, seq, 1, 100, {.ip_id = id, .timestamps = TcpTimestamps{stamp, 1}});
  };
  c(1, 10, 500), c(101, 11, 501), c(201, 12, 502), c(301, 13, 503);
  story.s(A, 1, 301);
  story.wait(300 * ms);
  const Verdict again = c(301, 14, 200);
  EXPECT_EQ(again.kind, Kind::retransmission);
  EXPECT_TRUE(again.has(mark::old_timestamp));
  EXPECT_EQ(c(301, 13, 503).kind, Kind::duplicate);
  EXPECT_TRUE(c(301, 15, 300).has(mark::old_timestamp));   // still older than the newest
  EXPECT_FALSE(c(301, 12, 300).has(mark::old_timestamp));  // an older number: it was held back
  EXPECT_FALSE(c(301, 16, 600).has(mark::old_timestamp));
}

TEST(TrackerCopies, an_original_behind_its_retransmission_shows_that_this_was_needless) {
  Story story;
  story.handshake();
  const auto c = [&](std::uint32_t seq, std::uint16_t id) {
    return story.send(EndIndex::first, A, seq, 1, 100, {.ip_id = id});
  };
  c(1, 10), c(101, 11), c(201, 12), c(401, 14), c(501, 15), c(601, 16);
  EXPECT_EQ(c(301, 17).kind, Kind::retransmission);
  story.s(A, 1, 701);
  const Verdict original = c(301, 13);
  EXPECT_EQ(original.kind, Kind::reordered);
  EXPECT_TRUE(original.has(mark::proves_needless));
  EXPECT_EQ(story.tracker.end(EndIndex::first).trouble().late_originals, 1U);
}

TEST(TrackerOutOfOrder, what_fills_a_gap_behind_its_acknowledgment_is_not_needless) {
  Story story;
  story.handshake();
  const auto c = [&](std::uint32_t seq, std::uint16_t id) {
    return story.send(EndIndex::first, A, seq, 1, 100, {.ip_id = id});
  };
  c(1, 10), c(101, 11), c(201, 12), c(401, 14);
  story.wait(300 * ms);
  story.s(A, 1, 501);  // captured before what it answers
  const Verdict again = c(301, 15);
  EXPECT_EQ(again.kind, Kind::retransmission);
  EXPECT_TRUE(again.has(mark::behind_ack));
  EXPECT_FALSE(again.has(mark::needless));
  story.wait(300 * ms);
  EXPECT_TRUE(c(301, 16).has(mark::needless));  // that one was seen
}

TEST(TrackerOutOfOrder, a_fin_behind_its_acknowledgment_for_a_moment_crossed_it) {
  Story story;
  story.handshake();
  story.c(F | A, 1, 1);
  story.wait(300 * ms);
  story.s(A, 1, 2);
  EXPECT_FALSE(story.c(F | A, 1, 1).has(mark::acked_before));
  story.wait(300 * ms);
  EXPECT_TRUE(story.c(F | A, 1, 1).has(mark::acked_before));
}

TEST(TrackerOutOfOrder, a_reset_before_what_it_answers_is_assumed_to_answer_data) {
  Story story;
  story.handshake();
  story.s(F | A, 1, 1), story.c(A, 1, 2);
  const Verdict reset = story.s(R, 2);
  EXPECT_EQ(reset.reset_cause, ResetCause::data_after_close);
  EXPECT_TRUE(reset.has(mark::assumed));
}

TEST(TrackerOneWay, a_reset_from_syn_sent_with_another_number_answers_a_wrong_ack) {
  Story story;
  story.c(S, 0);
  const Verdict reset = story.c(R, 70'000);
  EXPECT_EQ(reset.reset_cause, ResetCause::bad_ack);
  EXPECT_TRUE(reset.has(mark::assumed));
  EXPECT_EQ(story.states().first, State::syn_sent);
  EXPECT_EQ(story.c(R, 1).reset_cause, ResetCause::abandoned);
}

TEST(TrackerOneWay, what_a_reset_did_to_an_end_that_was_not_seen_is_not_known) {
  Story story;
  story.s(S | A, 0, 1), story.s(A, 1, 101), story.s(R | A, 1, 101);
  EXPECT_EQ(story.states(), States(State::established, State::closed));
}

TEST(TrackerOneWay, a_listener_that_sends_at_once_may_do_it_before_its_syn_ack_was_acknowledged) {
  Story story;
  story.s(S | A, 0, 101), story.s(A, 1, 101, 10);
  EXPECT_EQ(story.states().second, State::syn_received);
  EXPECT_TRUE(story.tracker.handshake_inferred());
  story.wait(1000 * ms);
  story.s(A, 11, 101, 10);
  EXPECT_EQ(story.states().second, State::established);
}

// Its acknowledgments were not captured: that nothing was acknowledged is not known.
TEST(TrackerOneWay, who_resets_long_after_its_fin_has_not_given_up) {
  Story story;
  story.s(S | A, 0, 1), story.s(A, 1, 101, 500), story.s(F | A, 501, 101);
  story.wait(5000 * ms);
  EXPECT_NE(story.s(R, 502).reset_cause, ResetCause::had_given_up);
  Story both;
  both.handshake();
  both.c(A, 1, 1, 100), both.s(A, 1, 101, 500), both.s(F | A, 501, 101);
  both.wait(5000 * ms);
  both.c(A, 101, 1, 10);
  EXPECT_EQ(both.s(R, 1).reset_cause, ResetCause::had_given_up);
}

TEST(TrackerOneWay, another_syn_ack_answers_another_attempt) {
  Story story;
  story.s(S | A, 0, 1), story.s(A, 1, 11);
  story.s(S | A, 500'000, 700'001);
  EXPECT_TRUE(story.anew());
}

}  // namespace
}  // namespace tcpwhy::tcp
