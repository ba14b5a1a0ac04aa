// Captures of real stacks through a middlebox, whose truth is known (tests/jury), and which were once told wrongly: what must be said of them, and
// what must not.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "base/testing/data.h"
#include "scan/testing/records.h"

namespace tcpwhy::scan {
namespace {

std::vector<ConnectionRecord> records_of(std::string_view name) {
  return testing::records_of(
      FrameReader::open((base::testing::own_data("jury") / (std::string(name) + ".pcap")).string()));
}

// Ids without "capture.".
struct Verdict {
  std::string_view file;
  std::size_t stream;
  std::string_view said;
  std::vector<std::string_view> not_said;
};

TEST(Jury, what_happened_is_said_and_nothing_else) {
  const Verdict verdicts[] = {
      // Nothing of what it sent arrived; its program had closed.
      {"mid-A", 9, "reset.had_given_up", {"reset.late_after_close", "gave_up"}},
      // The receiver waits for bytes to the end that were lost before the tap.
      {"mid-A", 10, "undelivered", {}},
      // Resent ten times, ICMP errors, then the peer's FIN.
      {"mid-A", 11, "reset.had_given_up", {"reset.no_connection"}},
      // ICMP told of the MTU: nothing was lost in a queue.
      {"mid-A", 12, "icmp_error", {"loss"}},
      // Data was sent again shortly before the reset; the close left it unread.
      {"mid-A", 1, "reset.unread_data", {"reset.idle"}},
      {"mid-B", 1, "reset.unread_data", {"reset.idle"}},
      // Large segments don't get through, and the peer answers all the time.
      {"mid-B", 12, "mtu_black_hole", {"gave_up"}},
      {"mid-B", 11, "undelivered", {"gave_up"}},
      // The SYN-ACK was dropped behind the tap, and the client sent its SYN again.
      {"hs-B", 9, "syn_lost", {"accept_queue"}},
      {"hs-B", 10, "syn_lost", {"accept_queue"}},
      {"hs-A", 10, "syn_lost", {"accept_queue"}},
      // accept() came late, and the program closed with what it had been sent unread.
      {"hs-A", 0, "reset.unread_data", {"reset.idle"}},
      // The listener still had the connection before, from the same port.
      {"hs-A", 16, "old_connection", {"syn_lost", "illegal"}},
      {"hs-B", 15, "reset.no_connection", {"illegal"}},
      {"hs-B", 16, "old_connection", {"syn_lost", "illegal"}},
      // What opened the window was lost, or the path was gone: the reader is not to blame.
      {"zw-A", 2, "probes_unanswered", {"zero_window"}},
      {"zw-A", 4, "reset.unread_data", {"reset.idle", "zero_window"}},
      // A slow reader, whose host answers probes every half second at most.
      {"late-A", 4, "zero_window", {"probes_unanswered"}},
      {"late-B", 2, "zero_window", {"probes_unanswered"}},
      // The update was lost; the peer was gone.
      {"late-A", 0, "probes_unanswered", {"zero_window"}},
      {"late-A", 1, "probes_unanswered", {"zero_window"}},
      // The opener had forgotten the connection before, from the same port: its SYN is no stray there.
      {"late-A", 2, "reset.no_connection", {"illegal"}},
      {"late-A", 3, "old_connection", {"syn_lost", "illegal"}},
      // Somebody else's reset, 198 ms after both FINs had been acknowledged.
      {"late-A", 6, "reset.third_party_late", {"reset.third_party"}},
      // A forged reset, and then the end's own segments.
      {"late-A", 7, "reset.third_party", {"reset.aborted"}},
      // A copy of the SYN came late, behind the close.
      {"late-A", 5, "old_syn", {"accept_queue", "syn_lost"}},
      {"late-B", 5, "old_syn", {"accept_queue", "syn_lost"}},
      // close() with data that waits for a shut window; then the client sends.
      {"late-B", 3, "reset.data_after_unsent_fin", {"reset.no_connection"}},
      // A forged reset ended it at the client, whose host answers each segment that was on its way.
      {"late-B", 0, "reset.no_connection", {"reset.unread_data"}},
      // A firewall forgot the idle connection; whether the client sent something meanwhile nobody knows here.
      {"late-B", 1, "close_unanswered", {"fin_unanswered", "gave_up"}},
      // All data had been acknowledged when the host answered what was on its way.
      {"late-B", 4, "reset.late_after_close", {"reset.data_after_close"}},
  };
  for (const Verdict& verdict : verdicts) {
    const auto records = records_of(verdict.file);
    ASSERT_GT(records.size(), verdict.stream) << verdict.file;
    std::vector<std::string> said;
    for (const Problem& problem : problems_of(records[verdict.stream])) said.emplace_back(problem.rule->id.substr(8));
    const auto is_said = [&](std::string_view id) { return std::ranges::find(said, id) != said.end(); };
    const auto all = fmt::format("{} {}: {}", verdict.file, verdict.stream, ::testing::PrintToString(said));
    EXPECT_TRUE(is_said(verdict.said)) << all << " lacks " << verdict.said;
    for (const std::string_view id : verdict.not_said) EXPECT_FALSE(is_said(id)) << all << " has " << id;
  }
}

// Data that filled the window lay unread when this end reset by itself; that it was close() and not `ss -K`, no wire tells. The other one: a listener was
// closed, which resets what it had not accepted.
TEST(Jury, is_as_sure_as_the_evidence) {
  EXPECT_EQ(records_of("zw-A").at(4).reset_cause, tcp::ResetCause::unread_data);
  EXPECT_TRUE(records_of("zw-A").at(4).reset_assumed);
  EXPECT_EQ(records_of("close-A").at(17).reset_cause, tcp::ResetCause::aborted);
  EXPECT_TRUE(records_of("close-A").at(17).reset_assumed);
}

}  // namespace
}  // namespace tcpwhy::scan
