// The laboratory held against what another program measured on a current kernel (../shared/kernel): for experiments that are the
// same, the segments, the walk of both ends through the states, the counters and the cause of the reset must be the same.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>
#include <set>
#include <sstream>

#include "cli/kernel_experiments/account.h"
#include "explain/explain.h"
#include "explain/testing/contradictions.h"
#include "lab/lab.h"

namespace tcpwhy::cli {
namespace {

using timeline::listener;
using timeline::opener;

// Our scenario and the row that did the same. Their payload differs, so lengths are not compared.
struct SameExperiment {
  std::string_view scenario, row;
};
constexpr SameExperiment same_experiments[] = {
    {"1-open/handshake", "H01"},
    {"1-open/nobody-listens", "H02"},
    {"2-close/server-closes", "C01"},
    {"2-close/ack-waits-40ms-after-data", "C01k"},
    {"2-close/original-37ms", "C01o"},
    {"2-close/forked-child-keeps-it-open", "C18"},
    {"3-send-after-own-close/bad-descriptor", "C02"},
    {"4-recv-after-own-close/bad-descriptor", "C03"},
    {"5-send-after-peer-close/reset-by-fin-wait-2", "C04"},
    {"5-send-after-peer-close/while-the-ack-is-pending", "C04b"},
    {"5-send-after-peer-close/close-with-unread-data", "C12"},
    {"5-send-after-peer-close/linger-zero", "C13"},
    {"6-recv-after-peer-close/reset-is-told-once", "C09c"},
    {"7-sigpipe/two-sends-back-to-back", "C05b"},
    {"7-sigpipe/ignored", "C06b"},
    {"7-sigpipe/msg-nosignal", "C06"},
};

// The kernel's reset reason -> the findings that say so.
const std::map<std::string, std::set<std::string_view>> findings_of_reason = {
    {"NO_SOCKET", {"open.refused", "reset.forgotten"}},
    {"TCP_TIMEWAIT_SOCKET", {"reset.fin_wait_2_entry"}},
    {"TCP_ABORT_ON_DATA", {"reset.orphan_fin_wait_1", "reset.after_shutdown"}},
    {"TCP_ABORT_ON_CLOSE", {"reset.unread_data_at_close"}},
    {"TCP_STATE", {"reset.linger_zero"}},
};

using kernel_experiments::read_table;
using kernel_experiments::split;
using TableRow = kernel_experiments::Row;

// "+13ms S>C[F.]1 a1" -> "S>C[F.]"; only the first connection, whose opener is C.
std::vector<std::string> segments_of_row(const TableRow& row) {
  std::vector<std::string> segments;
  for (auto packet : split(row.at("packets"), " | ")) {
    if (packet.starts_with("+")) packet = packet.substr(packet.find(' ') + 1);
    if (!packet.starts_with("C>S[") && !packet.starts_with("S>C[")) break;
    segments.push_back(packet.substr(0, packet.find(']') + 1));
  }
  return segments;
}

std::vector<std::string> segments_of(const timeline::Timeline& timeline) {
  std::vector<std::string> segments;
  for (const auto s : timeline.connections.front().segments) {
    const auto& segment = timeline.segments[s];
    segments.push_back(std::string(segment.from == opener ? "C>S[" : "S>C[") + wire::to_string(segment.tcp.flags) +
                       "]");
  }
  return segments;
}

// "C:CLOSE>SYN_SENT>ESTABLISHED ; S:..." -> the walk of one end, in our spelling. To that tracepoint the entry of a closed
// socket (FIN-WAIT-2, TIME-WAIT) is CLOSE, to us it is still there: a last CLOSE is left out on both sides.
std::vector<std::string> walk_of_row(const TableRow& row, char end) {
  const std::map<std::string, std::string> spelling = {{"CLOSE", "CLOSED"},          {"SYN_SENT", "SYN-SENT"},
                                                       {"SYN_RECV", "SYN-RECEIVED"}, {"FIN_WAIT1", "FIN-WAIT-1"},
                                                       {"FIN_WAIT2", "FIN-WAIT-2"},  {"CLOSE_WAIT", "CLOSE-WAIT"},
                                                       {"LAST_ACK", "LAST-ACK"},     {"TIME_WAIT", "TIME-WAIT"}};
  std::vector<std::string> walk;
  for (const auto& part : split(row.at("states"), " ; ")) {
    if (part.size() < 2 || part[0] != end || part[1] != ':') continue;
    for (auto state : split(part.substr(2), ">")) {
      state = state.substr(0, state.find(' '));
      const auto ours = spelling.find(state);
      walk.push_back(ours == spelling.end() ? state : ours->second);
    }
    break;
  }
  if (!walk.empty() && walk.back() == "CLOSED") walk.pop_back();
  return walk;
}

std::vector<std::string> walk_of(const timeline::Connection& connection, timeline::Side side) {
  std::vector<std::string> walk;
  for (const auto& change : connection.changes) {
    if (change.side != side) continue;
    if (walk.empty()) walk.emplace_back(tcp::name(change.from));
    walk.emplace_back(tcp::name(change.to));
  }
  if (!walk.empty() && walk.back() == "CLOSED") walk.pop_back();
  return walk;
}

template <class T>
bool one_begins_the_other(const std::vector<T>& a, const std::vector<T>& b) {
  const auto length = std::min(a.size(), b.size());
  return std::equal(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(length), b.begin());
}

std::string joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const auto& part : parts) text += part + " ";
  return text;
}

// Counters that speak of resets: equal in both. (Others count what the two programs did besides.)
void expect_same_counters(const TableRow& row, const recording::Recording& recording) {
  for (const std::string name : {"TCPAbortOnData", "TCPAbortOnClose", "TCPAbortOnLinger", "TCPAbortOnTimeout"}) {
    const bool theirs = row.at("netstat_delta").find("\"" + name + "\"") != std::string::npos;
    const bool ours = std::ranges::any_of(recording.events, [&](const auto& event) {
      const auto* moved = std::get_if<recording::CounterMoved>(&event.what);
      return moved != nullptr && moved->name == "TcpExt." + name;
    });
    EXPECT_EQ(theirs, ours) << name;
  }
}

void expect_same_reset(const TableRow& row, const explain::Explained& explained) {
  const auto& reasons = row.at("reset_drop_reason");
  const auto at = reasons.find("RST: S:");
  if (at == std::string::npos) return;
  const auto start = at + 7;
  auto reason = reasons.substr(start, reasons.find_first_of(" (,", start) - start);
  // On a busy machine a run may go another way (data before the ACK of the FIN): then the kernel's reason of this run counts.
  for (const auto& event : explained.recording->events)
    if (const auto* reset = std::get_if<recording::Reset>(&event.what); reset != nullptr && reset->sent)
      if (findings_of_reason.contains(reset->reason)) {
        reason = reset->reason;
        break;
      }
  const auto findings = findings_of_reason.find(reason);
  ASSERT_NE(findings, findings_of_reason.end()) << reason;
  const bool said = std::ranges::any_of(explained.findings, [&](const auto& finding) {
    return findings->second.contains(finding.rule->id) && finding.grade != timeline::Grade::assumed;
  });
  EXPECT_TRUE(said) << "the kernel's reason was " << reason;
}

bool same_segments(const TableRow& row, const lab::Outcome& outcome) {
  return !outcome.error &&
         one_begins_the_other(segments_of_row(row), segments_of(explain::explain(outcome.recording).timeline));
}

// An experiment that says that it has several attempts is about milliseconds, which a busy machine may not keep: it is made again. The
// lab's own attempts see only its lines.
lab::Outcome again_until_same(const TableRow& row, lab::Outcome outcome) {
  for (unsigned attempt = 1; attempt < outcome.scenario.attempts && !same_segments(row, outcome); ++attempt) {
    std::cout << outcome.scenario.name << " is made again\n";
    outcome = lab::run(std::vector{outcome.scenario}, {}, [](const lab::Outcome&) {}).front();
  }
  return outcome;
}

TEST(ExplanationAgreement, same_experiments_same_segments_states_counters_and_reasons) {
  const auto table = read_table();
  ASSERT_FALSE(table.empty());
  std::vector<lab::Scenario> chosen;
  for (const SameExperiment& same : same_experiments) {
    const auto all = lab::builtin_scenarios();
    const auto found = std::ranges::find(all, same.scenario, &lab::Scenario::name);
    ASSERT_NE(found, all.end()) << same.scenario;
    chosen.push_back(*found);
  }
  const auto outcomes = lab::run(chosen, {}, [](const lab::Outcome&) {});
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    const auto& row = table.at(std::string(same_experiments[i].row));
    if (outcomes[i].error && outcomes[i].error->kind == base::ErrorKind::privilege)
      GTEST_SKIP() << outcomes[i].error->message.en;
    const auto outcome = again_until_same(row, outcomes[i]);
    SCOPED_TRACE(outcome.scenario.name + " and " + std::string(same_experiments[i].row));
    ASSERT_FALSE(outcome.error) << outcome.error->message.en;
    const auto explained = explain::explain(outcome.recording);
    ASSERT_FALSE(explained.timeline.connections.empty());
    const auto theirs = segments_of_row(row), ours = segments_of(explained.timeline);
    EXPECT_GE(theirs.size(), 2U);
    EXPECT_TRUE(one_begins_the_other(theirs, ours)) << joined(theirs) << "\n" << joined(ours);
    const auto& connection = explained.timeline.connections.front();
    for (const auto& [end, side] : {std::pair('C', opener), std::pair('S', listener)}) {
      const auto their_walk = walk_of_row(row, end), our_walk = walk_of(connection, side);
      if (our_walk.empty()) continue;
      EXPECT_TRUE(one_begins_the_other(their_walk, our_walk))
          << end << ": " << joined(their_walk) << "\n   " << joined(our_walk);
    }
    if (theirs.size() == ours.size()) expect_same_counters(row, outcome.recording);
    expect_same_reset(row, explained);
    EXPECT_TRUE(explained.timeline.contradictions.empty());
    for (const auto& contradiction : explain::testing::contradictions_in(explained)) ADD_FAILURE() << contradiction;
    for (const auto& segment : explained.timeline.segments)
      EXPECT_NE(segment.cause.trigger, timeline::Trigger::unknown) << "segment at event " << segment.departed.value;
  }
}

}  // namespace
}  // namespace tcpwhy::cli
