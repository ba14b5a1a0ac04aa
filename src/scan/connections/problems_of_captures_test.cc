// What is said of a connection whose capture has its packets more than once, or not whole: it is not told as what the network did.
#include <gtest/gtest.h>

#include <string>

#include "scan/testing/talk.h"

namespace tcpwhy::scan {
namespace {

using namespace scan::testing;

constexpr std::uint8_t near = 64, far = 62;

// The captures of both ends in one file: each packet stands in it twice, the second time with the TTL of the other end, a way later.
TEST(ProblemsOfCaptures, of_both_ends_merged_nothing_was_sent_again) {
  Talk talk;
  talk.c({.ip_id = 10, .timestamp = 100, .ttl = near}, S, 0)
      .wait(350 * ms)
      .c({.ip_id = 10, .timestamp = 100, .ttl = far}, S, 0)
      .s({.timestamp = 900, .echo_reply = 100, .ttl = near}, S | A, 0, 1)
      .wait(120 * ms)
      .s({.timestamp = 900, .echo_reply = 100, .ttl = far}, S | A, 0, 1)
      .c({.ip_id = 11, .timestamp = 600, .echo_reply = 900, .ttl = near}, A, 1, 1);
  std::uint16_t id = 12;
  for (std::uint32_t at = 1; at < 4000; at += 1000, id += 2) {
    // Large at its sender, in pieces at its receiver.
    talk.c({.ip_id = id, .timestamp = 601, .echo_reply = 900, .ttl = near}, A, at, 1, 1000)
        .wait(120 * ms)
        .c({.ip_id = id, .timestamp = 601, .echo_reply = 900, .ttl = far}, A, at, 1, 500)
        .c({.ip_id = static_cast<std::uint16_t>(id + 1), .timestamp = 601, .echo_reply = 900, .ttl = far}, A, at + 500,
           1, 500)
        .s({.timestamp = 1000, .echo_reply = 601, .ttl = near}, A, 1, at + 1000)
        .wait(120 * ms)
        .s({.timestamp = 1000, .echo_reply = 601, .ttl = far}, A, 1, at + 1000);
  }
  EXPECT_EQ(talk.problems(), Ids{"copies"});
  EXPECT_EQ(talk.record().retransmissions(), 0U);
}

// By its stamp it left later: its route changed meanwhile.
TEST(ProblemsOfCaptures, a_syn_again_with_another_stamp_was_sent_again_whatever_its_ttl) {
  Talk talk;
  talk.c({.ip_id = 10, .timestamp = 100, .ttl = near}, S, 0)
      .wait(1000 * ms)
      .c({.ip_id = 11, .timestamp = 1100, .ttl = far}, S, 0)
      .s({.timestamp = 900, .echo_reply = 1100}, S | A, 0, 1)
      .c({.ip_id = 12, .timestamp = 1101, .ttl = near}, A, 1, 1);
  EXPECT_EQ(talk.problems(), Ids{"syn_lost"});
}

TEST(ProblemsOfCaptures, new_data_with_another_ttl_took_another_route) {
  Talk talk;
  talk.handshake();
  for (std::uint32_t at = 1; at < 4000; at += 100)
    talk.c({.ttl = at % 200 == 1 ? near : far}, A, at, 1, 100).s(A, 1, at + 100);
  EXPECT_EQ(talk.problems(), Ids{});
  EXPECT_EQ(talk.record().bytes(), 4000U);
}

// A snap length of 68 bytes cuts the options behind the time stamps.
TEST(ProblemsOfCaptures, a_window_of_which_the_scale_was_cut_off_is_not_tiny) {
  const auto of_options = [](bool cut) {
    Talk talk;
    talk.c({.window_scale = {}, .cut = cut}, S, 0)
        .s({.window_scale = {}, .window = 500, .cut = cut}, S | A, 0, 1)
        .c(A, 1, 1);
    for (std::uint32_t at = 1; at < 20'000; at += 500)
      talk.c(A, at, 1, 500).s({.window = 500, .cut = cut}, A, 1, at + 500);
    return talk.problems();
  };
  EXPECT_EQ(of_options(false), Ids{"tiny_window"});
  EXPECT_EQ(of_options(true), Ids{});
}

TEST(ProblemsOfCaptures, where_options_were_cut_nothing_tells_that_it_waited_for_a_timer) {
  const auto of_options = [](bool cut) {
    Talk talk;
    talk.c({.sack_permitted = true, .cut = cut}, S, 0).s({.sack_permitted = true, .cut = cut}, S | A, 0, 1).c(A, 1, 1);
    for (std::uint32_t at = 1; at < 1000; at += 100) talk.c(A, at, 1, 100).s({.cut = cut}, A, 1, at + 100);
    talk.c(A, 1001, 1, 100).c(A, 1101, 1, 100).wait(400 * ms).c(A, 1001, 1, 100).s({.cut = cut}, A, 1, 1201);
    return of(talk, "timeout").at(0).grade;
  };
  EXPECT_EQ(of_options(false), explain::Grade::derived);
  EXPECT_EQ(of_options(true), explain::Grade::assumed);
}

// Any interface of a router or bridge: each packet three times.
TEST(ProblemsOfCaptures, what_was_lost_is_counted_against_originals) {
  Talk talk;
  talk.handshake();
  std::uint16_t id = 100;
  std::uint32_t at = 1;
  for (int i = 0; i < 140; ++i, at += 100) {
    const bool lost = i % 40 == 20;
    for (const bool again : {false, true}) {
      if (again && !lost) continue;
      ++id;
      if (again) talk.wait(250 * ms);
      for (int copy = 0; copy < 3; ++copy) talk.c({.ip_id = id}, A, at, 1, 100);
    }
    talk.s(A, 1, at + 100);
  }
  EXPECT_EQ(of(talk, "loss").size(), 1U);
  EXPECT_EQ(talk.record().retransmissions(), 3U);
}

TEST(ProblemsOfCaptures, what_lies_before_its_begin_a_capture_does_not_lack) {
  Talk old_copy, first_lost, lacks;
  old_copy.c(A, 1, 1, 100).s({.sack = {{1, 101}}}, A, 1, 5001).c(A, 5001, 1, 100).s(A, 1, 5101);
  first_lost.s(A, 1, 1).c(A, 1, 1, 100).c(A, 5001, 1, 100).s(A, 1, 101).wait(50 * ms).c(A, 101, 1, 100).s(A, 1, 5101);
  lacks.c(A, 1, 1, 100).s(A, 1, 101).c(A, 101, 1, 100).s(A, 1, 201).c(A, 5001, 1, 100).s(A, 1, 5101);
  EXPECT_EQ(old_copy.problems(), Ids{});
  EXPECT_EQ(of(first_lost, "gaps").size(), 0U);
  EXPECT_EQ(lacks.problems(), Ids{"gaps"});
}

}  // namespace
}  // namespace tcpwhy::scan
