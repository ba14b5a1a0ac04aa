// Which problems are said of a connection, and which are not.
#include "scan/connections/problems.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "scan/testing/talk.h"

namespace tcpwhy::scan {
namespace {

using namespace scan::testing;

TEST(Problems, a_connection_that_is_sound_has_none) {
  Talk talk;
  talk.handshake()
      .c(A, 1, 1, 100)
      .s(A, 1, 101, 500)
      .c(A, 101, 501)
      .c(F | A, 101, 501)
      .s(F | A, 501, 102)
      .c(A, 102, 502);
  EXPECT_EQ(talk.problems(), Ids{});
}

TEST(Problems, a_syn_without_an_answer_is_counted_by_its_syns) {
  Talk talk;
  talk.c(S, 0).wait(1000 * ms).c(S, 0).wait(2000 * ms).c(S, 0);
  EXPECT_EQ(problems_of(talk.record()).at(0).count, 3U);
  EXPECT_EQ(talk.problems(), Ids{"unanswered"});
}

std::string said(Talk& talk, std::string_view id) {
  const ConnectionRecord record = talk.record();
  for (const Problem& problem : problems_of(record))
    if (problem.rule->id == id) return say(problem, record, base::Language::en);
  return {};
}

// A program that builds packets by itself: it acknowledges nothing.
TEST(Problems, a_syn_ack_that_acknowledges_something_else_is_no_silence_and_no_old_connection) {
  Talk talk;
  talk.c(S, 0).s(S | A, 0, 0).wait(2000 * ms);
  EXPECT_EQ(talk.problems(), Ids{"illegal"});
}

// What came of an older connection's answer is said as far as it was captured.
TEST(Problems, of_an_older_connection_no_more_is_told_than_was_captured) {
  constexpr std::string_view id = "capture.old_connection";
  Talk answer, reset, again;
  answer.c(S, 0).s(A, 3000, 2000);
  reset.c(S, 0).s(A, 3000, 2000).c(R, 2000);
  again.c(S, 0).s(A, 3000, 2000).c(R, 2000).wait(1000 * ms).c(S, 0).s(S | A, 0, 1).c(A, 1, 1);
  EXPECT_NE(said(answer, id), "");
  EXPECT_EQ(said(answer, id).find("reset"), std::string::npos);
  EXPECT_NE(said(reset, id).find("was reset"), std::string::npos);
  EXPECT_EQ(said(reset, id).find("again"), std::string::npos);
  EXPECT_NE(said(again, id).find("SYN sent again"), std::string::npos);
}

TEST(Problems, who_answers_a_syn_ack_with_its_syn_did_not_take_that) {
  Talk scan, refuses;
  scan.c(S, 0).s(S | A, 0, 1).wait(2000 * ms);
  refuses.c(S, 0).s(S | A, 0, 1).wait(1000 * ms).c(S, 0).s(S | A, 0, 1).wait(2000 * ms);
  constexpr std::string_view id = "capture.half_open_handshake";
  EXPECT_NE(said(scan, id).find("a scan"), std::string::npos);
  EXPECT_NE(said(refuses, id).find("sent again"), std::string::npos);
  EXPECT_EQ(said(refuses, id).find("a scan"), std::string::npos);
}

TEST(Problems, who_gives_up_after_several_syns_was_no_scan) {
  Talk lost, late, scan;
  lost.c(S, 0).s(S | A, 0, 1).wait(1000 * ms).c(S, 0).s(S | A, 0, 1).wait(2000 * ms).c(S, 0).s(S | A, 0, 1);
  lost.wait(2000 * ms).c(R, 1);
  late.c(S, 0).wait(1000 * ms).c(S, 0).wait(2000 * ms).c(S, 0).wait(9000 * ms).s(S | A, 0, 1).c(R, 1);
  scan.c(S, 0).s(S | A, 0, 1).c(R, 1);
  constexpr std::string_view id = "capture.half_open_handshake";
  EXPECT_NE(said(lost, id).find("did not arrive"), std::string::npos) << said(lost, id);
  EXPECT_NE(said(late, id).find("had given up"), std::string::npos) << said(late, id);
  EXPECT_EQ(lost.problems(), Ids{"half_open_handshake"});
  EXPECT_EQ(scan.problems(), Ids{"reset.abandoned"});
}

TEST(Problems, a_round_trip_that_is_longer_than_the_timer_loses_no_syn) {
  Talk slow;
  slow.c(S, 0).wait(1000 * ms).c(S, 0).wait(1000 * ms).s(S | A, 0, 1).c(A, 1, 1).c(A, 1, 1, 100).s(S | A, 0, 1);
  slow.wait(1900 * ms).s(A, 1, 101);
  EXPECT_NE(said(slow, "capture.syn_lost").find("longer than the timer"), std::string::npos);
  Talk held;
  held.c({.timestamp = 1}, S, 0)
      .wait(-9 * ms)
      .c({.timestamp = 1001}, S, 0)
      .s(S | A, 0, 1)
      .c({.timestamp = 1050}, A, 1, 1);
  EXPECT_NE(said(held, "capture.syn_lost").find("held"), std::string::npos);
  Talk lost;
  lost.c(S, 0).wait(1000 * ms).c(S, 0).s(S | A, 0, 1).c(A, 1, 1);
  EXPECT_EQ(said(lost, "capture.syn_lost"), "slow to open: a SYN or SYN-ACK was sent again");
}

TEST(Problems, a_syn_ack_that_is_sent_again_may_wait_for_data) {
  Talk talk;
  talk.handshake().wait(1000 * ms).s(S | A, 0, 1).c(A, 1, 1);
  EXPECT_EQ(talk.problems(), Ids{"accept_queue"});
  EXPECT_NE(said(talk, "capture.accept_queue").find("TCP_DEFER_ACCEPT"), std::string::npos);
}

// Its growing waits show that nothing came back, wherever it was lost.
TEST(Problems, of_an_end_alone_that_sends_the_same_again_and_again_nobody_answers) {
  Talk talk;
  talk.c(A, 1, 1, 199);
  for (int i = 0; i < 3; ++i) talk.wait(2000 * ms).c(A, 1, 1, 199);
  EXPECT_EQ(talk.problems(), Ids{"gave_up"});
  EXPECT_NE(said(talk, "capture.gave_up").find("reached its sender"), std::string::npos);
  Talk with_fin;
  with_fin.c(A, 1, 1, 151).c(F | A, 152, 1);
  for (int i = 0; i < 5; ++i) with_fin.wait((300 << i) * ms).c(F | A, 1, 1, 151);
  EXPECT_EQ(with_fin.problems(), Ids{"gave_up"});
}

TEST(Problems, of_an_end_alone_that_gave_up_with_a_reset_nothing_else_is_missing) {
  Talk talk;
  talk.c(F | A, 1, 1).wait(2400 * ms).c(F | A, 1, 1).wait(4800 * ms).c(F | A, 1, 1).wait(9600 * ms).c(R | A, 2, 1);
  EXPECT_EQ(talk.problems(), Ids{"reset.gave_up"});
}

// Of one direction repairs tell no more than that: what was acknowledged in between was not captured.
TEST(Problems, of_an_end_alone_that_sends_other_things_again_nothing_is_missed) {
  for (const bool goes_on : {true, false}) {
    Talk talk;
    talk.c(S, 0).c(A, 1, 1).c(A, 1, 1, 500).c(A, 501, 1, 500).c(A, 1001, 1, 500).c(A, 1501, 1, 500);
    if (goes_on) {  // the same, and then it got its answer
      for (int i = 0; i < 4; ++i) talk.wait(1000 * ms).c(A, 1501, 1, 500);
      talk.wait(100 * ms).c(A, 2001, 1, 500);
    } else {
      for (const std::uint32_t seq : {1U, 501U, 1001U, 1501U}) talk.wait(1000 * ms).c(A, seq, 1, 500);
    }
    const auto found = talk.problems();
    EXPECT_EQ(std::ranges::count(found, "gave_up"), 0) << goes_on;
    EXPECT_EQ(std::ranges::count(found, "one_way"), 1) << goes_on;
  }
}

// What answers the SYN was there, though it was not captured.
TEST(Problems, of_an_end_alone_that_was_answered_once_both_are_said) {
  Talk talk;
  talk.c(S, 0).c(A, 1, 1).c(A, 1, 1, 199);
  for (int i = 0; i < 3; ++i) talk.wait(2000 * ms).c(A, 1, 1, 199);
  EXPECT_EQ(talk.problems(), (Ids{"gave_up", "one_way"}));
}

TEST(Problems, a_reset_alone_is_no_error) {
  Talk talk;
  talk.s(R, 1);
  EXPECT_EQ(talk.problems(), Ids{"reset.alone"});
  EXPECT_EQ(problems_of(talk.record()).at(0).rule->severity, explain::Severity::note);
}

// Where the opening is missing, so may be that of another connection between these ports.
TEST(Problems, what_no_receiver_takes_is_sure_only_where_the_opening_was_captured) {
  for (const bool opened : {true, false}) {
    Talk talk;
    if (opened) talk.handshake();
    talk.c(A, 1, 1, 100).s(A, 1, 101, 50).c(A, 0x60000000, 0x70000000, 100);
    const auto found = problems_of(talk.record());
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].rule->id, "capture.illegal");
    EXPECT_EQ(found[0].grade, opened ? explain::Grade::derived : explain::Grade::assumed);
  }
}

TEST(Problems, a_syn_that_an_icmp_error_answers_was_rejected) {
  Talk talk;
  talk.c(S, 0).icmp(0).c(S, 0);
  EXPECT_EQ(talk.problems(), Ids{"rejected"});
  EXPECT_NE(say(problems_of(talk.record()).at(0), talk.record(), base::Language::en).find("10.0.0.9"),
            std::string::npos);
}

TEST(Problems, an_icmp_error_that_quotes_what_was_never_sent_is_disbelieved) {
  Talk talk;
  talk.handshake().c(A, 1, 1, 100).s(A, 1, 101).icmp(90'000);
  EXPECT_EQ(talk.problems(), Ids{"icmp_disbelieved"});
  Talk believed;
  believed.handshake().c(A, 1, 1, 100).s(A, 1, 101).icmp(1);
  EXPECT_EQ(believed.problems(), Ids{"icmp_error"});
}

TEST(Problems, a_socket_connected_to_itself) {
  Talk talk(true);
  talk.c(S, 0).c(S | A, 0, 1).c(A, 1, 1).c(A, 1, 1, 5).c(A, 6, 6).c(F | A, 6, 6).c(A, 7, 7);
  const ConnectionRecord record = talk.record();
  EXPECT_EQ(talk.problems(), Ids{"to_itself"});
  EXPECT_EQ(record.opening, Opening::handshake);
  EXPECT_EQ(record.ending, Ending::closed);
}

TEST(Problems, a_syn_that_is_sent_again_is_told_once) {
  Talk talk;
  talk.c(S, 0);
  for (int i = 0; i < 3; ++i) talk.wait(1000 * ms).c(S, 0);
  talk.s(S | A, 0, 1).c(A, 1, 1).c(A, 1, 1, 100).s(A, 1, 101);
  EXPECT_EQ(talk.problems(), Ids{"syn_lost"});
}

TEST(Problems, one_direction_is_no_unanswered_syn) {
  Talk talk;
  talk.c(S, 0).c(A, 1, 1).c(A, 1, 1, 100).c(A, 101, 301);
  EXPECT_EQ(talk.problems(), Ids{"one_way"});
}

TEST(Problems, a_listener_that_repeats_its_syn_ack) {
  Talk talk;
  talk.handshake().c(A, 1, 1, 100).wait(1000 * ms).s(S | A, 0, 1).c(A, 101, 1);
  talk.c(A, 1, 1, 100).wait(400 * ms).c(A, 1, 1, 100).wait(800 * ms).c(A, 1, 1, 100);
  EXPECT_EQ(talk.problems(), Ids{"accept_queue"});        // no data can have an answer
  EXPECT_EQ(problems_of(talk.record()).at(0).count, 1U);  // one SYN-ACK again
}

TEST(Problems, only_what_is_small_gets_through) {
  Talk talk;
  talk.handshake().c(A, 1, 1, 100).s(A, 1, 101).c(A, 101, 1, 1448);
  for (int i = 0; i < 4; ++i) talk.wait(400 * ms).c(A, 101, 1, 1448);
  EXPECT_EQ(talk.problems(), (Ids{"mtu_black_hole", "timeout"}));
  const auto problem = problems_of(talk.record()).at(0);
  EXPECT_EQ(problem.grade, explain::Grade::assumed);
  const auto text = say(problem, talk.record(), base::Language::en);
  EXPECT_NE(text.find("up to 100"), std::string::npos) << text;
}

TEST(Problems, what_is_no_larger_than_what_got_through_is_stuck_for_another_reason) {
  Talk talk;
  talk.handshake().c(A, 1, 1, 1448).s(A, 1, 1449).c(A, 1449, 1, 1448);
  for (int i = 0; i < 4; ++i) talk.wait(400 * ms).c(A, 1449, 1, 1448);
  EXPECT_EQ(talk.problems(), (Ids{"gave_up", "timeout"}));
}

TEST(Problems, a_last_fin_without_an_answer_lost_no_data) {
  Talk talk;
  talk.handshake().c(A, 1, 1, 100).s(A, 1, 101).s(F | A, 1, 101).c(A, 101, 2).c(F | A, 101, 2);
  for (int i = 0; i < 4; ++i) talk.wait(400 * ms).c(F | A, 101, 2);
  EXPECT_EQ(talk.problems(), Ids{"fin_unanswered"});
}

TEST(Problems, fins_that_were_answered_are_neither_lost_nor_needless_nor_unanswered) {
  Talk talk;
  talk.handshake().c(F | A, 1, 1).s(A, 1, 2).s(F | A, 1, 2).c(A, 2, 2);
  for (int i = 0; i < 5; ++i) talk.wait(400 * ms).s(F | A, 1, 2).c(A, 2, 2);
  EXPECT_EQ(talk.problems(), Ids{"fin_again"});
}

TEST(Problems, a_window_that_is_shut_for_a_moment_harms_nobody) {
  Talk brief;
  brief.handshake().s(A, 1, 1, 1000).c(A, 1, 1001, 0, 0).c(A, 1, 1001, 0, 1000);
  EXPECT_EQ(brief.problems(), Ids{"zero_window_brief"});
  Talk lasting;
  lasting.handshake().s(A, 1, 1, 1000).c(A, 1, 1001, 0, 0).wait(5000 * ms).c(A, 1, 1001, 0, 1000);
  EXPECT_EQ(lasting.problems(), Ids{"zero_window"});
  Talk to_the_end;
  to_the_end.handshake().s(A, 1, 1, 1000).c(A, 1, 1001, 0, 0).wait(5000 * ms).s(A, 1000, 1).c(A, 1, 1001, 0, 0);
  EXPECT_EQ(to_the_end.problems(), Ids{"zero_window"});
}

// A firewall forgot an idle connection: what the peer may have sent is not known.
TEST(Problems, a_first_fin_without_an_answer_does_not_tell_that_all_had_arrived) {
  for (const bool peer_closed : {false, true}) {
    Talk talk;
    talk.handshake().c(A, 1, 1, 5).s(A, 1, 6);
    if (peer_closed) talk.c(F | A, 6, 1).s(A, 1, 7);
    const std::uint32_t ack = peer_closed ? 7 : 6;
    talk.wait(7000 * ms).s(F | A, 1, ack);
    for (int i = 0; i < 3; ++i) talk.wait(500 * ms).s(F | A, 1, ack);
    EXPECT_EQ(talk.problems(), Ids{peer_closed ? "fin_unanswered" : "close_unanswered"});
  }
}

TEST(Problems, a_listener_that_answers_an_old_syn_has_no_full_accept_queue) {
  Talk talk;
  talk.handshake().c(F | A, 1, 1).s(F | A, 1, 2).c(A, 2, 2).wait(1000 * ms);
  talk.s(S | A, 5'000'000, 1).c(A, 2, 2).s(R, 2);
  EXPECT_EQ(talk.problems(), (Ids{"reset.late_after_close", "old_syn"}));
}

// RFC 9293 3.5.1: who has forgotten the connection sends a SYN; the answer of the other end's old one is reset, and the SYN sent again.
TEST(Problems, the_syn_of_the_next_connection_is_no_stray_in_the_one_before) {
  Talk talk;
  talk.handshake().c(A, 1, 1, 2).s(A, 1, 3).wait(300 * ms);
  talk.c(S, 5'000'000).s(A, 1, 3).c(R, 3);
  talk.c(S, 5'000'000).s(S | A, 7'000'000, 5'000'001).c(A, 5'000'001, 7'000'001);
  const auto records = talk.records();
  ASSERT_EQ(records.size(), 2U);
  EXPECT_EQ(ids(records[0]), Ids{"reset.no_connection"});
  EXPECT_EQ(ids(records[1]), Ids{"old_connection"});
  EXPECT_EQ(problems_of(records[1]).at(0).grade, explain::Grade::derived);
}

// Linux answers what is outside its window every half second at most.
TEST(Problems, a_probe_that_comes_soon_after_an_answer_need_not_have_one) {
  Talk talk;
  talk.handshake().s(A, 1, 1, 1000).c(A, 1, 1001, 0, 0);
  const auto probe = [&](int after_ms) { talk.wait(after_ms * ms).s(A, 1000, 1); };
  for (int i = 0; i < 3; ++i) {
    probe(210), talk.c(A, 1, 1001, 0, 0);
    probe(440);  // no answer
    probe(860), talk.c(A, 1, 1001, 0, 0);
  }
  talk.c(A, 1, 1001, 0, 1000);
  EXPECT_EQ(talk.problems(), Ids{"zero_window"});
}

// What opened the window, or the answers, were lost; and the path was gone to the end.
TEST(Problems, probes_of_a_shut_window_that_had_to_be_answered) {
  for (const bool to_the_end : {false, true}) {
    Talk talk;
    talk.handshake().s(A, 1, 1, 1000).c(A, 1, 1001, 0, 0);
    talk.wait(210 * ms).s(A, 1000, 1).wait(420 * ms).s(A, 1000, 1).wait(840 * ms).s(A, 1000, 1);
    if (!to_the_end) talk.wait(1680 * ms).s(A, 1000, 1).c(A, 1, 1001, 0, 1000);
    EXPECT_EQ(talk.problems(), Ids{"probes_unanswered"}) << to_the_end;
    EXPECT_EQ(problems_of(talk.record()).at(0).count, 2U) << to_the_end;
  }
}

// It is the next one that shows that one had no answer.
TEST(Problems, a_single_probe_without_answer_is_not_two) {
  Talk talk;
  talk.handshake().s(A, 1, 1, 1000).c(A, 1, 1001, 0, 0);
  talk.wait(600 * ms).s(A, 1000, 1).wait(1200 * ms).s(A, 1000, 1).c(A, 1, 1001, 0, 0);
  EXPECT_EQ(talk.problems(), Ids{"zero_window"});
}

// The receiver says that it has what comes behind.
TEST(Problems, bytes_that_never_arrived_are_told_as_bytes) {
  Talk talk;
  talk.handshake().c(A, 1, 1, 100).s(A, 1, 101).c(A, 4101, 1, 100);
  for (int i = 0; i < 3; ++i) talk.wait(500 * ms).s(A, 1, 101);
  EXPECT_EQ(talk.problems(), Ids{"undelivered"});
  const Problem problem = problems_of(talk.record()).at(0);
  EXPECT_EQ(problem.count, 1U);
  EXPECT_NE(say(problem, talk.record(), base::Language::en).find("4,000 bytes"), std::string::npos);
  EXPECT_NE(say(problem, talk.record(), base::Language::zh).find("4,000 字节"), std::string::npos);
}

TEST(Problems, client_and_server_by_their_ports_where_nobody_was_seen_to_open) {
  Talk talk;
  talk.s(A, 1, 1, 100).c(A, 1, 101, 10).s(F | A, 101, 11);
  const ConnectionRecord record = talk.record();
  EXPECT_FALSE(record.opener_known);
  EXPECT_EQ(record.addresses[listener].port, 80);
  EXPECT_EQ(record.closed_by, listener);
}

// Nothing smaller did: what drops it need not be its size.
TEST(Problems, what_never_got_through_in_any_size_is_no_black_hole) {
  Talk talk;
  talk.handshake().c(A, 1, 1, 1448);
  for (int i = 0; i < 4; ++i) talk.wait(400 * ms).c(A, 1, 1, 1448).s(A, 1, 1);
  EXPECT_EQ(talk.problems().front(), "not_getting_through");
}

TEST(Problems, three_times_in_vain_and_then_through_in_smaller_pieces_is_a_black_hole) {
  Talk talk;
  talk.handshake().c(A, 1, 1, 1448);
  for (int i = 0; i < 2; ++i) talk.wait(3000 * ms).c(A, 1, 1, 1448);
  talk.wait(9000 * ms).c(A, 1, 1, 536).s(A, 1, 537).c(A, 537, 1, 536).s(A, 1, 1073).c(A, 1073, 1, 376).s(A, 1, 1449);
  EXPECT_EQ(talk.problems().front(), "mtu_black_hole");
}

TEST(Problems, where_all_had_been_acknowledged_nobody_waited_for_a_timer) {
  Talk talk;
  talk.handshake().c(A, 1, 1, 100).s(A, 1, 101).wait(800 * ms).c(A, 1, 1, 100).s(A, 1, 101);
  EXPECT_EQ(talk.problems(), Ids{});
  Talk waited;
  waited.handshake().c(A, 1, 1, 100).c(A, 101, 1, 100).wait(800 * ms).c(A, 1, 1, 100).s(A, 1, 201);
  EXPECT_EQ(waited.problems(), Ids{"timeout"});
}

// Another retransmission before it is no evidence of it.
TEST(Problems, a_wait_that_is_assumed_has_its_own_frame) {
  Talk talk;
  talk.c({.sack_permitted = true}, S, 0).s({.sack_permitted = true}, S | A, 0, 1).c(A, 1, 1);
  for (std::uint32_t i = 0; i < 4; ++i) talk.c(A, 1 + 100 * i, 1, 100);
  for (std::uint32_t i = 2; i <= 4; ++i) talk.s({.sack = {{101, 1 + 100 * i}}}, A, 1, 1);
  talk.c(A, 1, 1, 100).s(A, 1, 401).c(A, 401, 1, 100).wait(800 * ms).c(A, 401, 1, 100).s(A, 1, 501);
  const std::vector<Problem> waits = of(talk, "timeout");
  ASSERT_EQ(waits.size(), 1U);
  EXPECT_EQ(waits[0].grade, explain::Grade::assumed);
  EXPECT_EQ(waits[0].frame, 14U);
}

}  // namespace
}  // namespace tcpwhy::scan
