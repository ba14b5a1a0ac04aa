// For tests: recordings of a shape and of any size, to see how the work grows with it. In each shape one kind of thing happens again
// and again: whoever looks through all the others each time it happens does work that grows with the square.
#pragma once

#include <cerrno>
#include <span>
#include <string_view>

#include "recording/testing/growing_recorder.h"

namespace tcpwhy::recording::testing {

struct GrowingShape {
  std::string_view name;
  bool has_calls;  // a recording of a traced program; else what any capture may hold
  void (*tell)(GrowingRecorder&, std::uint32_t n);
};

namespace shapes {

using R = GrowingRecorder;
using std::uint32_t;
inline constexpr GrowingEnd server = growing_server;
inline const GrowingEnd client = growing_client(0);

// --- Captures -----------------------------------------------------------------------------------------------------

inline void duplicates(R& r, uint32_t n) {
  r.handshake(client, server);
  for (uint32_t i = 0; i < n; ++i) r.segment(client, server, {.seq = 1, .ack = 1, .length = 100});
}
inline void sent_twice(R& r, uint32_t n) {
  r.handshake(client, server);
  for (uint32_t again = 0; again < 2; ++again)
    for (uint32_t i = 0; i < n / 2; ++i) r.segment(client, server, {.seq = 1 + 100 * i, .ack = 1, .length = 100});
}
inline void sent_twice_after_a_while(R& r, uint32_t n) {
  r.handshake(client, server);
  for (uint32_t i = 0; i < n; ++i) {
    r.segment(client, server, {.seq = 1 + 100 * i, .ack = 1, .length = 100});
    r.segment(client, server, {.seq = 1 + 100 * (i / 2), .ack = 1, .length = 100});
    r.pass(1'000'000);
  }
}
// Every second segment is lost; each one that comes is acknowledged with what had come; then the holes are filled, the last first.
inline void holes(R& r, uint32_t n) {
  r.handshake(client, server);
  for (uint32_t i = 0; i < n / 4; ++i) {
    const uint32_t left = 101 + 200 * i;
    r.segment(client, server, {.seq = left, .ack = 1, .length = 100});
    r.segment(server, client, {.seq = 1, .ack = 1, .sack = {left, left + 100, 101, 201}});
  }
  for (uint32_t i = n / 4; i > 0; --i) {
    r.segment(client, server, {.seq = 1 + 200 * (i - 1), .ack = 1, .length = 100});
    r.segment(server, client, {.seq = 1, .ack = 1, .sack = {1 + 200 * (i - 1), 101, 101, 201}});
  }
}
inline void one_segment_each(R& r, uint32_t n) {
  for (uint32_t i = 0; i < n; ++i) r.segment(growing_client(i), server, {.flags = flag::syn});
}
inline void whole_connections(R& r, uint32_t n) {
  for (uint32_t i = 0; i < n / 8; ++i) {
    const GrowingEnd from = growing_client(i);
    r.handshake(from, server);
    r.segment(from, server, {.flags = flag::ack | flag::psh, .seq = 1, .ack = 1, .length = 100});
    r.segment(server, from, {.flags = flag::ack | flag::psh, .seq = 1, .ack = 101, .length = 1000});
    r.segment(server, from, {.flags = flag::ack | flag::fin, .seq = 1001, .ack = 101});
    r.segment(from, server, {.flags = flag::ack | flag::fin, .seq = 101, .ack = 1002});
    r.segment(server, from, {.flags = flag::ack, .seq = 1002, .ack = 102});
  }
}
// The same two addresses and ports, again and again.
inline void ports_again(R& r, uint32_t n) {
  for (uint32_t i = 0; i < n / 6; ++i) {
    const uint32_t isn = i * 100'000;
    r.handshake(client, server, isn);
    r.segment(client, server, {.flags = flag::ack | flag::fin, .seq = isn + 1, .ack = isn + 1});
    r.segment(server, client, {.flags = flag::ack | flag::fin, .seq = isn + 1, .ack = isn + 2});
    r.segment(client, server, {.flags = flag::ack, .seq = isn + 2, .ack = isn + 2});
  }
}
inline void syns_again(R& r, uint32_t n) {
  for (uint32_t i = 0; i < n; ++i) r.segment(client, server, {.flags = flag::syn});
}
inline void refused(R& r, uint32_t n) {
  for (uint32_t i = 0; i < n / 2; ++i) {
    r.segment(client, server, {.flags = flag::syn});
    r.segment(server, client, {.flags = flag::rst | flag::ack, .seq = 0, .ack = 1});
  }
}
inline void resets(R& r, uint32_t n) {
  r.handshake(client, server);
  for (uint32_t i = 0; i < n / 2; ++i) {
    r.segment(client, server, {.flags = flag::ack | flag::psh, .seq = 1 + 10 * i, .ack = 1, .length = 10});
    r.segment(server, client, {.flags = flag::rst, .seq = 1});
  }
}
inline void fins(R& r, uint32_t n) {
  r.handshake(client, server);
  for (uint32_t i = 0; i < n / 2; ++i) {
    r.segment(client, server, {.flags = flag::ack | flag::fin, .seq = 1, .ack = 1});
    r.segment(server, client, {.flags = flag::ack, .seq = 1, .ack = 2});
  }
}
inline void challenges(R& r, uint32_t n) {
  r.handshake(client, server);
  for (uint32_t i = 0; i < n / 2; ++i) {
    r.segment(client, server, {.flags = flag::syn, .seq = 100'000 + i});
    r.segment(server, client, {.seq = 1, .ack = 1});
  }
}
inline void shut_windows(R& r, uint32_t n) {
  r.handshake(client, server);
  r.segment(client, server, {.seq = 1, .ack = 1, .length = 100});
  for (uint32_t i = 0; i < n / 3; ++i) {
    r.segment(server, client, {.seq = 1, .ack = 101, .window = 0});
    r.segment(client, server, {.seq = 100, .ack = 1});
    r.segment(server, client, {.seq = 1, .ack = 101, .window = 512});
  }
}
inline void keep_alives(R& r, uint32_t n) {
  r.handshake(client, server);
  for (uint32_t i = 0; i < n / 2; ++i) {
    r.segment(client, server, {.seq = 0, .ack = 1});
    r.segment(server, client, {.seq = 1, .ack = 1});
  }
}
inline void keep_alives_unanswered(R& r, uint32_t n) {
  r.handshake(client, server);
  for (uint32_t i = 0; i < n; ++i) r.segment(client, server, {.seq = 0, .ack = 1});
  r.segment(client, server, {.flags = flag::rst | flag::ack, .seq = 1, .ack = 1});
}
inline void data_unacknowledged(R& r, uint32_t n) {
  r.handshake(client, server);
  for (uint32_t i = 0; i < n; ++i) r.segment(client, server, {.seq = 1 + 100 * i, .ack = 1, .length = 100});
}
inline void data_from_the_end(R& r, uint32_t n) {
  r.handshake(client, server);
  for (uint32_t i = n; i > 0; --i) r.segment(client, server, {.seq = 1 + 100 * i, .ack = 1, .length = 100});
}
inline void there_and_back(R& r, uint32_t n) {
  r.handshake(client, server);
  for (uint32_t i = 0; i < n / 2; ++i) {
    r.segment(client, server, {.flags = flag::ack | flag::psh, .seq = 1 + 10 * i, .ack = 1 + 10 * i, .length = 10});
    r.segment(server, client, {.flags = flag::ack | flag::psh, .seq = 1 + 10 * i, .ack = 11 + 10 * i, .length = 10});
  }
}
inline void urgent(R& r, uint32_t n) {
  r.handshake(client, server);
  for (uint32_t i = 0; i < n; ++i)
    r.segment(client, server, {.flags = flag::ack | flag::urg, .seq = 1 + i, .ack = 1, .length = 1});
}

// --- Recordings of programs ---------------------------------------------------------------------------------------

// Equal segments, seen at one of the two taps only.
inline void seen_at_one_tap(R& r, uint32_t n) {
  r.with_two_taps();
  r.handshake(client, server);
  for (uint32_t i = 0; i < n; ++i) r.segment(client, server, {.seq = 1, .ack = 1});
}
inline void sends(R& r, uint32_t n) {
  r.listen();
  r.connect(0);
  for (uint32_t i = 0; i < n / 4; ++i) {
    const auto send = r.enter({0}, "send", "3, \"x\", 10, 0", 1);
    r.segment(client, server, {.flags = flag::ack | flag::psh, .seq = 1 + 10 * i, .ack = 1, .length = 10});
    r.segment(server, client, {.seq = 1, .ack = 11 + 10 * i});
    r.leave({0}, send, 10);
  }
}
inline void sends_and_resends(R& r, uint32_t n) {
  r.listen();
  r.connect(0);
  for (uint32_t i = 0; i < n / 4; ++i) {
    r.call({0}, "send", "3, \"x\", 10, 0", 1, 10);
    r.segment(client, server, {.flags = flag::ack | flag::psh, .seq = 1 + 10 * i, .ack = 1, .length = 10});
    r.segment(client, server, {.flags = flag::ack | flag::psh, .seq = 1 + 10 * (i / 2), .ack = 1, .length = 10});
  }
}
inline void sends_corked(R& r, uint32_t n) {
  r.listen();
  r.connect(0);
  for (uint32_t i = 0; i < n / 5; ++i) {
    r.call({0}, "send", "3, \"x\", 10, MSG_MORE", 1, 10);
    r.call({0}, "setsockopt", "3, SOL_TCP, TCP_NODELAY, [1], 4", 1, 0);
    r.segment(client, server, {.flags = flag::ack | flag::psh, .seq = 1 + 10 * i, .ack = 1, .length = 10});
  }
}
inline void calls_after_the_end(R& r, uint32_t n) {
  r.listen();
  r.connect(0);
  r.segment(server, client, {.flags = flag::ack | flag::fin, .seq = 1, .ack = 1});
  r.segment(client, server, {.flags = flag::ack, .seq = 1, .ack = 2});
  for (uint32_t i = 0; i < n / 4; ++i) {
    r.call({0}, "recv", "3, \"\", 100, 0", 1, 0);
    r.call({0}, "send", "3, \"x\", 10, 0", 1, 10);
  }
}
// Each send() fails after the reset, with SIGPIPE handled, or else ignored.
inline void broken_pipes(R& r, uint32_t n) {
  r.listen();
  r.connect(0);
  r.segment(server, client, {.flags = flag::ack | flag::fin, .seq = 1, .ack = 1});
  r.segment(server, client, {.flags = flag::rst, .seq = 2});
  for (uint32_t i = 0; i < n / 5; ++i) {
    r.call({0}, "rt_sigaction", "SIGPIPE, {sa_handler=0x1234}, NULL, 8", 0, 0);
    const auto send = r.enter({0}, "send", "3, \"x\", 10, 0", 1);
    if (i % 2 == 0) r.event(Signal{"SIGPIPE", SignalFate::handled, send}, {0});
    r.leave({0}, send, -1, EPIPE);
  }
}
inline void failing_connection_resets(R& r, uint32_t n) {
  r.listen();
  r.connect(0);
  r.segment(server, client, {.flags = flag::rst, .seq = 1});
  for (uint32_t i = 0; i < n / 2; ++i) r.call({0}, "send", "3, \"x\", 10, 0", 1, -1, ECONNRESET);
}
inline void closed_descriptors(R& r, uint32_t n) {
  r.listen();
  r.connect(0);
  r.call({0}, "close", "3", 1, 0);
  r.segment(client, server, {.flags = flag::ack | flag::fin, .seq = 1, .ack = 1});
  for (uint32_t i = 0; i < n / 2; ++i) r.call({0}, "send", "3, \"x\", 10, 0", 0, -1, EBADF);
}
inline void closes_that_close_nothing(R& r, uint32_t n) {
  r.listen();
  r.connect(0);
  for (uint32_t i = 0; i < n / 4; ++i) {
    r.call({0}, "dup", "3", 1, 5);
    r.call({0}, "close", "3", 1, 0);
  }
}
inline void served_connections(R& r, uint32_t n) {
  r.listen();
  for (uint32_t i = 0; i < n / 16; ++i) {
    const GrowingEnd from = growing_client(i);
    r.connect(i);
    r.call({0}, "send", "3, \"x\", 100, 0", 2 * i + 1, 100);
    r.segment(from, server, {.flags = flag::ack | flag::psh, .seq = 1, .ack = 1, .length = 100});
    r.call({1}, "recv", "4, \"x\", 100, 0", 2 * i + 2, 100);
    const auto close = r.enter({1}, "close", "4", 2 * i + 2);
    r.segment(server, from, {.flags = flag::ack | flag::fin, .seq = 1, .ack = 101});
    r.leave({1}, close, 0);
    r.segment(from, server, {.flags = flag::ack | flag::fin, .seq = 101, .ack = 2});
    r.segment(server, from, {.flags = flag::ack, .seq = 2, .ack = 102});
  }
}
inline void reset_connections(R& r, uint32_t n) {
  r.listen();
  for (uint32_t i = 0; i < n / 12; ++i) {
    const GrowingEnd from = growing_client(i);
    r.connect(i);
    r.segment(from, server, {.flags = flag::ack | flag::psh, .seq = 1, .ack = 1, .length = 100});
    const auto close = r.enter({1}, "close", "4", 2 * i + 2);
    r.segment(server, from, {.flags = flag::rst | flag::ack, .seq = 1, .ack = 101});
    r.leave({1}, close, 0);
  }
}
// Nobody listens, and the local address is gone when connect() has failed.
inline void refused_connects(R& r, uint32_t n) {
  for (uint32_t i = 0; i < n / 4; ++i) {
    const auto connect = r.enter({0}, "connect", "3, ...", 2 * i + 1, {}, server.socket());
    r.segment(growing_client(i), server, {.flags = flag::syn});
    r.segment(server, growing_client(i), {.flags = flag::rst | flag::ack, .ack = 1});
    r.leave({0}, connect, -1, ECONNREFUSED, 2 * i + 1);
  }
}
inline void refused_connects_unseen(R& r, uint32_t n) {
  r.listen();
  for (uint32_t i = 0; i < n / 2; ++i)
    r.call({0}, "connect", "3, ...", 2 * i + 1, -1, ECONNREFUSED, {}, server.socket());
}
inline void connects_of_one_socket(R& r, uint32_t n) {
  for (uint32_t i = 0; i < n / 4; ++i) {
    const auto connect = r.enter({0}, "connect", "3, ...", 1, {}, server.socket());
    r.segment(growing_client(i), server, {.flags = flag::syn});
    r.segment(server, growing_client(i), {.flags = flag::rst | flag::ack, .ack = 1});
    r.leave({0}, connect, -1, ECONNREFUSED, 1);
  }
}
inline void timed_out_connects(R& r, uint32_t n) {
  for (uint32_t i = 0; i < n / 2; ++i) r.segment(client, server, {.flags = flag::syn});
  for (uint32_t i = 0; i < n / 4; ++i)
    r.call({0}, "connect", "3, ...", 1, -1, ETIMEDOUT, client.socket(), server.socket());
}
inline void ports_in_use(R& r, uint32_t n) {
  for (uint32_t i = 0; i < n / 3; ++i) {
    SocketState state;
    state.socket = i + 1, state.local = growing_client(i).socket(), state.to = tcp::State::listen;
    r.event(state);
    r.call({0}, "bind", "3, ...", 1, -1, EADDRINUSE, client.socket());
  }
}
inline void many_listeners(R& r, uint32_t n) {
  for (uint32_t i = 0; i < n / 4; ++i) r.call({1}, "listen", "3, 128", 1'000'000 + i, 0, 0, growing_client(i).socket());
  for (uint32_t i = 0; i < n / 4; ++i) {
    r.segment(growing_client(i + n), server, {.flags = flag::syn});
    r.segment(server, growing_client(i + n), {.flags = flag::rst | flag::ack, .ack = 1});
  }
}
inline void processes(R& r, uint32_t n) {
  r.listen();
  r.connect(0);
  for (uint32_t i = 0; i < n / 6; ++i) {
    const ActorId actor = r.add_actor("worker " + std::to_string(i));
    r.event(ProcessStarted{"worker", 102}, actor);
    r.call(actor, "send", "4, \"x\", 10, 0", 2, 10);
    r.segment(server, client, {.seq = 1 + 10 * i, .ack = 1, .length = 10});
    r.event(ProcessEnded{0, "", {}}, actor);
  }
}
// A process for each connection.
inline void forking_server(R& r, uint32_t n) {
  r.listen();
  for (uint32_t i = 0; i < n / 12; ++i) {
    const GrowingEnd from = growing_client(i);
    r.connect(i);
    const ActorId actor = r.add_actor("worker " + std::to_string(i));
    r.event(ProcessStarted{"worker", 102}, actor);
    r.call(actor, "send", "4, \"x\", 10, 0", 2 * i + 2, 10);
    r.segment(server, from, {.seq = 1, .ack = 1, .length = 10});
    r.segment(server, from, {.flags = flag::ack | flag::fin, .seq = 11, .ack = 1});
    r.event(ProcessEnded{0, "", {}}, actor);
  }
}
inline void calls_that_never_return(R& r, uint32_t n) {
  r.listen();
  r.connect(0);
  for (uint32_t i = 0; i < n / 2; ++i) {
    r.enter({1}, "recv", "4, ...", 2);
    r.segment(client, server, {.seq = 1 + 10 * i, .ack = 1, .length = 10});
  }
}
inline void sampled_states(R& r, uint32_t n) {
  r.listen();
  r.connect(0);
  for (uint32_t i = 0; i < n / 2; ++i) {
    SocketState state;
    state.socket = 1, state.local = client.socket(), state.remote = server.socket();
    state.from = state.to = i % 2 == 0 ? tcp::State::established : tcp::State::close_wait;
    state.not_before = r.now();
    r.segment(client, server, {.seq = 1 + 10 * i, .ack = 1, .length = 10});
    r.event(state);
  }
}
// Each time the kernel says that the socket was gone longer before what it said the last time than two words on one thing are apart.
inline void gone_ever_earlier(R& r, uint32_t n) {
  r.listen();
  r.connect(0);
  constexpr std::int64_t apart_us = 50'000;
  r.pass(apart_us * n);
  for (uint32_t i = 0; i < n; ++i) {
    SocketState state;
    state.socket = 1, state.local = client.socket(), state.remote = server.socket();
    state.from = tcp::State::established, state.to = tcp::State::closed;
    r.event(state);
    r.pass(-apart_us);
  }
}
inline void told_states_without_packets(R& r, uint32_t n) {
  for (uint32_t i = 0; i < n; ++i) {
    SocketState state;
    state.socket = 1, state.local = client.socket(), state.remote = server.socket();
    state.from = i % 2 == 0 ? tcp::State::established : tcp::State::close_wait,
    state.to = i % 2 != 0 ? tcp::State::established : tcp::State::close_wait;
    r.event(state);
  }
}
inline void socket_errors(R& r, uint32_t n) {
  r.listen();
  r.connect(0);
  for (uint32_t i = 0; i < n / 2; ++i) {
    r.segment(server, client, {.flags = flag::rst, .seq = 1});
    r.event(SocketError{1, client.socket(), server.socket(), ECONNRESET});
  }
}
inline void requests_sampled(R& r, uint32_t n) {
  for (uint32_t i = 0; i < n / 2; ++i) {
    SocketState state;
    state.socket = 2 * i + 2, state.local = server.socket(), state.remote = growing_client(i).socket();
    state.from = tcp::State::listen, state.to = tcp::State::syn_received;
    r.event(state);
    state.socket += 1'000'000, state.not_before = r.now();
    state.remote = growing_client(i + n).socket();
    r.event(state);
  }
}
inline SegmentCause cause_of(uint32_t seq, uint32_t length) {
  SegmentCause cause;
  cause.socket = 1, cause.local = client.socket(), cause.remote = server.socket();
  cause.flags = {flag::ack}, cause.seq = seq, cause.ack = 1, cause.length = length;
  cause.trigger = Trigger::segment, cause.name = "segment";
  return cause;
}
inline void causes_of_equal_segments(R& r, uint32_t n) {
  r.listen();
  r.connect(0);
  for (uint32_t i = 0; i < n / 2; ++i) {
    r.event(cause_of(1, 0));
    r.segment(client, server, {.seq = 1, .ack = 1});
  }
}
inline void causes_of_data(R& r, uint32_t n) {
  r.listen();
  r.connect(0);
  for (uint32_t i = 0; i < n / 2; ++i) {
    r.event(cause_of(1 + 10 * i, 10));
    r.segment(client, server, {.seq = 1 + 10 * i, .ack = 1, .length = 10});
  }
}
inline void causes_without_segments(R& r, uint32_t n) {
  r.listen();
  r.connect(0);
  for (uint32_t i = 0; i < n / 2; ++i) {
    r.event(cause_of(1 + 10 * i, 5));
    r.segment(client, server, {.seq = 1 + 10 * i, .ack = 1, .length = 10});
  }
}
inline void told_resets(R& r, uint32_t n) {
  r.listen();
  r.connect(0);
  for (uint32_t i = 0; i < n / 2; ++i) {
    r.segment(server, client, {.flags = flag::rst, .seq = 1});
    r.event(Reset{true, false, 2, server.socket(), client.socket(), "NO_SOCKET", {}});
  }
}
inline void drops(R& r, uint32_t n) {
  r.listen();
  r.connect(0);
  for (uint32_t i = 0; i < n / 2; ++i) {
    r.segment(client, server, {.seq = 1, .ack = 1, .length = 10});
    SegmentDropped drop;
    drop.from = client.socket(), drop.to = server.socket(), drop.flags = {flag::ack}, drop.seq = 1, drop.ack = 1;
    drop.length = 10, drop.reason = "SOCKET_RCVBUFF", drop.function = "tcp_v4_rcv";
    r.event(drop);
  }
}
inline void counters(R& r, uint32_t n) {
  r.listen();
  r.connect(0);
  for (uint32_t i = 0; i < n / 2; ++i) {
    r.segment(client, server, {.seq = 1, .ack = 1, .length = 10});
    r.event(CounterMoved{"TcpExt.Other", 1, "", r.now()});
  }
}
inline void notes(R& r, uint32_t n) {
  r.listen();
  for (uint32_t i = 0; i < n; ++i) r.event(Note{"a note", i});
}
inline void losses(R& r, uint32_t n) {
  r.listen();
  for (uint32_t i = 0; i < n / 8; ++i) {
    r.connect(i);
    r.event(Loss{"events", 1, "a full ring"});
  }
}
inline void signals(R& r, uint32_t n) {
  r.listen();
  for (uint32_t i = 0; i < n / 8; ++i) {
    r.connect(i);
    r.event(Signal{"SIGCHLD", SignalFate::handled, {}}, {0});
  }
}
inline void threads(R& r, uint32_t n) {
  r.listen();
  r.connect(0);
  for (uint32_t i = 0; i < n / 5; ++i) {
    const ActorId thread = r.add_thread();
    r.call(thread, "recv", "4, \"x\", 10, 0", 2, 10);
    r.segment(client, server, {.seq = 1 + 10 * i, .ack = 1, .length = 10});
    r.call(thread, "shutdown", "4, SHUT_RD", 2, 0);
  }
}
inline void shuts_and_reads(R& r, uint32_t n) {
  r.listen();
  r.connect(0);
  for (uint32_t i = 0; i < n / 4; ++i) {
    r.call({0}, "shutdown", "3, SHUT_RD", 1, 0);
    r.call({0}, "recv", "3, \"\", 100, 0", 1, 0);
  }
}
// Each connection has the number that the last one had, and so has its duplicate.
inline void one_number_duplicated(R& r, uint32_t n) {
  r.listen();
  for (uint32_t i = 0; i < n / 15; ++i) {
    r.connect(i);
    r.call({1}, "dup", "4", 2 * i + 2, 5);
    r.call({1}, "close", "5", 2 * i + 2, 0);
    r.call({1}, "close", "4", 2 * i + 2, 0);
    r.segment(server, growing_client(i), {.flags = flag::ack | flag::fin, .seq = 1, .ack = 1});
  }
}
inline void close_ranges(R& r, uint32_t n) {
  r.listen();
  for (uint32_t i = 0; i < n / 11; ++i) {
    r.connect(i);
    const auto close = r.enter({1}, "close_range", "3, 10, 0", 0);
    r.segment(server, growing_client(i), {.flags = flag::ack | flag::fin, .seq = 1, .ack = 1});
    r.leave({1}, close, 0);
  }
}
// A server that is started again and again on one port, and always too late.
inline void listens_again(R& r, uint32_t n) {
  for (uint32_t i = 0; i < n / 10; ++i) {
    r.listen(2'000'000 + i);
    r.call({1}, "close", "3", 2'000'000 + i, 0);
    const auto connect = r.enter({0}, "connect", "3, ...", 2 * i + 1, {}, server.socket());
    r.segment(growing_client(i), server, {.flags = flag::syn});
    r.segment(server, growing_client(i), {.flags = flag::rst | flag::ack, .ack = 1});
    r.leave({0}, connect, -1, ECONNREFUSED, 2 * i + 1);
  }
}
inline void resets_of_listeners(R& r, uint32_t n) {
  for (uint32_t i = 0; i < n / 8; ++i) {
    r.listen(2'000'000 + i);
    r.handshake(growing_client(i), server);
    r.segment(growing_client(i), server, {.seq = 1, .ack = 1, .length = 10});
    r.segment(server, growing_client(i), {.flags = flag::rst, .seq = 1});
  }
}
inline void signatures_refused(R& r, uint32_t n) {
  r.listen();
  for (uint32_t i = 0; i < n / 6; ++i) {
    r.handshake(growing_client(i), server);
    r.segment(growing_client(i), server, {.seq = 1, .ack = 1, .length = 10});
    SegmentDropped drop;
    drop.from = growing_client(i).socket(), drop.to = server.socket(), drop.flags = {flag::ack}, drop.seq = 1;
    drop.ack = 1, drop.length = 10, drop.reason = "TCP_MD5UNEXPECTED", drop.function = "tcp_v4_rcv";
    r.event(drop);
    r.event(CounterMoved{"TcpExt.Other", 1, "", r.now()});
  }
}
inline void forks_of_others(R& r, uint32_t n) {
  r.listen();
  const ActorId other = r.add_actor("shell");
  for (uint32_t i = 0; i < n / 20; ++i) r.connect(i);
  for (uint32_t i = 0; i < n / 20; ++i) {
    for (uint32_t again = 0; again < 3; ++again) r.call(other, "fork", "", 0, 5000 + i);
    r.call({1}, "close", "4", 2 * i + 2, 0);
    r.segment(server, growing_client(i), {.flags = flag::ack | flag::fin, .seq = 1, .ack = 1});
  }
}

// --- Recordings of programs of which no packet was seen: as nobody ---------------------------------------------------

inline void reads_unseen(R& r, uint32_t n) {
  r.listen();
  r.connect_unseen(0);
  r.call({0}, "close", "3", 1, 0);
  for (uint32_t i = 0; i < n / 2; ++i) r.call({1}, "recv", "4, \"\", 100, 0", 2, 0);
}
inline void connections_unseen(R& r, uint32_t n) {
  r.listen();
  for (uint32_t i = 0; i < n / 12; ++i) {
    r.connect_unseen(i);
    r.call({0}, "send", "3, \"x\", 100, 0", 2 * i + 1, 100);
    r.call({1}, "recv", "4, \"x\", 100, 0", 2 * i + 2, 100);
    r.call({1}, "close", "4", 2 * i + 2, 0);
    r.call({0}, "close", "3", 2 * i + 1, 0);
  }
}
inline void forking_server_unseen(R& r, uint32_t n) {
  r.listen();
  for (uint32_t i = 0; i < n / 12; ++i) {
    r.connect_unseen(i);
    const ActorId actor = r.add_actor("worker " + std::to_string(i));
    r.event(ProcessStarted{"worker", 102}, actor);
    r.call({1}, "close", "4", 2 * i + 2, 0);
    r.call(actor, "send", "4, \"x\", 10, 0", 2 * i + 2, 10);
    r.event(ProcessEnded{0, "", {}}, actor);
    r.call({0}, "close", "3", 2 * i + 1, 0);
  }
}
// Of a fork nothing is told but the call; another process forks all the time.
inline void forks_unseen(R& r, uint32_t n) {
  r.listen();
  const ActorId other = r.add_actor("shell");
  for (uint32_t i = 0; i < n / 20; ++i) r.connect_unseen(i);
  for (uint32_t i = 0; i < n / 20; ++i) {
    for (uint32_t again = 0; again < 3; ++again) r.call(other, "fork", "", 0, 5000 + i);
    r.call({1}, "close", "4", 2 * i + 2, 0);
    r.call({0}, "close", "3", 2 * i + 1, 0);
  }
}
inline void unshares_unseen(R& r, uint32_t n) {
  r.listen();
  const ActorId other = r.add_actor("container");
  for (uint32_t i = 0; i < n / 12; ++i) {
    r.connect_unseen(i);
    r.call(other, "unshare", "CLONE_FILES", 0, 0);
    r.call({1}, "close", "4", 2 * i + 2, 0);
    r.call({0}, "close", "3", 2 * i + 1, 0);
  }
}
inline void shuts_and_reads_unseen(R& r, uint32_t n) {
  r.listen();
  r.connect_unseen(0);
  for (uint32_t i = 0; i < n / 8; ++i) {
    r.call({0}, "shutdown", "3, SHUT_RD", 1, 0);
    r.call({1}, "shutdown", "4, SHUT_RD", 2, 0);
    r.call({0}, "recv", "3, \"\", 100, 0", 1, 0);
    r.call({1}, "close", "5", 2, 0);
  }
}
inline void connections_sampled(R& r, uint32_t n) {
  r.listen();
  for (uint32_t i = 0; i < n / 8; ++i) {
    r.connect_unseen(i);
    for (const auto to : {tcp::State::established, tcp::State::close_wait, tcp::State::closed}) {
      SocketState state;
      state.socket = 2 * i + 1, state.local = growing_client(i).socket(), state.remote = server.socket();
      state.from = tcp::State::established, state.to = to, state.not_before = r.now();
      r.event(state);
    }
    r.event(CounterMoved{"Tcp.EstabResets", 1, "", r.now()});
  }
}
inline void actors_unseen(R& r, uint32_t n) {
  r.listen();
  r.connect_unseen(0);
  for (uint32_t i = 0; i < n / 4; ++i) {
    const ActorId actor = r.add_actor("worker " + std::to_string(i));
    r.call(actor, "send", "4, \"x\", 10, 0", 2, 10);
    r.event(ProcessEnded{0, "", {}}, actor);
  }
}

}  // namespace shapes

inline constexpr GrowingShape growing_shapes[] = {
    {"duplicates", false, shapes::duplicates},
    {"sent_twice", false, shapes::sent_twice},
    {"sent_twice_after_a_while", false, shapes::sent_twice_after_a_while},
    {"holes", false, shapes::holes},
    {"one_segment_each", false, shapes::one_segment_each},
    {"whole_connections", false, shapes::whole_connections},
    {"ports_again", false, shapes::ports_again},
    {"syns_again", false, shapes::syns_again},
    {"refused", false, shapes::refused},
    {"resets", false, shapes::resets},
    {"fins", false, shapes::fins},
    {"challenges", false, shapes::challenges},
    {"shut_windows", false, shapes::shut_windows},
    {"keep_alives", false, shapes::keep_alives},
    {"keep_alives_unanswered", false, shapes::keep_alives_unanswered},
    {"data_unacknowledged", false, shapes::data_unacknowledged},
    {"data_from_the_end", false, shapes::data_from_the_end},
    {"there_and_back", false, shapes::there_and_back},
    {"urgent", false, shapes::urgent},
    {"seen_at_one_tap", true, shapes::seen_at_one_tap},
    {"sends", true, shapes::sends},
    {"sends_and_resends", true, shapes::sends_and_resends},
    {"sends_corked", true, shapes::sends_corked},
    {"calls_after_the_end", true, shapes::calls_after_the_end},
    {"broken_pipes", true, shapes::broken_pipes},
    {"failing_connection_resets", true, shapes::failing_connection_resets},
    {"closed_descriptors", true, shapes::closed_descriptors},
    {"closes_that_close_nothing", true, shapes::closes_that_close_nothing},
    {"served_connections", true, shapes::served_connections},
    {"reset_connections", true, shapes::reset_connections},
    {"refused_connects", true, shapes::refused_connects},
    {"refused_connects_unseen", true, shapes::refused_connects_unseen},
    {"connects_of_one_socket", true, shapes::connects_of_one_socket},
    {"timed_out_connects", true, shapes::timed_out_connects},
    {"ports_in_use", true, shapes::ports_in_use},
    {"many_listeners", true, shapes::many_listeners},
    {"processes", true, shapes::processes},
    {"forking_server", true, shapes::forking_server},
    {"calls_that_never_return", true, shapes::calls_that_never_return},
    {"sampled_states", true, shapes::sampled_states},
    {"gone_ever_earlier", true, shapes::gone_ever_earlier},
    {"told_states_without_packets", true, shapes::told_states_without_packets},
    {"socket_errors", true, shapes::socket_errors},
    {"requests_sampled", true, shapes::requests_sampled},
    {"causes_of_equal_segments", true, shapes::causes_of_equal_segments},
    {"causes_of_data", true, shapes::causes_of_data},
    {"causes_without_segments", true, shapes::causes_without_segments},
    {"told_resets", true, shapes::told_resets},
    {"drops", true, shapes::drops},
    {"counters", true, shapes::counters},
    {"notes", true, shapes::notes},
    {"losses", true, shapes::losses},
    {"signals", true, shapes::signals},
    {"threads", true, shapes::threads},
    {"shuts_and_reads", true, shapes::shuts_and_reads},
    {"one_number_duplicated", true, shapes::one_number_duplicated},
    {"close_ranges", true, shapes::close_ranges},
    {"listens_again", true, shapes::listens_again},
    {"resets_of_listeners", true, shapes::resets_of_listeners},
    {"signatures_refused", true, shapes::signatures_refused},
    {"forks_of_others", true, shapes::forks_of_others},
    {"reads_unseen", true, shapes::reads_unseen},
    {"connections_unseen", true, shapes::connections_unseen},
    {"forking_server_unseen", true, shapes::forking_server_unseen},
    {"forks_unseen", true, shapes::forks_unseen},
    {"unshares_unseen", true, shapes::unshares_unseen},
    {"shuts_and_reads_unseen", true, shapes::shuts_and_reads_unseen},
    {"connections_sampled", true, shapes::connections_sampled},
    {"actors_unseen", true, shapes::actors_unseen},
};

inline Recording grow(const GrowingShape& shape, std::uint32_t n) {
  GrowingRecorder recorder;
  if (shape.has_calls) recorder.with_calls();
  shape.tell(recorder, n);
  return recorder.take();
}

}  // namespace tcpwhy::recording::testing
