// Two real stacks over a link that kept the books (tests/two-stacks): our classes, states and reset causes against
// the truth.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "base/testing/data.h"
#include "scan/connections/connection_table.h"
#include "scan/packets/frame_reader.h"

namespace tcpwhy::scan {
namespace {

using Cells = std::vector<std::string>;

std::filesystem::path folder() { return base::testing::own_data("two-stacks"); }

std::vector<Cells> rows(const std::filesystem::path& file) {
  std::vector<Cells> all;
  std::ifstream in(file);
  std::string line;
  std::getline(in, line);  // the names of the columns
  while (std::getline(in, line)) {
    Cells cells;
    std::istringstream fields(line);
    for (std::string cell; std::getline(fields, cell, '\t');) cells.push_back(cell);
    all.push_back(std::move(cells));
  }
  return all;
}

struct AnalysedSegment {
  tcp::Verdict verdict;
  std::string from;  // address and port
  std::int64_t at_ns;
};

struct Analysed {
  std::map<std::uint64_t, AnalysedSegment> frames;
  struct Walk {
    tcp::PerEnd<std::vector<std::string>> states;
    tcp::PerEnd<std::string> addresses;
    tcp::ResetSeen reset;
  };
  std::vector<Walk> connections;
};

Analysed analyse(const std::filesystem::path& file) {
  Analysed result;
  std::map<const Connection*, std::size_t> walks;
  ConnectionTable table({}, 1, [&](Connection& connection, Left) {
    const auto walk = walks.find(&connection);
    ASSERT_NE(walk, walks.end());
    result.connections[walk->second].reset = connection.tracker.reset();
    walks.erase(walk);
  });
  auto reader = FrameReader::open(file.string());
  EXPECT_TRUE(reader) << file;
  if (!reader) return result;
  while (true) {
    const auto frame = reader->next();
    EXPECT_TRUE(frame);
    if (!frame || !*frame) break;
    if ((*frame)->packet.kind != wire::Dissection::tcp) continue;
    const auto& segment = (*frame)->packet.segment;
    const TakenSegment taken = table.take((*frame)->number, base::to_ns((*frame)->at), segment);
    result.frames[(*frame)->number] = {taken.verdict, wire::to_string(segment.source), base::to_ns((*frame)->at)};
    auto [walk, is_new] = walks.try_emplace(taken.connection, result.connections.size());
    if (is_new) {
      result.connections.emplace_back();
      for (const tcp::EndIndex end : tcp::both_ends)
        result.connections.back().addresses[end] = wire::to_string(taken.connection->ends[end].ip);
    }
    auto& states = result.connections[walk->second].states;
    const auto note = [&](tcp::EndIndex end, const tcp::Move& move) {
      for (const tcp::State state : {move.via, move.to, taken.connection->tracker.end(end).state})
        if (move.happened() && (states[end].empty() || states[end].back() != name(state)))
          states[end].emplace_back(name(state));
    };
    note(taken.from, taken.verdict.sender);
    note(tcp::opposite(taken.from), taken.verdict.receiver);
  }
  table.finish();
  return result;
}

// In the words of truth_segments.tsv.
std::string in_their_words(const tcp::Verdict& verdict) {
  switch (verdict.kind) {
    case tcp::Kind::syn:
    case tcp::Kind::syn_ack:
    case tcp::Kind::data:
    case tcp::Kind::fin: return "new";
    case tcp::Kind::keep_alive:
    case tcp::Kind::window_probe: return "keepalive/probe";
    case tcp::Kind::retransmission: return "retransmission";
    case tcp::Kind::duplicate: return "network-duplicate";
    case tcp::Kind::reordered: return "network-reordered";
    case tcp::Kind::illegal: {
      // A reset that its receiver does not take may be genuine: what came before it was lost.
      const bool genuine_reset = (verdict.illegality == tcp::Illegality::reset_in_window ||
                                  verdict.illegality == tcp::Illegality::reset_out_of_window) &&
                                 !verdict.has(tcp::mark::foreign_ttl);
      return genuine_reset ? "rst" : "injected";
    }
    case tcp::Kind::reset: return verdict.reset_cause == tcp::ResetCause::third_party ? "injected" : "rst";
    default: return "pure-ack";
  }
}

TEST(TwoStacks, every_segment_is_classified_as_the_books_have_it) {
  const auto truth = rows(folder() / "truth_segments.tsv");
  ASSERT_FALSE(truth.empty());
  std::map<std::string, Analysed> captures;
  std::set<std::string> syn_acks;
  int compared = 0, first_copies = 0;
  for (const Cells& row : truth) {
    const std::string capture = row[0] + "/" + row[1];
    if (!captures.contains(capture)) captures[capture] = analyse(folder() / (capture + ".pcap"));
    const auto found = captures[capture].frames.find(std::stoull(row[2]));
    ASSERT_NE(found, captures[capture].frames.end()) << capture << " " << row[2];
    const tcp::Verdict& ours = found->second.verdict;
    const std::string theirs = row[7].substr(0, row[7].find('('));
    ++compared;
    // The books call every SYN-ACK of a kind a retransmission if any was; the first one in a capture is not, nor is
    // that of a simultaneous open, though it takes up the SYN's number again (RFC 9293 3.5).
    if (theirs == "retransmission" && ours.kind == tcp::Kind::syn_ack &&
        (syn_acks.insert(fmt::format("{} {} {}", capture, row[3], row[4])).second ||
         ours.has(tcp::mark::simultaneous_open))) {
      ++first_copies;
      continue;
    }
    EXPECT_EQ(in_their_words(ours), theirs)
        << capture << " frame " << row[2] << " from " << row[3] << " seq " << row[4] << " len " << row[5] << " flags "
        << row[6] << ": " << row[7] << ", ours " << name(ours.kind) << " " << name(ours.reason) << " "
        << name(ours.illegality) << " " << name(ours.reset_cause);
  }
  EXPECT_GT(compared, 2000);
  EXPECT_EQ(first_copies, 10);
}

// The walk of each socket by the kernel: "scenario/host" -> walks, by local and remote port.
struct TrueWalk {
  std::string local, peer;
  std::vector<std::string> states;
};

std::map<std::string, std::vector<TrueWalk>> true_walks() {
  static const std::map<std::string, std::string> rfc_names = {
      {"SYN_SENT", "SYN-SENT"},    {"SYN_RECV", "SYN-RECEIVED"}, {"ESTABLISHED", "ESTABLISHED"},
      {"FIN_WAIT1", "FIN-WAIT-1"}, {"FIN_WAIT2", "FIN-WAIT-2"},  {"CLOSE_WAIT", "CLOSE-WAIT"},
      {"LAST_ACK", "LAST-ACK"},    {"CLOSING", "CLOSING"},       {"TIME_WAIT", "TIME-WAIT"},
      {"CLOSE", "CLOSED"}};
  std::map<std::string, std::vector<TrueWalk>> all;
  for (const Cells& row : rows(folder() / "truth_states.tsv")) {
    if (row[6] == "LISTEN" || (row[5] == "LISTEN" && row[6] == "CLOSE")) continue;  // the listener's own
    auto& walks = all[row[0] + "/" + row[2]];
    // The port of a socket that connects is not chosen yet when it enters SYN-SENT.
    const bool begins = row[6] == "SYN_SENT" || row[6] == "SYN_RECV";
    auto walk = std::find_if(walks.rbegin(), walks.rend(), [&](const TrueWalk& w) {
      return w.peer == row[4] && (w.local == row[3] || (w.local.ends_with(":0") && row[5] == "SYN_SENT"));
    });
    if (begins && row[5] != "SYN_SENT") {
      walks.push_back({row[3], row[4], {}});
      walk = walks.rbegin();
    }
    if (walk == walks.rend()) continue;
    walk->local = row[3];
    walk->states.push_back(rfc_names.at(row[6]));
  }
  return all;
}

// An orphan's FIN-WAIT-2 and TIME-WAIT are CLOSE to the tracepoint, and CLOSE comes without anything on the wire when a
// timer gives up.
void cut_silent_end(std::vector<std::string>& states) {
  while (!states.empty() &&
         (states.back() == "CLOSED" || states.back() == "TIME-WAIT" || states.back() == "FIN-WAIT-2"))
    states.pop_back();
}

TEST(TwoStacks, both_ends_walk_through_the_states_that_the_kernel_shows) {
  const auto truth = true_walks();
  ASSERT_FALSE(truth.empty());
  int compared = 0;
  for (const auto& [place, walks] : truth) {
    const Analysed ours = analyse(folder() / (place + ".pcap"));
    const std::string host = place.ends_with("/A") ? "10.9.0.1" : "10.9.0.2";
    std::vector<std::vector<std::string>> theirs, mine;
    for (const TrueWalk& walk : walks) theirs.push_back(walk.states);
    for (const auto& connection : ours.connections)
      for (const tcp::EndIndex end : tcp::both_ends)
        if (connection.addresses[end] == host) mine.push_back(connection.states[end]);
    for (auto* all : {&theirs, &mine}) {
      for (auto& states : *all) {
        std::erase(states, "?");
        cut_silent_end(states);
      }
      std::erase_if(*all, [](const auto& states) { return states.empty(); });
    }
    EXPECT_EQ(mine, theirs) << place;
    compared += static_cast<int>(theirs.size());
  }
  EXPECT_GT(compared, 60);
}

// What a wire can tell of the kernel's reason: enum sk_rst_reason of include/net/rstreason.h.
const std::map<std::string, std::set<tcp::ResetCause>> causes_of_reason = {
    {"TCP_INVALID_ACK_SEQUENCE", {tcp::ResetCause::bad_ack}},
    {"TCP_KEEPALIVE_TIMEOUT", {tcp::ResetCause::keep_alive_gave_up}},
    {"TCP_TIMEWAIT_SOCKET", {tcp::ResetCause::data_after_close}},
    {"TCP_STATE", {tcp::ResetCause::aborted}},
    {"NO_SOCKET", {tcp::ResetCause::data_after_close, tcp::ResetCause::after_reset}},
};

TEST(TwoStacks, every_reset_has_its_cause) {
  const auto truth = rows(folder() / "truth_rst.tsv");
  ASSERT_FALSE(truth.empty());
  for (const Cells& row : truth) {
    const std::string host = row[2].starts_with("10.9.0.1") ? "A" : "B";
    const Analysed ours = analyse(folder() / (row[0] + "/" + host + ".pcap"));
    const double at = std::stod(row[1]);
    const AnalysedSegment* found = nullptr;
    for (const auto& [frame, seen] : ours.frames)
      if (seen.from == row[2] && seen.verdict.kind == tcp::Kind::reset &&
          std::abs(static_cast<double>(seen.at_ns) / 1e9 - at) < 0.002)
        found = &seen;
    ASSERT_NE(found, nullptr) << row[0] << " " << row[1];
    const std::string reason = row[5];
    ASSERT_TRUE(causes_of_reason.contains(reason)) << reason;
    EXPECT_TRUE(causes_of_reason.at(reason).contains(found->verdict.reset_cause))
        << row[0] << " " << reason << ": " << name(found->verdict.reset_cause);
    // What an end did of itself may have had more than one cause: unread data, SO_LINGER 0, a listener that was closed before accept().
    const bool active = found->verdict.reset_cause == tcp::ResetCause::aborted ||
                        found->verdict.reset_cause == tcp::ResetCause::unread_data;
    EXPECT_EQ(found->verdict.has(tcp::mark::assumed), active) << row[0];
  }
}

TEST(TwoStacks, a_reset_by_a_third_party_is_told) {
  for (const std::string place :
       {"injected_rst_exact/A", "injected_rst_exact/B", "firewall_rst_midstream/A", "firewall_rst_midstream/B"}) {
    const Analysed ours = analyse(folder() / (place + ".pcap"));
    ASSERT_EQ(ours.connections.size(), 1U);
    EXPECT_EQ(ours.connections[0].reset.cause, tcp::ResetCause::third_party) << place;
    EXPECT_FALSE(ours.connections[0].reset.assumed) << place;
  }
}

TEST(TwoStacks, what_is_illegal_resets_nothing) {
  const std::map<std::string, tcp::Illegality> injected = {
      {"injected_rst_in_window_challenge", tcp::Illegality::reset_in_window},
      {"injected_rst_out_of_window", tcp::Illegality::reset_out_of_window},
      {"injected_syn_established", tcp::Illegality::syn_in_connection}};
  for (const auto& [scenario, illegality] : injected) {
    const Analysed ours = analyse(folder() / (scenario + "/B.pcap"));
    ASSERT_EQ(ours.connections.size(), 1U) << scenario;
    EXPECT_EQ(ours.connections[0].reset.cause, tcp::ResetCause::none) << scenario;
    EXPECT_EQ(ours.frames.at(6).verdict.illegality, illegality) << scenario;
    const bool challenged = illegality != tcp::Illegality::reset_out_of_window;
    EXPECT_EQ(ours.frames.at(7).verdict.kind == tcp::Kind::challenge_ack, challenged) << scenario;
  }
}

}  // namespace
}  // namespace tcpwhy::scan
