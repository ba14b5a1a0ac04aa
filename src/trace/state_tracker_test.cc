// Which change between two samples becomes which event. No kernel: samples are written by hand.
#include "trace/state_tracker.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "recording/fields.h"

namespace tcpwhy::trace {
namespace {

wire::SocketAddress address(std::uint8_t last, std::uint16_t port) {
  const std::array<std::uint8_t, 4> octets{10, 9, 0, last};
  return {wire::IpAddress::v4(octets), port};
}

recording::SocketSnapshot socket(std::uint64_t cookie, std::string_view state,
                                 recording::HeldBy holder = recording::HeldBy::process) {
  recording::SocketSnapshot s;
  s.cookie = cookie;
  s.local = address(1, 9999);
  s.remote = address(2, 40000);
  s.state = tcp::state_named(state).value();
  s.holder = holder;
  if (holder == recording::HeldBy::process && state != "LISTEN")
    s.tcp = recording::TcpDetails{.rto_us = 200'000, .ato_us = 0};
  return s;
}
recording::SocketSnapshot closing_entry(std::uint64_t cookie, std::string_view state) {
  return socket(cookie, state, recording::HeldBy::kernel);
}

// Samples follow each other: the n-th lasts from n ms to n ms + 100 us.
class TrackerTest : public ::testing::Test {
 protected:
  // The events of the next sample, a line each: "1 ESTABLISHED>CLOSE-WAIT".
  std::vector<std::string> after(std::vector<recording::SocketSnapshot> sockets, bool complete = true) {
    ++number_;
    SocketSample sample;
    sample.begin = base::wall_from_ns(number_ * 1'000'000);
    sample.end = base::wall_from_ns(number_ * 1'000'000 + 100'000);
    sample.sockets = std::move(sockets);
    sample.complete = complete;
    events_.clear();
    tracker_.update(sample, events_);
    std::vector<std::string> lines;
    for (const auto& event : events_) {
      const auto& state = std::get<recording::SocketState>(event.what);
      lines.push_back(
          fmt::format("{} {}>{}", state.socket, recording::name_of(state.from), recording::name_of(state.to)));
    }
    return lines;
  }
  using Lines = std::vector<std::string>;

  StateTracker tracker_;
  std::vector<recording::Event> events_;
  std::int64_t number_ = 0;
};

TEST_F(TrackerTest, new_changed_and_vanished_sockets_are_told_once) {
  EXPECT_EQ(after({socket(1, "ESTABLISHED")}), (Lines{"1 >ESTABLISHED"}));
  EXPECT_EQ(after({socket(1, "ESTABLISHED")}), Lines{});
  EXPECT_EQ(after({socket(1, "CLOSE-WAIT")}), (Lines{"1 ESTABLISHED>CLOSE-WAIT"}));
  EXPECT_EQ(after({}), (Lines{"1 CLOSE-WAIT>CLOSED"}));
  EXPECT_EQ(after({}), Lines{});
}

TEST_F(TrackerTest, a_change_lies_between_the_begin_of_the_last_sample_and_the_end_of_this_one) {
  after({socket(1, "ESTABLISHED")});
  EXPECT_FALSE(std::get<recording::SocketState>(events_[0].what).not_before.has_value());
  after({socket(1, "CLOSE-WAIT")});
  ASSERT_EQ(events_.size(), 1U);
  EXPECT_EQ(std::get<recording::SocketState>(events_[0].what).not_before, base::wall_from_ns(1'000'000));
  EXPECT_EQ(events_[0].at, base::wall_from_ns(2'100'000));
}

TEST_F(TrackerTest, queues_holder_and_delayed_ack_timer_are_told_without_a_change_of_state) {
  auto s = socket(1, "ESTABLISHED");
  after({s});
  s.receive_queue = 5;
  EXPECT_EQ(after({s}), (Lines{"1 ESTABLISHED>ESTABLISHED"}));
  s.tcp->ato_us = 40'000;
  EXPECT_EQ(after({s}), (Lines{"1 ESTABLISHED>ESTABLISHED"}));
  s.state = tcp::State::fin_wait_2;
  s.holder = recording::HeldBy::kernel;
  EXPECT_EQ(after({s}), (Lines{"1 ESTABLISHED>FIN-WAIT-2"}));
  EXPECT_TRUE(std::get<recording::SocketState>(events_[0].what).orphan);
}

TEST_F(TrackerTest, a_slow_drift_of_the_rto_is_told_when_it_comes_to_a_half) {
  auto s = socket(1, "ESTABLISHED");
  after({s});
  s.tcp->rto_us = 260'000;
  EXPECT_EQ(after({s}), Lines{});
  s.tcp->rto_us = 300'000;
  EXPECT_EQ(after({s}), (Lines{"1 ESTABLISHED>ESTABLISHED"}));
  s.tcp->rto_us = 400'000;
  EXPECT_EQ(after({s}), Lines{});
}

TEST_F(TrackerTest, the_entry_of_a_closed_socket_is_the_same_socket_whatever_its_cookie) {
  after({socket(1, "FIN-WAIT-2")});
  EXPECT_EQ(after({closing_entry(7, "FIN-WAIT-2")}), (Lines{"1 FIN-WAIT-2>FIN-WAIT-2"}));  // now nobody holds it
  EXPECT_EQ(after({closing_entry(7, "TIME-WAIT")}), (Lines{"1 FIN-WAIT-2>TIME-WAIT"}));
  EXPECT_EQ(after({closing_entry(7, "TIME-WAIT")}), Lines{});
  EXPECT_EQ(after({}), (Lines{"1 TIME-WAIT>CLOSED"}));
}

TEST_F(TrackerTest, an_entry_without_a_cookie_is_followed_by_its_addresses) {
  after({socket(1, "FIN-WAIT-1")});
  EXPECT_EQ(after({closing_entry(0, "TIME-WAIT")}), (Lines{"1 FIN-WAIT-1>TIME-WAIT"}));
  EXPECT_EQ(after({closing_entry(0, "TIME-WAIT")}), Lines{});
}

TEST_F(TrackerTest, the_same_addresses_used_again_are_another_socket) {
  after({socket(1, "ESTABLISHED")});
  EXPECT_EQ(after({socket(2, "ESTABLISHED")}), (Lines{"1 ESTABLISHED>CLOSED", "2 >ESTABLISHED"}));
  after({closing_entry(2, "TIME-WAIT")});
  EXPECT_EQ(after({socket(3, "SYN-SENT")}), (Lines{"2 TIME-WAIT>CLOSED", "3 >SYN-SENT"}));
}

TEST_F(TrackerTest, an_entry_and_its_successor_on_the_same_addresses_are_told_apart) {
  after({socket(1, "FIN-WAIT-2")});
  EXPECT_EQ(after({socket(2, "ESTABLISHED"), closing_entry(1, "TIME-WAIT")}),
            (Lines{"1 FIN-WAIT-2>TIME-WAIT", "2 >ESTABLISHED"}));
}

TEST_F(TrackerTest, a_socket_that_connects_again_elsewhere_is_the_same_one) {
  after({socket(1, "SYN-SENT")});
  auto elsewhere = socket(1, "ESTABLISHED");
  elsewhere.remote = address(3, 80);
  EXPECT_EQ(after({elsewhere}), (Lines{"1 SYN-SENT>ESTABLISHED"}));
}

TEST_F(TrackerTest, a_sample_that_is_not_complete_closes_nothing) {
  after({socket(1, "ESTABLISHED")});
  EXPECT_EQ(after({}, false), Lines{});
  EXPECT_EQ(after({socket(1, "CLOSE-WAIT")}), (Lines{"1 ESTABLISHED>CLOSE-WAIT"}));
}

TEST_F(TrackerTest, a_vanished_socket_has_empty_queues) {
  auto s = socket(1, "ESTABLISHED");
  s.receive_queue = 9;
  after({s});
  after({});
  EXPECT_EQ(std::get<recording::SocketState>(events_[0].what).receive_queue, 0U);
}

}  // namespace
}  // namespace tcpwhy::trace
