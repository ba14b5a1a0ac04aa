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

TEST(ProblemsOfCaptures, a_filter_on_flags_does_not_make_a_reset_illegal) {
  Talk unread, killed, refused_late;
  unread.c(S, 0).s(S | A, 0, 1).s(R | A, 501, 5001).s(R, 501);
  killed.c(S, 0).s(S | A, 0, 1).c(R | A, 101, 301);
  refused_late.c(S, 0).s(S | A, 0, 1).c(A, 1, 1).s(R | A, 501, 5001);
  EXPECT_EQ(unread.problems(), (Ids{"reset.not_captured", "flags_only"}));
  EXPECT_EQ(of(unread, "reset.not_captured").at(0).grade, explain::Grade::assumed);
  EXPECT_EQ(killed.problems(), (Ids{"reset.not_captured", "flags_only"}));
  EXPECT_EQ(refused_late.problems(), Ids{"illegal"}) << "the ACK was captured: no filter was between";
}

TEST(ProblemsOfCaptures, a_handshake_of_which_a_filter_may_lack_the_end_is_not_surely_half_open) {
  Talk filtered, scan, plain;
  filtered.c(S, 0).s(S | A, 0, 1).wait(2000 * ms);
  scan.c(S, 0).s(S | A, 0, 1).wait(1000 * ms).s(S | A, 0, 1).wait(2000 * ms);
  constexpr std::string_view id = "half_open_handshake";
  EXPECT_EQ(of(filtered, id).at(0).grade, explain::Grade::assumed);
  EXPECT_NE(told(filtered, id).find("a filter"), std::string::npos);
  EXPECT_EQ(of(scan, id).at(0).grade, explain::Grade::derived);
  EXPECT_EQ(told(scan, id).find("a filter"), std::string::npos);
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

// Of one direction: who has answered what came again answers the next such with a reset, when it has forgotten the connection.
TEST(ProblemsOfCaptures, of_one_direction_a_reset_behind_all_that_was_acknowledged_answers_a_late_copy) {
  Talk copies, data;
  for (Talk* talk : {&copies, &data}) talk->c(S, 0).c(A, 1, 1).c(A, 1, 1, 100).c(A, 101, 5001).c(F | A, 101, 9001);
  copies.c(A, 102, 9001).c(A, 102, 9001).c(R, 102);
  data.c(R, 102);
  EXPECT_EQ(copies.problems(), (Ids{"reset.late_after_close", "one_way"}));
  EXPECT_EQ(of(copies, "reset.late_after_close").at(0).grade, explain::Grade::assumed);
  EXPECT_EQ(data.problems(), (Ids{"reset.data_after_close", "one_way"}));
}

TEST(ProblemsOfCaptures, a_syn_proxy_answers_before_the_server_refuses) {
  Talk proxy, box;
  proxy.c(S, 0).s({.window = 0, .ttl = 64}, S | A, 0, 1).c(A, 1, 1).s({.window = 0, .ttl = 62}, R | A, 1, 1);
  box.c(S, 0).s({.ttl = 64}, S | A, 0, 1).c(A, 1, 1).c(A, 1, 1, 100).s({.ttl = 62}, R | A, 1, 101);
  EXPECT_EQ(proxy.problems(), Ids{"reset.behind_proxy"});
  EXPECT_EQ(of(box, "reset.behind_proxy").size(), 0U);
}

}  // namespace
}  // namespace tcpwhy::scan
