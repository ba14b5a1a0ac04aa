// Lives made of records as the probe sends them.
#include "trace/bpf/lives/life_tracker.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <cstring>

namespace tcpwhy::trace {
namespace {

constexpr std::uint8_t established = 1, syn_sent = 2, syn_received = 3, fin_wait_1 = 4, fin_wait_2 = 5, closed = 7,
                       close_wait = 8, last_ack = 9;

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
    if (to == closed) record.bytes_sent = 102, record.bytes_received = 100;  // 100 of payload
    std::strcpy(record.comm, client ? "curl" : "nginx");
    add(record);
  }
  void destroyed(bool client) {
    probe_gone record{};
    record.head.kind = PROBE_GONE, record.head.at_ns = ++now_ * 1000, record.socket = end(client).pointer;
    add(record);
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
  std::uint64_t now_ = 0;
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

TEST_F(Lives, of_cut_records_are_none) {
  const std::array<std::byte, 24> cut{std::byte{0}};
  tracker_.add(cut, {}, [](const auto&) {}, [](EndedLife&&) {});
  EXPECT_EQ(tracker_.alive(), 0U);
}

}  // namespace
}  // namespace tcpwhy::trace
