// Records of the probe as events: what no program of these days' kernel brings about.
#include "trace/bpf/events/event_maker.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <algorithm>
#include <csignal>
#include <span>

#include "recording/recording.h"

namespace tcpwhy::trace {
namespace {

using namespace recording;

constexpr std::uint32_t thread = 77;

template <class Record>
Record about_socket(probe_kind kind, std::uint64_t at_ns) {
  Record record{};
  record.head.kind = static_cast<__u8>(kind), record.head.at_ns = at_ns;
  record.head.tid = record.head.tgid = thread;
  record.socket.pointer = 0x1000, record.socket.cookie = 5, record.socket.family = AF_INET;
  record.socket.local[0] = record.socket.remote[0] = 127, record.socket.local[3] = record.socket.remote[3] = 1;
  record.socket.local_port = 80, record.socket.remote_port = 40000;
  return record;
}

template <class Record>
void add(EventMaker& maker, Recording& recording, const Record& record) {
  maker.add(std::as_bytes(std::span(&record, 1)), recording);
}

// Before Linux 6.6 close() leaves the end of the socket to task work, behind the hook of its return.
TEST(EventMaker, what_close_sets_going_after_its_return_is_its_own_and_it_is_back_after_that) {
  EventMaker maker{EventMakerOptions{}};
  maker.start_process(thread, "server");
  Recording recording;
  auto entered = about_socket<probe_call>(PROBE_CALL_ENTERED, 1000);
  entered.call = 1000, entered.number = SYS_close, entered.arguments[0] = 4;
  add(maker, recording, entered);
  auto returned = about_socket<probe_call>(PROBE_CALL_RETURNED, 2000);
  returned.call = 1000, returned.number = SYS_close, returned.arguments[0] = 4;
  add(maker, recording, returned);
  auto fin = about_socket<probe_segment>(PROBE_SEGMENT, 3000);
  fin.facts.flags = 0x11, fin.direct = PROBE_DIRECT_CLOSE, fin.call = 1000;
  add(maker, recording, fin);

  const CallEntered* call = nullptr;
  const SegmentCause* cause = nullptr;
  base::WallTime back{}, left{};
  for (const Event& event : recording.events) {
    if (const auto* one = std::get_if<CallEntered>(&event.what)) call = one;
    if (std::holds_alternative<CallReturned>(event.what)) back = event.at;
    if (const auto* one = std::get_if<SegmentCause>(&event.what)) cause = one, left = event.at;
  }
  ASSERT_NE(call, nullptr);
  ASSERT_NE(cause, nullptr);
  EXPECT_EQ(cause->call, call->call);
  EXPECT_GT(back, left);
}

// A socket whose connect() was refused connects again, from another port.
TEST(EventMaker, forgets_the_port_of_a_socket_that_connects_again) {
  EventMaker maker{EventMakerOptions{}};
  maker.start_process(thread, "client");
  Recording recording;
  const auto state = [&](std::uint64_t at, std::uint16_t port, std::uint32_t from, std::uint32_t to) {
    auto record = about_socket<probe_state>(PROBE_STATE, at);
    record.socket.local_port = port;
    record.old_state = from, record.new_state = to;
    add(maker, recording, record);
  };
  constexpr std::uint32_t established = 1, syn_sent = 2, closed = 7;
  state(1000, 0, closed, syn_sent);
  state(2000, 5001, syn_sent, closed);
  state(3000, 0, closed, syn_sent);
  state(4000, 5002, syn_sent, established);
  std::vector<std::uint16_t> ports;
  for (const Event& event : recording.events)
    if (const auto* told = std::get_if<recording::SocketState>(&event.what)) ports.push_back(told->local.port);
  EXPECT_EQ(ports, (std::vector<std::uint16_t>{5001, 5001, 5002, 5002}));
}

TEST(EventMaker, tells_which_of_two_descriptors_is_the_socket) {
  for (const bool second : {true, false}) {
    EventMaker maker{EventMakerOptions{}};
    maker.start_process(thread, "server");
    Recording recording;
    auto entered = about_socket<probe_call>(PROBE_CALL_ENTERED, 1000);
    if (second) entered.head.flags |= PROBE_ON_SECOND;
    entered.call = 1000, entered.number = SYS_splice, entered.arguments[0] = 6, entered.arguments[2] = 4;
    add(maker, recording, entered);
    const CallEntered* call = nullptr;
    for (const Event& event : recording.events)
      if (const auto* one = std::get_if<CallEntered>(&event.what)) call = one;
    ASSERT_NE(call, nullptr);
    EXPECT_EQ(call->fd, second ? 4 : 6);
  }
}

// do_exit() may lie further out in the stack than what is taken of it.
TEST(EventMaker, a_process_that_is_ending_makes_no_call_that_closes) {
  const auto trigger_of = [](__u8 flags) {
    KernelSymbols symbols({{0x100, "tcp_close"}, {0x200, "inet_release"}});
    EventMaker maker{EventMakerOptions{.symbols = &symbols}};
    Recording recording;
    auto segment = about_socket<probe_segment>(PROBE_SEGMENT, 1000);
    segment.head.flags = flags;
    segment.facts.flags = 0x11;
    segment.stack[0] = 0x101, segment.stack[1] = 0x201, segment.frames = 2 * sizeof(__u64);
    add(maker, recording, segment);
    for (const Event& event : recording.events)
      if (const auto* cause = std::get_if<SegmentCause>(&event.what)) return cause->trigger;
    return Trigger::unknown;
  };
  EXPECT_EQ(trigger_of(0), Trigger::call);
  EXPECT_EQ(trigger_of(PROBE_EXITING), Trigger::process_end);
}

// Whoever's end closes: of a process that was told of. (The laboratory tells of its own itself.)
TEST(EventMaker, tells_whose_end_made_a_segment_leave) {
  for (const bool is_told : {true, false})
    for (const __u8 flags : {__u8{0}, __u8{PROBE_EXITING}}) {
      KernelSymbols symbols({{0x100, "tcp_close"}, {0x200, "inet_release"}});
      EventMaker maker{EventMakerOptions{.symbols = &symbols}};
      if (is_told) maker.start_process(thread, "helper");
      Recording recording;
      auto segment = about_socket<probe_segment>(PROBE_SEGMENT, 1000);
      segment.head.flags = flags;
      segment.facts.flags = 0x11;
      segment.stack[0] = 0x101, segment.stack[1] = 0x201, segment.frames = 2 * sizeof(__u64);
      add(maker, recording, segment);
      ASSERT_EQ(recording.events.size(), 1U);
      const auto actor = recording.events.front().actor;
      ASSERT_EQ(actor.valid(), is_told && flags != 0);
      if (actor.valid()) {
        EXPECT_EQ(recording.actors[actor.value].name, "helper");
      }
    }
}

TEST(EventMaker, tells_how_much_was_unread_at_a_reset_of_its_own) {
  for (const __u32 active : {0U, 1U}) {
    EventMaker maker{EventMakerOptions{}};
    Recording recording;
    auto reset = about_socket<probe_reset>(PROBE_RESET_SENT, 1000);
    reset.reason = ~0U, reset.active = active, reset.unread = 95'232;
    add(maker, recording, reset);
    ASSERT_EQ(recording.events.size(), 1U);
    const auto unread = std::get<recording::Reset>(recording.events.front().what).unread;
    EXPECT_EQ(unread, active != 0 ? std::optional(95'232U) : std::nullopt);
  }
}

// TCP_LINGER2 below 0, want of memory and unread data have one stack; a kernel without reasons tells them by what was unread.
TEST(EventMaker, a_close_that_resets_with_nothing_unread_is_not_for_unread_data) {
  const auto cause_of = [](__u32 unread, bool linger2) {
    KernelSymbols symbols({{0x100, "__tcp_close"}, {0x200, "tcp_send_active_reset"}});
    EventMaker maker{EventMakerOptions{.symbols = &symbols}};
    Recording recording;
    auto segment = about_socket<probe_segment>(PROBE_SEGMENT, 1000);
    segment.facts.flags = 0x14;
    segment.stack[0] = 0x201, segment.stack[1] = 0x101, segment.frames = 2 * sizeof(__u64);
    add(maker, recording, segment);
    auto reset = about_socket<probe_reset>(PROBE_RESET_SENT, 1001);
    reset.reason = ~0U, reset.active = 1, reset.unread = unread, reset.linger2_below_zero = linger2;
    add(maker, recording, reset);
    for (const Event& event : recording.events)
      if (const auto* cause = std::get_if<SegmentCause>(&event.what)) return cause->name;
    return std::string();
  };
  EXPECT_EQ(cause_of(9, false), "close.unread_data");
  EXPECT_EQ(cause_of(9, true), "close.unread_data");
  EXPECT_EQ(cause_of(0, true), "close.linger2");
  EXPECT_EQ(cause_of(0, false), "out_of_memory");
}

// What the reader did not put aside each.
TEST(EventMaker, calls_that_were_counted_name_the_last_of_them) {
  EventMaker maker{EventMakerOptions{}};
  maker.start_process(thread, "server");
  Recording recording;
  auto made = about_socket<probe_call>(PROBE_CALL_MADE, 9100);
  made.call = 9000, made.number = SYS_recvfrom, made.arguments[0] = 4, made.result = 0;
  add(maker, recording, made);
  probe_repeated repeated{};
  repeated.head = made.head, repeated.head.kind = PROBE_CALLS_REPEATED, repeated.head.at_ns = 8000;
  repeated.call = 9000, repeated.count = 1'000'000, repeated.since_ns = 2000;
  add(maker, recording, repeated);
  repeated.call = 1;  // of a call that is left out
  add(maker, recording, repeated);
  sort_by_time(recording);
  std::vector<const CallsRepeated*> told;
  const CallEntered* entered = nullptr;
  for (const Event& event : recording.events) {
    if (const auto* one = std::get_if<CallsRepeated>(&event.what)) told.push_back(one);
    if (const auto* one = std::get_if<CallEntered>(&event.what)) entered = one;
  }
  ASSERT_EQ(told.size(), 1U);
  ASSERT_NE(entered, nullptr);
  EXPECT_EQ(told.front()->call, entered->call);
  EXPECT_EQ(told.front()->count, 1'000'000U);
  EXPECT_EQ(base::to_ns(told.front()->since), 2000);
}

// One that is ignored is thrown away; one that is blocked waits; the others are on their way.
TEST(EventMaker, a_signal_that_is_raised_may_be_blocked_or_ignored) {
  const auto fate_of = [](__s32 result, __u32 blocked) {
    EventMaker maker{EventMakerOptions{}};
    maker.start_process(thread, "client");
    Recording recording;
    probe_signal signal{};
    signal.head.kind = PROBE_SIGNAL, signal.head.at_ns = 1000;
    signal.head.tid = signal.head.tgid = signal.to_tid = signal.to_tgid = thread;
    signal.signal = SIGPIPE, signal.result = result, signal.blocked = blocked;
    add(maker, recording, signal);
    return std::get<Signal>(recording.events.back().what).fate;
  };
  EXPECT_EQ(fate_of(0, 0), SignalFate::generated);
  EXPECT_EQ(fate_of(1, 0), SignalFate::ignored);
  EXPECT_EQ(fate_of(0, 1), SignalFate::blocked);
  EXPECT_EQ(fate_of(2, 1), SignalFate::blocked) << "and one waits already";
}

}  // namespace
}  // namespace tcpwhy::trace
