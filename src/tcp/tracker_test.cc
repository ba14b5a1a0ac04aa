// The observer's tracker, told in stories: c sends, s sends, and what each segment is said to be.
#include "tcp/tracker.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>
#include <vector>

namespace tcpwhy::tcp {
namespace {

using wire::TcpFlags;
using wire::TcpSegment;

constexpr std::uint16_t S = TcpFlags::syn_bit, A = TcpFlags::ack_bit, F = TcpFlags::fin_bit, R = TcpFlags::rst_bit;
constexpr std::int64_t ms = 1'000'000;

class Story {
 public:
  // In the upper half of the space: every story crosses 2^32.
  explicit Story(std::uint32_t client_isn = 0xffff'fffe, std::uint32_t server_isn = 0xffff'ff00)
      : isn_{client_isn, server_isn} {}

  struct Extra {
    std::uint16_t window = 1000;
    std::uint16_t ip_id = 0;
    std::uint8_t ttl = 64;
    std::optional<wire::TcpTimestamps> timestamps;
    std::vector<std::pair<std::uint32_t, std::uint32_t>> sack;  // relative
  };

  Verdict c(std::uint16_t flags, std::uint32_t seq, std::uint32_t ack = 0, std::uint32_t length = 0) {
    return send(EndIndex::first, flags, seq, ack, length, {});
  }
  Verdict s(std::uint16_t flags, std::uint32_t seq, std::uint32_t ack = 0, std::uint32_t length = 0) {
    return send(EndIndex::second, flags, seq, ack, length, {});
  }
  Verdict send(EndIndex from, std::uint16_t flags, std::uint32_t seq, std::uint32_t ack, std::uint32_t length,
               const Extra& extra) {
    TcpSegment segment;
    segment.flags.bits = flags;
    segment.seq = {isn_[from] + seq};
    if (flags & A) segment.ack = {isn_[opposite(from)] + ack};
    segment.payload_length = length;
    segment.window = extra.window;
    segment.ip_id = extra.ip_id;
    segment.ttl = extra.ttl;
    segment.options.timestamps = extra.timestamps;
    for (const auto& [left, right] : extra.sack) {
      const std::uint32_t base = isn_[opposite(from)];
      segment.options.sack_storage[segment.options.sack_count++] = {{base + left}, {base + right}};
    }
    at_ns_ += 10 * ms;
    const Observed seen{at_ns_, ++frame_, from, segment};
    anew_ = tracker.begins_anew(seen);
    return tracker.observe(seen);
  }
  void wait(std::int64_t ns) { at_ns_ += ns; }
  void handshake() { c(S, 0), s(S | A, 0, 1), c(A, 1, 1); }
  [[nodiscard]] std::pair<State, State> states() const {
    return {tracker.end(EndIndex::first).state, tracker.end(EndIndex::second).state};
  }
  [[nodiscard]] bool anew() const { return anew_; }

  Tracker tracker;

 private:
  PerEnd<std::uint32_t> isn_;
  std::int64_t at_ns_ = 1'000'000'000 * ms;
  std::uint64_t frame_ = 0;
  bool anew_ = false;
};

using States = std::pair<State, State>;

// --- Opening --------------------------------------------------------------------------------------------------

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

// --- Transfer ------------------------------------------------------------------------------------------------

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

// --- Closing and resets ----------------------------------------------------------------------------------------

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

// --- What a capture lacks, or has twice -------------------------------------------------------------------------

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

class Offload : public testing::Test {
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

TEST_F(Offload, without_a_number_or_stamp_nothing_tells) {
  s(1, 4344, 0, 20 * ms);
  EXPECT_EQ(s(1, 1448, 0).kind, Kind::retransmission);
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

TEST(TrackerClosing, bsd_repeats_its_fin_in_the_ack_of_the_peers) {
  Story story;
  story.handshake();
  story.c(F | A, 1, 1), story.s(F | A, 1, 2);
  const Verdict last = story.c(F | A, 1, 2);
  EXPECT_EQ(last.kind, Kind::ack);
  EXPECT_TRUE(last.has(mark::with_fin));
  EXPECT_EQ(story.tracker.end(EndIndex::first).retransmissions, 0U);
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

TEST(TrackerReuse, a_new_number_behind_the_close_begins_anew) {
  Story story;
  story.handshake();
  story.c(F | A, 1, 1), story.s(F | A, 1, 2), story.c(A, 2, 2);
  story.c(S, 100'000);
  EXPECT_TRUE(story.anew());
}

// RFC 9293 3.10.7.3: a reset answers a wrong ACK with that ACK's number; what carried no ACK has none, though its field may say 0.
TEST(TrackerIllegal, a_segment_without_ack_has_no_number_for_a_reset_to_answer) {
  Story story(0, 0);
  story.handshake();
  EXPECT_EQ(story.s(0, 0).illegality, Illegality::flags);
  EXPECT_EQ(story.c(R, 0).kind, Kind::illegal);
}

// --- What a capture cannot show ----------------------------------------------------------------------------------

using wire::TcpTimestamps;

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

TEST(TrackerOneWay, another_syn_ack_answers_another_attempt) {
  Story story;
  story.s(S | A, 0, 1), story.s(A, 1, 11);
  story.s(S | A, 500'000, 700'001);
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

// --- Whatever comes ----------------------------------------------------------------------------------------------

// Where the circle of sequence numbers begins makes no difference.
RC_GTEST_PROP(TrackerProperty, shifted_sequence_numbers_change_nothing,
              (std::uint32_t client_isn, std::uint32_t server_isn)) {
  const auto steps =
      *rc::gen::container<std::vector<std::tuple<bool, std::uint16_t, std::uint16_t, std::uint16_t, std::uint8_t>>>(
          rc::gen::tuple(rc::gen::arbitrary<bool>(), rc::gen::inRange<std::uint16_t>(0, 64),
                         rc::gen::inRange<std::uint16_t>(0, 3000), rc::gen::inRange<std::uint16_t>(0, 3000),
                         rc::gen::arbitrary<std::uint8_t>()));
  Story here, there(client_isn, server_isn);
  here.handshake();
  there.handshake();
  for (const auto& [is_second, flags, seq, ack, length] : steps) {
    const EndIndex from = is_second ? EndIndex::second : EndIndex::first;
    const Verdict one = here.send(from, flags, seq, ack, length, {});
    const Verdict other = there.send(from, flags, seq, ack, length, {});
    RC_ASSERT(one.kind == other.kind);
    RC_ASSERT(one.marks == other.marks);
    RC_ASSERT(one.seq == other.seq);
    RC_ASSERT(one.reset_cause == other.reset_cause);
    RC_ASSERT(here.states() == there.states());
    RC_ASSERT(here.anew() == there.anew());
    RC_ASSERT(here.tracker.end(EndIndex::first).trouble().gaps.size() <= max_gaps);
  }
}

}  // namespace
}  // namespace tcpwhy::tcp
