// What waits until it is known whose it is: bounded, and nothing of the program's own goes without a word.
#include "observe/packet_store.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "observe/trace_session.h"
#include "wire/packet_builder.h"

namespace tcpwhy::observe {
namespace {

using namespace std::chrono_literals;
using recording::Event;
using recording::Packet;

wire::SocketAddress address(const char* ip, std::uint16_t port) { return {*wire::IpAddress::parse(ip), port}; }

const wire::SocketAddress here = address("192.0.2.1", 40000), there = address("198.51.100.7", 443);

class Store : public ::testing::Test {
 protected:
  Store() {
    interfaces_.emplace_back().link_type = wire::LinkType::raw;
    traced_.learn(trace::Conversation{here, there});
  }
  // A segment from one to the other, at that many microseconds.
  static Event packet(const wire::SocketAddress& from, const wire::SocketAddress& to, std::int64_t at_us) {
    Packet packet;
    const auto octets = [](const wire::SocketAddress& of) {
      return wire::testing::ByteString(of.ip.bytes.begin(), of.ip.bytes.begin() + 4);
    };
    packet.bytes = wire::testing::with_checksum(
        wire::testing::ipv4({.source = octets(from), .destination = octets(to)},
                            wire::testing::tcp({.source_port = from.port, .destination_port = to.port})));
    packet.original_length = static_cast<std::uint32_t>(packet.bytes.size());
    return {base::WallTime(std::chrono::microseconds(at_us)), {}, std::move(packet)};
  }
  std::vector<Event> released() {
    std::vector<Event> events;
    store_.release([&](Event&& event) { events.push_back(std::move(event)); });
    return events;
  }

  std::vector<recording::Interface> interfaces_;
  TracedConnections traced_{{}};
  PacketStore store_{1U << 20};
};

TEST_F(Store, what_there_is_room_for_waits_and_comes_out_as_it_went_in) {
  std::vector<Event> in;
  for (int i = 0; i < 100; ++i) in.push_back(packet(i % 2 == 0 ? here : there, i % 2 == 0 ? there : here, i));
  for (const Event& event : in) ASSERT_TRUE(store_.add(event));
  EXPECT_FALSE(store_.is_full());
  EXPECT_EQ(released(), in);
  EXPECT_TRUE(store_.losses(traced_).empty());
}

// Six million bytes; of ours a packet in a thousand.
TEST_F(Store, others_packets_take_no_more_room_than_there_is_and_our_own_stay) {
  std::size_t most = 0, decided = 0;
  for (int i = 0; i < 100'000; ++i) {
    const bool ours = i % 1000 == 0;
    const auto other = address("192.0.2.2", static_cast<std::uint16_t>(1024 + i % 5000));
    ASSERT_TRUE(store_.add(packet(ours ? here : other, there, i)));
    if (store_.is_full()) store_.decide(traced_, interfaces_), ++decided;
    most = std::max(most, store_.bytes());
  }
  EXPECT_GT(decided, 1U);
  EXPECT_LT(most, 4U << 20);
  const auto events = released();
  const auto is_ours = [&](const Event& event) {
    const auto& bytes = std::get<Packet>(event.what).bytes;
    return wire::dissect(wire::LinkType::raw, bytes, static_cast<std::uint32_t>(bytes.size())).segment.source == here;
  };
  EXPECT_EQ(std::ranges::count_if(events, is_ours), 100);
  EXPECT_LT(events.size(), 20'000U);
  EXPECT_TRUE(store_.losses(traced_).empty());
}

TEST_F(Store, of_a_connection_that_becomes_known_too_late_the_loss_is_told) {
  const auto late = address("192.0.2.3", 5000);
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(store_.add(packet(late, there, i)));
  for (int i = 10; !store_.is_full(); ++i) ASSERT_TRUE(store_.add(packet(address("192.0.2.2", 9), there, i)));
  store_.decide(traced_, interfaces_);
  traced_.learn(trace::Conversation{late, there});
  const auto losses = store_.losses(traced_);
  ASSERT_EQ(losses.size(), 1U);
  EXPECT_EQ(std::get<recording::Loss>(losses.front().what).count, 10U);
}

TEST_F(Store, what_comes_when_it_is_paused_is_counted) {
  store_.pause();
  for (int i = 0; i < 7; ++i) EXPECT_TRUE(store_.add(packet(here, there, i)));
  EXPECT_TRUE(released().empty());
  const auto losses = store_.losses(traced_);
  ASSERT_EQ(losses.size(), 1U);
  EXPECT_EQ(std::get<recording::Loss>(losses.front().what).count, 7U);
}

// ---- Whose it is

TEST(TracedConnections, a_connection_is_known_from_both_ends_and_with_mapped_addresses) {
  TracedConnections traced({});
  traced.learn(trace::Conversation{address("::ffff:192.0.2.1", 40000), address("::ffff:198.51.100.7", 443)});
  EXPECT_TRUE(traced.takes(here, there, {}));
  EXPECT_TRUE(traced.takes(there, here, {}));
  EXPECT_FALSE(traced.takes(address("192.0.2.1", 40001), there, {}));
}

// As long as nothing is known, there is nothing to wait for when the program has ended.
TEST(TracedConnections, that_there_are_some_is_known_from_a_listener_a_connect_or_a_flow) {
  const auto knows_none = [](auto... learn) {
    TracedConnections traced({});
    (learn(traced), ...);
    return traced.knows_none();
  };
  EXPECT_TRUE(knows_none());
  EXPECT_FALSE(knows_none([&](TracedConnections& traced) { traced.learn(trace::Conversation{here, {}}); }));
  EXPECT_FALSE(knows_none([&](TracedConnections& traced) { traced.learn(trace::Conversation{here, there}); }));
  recording::CallEntered connect;
  connect.name = "connect", connect.remote = there;
  EXPECT_FALSE(knows_none([&](TracedConnections& traced) { traced.learn({.at = {}, .actor = {}, .what = connect}); }));
}

TEST(TracedConnections, a_listener_of_any_address_is_asked_at_those_of_this_machine) {
  TracedConnections traced({*wire::IpAddress::parse("192.0.2.1")});
  traced.learn(trace::Conversation{address("0.0.0.0", 80), {}});
  EXPECT_TRUE(traced.takes(there, address("192.0.2.1", 80), {}));
  EXPECT_TRUE(traced.takes(address("127.0.0.1", 9), address("127.0.0.1", 80), {}));
  EXPECT_FALSE(traced.takes(address("127.0.0.1", 9), address("198.51.100.7", 80), {}));
}

// Nothing may know the port of a connect() that failed: what goes there while it runs is its own.
TEST(TracedConnections, what_goes_where_a_connect_leads_is_its_own_while_it_runs) {
  const auto at = [](int us) { return base::WallTime(std::chrono::seconds(1) + std::chrono::microseconds(us)); };
  TracedConnections traced({});
  recording::CallEntered entered;
  entered.call = 7, entered.name = "connect", entered.socket = 99, entered.remote = there;
  traced.learn(Event{at(1000), {}, entered});
  EXPECT_FALSE(traced.takes(address("192.0.2.9", 1), there, at(100))) << "before";
  EXPECT_TRUE(traced.takes(address("192.0.2.9", 2), there, at(90'000))) << "it has not come back yet";
  recording::CallReturned returned;
  returned.call = 7;
  traced.learn(Event{at(2000), {}, returned});
  EXPECT_TRUE(traced.takes(address("192.0.2.9", 3), there, at(1500)));
  EXPECT_FALSE(traced.takes(address("192.0.2.9", 4), there, at(90'000))) << "after";
  // Its socket is known by its own port now.
  returned.socket = 99, returned.local = here, returned.remote = there;
  traced.learn(Event{at(2000), {}, returned});
  EXPECT_FALSE(traced.takes(address("192.0.2.9", 5), there, at(1500)));
}

// ---- Where there is no memory for all

TEST(LeaveOutLaterHalf, what_came_first_stays_and_the_rest_is_told) {
  recording::Recording recording;
  for (int i = 0; i < 10'000; ++i)  // in no order of time
    recording.events.push_back({base::WallTime(std::chrono::microseconds(i * 7919 % 10'000)), {}, recording::Note{}});
  std::size_t told = 0;
  while (leave_out_later_half(recording)) {
    const auto& loss = std::get<recording::Loss>(recording.events.back().what);
    EXPECT_GT(loss.count, 0U);
    told += loss.count;
    const auto notes = static_cast<std::size_t>(std::ranges::count_if(
        recording.events, [](const Event& event) { return std::holds_alternative<recording::Note>(event.what); }));
    EXPECT_EQ(notes + told, 10'000U);
    for (const Event& event : recording.events) {
      if (!std::holds_alternative<recording::Note>(event.what)) continue;
      EXPECT_LT(base::to_ns(event.at), static_cast<std::int64_t>(notes) * 1000);
    }
  }
  EXPECT_LT(recording.events.size(), 1000U);
  EXPECT_GT(recording.events.size(), 100U);
}

}  // namespace
}  // namespace tcpwhy::observe
