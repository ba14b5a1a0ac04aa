// What stands twice in a capture: copied by the capture, copied on the way, or sent again; and why, as far as the capture tells.
#include <gtest/gtest.h>

#include <string>

#include "scan/testing/talk.h"

namespace tcpwhy::scan {
namespace {

using namespace scan::testing;

// Each packet of the client once more, `later`.
void client_twice(Talk& talk, std::int64_t later_ns, bool answered) {
  talk.c({.ip_id = 100, .sack_permitted = true}, S, 0)
      .s({.sack_permitted = true}, S | A, 0, 1)
      .c({.ip_id = 101}, A, 1, 1);
  for (std::uint32_t i = 0; i < 4; ++i) {
    const auto id = static_cast<std::uint16_t>(102 + i);
    const std::uint32_t seq = 1 + 100 * i;
    talk.c({.ip_id = id}, A, seq, 1, 100).s(A, 1, seq + 100).wait(later_ns - 20 * ms).c({.ip_id = id}, A, seq, 1, 100);
    if (answered) talk.s({.sack = {{seq, seq + 100}}}, A, 1, seq + 100);
  }
}

TEST(Copies, a_moment_later_and_without_an_answer_the_capture_made_them) {
  Talk talk;
  talk.handshake();
  for (std::uint16_t i = 0; i < 4; ++i)
    for (int twice = 0; twice < 2; ++twice)
      talk.c({.ip_id = static_cast<std::uint16_t>(100 + i)}, A, 1 + 100U * i, 1, 100).wait(-9 * ms);
  talk.s(A, 1, 401);
  EXPECT_EQ(talk.problems(), Ids{"copies"});
  EXPECT_EQ(of(talk, "copies").at(0).grade, explain::Grade::derived);
}

TEST(Copies, an_answer_to_each_says_that_they_arrived) {
  Talk talk;
  client_twice(talk, 10 * ms, true);
  EXPECT_EQ(talk.problems(), Ids{"copied_on_the_way"});
  const Problem problem = of(talk, "copied_on_the_way").at(0);
  EXPECT_EQ(problem.count, 4U);
  EXPECT_EQ(problem.grade, explain::Grade::derived);
  EXPECT_EQ(problem.frame, 6U);
}

TEST(Copies, no_capture_makes_them_a_tenth_of_a_second_later) {
  Talk talk;
  client_twice(talk, 100 * ms, false);
  EXPECT_EQ(talk.problems(), Ids{"copied_on_the_way"});
  EXPECT_EQ(of(talk, "copied_on_the_way").at(0).grade, explain::Grade::assumed);
}

TEST(Copies, without_sack_a_bare_acknowledgment_answers_one) {
  Talk talk;
  talk.handshake();
  for (std::uint16_t i = 0; i < 3; ++i) {
    const std::uint32_t seq = 1 + 100U * i;
    for (int twice = 0; twice < 2; ++twice)
      talk.c({.ip_id = static_cast<std::uint16_t>(100 + i)}, A, seq, 1, 100)
          .s({.ip_id = static_cast<std::uint16_t>(70 + 2 * i + twice)}, A, 1, seq + 100);
  }
  EXPECT_EQ(talk.problems(), Ids{"copied_on_the_way"});
}

TEST(Copies, a_syn_long_after_the_handshake_was_held_back) {
  Talk talk;
  talk.c({.ip_id = 7}, S, 0).s(S | A, 0, 1).c({.ip_id = 8}, A, 1, 1).c({.ip_id = 9}, A, 1, 1, 1).s(A, 1, 2);
  talk.wait(300 * ms).c({.ip_id = 7}, S, 0).s(A, 1, 2).c({.ip_id = 10}, A, 2, 1, 1).s(A, 1, 3);
  EXPECT_TRUE(of(talk, "copies").empty());
}

// PAWS, RFC 7323 5.3.
TEST(Copies, with_a_number_of_its_own_it_was_sent_again_whoever_set_its_stamp_back) {
  Talk talk;
  talk.c({.ip_id = 100, .timestamp = 5000}, S, 0).s(S | A, 0, 1);
  talk.c({.ip_id = 101, .timestamp = 5001}, A, 1, 1).c({.ip_id = 102, .timestamp = 5002}, A, 1, 1, 10).s(A, 1, 11);
  for (std::uint16_t i = 0; i < 5; ++i) {
    talk.c({.ip_id = static_cast<std::uint16_t>(103 + i), .timestamp = 2000U + 300 * i}, A, 11, 1, 100).s(A, 1, 11);
    talk.wait(300 * ms);
  }
  EXPECT_EQ(talk.problems(), (Ids{"old_timestamps", "timeout"}));
}

TEST(Copies, an_older_stamp_that_is_taken_is_no_reason) {
  Talk talk;
  talk.c({.ip_id = 100, .timestamp = 5000}, S, 0).s(S | A, 0, 1);
  talk.c({.ip_id = 101, .timestamp = 5001}, A, 1, 1).c({.ip_id = 102, .timestamp = 5002}, A, 1, 1, 10).s(A, 1, 11);
  talk.c({.ip_id = 103, .timestamp = 2000}, A, 11, 1, 100).s(A, 1, 111).wait(2000 * ms).c({.ip_id = 104}, A, 111, 1, 1);
  EXPECT_TRUE(of(talk, "old_timestamps").empty());
}
// --- lost, late, or never sent

TEST(SentAgain, a_path_that_stood_still_looks_like_lost_acknowledgments) {
  Talk talk;
  talk.c({.sack_permitted = true}, S, 0).s({.sack_permitted = true}, S | A, 0, 1).c(A, 1, 1);
  for (const std::uint32_t seq : {1U, 101U}) {
    talk.c(A, seq, 1, 100).wait(300 * ms).c(A, seq, 1, 100).wait(600 * ms).c(A, seq, 1, 100).wait(100 * ms);
    talk.s(A, 1, seq + 100).s({.sack = {{seq, seq + 100}}}, A, 1, seq + 100);
  }
  ASSERT_EQ(of(talk, "acks_lost").size(), 1U);
  EXPECT_EQ(of(talk, "acks_lost").at(0).grade, explain::Grade::assumed);
  EXPECT_NE(told(talk, "acks_lost").find("stood still"), std::string::npos);
}

// Three duplicate ACKs, and what they ask for once more.
void ask_and_send_again(Talk& talk, std::uint32_t seq, const Talk::Extra& extra) {
  for (std::uint32_t i = 0; i < 4; ++i) talk.c(extra, A, seq + 100 * i, 1, 100);
  for (std::uint32_t i = 1; i < 4; ++i) {
    Talk::Extra asks{.timestamp = extra.timestamp, .echo_reply = extra.timestamp};
    if (extra.timestamp != 0) asks.sack = {{seq + 100, seq + 100 + 100 * i}};
    talk.s(asks, A, 1, seq);
  }
  Talk::Extra again = extra;
  if (again.timestamp != 0) ++again.timestamp;
  talk.c(again, A, seq, 1, 100).s({.timestamp = again.timestamp, .echo_reply = again.timestamp}, A, 1, seq + 400);
}

TEST(SentAgain, without_sack_and_time_stamps_loss_and_delay_look_alike) {
  Talk talk;
  talk.handshake();
  for (std::uint32_t i = 0; i < 3; ++i) ask_and_send_again(talk, 1 + 400 * i, {});
  ASSERT_EQ(of(talk, "loss").size(), 1U);
  EXPECT_EQ(of(talk, "loss").at(0).grade, explain::Grade::assumed);
  EXPECT_NE(told(talk, "loss").find("late"), std::string::npos);
}

TEST(SentAgain, where_it_would_show_that_it_was_needless_it_was_lost) {
  Talk talk;
  talk.c({.timestamp = 1, .sack_permitted = true}, S, 0).s({.timestamp = 1, .sack_permitted = true}, S | A, 0, 1);
  talk.c({.timestamp = 2}, A, 1, 1);
  for (std::uint32_t i = 0; i < 3; ++i) ask_and_send_again(talk, 1 + 400 * i, {.timestamp = 10 * (i + 1)});
  ASSERT_EQ(of(talk, "loss").size(), 1U);
  EXPECT_EQ(of(talk, "loss").at(0).grade, explain::Grade::derived);
  EXPECT_EQ(told(talk, "loss"), "segments were lost and sent again");
}

// At the receiver: nothing numbers the segments, and what had not come comes long after what stood behind it.
TEST(SentAgain, what_comes_long_after_what_stood_behind_it_was_lost_or_late) {
  Talk talk;
  talk.handshake().c(A, 1, 1, 100).s(A, 1, 101).c(A, 1101, 1, 100).wait(300 * ms);
  for (std::uint32_t i = 0; i < 10; ++i) talk.s(A, 1, 101 + 100 * i).c(A, 101 + 100 * i, 1, 100);
  ASSERT_EQ(of(talk, "loss").size(), 1U);
  EXPECT_EQ(of(talk, "loss").at(0).grade, explain::Grade::assumed);
  EXPECT_EQ(of(talk, "loss").at(0).count, 10U);
  EXPECT_NE(told(talk, "loss").find("late"), std::string::npos);
}

// RFC 5681 3.1: what a sender sends again behind its timer may have arrived.
TEST(SentAgain, behind_a_timeout_without_sack_only_the_first_is_known_to_be_lost) {
  Talk talk;
  talk.c({.timestamp = 1}, S, 0).s({.timestamp = 1}, S | A, 0, 1).c({.timestamp = 2}, A, 1, 1);
  for (std::uint32_t round = 0; round < 3; ++round) {
    const std::uint32_t seq = 1 + 400 * round, stamp = 10 * (round + 1);
    for (std::uint32_t i = 0; i < 4; ++i) talk.c({.timestamp = stamp}, A, seq + 100 * i, 1, 100);
    for (int i = 0; i < 4; ++i) talk.s({.timestamp = stamp, .echo_reply = stamp}, A, 1, seq);
    talk.c({.timestamp = stamp + 1}, A, seq, 1, 100);
    talk.s({.timestamp = stamp + 1, .echo_reply = stamp + 1}, A, 1, seq + 400);
  }
  for (std::uint32_t i = 0; i < 20; ++i) talk.c({.timestamp = 100, .echo_reply = 1}, A, 1201 + 100 * i, 1, 100);
  talk.wait(500 * ms);
  for (std::uint32_t i = 0; i < 20; ++i) talk.c({.timestamp = 700, .echo_reply = 1}, A, 1201 + 100 * i, 1, 100);
  talk.s({.timestamp = 800, .echo_reply = 700}, A, 1, 3201);
  ASSERT_EQ(of(talk, "loss").size(), 1U);
  EXPECT_LE(of(talk, "loss").at(0).count, 5U);
}

// A path that stood still: the receiver had got all and closed when the copies came.
TEST(SentAgain, what_a_reset_answers_behind_the_close_was_not_lost) {
  Talk talk;
  talk.c({.timestamp = 1, .sack_permitted = true}, S, 0).s({.timestamp = 1, .sack_permitted = true}, S | A, 0, 1);
  talk.c({.timestamp = 2}, A, 1, 1);
  ask_and_send_again(talk, 1, {.timestamp = 10});
  for (std::uint32_t i = 0; i < 6; ++i) talk.c({.timestamp = 100}, A, 401 + 100 * i, 1, 100);
  talk.wait(500 * ms);
  for (std::uint32_t i = 0; i < 6; ++i) talk.c({.timestamp = 700}, A, 401 + 100 * i, 1, 100);
  talk.s({.timestamp = 701, .echo_reply = 700}, F | A, 1, 1001).c({.timestamp = 702}, F | A, 1001, 2);
  talk.s({.timestamp = 703}, A, 2, 1002);
  for (std::uint32_t i = 0; i < 7; ++i) talk.s(R, 2);
  EXPECT_TRUE(of(talk, "loss").empty());
}

TEST(SentAgain, a_d_sack_of_what_is_known_to_be_needless_counts_no_more) {
  Talk talk;
  talk.c({.ip_id = 10, .sack_permitted = true}, S, 0)
      .s({.sack_permitted = true}, S | A, 0, 1)
      .c({.ip_id = 11}, A, 1, 1);
  for (std::uint32_t i = 0; i < 3; ++i) {
    const std::uint32_t seq = 1 + 100 * i;
    const auto id = static_cast<std::uint16_t>(12 + 2 * i);
    talk.c({.ip_id = id}, A, seq, 1, 100).s(A, 1, seq + 100).wait(300 * ms);
    talk.c({.ip_id = static_cast<std::uint16_t>(id + 1)}, A, seq, 1, 100);
    talk.s({.sack = {{seq, seq + 100}}}, A, 1, seq + 100);
  }
  EXPECT_EQ(talk.record().sum(&EndRecord::needless), 3U);
}

// At the receiver: what was sent again overtakes the first ones, by their IP IDs.
TEST(SentAgain, what_comes_behind_its_own_retransmission_was_not_lost) {
  Talk talk;
  const auto send = [&talk](int ip_id, std::uint32_t seq, std::uint32_t ack) {
    talk.c({.ip_id = static_cast<std::uint16_t>(ip_id)}, A, seq, 1, 100).s(A, 1, ack);
  };
  talk.c({.ip_id = 100}, S, 0).s(S | A, 0, 1).c({.ip_id = 101}, A, 1, 1);
  send(102, 1, 101);
  for (std::uint32_t i = 0; i < 3; ++i) send(106 + static_cast<int>(i), 401 + 100 * i, 101);
  for (std::uint32_t i = 0; i < 3; ++i) send(110 + static_cast<int>(i), 101 + 100 * i, i == 2 ? 701 : 201 + 100 * i);
  for (std::uint32_t i = 0; i < 3; ++i) send(103 + static_cast<int>(i), 101 + 100 * i, 701);
  EXPECT_TRUE(of(talk, "loss").empty());
  ASSERT_EQ(of(talk, "needless").size(), 1U);
  EXPECT_EQ(of(talk, "needless").at(0).count, 3U);
}

TEST(SentAgain, probes_that_were_quicker_than_the_acknowledgment) {
  Talk talk;
  talk.c({.sack_permitted = true}, S, 0).s({.sack_permitted = true}, S | A, 0, 1).c(A, 1, 1);
  for (std::uint32_t i = 0; i < 3; ++i) {
    const std::uint32_t seq = 1 + 200 * i;
    talk.c(A, seq, 1, 100).s(A, 1, seq + 100);
    talk.c(A, seq + 100, 1, 100).wait(40 * ms).c(A, seq + 100, 1, 100).wait(20 * ms);
    talk.s({.sack = {{seq + 100, seq + 200}}}, A, 1, seq + 200);
  }
  EXPECT_NE(told(talk, "needless").find("probes"), std::string::npos) << told(talk, "needless");
}

TEST(NeverCame, a_bare_acknowledgment_behind_bytes_that_were_not_seen) {
  Talk talk;
  talk.handshake().c(A, 1, 1, 3).s(A, 1, 4).wait(4000 * ms).c(F | A, 4, 1).s(A, 929, 5);
  EXPECT_EQ(talk.problems(), Ids{"never_came"});
  EXPECT_EQ(of(talk, "never_came").at(0).grade, explain::Grade::derived);
  EXPECT_NE(told(talk, "never_came").find("928 bytes"), std::string::npos) << told(talk, "never_came");
}

// Nobody sends more than the window takes: a stray.
TEST(NeverCame, is_not_said_of_a_number_beyond_the_window) {
  Talk talk;
  talk.handshake().c(A, 1, 1, 3).s(A, 1, 4).wait(4000 * ms).c(F | A, 4, 1).s(A, 549555, 5);
  EXPECT_EQ(of(talk, "never_came").size(), 0U);
}

// The answer to what was sent again a moment ago is on its way.
TEST(NotGettingThrough, is_not_said_of_many_that_were_sent_again_once_at_the_end) {
  for (const bool waited : {false, true}) {
    Talk talk;
    talk.handshake().c(A, 1, 1, 100).wait(700 * ms).s(A, 1, 101).wait(300 * ms);
    for (std::uint32_t i = 0; i < 4; ++i) talk.c(A, 101 + 100 * i, 1, 100);
    talk.wait(1500 * ms);
    for (std::uint32_t i = 0; i < 4; ++i) talk.c(A, 101 + 100 * i, 1, 100);
    if (waited) talk.wait(4000 * ms).s(A, 1, 101);
    talk.capture_ends();
    EXPECT_EQ(of(talk, "gave_up").size() + of(talk, "not_getting_through").size(), waited ? 1U : 0U);
  }
}

TEST(NeverCame, where_the_capture_ends_then_they_may_be_on_their_way) {
  Talk talk;
  talk.handshake().c(A, 1, 1, 3).s(A, 1, 4).c(F | A, 4, 1).s(A, 101, 5).capture_ends();
  ASSERT_EQ(of(talk, "never_came").size(), 1U);
  EXPECT_EQ(of(talk, "never_came").at(0).grade, explain::Grade::assumed);
}

TEST(NeverCame, what_comes_after_all_or_was_acknowledged_is_none) {
  Talk late;
  late.handshake().c(A, 1, 1, 3).s(A, 101, 4).s(A, 1, 4, 100).c(A, 4, 101);
  EXPECT_TRUE(of(late, "never_came").empty());
  Talk not_captured;
  not_captured.handshake().c(A, 1, 1, 3).s(A, 101, 4).c(A, 4, 101);
  EXPECT_EQ(not_captured.problems(), Ids{"gaps"});
}

TEST(TinyWindow, that_is_filled_by_every_segment_limits) {
  Talk talk;
  talk.c(S, 0).s({.window_scale = std::nullopt, .window = 500}, S | A, 0, 1).c(A, 1, 1);
  for (std::uint32_t i = 0; i < 30; ++i) talk.c(A, 1 + 79 * i, 1, 79).s(A, 1, 80 + 79 * i, 0, 79).wait(200 * ms);
  EXPECT_EQ(talk.problems(), Ids{"tiny_window"});
  EXPECT_NE(told(talk, "tiny_window").find("79 bytes"), std::string::npos);
}

TEST(TinyWindow, small_messages_do_not_fill_a_window) {
  Talk talk;
  talk.handshake();
  for (std::uint32_t i = 0; i < 30; ++i) talk.c(A, 1 + 79 * i, 1, 79).s(A, 1, 80 + 79 * i).wait(200 * ms);
  EXPECT_EQ(talk.problems(), Ids{});
}

TEST(Stuck, a_small_one_that_is_stuck_too_is_not_stuck_for_its_size) {
  Talk talk;
  talk.handshake()
      .c(A, 1, 1, 1000)
      .s(A, 1, 1001)
      .c(A, 1001, 1, 1448)
      .c(A, 2449, 1, 600)
      .wait(80 * ms)
      .c(A, 2449, 1, 600);
  for (int i = 0; i < 3; ++i) talk.wait(500 * ms).c(A, 1001, 1, 1448);
  EXPECT_TRUE(of(talk, "mtu_black_hole").empty());
  EXPECT_EQ(of(talk, "gave_up").size(), 1U);
}

TEST(Stuck, nothing_behind_the_handshake_may_be_a_full_accept_queue) {
  Talk talk;
  talk.handshake().c(A, 1, 1, 14);
  for (int i = 0; i < 4; ++i) talk.wait(500 * ms).c(A, 1, 1, 14);
  EXPECT_NE(told(talk, "gave_up").find("accept queue"), std::string::npos);
  Talk later;
  later.handshake().c(A, 1, 1, 14).s(A, 1, 15).c(A, 15, 1, 14);
  for (int i = 0; i < 4; ++i) later.wait(500 * ms).c(A, 15, 1, 14);
  EXPECT_EQ(told(later, "gave_up").find("accept queue"), std::string::npos);
}

}  // namespace
}  // namespace tcpwhy::scan
