// The link carries real segments between its ends, late by its delay, and nothing else.
#include "lab/link/link.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "capture/live_capture.h"
#include "lab/sandbox/sandbox_sockets_testing.h"
#include "lab/sandbox/sandbox_testing.h"

namespace tcpwhy::lab {
namespace {

using testing::accept_from;
using testing::connect_to;
using testing::expect_inside;
using testing::listen_on;

constexpr std::uint16_t port = 9999;
constexpr wire::IpFamily families[] = {wire::IpFamily::v4, wire::IpFamily::v6};

// Descriptors made in one end's namespace: they stay there.
base::UniqueFd listen_at_server(const Link& link, wire::IpFamily family) {
  auto fd = link.end(LinkEnd::server).run([&]() -> base::Result<base::UniqueFd> {
    return listen_on(link_address(LinkEnd::server, family), port);
  });
  return fd ? std::move(*fd) : base::UniqueFd();
}
base::UniqueFd connect_from_client(const Link& link, wire::IpFamily family) {
  auto fd = link.end(LinkEnd::client).run([&]() -> base::Result<base::UniqueFd> {
    return connect_to(link_address(LinkEnd::server, family), port);
  });
  return fd ? std::move(*fd) : base::UniqueFd();
}
base::Result<capture::LiveCapture> capture_at(const Link& link, LinkEnd end) {
  return link.end(end).run(
      [] { return capture::LiveCapture::open({.interface = std::string(link_interface), .filter = {}}); });
}

bool is_ipv6(const std::vector<std::uint8_t>& frame) { return frame.size() > 14 && frame[12] == 0x86; }

// RFC 9293 3.1: the checksum over pseudo-header, header and data comes to 0.
bool tcp_checksum_is_right(const std::vector<std::uint8_t>& frame) {
  const std::size_t ip = 14;
  const bool v6 = is_ipv6(frame);
  const std::size_t header = v6 ? 40 : (frame[ip] & 0x0fU) * 4U;
  const std::size_t length = v6 ? frame[ip + 4] * 256U + frame[ip + 5] : frame[ip + 2] * 256U + frame[ip + 3] - header;
  const std::size_t addresses = v6 ? ip + 8 : ip + 12;
  const std::size_t addresses_length = v6 ? 32 : 8;
  std::uint64_t sum = 6 + length;
  const auto add = [&](std::size_t from, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) sum += std::uint64_t{frame[from + i]} << (i % 2 == 0 ? 8 : 0);
  };
  add(addresses, addresses_length);
  add(ip + header, length);
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return sum == 0xffff;
}

bool is_tcp(const std::vector<std::uint8_t>& frame) {
  return frame.size() >= 54 && (is_ipv6(frame) ? frame[20] == 6 : frame[12] == 8 && frame[13] == 0 && frame[23] == 6);
}

class LinkTest : public ::testing::Test {
 protected:
  void SetUp() override { TCPWHY_SKIP_WITHOUT_SANDBOX(); }
};

TEST_F(LinkTest, carries_both_families_and_nothing_but_the_experiment) {
  expect_inside([](Workplace&) -> base::Result<Bytes> {
    auto link = Link::create({});
    TCPWHY_INSIDE_OK(link);
    auto at_client = capture_at(*link, LinkEnd::client);
    auto at_server = capture_at(*link, LinkEnd::server);
    TCPWHY_INSIDE_OK(at_client);
    TCPWHY_INSIDE_OK(at_server);
    std::vector<recording::Event> client_packets, server_packets;
    for (const auto family : families) {
      const auto listener = listen_at_server(*link, family);
      const auto client = connect_from_client(*link, family);
      const auto server = accept_from(listener);
      TCPWHY_INSIDE(client.valid() && server.valid());
      const std::vector<char> bytes(20'000, 'x');
      std::vector<char> room(bytes.size());
      TCPWHY_INSIDE(::send(client.get(), bytes.data(), bytes.size(), 0) == 20'000);
      TCPWHY_INSIDE(::recv(server.get(), room.data(), room.size(), MSG_WAITALL) == 20'000);
      TCPWHY_INSIDE_OK(at_client->drain({0}, client_packets));
      TCPWHY_INSIDE_OK(at_server->drain({1}, server_packets));
    }
    TCPWHY_INSIDE(client_packets.size() > 30 && server_packets.size() > 30);
    std::size_t longest = 0;
    for (const auto* packets : {&client_packets, &server_packets}) {
      for (const auto& event : *packets) {
        const auto& frame = std::get<recording::Packet>(event.what).bytes;
        TCPWHY_INSIDE(is_tcp(frame));
        TCPWHY_INSIDE(tcp_checksum_is_right(frame));
        longest = std::max(longest, frame.size());
      }
    }
    TCPWHY_INSIDE(longest == 1514);  // Ethernet header and an MTU of 1500
    return Bytes{};
  });
}

// What /proc/net/dev says of an interface of the current network namespace: how many packets it threw away instead of sending.
base::Result<std::uint64_t> count_thrown_away(std::string_view interface) {
  constexpr int fields_before = 11;  // eight of what was received; bytes, packets, errors sent
  std::ifstream file("/proc/thread-self/net/dev");
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string name, field;
    if (!(words >> name) || name != std::string(interface) + ':') continue;
    for (int i = 0; i < fields_before; ++i) words >> field;
    std::uint64_t dropped = 0;
    if (words >> dropped) return dropped;
  }
  return base::fail(base::ErrorKind::system, base::both("not in /proc/net/dev: " + std::string(interface)));
}

// Namespaces that come and go keep the kernel's worker waiting, which makes interfaces ready to send (rtnl_lock()).
TEST_F(LinkTest, sends_from_the_start_while_the_kernel_has_other_links_to_make) {
  for (int i = 0; i < 30; ++i)
    expect_inside([](Workplace&) -> base::Result<Bytes> {
      const pid_t busy = ::fork();
      if (busy == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        while (NetNamespace::create()) {
        }
        ::_exit(1);
      }
      const auto link = Link::create({});
      TCPWHY_INSIDE_OK(link);
      const auto listener = listen_at_server(*link, wire::IpFamily::v4);
      TCPWHY_INSIDE(connect_from_client(*link, wire::IpFamily::v4).valid());
      ::kill(busy, SIGKILL);
      TCPWHY_INSIDE(::waitpid(busy, nullptr, 0) == busy);
      for (const LinkEnd end : {LinkEnd::client, LinkEnd::server}) {
        const auto thrown_away = link->end(end).run([] { return count_thrown_away(link_interface); });
        TCPWHY_INSIDE_OK(thrown_away);
        TCPWHY_INSIDE(*thrown_away == 0);
      }
      return Bytes{};
    });
}

// What would break the silence later: multicast groups that are reported, addresses that are defended.
TEST_F(LinkTest, ends_join_no_group_and_have_no_further_address) {
  expect_inside([](Workplace&) -> base::Result<Bytes> {
    auto link = Link::create({});
    TCPWHY_INSIDE_OK(link);
    const auto lines = [&](const char* path) {
      return *link->end(LinkEnd::client).run([&]() -> base::Result<std::vector<std::string>> {
        std::ifstream file(path);
        std::vector<std::string> of_link;
        for (std::string line; std::getline(file, line);)
          if (line.find(link_interface) != std::string::npos) of_link.push_back(line);
        return of_link;
      });
    };
    const auto addresses = lines("/proc/thread-self/net/if_inet6");
    TCPWHY_INSIDE(addresses.size() <= 1);
    for (const auto& line : addresses) TCPWHY_INSIDE(line.starts_with("fd090000"));
    // All nodes (RFC 4291 2.7.1), of link and interface scope: never reported (RFC 3810 6).
    for (const auto& line : lines("/proc/thread-self/net/igmp6"))
      TCPWHY_INSIDE(line.find("ff020000000000000000000000000001") != std::string::npos ||
                    line.find("ff010000000000000000000000000001") != std::string::npos);
    return Bytes{};
  });
}

TEST_F(LinkTest, delays_each_direction_and_reports_every_packet) {
  expect_inside([](Workplace&) -> base::Result<Bytes> {
    using std::chrono::milliseconds;
    auto link = Link::create({.client_to_server = milliseconds(5), .server_to_client = milliseconds(15)});
    TCPWHY_INSIDE_OK(link);
    auto at_client = capture_at(*link, LinkEnd::client);
    auto at_server = capture_at(*link, LinkEnd::server);
    const auto listener = listen_at_server(*link, wire::IpFamily::v4);
    const auto before = base::MonotonicClock::now();
    const auto client = connect_from_client(*link, wire::IpFamily::v4);
    TCPWHY_INSIDE(client.valid());
    TCPWHY_INSIDE(base::MonotonicClock::now() - before >= milliseconds(20));
    const auto server = accept_from(listener);  // its ACK has come through, too
    TCPWHY_INSIDE(server.valid());

    std::vector<LinkReport> reports;
    while (reports.size() < 3) {
      pollfd polled{link->fd(), POLLIN, 0};
      TCPWHY_INSIDE(::poll(&polled, 1, 10'000) == 1);
      TCPWHY_INSIDE_OK(link->drain(reports));
    }
    TCPWHY_INSIDE(reports.size() == 3);
    TCPWHY_INSIDE(reports[0].from == LinkEnd::client && reports[0].number == 1);
    TCPWHY_INSIDE(reports[1].from == LinkEnd::server && reports[1].number == 1);
    TCPWHY_INSIDE(reports[2].from == LinkEnd::client && reports[2].number == 2);
    for (const auto& report : reports) {
      TCPWHY_INSIDE(report.deed == LinkDeed::forwarded);
      const auto wanted = report.from == LinkEnd::client ? milliseconds(5) : milliseconds(15);
      TCPWHY_INSIDE(report.left - report.arrived >= wanted - std::chrono::microseconds(100));  // two clocks
    }

    std::vector<recording::Event> client_packets, server_packets;
    TCPWHY_INSIDE_OK(at_client->drain({0}, client_packets));
    TCPWHY_INSIDE_OK(at_server->drain({1}, server_packets));
    TCPWHY_INSIDE(client_packets.size() == 3 && server_packets.size() == 3);
    // The SYN leaves the client before it reaches the server, and the SYN-ACK the other way round.
    TCPWHY_INSIDE(server_packets[0].at - client_packets[0].at >= milliseconds(5) - std::chrono::microseconds(100));
    TCPWHY_INSIDE(client_packets[1].at - server_packets[1].at >= milliseconds(15) - std::chrono::microseconds(100));
    return Bytes{};
  });
}

TEST_F(LinkTest, ends_have_the_standard_settings) {
  expect_inside([](Workplace&) -> base::Result<Bytes> {
    auto link = Link::create({});
    TCPWHY_INSIDE_OK(link);
    TCPWHY_INSIDE(link->sysctls().set.at("net.ipv4.tcp_congestion_control") == "reno");
    for (const LinkEnd end : {LinkEnd::client, LinkEnd::server}) {
      const auto value = link->end(end).run([] { return read_sysctl("net.ipv4.tcp_congestion_control"); });
      TCPWHY_INSIDE(value && *value == "reno");
    }
    return Bytes{};
  });
}

TEST_F(LinkTest, a_dead_forwarder_is_noticed) {
  expect_inside([](Workplace&) -> base::Result<Bytes> {
    auto link = Link::create({});
    TCPWHY_INSIDE_OK(link);
    ::kill(link->forwarder(), SIGKILL);
    pollfd polled{link->fd(), POLLIN, 0};
    TCPWHY_INSIDE(::poll(&polled, 1, 10'000) == 1);
    std::vector<LinkReport> reports;
    const auto drained = link->drain(reports);
    TCPWHY_INSIDE(!drained && drained.error().message.en == "the link's forwarder ended");
    return Bytes{};
  });
}

}  // namespace
}  // namespace tcpwhy::lab
