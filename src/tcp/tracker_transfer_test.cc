// The observer's tracker: data, acknowledgments, windows and probes.
#include <gtest/gtest.h>

#include "tcp/testing/story.h"

namespace tcpwhy::tcp {
namespace {

using namespace tcp::testing;
using wire::TcpTimestamps;

TEST(TrackerTransfer, duplicate_acks_then_fast_retransmission_then_the_next_hole) {
  Story story;
  story.handshake();
  for (std::uint32_t i = 0; i < 6; ++i) story.c(A, 1 + i * 100, 1, 100);
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(
        story.send(EndIndex::second, A, 1, 1, 0, {.sack = {{301, 401 + static_cast<std::uint32_t>(i) * 100}}}).kind,
        Kind::duplicate_ack);
  const Verdict first = story.c(A, 1, 1, 100), second = story.c(A, 101, 1, 100);
  EXPECT_EQ(first.kind, Kind::retransmission);
  EXPECT_EQ(first.reason, RetransmissionReason::fast);
  EXPECT_EQ(second.reason, RetransmissionReason::sack_hole);
}

TEST(TrackerTransfer, silence_then_the_last_segment_is_a_tail_loss_probe_and_the_first_a_timeout) {
  Story story;
  story.handshake();
  story.c(A, 1, 1, 100), story.c(A, 101, 1, 100);
  story.wait(40 * ms);
  EXPECT_EQ(story.c(A, 101, 1, 100).reason, RetransmissionReason::tail_loss_probe);
  story.wait(250 * ms);
  EXPECT_EQ(story.c(A, 1, 1, 100).reason, RetransmissionReason::timeout);
}

TEST(TrackerTransfer, what_fills_a_gap_was_overtaken_if_its_ip_id_is_older_and_lost_before_the_capture_if_newer) {
  for (const bool older : {true, false}) {
    Story story;
    story.handshake();
    std::uint16_t id = 100;
    for (std::uint32_t i = 0; i < 5; ++i) story.send(EndIndex::first, A, 1 + i * 100, 1, 100, {.ip_id = id++});
    id++;  // that of the missing segment
    EXPECT_TRUE(story.send(EndIndex::first, A, 601, 1, 100, {.ip_id = id++}).has(mark::gap_before));
    story.wait(60 * ms);
    const auto late =
        story.send(EndIndex::first, A, 501, 1, 100, {.ip_id = static_cast<std::uint16_t>(older ? 105 : id)});
    EXPECT_EQ(late.kind, older ? Kind::reordered : Kind::retransmission);
    EXPECT_EQ(story.tracker.end(EndIndex::first).bytes, 700U);
  }
}

TEST(TrackerTransfer, the_same_packet_twice_is_a_copy) {
  Story story;
  story.handshake();
  for (std::uint32_t i = 0; i < 5; ++i)
    story.send(EndIndex::first, A, 1 + i * 100, 1, 100, {.ip_id = static_cast<std::uint16_t>(100 + i)});
  EXPECT_EQ(story.send(EndIndex::first, A, 301, 1, 100, {.ip_id = 103}).kind, Kind::duplicate);
  EXPECT_EQ(story.send(EndIndex::first, A, 301, 1, 100, {.ip_id = 105}).kind, Kind::retransmission);
}

TEST(TrackerTransfer, d_sack_proves_that_it_was_needless) {
  Story story;
  story.handshake();
  story.c(A, 1, 1, 100);
  story.wait(300 * ms);
  story.c(A, 1, 1, 100);
  story.s(A, 1, 101);
  EXPECT_TRUE(story.send(EndIndex::second, A, 1, 101, 0, {.sack = {{1, 101}}}).has(mark::proves_needless));
}

TEST(TrackerTransfer, an_older_time_stamp_echoed_proves_that_it_was_needless) {
  Story story;
  story.handshake();
  story.send(EndIndex::first, A, 1, 1, 100, {.timestamps = wire::TcpTimestamps{1000, 1}});
  story.wait(300 * ms);
  story.send(EndIndex::first, A, 1, 1, 100, {.timestamps = wire::TcpTimestamps{1300, 1}});
  EXPECT_TRUE(story.send(EndIndex::second, A, 1, 101, 0, {.timestamps = wire::TcpTimestamps{5, 1000}})
                  .has(mark::proves_needless));
}

TEST(TrackerTransfer, keep_alive_and_its_answer) {
  Story story;
  story.handshake();
  story.c(A, 1, 1, 10), story.s(A, 1, 11);
  story.wait(5000 * ms);
  EXPECT_EQ(story.c(A, 10, 1).kind, Kind::keep_alive);
  EXPECT_EQ(story.s(A, 1, 11).kind, Kind::keep_alive_ack);
  EXPECT_EQ(story.c(A, 10, 1, 1).kind, Kind::keep_alive);  // with a byte of garbage, as others send it
}

TEST(TrackerTransfer, window_fills_shuts_is_probed_and_opens) {
  Story story;
  story.handshake();
  EXPECT_TRUE(story.c(A, 1, 1, 1000).has(mark::window_full));
  EXPECT_TRUE(story.send(EndIndex::second, A, 1, 1001, 0, {.window = 0}).has(mark::zero_window));
  EXPECT_EQ(story.c(A, 1000, 1).kind, Kind::window_probe);
  EXPECT_EQ(story.send(EndIndex::second, A, 1, 1001, 0, {.window = 0}).kind, Kind::window_probe_ack);
  EXPECT_EQ(story.c(A, 1001, 1, 1).kind, Kind::window_probe);  // BSD's: a byte beyond the edge
  EXPECT_EQ(story.s(A, 1, 1001).kind, Kind::window_probe_ack);
  EXPECT_EQ(story.send(EndIndex::second, A, 1, 1001, 0, {.window = 2000}).kind, Kind::window_update);
}

TEST(TrackerTransfer, another_window_alone_is_an_update_and_with_news_it_is_none) {
  Story story;
  story.handshake();
  const auto updates = [&story] { return story.tracker.end(EndIndex::second).window_updates; };
  story.c(A, 1, 1, 100);
  EXPECT_EQ(story.send(EndIndex::second, A, 1, 101, 0, {.window = 900}).kind, Kind::ack);  // acknowledges too
  EXPECT_EQ(updates(), 0U);
  EXPECT_EQ(story.send(EndIndex::second, A, 1, 101, 0, {.window = 1000}).kind, Kind::window_update);
  EXPECT_EQ(story.send(EndIndex::second, A, 1, 101, 0, {.window = 1100}).kind, Kind::window_update);
  EXPECT_EQ(updates(), 2U);
  EXPECT_EQ(story.send(EndIndex::second, A, 1, 101, 0, {.window = 1100}).kind, Kind::ack);  // the same window
  EXPECT_EQ(story.send(EndIndex::second, A, 1, 101, 10, {.window = 1200}).kind, Kind::data);
  story.c(A, 201, 11, 100);
  EXPECT_EQ(story.send(EndIndex::second, A, 11, 101, 0, {.window = 1300, .sack = {{201, 301}}}).kind,
            Kind::duplicate_ack);  // RFC 5681 2: what the SACK tells is the news
  EXPECT_EQ(updates(), 2U);
  EXPECT_EQ(story.tracker.end(EndIndex::first).window_updates, 0U);
}

TEST(TrackerTransfer, a_window_that_opens_at_the_answer_to_a_probe_is_no_update) {
  Story story;
  story.handshake();
  story.c(A, 1, 1, 1000);
  story.send(EndIndex::second, A, 1, 1001, 0, {.window = 0});
  story.c(A, 1000, 1);
  EXPECT_EQ(story.send(EndIndex::second, A, 1, 1001, 0, {.window = 2000}).kind, Kind::window_probe_ack);
  EXPECT_EQ(story.tracker.end(EndIndex::second).window_updates, 0U);
}

TEST(TrackerTransfer, an_ack_of_what_was_not_captured_opens_a_gap_that_counts_as_missing) {
  Story story;
  story.handshake();
  EXPECT_TRUE(story.s(A, 1, 501).has(mark::acks_unseen));
  EXPECT_EQ(story.tracker.end(EndIndex::first).unseen_bytes(), 500U);
  EXPECT_EQ(story.c(A, 501, 1, 10).kind, Kind::data);
}

TEST(TrackerTransfer, what_an_acknowledgment_was_captured_before_was_not_sent_again) {
  Story story;
  story.handshake();
  story.c(A, 1, 1, 100);
  EXPECT_TRUE(story.s(A, 1, 201).has(mark::acks_unseen));
  const Verdict late = story.c(A, 101, 1, 100);
  EXPECT_EQ(late.kind, Kind::reordered);
  EXPECT_TRUE(late.has(mark::assumed));
  EXPECT_EQ(story.tracker.end(EndIndex::first).reordered, 0U) << "on the way nothing was";
}

TEST(TrackerTransfer, what_is_resent_without_a_wait_is_no_timeout) {
  Story story;
  story.handshake();
  story.c(A, 1, 1, 100), story.c(A, 101, 1, 100), story.c(A, 201, 1, 100);
  story.wait(300 * ms);
  EXPECT_EQ(story.c(A, 1, 1, 100).reason, RetransmissionReason::timeout);
  EXPECT_EQ(story.c(A, 101, 1, 100).reason, RetransmissionReason::recovery);
  EXPECT_EQ(story.c(A, 201, 1, 100).reason, RetransmissionReason::recovery);
}

// The tap lies at the receiver, 300 ms from the sender and back: what acknowledgments call for comes that much later.
class Far : public ::testing::Test {
 protected:
  Far() {
    story_.c(S, 0);
    story_.s(S | A, 0, 1);
    story_.wait(290 * ms);
    story_.c(A, 1, 1);
    for (std::uint32_t i = 0; i < 6; ++i) {
      story_.c(A, 1 + i * 100, 1, 100);
      if (i == 0) story_.s(A, 1, 101);
    }
  }
  Verdict sack(std::uint32_t left, std::uint32_t right, std::uint32_t ack = 101) {
    return story_.send(EndIndex::second, A, 1, ack, 0, {.sack = {{left, right}}});
  }
  Verdict again_after(std::int64_t ns, std::uint32_t seq = 101) {
    story_.wait(ns - 10 * ms);
    return story_.c(A, seq, 1, 100);
  }
  static bool is_sure(const Verdict& verdict) { return !verdict.has(mark::assumed); }
  Story story_;
};

TEST_F(Far, a_round_trip_after_a_sack_it_is_no_timeout) {
  sack(201, 301), sack(201, 401), sack(201, 501);
  const Verdict again = again_after(300 * ms);
  EXPECT_EQ(again.reason, RetransmissionReason::fast);
  EXPECT_TRUE(is_sure(again));
  EXPECT_EQ(story_.tracker.end(EndIndex::first).timeouts, 0U);
}

TEST_F(Far, a_round_trip_after_an_acknowledgment_that_shows_the_next_hole_it_is_none_either) {
  sack(201, 301), sack(401, 501), sack(401, 601);
  EXPECT_EQ(again_after(300 * ms).reason, RetransmissionReason::fast);
  sack(401, 601, 301);
  EXPECT_EQ(again_after(300 * ms, 301).reason, RetransmissionReason::fast);
}

// What a recovery had sent again may have been lost before it came here.
TEST_F(Far, long_after_the_sack_it_may_be_one) {
  sack(201, 301), sack(201, 401), sack(201, 501);
  const Verdict again = again_after(900 * ms);
  EXPECT_EQ(again.reason, RetransmissionReason::timeout);
  EXPECT_FALSE(is_sure(again));
}

TEST_F(Far, where_nothing_came_back_it_is_one) {
  const Verdict again = again_after(900 * ms);
  EXPECT_EQ(again.reason, RetransmissionReason::timeout);
  EXPECT_TRUE(is_sure(again));
}

// RFC 8985 7.2: two round trips. Linux's retransmission timer takes a round trip and 200 ms at least.
TEST(Near, too_soon_for_the_timer_it_was_a_probe) {
  for (const std::int64_t waited_ns : {240 * ms, 320 * ms}) {
    Story story;
    for (std::uint32_t i = 0; i < 8; ++i) {
      story.c(A, 1 + i * 100, 1, 100), story.wait(90 * ms), story.s(A, 1, 101 + i * 100);
    }
    story.c(A, 801, 1, 100), story.wait(waited_ns - 10 * ms);
    const Verdict again = story.c(A, 801, 1, 100);
    EXPECT_EQ(again.reason,
              waited_ns == 240 * ms ? RetransmissionReason::tail_loss_probe : RetransmissionReason::timeout);
  }
}

TEST(Near, long_after_the_sack_it_is_one) {
  Story story;
  story.c(S, 0), story.wait(290 * ms), story.s(S | A, 0, 1), story.c(A, 1, 1);
  for (std::uint32_t i = 0; i < 6; ++i) story.c(A, 1 + i * 100, 1, 100);
  story.wait(240 * ms);
  story.s(A, 1, 101);
  for (const std::uint32_t right : {301U, 401U, 501U})
    story.send(EndIndex::second, A, 1, 101, 0, {.sack = {{201, right}}});
  story.wait(900 * ms);
  const Verdict again = story.c(A, 101, 1, 100);
  EXPECT_EQ(again.reason, RetransmissionReason::timeout);
  EXPECT_FALSE(again.has(mark::assumed));
}

TEST_F(Far, a_single_duplicate_ack_may_call_for_it_or_not) {
  story_.s(A, 1, 101);
  const Verdict again = again_after(305 * ms);
  EXPECT_EQ(again.reason, RetransmissionReason::timeout);
  EXPECT_FALSE(is_sure(again));
}

TEST_F(Far, the_second_time_while_signs_go_on_may_be_either) {
  sack(201, 301);
  EXPECT_EQ(again_after(300 * ms).reason, RetransmissionReason::fast);
  sack(201, 401);
  story_.wait(500 * ms);
  sack(201, 501);
  const Verdict again = again_after(100 * ms);
  EXPECT_EQ(again.reason, RetransmissionReason::timeout);
  EXPECT_FALSE(is_sure(again));
}

TEST_F(Far, less_than_a_round_trip_after_it_was_sent_is_no_tail_loss_probe) {
  const Verdict again = again_after(13 * ms, 501);
  EXPECT_NE(again.reason, RetransmissionReason::tail_loss_probe);
  story_.s(A, 1, 601);
  story_.wait(2000 * ms);
  story_.c(A, 601, 1, 100);  // the timer of the first began long ago, but this one was sent just now
  story_.wait(350 * ms);
  story_.c(A, 701, 1, 100);
  EXPECT_NE(again_after(13 * ms, 701).reason, RetransmissionReason::tail_loss_probe);
}

// At the sender an answer to a SACK comes at once: what comes a while later is the timer's.
TEST(TrackerTransfer, at_the_sender_a_wait_behind_a_sack_is_a_timeout) {
  Story story;
  story.c(S, 0);
  story.wait(290 * ms);
  story.s(S | A, 0, 1), story.c(A, 1, 1);
  for (std::uint32_t i = 0; i < 6; ++i) story.c(A, 1 + i * 100, 1, 100);
  story.wait(200 * ms);
  for (std::uint32_t i = 0; i < 3; ++i) story.send(EndIndex::second, A, 1, 1, 0, {.sack = {{101, 201 + i * 100}}});
  story.wait(500 * ms);
  const Verdict again = story.c(A, 1, 1, 100);
  EXPECT_EQ(again.reason, RetransmissionReason::timeout);
  EXPECT_FALSE(again.has(mark::assumed));
}

TEST(TrackerTransfer, below_a_fin_a_byte_that_was_acknowledged_is_a_keep_alive) {
  Story story;
  story.handshake();
  story.c(A, 1, 1, 100), story.s(A, 1, 101);
  story.c(F | A, 101, 1);
  story.wait(700 * ms);
  EXPECT_EQ(story.c(F | A, 101, 1).kind, Kind::retransmission);
  story.wait(700 * ms);
  EXPECT_EQ(story.c(A, 100, 1, 1).kind, Kind::keep_alive);
  EXPECT_EQ(story.tracker.end(EndIndex::first).timeouts, 0U);
  EXPECT_EQ(story.tracker.end(EndIndex::first).needless, 0U);
}

// A first segment that nobody missed says nothing of those behind it; nor does one from before all that was seen.
TEST(TrackerTransfer, behind_a_resend_without_a_reason_nothing_recovers) {
  Story story;
  story.handshake();
  story.c(A, 1, 1, 100), story.c(A, 101, 1, 100), story.c(A, 201, 1, 100);
  EXPECT_EQ(story.c(A, 1, 1, 100).reason, RetransmissionReason::unknown);
  EXPECT_EQ(story.c(A, 101, 1, 100).reason, RetransmissionReason::unknown);
}

TEST(TrackerTransfer, the_first_that_is_seen_of_an_end_may_have_been_acknowledged_before) {
  Story late;
  late.s(A, 1, 500);
  const Verdict first = late.c(A, 400, 1, 50);
  EXPECT_EQ(first.kind, Kind::data);
  EXPECT_TRUE(first.has(mark::behind_ack) && first.has(mark::assumed));
}

TEST(TrackerTransfer, a_window_is_taken_from_new_segments_only) {
  Story story;
  story.handshake();
  story.s(A, 1, 1, 100);
  story.send(EndIndex::first, A, 1, 101, 0, {.window = 2000});
  story.send(EndIndex::first, A, 1, 51, 0, {.window = 0});  // overtaken
  EXPECT_EQ(story.tracker.end(EndIndex::first).window, 2000U);
  EXPECT_EQ(story.tracker.end(EndIndex::first).zero_windows, 0U);
}

TEST(TrackerTransfer, how_long_a_window_was_shut) {
  Story story;
  story.handshake();
  story.s(A, 1, 1, 100);
  EXPECT_TRUE(story.send(EndIndex::first, A, 1, 101, 0, {.window = 0}).has(mark::zero_window));
  story.wait(490 * ms);
  story.send(EndIndex::first, A, 1, 101, 0, {.window = 500});
  EXPECT_EQ(story.tracker.end(EndIndex::first).trouble().longest_shut_ns, 500 * ms);
}

TEST(TrackerTransfer, a_stamp_that_goes_back_is_a_copy_of_what_was_seen) {
  Story story;
  story.handshake();
  story.c(A, 1, 1, 100), story.s(A, 1, 101, 10), story.c(F | A, 101, 11), story.s(F | A, 11, 102), story.c(A, 102, 12);
  const States over = story.states();
  story.wait(-200 * ms);
  EXPECT_EQ(story.c(S, 0).kind, Kind::duplicate);
  EXPECT_EQ(story.s(S | A, 0, 1).kind, Kind::duplicate);
  EXPECT_EQ(story.c(A, 1, 1, 100).kind, Kind::duplicate);
  EXPECT_EQ(story.c(F | A, 101, 11).kind, Kind::duplicate);
  EXPECT_EQ(story.states(), over);
}

TEST(TrackerTransfer, the_first_that_is_seen_of_a_connection_may_be_a_keep_alive) {
  Story story;
  story.c(A, 1, 1);  // one below the next
  const Verdict answer = story.s(A, 1, 2);
  EXPECT_FALSE(answer.has(mark::acks_unseen));
  EXPECT_EQ(answer.kind, Kind::keep_alive_ack);
  EXPECT_EQ(story.tracker.end(EndIndex::first).unseen_bytes(), 0U);
}

}  // namespace
}  // namespace tcpwhy::tcp
