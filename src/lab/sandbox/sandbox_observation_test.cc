// What can be observed inside a sandbox: packets on lo, the kernel's socket states, its counters. Real kernel, no privilege.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <vector>

#include "capture/live_capture.h"
#include "lab/link/netns.h"
#include "lab/sandbox/sandbox_sockets_testing.h"
#include "lab/sandbox/sandbox_testing.h"
#include "recording/fields.h"
#include "trace/diag.h"

namespace tcpwhy::lab {
namespace {

using testing::accept_from;
using testing::connect_to;
using testing::cookie_of;
using testing::expect_inside;
using testing::listen_on;

constexpr std::uint16_t port = 9999;

const wire::IpAddress localhost = *wire::IpAddress::parse("127.0.0.1");
const wire::IpAddress localhost6 = *wire::IpAddress::parse("::1");

base::Status bring_up() {
  if (auto applied = apply_sysctls(standard_sysctls()); !applied) return std::unexpected(applied.error());
  return set_interface_up("lo");
}

struct Connection {
  base::UniqueFd listener, client, server;
  [[nodiscard]] bool valid() const { return listener.valid() && client.valid() && server.valid(); }
};
Connection connection_over(const wire::IpAddress& ip) {
  Connection c;
  c.listener = listen_on(ip, port);
  c.client = connect_to(ip, port);
  c.server = accept_from(c.listener);
  return c;
}

// The control bits of an Ethernet / IPv4 packet without IP options, as this file's own connections make them.
std::string flags_of(const recording::Event& event) {
  const auto& bytes = std::get<recording::Packet>(event.what).bytes;
  if (bytes.size() < 54) return "short";
  std::string text;
  for (const auto& [bit, letter] : {std::pair{0x01, 'F'}, {0x02, 'S'}, {0x04, 'R'}, {0x08, 'P'}, {0x10, '.'}})
    if (bytes[47] & bit) text += letter;
  return text;
}

// Every change of state of a socket, "A>B", in order.
std::vector<std::string> walk_of(const std::vector<recording::Event>& events, std::uint64_t cookie) {
  std::vector<std::string> walk;
  for (const auto& event : events) {
    const auto* const state = std::get_if<recording::SocketState>(&event.what);
    if (state && state->socket == cookie && state->from != state->to)
      walk.push_back(fmt::format("{}>{}", recording::name_of(state->from), recording::name_of(state->to)));
  }
  return walk;
}

std::int64_t moved(const std::vector<recording::Event>& events, std::string_view name) {
  std::int64_t sum = 0;
  for (const auto& event : events)
    if (const auto* const counter = std::get_if<recording::CounterMoved>(&event.what); counter && counter->name == name)
      sum += counter->delta;
  return sum;
}

class ObservationTest : public ::testing::Test {
 protected:
  void SetUp() override { TCPWHY_SKIP_WITHOUT_SANDBOX(); }
};

// ---- packets

TEST_F(ObservationTest, a_handshake_on_lo_is_three_packets_each_seen_once) {
  expect_inside([](Workplace&) -> base::Result<Bytes> {
    TCPWHY_INSIDE_OK(bring_up());
    auto capture = capture::LiveCapture::open({.interface = "lo", .filter = {}});
    TCPWHY_INSIDE_OK(capture);
    TCPWHY_INSIDE(capture->link_type() == wire::LinkType::ethernet);
    const auto before = base::wall_now();
    const auto connection = connection_over(localhost);
    TCPWHY_INSIDE(connection.valid());
    pollfd polled{capture->fd(), POLLIN, 0};
    TCPWHY_INSIDE(::poll(&polled, 1, 10'000) == 1);
    std::vector<recording::Event> events;
    const auto taken = capture->drain({7}, events);
    const auto after = base::wall_now();
    TCPWHY_INSIDE_OK(taken);
    TCPWHY_INSIDE(*taken == 3 && events.size() == 3);
    TCPWHY_INSIDE(flags_of(events[0]) == "S" && flags_of(events[1]) == "S." && flags_of(events[2]) == ".");
    bool finer_than_microseconds = false;
    for (const auto& event : events) {
      const auto& packet = std::get<recording::Packet>(event.what);
      TCPWHY_INSIDE(packet.interface.value == 7);
      TCPWHY_INSIDE(packet.original_length == packet.bytes.size());
      TCPWHY_INSIDE(before <= event.at && event.at <= after);
      finer_than_microseconds |= base::to_ns(event.at) % 1000 != 0;
    }
    TCPWHY_INSIDE(finer_than_microseconds);
    TCPWHY_INSIDE(!capture->new_losses());
    // Nothing waits any more: drain() gives nothing and does not block.
    TCPWHY_INSIDE(*capture->drain({7}, events) == 0);
    return Bytes{};
  });
}

TEST_F(ObservationTest, a_large_segment_on_lo_is_kept_whole) {
  expect_inside([](Workplace&) -> base::Result<Bytes> {
    TCPWHY_INSIDE_OK(bring_up());
    auto capture = capture::LiveCapture::open({.interface = "lo", .filter = {}});
    TCPWHY_INSIDE_OK(capture);
    const auto connection = connection_over(localhost);
    TCPWHY_INSIDE(connection.valid());
    const std::vector<char> bytes(200'000, 'x');
    std::vector<char> room(bytes.size());
    TCPWHY_INSIDE(::send(connection.client.get(), bytes.data(), bytes.size(), 0) == 200'000);
    TCPWHY_INSIDE(::recv(connection.server.get(), room.data(), room.size(), MSG_WAITALL) == 200'000);
    std::vector<recording::Event> events;
    TCPWHY_INSIDE_OK(capture->drain({0}, events));
    std::size_t longest = 0;
    for (const auto& event : events) {
      const auto& packet = std::get<recording::Packet>(event.what);
      TCPWHY_INSIDE(packet.bytes.size() == packet.original_length);
      longest = std::max(longest, packet.bytes.size());
    }
    TCPWHY_INSIDE(longest > 32'000);
    return Bytes{};
  });
}

TEST_F(ObservationTest, packets_that_found_no_room_are_a_loss) {
  expect_inside([](Workplace&) -> base::Result<Bytes> {
    TCPWHY_INSIDE_OK(bring_up());
    auto capture = capture::LiveCapture::open({.interface = "lo", .ring_bytes = 1 << 20, .filter = {}});
    TCPWHY_INSIDE_OK(capture);
    const auto connection = connection_over(localhost);
    TCPWHY_INSIDE(connection.valid());
    char byte = 'x';
    for (int i = 0; i < 400; ++i) {
      TCPWHY_INSIDE(::send(connection.client.get(), &byte, 1, 0) == 1);
      TCPWHY_INSIDE(::recv(connection.server.get(), &byte, 1, 0) == 1);
    }
    std::vector<recording::Event> events;
    const auto taken = capture->drain({0}, events);
    TCPWHY_INSIDE_OK(taken);
    const auto loss = capture->new_losses();
    TCPWHY_INSIDE(loss.has_value());
    TCPWHY_INSIDE(std::get<recording::Loss>(loss->what).what == "packets");
    TCPWHY_INSIDE(*taken + std::get<recording::Loss>(loss->what).count >= 400);
    TCPWHY_INSIDE(!capture->new_losses());
    return Bytes{};
  });
}

TEST_F(ObservationTest, a_filter_chooses_and_a_wrong_one_is_a_usage_error) {
  expect_inside([](Workplace&) -> base::Result<Bytes> {
    TCPWHY_INSIDE_OK(bring_up());
    auto capture = capture::LiveCapture::open({.interface = "lo", .filter = "tcp[tcpflags] & tcp-syn != 0"});
    TCPWHY_INSIDE_OK(capture);
    TCPWHY_INSIDE(connection_over(localhost).valid());
    std::vector<recording::Event> events;
    TCPWHY_INSIDE_OK(capture->drain({0}, events));
    TCPWHY_INSIDE(events.size() == 2);
    const auto wrong = capture::LiveCapture::open({.interface = "lo", .filter = "tcp port nonsense"});
    TCPWHY_INSIDE(!wrong && wrong.error().kind == base::ErrorKind::usage);
    const auto absent = capture::LiveCapture::open({.interface = "eth7", .filter = {}});
    TCPWHY_INSIDE(!absent && absent.error().message.en.find("eth7") != std::string::npos);
    return Bytes{};
  });
}

// ---- states

// A close from beginning to end, sampled after each step. RFC 9293 3.6, case 1.
base::Result<Bytes> watch_a_close(const wire::IpAddress& ip) {
  TCPWHY_INSIDE_OK(bring_up());
  auto sampler = trace::SocketSampler::open();
  TCPWHY_INSIDE_OK(sampler);
  trace::StateTracker tracker;
  std::vector<recording::Event> events;
  const auto look = [&]() -> base::Status {
    const auto sample = sampler->sample();
    if (!sample) return std::unexpected(sample.error());
    tracker.update(*sample, events);
    return {};
  };

  Connection c;
  TCPWHY_INSIDE_OK(look());
  c.listener = listen_on(ip, port);
  TCPWHY_INSIDE_OK(look());
  c.client = connect_to(ip, port);
  TCPWHY_INSIDE_OK(look());
  const auto unaccepted = tracker.sockets();
  TCPWHY_INSIDE(std::ranges::count(unaccepted, recording::HeldBy::accept_queue, &recording::SocketSnapshot::holder) ==
                1);
  c.server = accept_from(c.listener);
  TCPWHY_INSIDE_OK(look());
  TCPWHY_INSIDE(c.valid());
  const auto listener = cookie_of(c.listener), client = cookie_of(c.client), server = cookie_of(c.server);

  TCPWHY_INSIDE(::send(c.client.get(), "hello", 5, 0) == 5);
  TCPWHY_INSIDE_OK(look());
  const auto& state = std::get<recording::SocketState>(events.back().what);
  TCPWHY_INSIDE(state.socket == server && state.from == state.to && state.receive_queue == 5);
  TCPWHY_INSIDE(state.delayed_ack_timeout_us == 40'000);
  char room[8];
  TCPWHY_INSIDE(::recv(c.server.get(), room, sizeof room, 0) == 5);

  c.server.reset();
  // FIN-WAIT-1 until the client's delayed ACK: what is waited for is the kernel's timer, seen by the kernel's own word.
  bool orphan_seen = false;
  for (int i = 0; i < 10'000 && !orphan_seen; ++i) {
    TCPWHY_INSIDE_OK(look());
    for (const auto& s : tracker.sockets())
      orphan_seen |= s.cookie == server && s.state == tcp::State::fin_wait_2 && s.holder == recording::HeldBy::kernel;
    if (!orphan_seen) ::poll(nullptr, 0, 1);
  }
  TCPWHY_INSIDE(orphan_seen);
  c.client.reset();
  TCPWHY_INSIDE_OK(look());
  c.listener.reset();
  TCPWHY_INSIDE_OK(look());

  const auto server_walk = walk_of(events, server);
  std::string walked;
  for (const auto& step : server_walk) walked += step + " ";
  if (walked != ">ESTABLISHED ESTABLISHED>FIN-WAIT-1 FIN-WAIT-1>FIN-WAIT-2 FIN-WAIT-2>TIME-WAIT " &&
      walked != ">ESTABLISHED ESTABLISHED>FIN-WAIT-2 FIN-WAIT-2>TIME-WAIT ")
    return base::fail(base::ErrorKind::expectation, base::both("the server walked " + walked));
  const auto client_walk = walk_of(events, client);
  TCPWHY_INSIDE(client_walk.size() == 3 && client_walk[1] == "ESTABLISHED>CLOSE-WAIT" &&
                client_walk[2] == "CLOSE-WAIT>CLOSED");
  TCPWHY_INSIDE(walk_of(events, listener) == (std::vector<std::string>{">LISTEN", "LISTEN>CLOSED"}));
  for (const auto& event : events) {
    const auto& s = std::get<recording::SocketState>(event.what);
    TCPWHY_INSIDE(s.not_before && *s.not_before < event.at);
    TCPWHY_INSIDE(s.local.ip == ip);
  }
  return Bytes{};
}

TEST_F(ObservationTest, a_close_is_walked_through_the_states_over_ipv4) {
  expect_inside([](Workplace&) { return watch_a_close(localhost); });
}

TEST_F(ObservationTest, a_close_is_walked_through_the_states_over_ipv6) {
  expect_inside([](Workplace&) -> base::Result<Bytes> {
    if (!has_sysctl("net.ipv6.conf.all.disable_ipv6")) return Bytes{};
    return watch_a_close(localhost6);
  });
}

TEST_F(ObservationTest, a_handshake_under_way_is_a_request_and_its_cookie_becomes_the_connections) {
  expect_inside([](Workplace&) -> base::Result<Bytes> {
    TCPWHY_INSIDE_OK(bring_up());
    auto sampler = trace::SocketSampler::open();
    TCPWHY_INSIDE_OK(sampler);
    const auto listener = listen_on(localhost, port);
    int seconds = 5;
    ::setsockopt(listener.get(), IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof seconds);
    const auto client = connect_to(localhost, port);
    TCPWHY_INSIDE(client.valid());
    const auto before = sampler->sample();
    TCPWHY_INSIDE_OK(before);
    const auto request =
        std::ranges::find(before->sockets, recording::HeldBy::request, &recording::SocketSnapshot::holder);
    TCPWHY_INSIDE(request != before->sockets.end() && request->state == tcp::State::syn_received);
    TCPWHY_INSIDE(::send(client.get(), "x", 1, 0) == 1);
    const auto server = accept_from(listener);
    TCPWHY_INSIDE(cookie_of(server) == request->cookie);
    return Bytes{};
  });
}

TEST_F(ObservationTest, a_sampler_stays_with_the_namespace_it_was_opened_in) {
  expect_inside([](Workplace&) -> base::Result<Bytes> {
    TCPWHY_INSIDE_OK(bring_up());
    auto elsewhere = NetNamespace::create();
    TCPWHY_INSIDE_OK(elsewhere);
    auto sampler = elsewhere->run([] { return trace::SocketSampler::open(); });
    auto counters = elsewhere->run([] { return trace::CounterSampler::open("elsewhere"); });
    TCPWHY_INSIDE_OK(sampler);
    TCPWHY_INSIDE_OK(counters);
    const auto here = connection_over(localhost);
    TCPWHY_INSIDE(here.valid());
    std::vector<recording::Event> events;
    TCPWHY_INSIDE_OK(counters->sample(events));
    TCPWHY_INSIDE(events.empty());
    TCPWHY_INSIDE(sampler->sample()->sockets.empty());
    const auto there = elsewhere->run([]() -> base::Result<Connection> {
      if (auto up = set_interface_up("lo"); !up) return std::unexpected(up.error());
      return connection_over(localhost);
    });
    TCPWHY_INSIDE_OK(there);
    TCPWHY_INSIDE_OK(counters->sample(events));
    TCPWHY_INSIDE(moved(events, "Tcp.ActiveOpens") == 1 && moved(events, "Tcp.PassiveOpens") == 1);
    TCPWHY_INSIDE(std::get<recording::CounterMoved>(events.front().what).host == "elsewhere");
    TCPWHY_INSIDE(sampler->sample()->sockets.size() == 3);
    return Bytes{};
  });
}

// ---- counters

TEST_F(ObservationTest, a_close_with_unread_data_moves_the_counter_that_says_so) {
  expect_inside([](Workplace&) -> base::Result<Bytes> {
    TCPWHY_INSIDE_OK(bring_up());
    auto connection = connection_over(localhost);
    TCPWHY_INSIDE(connection.valid());
    TCPWHY_INSIDE(::send(connection.client.get(), "unread", 6, 0) == 6);
    auto counters = trace::CounterSampler::open();
    TCPWHY_INSIDE_OK(counters);
    connection.server.reset();
    std::vector<recording::Event> events;
    TCPWHY_INSIDE_OK(counters->sample(events));
    TCPWHY_INSIDE(moved(events, "TcpExt.TCPAbortOnClose") == 1);
    TCPWHY_INSIDE(moved(events, "Tcp.OutRsts") == 1);
    TCPWHY_INSIDE(moved(events, "TcpExt.TCPAbortOnData") == 0);
    for (const auto& event : events) TCPWHY_INSIDE(std::get<recording::CounterMoved>(event.what).not_before < event.at);
    events.clear();
    TCPWHY_INSIDE_OK(counters->sample(events));
    TCPWHY_INSIDE(events.empty());
    return Bytes{};
  });
}

// ---- settings

TEST_F(ObservationTest, the_standard_settings_hold_afterwards) {
  expect_inside([](Workplace&) -> base::Result<Bytes> {
    const auto applied = apply_sysctls(standard_sysctls());
    TCPWHY_INSIDE_OK(applied);
    TCPWHY_INSIDE(applied->set.size() + applied->skipped.size() == standard_sysctls().size());
    TCPWHY_INSIDE(applied->set.contains("net.ipv4.tcp_congestion_control"));
    for (const auto& [name, value] : applied->set) {
      auto now = read_sysctl(name);
      TCPWHY_INSIDE_OK(now);
      std::ranges::replace(*now, '\t', ' ');
      if (*now != value)
        return base::fail(base::ErrorKind::expectation, base::both(name + " is " + *now + ", not " + value));
    }
    return Bytes{};
  });
}

TEST_F(ObservationTest, a_setting_that_cannot_be_is_named) {
  expect_inside([](Workplace&) -> base::Result<Bytes> {
    const auto absent = set_sysctl("net.ipv4.tcp_no_such_thing", "1");
    TCPWHY_INSIDE(!absent && absent.error().kind == base::ErrorKind::usage);
    TCPWHY_INSIDE(absent.error().message.en ==
                  "cannot set net.ipv4.tcp_no_such_thing = 1: this kernel does not have it");
    const auto wrong = set_sysctl("net.ipv4.tcp_sack", "many");
    TCPWHY_INSIDE(!wrong && wrong.error().message.en.find("net.ipv4.tcp_sack = many") != std::string::npos);
    for (const char* name : {"kernel.hostname", "net.ipv4/../../kernel/hostname", "net", "", "net.ipv4.tcp sack"}) {
      const auto outside = set_sysctl(name, "x");
      TCPWHY_INSIDE(!outside && outside.error().kind == base::ErrorKind::usage);
    }
    const auto skipped = apply_sysctls(std::array{Sysctl{"net.ipv4.tcp_no_such_thing", "1", "a test"}});
    TCPWHY_INSIDE(skipped && skipped->skipped.size() == 1);
    return Bytes{};
  });
}

}  // namespace
}  // namespace tcpwhy::lab
