#include <gtest/gtest.h>

#include <vector>

#include "tcp/endpoint.h"
#include "tcp/ends.h"
#include "tcp/sequence.h"
#include "tcp/state.h"

namespace tcpwhy::tcp {
namespace {

using wire::TcpFlags;
using wire::TcpSegment;

constexpr std::uint16_t S = TcpFlags::syn_bit, A = TcpFlags::ack_bit, F = TcpFlags::fin_bit, R = TcpFlags::rst_bit,
                        P = TcpFlags::psh_bit;
// In the upper half of the space, so that every test crosses 2^32 sooner or later.
constexpr std::uint32_t client_isn = 0xffff'fffe, server_isn = 0xffff'fff0;

TcpSegment segment(std::uint16_t flags, std::uint32_t seq, std::uint32_t ack = 0, std::uint32_t length = 0) {
  TcpSegment s;
  s.flags.bits = flags;
  s.seq = {seq};
  s.ack = {ack};
  s.payload_length = length;
  return s;
}

struct Pair {
  Endpoint client, server{State::listen};
  Sent last_sent;
  Received last_received;

  void c(std::uint16_t flags, std::uint32_t seq, std::uint32_t ack = 0, std::uint32_t length = 0) {
    const auto s = segment(flags, client_isn + seq, server_isn + ack, length);
    last_sent = client.on_send(s);
    last_received = server.on_receive(s);
  }
  void s(std::uint16_t flags, std::uint32_t seq, std::uint32_t ack = 0, std::uint32_t length = 0) {
    const auto s = segment(flags, server_isn + seq, client_isn + ack, length);
    last_sent = server.on_send(s);
    last_received = client.on_receive(s);
  }
  void handshake() { c(S, 0), s(S | A, 0, 1), c(A, 1, 1); }
  [[nodiscard]] std::pair<State, State> states() const { return {client.state(), server.state()}; }
};

using States = std::pair<State, State>;

// --- Sequence numbers ----------------------------------------------------------------------------------------

// A side is no end index, and neither is a number: what is kept for one can't be asked for by another.
template <class Array, class Index>
concept Indexed = requires(Array array, Index index) { array[index]; };
static_assert(Indexed<PerSide<int>, Side> && Indexed<PerEnd<int>, EndIndex>);
static_assert(!Indexed<PerSide<int>, EndIndex> && !Indexed<PerEnd<int>, Side>);
static_assert(!Indexed<PerSide<int>, int> && !Indexed<PerEnd<int>, int>);

TEST(Sequence, order_is_a_circle) {
  EXPECT_TRUE(before(SequenceNumber{0xffff'ffff}, SequenceNumber{0}));
  EXPECT_FALSE(before(SequenceNumber{0}, SequenceNumber{0xffff'ffff}));
  EXPECT_FALSE(before(SequenceNumber{7}, SequenceNumber{7}));
  EXPECT_TRUE(at_or_before(SequenceNumber{7}, SequenceNumber{7}));
  EXPECT_EQ(distance(SequenceNumber{0xffff'fff0}, SequenceNumber{0x10}), 0x20);
  EXPECT_TRUE(in_window(SequenceNumber{2}, SequenceNumber{0xffff'ffff}, 4));
  EXPECT_FALSE(in_window(SequenceNumber{3}, SequenceNumber{0xffff'ffff}, 4));
}

// --- The table -----------------------------------------------------------------------------------------------

TEST(StateTable, has_each_pair_at_most_once) {
  for (const auto& row : transitions()) EXPECT_EQ(find_transition(row.from, row.stimulus), &row);
}

TEST(StateTable, names_are_found_again) {
  for (std::size_t i = 0; i < state_count; ++i) {
    const auto state = static_cast<State>(i);
    EXPECT_EQ(state_named(name(state)), state);
  }
  EXPECT_FALSE(state_named("ESTAB"));
}

TEST(StateTable, a_reset_ends_every_synchronised_state) {
  for (const State state : {State::syn_received, State::established, State::fin_wait_1, State::fin_wait_2,
                            State::close_wait, State::closing, State::last_ack}) {
    ASSERT_NE(find_transition(state, Stimulus::gets_rst), nullptr) << name(state);
    EXPECT_EQ(find_transition(state, Stimulus::gets_rst)->to, State::closed);
  }
}

// --- Opening -------------------------------------------------------------------------------------------------

TEST(Endpoint, syn_sent_gets_syn_ack) {
  Pair pair;
  pair.c(S, 0);
  EXPECT_EQ(pair.states(), States(State::syn_sent, State::listen));
  pair.s(S | A, 0, 1);
  EXPECT_EQ(pair.states(), States(State::established, State::syn_received));
  pair.c(A, 1, 1);
  EXPECT_EQ(pair.states(), States(State::established, State::established));
  EXPECT_EQ(pair.last_sent.segment_class, SegmentClass::ack);
}

TEST(Endpoint, syn_sent_gets_reset_that_acknowledges_the_syn) {
  Pair pair;
  pair.c(S, 0);
  pair.s(R | A, 0, 1);
  EXPECT_EQ(pair.client.state(), State::closed);
}

// A SYN with data (Fast Open): who takes no data with it acknowledges the SYN alone.
TEST(Endpoint, syn_sent_gets_reset_that_acknowledges_the_syn_but_not_its_data) {
  for (const std::uint32_t acknowledged : {0U, 1U, 3U, 6U, 7U}) {
    Pair pair;
    pair.c(S, 0, 0, 5);
    pair.s(R | A, 0, acknowledged);
    const bool acceptable = acknowledged >= 1 && acknowledged <= 6;
    EXPECT_EQ(pair.client.state(), acceptable ? State::closed : State::syn_sent) << acknowledged;
    EXPECT_EQ(pair.last_received.acceptable, acceptable) << acknowledged;
  }
}

TEST(Endpoint, syn_sent_ignores_reset_without_ack) {
  Pair pair;
  pair.c(S, 0);
  pair.s(R, 0);
  EXPECT_EQ(pair.client.state(), State::syn_sent);
  EXPECT_FALSE(pair.last_received.acceptable);
}

TEST(Endpoint, simultaneous_open) {
  Pair pair;
  pair.server = Endpoint(State::closed);
  const auto from_client = segment(S, client_isn), from_server = segment(S, server_isn);
  pair.client.on_send(from_client);
  pair.server.on_send(from_server);
  pair.client.on_receive(from_server);
  pair.server.on_receive(from_client);
  EXPECT_EQ(pair.states(), States(State::syn_received, State::syn_received));
  pair.c(S | A, 0, 1);
  EXPECT_EQ(pair.last_sent.segment_class, SegmentClass::syn_ack);
  pair.s(S | A, 0, 1);
  EXPECT_EQ(pair.states(), States(State::established, State::established));
}

TEST(Endpoint, syn_again_is_a_retransmission) {
  Pair pair;
  pair.c(S, 0);
  pair.c(S, 0);
  EXPECT_EQ(pair.last_sent.segment_class, SegmentClass::retransmission);
}

// --- Closing -------------------------------------------------------------------------------------------------

TEST(Endpoint, server_closes_first_walks_the_left_side_of_the_diagram) {
  Pair pair;
  pair.handshake();
  pair.s(F | A, 1, 1);
  EXPECT_EQ(pair.states(), States(State::close_wait, State::fin_wait_1));
  pair.c(A, 1, 2);
  EXPECT_EQ(pair.states(), States(State::close_wait, State::fin_wait_2));
  EXPECT_TRUE(pair.last_received.acks_fin);
  pair.c(F | A, 1, 2);
  EXPECT_EQ(pair.states(), States(State::last_ack, State::time_wait));
  pair.s(A, 2, 2);
  EXPECT_EQ(pair.states(), States(State::closed, State::time_wait));
}

TEST(Endpoint, fin_that_carries_the_ack_of_a_fin_skips_fin_wait_2) {
  Pair pair;
  pair.handshake();
  pair.s(F | A, 1, 1);
  pair.c(F | A, 1, 2);
  EXPECT_EQ(pair.states(), States(State::last_ack, State::time_wait));
}

TEST(Endpoint, simultaneous_close_meets_in_closing) {
  Pair pair;
  pair.handshake();
  const auto from_client = segment(F | A, client_isn + 1, server_isn + 1);
  const auto from_server = segment(F | A, server_isn + 1, client_isn + 1);
  pair.client.on_send(from_client);
  pair.server.on_send(from_server);
  pair.client.on_receive(from_server);
  pair.server.on_receive(from_client);
  EXPECT_EQ(pair.states(), States(State::closing, State::closing));
  pair.c(A, 2, 2);
  EXPECT_EQ(pair.server.state(), State::time_wait);
}

TEST(Endpoint, data_acknowledges_the_fin_too) {
  Pair pair;
  pair.handshake();
  pair.s(F | A, 1, 1);
  pair.c(P | A, 1, 2, 13);
  EXPECT_EQ(pair.last_sent.segment_class, SegmentClass::data);
  EXPECT_TRUE(pair.last_received.acks_fin);
  EXPECT_EQ(pair.server.state(), State::fin_wait_2);
  pair.s(R, 2);
  EXPECT_EQ(pair.states(), States(State::closed, State::closed));
}

TEST(Endpoint, fin_again_is_a_retransmission_and_a_duplicate) {
  Pair pair;
  pair.handshake();
  pair.s(F | A, 1, 1);
  pair.s(F | A, 1, 1);
  EXPECT_EQ(pair.last_sent.segment_class, SegmentClass::retransmission);
  EXPECT_EQ(pair.client.state(), State::close_wait);
}

TEST(Endpoint, fin_out_of_order_waits_for_the_gap) {
  Pair pair;
  pair.handshake();
  pair.c(F | A, 6, 1);
  EXPECT_EQ(pair.server.state(), State::established);
  pair.c(P | A, 1, 1, 5);
  EXPECT_EQ(pair.server.state(), State::close_wait);
  EXPECT_EQ(pair.server.rcv_nxt(), SequenceNumber{client_isn + 7});
}

// --- Resets --------------------------------------------------------------------------------------------------

TEST(Endpoint, reset_at_rcv_nxt_is_acceptable_elsewhere_it_is_not) {
  Pair pair;
  pair.handshake();
  EXPECT_FALSE(pair.client.on_receive(segment(R, server_isn + 101)).acceptable);
  EXPECT_EQ(pair.client.state(), State::established);
  EXPECT_TRUE(pair.client.on_receive(segment(R, server_isn + 1)).acceptable);
  EXPECT_EQ(pair.client.state(), State::closed);
}

// --- Classes -------------------------------------------------------------------------------------------------

TEST(Endpoint, keep_alive_is_one_below_snd_nxt_with_nothing_outstanding) {
  Pair pair;
  pair.handshake();
  pair.c(A, 0, 1);
  EXPECT_EQ(pair.last_sent.segment_class, SegmentClass::keep_alive);
}

TEST(Endpoint, data_again_is_a_retransmission) {
  Pair pair;
  pair.handshake();
  pair.c(P | A, 1, 1, 5);
  EXPECT_EQ(pair.last_sent.segment_class, SegmentClass::data);
  EXPECT_TRUE(pair.client.has_outstanding());
  pair.c(P | A, 1, 1, 5);
  EXPECT_EQ(pair.last_sent.segment_class, SegmentClass::retransmission);
  EXPECT_TRUE(pair.last_received.duplicate);
  pair.s(A, 1, 6);
  EXPECT_FALSE(pair.client.has_outstanding());
}

TEST(Endpoint, a_capture_that_begins_late_counts_from_what_it_sees) {
  Endpoint client, server;
  const auto data = segment(P | A, 0xffff'ffff, 77, 10), ack = segment(A, 77, 9);
  client.on_send(data);
  server.on_receive(data);
  server.on_send(ack);
  client.on_receive(ack);
  EXPECT_EQ(client.state(), State::established);
  EXPECT_EQ(server.state(), State::established);
}

}  // namespace
}  // namespace tcpwhy::tcp
