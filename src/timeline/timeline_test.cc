#include "timeline/timeline.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <vector>

#include "recording/testing/story_recorder.h"
#include "timeline/timeline_of_story_testing.h"

namespace tcpwhy::timeline {
namespace {

using recording::testing::StoryRecorder;

constexpr std::uint16_t F = 0x01, S = 0x02, R = 0x04, P = 0x08, A = 0x10;
constexpr std::ptrdiff_t ethernet_and_ip = 14 + 20;

// --- Connections and states ------------------------------------------------------------------------------------

TEST(Timeline, one_connection_with_both_ends_named) {
  StoryRecorder story;
  story.open();
  const TimelineOfStory told(story);
  ASSERT_EQ(told.timeline.connections.size(), 1U);
  const auto& connection = told.timeline.connections.front();
  EXPECT_EQ(connection.sides[opener].name, "client");
  EXPECT_EQ(connection.sides[listener].name, "server");
  EXPECT_TRUE(connection.sides[listener].listens);
  EXPECT_EQ(connection.final_states[opener], tcp::State::established);
  EXPECT_EQ(connection.final_states[listener], tcp::State::established);
}

TEST(Timeline, a_new_initial_sequence_number_is_a_new_connection) {
  StoryRecorder story;
  story.open();
  story.segment(200, "server", R | A, 1, 1);
  story.segment(300, "client", S, 5000);
  const TimelineOfStory told(story);
  EXPECT_EQ(told.timeline.connections.size(), 2U);
}

// A client with a fixed port that is refused and tries again at once, within what the two clocks differ: each socket has its own SYN, and
// what the kernel says without naming a socket belongs to the segment that it describes.
TEST(Timeline, one_pair_of_addresses_used_at_once_again_is_as_many_connections_as_there_were) {
  constexpr int times = 5;
  constexpr std::int64_t apart = 40;
  StoryRecorder story;
  for (int i = 0; i < times; ++i) {
    const std::int64_t at = 100 + i * apart;
    const std::uint32_t isn = 5000U * static_cast<std::uint32_t>(i);
    const auto cookie = 50U + static_cast<std::uint64_t>(i);
    story.call("client", at, at + 20, "connect", "3, ..., 16", {-1, ECONNREFUSED});
    auto& entered = story.last_call();
    auto& returned = story.last_return();
    entered.socket = returned.socket = cookie;
    entered.local = returned.local = StoryRecorder::client(), returned.remote = StoryRecorder::server();
    story.state(at + 1, "client", "CLOSED", "SYN-SENT");
    story.last<recording::SocketState>().socket = cookie;
    story.cause(at + 2, "client", "S", isn, 0, 0, {.trigger = "call", .name = "connect", .call = entered.call});
    story.last<recording::SegmentCause>().socket = cookie;
    story.segment(at + 3, "client", S, isn);
    story.reset(at + 4, "server", true, false, "NO_SOCKET");
    story.last<recording::Reset>().socket = 0;
    story.segment(at + 5, "server", R | A, 0, isn + 1);
    story.dropped(at + 6, "server", "S", isn, 0, 0, "NO_SOCKET");
    story.state(at + 7, "client", "SYN-SENT", "CLOSED");
    story.last<recording::SocketState>().socket = cookie;
  }
  const TimelineOfStory told(story);
  ASSERT_EQ(told.timeline.connections.size(), times);
  for (const Connection& connection : told.timeline.connections) {
    EXPECT_EQ(connection.calls.size(), 1U);
    ASSERT_EQ(connection.segments.size(), 2U);
    EXPECT_EQ(connection.kernel.size(), 4U);
    const auto has = [&](const Segment& segment, std::size_t kind) {
      return std::ranges::any_of(segment.kernel,
                                 [&](EventId id) { return told.timeline.event(id).what.index() == kind; });
    };
    EXPECT_TRUE(
        has(told.timeline.segments[connection.segments[0]], recording::What(recording::SegmentDropped{}).index()));
    EXPECT_TRUE(has(told.timeline.segments[connection.segments[1]], recording::What(recording::Reset{}).index()));
    EXPECT_EQ(told.timeline.connections[told.timeline.calls[connection.calls[0]].connection.value()].segments,
              connection.segments);
  }
}

// connect() to oneself, as tests/kernel/H10 records it: the socket walks through both sides of a simultaneous open and close.
TEST(Timeline, one_socket_that_is_both_ends_receives_what_it_sends) {
  using recording::testing::client_isn, recording::testing::server_isn;
  constexpr std::uint32_t own = client_isn - server_isn;  // its own sequence numbers are what it acknowledges
  StoryRecorder story;
  story.segment(100, "client", S, 0);
  story.segment(110, "client", S | A, 0, own + 1);
  story.segment(120, "client", A, 1, own + 1);
  story.segment(200, "client", P | A, 1, own + 1, 4);
  story.segment(210, "client", A, 5, own + 5);
  story.segment(300, "client", F | A, 5, own + 5);
  story.segment(310, "client", A, 6, own + 6);
  auto recording = story.take();
  for (auto& event : recording.events)
    if (auto* packet = std::get_if<recording::Packet>(&event.what))
      std::copy_n(packet->bytes.begin() + ethernet_and_ip + 2, 2, packet->bytes.begin() + ethernet_and_ip);
  const Timeline timeline = build(recording);
  ASSERT_EQ(timeline.connections.size(), 1U);
  const auto& connection = timeline.connections.front();
  ASSERT_TRUE(connection.of_one_socket());
  std::vector<tcp::State> walked;
  for (const SideChange& change : connection.changes) {
    EXPECT_EQ(change.side, opener);
    walked.push_back(change.to);
  }
  using enum tcp::State;
  EXPECT_EQ(walked, (std::vector{syn_sent, syn_received, established, fin_wait_1, closing, time_wait}));
  EXPECT_EQ(connection.final_states[listener], tcp::State::not_seen);
  for (const Segment& segment : timeline.segments) {
    EXPECT_EQ(segment.from, opener);
    EXPECT_LE(segment.ack, 6U);
    // No call was seen, but each answer has what it answers.
    if (segment.segment_class == tcp::SegmentClass::ack || segment.segment_class == tcp::SegmentClass::syn_ack) {
      EXPECT_EQ(segment.cause.trigger, Trigger::segment);
    }
  }
}

TEST(Timeline, the_kernels_sample_confirms_a_state) {
  StoryRecorder story;
  story.open();
  story.call("server", 1000, 1100, "close", "4");
  story.segment(1050, "server", F | A, 1, 1);
  story.sample(1040, 1200, "client", "ESTABLISHED", "CLOSE-WAIT");
  const TimelineOfStory told(story);
  ASSERT_TRUE(told.last().receiver_change);
  EXPECT_EQ(told.last().receiver_change->to, tcp::State::close_wait);
  EXPECT_TRUE(told.last().receiver_change->sampled);
  EXPECT_FALSE(told.last().sender_change->sampled);
  EXPECT_TRUE(told.timeline.contradictions.empty());
}

TEST(Timeline, a_sample_that_the_segments_do_not_explain_is_a_contradiction) {
  StoryRecorder story;
  story.open();
  story.sample(500, 600, "client", "ESTABLISHED", "FIN-WAIT-1");
  const TimelineOfStory told(story);
  ASSERT_EQ(told.timeline.contradictions.size(), 1U);
  EXPECT_EQ(told.timeline.contradictions.front().derived, tcp::State::established);
}

TEST(Timeline, every_event_has_one_entry_and_no_effect_stands_before_its_cause) {
  StoryRecorder story;
  story.open();
  story.call("server", 1000, 1100, "close", "4");
  story.segment(1050, "server", F | A, 1, 1);
  story.segment(5000, "client", A, 1, 2);
  const TimelineOfStory told(story);
  EXPECT_EQ(told.timeline.entries.size(), told.recording.events.size());
  std::set<EventId> placed;
  for (const auto& entry : told.timeline.entries) {
    if (entry.kind == EntryKind::departed) {
      const auto& by = told.timeline.segments[entry.index].cause.by;
      if (by) {
        EXPECT_TRUE(placed.contains(*by));
      }
    }
    EXPECT_TRUE(placed.insert(entry.event).second);
  }
}

TEST(Timeline, an_entry_that_the_kernel_forgets_is_closed_from_then_on) {
  StoryRecorder story;
  story.open();
  story.call("server", 1000, 1100, "close", "4");
  story.segment(1050, "server", F | A, 1, 1);
  story.segment(5000, "client", A, 1, 2);
  story.sample(900000, 1000000, "server", "FIN-WAIT-2", "CLOSED");
  const TimelineOfStory told(story);
  const auto& connection = told.timeline.connections.front();
  EXPECT_EQ(connection.final_states[listener], tcp::State::closed);
  EXPECT_EQ(connection.changes.back().from, tcp::State::fin_wait_2);
  EXPECT_EQ(told.timeline.entries.back().states[listener], tcp::State::closed);
  EXPECT_TRUE(told.timeline.contradictions.empty());
}

// A clock that is a little off must not put the answer before the question.
TEST(Timeline, a_kernel_cause_that_is_stamped_late_is_put_first) {
  StoryRecorder story;
  story.open();
  story.segment(1000, "client", P | A, 1, 1, 5);
  const auto send = story.call("client", 1001, 1100, "send", "3, \"hello\", 5, 0", {5});
  auto recording = story.take();
  std::uint32_t packet = 0, call = 0;
  for (std::uint32_t i = 0; i < recording.events.size(); ++i) {
    if (std::holds_alternative<recording::Packet>(recording.events[i].what)) packet = i;
    const auto* entered = std::get_if<recording::CallEntered>(&recording.events[i].what);
    if (entered != nullptr && entered->call == send) call = i;
  }
  recording.events.push_back({recording.events.back().at,
                              {},
                              recording::SegmentCause{.packet = EventId{packet},
                                                      .trigger = Trigger::call,
                                                      .name = "send",
                                                      .by = EventId{call},
                                                      .stack = "tcp_sendmsg_locked"}});
  const auto timeline = build(recording);
  const auto& cause = timeline.segments.back().cause;
  EXPECT_EQ(cause.grade, Grade::observed);
  EXPECT_EQ(cause.trigger, Trigger::call);
  std::size_t at_packet = 0, at_call = 0;
  for (std::size_t i = 0; i < timeline.entries.size(); ++i) {
    if (timeline.entries[i].event.value == packet) at_packet = i;
    if (timeline.entries[i].event.value == call) at_call = i;
  }
  EXPECT_LT(at_call, at_packet);
}

// --- Causes ----------------------------------------------------------------------------------------------------

TEST(Cause, of_the_handshake) {
  StoryRecorder story;
  story.open();
  const TimelineOfStory told(story);
  const auto& segments = told.timeline.segments;
  ASSERT_EQ(segments.size(), 3U);
  EXPECT_EQ(segments[0].cause.rule, "syn.connect");
  EXPECT_EQ(told.call_behind(segments[0]), "connect");
  EXPECT_EQ(segments[1].cause.rule, "syn_ack.answers_syn");
  EXPECT_EQ(segments[1].cause.by, segments[0].arrived);
  EXPECT_EQ(segments[2].cause.rule, "ack.completes_handshake");
}

TEST(Cause, of_a_fin_is_close) {
  StoryRecorder story;
  story.open();
  story.call("server", 1000, 1100, "close", "4");
  story.segment(1050, "server", F | A, 1, 1);
  const TimelineOfStory told(story);
  EXPECT_EQ(told.last().cause.rule, "fin.close");
}

TEST(Cause, of_a_fin_without_a_call_is_the_end_of_the_process) {
  StoryRecorder story;
  story.open();
  story.call("server", 500, 510, "recv", "4, \"x\", 100, 0", {1});
  story.segment(1050, "server", F | A, 1, 1);
  story.event(1500, "server", recording::ProcessEnded{0, "", {}});
  const TimelineOfStory told(story);
  EXPECT_EQ(told.last().cause.rule, "fin.process_end");
}

// Its socket lives on with what was queued. A softirq that was not let run is later than an answer usually is.
TEST(Cause, of_data_that_leaves_when_nobody_is_left_to_send_is_the_acknowledgment_before_it) {
  struct {
    std::string counter;
    bool has_ended;
    std::string rule;
    Grade grade;
  } const cases[] = {{"TcpExt.TCPHPHits", true, "data.released_by_ack", Grade::derived},
                     {"TcpExt.TCPLossProbes", true, "data.released_by_ack", Grade::assumed},
                     {"TcpExt.TCPWinProbe", true, "data.released_by_ack", Grade::assumed},
                     {"", true, "data.released_by_ack", Grade::assumed},
                     {"TcpExt.TCPHPHits", false, "", Grade::derived}};
  for (const auto& one : cases) {
    StoryRecorder story;
    story.open();
    story.call("server", 500, 600, "send", "4, \"hello and more\", 14, 0", {14});
    story.segment(550, "server", P | A, 1, 1, 5);
    if (one.has_ended) story.event(1500, "server", recording::ProcessEnded{{}, "SIGKILL", {}});
    story.segment(2000, "client", A, 1, 6);
    story.segment(14000, "server", P | A, 6, 1, 9);
    if (!one.counter.empty()) story.counter(1900, 20000, one.counter);
    const TimelineOfStory told(story);
    EXPECT_EQ(told.last().cause.rule, one.rule) << one.counter;
    EXPECT_EQ(told.last().cause.grade, one.grade) << one.counter;
    EXPECT_EQ(told.last().cause.or_else.empty(), one.grade != Grade::assumed);
  }
}

TEST(Cause, of_the_ack_of_a_fin_is_the_delayed_ack_timer_even_when_it_is_quick) {
  StoryRecorder story;
  story.open();
  story.call("server", 1000, 1100, "close", "4");
  story.segment(1050, "server", F | A, 1, 1);
  story.segment(1250, "client", A, 1, 2);
  story.counter(1200, 1300, "TcpExt.DelayedACKs");
  const TimelineOfStory told(story);
  EXPECT_EQ(told.last().cause.rule, "ack.of_fin_is_delayed");
  EXPECT_EQ(told.last().cause.timer, Timer::delayed_ack);
  EXPECT_EQ(told.last().cause.evidence.size(), 1U);
}

TEST(Cause, of_one_ack_for_data_and_fin_is_the_timer_that_the_data_started) {
  StoryRecorder story;
  story.open();
  story.call("server", 1000, 1100, "send", "4, \"hello\", 5, 0", {5});
  story.segment(1050, "server", P | A, 1, 1, 5);
  story.call("server", 5000, 5100, "close", "4");
  story.segment(5050, "server", F | A, 6, 1);
  story.segment(41050, "client", A, 1, 7);
  const TimelineOfStory told(story);
  const auto& segments = told.timeline.segments;
  EXPECT_EQ(told.last().cause.by, segments[segments.size() - 3].arrived);
}

TEST(Cause, of_an_ack_of_data_at_once_is_the_data) {
  StoryRecorder story;
  story.open();
  story.call("client", 1000, 1100, "send", "3, \"hello\", 5, 0", {5});
  story.segment(1050, "client", P | A, 1, 1, 5);
  story.segment(1060, "server", A, 1, 6);
  const TimelineOfStory told(story);
  EXPECT_EQ(told.last().cause.rule, "ack.of_data_is_immediate");
  EXPECT_EQ(told.timeline.segments[3].cause.rule, "data.send");
}

TEST(Cause, of_a_reset_inside_the_peers_send_is_the_segment_not_the_call) {
  StoryRecorder story;
  story.open();
  story.call("server", 1000, 1100, "close", "4");
  story.segment(1050, "server", F | A, 1, 1);
  story.segment(5000, "client", A, 1, 2);
  story.call("client", 9000, 9100, "send", "3, \"hello\", 5, 0", {5});
  story.segment(9040, "client", P | A, 1, 2, 5);
  story.segment(9050, "server", R, 2);
  const TimelineOfStory told(story);
  EXPECT_EQ(told.last().cause.rule, "rst.answers_segment");
  EXPECT_EQ(told.last().cause.trigger, Trigger::segment);
}

TEST(Cause, of_a_reset_inside_ones_own_close_is_the_call) {
  StoryRecorder story;
  story.open();
  story.call("client", 500, 600, "send", "3, \"hello\", 5, 0", {5});
  story.segment(550, "client", P | A, 1, 1, 5);
  story.segment(560, "server", A, 1, 6);
  story.call("server", 1000, 1100, "close", "4");
  story.segment(1050, "server", R | A, 1, 6);
  const TimelineOfStory told(story);
  EXPECT_EQ(told.last().cause.rule, "rst.active_close");
}

TEST(Cause, of_a_retransmission_follows_the_counters) {
  for (const auto& [counter, timer] : {std::pair("TcpExt.TCPLossProbes", Timer::tail_loss_probe),
                                       std::pair("TcpExt.TCPTimeouts", Timer::retransmission)}) {
    StoryRecorder story;
    story.open();
    story.call("client", 1000, 1100, "send", "3, \"hello\", 5, 0", {5});
    story.segment(1050, "client", P | A, 1, 1, 5);
    story.segment(9050, "client", P | A, 1, 1, 5);
    story.counter(9000, 9100, counter);
    const TimelineOfStory told(story);
    EXPECT_EQ(told.last().segment_class, tcp::SegmentClass::retransmission);
    EXPECT_EQ(told.last().cause.timer, timer);
    EXPECT_EQ(told.last().cause.grade, Grade::derived);
  }
}

TEST(Cause, of_a_retransmission_without_counters_is_only_assumed) {
  StoryRecorder story;
  story.open();
  story.call("client", 1000, 1100, "send", "3, \"hello\", 5, 0", {5});
  story.segment(1050, "client", P | A, 1, 1, 5);
  story.segment(251050, "client", P | A, 1, 1, 5);
  const TimelineOfStory told(story);
  EXPECT_EQ(told.last().cause.grade, Grade::assumed);
  EXPECT_FALSE(told.last().cause.or_else.empty());
}

// --- Calls -----------------------------------------------------------------------------------------------------

std::size_t segments_caused_by(const Call& call, const Timeline& timeline) {
  return static_cast<std::size_t>(std::ranges::count_if(timeline.segments, [&](const Segment& segment) {
    return segment.cause.trigger == Trigger::call && segment.cause.by == call.entered;
  }));
}

TEST(Calls, on_a_closed_descriptor_belong_to_what_it_was) {
  StoryRecorder story;
  story.open();
  story.call("server", 1000, 1100, "close", "4");
  story.segment(1050, "server", F | A, 1, 1);
  story.call("server", 2000, 2001, "send", "4, \"hi\", 2, 0", {-1, EBADF});
  const TimelineOfStory told(story);
  const auto& call = told.timeline.calls.back();
  EXPECT_TRUE(call.descriptor_was_closed);
  ASSERT_TRUE(call.connection);
  EXPECT_EQ(call.side, listener);
  EXPECT_EQ(segments_caused_by(call, told.timeline), 0U);
}

// close_range() and execve() name no socket.
TEST(Calls, that_the_kernel_saw_close_a_socket_belong_to_its_connection) {
  StoryRecorder story;
  story.open();
  const auto number = story.call("server", 1000, 1100, "close_range", "3, 9, 0", {-1, EBADF});
  story.cause(1050, "server", "F.", 1, 1, 0, {"call", "close", number});
  story.segment(1051, "server", F | A, 1, 1);
  const TimelineOfStory told(story);
  const auto& call = told.timeline.calls.back();
  ASSERT_TRUE(call.connection);
  EXPECT_EQ(call.side, listener);
  EXPECT_EQ(segments_caused_by(call, told.timeline), 1U);
}

TEST(Calls, that_name_no_socket_belong_to_the_connection_that_a_fin_left_in_them) {
  for (const std::string name : {"close_range", "execve"}) {
    StoryRecorder story;
    story.open();
    story.call("server", 500, 510, "recv", "4, \"\", 9, 0");
    story.call("server", 1000, 1100, name, "3, 9, 0", {0, 0}, 77);
    story.last_call().fd.reset(), story.last_call().socket = 0;
    story.segment(1051, "server", F | A, 1, 1);
    const TimelineOfStory told(story);
    const auto& call = told.timeline.calls.back();
    ASSERT_TRUE(call.connection) << name;
    EXPECT_EQ(segments_caused_by(call, told.timeline), 1U) << name;
  }
}

// --- The kernel's own word ---------------------------------------------------------------------------------------

TEST(KernelCause, is_tied_to_its_packet_by_what_both_know_of_it) {
  StoryRecorder story;
  story.open();
  const auto close = story.call("server", 1000, 1100, "close", "4");
  story.cause(1048, "server", "F.", 1, 1, 0, {"call", "close", close});
  story.segment(1050, "server", F | A, 1, 1);
  const TimelineOfStory told(story);
  const auto& cause = told.last().cause;
  EXPECT_EQ(cause.grade, Grade::observed);
  EXPECT_EQ(cause.rule, "kernel");
  EXPECT_EQ(cause.kernel_name, "close");
  EXPECT_EQ(told.call_behind(told.last()), "close");
  EXPECT_TRUE(told.timeline.cause_contradictions.empty());
  EXPECT_TRUE(told.timeline.unmatched_causes.empty());
  EXPECT_EQ(told.timeline.segments.front().cause.grade, Grade::derived);
}

TEST(KernelCause, of_v4_mapped_addresses_is_of_the_ipv4_packet) {
  StoryRecorder story;
  story.open();
  story.cause(1048, "server", "F.", 1, 1, 0, {"call", "shutdown"});
  story.segment(1050, "server", F | A, 1, 1);
  auto recording = story.take();
  const auto mapped = [](wire::SocketAddress& address) {
    std::array<std::uint8_t, 16> bytes{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1};
    address.ip = wire::IpAddress::v6(bytes);
  };
  for (auto& event : recording.events)
    if (auto* cause = std::get_if<recording::SegmentCause>(&event.what)) mapped(*cause->local), mapped(*cause->remote);
  const auto timeline = build(recording);
  EXPECT_EQ(timeline.segments.back().cause.kernel_name, "shutdown");
}

TEST(KernelCause, of_equal_segments_is_the_nearest_in_time_each_used_once) {
  StoryRecorder story;
  story.open();
  story.call("client", 1000, 1100, "send", "3, \"hello\", 5, 0", {5});
  story.segment(1050, "client", P | A, 1, 1, 5);
  story.cause(9048, "client", "P.", 1, 1, 5, {"timer", "tail_loss_probe_timer"});
  story.segment(9050, "client", P | A, 1, 1, 5);
  story.cause(209048, "client", "P.", 1, 1, 5, {"timer", "retransmission_timer"});
  story.segment(209050, "client", P | A, 1, 1, 5);
  const TimelineOfStory told(story);
  const auto& segments = told.timeline.segments;
  ASSERT_EQ(segments.size(), 6U);
  EXPECT_EQ(segments[3].cause.rule, "data.send");  // the probe missed it
  EXPECT_EQ(segments[4].cause.timer, Timer::tail_loss_probe);
  EXPECT_EQ(segments[5].cause.timer, Timer::retransmission);
  EXPECT_EQ(segments[4].cause.grade, Grade::observed);
}

TEST(KernelCause, of_a_segment_that_the_device_cuts_is_that_of_every_piece) {
  StoryRecorder story;
  story.open();
  const auto send = story.call("client", 1000, 1100, "send", "3, \"\"..., 2500, 0", {2500});
  story.cause(1040, "client", "P.", 1, 1, 2500, {"call", "send", send});
  story.segment(1050, "client", A, 1, 1, 1000);
  story.segment(1051, "client", A, 1001, 1, 1000);
  story.segment(1052, "client", P | A, 2001, 1, 500);
  story.segment(1053, "client", P | A, 2501, 1, 500);
  const TimelineOfStory told(story);
  const auto& segments = told.timeline.segments;
  for (const std::size_t i : {3U, 4U, 5U}) EXPECT_EQ(segments[i].cause.kernel_name, "send") << i;
  EXPECT_FALSE(segments[6].cause.kernel);
}

TEST(KernelCause, that_is_not_what_was_derived_wins_and_is_counted) {
  StoryRecorder story;
  story.open();
  story.call("server", 1000, 1100, "close", "4");
  story.cause(1049, "server", "F.", 1, 1, 0, {"call", "shutdown", 2});
  story.segment(1050, "server", F | A, 1, 1);
  story.cause(1250, "client", ".", 1, 2, 0, {"segment", "segment.arrived"});
  story.segment(1251, "client", A, 1, 2);
  const TimelineOfStory told(story);
  ASSERT_EQ(told.timeline.cause_contradictions.size(), 2U);
  EXPECT_EQ(told.timeline.cause_contradictions[1].derived.rule, "ack.of_fin_is_delayed");
  EXPECT_EQ(told.last().cause.trigger, Trigger::segment);
  EXPECT_EQ(told.last().cause.by, told.timeline.segments[3].arrived);
}

TEST(KernelCause, that_no_tap_saw_is_kept_apart) {
  StoryRecorder story;
  story.open();
  story.cause(1050, "server", "F.", 1, 1, 0, {"call", "close"});
  const TimelineOfStory told(story);
  EXPECT_EQ(told.timeline.unmatched_causes.size(), 1U);
}

TEST(KernelEvents, an_active_reset_that_is_stamped_late_stands_beside_its_segment) {
  StoryRecorder story;
  story.open();
  story.call("server", 1000, 1100, "close", "4");
  story.segment(1050, "server", R | A, 1, 1);
  story.state(1060, "client", "ESTABLISHED", "CLOSED");
  story.reset(1062, "client", false, false, "");
  story.reset(1070, "server", true, true, "TCP_ABORT_ON_CLOSE");
  const TimelineOfStory told(story);
  EXPECT_EQ(told.last().kernel.size(), 2U);
  std::vector<std::size_t> order;
  for (const auto& entry : told.timeline.entries) {
    const auto& what = told.timeline.event(entry.event).what;
    if (const auto* reset = std::get_if<recording::Reset>(&what)) order.push_back(reset->sent ? 0 : 2);
    if (entry.event == told.last().departed) order.push_back(1);
  }
  EXPECT_EQ(order, (std::vector<std::size_t>{0, 1, 2}));
  EXPECT_TRUE(told.last().receiver_change->sampled);
  EXPECT_TRUE(told.timeline.contradictions.empty());
}

TEST(KernelEvents, a_drop_is_tied_to_the_segment_that_was_thrown_away) {
  StoryRecorder story;
  story.open();
  story.segment(500, "client", P | A, 1, 1, 5);
  story.segment(600, "client", P | A, 6, 1, 5);
  story.dropped(602, "server", "P.", 6, 1, 5, "TCP_ABORT_ON_DATA");
  const TimelineOfStory told(story);
  EXPECT_TRUE(told.timeline.segments[3].kernel.empty());
  EXPECT_EQ(told.last().kernel.size(), 1U);
}

TEST(KernelEvents, a_reset_by_the_listener_is_of_the_connection_that_it_refuses) {
  StoryRecorder story;
  story.open();
  story.segment(1000, "server", F | A, 1, 1);
  story.segment(2000, "client", P | A, 1, 2, 5);
  recording::Reset reset;
  reset.sent = true;
  reset.socket = 20;  // the listener's
  reset.local = StoryRecorder::server(), reset.remote = StoryRecorder::client();
  reset.reason = "TCP_FLAGS";
  story.event(2010, "server", reset);
  story.segment(2020, "server", R, 2);
  story.call("client", 3000, 3010, "send", "3, \"x\", 1, 0", {-1, 32});
  const auto recording = story.take();
  const auto timeline = build(recording);
  ASSERT_EQ(timeline.connections.size(), 1U);
  EXPECT_EQ(timeline.calls.back().connection, std::optional<ConnectionIndex>(0));
}

// Whatever else names a peer of the listener's speaks of who was refused: it is no end of a connection.
TEST(KernelEvents, a_listener_that_ends_is_no_connection) {
  StoryRecorder story;
  story.open();
  story.call("server", 150, 160, "close", "3", {}, 3);
  story.last_call().socket = 20, story.last_call().local = StoryRecorder::server();
  story.last_call().remote = StoryRecorder::client();
  recording::SocketState state;
  state.socket = 20;
  state.local = StoryRecorder::server(), state.remote = StoryRecorder::client();
  state.from = tcp::State::listen, state.to = tcp::State::closed;
  story.event(155, "server", state);
  auto recording = story.take();
  for (auto& event : recording.events)
    if (std::holds_alternative<recording::SocketState>(event.what)) event.actor = {};
  const auto timeline = build(recording);
  ASSERT_EQ(timeline.connections.size(), 1U);
  EXPECT_TRUE(timeline.connections.front().kernel.empty());
  EXPECT_FALSE(std::ranges::any_of(timeline.calls, [](const Call& call) {
    return call.connection && call.meaning.effect == calls::Effect::closes;
  }));
}

TEST(KernelEvents, a_socket_that_the_kernel_gave_up_is_closed) {
  StoryRecorder story;
  story.open();
  story.segment(500, "client", P | A, 1, 1, 5);
  story.state(900000, "client", "ESTABLISHED", "CLOSED");
  story.socket_error(900001, "client", ETIMEDOUT);
  const TimelineOfStory told(story);
  EXPECT_EQ(told.timeline.connections.front().final_states[opener], tcp::State::closed);
  EXPECT_TRUE(told.timeline.contradictions.empty());
}

TEST(KernelEvents, the_entry_that_takes_a_closed_sockets_place_lives_on) {
  StoryRecorder story;
  story.open();
  story.call("server", 1000, 1100, "close", "4");
  story.segment(1050, "server", F | A, 1, 1);
  story.segment(5000, "client", A, 1, 2);
  story.state(5010, "server", "FIN-WAIT-2", "CLOSED");
  const TimelineOfStory told(story);
  EXPECT_EQ(told.timeline.connections.front().final_states[listener], tcp::State::fin_wait_2);
}

TEST(Sides, of_the_same_name_are_told_apart_by_process) {
  StoryRecorder story;
  story.open();
  auto recording = story.take();
  for (auto& actor : recording.actors) actor.name = "python3";
  const auto timeline = build(recording);
  EXPECT_EQ(timeline.connections.front().sides[opener].name, "python3[102]");
  EXPECT_EQ(timeline.connections.front().sides[listener].name, "python3[101]");
}

// Of many that are alike only the first and the last are told.
TEST(Calls, stand_for_those_before_them_that_are_not_told) {
  StoryRecorder story;
  story.open();
  story.call("client", 200, 201, "recv", "3, ..., 100, 0", {-1, EAGAIN});
  const auto last = story.call("client", 900, 901, "recv", "3, ..., 100, 0", {-1, EAGAIN});
  story.event(890, "client",
              recording::CallsRepeated{last, 77, base::wall_from_ns(1'700'000'000'000'000'000 + 210'000)});
  const TimelineOfStory told(story);
  const auto& calls = told.timeline.connections.front().calls;
  const Call& first_of_them = told.timeline.calls[calls[calls.size() - 2]];
  const Call& last_of_them = told.timeline.calls[calls.back()];
  EXPECT_EQ(told.timeline.times(first_of_them), 1U);
  EXPECT_EQ(told.timeline.times(last_of_them), 78U);
  ASSERT_TRUE(last_of_them.repeated);
  const auto entry = std::ranges::find(told.timeline.entries, *last_of_them.repeated, &Entry::event);
  ASSERT_NE(entry, told.timeline.entries.end());
  EXPECT_EQ(entry->connection, 0U);
  EXPECT_EQ(entry->side, opener);
  const auto between = [&](EventId after, EventId before) {
    return told.timeline.lookups.any_call_between(last_of_them.actor, after, before, told.timeline.calls);
  };
  EXPECT_TRUE(between(*first_of_them.returned, *last_of_them.repeated)) << "those that are not told are calls too";
  EXPECT_FALSE(between(*last_of_them.returned, EventId{last_of_them.returned->value + 1}));
}

TEST(CauseRules, have_each_id_once_and_a_source) {
  std::set<std::string_view> ids;
  for (const auto& rule : cause_rules()) {
    EXPECT_TRUE(ids.insert(rule.id).second) << rule.id;
    EXPECT_FALSE(rule.rests_on.empty()) << rule.id;
  }
}

}  // namespace
}  // namespace tcpwhy::timeline
