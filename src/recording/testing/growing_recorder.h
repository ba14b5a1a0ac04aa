// For tests: writes down recordings of any size. Addresses are IPv4, of packets the headers only (the payload was not captured), a
// microsecond passes between events.
#pragma once

#include <cerrno>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "recording/recording.h"

namespace tcpwhy::recording::testing {

struct GrowingEnd {
  std::uint32_t address = 0;
  std::uint16_t port = 0;
  [[nodiscard]] wire::SocketAddress socket() const {
    const std::uint8_t octets[4] = {static_cast<std::uint8_t>(address >> 24U),
                                    static_cast<std::uint8_t>(address >> 16U), static_cast<std::uint8_t>(address >> 8U),
                                    static_cast<std::uint8_t>(address)};
    return {wire::IpAddress::v4(octets), port};
  }
};

// The i-th of the clients, each with an address and port of its own, and the server of all.
inline GrowingEnd growing_client(std::uint32_t i) {
  return {0x0a000001U + (i >> 14U), static_cast<std::uint16_t>(32768U + (i & 0x3fffU))};
}
inline constexpr GrowingEnd growing_server{0xc0000201U, 80};

namespace flag {
inline constexpr std::uint16_t fin = 1, syn = 2, rst = 4, psh = 8, ack = 16, urg = 32;
}

struct GrowingSegment {
  std::uint16_t flags = flag::ack;
  std::uint32_t seq = 0, ack = 0, length = 0;
  std::uint16_t window = 512, ip_id = 0;
  std::vector<std::uint32_t> sack = {};  // left edge, right edge, ...
};

class GrowingRecorder {
 public:
  GrowingRecorder() {
    recording_.provenance.observed = {Observation::packets};
    recording_.interfaces.push_back({wire::LinkType::raw, 0, "any", "", "", 9});
  }

  // From now on there are calls too. The client is actor 0, the server actor 1.
  void with_calls() {
    using enum Observation;
    recording_.provenance.observed = {packets, calls, states_kernel, causes_kernel, counters};
    recording_.actors = {{"client", 101, 101, "client", ""}, {"server", 102, 102, "server", ""}};
  }
  ActorId add_actor(std::string name) {
    const auto pid = static_cast<std::int32_t>(1000 + recording_.actors.size());
    recording_.actors.push_back({std::move(name), pid, pid, "worker", ""});
    return ActorId{static_cast<std::uint32_t>(recording_.actors.size() - 1)};
  }
  // Another thread of the server's process.
  ActorId add_thread() {
    const auto tid = static_cast<std::int32_t>(100'000 + recording_.actors.size());
    recording_.actors.push_back({"server", 102, tid, "server", ""});
    return ActorId{static_cast<std::uint32_t>(recording_.actors.size() - 1)};
  }
  // Two taps, one in each end's namespace; packets go to the tap that is chosen.
  void with_two_taps() {
    recording_.interfaces.front().host = "client";
    recording_.interfaces.push_back({wire::LinkType::raw, 0, "far", "", "server", 9});
  }
  std::uint32_t tap = 0;

  EventId segment(GrowingEnd from, GrowingEnd to, const GrowingSegment& what) {
    Packet packet;
    packet.interface = {tap};
    packet.bytes = bytes(from, to, what);
    packet.original_length = static_cast<std::uint32_t>(packet.bytes.size()) + what.length;
    return event(std::move(packet));
  }
  void handshake(GrowingEnd client, GrowingEnd server, std::uint32_t isn = 0) {
    segment(client, server, {.flags = flag::syn, .seq = isn});
    segment(server, client, {.flags = flag::syn | flag::ack, .seq = isn, .ack = isn + 1});
    segment(client, server, {.flags = flag::ack, .seq = isn + 1, .ack = isn + 1});
  }

  EventId event(What what, ActorId actor = {}) {
    recording_.events.push_back({now(), actor, std::move(what)});
    ++clock_;
    return EventId{static_cast<std::uint32_t>(recording_.events.size() - 1)};
  }

  std::uint32_t enter(ActorId actor, std::string name, std::string arguments, std::uint64_t socket,
                      std::optional<wire::SocketAddress> local = {}, std::optional<wire::SocketAddress> remote = {}) {
    CallEntered entered;
    entered.call = ++calls_;
    entered.name = std::move(name), entered.arguments = std::move(arguments);
    entered.fd = 3;
    entered.socket = socket, entered.local = local, entered.remote = remote;
    event(std::move(entered), actor);
    return calls_;
  }
  void leave(ActorId actor, std::uint32_t call, std::int64_t result, std::int32_t error = 0, std::uint64_t socket = 0) {
    CallReturned returned;
    returned.call = call, returned.result = result, returned.error = error, returned.socket = socket;
    event(std::move(returned), actor);
  }
  void call(ActorId actor, std::string name, std::string arguments, std::uint64_t socket, std::int64_t result,
            std::int32_t error = 0, std::optional<wire::SocketAddress> local = {},
            std::optional<wire::SocketAddress> remote = {}) {
    const auto number = enter(actor, std::move(name), std::move(arguments), socket, local, remote);
    leave(actor, number, result, error, socket);
  }
  // connect() by the client and accept() by the server, around the handshake; cookies 2i+1 and 2i+2.
  void connect(std::uint32_t i, std::uint32_t isn = 0) {
    const auto number = enter({0}, "connect", "3, ...", 2 * i + 1, {}, growing_server.socket());
    handshake(growing_client(i), growing_server, isn);
    connected(i, number);
  }
  // The same without packets.
  void connect_unseen(std::uint32_t i) {
    connected(i, enter({0}, "connect", "3, ...", 2 * i + 1, {}, growing_server.socket()));
  }
  void listen(std::uint64_t socket = 1000000007) {
    call({1}, "listen", "3, 128", socket, 0, 0, growing_server.socket());
  }

  void pass(std::int64_t microseconds) { clock_ += microseconds; }
  [[nodiscard]] base::WallTime now() const { return base::wall_from_ns(1'700'000'000'000'000'000 + clock_ * 1000); }
  Recording take() { return std::move(recording_); }

 private:
  void connected(std::uint32_t i, std::uint32_t number) {
    const auto from = growing_client(i).socket(), to = growing_server.socket();
    CallReturned returned;
    returned.call = number, returned.socket = 2 * i + 1, returned.local = from, returned.remote = to;
    event(std::move(returned), {0});
    const auto accept = enter({1}, "accept", "3, NULL, NULL", 1000000007, to);
    CallReturned accepted;
    accepted.call = accept, accepted.result = 4, accepted.new_fd = 4, accepted.socket = 2 * i + 2;
    accepted.local = to, accepted.remote = from;
    event(std::move(accepted), {1});
  }
  static std::vector<std::uint8_t> bytes(GrowingEnd from, GrowingEnd to, const GrowingSegment& what) {
    std::vector<std::uint8_t> out;
    const auto put16 = [&](std::uint32_t v) { out.push_back(std::uint8_t(v >> 8U)), out.push_back(std::uint8_t(v)); };
    const auto put32 = [&](std::uint32_t v) { put16(v >> 16U), put16(v & 0xffffU); };
    const auto options = static_cast<std::uint32_t>(what.sack.empty() ? 0 : 4 + 4 * what.sack.size());
    put16(0x4500), put16(40 + options + what.length), put16(what.ip_id), put16(0x4000), put16(0x4006), put16(0);
    put32(from.address), put32(to.address), put16(from.port), put16(to.port);
    put32(what.seq), put32((what.flags & flag::ack) != 0 ? what.ack : 0);
    put16((5 + options / 4) << 12U | what.flags), put16(what.window), put32(0);
    if (!what.sack.empty()) {
      put16(0x0101), put16(0x0500U | (2 + 4 * static_cast<std::uint32_t>(what.sack.size())));
      for (const std::uint32_t edge : what.sack) put32(edge);
    }
    return out;
  }

  Recording recording_;
  std::int64_t clock_ = 0;
  std::uint32_t calls_ = 0;
};

}  // namespace tcpwhy::recording::testing
