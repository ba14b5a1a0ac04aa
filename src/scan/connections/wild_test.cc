// What people really capture: one direction, on both sides of an offload, out of order, begun late. tests/wild has small captures of
// each kind, of our own making; here stands what must be said of each, and what must not.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <vector>

#include "base/testing/data.h"
#include "scan/connections/connection_table.h"
#include "scan/connections/problems.h"
#include "scan/packets/frame_reader.h"

namespace tcpwhy::scan {
namespace {

using tcp::Kind;
using tcp::RetransmissionReason;
using tcp::State;

struct Analysed {
  std::map<std::uint64_t, tcp::Verdict> frames;
  std::vector<ConnectionRecord> records;
};

Analysed analyse(std::string_view name) {
  Analysed result;
  const auto path = base::testing::own_data("wild") / (std::string(name) + ".pcap");
  auto reader =
      FrameReader::open_all({*capfile::Input::open(path.string())}, {.filter = {}, .teredo = false, .by_time = true});
  EXPECT_TRUE(reader) << path;
  if (!reader) return result;
  ConnectionTable table(
      {}, 1, [&](Connection& connection, Left left) { result.records.push_back(record_of(connection, left)); });
  Frame frame;
  while (reader->next(frame).value_or(false)) {
    if (frame.packet.kind != wire::Dissection::tcp) continue;
    result.frames[frame.number] =
        table.take(frame.number, base::to_ns(frame.at), frame.packet.segment, frame.packet.encapsulation).verdict;
  }
  table.finish();
  return result;
}

std::vector<std::string> problems(const ConnectionRecord& record) {
  std::vector<std::string> ids;
  for (const Problem& problem : problems_of(record)) ids.emplace_back(problem.rule->id);
  return ids;
}

// Of one connection.
struct Case {
  std::string_view file;
  Opening opening;
  Ending ending;
  std::optional<Side> closed_by;
  std::vector<std::string> problems;  // all that are said
};

TEST(Wild, what_is_said_of_each_capture) {
  using enum Opening;
  const Case cases[] = {
      {"go-back-n", handshake, Ending::open, {}, {"capture.loss"}},
      {"first-segment-below-ack", before_capture, Ending::open, {}, {}},
      {"offload-pieces", handshake, Ending::closed, opener, {"capture.offload"}},
      {"one-way-client-side", half_seen, Ending::closed, opener, {"capture.one_way"}},
      {"client-side-only-closed", half_seen, Ending::closed, opener, {"capture.one_way"}},
      {"server-side-only-closed", half_seen, Ending::closed, opener, {"capture.one_way"}},
      {"data-and-fin-after-close", handshake, Ending::reset, {}, {"capture.reset.data_after_close"}},
      {"own-reset-without-ack", handshake, Ending::reset, opener, {"capture.reset.unread_data"}},
      {"ack-captured-before-data", handshake, Ending::open, {}, {"capture.out_of_order"}},
      {"kernel-H25-A", handshake, Ending::open, {}, {"capture.accept_queue"}},
      {"kernel-C25b-A", handshake, Ending::closed, opener, {"capture.fin_again"}},
      {"idle-then-reset", handshake, Ending::reset, opener, {"capture.reset.idle"}},
      {"server-seen-first", before_capture, Ending::closed, listener, {}},
      {"refused-twice-same-ttl", refused, Ending::never_opened, listener, {"capture.refused"}},
      {"kernel-D16c-A", handshake, Ending::open, {}, {"capture.mtu_black_hole", "capture.loss", "capture.timeout"}},
      {"kernel-D08-A", handshake, Ending::open, {}, {"capture.zero_window"}},
      {"appended-to-itself", handshake, Ending::closed, opener, {"capture.copies"}},
      {"lone-reset", before_capture, Ending::reset, {}, {"capture.reset.alone"}},
      {"begins-with-keep-alive", before_capture, Ending::open, {}, {}},
      {"frames-not-in-order-of-time", handshake, Ending::closed, opener, {}},
  };
  for (const Case& one : cases) {
    const Analysed found = analyse(one.file);
    ASSERT_EQ(found.records.size(), 1U) << one.file;
    const ConnectionRecord& record = found.records[0];
    EXPECT_EQ(name(record.opening), name(one.opening)) << one.file;
    EXPECT_EQ(name(record.ending), name(one.ending)) << one.file;
    EXPECT_EQ(record.closed_by, one.closed_by) << one.file;
    EXPECT_EQ(problems(record), one.problems) << one.file;
  }
}

// What the capture waited for is missing; what it ended behind may be on its way.
TEST(Wild, an_answer_is_missed_only_where_the_capture_waited_for_it) {
  const auto ending_behind_a_syn = [](std::int64_t went_on_ns) {
    std::vector<ConnectionRecord> records;
    ConnectionTable table({}, 1,
                          [&](Connection& connection, Left left) { records.push_back(record_of(connection, left)); });
    wire::TcpSegment syn;
    syn.source = {wire::IpAddress::v4(std::array<std::uint8_t, 4>{10, 0, 0, 1}), 40'000};
    syn.destination = {wire::IpAddress::v4(std::array<std::uint8_t, 4>{10, 0, 0, 2}), 80};
    syn.flags.bits = wire::TcpFlags::syn_bit;
    constexpr std::int64_t at_ns = 1'000'000'000'000;
    table.take(1, at_ns, syn);
    table.finish(at_ns + went_on_ns);
    return records.at(0);
  };
  const ConnectionRecord at_once = ending_behind_a_syn(0), later = ending_behind_a_syn(1'000'000'000);
  EXPECT_EQ(name(at_once.ending), name(Ending::open));
  EXPECT_EQ(problems(at_once), std::vector<std::string>{});
  EXPECT_EQ(name(later.ending), name(Ending::never_opened));
  EXPECT_EQ(problems(later), std::vector<std::string>{"capture.unanswered"});
}

TEST(Wild, go_back_n_waits_for_nothing) {
  const Analysed found = analyse("go-back-n");
  for (const std::uint64_t frame : {17, 18, 19, 21, 22, 23, 24}) {
    EXPECT_EQ(found.frames.at(frame).kind, Kind::retransmission) << frame;
    EXPECT_EQ(found.frames.at(frame).reason, RetransmissionReason::recovery) << frame;
  }
  EXPECT_EQ(found.frames.at(16).reason, RetransmissionReason::fast);
}

TEST(Wild, the_first_segment_of_a_sender_may_have_been_acknowledged_before) {
  const Analysed found = analyse("first-segment-below-ack");
  EXPECT_EQ(found.frames.at(2).kind, Kind::data);
  EXPECT_TRUE(found.frames.at(2).has(tcp::mark::behind_ack));
  EXPECT_TRUE(found.frames.at(2).has(tcp::mark::assumed));
}

TEST(Wild, pieces_of_a_larger_segment_are_the_captures_copies) {
  const Analysed found = analyse("offload-pieces");
  for (const std::uint64_t frame : {6, 7, 8, 11, 12, 13, 16, 17, 18}) {
    EXPECT_EQ(found.frames.at(frame).kind, Kind::duplicate) << frame;
    EXPECT_TRUE(found.frames.at(frame).has(tcp::mark::offload_copy)) << frame;
  }
  EXPECT_EQ(found.records[0].retransmissions(), 0U);
  EXPECT_EQ(found.records[0].ends[listener].bytes, 13'032U);
}

TEST(Wild, what_one_direction_shows_of_both) {
  const Analysed client = analyse("one-way-client-side");
  EXPECT_EQ(client.records[0].ends[opener].state, State::time_wait);
  EXPECT_TRUE(client.frames.at(6).has(tcp::mark::assumed));
  const Analysed server = analyse("server-side-only-closed");
  EXPECT_EQ(server.records[0].ends[listener].state, State::last_ack);
  EXPECT_TRUE(server.records[0].one_way);
}

TEST(Wild, data_behind_its_acknowledgment_is_captured_late_and_not_sent_again) {
  const Analysed found = analyse("ack-captured-before-data");
  EXPECT_EQ(found.records[0].retransmissions(), 0U);
  EXPECT_EQ(found.records[0].ends[listener].unseen_bytes, 0U);
  EXPECT_EQ(found.records[0].ends[listener].behind_ack, 12U);
  EXPECT_EQ(found.records[0].ends[listener].most_behind_ack_ns, 10'000);
}

TEST(Wild, who_sends_again_what_was_acknowledged_has_not_got_that) {
  const Analysed syn_ack = analyse("kernel-H25-A");
  EXPECT_TRUE(syn_ack.frames.at(4).has(tcp::mark::acked_before));
  EXPECT_FALSE(syn_ack.frames.at(4).has(tcp::mark::needless));
  EXPECT_EQ(syn_ack.records[0].ends[listener].state, State::syn_received);
  const Analysed fin = analyse("kernel-C25b-A");
  EXPECT_EQ(fin.records[0].ends[listener].state, State::last_ack);
  EXPECT_EQ(fin.records[0].ends[listener].needless, 0U);
  EXPECT_EQ(fin.records[0].ends[listener].fins_again, 5U);
}

TEST(Wild, a_copy_moves_no_state) {
  const Analysed found = analyse("appended-to-itself");
  EXPECT_EQ(found.records[0].ends[opener].state, State::time_wait);
  EXPECT_EQ(found.records[0].ends[listener].state, State::closed);
  EXPECT_EQ(found.records[0].retransmissions(), 0U);
}

TEST(Wild, why_it_was_sent_again_is_what_the_kernel_says) {
  using enum RetransmissionReason;
  const Analysed sender = analyse("kernel-D16c-A");
  EXPECT_EQ(sender.frames.at(13).reason, timeout);
  for (const std::uint64_t frame : {18, 19, 21, 22, 24}) EXPECT_EQ(sender.frames.at(frame).reason, recovery) << frame;
  EXPECT_EQ(analyse("kernel-D16c-B").frames.at(6).reason, tail_loss_probe);
}

TEST(Wild, a_window_that_opens_long_after_a_probe_is_an_update) {
  const Analysed found = analyse("kernel-D08-A");
  for (const std::uint64_t frame : {12, 17}) EXPECT_EQ(found.frames.at(frame).kind, Kind::window_update) << frame;
  EXPECT_GT(found.records[0].ends[opener].longest_shut_ns, 600'000'000);
}

TEST(Wild, a_reset_may_answer_an_older_segment_in_flight) {
  const Analysed found = analyse("resets-answer-older-acks");
  for (const auto& [frame, verdict] : found.frames) {
    EXPECT_NE(verdict.kind, Kind::illegal) << frame;
    EXPECT_NE(verdict.reset_cause, tcp::ResetCause::third_party) << frame;
  }
}

TEST(Wild, the_same_host_has_the_same_ttl) {
  for (const auto& [frame, verdict] : analyse("refused-twice-same-ttl").frames)
    EXPECT_FALSE(verdict.has(tcp::mark::foreign_ttl)) << frame;
}

TEST(Wild, one_below_the_next_number_is_a_keep_alive_also_at_the_beginning) {
  const Analysed found = analyse("begins-with-keep-alive");
  EXPECT_EQ(found.frames.at(3).kind, Kind::keep_alive);
  EXPECT_EQ(found.frames.at(4).kind, Kind::keep_alive_ack);
  EXPECT_EQ(found.records[0].ends[opener].unseen_bytes, 0U);
}

}  // namespace
}  // namespace tcpwhy::scan
