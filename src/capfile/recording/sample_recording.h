// For tests and seed corpora: a recording with every kind of event, made up here.
#pragma once

#include <cerrno>
#include <vector>

#include "recording/recording.h"

namespace tcpwhy::capfile::testing {

// Ethernet, IPv4 and a TCP header of 20 bytes from port 41000 of 127.0.0.1 to 9999, flags as given.
inline std::vector<std::uint8_t> sample_packet(std::uint8_t flags) {
  return {0,    0,    0,    0,    0, 0, 0,    0, 0,  0, 0,    0,    0x08, 0x00,                           // Ethernet
          0x45, 0,    0,    40,   0, 1, 0x40, 0, 64, 6, 0x3c, 0xcd, 127,  0,     0,    1, 127, 0, 0, 1,   // IPv4
          0xa0, 0x28, 0x27, 0x0f, 0, 0, 0,    1, 0,  0, 0,    1,    0x50, flags, 0x02, 0, 0,   0, 0, 0};  // TCP
}

inline recording::Recording sample_recording() {
  using namespace recording;
  Recording made;
  made.provenance.title = "close/server-closes";
  made.provenance.scenario = "title The server closes\nserver close()\n";
  made.provenance.host = "box", made.provenance.kernel = "Linux 6.18.44", made.provenance.program = "tcpwhy 0.1.0";
  made.provenance.wire = WireKind::loopback;
  made.provenance.observed = {Observation::packets, Observation::calls, Observation::states_sampled};
  made.provenance.labels = {{"title", "The server closes"}, {"title.zh", "服务器 close"}};
  made.provenance.settings = {{"net.ipv4.tcp_congestion_control", "cubic"}};
  made.provenance.comments = {"a comment of its own"};
  made.interfaces.push_back({wire::LinkType::ethernet, 262144, "lo", "the loopback of the sandbox", "", 9});
  made.actors = {{"server", 101, 101, "tcpwhy", "server"}, {"client", 102, 102, "tcpwhy", ""}};

  const wire::IpAddress loopback{wire::IpFamily::v4, {127, 0, 0, 1}};
  const wire::SocketAddress server{loopback, 9999}, client{loopback, 41000};
  std::int64_t ns = 1'700'000'000'000'000'123;
  const auto add = [&made, &ns](ActorId actor, What what) {
    made.events.push_back({base::wall_from_ns(ns += 1'001), actor, std::move(what)});
  };
  const auto packet = [](std::uint8_t flags) {
    Packet seen;
    seen.bytes = sample_packet(flags);
    seen.original_length = static_cast<std::uint32_t>(seen.bytes.size());
    return seen;
  };

  CallEntered entered;
  entered.name = "send", entered.arguments = R"(5, "hello\n", 6, 0)", entered.fd = 5, entered.socket = 4711;
  entered.local = client, entered.remote = server, entered.byte_count = 6, entered.step_line = 12;
  CallReturned returned;
  returned.result = -1, returned.error = EPIPE, returned.socket = 4711;
  SocketState state;
  state.socket = 4711, state.local = client, state.remote = server, state.from = tcp::State::established,
  state.to = tcp::State::close_wait;
  state.not_before = base::wall_from_ns(ns), state.retransmission_timeout_us = 204'000;

  add({1}, ProcessStarted{"tcpwhy"});
  add({1}, entered);
  add({}, packet(0x11));
  add({}, SegmentCause{.packet = {2},
                       .trigger = Trigger::call,
                       .name = "send",
                       .by = EventId{1},
                       .stack = "tcp_write_xmit < tcp_sendmsg"});
  add({1}, Signal{"SIGPIPE", SignalFate::delivered, 0});
  add({1}, returned);
  add({}, state);
  add({}, CounterMoved{"Tcp.OutRsts", 1, "", base::wall_from_ns(ns)});
  add({}, LinkAction{"delay", 20'000'000});
  add({}, Note{"two\nlines", 12});
  add({}, ExpectationFailed{12, "[F.]", "nothing", 0});
  add({}, Loss{"packets", 3, "the ring was full"});
  add({}, Reset{.sent = true, .active = true, .local = client, .remote = server, .reason = "TCP_ABORT_ON_CLOSE"});
  add({}, SocketError{4711, client, server, 32});
  add({}, SegmentDropped{.from = client,
                         .to = server,
                         .flags = {wire::TcpFlags::syn_bit},
                         .reason = "NO_SOCKET",
                         .function = "tcp_v4_rcv"});
  add({1}, ProcessEnded{{}, "SIGPIPE", 0});
  add({}, packet(0x04));
  return made;
}

}  // namespace tcpwhy::capfile::testing
