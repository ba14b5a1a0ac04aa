// Lives made of records as the probe sends them.
#include "trace/bpf/lives/life_tracker.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>

namespace tcpwhy::trace {
namespace {

constexpr std::uint8_t established = 1, syn_sent = 2, syn_received = 3, fin_wait_1 = 4, fin_wait_2 = 5, closed = 7,
                       close_wait = 8, last_ack = 9, listening = 10;

class Lives : public testing::Test {
 protected:
  probe_socket end(bool client) const {
    probe_socket socket{};
    socket.pointer = client ? 0x1000 : 0x2000, socket.cookie = client ? 1 : 2;
    socket.family = AF_INET;
    socket.local[0] = socket.remote[0] = 127, socket.local[3] = socket.remote[3] = 1;
    socket.local_port = client ? 40000 : 80, socket.remote_port = client ? 80 : 40000;
    return socket;
  }
  void state(bool client, std::uint8_t from, std::uint8_t to, bool owned = false, std::uint8_t flags = 0) {
    probe_state record{};
    record.head.kind = PROBE_STATE, record.head.at_ns = ++now_ * 1000, record.head.tgid = client ? 10 : 20;
    record.head.flags = flags;
    record.socket = end(client);
    if (owned) record.head.flags |= PROBE_IN_CALL;
    record.old_state = from, record.new_state = to;
    record.socket.netns = netns_, record.head.tid = tid_ != 0 ? tid_ : record.head.tgid;
    if (to == closed) record.bytes_sent = 102, record.bytes_received = 100;  // 100 of payload
    std::strcpy(record.comm, client ? "curl" : "nginx");
    add(record);
  }
  // `closer`: in whose call; 0: in nobody's.
  void destroyed(bool client, std::uint32_t closer = 0) {
    probe_gone record{};
    record.head.kind = PROBE_GONE, record.head.at_ns = ++now_ * 1000, record.socket = end(client).pointer;
    if (closer != 0) record.head.flags = PROBE_IN_CALL, record.head.tgid = closer, std::strcpy(record.comm, "worker");
    add(record);
  }
  // A listener on port 80, whose address in the kernel is its pid.
  void listener(std::uint32_t pid, std::uint8_t from, std::uint8_t to) {
    probe_state record{};
    record.head.kind = PROBE_STATE, record.head.at_ns = ++now_ * 1000, record.head.tgid = record.head.tid = pid;
    record.head.flags = PROBE_IN_CALL;
    record.socket.pointer = record.socket.cookie = pid, record.socket.family = AF_INET;
    record.socket.local_port = 80;
    record.old_state = from, record.new_state = to;
    std::strcpy(record.comm, "master");
    add(record);
  }
  void closed_by_client() {
    state(true, established, fin_wait_1, true);
    state(false, established, close_wait);
    state(true, fin_wait_1, fin_wait_2);
    state(true, fin_wait_2, closed);
    destroyed(true);
  }
  void tell_waiting(base::Duration after, bool all = false) {
    tracker_.tell_waiting(
        base::wall_from_ns(static_cast<std::int64_t>(now_ * 1000)) + after,
        [this](EndedLife&& one) { ended_.push_back(std::move(one)); }, all);
  }
  void reset(bool client, bool sent, std::uint32_t reason) {
    probe_reset record{};
    record.head.kind = sent ? PROBE_RESET_SENT : PROBE_RESET_RECEIVED, record.head.at_ns = ++now_ * 1000;
    record.socket = end(client), record.reason = reason;
    add(record);
  }
  void opened() {
    state(true, closed, syn_sent, true);
    state(false, closed, syn_received);
    state(true, syn_sent, established);
    state(false, syn_received, established);
  }
  // Both ends, established, before the watch.
  void there_already(std::optional<bool> client_opened) {
    SocketSample sample;
    for (const bool client : {true, false}) {
      recording::SocketSnapshot one;
      const auto ip = wire::IpAddress::v4(std::array<std::uint8_t, 4>{127, 0, 0, 1});
      one.cookie = client ? 1 : 2, one.state = tcp::State::established, one.tcp.emplace();
      one.local = {ip, static_cast<std::uint16_t>(client ? 40000 : 80)};
      one.remote = {ip, static_cast<std::uint16_t>(client ? 80 : 40000)};
      if (client_opened) one.opener = *client_opened == client;
      sample.sockets.push_back(one);
    }
    recording::SocketSnapshot listener;
    listener.cookie = 3, listener.state = tcp::State::listen, listener.local.port = 80;
    sample.sockets.push_back(listener);
    tracker_.begin(sample, {});
  }
  template <class Record>
  void add(const Record& record) {
    tracker_.add(
        std::as_bytes(std::span(&record, 1)), {}, [](const auto&) {},
        [this](EndedLife&& one) { ended_.push_back(std::move(one)); });
  }

  LifeTracker tracker_{{.reset_reasons = {"NOT_SPECIFIED", "TCP_ABORT_ON_CLOSE"}}};
  std::vector<EndedLife> ended_;
  std::uint64_t now_ = 0, netns_ = 0;
  std::uint32_t tid_ = 0;  // the running thread; 0: the end's own
};

TEST_F(Lives, of_both_ends_are_told_in_one_by_the_one_who_opened) {
  opened();
  state(true, established, fin_wait_1, true);
  state(false, established, close_wait);
  state(true, fin_wait_1, fin_wait_2);
  state(true, fin_wait_2, closed);
  destroyed(true);
  EXPECT_TRUE(ended_.empty());  // the server lives on
  state(false, close_wait, last_ack, true);
  state(false, last_ack, closed);
  destroyed(false);
  ASSERT_EQ(ended_.size(), 1U);
  EXPECT_TRUE(ended_[0].life.opener);
  EXPECT_EQ(ended_[0].life.holder.command, "curl");
  ASSERT_TRUE(ended_[0].peer);
  EXPECT_EQ(ended_[0].peer->holder.command, "nginx");
  EXPECT_EQ(tracker_.alive(), 0U);
}

TEST_F(Lives, that_began_before_are_told_in_one_too) {
  for (const auto client_opened : {std::optional(true), std::optional(false), std::optional<bool>()}) {
    ended_.clear();
    there_already(client_opened);
    state(true, established, fin_wait_1, true);
    state(true, fin_wait_1, fin_wait_2);
    state(true, fin_wait_2, closed);
    destroyed(true);
    EXPECT_TRUE(ended_.empty());
    state(false, established, close_wait);
    state(false, close_wait, last_ack, true);
    state(false, last_ack, closed);
    destroyed(false);
    ASSERT_EQ(ended_.size(), 1U);
    const auto& one = ended_[0].life;
    EXPECT_TRUE(one.opener);
    EXPECT_TRUE(one.began_before_watching);
    EXPECT_EQ(one.local.port, client_opened.value_or(true) ? 40000 : 80);  // port 80 has a listener
    EXPECT_EQ(one.bytes_sent, 100U);                                       // less its SYN and FIN
    ASSERT_TRUE(ended_[0].peer);
    EXPECT_EQ(ended_[0].peer->bytes_sent, 101U);  // less its FIN
    EXPECT_EQ(ended_[0].peer->bytes_received, 100U);
  }
}

TEST_F(Lives, keep_the_reason_that_is_traced_after_the_reset_was_delivered) {
  opened();
  state(true, established, closed, true);
  reset(false, false, ~0U);
  state(false, established, closed);
  reset(true, true, 1);
  destroyed(true);
  destroyed(false);
  ASSERT_EQ(ended_.size(), 1U);
  EXPECT_TRUE(ended_[0].life.reset_sent);
  EXPECT_EQ(ended_[0].life.reset_reason, "TCP_ABORT_ON_CLOSE");
  EXPECT_TRUE(ended_[0].peer->reset_received);
}

TEST_F(Lives, that_end_with_their_process_say_so) {
  opened();
  state(true, established, fin_wait_1, true, PROBE_EXITING);
  state(true, fin_wait_1, closed);
  destroyed(true);
  tracker_.tell_waiting({}, [this](EndedLife&& one) { ended_.push_back(std::move(one)); }, true);
  ASSERT_EQ(ended_.size(), 1U);
  EXPECT_TRUE(ended_[0].life.closed_by_exit);
}

TEST_F(Lives, are_bounded_in_number_and_what_is_given_up_is_counted) {
  LifeTracker small({.most_sockets = 10});
  for (std::uint64_t i = 1; i <= 100; ++i) {
    probe_state record{};
    record.head.kind = PROBE_STATE, record.head.at_ns = i;
    record.socket = end(true), record.socket.pointer = i, record.socket.cookie = i;
    record.socket.local_port = static_cast<std::uint16_t>(1000 + i);
    record.old_state = closed, record.new_state = syn_sent;
    small.add(std::as_bytes(std::span(&record, 1)), {}, [](const auto&) {}, [](EndedLife&&) {});
  }
  EXPECT_LE(small.alive(), 10U);
  EXPECT_EQ(small.given_up(), 90U);
}

TEST_F(Lives, of_which_one_end_lives_on_are_told_once_and_say_so) {
  opened();
  closed_by_client();
  tell_waiting(std::chrono::seconds(9));
  EXPECT_TRUE(ended_.empty());  // the server may yet close
  tell_waiting(std::chrono::seconds(11));
  ASSERT_EQ(ended_.size(), 1U);
  EXPECT_TRUE(ended_[0].life.over);
  ASSERT_TRUE(ended_[0].peer);
  EXPECT_FALSE(ended_[0].peer->over);
  EXPECT_EQ(ended_[0].peer->state(), tcp::State::close_wait);
  EXPECT_GE(ended_[0].peer->ended - ended_[0].peer->waits_since.value(), std::chrono::seconds(11));
  state(false, close_wait, last_ack, true);
  state(false, last_ack, closed);
  destroyed(false);
  tell_waiting({}, true);
  EXPECT_EQ(ended_.size(), 1U);
}

TEST_F(Lives, belong_to_whoever_closed_last_not_to_who_listened) {
  listener(90, closed, listening);
  opened();
  reset(false, false, ~0U);  // in nobody's call
  state(false, established, closed);
  destroyed(false, 91);
  state(true, established, closed, true);
  destroyed(true);
  ASSERT_EQ(ended_.size(), 1U);
  EXPECT_EQ(ended_[0].peer->holder, (recording::Holder{91, "worker"}));
  EXPECT_FALSE(ended_[0].peer->holder_only_listens);
}

TEST_F(Lives, are_a_listeners_only_while_nobody_has_accepted_them) {
  listener(90, closed, listening);
  opened();
  state(false, established, closed);
  tell_waiting({}, true);
  state(true, established, closed, true);
  destroyed(true);
  ASSERT_EQ(ended_.size(), 1U);
  EXPECT_EQ(ended_[0].peer->holder.pid, 90);
  EXPECT_TRUE(ended_[0].peer->holder_only_listens);
}

// SO_REUSEPORT: the old generation closes its listener, and with it the connections in its queue.
TEST_F(Lives, in_the_queue_of_a_listener_belong_to_who_closes_it_of_several) {
  listener(90, closed, listening);
  listener(91, closed, listening);
  opened();
  listener(90, listening, closed);
  tid_ = 90;
  state(false, established, closed);
  tid_ = 0;
  destroyed(false);
  state(true, established, closed, true);
  destroyed(true);
  ASSERT_EQ(ended_.size(), 1U);
  EXPECT_EQ(ended_[0].peer->holder.pid, 90);
}

TEST_F(Lives, of_one_socket_that_connects_again_are_two) {
  state(true, closed, syn_sent, true);
  state(true, syn_sent, closed);
  state(true, closed, syn_sent, true);
  state(true, syn_sent, established);
  state(true, established, fin_wait_1, true);
  state(true, fin_wait_1, closed);
  destroyed(true);
  ASSERT_EQ(ended_.size(), 2U);
  EXPECT_FALSE(ended_[0].life.established);
  EXPECT_TRUE(ended_[1].life.established);
  EXPECT_EQ(ended_[1].life.state_count, 4U);
}

TEST_F(Lives, with_one_pair_of_addresses_after_each_other_are_not_mixed_up) {
  opened();
  closed_by_client();
  state(true, closed, syn_sent, true);  // a new socket at the old one's address
  ASSERT_EQ(ended_.size(), 1U);
  EXPECT_TRUE(ended_[0].life.was_in(tcp::State::fin_wait_2));
  EXPECT_FALSE(ended_[0].peer->over);
}

TEST_F(Lives, of_another_network_namespace_are_no_peers_on_loopback) {
  netns_ = 1;
  state(true, closed, syn_sent, true);
  state(true, syn_sent, established);
  netns_ = 2;
  state(false, closed, syn_received);
  state(false, syn_received, established);
  netns_ = 1;
  state(true, established, fin_wait_1, true);
  state(true, fin_wait_1, closed);
  destroyed(true);
  ASSERT_EQ(ended_.size(), 1U);
  EXPECT_FALSE(ended_[0].peer);
}

TEST_F(Lives, that_were_reset_end_when_they_are_closed_not_when_the_descriptor_is) {
  opened();
  state(true, established, closed, true);
  destroyed(true);
  state(false, established, closed);
  const auto closed_at = base::wall_from_ns(static_cast<std::int64_t>(now_ * 1000));
  tell_waiting(std::chrono::milliseconds(1100));
  ASSERT_EQ(ended_.size(), 1U);
  EXPECT_TRUE(ended_[0].peer->over);
  EXPECT_EQ(ended_[0].peer->ended, closed_at);
  destroyed(false, 20);
  tell_waiting({}, true);
  EXPECT_EQ(ended_.size(), 1U);
}

TEST_F(Lives, of_a_peer_that_answers_probes_and_takes_nothing_say_so) {
  for (const std::uint32_t waiting : {0U, 2U}) {
    ended_.clear();
    opened();
    probe_error error{};
    error.head.kind = PROBE_SOCKET_ERROR, error.head.at_ns = ++now_ * 1000, error.socket = end(true);
    error.error = ETIMEDOUT, error.probes_waiting = waiting;
    add(error);
    state(true, established, closed);
    destroyed(true);
    state(false, established, closed, true);
    destroyed(false);
    ASSERT_EQ(ended_.size(), 1U);
    EXPECT_EQ(ended_[0].life.window_stayed_shut, waiting == 0);
  }
}

TEST_F(Lives, of_cut_records_are_none) {
  const std::array<std::byte, 24> cut{std::byte{0}};
  tracker_.add(cut, {}, [](const auto&) {}, [](EndedLife&&) {});
  EXPECT_EQ(tracker_.alive(), 0U);
}

}  // namespace
}  // namespace tcpwhy::trace
