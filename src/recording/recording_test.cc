#include "recording/recording.h"

#include <gtest/gtest.h>

#include <array>
#include <cerrno>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace tcpwhy::recording {
namespace {

using base::wall_from_ns;

CallEntered entered(std::string name, std::string arguments) {
  CallEntered call;
  call.name = std::move(name);
  call.arguments = std::move(arguments);
  return call;
}
CallReturned returned(std::int64_t result, std::int32_t error = 0, std::string detail = {}) {
  CallReturned call;
  call.result = result;
  call.error = error;
  call.detail = std::move(detail);
  return call;
}

Event at(std::int64_t ns, What what) { return {.at = wall_from_ns(ns), .actor = {}, .what = std::move(what)}; }

// sort_by_time

TEST(SortByTime, keeps_the_order_of_collection_among_equal_times) {
  Recording recording;
  for (const std::uint32_t line : {1U, 2U, 3U}) recording.events.push_back(at(5, Note{"note", line}));
  recording.events.push_back(at(4, Note{"earlier", 4}));
  sort_by_time(recording);
  std::vector<std::uint32_t> lines;
  for (const Event& event : recording.events) lines.push_back(std::get<Note>(event.what).step_line);
  EXPECT_EQ(lines, (std::vector<std::uint32_t>{4, 1, 2, 3}));
}

TEST(SortByTime, renumbers_every_event_id) {
  Recording recording;
  Packet packet;
  packet.original_length = 77;
  recording.events.push_back(
      at(30, SegmentCause{.packet = {1}, .trigger = Trigger::call, .name = "send", .by = EventId{2}, .stack = {}}));
  recording.events.push_back(at(20, packet));
  recording.events.push_back(at(10, entered("send", "9")));
  sort_by_time(recording);

  const auto& cause = std::get<SegmentCause>(recording.events[2].what);
  EXPECT_EQ(std::get<Packet>(recording[cause.packet].what).original_length, 77U);
  ASSERT_TRUE(cause.by);
  EXPECT_EQ(std::get<CallEntered>(recording[*cause.by].what).arguments, "9");
}

TEST(SortByTime, leaves_ids_that_name_no_event) {
  Recording recording;
  recording.events.push_back(at(2, SegmentCause{}));
  recording.events.push_back(at(1, Note{}));
  sort_by_time(recording);
  EXPECT_FALSE(std::get<SegmentCause>(recording.events[1].what).packet.valid());
}

// call_line

struct LineCase {
  CallEntered entered;
  std::optional<CallReturned> returned;
  std::string line;
};

TEST(CallLine, reads_as_strace_writes_it) {
  const LineCase cases[] = {
      {entered("send", R"(5, "hello", 5, 0)"), returned(5), R"(send(5, "hello", 5, 0) = 5)"},
      {entered("send", R"(5, "hello", 5, 0)"), returned(-1, EPIPE),
       R"(send(5, "hello", 5, 0) = -1 EPIPE (Broken pipe))"},
      {entered("send", R"(5, "hello", 5, 0)"), std::nullopt, R"(send(5, "hello", 5, 0 <unfinished ...>)"},
      {entered("recv", "5, ..., 1024, 0"), std::nullopt, "recv(5, <unfinished ...>"},
      {entered("recv", "5, ..., 1024, 0"), returned(5, 0, R"("hello")"), R"(recv(5, "hello", 1024, 0) = 5)"},
      {entered("recv", "5, ..., 1024, 0"), returned(-1, ECONNRESET),
       "recv(5, ..., 1024, 0) = -1 ECONNRESET (Connection reset by peer)"},
      {entered("recv", "5, 1024, 0"), returned(5, 0, R"("hello")"), R"(recv(5, 1024, 0) = 5 ("hello"))"},
      {entered("poll", "[{fd=5, events=POLLIN}], 1, -1"), returned(1, 0, "[{fd=5, revents=POLLIN}]"),
       "poll([{fd=5, events=POLLIN}], 1, -1) = 1 ([{fd=5, revents=POLLIN}])"},
      {entered("pause", ""), std::nullopt, "pause(<unfinished ...>"},
      {entered("pause", ""), returned(-1, 514), "pause() = -1 ERESTARTNOHAND (To be restarted if no handler)"},
      {entered("close", "7"), returned(-1, 4095), "close(7) = -1 errno 4095"},
  };
  for (const LineCase& c : cases) EXPECT_EQ(call_line(c.entered, c.returned ? &*c.returned : nullptr), c.line);
}

TEST(CallLine, takes_no_place_inside_a_string_or_after_a_cut_one) {
  const auto call = returned(3, 0, "BACK");
  EXPECT_EQ(call_line(entered("f", R"("a, ..., b", ...)"), &call), R"(f("a, ..., b", BACK) = 3)");
  EXPECT_EQ(call_line(entered("f", R"("a\", ..., b", ...)"), &call), R"(f("a\", ..., b", BACK) = 3)");
  EXPECT_EQ(call_line(entered("f", R"("cut"..., 900)"), &call), R"(f("cut"..., 900) = 3 (BACK))");
}

TEST(CallLine, lets_no_escape_sequence_through) {
  EXPECT_EQ(call_line(entered("f", "\x1b[2J"), nullptr).find('\x1b'), std::string::npos);
}

// message

TEST(Message, of_a_return_repeats_its_entry) {
  Recording recording;
  recording.events.push_back(at(1, entered("close", "5")));
  recording.events.push_back(at(2, Note{"between", 0}));
  recording.events.push_back(at(3, returned(0)));
  EXPECT_EQ(message(recording, recording.events[0]), "close(5 <unfinished ...>");
  EXPECT_EQ(message(recording, recording.events[2]), "close(5) = 0");
}

TEST(Message, of_a_return_whose_entry_was_not_recorded) {
  Recording recording;
  recording.events.push_back(at(1, returned(-1, EINTR)));
  EXPECT_EQ(message(recording, recording.events[0]), "<... call 0 resumed>) = -1 EINTR (Interrupted system call)");
}

TEST(Message, of_each_kind) {
  const wire::SocketAddress server{wire::IpAddress::v4(std::array<std::uint8_t, 4>{127, 0, 0, 1}), 9999};
  const wire::SocketAddress client{wire::IpAddress::v4(std::array<std::uint8_t, 4>{127, 0, 0, 1}), 41000};
  SocketState state;
  state.local = server, state.remote = client, state.from = tcp::State::established, state.to = tcp::State::fin_wait_1,
  state.orphan = true;
  SocketState listener;
  listener.local = server, listener.to = tcp::State::listen;
  const std::pair<What, std::string> cases[] = {
      {Packet{}, ""},
      {Signal{"SIGPIPE", SignalFate::delivered, {}}, "--- SIGPIPE ---"},
      {Signal{"SIGPIPE", SignalFate::ignored, {}}, "--- SIGPIPE (ignored) ---"},
      {ProcessStarted{"nginx"}, "+++ started nginx +++"},
      {ProcessEnded{0, "", {}}, "+++ exited with 0 +++"},
      {ProcessEnded{{}, "SIGPIPE", {}}, "+++ killed by SIGPIPE +++"},
      {state, "127.0.0.1:9999 - 127.0.0.1:41000 ESTABLISHED -> FIN-WAIT-1 (orphan)"},
      {listener, "127.0.0.1:9999 LISTEN"},
      {CounterMoved{"Tcp.OutRsts", 1, "server", {}}, "Tcp.OutRsts +1 (server)"},
      {LinkAction{"delay", 20'000'000}, "link: delay 20 ms"},
      {Loss{"packets", 3, "ring full"}, "lost 3 packets: ring full"},
      {Note{"a\nb", 1}, "a\\nb"},
  };
  for (const auto& [what, line] : cases) EXPECT_EQ(message(Recording{}, at(0, what)), line);
}

}  // namespace
}  // namespace tcpwhy::recording
