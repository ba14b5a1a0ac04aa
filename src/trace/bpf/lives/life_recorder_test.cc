#include "trace/bpf/lives/life_recorder.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

namespace tcpwhy::trace {
namespace {

using namespace recording;

probe_socket socket_numbered(std::uint64_t cookie, bool server = false) {
  probe_socket socket{};
  socket.pointer = 0x1000 + cookie, socket.cookie = cookie, socket.family = AF_INET;
  socket.local[0] = socket.remote[0] = 127, socket.local[3] = socket.remote[3] = 1;
  socket.local_port = server ? 80 : 4000, socket.remote_port = server ? 4000 : 80;
  return socket;
}

template <class Record>
std::span<const std::byte> bytes_of(const Record& record) {
  return std::as_bytes(std::span(&record, 1));
}

void change(LifeRecorder& recorder, std::uint64_t at, const probe_socket& socket, std::uint32_t from,
            std::uint32_t to) {
  probe_state state{};
  state.head.at_ns = at, state.head.kind = PROBE_STATE;
  state.socket = socket, state.old_state = from, state.new_state = to;
  recorder.add(bytes_of(state), {});
}

EndedLife life_of(std::uint64_t cookie, std::uint64_t peer) {
  EndedLife ended;
  ended.life.socket = cookie, ended.life.holder = {17, "client"};
  ended.peer.emplace();
  ended.peer->socket = peer;
  return ended;
}

TEST(LifeRecorder, hands_over_both_ends_in_order_of_time_and_forgets_them) {
  LifeRecorder recorder({.reset_reasons = {"NOT_SPECIFIED", "TCP_ABORT_ON_DATA"}});
  change(recorder, 100, socket_numbered(1), 7, 2);
  change(recorder, 300, socket_numbered(1), 2, 1);
  change(recorder, 200, socket_numbered(2, true), 12, 1);
  probe_reset reset{};
  reset.head.at_ns = 400, reset.head.kind = PROBE_RESET_SENT, reset.socket = socket_numbered(1), reset.reason = 1;
  recorder.add(bytes_of(reset), {});
  const Recording recording = recorder.take(life_of(1, 2));
  ASSERT_EQ(recording.events.size(), 4U);
  EXPECT_EQ(std::get<SocketState>(recording.events[0].what).to, tcp::State::syn_sent);
  EXPECT_EQ(std::get<SocketState>(recording.events[1].what).socket, 2U);
  EXPECT_EQ(std::get<SocketState>(recording.events[2].what).to, tcp::State::established);
  EXPECT_EQ(std::get<Reset>(recording.events[3].what).reason, "TCP_ABORT_ON_DATA");
  ASSERT_EQ(recording.actors.size(), 1U);
  EXPECT_EQ(recording.actors[0].pid, 17);
  EXPECT_EQ(recorder.sockets(), 0U);
}

TEST(LifeRecorder, keeps_no_more_than_it_may_and_says_so) {
  LifeRecorder recorder({.reset_reasons = {}, .most_sockets = 3, .most_events = 2});
  for (std::uint64_t cookie = 1; cookie <= 5; ++cookie) change(recorder, cookie, socket_numbered(cookie), 7, 2);
  EXPECT_EQ(recorder.sockets(), 3U);
  EXPECT_EQ(recorder.given_up(), 2U);
  change(recorder, 10, socket_numbered(5), 2, 1);
  change(recorder, 11, socket_numbered(5), 1, 4);
  const Recording recording = recorder.take(life_of(5, 0));
  ASSERT_EQ(recording.events.size(), 3U);
  int losses = 0;
  for (const Event& event : recording.events)
    if (const auto* loss = std::get_if<Loss>(&event.what)) losses += static_cast<int>(loss->count);
  EXPECT_EQ(losses, 1);
  EXPECT_TRUE(recorder.take(life_of(1, 0)).events.empty());  // given up
}

TEST(LifeRecorder, leaves_out_listeners_and_what_is_no_socket_s) {
  LifeRecorder recorder({});
  change(recorder, 1, socket_numbered(9), 7, 10);
  change(recorder, 2, socket_numbered(0), 7, 2);
  EXPECT_EQ(recorder.sockets(), 0U);
}

}  // namespace
}  // namespace tcpwhy::trace
